//! What is published: one stream for each measure of each sensor, and for each publisher on the LAN.

use std::sync::Arc;

use serde::Serialize;

use super::{Assumptions, DAY_S, Span, filtered};
use crate::drivers::Kind;
use crate::format;
use crate::model::{Measure, Message, Origin, Qos, Sample, Source, Topic};
use crate::plan::{Plan, SensorPlan};

/// One stream of messages that are alike.
pub(super) struct Stream {
    /// One of them.
    pub(super) message: Message,
    /// What comes in one round belongs together: the number of the sensor, or of the publisher behind the sensors.
    pub(super) source: usize,
    /// Messages a day; nothing for sensors that speak when something happens.
    pub(super) per_day: Option<Span>,
    /// A client at QoS 1 or 2 waits for its acknowledgement: the store commits soon. Sensors wait for nothing.
    pub(super) waits: bool,
}

/// One sensor.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SensorOutlook {
    /// Its name.
    pub name: String,
    /// Its driver.
    pub driver: String,
    /// The interval in milliseconds; nothing for one that speaks by itself.
    pub every_ms: Option<u64>,
    /// Readings a day before the filters; nothing when it speaks by itself, or its measures show only when it is opened.
    pub readings_per_day: Option<f64>,
    /// Its measures, where they are known.
    pub measures: Vec<MeasureOutlook>,
}

/// One measure of a sensor.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MeasureOutlook {
    /// The topic here.
    pub topic: String,
    /// Bytes of one payload.
    pub payload: usize,
    /// Messages a day behind the filters.
    pub messages_per_day: Option<Span>,
}

/// Everything that is published here, as far as it is known.
pub(super) fn all(plan: &Plan, assumptions: &Assumptions) -> Vec<Stream> {
    let sensors = plan.sensors.iter().enumerate();
    let own = sensors.flat_map(|(source, sensor)| {
        measures(sensor).iter().filter_map(move |measure| of_measure(plan, sensor, measure, source))
    });
    let lan = assumptions.lan.iter().enumerate().map(|(number, lan)| {
        let usual = || Topic::new(&format!("{}/lan/device", plan.gateway.name)).expect("names are safe topic levels");
        let topic = lan.topic.clone().unwrap_or_else(usual);
        let origin = Origin::Client("device".into());
        let message = Message { origin, ..Message::own(topic, vec![b'0'; lan.payload]).with_qos(Qos::AtLeastOnce) };
        let per_day = Some(Span::exactly(lan.per_s * DAY_S));
        Stream { message, source: plan.sensors.len() + number, per_day, waits: true }
    });
    own.chain(lan).collect()
}

/// What one sensor of a plan gives.
pub(super) fn sensor(plan: &SensorPlan, streams: &[Stream]) -> SensorOutlook {
    let own = streams.iter().filter(|stream| is_of(stream, plan));
    let measures: Vec<_> = own.map(measure_outlook).collect();
    let every_ms = plan.every.map(|every| u64::try_from(every.as_millis()).unwrap_or(u64::MAX));
    let readings = |every_ms: u64| measures.len() as f64 * DAY_S * 1000.0 / every_ms as f64;
    SensorOutlook {
        name: plan.name.to_string(),
        driver: plan.driver.name.to_owned(),
        every_ms,
        readings_per_day: every_ms.filter(|_| !measures.is_empty()).map(readings),
        measures,
    }
}

fn measure_outlook(stream: &Stream) -> MeasureOutlook {
    let Message { topic, payload, .. } = &stream.message;
    MeasureOutlook { topic: topic.to_string(), payload: payload.len(), messages_per_day: stream.per_day }
}

fn is_of(stream: &Stream, sensor: &SensorPlan) -> bool {
    stream.message.source.as_ref().is_some_and(|source| source.sample.sensor == sensor.name)
}

fn measures(sensor: &SensorPlan) -> &[Measure] {
    if sensor.configured.measures.is_empty() { sensor.driver.measures } else { &sensor.configured.measures }
}

fn of_measure(plan: &Plan, sensor: &SensorPlan, measure: &Measure, source: usize) -> Option<Stream> {
    let topic = Topic::new(&format!("{}/{}/{}", plan.gateway.name, sensor.name, measure.name)).ok()?;
    let sample =
        Sample { sensor: sensor.name.clone(), ..filtered::sample(measure, 1_000_000, filtered::middle(measure)) };
    let reading = Source { sample, format: sensor.publish.format };
    let payload = format::payload(&reading, topic.as_str());
    let message = Message {
        retain: sensor.publish.retain,
        source: Some(Arc::new(reading)),
        ..Message::own(topic, payload).with_qos(sensor.publish.qos)
    };
    let every = sensor.every.filter(|_| sensor.driver.kind == Kind::Polled);
    let per_day = every.map(|every| {
        let every_ms = u64::try_from(every.as_millis()).unwrap_or(u64::MAX).max(1);
        let recipe = sensor.recipes.get(&*measure.name);
        let (least, most) = recipe.map_or((1.0, 1.0), |recipe| filtered::shares(recipe, measure, every_ms));
        Span { least, most }.times(DAY_S * 1000.0 / every_ms as f64)
    });
    Some(Stream { message, source, per_day, waits: false })
}
