//! Rounds of kills and of power cuts, and the proof that a round can fail.

use std::io::Write as _;

use tokio::task::JoinSet;

use crate::common::image::Image;
use crate::machine::Disaster;
use crate::round::{DISASTERS, STORIES, Verdict, play};

/// Rounds at the same time: they wait for most of the time.
const AT_ONCE: usize = 4;

/// A number from the environment.
fn asked(variable: &str, default: u64) -> u64 {
    let value = std::env::var(variable).ok();
    value.map_or(default, |value| value.parse().unwrap_or_else(|_| panic!("{variable} is no number: {value}")))
}

/// Where the seeds begin: another place in every run, unless it is asked for.
fn first_seed() -> u64 {
    asked("WEIR_CRASH_SEED", fastrand::u64(..1_000_000))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nothing_acknowledged_is_lost_when_it_is_killed() {
    let rounds = asked("WEIR_CRASH_ROUNDS", 20);
    let failed = play_all("kill", first_seed(), rounds, || Ok(Disaster::Kill)).await;
    assert_eq!(failed, 0, "rounds that break a promise; run one with WEIR_CRASH_SEED and WEIR_CRASH_ROUNDS=1");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nothing_acknowledged_is_lost_when_the_power_is_cut() {
    if let Err(why) = Image::new() {
        // Past the test's captured output: a skip must be seen.
        writeln!(std::io::stderr(), "SKIPPED: no power cuts: {why}").expect("standard error is there");
        return;
    }
    let rounds = asked("WEIR_CRASH_CUTS", 8).div_ceil(DISASTERS as u64 + 1);
    let failed = play_all("cut", first_seed(), rounds, || Image::new().map(Disaster::Cut)).await;
    assert_eq!(failed, 0, "rounds that break a promise; run one with WEIR_CRASH_SEED and WEIR_CRASH_CUTS=1");
}

/// A gateway that forgets everything is caught.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_gateway_that_forgets_is_caught() {
    let verdict = play(first_seed(), Disaster::Amnesia).await;
    for word in ["session is gone", "LOST", "retained messages do not end"] {
        assert!(verdict.findings.iter().any(|it| it.contains(word)), "{word} is not among the findings");
    }
}

/// What is found when nothing happens is this test's own fault.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_gateway_that_stays_passes() {
    let verdict = play(first_seed(), Disaster::Nothing).await;
    tell("nothing", &verdict);
    assert!(verdict.findings.is_empty() && verdict.acknowledged > 100);
}

/// Plays rounds and tells of each; gives how many failed.
async fn play_all(name: &str, first: u64, rounds: u64, disaster: impl Fn() -> Result<Disaster, String>) -> usize {
    let mut seeds = first..first + rounds;
    let (mut running, mut failed, mut acknowledged) = (JoinSet::new(), 0, 0);
    loop {
        while running.len() < AT_ONCE {
            let Some(seed) = seeds.next() else { break };
            let round = tokio::spawn(play(seed, disaster().expect("it worked before")));
            running.spawn(async move { round.await.unwrap_or_else(|why| Verdict::broken(seed, &why)) });
        }
        let Some(verdict) = running.join_next().await else { break };
        let verdict = verdict.expect("its round may panic, it does not");
        acknowledged += verdict.acknowledged;
        failed += usize::from(!verdict.findings.is_empty());
        tell(name, &verdict);
    }
    println!("{name}: {rounds} rounds from seed {first}, {acknowledged} messages acknowledged, {failed} rounds failed");
    failed
}

fn tell(name: &str, verdict: &Verdict) {
    let Verdict { seed, acknowledged, repeats, findings } = verdict;
    println!("{name} seed {seed}: {acknowledged} acknowledged, {repeats} sent again, {} findings", findings.len());
    for finding in findings.iter().take(2 * STORIES) {
        println!("{finding}");
    }
}
