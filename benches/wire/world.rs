//! Gateways that do not exist: sensors with noise, drift and late ticks, all from one seed.

use fastrand::Rng;
use weir::format::batch::{Body, Header, Item};
use weir::model::{Quality, TimeQuality};

/// Names for the training of dictionaries. None of them is among the [`MEASURED`].
pub(crate) const TRAINING: Names = Names {
    prefixes: &["", "", "sites/a/", "acme/eu/", "v1/gw/", "tenants/17/"],
    gateways: &["attic", "barn-1", "depot", "gw-04", "haus", "line3", "mill", "plant", "quay", "weir"],
    sensors: &[
        "boiler",
        "cellar",
        "cold-store",
        "fan-2",
        "hall",
        "inlet",
        "kitchen",
        "office",
        "outside",
        "pump1",
        "roof",
        "tank",
        "battery",
        "rack-7",
        "silo",
        "flow_return",
    ],
};

/// Names for what is measured.
pub(crate) const MEASURED: Names = Names {
    prefixes: &["north/"],
    gateways: &["shed"],
    sensors: &["greenhouse", "bed-3", "compost", "pond", "spring", "cpu"],
};

/// What things are called.
pub(crate) struct Names {
    prefixes: &'static [&'static str],
    gateways: &'static [&'static str],
    sensors: &'static [&'static str],
}

/// A measure: name, unit, decimals, usual value, noise.
type Measure = (&'static str, &'static str, u8, f64, f64);

/// What the drivers read, by sensor.
const DEVICES: [&[Measure]; 12] = [
    &[("temperature", "°C", 2, 21.0, 0.02), ("humidity", "%", 2, 48.0, 0.06), ("pressure", "hPa", 2, 1013.0, 0.02)],
    &[("temperature", "°C", 2, 19.0, 0.02), ("humidity", "%", 2, 61.0, 0.05)],
    &[("temperature", "°C", 4, 14.0, 0.04)],
    &[("temperature", "°C", 4, 55.0, 0.04)],
    &[("temperature", "°C", 2, 8.0, 0.02), ("humidity", "%", 2, 83.0, 0.05)],
    &[("cpu_temperature", "°C", 1, 47.0, 0.4)],
    &[("voltage", "V", 4, 3.3, 0.0006)],
    &[("voltage", "V", 3, 12.6, 0.004), ("current", "A", 3, 1.8, 0.02)],
    &[("level", "", 0, 1.0, 0.0)],
    &[("co2", "ppm", 0, 640.0, 4.0), ("temperature", "°C", 1, 22.0, 0.05), ("humidity", "%", 1, 40.0, 0.2)],
    &[("load1", "", 2, 0.3, 0.05), ("memory_used", "B", 0, 3.1e8, 9e5), ("disk_used", "%", 1, 37.0, 0.01)],
    &[("count", "", 0, 51_000.0, 2.0), ("flow", "l/min", 2, 7.5, 0.1)],
];

/// One reading and its key.
#[derive(Clone)]
pub(crate) struct Reading {
    pub(crate) topic: String,
    pub(crate) unit: &'static str,
    pub(crate) decimals: u8,
    pub(crate) value: f64,
    pub(crate) number: u64,
    pub(crate) time_ms: i64,
    sequence: u64,
}

struct Stream {
    topic: String,
    measure: Measure,
    value: f64,
    number: u64,
}

struct Sensor {
    streams: Vec<Stream>,
    next_ms: i64,
    every_ms: i64,
}

/// One gateway.
pub(crate) struct World {
    rng: Rng,
    sensors: Vec<Sensor>,
    store: String,
    chain: String,
    start: u32,
    sequence: u64,
}

impl World {
    /// A gateway of `devices`, those of [`DEVICES`] by place.
    pub(crate) fn new(names: &Names, devices: &[usize], every_ms: i64, seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed);
        let pick = |rng: &mut Rng, of: &[&'static str]| of[rng.usize(..of.len())];
        let (prefix, gateway) = (pick(&mut rng, names.prefixes), pick(&mut rng, names.gateways));
        let mut free: Vec<_> = names.sensors.to_vec();
        let began = 1_790_000_000_000 + rng.i64(0..9_000_000_000);
        let mut sensor = |device: &usize| {
            let name = free.swap_remove(rng.usize(..free.len()));
            let stream = |rng: &mut Rng, measure: &Measure| Stream {
                topic: format!("{prefix}{gateway}/{name}/{}", measure.0),
                measure: *measure,
                value: measure.3 * (0.9 + 0.2 * rng.f64()),
                number: rng.u64(1..100_000),
            };
            let streams = DEVICES[*device].iter().map(|measure| stream(&mut rng, measure)).collect();
            Sensor { streams, next_ms: began + rng.i64(0..every_ms), every_ms }
        };
        let sensors = devices.iter().map(&mut sensor).collect();
        let store = format!("{:032x}", rng.u128(..));
        let chain = format!("{}.2", pick(&mut rng, &["cloud", "uplink", "aws", "hq"]));
        let (start, sequence) = (rng.u32(1..60), rng.u64(1..1_000_000));
        Self { rng, sensors, store, chain, start, sequence }
    }

    /// A gateway with some sensors of any kind, for training.
    pub(crate) fn any(seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed ^ 0x5eed);
        let devices: Vec<_> = (0..rng.usize(1..9)).map(|_| rng.usize(..DEVICES.len())).collect();
        let every_ms = [1000, 2000, 5000, 10_000, 10_000, 30_000, 60_000][rng.usize(..7)];
        Self::new(&TRAINING, &devices, every_ms, seed)
    }

    /// The gateway that is measured: six sensors, ten streams, every 10 s.
    pub(crate) fn measured(seed: u64) -> Self {
        Self::new(&MEASURED, &[0, 1, 2, 3, 4, 5], 10_000, seed)
    }

    /// What all its records have in common.
    pub(crate) fn header(&self) -> Header<'_> {
        Header { store: &self.store, chain: &self.chain }
    }

    /// The next readings.
    pub(crate) fn readings(&mut self, count: usize) -> Vec<Reading> {
        let mut readings = Vec::new();
        while readings.len() < count {
            self.round(&mut readings);
        }
        readings.truncate(count);
        readings
    }

    /// One round of the sensor whose turn it is: its readings share a time, a few milliseconds late.
    fn round(&mut self, readings: &mut Vec<Reading>) {
        let rng = &mut self.rng;
        let sensor = self.sensors.iter_mut().min_by_key(|sensor| sensor.next_ms).expect("there are sensors");
        let late_ms = rng.i64(0..3) + if rng.u8(..) < 12 { rng.i64(0..40) } else { 0 };
        let time_ms = sensor.next_ms + late_ms;
        sensor.next_ms += sensor.every_ms;
        for stream in &mut sensor.streams {
            let (_, unit, decimals, usual, noise) = stream.measure;
            // The sum of four is near enough to a normal distribution.
            let mut normal = || (0..4).map(|_| rng.f64() - 0.5).sum::<f64>() * 1.73;
            stream.value += noise * 0.4 * normal() + 0.001 * (usual - stream.value);
            let value = stream.value + noise * normal();
            stream.number += 1;
            let (topic, number) = (stream.topic.clone(), stream.number);
            readings.push(Reading { topic, unit, decimals, value, number, time_ms, sequence: self.sequence });
            self.sequence += 1;
        }
    }

    /// The readings as items of a batch.
    pub(crate) fn items<'r>(&self, readings: &'r [Reading]) -> Vec<Item<'r>> {
        let item = |reading: &'r Reading| Item {
            topic: &reading.topic,
            time_ms: reading.time_ms,
            time_quality: TimeQuality::Synced,
            start: self.start,
            sequence: reading.sequence,
            body: Body::Reading {
                value: reading.value,
                unit: reading.unit,
                decimals: reading.decimals,
                quality: Quality::Ok,
                number: reading.number,
                spread: None,
            },
        };
        readings.iter().map(item).collect()
    }
}
