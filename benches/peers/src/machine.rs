//! Where it was measured, and with what.

use std::fs;
use std::process::Command;
use std::time::Duration;

use serde_json::{Map, Value, json};

/// Which crates' versions matter.
const CRATES: &[&str] = &["events", "zmq", "async-nats", "zenoh", "redis", "tokio"];

/// The machine.
pub(crate) fn machine() -> Value {
    let field = |text: &str, name: &str| {
        let line = text.lines().find(|line| line.starts_with(name))?;
        Some(line.split_once(':')?.1.trim().to_owned())
    };
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    json!({
        "cpu": field(&read("/proc/cpuinfo"), "model name"),
        "cores": std::thread::available_parallelism().map_or(0, usize::from),
        "memory": field(&read("/proc/meminfo"), "MemTotal"),
        "kernel": read("/proc/sys/kernel/osrelease").trim(),
        // How busy it was with other things.
        "load_before": read("/proc/loadavg").split_whitespace().next(),
    })
}

/// The processor time that the host gave to others, of all processors, since the machine began. Zero where no host says so.
pub(crate) fn stolen() -> Duration {
    let text = fs::read_to_string("/proc/stat").unwrap_or_default();
    // `proc_stat(5)`: "cpu", then user, nice, system, idle, iowait, irq, softirq and steal, in hundredths of a second.
    let steal = text.split_whitespace().nth(8).and_then(|steal| steal.parse().ok());
    Duration::from_millis(steal.unwrap_or(0_u64) * 10)
}

/// What ran on it.
pub(crate) fn versions() -> Value {
    let mut all = Map::new();
    for program in [&["rustc", "--version"][..], &["nats-server", "--version"], &["redis-server", "--version"]] {
        let output = Command::new(program[0]).args(&program[1..]).output();
        let text = output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
        all.insert(program[0].to_owned(), text.ok().into());
    }
    let (major, minor, patch) = zmq::version();
    all.insert("libzmq".to_owned(), format!("{major}.{minor}.{patch}").into());
    let lock = include_str!("../Cargo.lock");
    for name in CRATES {
        let version = lock.split("[[package]]").find_map(|package| {
            let mut lines = package.trim().lines();
            (lines.next()? == format!("name = \"{name}\""))
                .then(|| Some(lines.next()?.strip_prefix("version = ")?.trim_matches('"').to_owned()))?
        });
        all.insert(format!("crate {name}"), version.into());
    }
    Value::Object(all)
}
