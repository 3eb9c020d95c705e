//! All rounds of a workload: every system once, then every system again, so that noise hits all alike. Each time in another
//! order, since what a system leaves behind, such as memory that goes back to the host, is noise for the next.

use std::collections::HashMap;
use std::time::Instant;

use anyhow::Result;
use serde::{Deserialize, Serialize};

use crate::machine;
use crate::run::{self, Found, Times};
use crate::systems::System;
use crate::tally::Trips;
use crate::workload::{Mode, Workload};

/// The share of the time that the host may take from a round in which events are timed one by one: well below the
/// hundredth of it that such a round is about. The system counts what was taken in ticks, of which this is one.
const QUIET: f64 = 0.003;
/// How often at most such a round is taken.
const TRIES: u32 = 8;

/// How often each figure is taken.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Rounds {
    pub(crate) bursts: u32,
    /// Of what hangs on one event in a hundred, or on which thread ran where.
    pub(crate) timed: u32,
}

impl Rounds {
    fn of(self, mode: Mode) -> u32 {
        match mode {
            Mode::Burst | Mode::LatencyLoad => self.bursts,
            Mode::Steady | Mode::Same | Mode::Latency => self.timed,
        }
    }
}

/// What one system has shown in one workload.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Row {
    pub(crate) workload: String,
    pub(crate) system: System,
    /// Of each round.
    pub(crate) rounds: Vec<Found>,
    /// Each figure by itself: the median over the rounds, of `lost` and `disordered` the sum.
    pub(crate) median: Found,
    /// Events per second of a steady load.
    pub(crate) rate: Option<f64>,
    /// What went wrong in rounds that are not counted.
    pub(crate) failed: Vec<String>,
}

/// Measures, and remembers peaks for the loads that go by them.
pub(crate) struct Bench {
    pub(crate) rounds: Rounds,
    pub(crate) times: Times,
    peaks: HashMap<(String, System), f64>,
}

impl Bench {
    pub(crate) fn new(rounds: Rounds, times: Times) -> Bench {
        Bench { rounds, times, peaks: HashMap::new() }
    }

    /// All rounds of one workload.
    pub(crate) fn measure(&mut self, workload: &Workload, systems: &[System]) -> Vec<Row> {
        let mut rows = Vec::new();
        let mut plans = Vec::new();
        for &system in systems {
            let mut row = Row {
                workload: workload.to_string(),
                system,
                rounds: Vec::new(),
                median: Found::default(),
                rate: None,
                failed: Vec::new(),
            };
            let plan = match self.plan(system, workload) {
                Ok(plan) => Some(plan),
                Err(error) => {
                    row.failed.push(format!("{error:#}"));
                    None
                }
            };
            row.rate = plan.and_then(|(_, rate)| (rate > 0.0).then_some(rate));
            rows.push(row);
            plans.push(plan);
        }
        for _ in 0..self.rounds.of(workload.mode) {
            let mut order: Vec<_> = rows.iter_mut().zip(&plans).collect();
            fastrand::shuffle(&mut order);
            for (row, plan) in order {
                let Some((events, rate)) = *plan else { continue };
                match self.round(row.system, workload, events, rate) {
                    Ok(found) => row.rounds.push(found),
                    Err(error) => row.failed.push(format!("{error:#}")),
                }
            }
        }
        for row in &mut rows {
            row.median = median(&row.rounds);
            if workload.mode == Mode::Burst && !row.rounds.is_empty() {
                let peak = row.median.deliveries_per_s / workload.copies() as f64;
                self.peaks.insert((row.workload.clone(), row.system), peak);
            }
        }
        rows
    }

    /// One round. One event in a hundred says nothing of a system when the host took as large a share of the time: where
    /// events are timed one by one such a round is taken again, and the quietest counts. What is lost in any of them is told.
    fn round(&self, system: System, workload: &Workload, events: u64, rate: f64) -> Result<Found> {
        let mut quietest = self.once(system, workload, events, rate)?;
        let tries = if workload.mode == Mode::Burst { 1 } else { TRIES };
        for _ in 1..tries {
            if quietest.stolen <= QUIET {
                break;
            }
            let found = self.once(system, workload, events, rate)?;
            let (lost, disordered) = (quietest.lost + found.lost, quietest.disordered + found.disordered);
            if found.stolen < quietest.stolen {
                quietest = found;
            }
            (quietest.lost, quietest.disordered) = (lost, disordered);
        }
        Ok(quietest)
    }

    fn once(&self, system: System, workload: &Workload, events: u64, rate: f64) -> Result<Found> {
        let (began, before) = (Instant::now(), machine::stolen());
        let mut found = run::once(system, workload, events, rate, self.times)?;
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        let stolen = machine::stolen().saturating_sub(before);
        found.stolen = stolen.as_secs_f64() / began.elapsed().as_secs_f64() / processors as f64;
        Ok(found)
    }

    /// How many events a burst has, and how many a steady load has per second.
    fn plan(&mut self, system: System, workload: &Workload) -> Result<(u64, f64)> {
        match workload.mode {
            Mode::Burst => Ok((run::calibrate(system, workload, self.times.burst)?, 0.0)),
            Mode::Latency => Ok((0, 0.0)),
            Mode::Steady | Mode::LatencyLoad => Ok((0, self.peak(system, workload)? / 2.0)),
            Mode::Same => {
                let own = self.peak(system, workload)?;
                Ok((0, own.min(self.peak(System::Raw, workload)?) / 2.0))
            }
        }
    }

    /// Events per second of the burst that is like this, measured now if it was not before.
    fn peak(&mut self, system: System, workload: &Workload) -> Result<f64> {
        let burst = workload.peak();
        let key = (burst.to_string(), system);
        if let Some(peak) = self.peaks.get(&key) {
            return Ok(*peak);
        }
        let events = run::calibrate(system, &burst, self.times.burst)?;
        let found = run::once(system, &burst, events, 0.0, self.times)?;
        let peak = found.deliveries_per_s / burst.copies() as f64;
        self.peaks.insert(key, peak);
        Ok(peak)
    }
}

/// The one in the middle; of an even number, the mean of the two.
pub(crate) fn middle(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    match (values.len(), values.len() / 2) {
        (0, _) => 0.0,
        (length, half) if length.is_multiple_of(2) => f64::midpoint(values[half - 1], values[half]),
        (_, half) => values[half],
    }
}

fn median(rounds: &[Found]) -> Found {
    let of = |figure: fn(&Found) -> f64| middle(rounds.iter().map(figure).collect());
    Found {
        emitted: of(|found| found.emitted as f64) as u64,
        delivered: of(|found| found.delivered as f64) as u64,
        lost: rounds.iter().map(|found| found.lost).sum(),
        disordered: rounds.iter().map(|found| found.disordered).sum(),
        seconds: of(|found| found.seconds),
        deliveries_per_s: of(|found| found.deliveries_per_s),
        latency_us: Trips {
            count: rounds.iter().map(|found| found.latency_us.count).sum(),
            p50: of(|found| found.latency_us.p50),
            p99: of(|found| found.latency_us.p99),
            p999: of(|found| found.latency_us.p999),
        },
        stolen: of(|found| found.stolen),
    }
}
