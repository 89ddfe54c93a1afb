//! Lines through the kernel's GPIO character device.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::sync::Arc;

use gpiocdev::Request;
use gpiocdev::chip::{Chip, chips};
use gpiocdev::line::{Bias, EdgeDetection, EdgeKind, Info, Offset, Value};
use rustix::io::Errno;
use tokio::io::unix::AsyncFd;

use super::super::Owner;
use super::super::simulated::seed_of;
use super::super::sys::watch;
use super::{Edge, Edges, Initial, InputSettings, LineName, OutputSettings, Pull};
use crate::model::Fault;

/// How the kernel shows who has the line.
const CONSUMER: &str = "weir";
/// Labels of the chips with a Raspberry Pi's header, whose lines had no names in older kernels.
const PI_LABELS: [&str; 3] = ["pinctrl-bcm2835", "pinctrl-bcm2711", "pinctrl-rp1"];

/// A line that was found.
struct Found {
    chip: PathBuf,
    info: Info,
}

/// Looks at all chips, because their numbers change from boot to boot.
fn find(line: &LineName) -> Result<Found, Fault> {
    let paths = chips().unwrap_or_default();
    if paths.is_empty() {
        return Err(Fault::NotPresent("there is no GPIO chip (/dev/gpiochip*) on this machine".into()));
    }
    let mut denied = None;
    for path in paths {
        match Chip::from_path(&path) {
            Ok(chip) => {
                if let Some(info) = on_chip(&chip, line) {
                    return Ok(Found { chip: path, info });
                }
            }
            Err(error) => denied = Some(explain(line, &error)),
        }
    }
    // A chip that we may not open may have the line.
    Err(denied.unwrap_or_else(|| Fault::NotPresent(format!("no GPIO chip has a line {line}; `gpioinfo` lists them"))))
}

fn on_chip(chip: &Chip, line: &LineName) -> Option<Info> {
    match line {
        LineName::Named(name) => chip.find_line_info(name).or_else(|| {
            let offset = Offset::from(line.bcm()?);
            let unnamed = PI_LABELS.contains(&chip.info().ok()?.label.as_str());
            chip.line_info(offset).ok().filter(|info| unnamed && info.name.is_empty())
        }),
        LineName::At { chip: wanted, offset } => {
            let info = chip.info().ok()?;
            (info.name == *wanted || info.label == *wanted).then(|| chip.line_info(*offset).ok())?
        }
    }
}

/// Who uses `line`, as far as the kernel knows.
pub(super) fn user(line: &LineName) -> Option<String> {
    let info = find(line).ok()?.info;
    info.used.then(|| if info.consumer.is_empty() { "the kernel".to_owned() } else { info.consumer })
}

/// Why a chip cannot be looked at.
pub(super) fn explain_chip(chip: &str, error: &gpiocdev::Error) -> Fault {
    let line = LineName::Named(format!("the chip {chip}"));
    explain(&line, error)
}

fn explain(line: &LineName, error: &gpiocdev::Error) -> Fault {
    let text = error.to_string();
    fault(line, os_error(&text), &text)
}

/// The number in "... (os error 16)", as the standard library prints it: the crate below gpiocdev keeps it to itself.
fn os_error(text: &str) -> Option<Errno> {
    let (_, rest) = text.split_once("(os error ").unwrap_or_default();
    let number: i32 = rest.split_once(')')?.0.parse().ok()?;
    // There is no error 0, and rustix does not take it.
    (1..4096).contains(&number).then(|| Errno::from_raw_os_error(number))
}

fn fault(line: &LineName, errno: Option<Errno>, text: &str) -> Fault {
    match errno {
        Some(Errno::BUSY) => {
            Fault::Busy(format!("{line} is in use by another program or by the kernel; `gpioinfo` tells"))
        }
        Some(Errno::ACCESS | Errno::PERM) => Fault::Permission(format!(
            "{line}: /dev/gpiochip* may not be opened: the user who runs weir must be in the group gpio"
        )),
        Some(Errno::NODEV | Errno::NOENT) => Fault::NotPresent(format!("the GPIO chip of {line} is gone")),
        _ => Fault::Bus(format!("{line}: {text}")),
    }
}

/// An open line and the thread that asks the kernel about it.
struct Line {
    name: LineName,
    request: Arc<Request>,
    thread: Arc<Owner<()>>,
}

impl Line {
    async fn run<R: Send + 'static>(
        &self,
        work: impl FnOnce(&Request) -> gpiocdev::Result<R> + Send + 'static,
    ) -> Result<R, Fault> {
        let (request, name) = (self.request.clone(), self.name.clone());
        let work = move |_: &mut ()| work(&request).map_err(|error| explain(&name, &error));
        // Two chips may have lines with one number, but no two lines have one name.
        self.thread.transact(seed_of(0, &self.name.to_string()) as u32, work).await
    }
}

/// An input line.
pub(super) struct Input {
    line: Line,
    /// Made at the first wait, which is inside the runtime for sure.
    events: Option<AsyncFd<OwnedFd>>,
    /// The number of the last edge; the kernel counts them from 1.
    last: u32,
}

impl Input {
    pub(super) fn open(settings: &InputSettings, thread: Arc<Owner<()>>) -> Result<Self, Fault> {
        let found = find(&settings.line)?;
        let mut builder = Request::builder();
        builder.with_consumer(CONSUMER).on_chip(&found.chip).with_line(found.info.offset).as_input();
        builder.with_edge_detection(detection(settings.edges)).with_bias(bias(settings.pull));
        if settings.active_low {
            builder.as_active_low();
        }
        if !settings.debounce.is_zero() {
            builder.with_debounce_period(settings.debounce);
        }
        let request = builder.request().map_err(|error| explain(&settings.line, &error))?;
        let (name, request) = (settings.line.clone(), Arc::new(request));
        Ok(Self { line: Line { name, request, thread }, events: None, last: 0 })
    }

    pub(super) async fn level(&mut self) -> Result<bool, Fault> {
        self.line.run(Request::lone_value).await.map(|value| value == Value::Active)
    }

    pub(super) async fn edge(&mut self) -> Result<Edge, Fault> {
        let lost = |error: io::Error| Fault::Bus(error.to_string());
        if self.events.is_none() {
            let fd = self.line.request.as_fd().try_clone_to_owned().map_err(lost)?;
            self.events = Some(watch(fd).map_err(lost)?);
        }
        let events = self.events.as_ref().expect("made above");
        let event = loop {
            let mut ready = events.readable().await.map_err(lost)?;
            match next_event(&self.line.request).map_err(|error| explain(&self.line.name, &error))? {
                Some(event) => break event,
                None => ready.clear_ready(),
            }
        };
        let missed = event.line_seqno.wrapping_sub(self.last).saturating_sub(1);
        self.last = event.line_seqno;
        Ok(Edge { active: event.kind == EdgeKind::Rising, missed: u64::from(missed) })
    }
}

/// The next edge if there is one. Reads exactly one: what a larger buffer takes at once would be lost.
fn next_event(request: &Request) -> gpiocdev::Result<Option<gpiocdev::line::EdgeEvent>> {
    if !request.has_edge_event()? {
        return Ok(None);
    }
    let mut buffer = vec![0; request.edge_event_u64_size()];
    let length = request.read_edge_events_into_slice(&mut buffer)?;
    request.edge_event_from_slice(&buffer[..length]).map(Some)
}

fn detection(edges: Edges) -> EdgeDetection {
    match edges {
        Edges::Both => EdgeDetection::BothEdges,
        Edges::Rising => EdgeDetection::RisingEdge,
        Edges::Falling => EdgeDetection::FallingEdge,
    }
}

fn bias(pull: Pull) -> Option<Bias> {
    match pull {
        Pull::AsIs => None,
        Pull::Off => Some(Bias::Disabled),
        Pull::Up => Some(Bias::PullUp),
        Pull::Down => Some(Bias::PullDown),
    }
}

/// An output line.
pub(super) struct Output(Line);

impl Output {
    pub(super) fn open(settings: &OutputSettings, thread: Arc<Owner<()>>) -> Result<Self, Fault> {
        let found = find(&settings.line)?;
        let explain = |error| explain(&settings.line, &error);
        let active = match settings.initial {
            Initial::Set(active) => active,
            Initial::Keep => kept(&found, settings.active_low).map_err(explain)?,
        };
        let mut builder = Request::builder();
        builder.with_consumer(CONSUMER).on_chip(&found.chip).with_line(found.info.offset);
        if settings.active_low {
            builder.as_active_low();
        }
        builder.as_output(if active { Value::Active } else { Value::Inactive });
        let request = builder.request().map_err(explain)?;
        let (name, request) = (settings.line.clone(), Arc::new(request));
        Ok(Self(Line { name, request, thread }))
    }

    pub(super) async fn set(&mut self, active: bool) -> Result<(), Fault> {
        let value = if active { Value::Active } else { Value::Inactive };
        self.0.run(move |request| request.set_lone_value(value)).await
    }
}

/// Whether an output is active; a line that was an input is not.
fn kept(found: &Found, active_low: bool) -> gpiocdev::Result<bool> {
    if found.info.direction != gpiocdev::line::Direction::Output {
        return Ok(false);
    }
    let mut builder = Request::builder();
    builder.with_consumer(CONSUMER).on_chip(&found.chip).with_line(found.info.offset).as_is();
    if active_low {
        builder.as_active_low();
    }
    Ok(builder.request()?.lone_value()? == Value::Active)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_error_number_has_its_fault() {
        let line = LineName::parse("GPIO17").unwrap();
        let told = |errno: Errno| fault(&line, Some(errno), "text");
        assert_eq!(told(Errno::BUSY).word(), "busy");
        assert_eq!(told(Errno::NODEV).word(), "not_present");
        assert_eq!(told(Errno::INVAL), Fault::Bus("GPIO17: text".into()));
        let text = io::Error::from(Errno::BUSY).to_string();
        assert_eq!(os_error(&format!("uAPI GetLine returned: {text}")), Some(Errno::BUSY));
        for none in ["no number", "(os error 0)", "(os error -1)", "(os error 99999)"] {
            assert_eq!(os_error(none), None, "{none}");
        }
        assert_eq!(fault(&line, None, "text").word(), "bus");
        let Fault::Permission(hint) = told(Errno::ACCESS) else { panic!("expected a permission fault") };
        assert!(hint.contains("group gpio"), "{hint}");
    }

    #[test]
    fn a_line_that_no_chip_has_is_not_present() {
        let line = LineName::parse("no-board-has-this-line").unwrap();
        let fault = find(&line).err().unwrap();
        assert!(matches!(fault, Fault::NotPresent(_) | Fault::Permission(_)), "{fault}");
        assert_eq!(user(&line), None);
    }
}
