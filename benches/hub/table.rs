//! What is printed: medians, ratios to mosquitto, and which targets are missed.

use crate::load::{Case, Figure};
use crate::memory::Memory;
use weir::model::Qos;

/// Names of the columns, in the order of the brokers.
const NAMES: [&str; 3] = ["weir", "mosquitto", "rumqttd"];

/// Figures of weir, mosquitto and rumqttd.
pub(crate) type Three<T> = [T; 3];

pub(crate) fn median(figures: impl Iterator<Item = f64>) -> f64 {
    let mut figures: Vec<f64> = figures.collect();
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}

/// Prints a line.
pub(crate) fn line(text: &str) {
    println!("{text}");
}

fn target(met: bool, wanted: &str) -> String {
    if met { format!("ok: {wanted}") } else { format!("MISSED: {wanted}") }
}

pub(crate) fn throughput_head() {
    let columns: Vec<_> = NAMES.iter().map(|name| format!("{name:>24}")).collect();
    line(&format!("\n{:16} {}  weir to mosquitto", "", columns.concat()));
    let columns = format!("{:>12}{:>12}", "messages/s", "CPU us each");
    line(&format!("{:16} {}", "", columns.repeat(3)));
}

/// One case: rates, CPU time, what was lost, ratios. weir owes 3 times the rate where `fast`, and
/// twice the messages per CPU second everywhere.
pub(crate) fn throughput(case: &Case, rounds: &Three<Vec<Figure>>) {
    let rate = rounds.each_ref().map(|it| median(it.iter().map(|figure| figure.rate)));
    let cpu = rounds.each_ref().map(|it| median(it.iter().map(|figure| figure.cpu_us)));
    let arrived = rounds.each_ref().map(|it| it.iter().map(|figure| figure.arrived).fold(100.0, f64::min));
    let columns: Vec<_> = rate.iter().zip(&cpu).map(|(rate, cpu)| format!("{rate:>12.0}{cpu:>12.2}")).collect();
    let (faster, cheaper) = (rate[0] / rate[1], cpu[1] / cpu[0]);
    let fast = case.qos < Qos::ExactlyOnce && case.subscribers == 1;
    let met = [fast.then(|| target(faster >= 3.0, "rate x3")), Some(target(cheaper >= 2.0, "CPU /2"))];
    let lost = NAMES.iter().zip(arrived).filter(|(_, arrived)| *arrived < 100.0);
    let lost: Vec<_> = lost.map(|(name, arrived)| format!("; {name} delivered {arrived:.1} %")).collect();
    let met: Vec<_> = met.into_iter().flatten().collect();
    let ratios = format!("rate x{faster:.2}, CPU /{cheaper:.2}");
    line(&format!("{:16} {}  {ratios}  {}{}", case.name, columns.concat(), met.join(", "), lost.concat()));
}

/// Sorted latencies of every round.
pub(crate) fn latency(rounds: &Three<Vec<Vec<f64>>>) {
    let quantile = |sorted: &Vec<f64>, share: f64| sorted[((sorted.len() - 1) as f64 * share) as usize];
    for (name, share) in [("p50", 0.5), ("p99", 0.99)] {
        let us = rounds.each_ref().map(|it| median(it.iter().map(|sorted| quantile(sorted, share))));
        let verdict = target(us[0] <= us[1], "not above mosquitto");
        let ratio = us[0] / us[1];
        // One hiccup of the machine decides a round's p99: the verdict means little without the wins.
        let pairs = rounds[0].iter().zip(&rounds[1]);
        let wins = pairs.filter(|(ours, theirs)| quantile(ours, share) <= quantile(theirs, share)).count();
        let figures = format!("{:>10.0} {:>10.0} {:>10.0}", us[0], us[1], us[2]);
        let wins = format!("in {wins} of {} rounds", rounds[0].len());
        line(&format!("latency {name}, us   {figures}   x{ratio:.2}  {verdict}; not above it {wins}"));
    }
}

pub(crate) fn memory(memory: &Three<Memory>, connections: usize, retained: usize, demo_kib: u64) {
    let row = |name: &str, of: fn(&Memory) -> f64, verdict: String| {
        let figures = memory.each_ref().map(of).map(|figure| format!("{figure:>11.0}"));
        line(&format!("{name:40} {}  {verdict}", figures.concat()));
    };
    let columns: Vec<_> = NAMES.iter().map(|name| format!("{name:>11}")).collect();
    line(&format!("\n{:40} {}", "", columns.concat()));
    row("resident idle, KiB", |it| it.idle_kib as f64, String::new());
    let each = target(memory[0].connection_bytes <= 6144.0, "6 KiB");
    row(&format!("bytes per idle connection, of {connections}"), |it| it.connection_bytes, each);
    let kept = target(memory[0].retained_kib * 1024 <= 50_000_000, "50 MB at 100,000");
    row(&format!("resident with {retained} retained, KiB"), |it| it.retained_kib as f64, kept);
    row("retained after SIGKILL", |it| it.kept as f64, target(memory[0].kept == retained, "all"));
    row("start with them, ms", |it| it.start_ms, target(memory[0].start_ms <= 300.0, "300 ms at 100,000"));
    line(&format!(
        "{:40} {demo_kib:>11}  {}",
        "whole gateway with demo sensors, KiB",
        target(demo_kib * 1024 <= 10_000_000, "10 MB")
    ));
}
