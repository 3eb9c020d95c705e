//! Ten thousand seeds of faults, two thousand in a build without optimisation. `EVENTS_SEED=n` replays one and prints what happens,
//! `EVENTS_SEEDS=n` walks that many.

use std::sync::atomic::{AtomicU64, Ordering};

use events_conformance::sim::walk::walk;

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

#[test]
fn every_seed_keeps_the_promises() {
    if let Some(seed) = number("EVENTS_SEED") {
        println!("{:?}", walk(seed, true).expect("the promises"));
        return;
    }
    let seeds = number("EVENTS_SEEDS").unwrap_or(if cfg!(debug_assertions) { 2_000 } else { 10_000 });
    let next = AtomicU64::new(0);
    let run = || {
        let mut failures = Vec::new();
        let (mut received, mut missed, mut lost, mut steps) = (0, 0, 0, 0);
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= seeds {
                return (failures, received, missed, lost, steps);
            }
            let walked = std::panic::catch_unwind(|| walk(seed, false));
            match walked.unwrap_or_else(|_| Err("panicked".to_owned())) {
                Ok(outcome) => {
                    received += outcome.received;
                    missed += outcome.missed;
                    lost += outcome.servers_lost;
                    steps += outcome.steps;
                }
                Err(broken) => failures.push(format!("seed {seed}: {broken}")),
            }
        }
    };
    let began = std::time::Instant::now();
    let results: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..2).map(|_| scope.spawn(run)).collect();
        threads.into_iter().map(|thread| thread.join().expect("a walker")).collect()
    });
    let sum = |of: fn(&(Vec<String>, u64, u64, u64, u64)) -> u64| results.iter().map(of).sum::<u64>();
    println!(
        "{seeds} seeds in {:.1?}: {} received, {} missed, {} servers lost, {} steps",
        began.elapsed(),
        sum(|r| r.1),
        sum(|r| r.2),
        sum(|r| r.3),
        sum(|r| r.4)
    );
    let failures: Vec<_> = results.iter().flat_map(|result| &result.0).collect();
    for failure in failures.iter().take(20) {
        println!("{failure}");
    }
    assert!(failures.is_empty(), "{} of {seeds} seeds broke a promise; replay one with EVENTS_SEED", failures.len());
}
