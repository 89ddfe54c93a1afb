//! Owner threads in real reads that never return, in real time.

use std::collections::BTreeMap;
use std::io::{PipeReader, PipeWriter, Read, Write, pipe};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use embedded_hal::i2c::{ErrorKind, ErrorType, I2c, Operation};
use tokio::time::{Instant, interval, timeout};
use weir::bus::{BusSettings, Buses, Settings};
use weir::model::Fault;

use super::support::{count, opener, rounds};

const BUS: &str = "i2c-9";
const THREAD: &str = "weir-i2c-9";

/// A bus of thermometers at 25 °C. A transaction with an address that has a pipe blocks in a real
/// read of that pipe, as a hanging adapter blocks in the kernel.
#[derive(Clone, Default)]
struct Stuck(Arc<Mutex<BTreeMap<u8, PipeReader>>>);

impl Stuck {
    /// The next transaction with `address` blocks until something is written to the pipe.
    fn block(&self, address: u8) -> PipeWriter {
        let (reader, writer) = pipe().unwrap();
        self.0.lock().unwrap().insert(address, reader);
        writer
    }
}

impl ErrorType for Stuck {
    type Error = ErrorKind;
}

impl I2c for Stuck {
    fn transaction(&mut self, address: u8, operations: &mut [Operation<'_>]) -> Result<(), ErrorKind> {
        let pipe = self.0.lock().unwrap().remove(&address);
        if let Some(mut pipe) = pipe {
            pipe.read_exact(&mut [0]).map_err(|_| ErrorKind::Bus)?;
        }
        let wrote = operations.iter().find_map(|operation| match operation {
            Operation::Write(bytes) => Some(bytes.to_vec()),
            Operation::Read(_) => None,
        });
        for operation in operations {
            if let Operation::Read(buffer) = operation {
                let register = if wrote == Some(vec![0]) { [0x19, 0x00] } else { [0; 2] };
                buffer.copy_from_slice(&register[..buffer.len()]);
            }
        }
        Ok(())
    }
}

/// Buses with one that gets stuck; its transactions may take 100 ms.
fn buses() -> (Buses, Stuck) {
    let settings = BusSettings { deadline: Duration::from_millis(100), ..BusSettings::default() };
    let buses = Buses::new(Settings { buses: [(BUS.to_owned(), settings)].into(), ..Settings::default() });
    let stuck = Stuck::default();
    let adapter = stuck.clone();
    buses.add_i2c(BUS, Arc::new(move || Ok(Box::new(adapter.clone()))));
    (buses, stuck)
}

fn lm75(buses: &Buses, address: u8) -> Box<dyn weir::drivers::Driver> {
    opener("lm75", &format!("bus = {BUS:?}\naddress = {address}"))(buses).unwrap()
}

/// How many threads of this process are called [`THREAD`].
fn threads() -> usize {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    tasks
        .filter(|task| {
            let comm = task.as_ref().unwrap().path().join("comm");
            // A thread may end while we look.
            std::fs::read_to_string(comm).is_ok_and(|name| name.trim() == THREAD)
        })
        .count()
}

/// Waits until `condition` holds; at most 10 s.
async fn eventually(what: &str, condition: impl Fn() -> bool) {
    let mut looks = interval(Duration::from_millis(5));
    let waiting = async {
        while !condition() {
            looks.tick().await;
        }
    };
    timeout(Duration::from_secs(10), waiting).await.unwrap_or_else(|_| panic!("never: {what}"));
}

/// One test, because it counts the threads of the process.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thread_that_never_returns_is_replaced_once() {
    let (buses, stuck) = buses();
    let status = || buses.status().into_iter().find(|status| status.name == BUS).unwrap();
    let mut healthy = lm75(&buses, 0x48);
    assert_eq!(healthy.sample().await.unwrap()[0].value, 25.0);
    assert_eq!(threads(), 1, "one owner, called by its bus");

    // The first wedge: the others keep their cadence.
    let period = Duration::from_millis(20);
    let mut first = stuck.block(0x49);
    let began = Instant::now();
    let (wedged, one, other) = tokio::join!(
        rounds(lm75(&buses, 0x49), period, 50),
        rounds(lm75(&buses, 0x4a), period, 50),
        rounds(lm75(&buses, 0x4b), period, 50),
    );
    assert_eq!((count(&one, "ok"), count(&other, "ok")), (50, 50));
    assert!(began.elapsed() < period * 49 + Duration::from_secs(2), "{:?}", began.elapsed());
    assert_eq!((count(&wedged, "timeout"), count(&wedged, "wedged")), (1, 49), "{wedged:?}");
    assert_eq!((status().abandoned, status().dead, threads()), (1, false, 2));

    // The second: the bus is dead, and no third thread is started.
    let mut second = stuck.block(0x4c);
    assert_eq!(lm75(&buses, 0x4c).sample().await, Err(Fault::Timeout));
    for _ in 0..5 {
        assert_eq!(healthy.sample().await, Err(Fault::Wedged));
    }
    assert_eq!((status().abandoned, status().dead, threads()), (1, true, 2));

    // The abandoned thread returns: it ends, and the one that hangs now is replaced.
    first.write_all(&[0]).unwrap();
    eventually("the first thread ends", || threads() == 1).await;
    assert!(healthy.sample().await.is_ok());
    assert_eq!((status().abandoned, status().dead, threads()), (2, false, 2));
    assert!(lm75(&buses, 0x49).sample().await.is_ok(), "its device is trusted again");

    second.write_all(&[0]).unwrap();
    eventually("the second thread ends", || threads() == 1).await;
    assert!(lm75(&buses, 0x4c).sample().await.is_ok());

    drop((healthy, buses));
    eventually("no thread outlives its bus", || threads() == 0).await;
}
