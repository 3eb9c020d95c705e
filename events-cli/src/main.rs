//! The command `events`.
//!
//! ```text
//!  arguments ─ clap ─▶ Arguments ─ resolve ─▶ what to do, with nothing left open ─▶ run ─▶ Outcome ─▶ exit code
//! ```
#![forbid(unsafe_code)]

use std::process::ExitCode;

use clap::Parser;

mod args;
mod bench;
mod catalog;
mod demo;
mod emit;
mod exit;
mod keys;
mod listen;
mod processes;
mod serve;
mod signals;

use args::{Arguments, Command};
use exit::Outcome;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    log(arguments.verbose);
    let outcome = match arguments.command {
        Command::Demo(arguments) => demo::run(&arguments),
        Command::DemoPart(arguments) => demo::part(&arguments),
        Command::Server(arguments) => serve::run(&arguments),
        Command::Listen(arguments) => listen::Plan::resolve(&arguments).and_then(listen::run),
        Command::Keys(arguments) => keys::run(&arguments),
        Command::Bench(arguments) => bench::run(&arguments),
        Command::BenchPart(arguments) => bench::part(&arguments),
        Command::Emit(arguments) => emit::Plan::resolve(&arguments).and_then(|plan| emit::run(&plan)),
    };
    exit::report(outcome)
}

/// Logs go to stderr: stdout is for what the command is asked for. `EVENTS_LOG` sets the level.
fn log(verbose: bool) {
    let level = if verbose { "info" } else { "error" };
    let filter = tracing_subscriber::EnvFilter::try_from_env("EVENTS_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new(level));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_target(false).init();
}

/// What every run gives.
type Result<T = ()> = std::result::Result<T, Outcome>;
