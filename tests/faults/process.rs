//! What the system can do to a process and tell about it.

use std::fs;
use std::process::Command;

/// Sends a signal, named as `kill` names it.
pub(crate) fn signal(pid: u32, name: &str) {
    let status = Command::new("kill").args([&format!("-{name}"), &pid.to_string()]).status();
    assert!(status.expect("`kill` is there").success(), "{pid} does not get {name}");
}

/// The memory a process has in use, in KiB.
pub(crate) fn resident(pid: u32) -> u64 {
    figure(pid, "VmRSS:")
}

/// The most memory a process has had in use, in KiB.
pub(crate) fn most_resident(pid: u32) -> u64 {
    figure(pid, "VmHWM:")
}

/// The threads of a process.
pub(crate) fn threads(pid: u32) -> u64 {
    figure(pid, "Threads:")
}

/// The descriptors a process has open.
pub(crate) fn descriptors(pid: u32) -> usize {
    fs::read_dir(format!("/proc/{pid}/fd")).map_or(0, Iterator::count)
}

fn figure(pid: u32, name: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("the process is there");
    let line = status.lines().find_map(|line| line.strip_prefix(name)).expect("the figure");
    line.split_whitespace().next().and_then(|number| number.parse().ok()).expect("a number")
}
