//! `events server`: serves until it is told to end, then drains.

use std::io::Write;
use std::sync::mpsc;
use std::time::Duration;

use anyhow::Context;
use events_core::engine::{Addresses, EngineError};
use events_core::error::Error;
use events_core::server::{Role, Server, ServerGuard, ensure_server};
use serde_json::json;

use crate::args::ServerArguments;
use crate::{Result, signals};

/// How often one that stands by looks whether it was told to end.
const LOOK: Duration = Duration::from_millis(100);

pub(crate) fn run(arguments: &ServerArguments) -> Result {
    let (end, ended) = mpsc::channel();
    signals::on_end(move || {
        let _ = end.send(());
    })?;
    let at = arguments.place.addresses();
    if arguments.standby {
        return stand_by(&at, &ended);
    }
    let server = start(&at)?;
    say_ready(server.addresses())?;
    // The sender lives in the signal thread, which never ends before it has sent.
    let _ = ended.recv();
    tracing::info!(figures = ?server.figures(), "draining");
    server.shutdown(arguments.drain_limit);
    Ok(())
}

fn start(at: &Addresses) -> Result<Server> {
    match Server::start(&at.emit, &at.reg) {
        Err(error @ Error::Engine(EngineError::Served { .. })) => {
            Err(anyhow::anyhow!("{error}; use --standby to take over when it ends, or give other addresses").into())
        }
        server => Ok(server.context("the server cannot start")?),
    }
}

fn stand_by(at: &Addresses, ended: &mpsc::Receiver<()>) -> Result {
    let guard = ensure_server(&at.emit, &at.reg).context("the server cannot start")?;
    if guard.role() == Role::StandingBy {
        eprintln!("events: another server is serving; standing by");
    }
    while !guard.wait_serving(LOOK) {
        if !matches!(ended.try_recv(), Err(mpsc::TryRecvError::Empty)) {
            return Ok(());
        }
    }
    say_ready(&guard.addresses())?;
    let _ = ended.recv();
    drop::<ServerGuard>(guard);
    Ok(())
}

/// One line for whoever started this process and waits for it.
pub(crate) fn say_ready(at: &Addresses) -> Result {
    let line = json!({ "emit_addr": at.emit, "reg_addr": at.reg, "pid": std::process::id() });
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}")?;
    out.flush()?;
    Ok(())
}
