//! Measures events beside other ways to send messages between programs.
//!
//! ```text
//!  run ─▶ stage (folder, server) ─▶ parts: publisher × P, subscriber × S ─▶ Found ─▶ median ─▶ JSON, Markdown, SVG
//! ```
//!
//! Every part is a process of its own, unless the system is one for a single process. All do the same
//! ([`part`]); what differs is how an event is handed over and how it arrives ([`systems`]).

use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use clap::Parser;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

mod args;
mod costs;
mod machine;
mod measure;
mod part;
mod plot;
mod processes;
mod report;
mod results;
mod run;
mod script;
mod systems;
mod tally;
mod workload;

use args::{Arguments, Choice, Hidden};
use measure::Bench;
use results::{Curve, Point, Results};
use systems::System;
use workload::{Mode, Workload};

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    if let Some(Hidden::Part { cast }) = &arguments.part {
        processes::perform(&serde_json::from_str(cast)?);
        return Ok(());
    }
    if arguments.again {
        return Results::read(&arguments.out)?.write(&arguments.out);
    }
    let folder = tempfile::Builder::new().prefix("peers-").tempdir().context("no folder for the sockets")?;
    let path = run::FOLDER.get_or_init(|| folder.path().to_owned());
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP])?;
    std::thread::spawn(move || {
        if signals.forever().next().is_some() {
            // The parts end by themselves when nobody holds their stdin any more.
            let _ = fs::remove_dir_all(path);
            std::process::exit(1);
        }
    });
    let began = Instant::now();
    let mut results = Results::begin();
    let mut bench = Bench::new(arguments.rounds(), arguments.times());
    let all = arguments.only.is_empty();
    let named: Vec<Workload> = if all {
        workload::STANDARD.iter().map(|name| name.parse()).collect::<Result<_>>()?
    } else {
        let named = arguments.only.iter();
        named
            .filter_map(|choice| if let Choice::Workload(workload) = choice { Some(*workload) } else { None })
            .collect()
    };
    let wants = |which: fn(&Choice) -> bool| all || arguments.only.iter().any(which);
    for workload in named {
        let systems: Vec<System> =
            arguments.systems.iter().copied().filter(|system| suits(*system, &workload)).collect();
        eprintln!("{:4.0} s  {workload}", began.elapsed().as_secs_f64());
        results.rows.extend(bench.measure(&workload, &systems));
    }
    if wants(|choice| matches!(choice, Choice::Costs)) {
        eprintln!("{:4.0} s  costs", began.elapsed().as_secs_f64());
        let idle = Duration::from_secs(if arguments.quick { 2 } else { 10 });
        for &system in &arguments.systems {
            match costs::usage(system, arguments.times(), idle) {
                Ok(usage) => results.usage.extend(usage),
                Err(error) => results.failed.push(format!("costs of {}: {error:#}", system.title())),
            }
        }
        match costs::emits(arguments.rounds().bursts) {
            Ok(emits) => results.emits = Some(emits),
            Err(error) => results.failed.push(format!("cost of emit: {error:#}")),
        }
    }
    if wants(|choice| matches!(choice, Choice::Scaling)) {
        // Each is looked at beside its neighbours, so they take turns with nobody: fewer rounds do.
        bench.rounds.bursts = bench.rounds.bursts.min(3);
        for (title, steps) in workload::scaling(arguments.quick) {
            eprintln!("{:4.0} s  scaling with {title}", began.elapsed().as_secs_f64());
            let mut curve = Vec::new();
            for (count, name) in steps {
                let rows = bench.measure(&name.parse()?, &[System::Events]);
                curve.extend(rows.into_iter().map(|row| Point { count, row }));
            }
            results.scaling.push(Curve { of: title.to_owned(), points: curve });
        }
    }
    results.seconds = began.elapsed().as_secs_f64();
    results.command = std::env::args().skip(1).collect::<Vec<_>>().join(" ");
    results.rounds = arguments.rounds();
    results.quick = arguments.quick;
    results.write(&arguments.out)?;
    eprintln!("{:4.0} s  done: {}", results.seconds, arguments.out.display());
    Ok(())
}

/// Serving itself and spinning are about one event at a time; of tcp and of one process there are no steady loads.
fn suits(system: System, workload: &Workload) -> bool {
    match system {
        System::EventsServing | System::EventsSpinning | System::EventsServingSpinning => {
            matches!(workload.mode, Mode::Latency)
        }
        System::EventsTcp | System::EventsMemory | System::Broadcast => {
            matches!(workload.mode, Mode::Burst | Mode::Latency)
        }
        _ => true,
    }
}
