//! The tables, in Markdown.

use std::fmt::Write as _;
use std::iter;

use crate::costs::LOADS;
use crate::measure::Row;
use crate::results::{Curve, Point, Results};
use crate::systems::System;
use crate::workload::{Mode, Workload};

/// All tables; what was not measured has none.
pub(crate) fn markdown(results: &Results) -> String {
    let mut text = String::new();
    if results.quick {
        text += "**A quick run, which shows that the tool works and not how fast anything is.**\n\n";
    }
    text += &about(results);
    text += &bursts(results);
    text += &latencies(results);
    text += &costs(results);
    text += &scaling(results);
    text += &failures(results);
    text
}

/// A page with these tables between its two marks, in place of what stands there; `None` for a page without marks.
pub(crate) fn renewed(page: &str, tables: &str) -> Option<String> {
    const BEGIN: &str = "<!-- tables of benches/peers: begin -->\n";
    const END: &str = "<!-- tables of benches/peers: end -->\n";
    let (before, rest) = page.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!("{before}{BEGIN}\n{tables}{END}{after}"))
}

fn about(results: &Results) -> String {
    let value = |value: &serde_json::Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let machine = &results.machine;
    let mut text = format!(
        "{}, {} cores, {}, Linux {}; load before: {}. ",
        value(&machine["cpu"]),
        value(&machine["cores"]),
        value(&machine["memory"]),
        value(&machine["kernel"]),
        value(&machine["load_before"]),
    );
    let versions = results.versions.as_object().into_iter().flatten();
    let versions: Vec<String> = versions.map(|(name, version)| format!("{name}: {}", value(version))).collect();
    let _ = writeln!(
        text,
        "Medians of {} alternating rounds, of {} where events are timed and not beside a load; {:.0} minutes in all.\n\nVersions: {}.\n",
        results.rounds.bursts,
        results.rounds.timed,
        results.seconds / 60.0,
        versions.join("; "),
    );
    text
}

/// Header and ruler of a table whose other columns are systems.
fn head(first: &str, columns: impl Iterator<Item = String>) -> String {
    let (mut head, mut ruler) = (format!("| {first} |"), "|---|".to_owned());
    for column in columns {
        let _ = write!(head, " {column} |");
        ruler += "--:|";
    }
    format!("{head}\n{ruler}\n")
}

fn bursts(results: &Results) -> String {
    let workloads = results.workloads(&[Mode::Burst]);
    if workloads.is_empty() {
        return String::new();
    }
    let systems = results.systems(&workloads);
    let compared = systems.contains(&System::Events);
    let mut columns: Vec<String> = systems.iter().map(|system| system.title().to_owned()).collect();
    if compared {
        columns.extend(["÷ libzmq".to_owned(), "÷ best peer".to_owned()]);
    }
    let mut text = "### Deliveries per second, in a burst\n\n".to_owned();
    text += "`(−n %)` is what was lost of it; `~` marks events that came out of order.\n\n";
    text += &head("workload", columns.into_iter());
    for workload in &workloads {
        let _ = write!(text, "| {} |", title(workload));
        for system in &systems {
            let _ = write!(text, " {} |", results.row(workload, *system).map_or("–".to_owned(), rate));
        }
        if compared {
            let of = |system| results.row(workload, system).map_or(0.0, |row| row.median.deliveries_per_s);
            let best = [System::Nats, System::Zenoh, System::Redis].map(of).into_iter().fold(0.0, f64::max);
            let _ =
                write!(text, " {} | {} |", ratio(of(System::Events), of(System::Raw)), ratio(of(System::Events), best));
        }
        text += "\n";
    }
    text + "\n"
}

fn ratio(ours: f64, theirs: f64) -> String {
    if ours > 0.0 && theirs > 0.0 { format!("{:.2}", ours / theirs) } else { "–".to_owned() }
}

fn rate(row: &Row) -> String {
    if row.rounds.is_empty() {
        return "failed".to_owned();
    }
    let mut text = grouped(row.median.deliveries_per_s);
    if row.median.lost > 0 {
        let delivered: u64 = row.rounds.iter().map(|round| round.delivered).sum();
        let _ = write!(text, " (−{:.1} %)", 100.0 * row.median.lost as f64 / (delivered + row.median.lost) as f64);
    }
    if row.median.disordered > 0 {
        text += " ~";
    }
    text
}

/// As in 1,234,567.
pub(crate) fn grouped(value: f64) -> String {
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// What a person calls a workload, under a heading that says what is measured.
pub(crate) fn title(workload: &Workload) -> String {
    let size = match workload.size {
        size if size >= 1_024 && size.is_multiple_of(1_024) => format!("{} KB", size / 1_024),
        size => format!("{size} B"),
    };
    match workload.mode {
        Mode::Latency => return format!("{size}, idle otherwise"),
        Mode::LatencyLoad => return format!("{size}, beside half the peak"),
        _ => {}
    }
    let mut text = format!("{size}, {} → {}", workload.publishers, workload.subscribers);
    if workload.types > 1 {
        let _ = write!(text, ", {} types", workload.types);
    }
    if workload.apart {
        text += ", each its own";
    }
    if workload.watched {
        text += ", and one all";
    }
    if workload.handlers > 1 {
        let _ = write!(text, ", {} handlers", workload.handlers);
    }
    match workload.mode {
        Mode::Steady => text += ", half of the own peak",
        Mode::Same => text += ", half of libzmq's",
        _ => {}
    }
    text
}

fn latencies(results: &Results) -> String {
    let tables = [
        (Mode::Latency, "One event by itself, there and back"),
        (Mode::LatencyLoad, "One event, there and back, beside a load of half the peak"),
        (Mode::Steady, "From emit to handler, at half of the system's own peak"),
        (Mode::Same, "From emit to handler, at half of libzmq's peak (or the own one, if less)"),
    ];
    let mut text = String::new();
    for (mode, what) in tables {
        for workload in results.workloads(&[mode]) {
            let _ = writeln!(text, "### {what}: {} bytes\n", workload.size);
            text +=
                &head("µs", ["p50", "p99", "p99.9", "events/s", "lost", "host took"].map(str::to_owned).into_iter());
            for system in results.systems(&[workload]) {
                let Some(row) = results.row(&workload, system) else { continue };
                if row.rounds.is_empty() {
                    let _ = writeln!(text, "| {} | failed | | | | | |", system.title());
                    continue;
                }
                let took = row.median.latency_us;
                let _ = writeln!(
                    text,
                    "| {} | {:.0} | {:.0} | {:.0} | {} | {} | {:.1} % |",
                    system.title(),
                    took.p50,
                    took.p99,
                    took.p999,
                    row.rate.map_or("one at a time".to_owned(), grouped),
                    row.median.lost,
                    row.median.stolen * 100.0,
                );
            }
            text += "\n";
        }
    }
    text
}

fn costs(results: &Results) -> String {
    let mut text = String::new();
    if !results.usage.is_empty() {
        text += "### Memory of a server\n\nMiB of resident memory: before anything is connected, and at its highest in bursts.\n\n";
        let loads = LOADS.iter().map(|load| load.parse().map_or((*load).to_owned(), |workload| title(&workload)));
        text += &head("", iter::once("idle".to_owned()).chain(loads));
        for usage in &results.usage {
            let _ = write!(text, "| {} | {:.1} |", usage.system.title(), usage.server_idle_mib);
            for load in &usage.server_load_mib {
                let _ = write!(text, " {load:.1} |");
            }
            text += "\n";
        }
        text += "\n### Those who have nothing to do\n\nPercent of one core, and MiB of resident memory, connected.\n\n";
        let columns = ["server %", "publisher %", "subscriber %", "publisher", "subscriber"];
        text += &head("", columns.map(str::to_owned).into_iter());
        for usage in &results.usage {
            let _ = writeln!(
                text,
                "| {} | {:.3} | {:.3} | {:.3} | {:.1} | {:.1} |",
                usage.system.title(),
                usage.server_idle_cpu,
                usage.publisher_idle_cpu,
                usage.subscriber_idle_cpu,
                usage.publisher_idle_mib,
                usage.subscriber_idle_mib,
            );
        }
        text += "\n";
    }
    if let Some(emits) = &results.emits {
        text += "### An `emit` that nobody needs\n\n";
        text += &head("ns", ["each", "beyond encoding"].map(str::to_owned).into_iter());
        let all = [
            ("encoding alone", emits.encode_ns),
            ("emit, switched off", emits.disabled_ns),
            ("emit, nobody registered", emits.nobody_ns),
        ];
        for (what, took) in all {
            let _ = writeln!(text, "| {what} | {took:.1} | {:.1} |", took - emits.encode_ns);
        }
        text += "\n";
    }
    text
}

fn scaling(results: &Results) -> String {
    let mut text = String::new();
    for Curve { of, points } in &results.scaling {
        let _ = writeln!(text, "### Deliveries per second, by number of {of}\n");
        if of == "types" {
            text += "With names of the run time, so that there may be so many: payloads are opaque here, on both sides.\n\n";
        }
        text += &head(of, points.iter().map(|point| point.count.to_string()));
        text += "| events |";
        for Point { row, .. } in points {
            let _ = write!(text, " {} |", rate(row));
        }
        text += "\n\n";
    }
    text
}

fn failures(results: &Results) -> String {
    let mut all: Vec<String> = results.failed.clone();
    let curves = results.scaling.iter().flat_map(|curve| curve.points.iter().map(|point| &point.row));
    for row in results.rows.iter().chain(curves) {
        all.extend(row.failed.iter().map(|why| format!("{} of {}: {why}", row.workload, row.system.title())));
    }
    if all.is_empty() { String::new() } else { format!("### What failed\n\n- {}\n", all.join("\n- ")) }
}
