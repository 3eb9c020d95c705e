//! What is paid beside speed: memory, processor time when nothing happens, and an `emit` that nobody needs.

use std::fs;
use std::hint::black_box;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use events::catalog::ClientUid;
use events::{Client, Event as _};
use serde::{Deserialize, Serialize};

use crate::measure::middle;
use crate::run::{Stage, Times, calibrate};
use crate::script::{Pace, Role};
use crate::systems::System;
use crate::workload::Workload;

/// What one system takes.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Usage {
    pub(crate) system: System,
    /// MiB of resident memory: of the server before anything is connected, and at most in each of [`LOADS`].
    pub(crate) server_idle_mib: f64,
    pub(crate) server_load_mib: Vec<f64>,
    /// MiB of a publisher and a subscriber that are connected.
    pub(crate) publisher_idle_mib: f64,
    pub(crate) subscriber_idle_mib: f64,
    /// Percent of one core, when nothing happens.
    pub(crate) server_idle_cpu: f64,
    pub(crate) publisher_idle_cpu: f64,
    pub(crate) subscriber_idle_cpu: f64,
}

/// The bursts in which the server's memory is looked at, by the names of their workloads.
pub(crate) const LOADS: [&str; 6] = ["64B_1x1", "64B_8x1", "16384B_1x1", "16384B_8x1", "262144B_1x1", "262144B_8x1"];

/// Measures `system`; `None` for what has no server process.
pub(crate) fn usage(system: System, times: Times, idle: Duration) -> Result<Option<Usage>> {
    if system.in_one_process() || system.serves_itself() {
        return Ok(None);
    }
    let workload: Workload = LOADS[0].parse()?;
    let stage = Stage::set(system, workload.size)?;
    let server = stage.server().context("there is a server")?;
    thread::sleep(Duration::from_millis(200));
    let server_idle_mib = memory(server, "VmRSS:")?;
    let parts = stage.parts(&workload)?;
    let [publisher, subscriber] = [parts.publishers[0].pid(), parts.subscribers[0].pid()];
    let (publisher_idle_mib, subscriber_idle_mib) = (memory(publisher, "VmRSS:")?, memory(subscriber, "VmRSS:")?);
    // What connecting began has to come to an end first.
    thread::sleep(Duration::from_secs(1));
    let all = [server, publisher, subscriber];
    let before = all.map(processor);
    let began = Instant::now();
    thread::sleep(idle);
    let after = all.map(processor);
    let took = began.elapsed().as_secs_f64();
    let cpu = |index: usize| -> Result<f64> {
        let (before, after) = (before[index].as_ref().ok(), after[index].as_ref().ok());
        let (before, after) = before.zip(after).context("a process ended")?;
        Ok(after.saturating_sub(*before) as f64 / 1e9 / took * 100.0)
    };
    let (server_idle_cpu, publisher_idle_cpu, subscriber_idle_cpu) = (cpu(0)?, cpu(1)?, cpu(2)?);
    drop((parts, stage));
    Ok(Some(Usage {
        system,
        server_idle_mib,
        server_load_mib: LOADS.into_iter().map(|load| loaded(system, load, times)).collect::<Result<_>>()?,
        publisher_idle_mib,
        subscriber_idle_mib,
        server_idle_cpu,
        publisher_idle_cpu,
        subscriber_idle_cpu,
    }))
}

/// MiB of a new server at most, in two bursts.
fn loaded(system: System, load: &str, times: Times) -> Result<f64> {
    let workload: Workload = load.parse()?;
    let events = calibrate(system, &workload, times.burst)?;
    let stage = Stage::set(system, workload.size)?;
    let mut parts = stage.parts(&workload)?;
    parts.go(events, Pace::Burst)?;
    parts.go(events, Pace::Burst)?;
    memory(stage.server().context("there is a server")?, "VmHWM:")
}

/// MiB, by a line of `/proc/PID/status`.
fn memory(pid: u32, line: &str) -> Result<f64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).context("a process ended")?;
    let found = status.lines().find_map(|found| found.strip_prefix(line)).context("no such line in status")?;
    let kib: f64 = found.trim().trim_end_matches(" kB").parse()?;
    Ok(kib / 1_024.0)
}

/// Nanoseconds of processor time: `stat` counts in hundredths of a second, which is too coarse for an idle process.
fn processor(pid: u32) -> Result<u64> {
    let mut all = 0;
    for task in fs::read_dir(format!("/proc/{pid}/task"))? {
        let text = fs::read_to_string(task?.path().join("schedstat"))?;
        all += text.split_whitespace().next().context("schedstat is empty")?.parse::<u64>()?;
    }
    Ok(all)
}

/// Nanoseconds of one `emit`.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Emits {
    pub(crate) encode_ns: f64,
    /// While the mechanism is switched off.
    pub(crate) disabled_ns: f64,
    /// Connected to a server, and nobody has registered.
    pub(crate) nobody_ns: f64,
}

/// Measures what an `emit` costs whose event nobody gets.
pub(crate) fn emits(rounds: u32) -> Result<Emits> {
    const CALLS: u32 = 200_000;
    // Each takes some 20 ms, in which a single delay counts for much.
    const ROUNDS: u32 = 51;
    let stage = Stage::set(System::Events, 64)?;
    let subscriber = stage.part(Role::Subscriber, 0)?;
    let (emit, reg) = stage.addresses();
    let client = Client::connect(&emit, &reg)?;
    client.flush(Duration::from_secs(5))?;
    let event = ClientUid { uid: "5f2b8e3c-5f2b-8e3c-5f2b-8e3c5f2b8e3c" };
    let mut out = Vec::with_capacity(256);
    let time = |call: &mut dyn FnMut() -> Result<()>| -> Result<f64> {
        let began = Instant::now();
        for _ in 0..CALLS {
            call()?;
        }
        Ok(began.elapsed().as_secs_f64() * 1e9 / f64::from(CALLS))
    };
    let (mut encode, mut disabled, mut nobody) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..rounds.max(ROUNDS) {
        encode.push(time(&mut || {
            out.clear();
            black_box(&event).put(&mut out)?;
            black_box(&out);
            Ok(())
        })?);
        client.set_enabled(false);
        disabled.push(time(&mut || Ok(client.emit(black_box(&event))?))?);
        client.set_enabled(true);
        nobody.push(time(&mut || Ok(client.emit(black_box(&event))?))?);
        client.flush(Duration::from_secs(10))?;
    }
    drop(subscriber);
    Ok(Emits { encode_ns: middle(encode), disabled_ns: middle(disabled), nobody_ns: middle(nobody) })
}
