//! `events server`: serves until it is told to end, then drains.

use std::io::Write;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use anyhow::Context;
use events_core::delivery::{Contents, Limits};
use events_core::engine::zmq::{Tcp, ZmqEngine};
use events_core::engine::{self, Addresses, Bounds, Engine, EngineError};
use events_core::error::Error;
use events_core::security::{Access, Keys};
use events_core::server::{Role, Server, ServerGuard, ensure_server_with};
use serde_json::json;

use crate::args::ServerArguments;
use crate::exit::Outcome;
use crate::{Result, signals};

/// How often one that stands by looks whether it was told to end.
const LOOK: Duration = Duration::from_millis(100);

pub(crate) fn run(arguments: &ServerArguments) -> Result {
    let (end, ended) = mpsc::channel();
    signals::on_end(move || {
        let _ = end.send(());
    })?;
    let at = arguments.place.addresses();
    let engine = engine(arguments, &at)?;
    if arguments.standby {
        return stand_by(&engine, &at, arguments, &ended);
    }
    let server = start(&engine, &at, limits(arguments))?;
    say_ready(server.addresses())?;
    // The sender lives in the signal thread, which never ends before it has sent.
    let _ = ended.recv();
    tracing::info!(figures = ?server.figures(), "draining");
    server.shutdown(arguments.drain_limit);
    Ok(())
}

/// The engine of the addresses, which lets in who is allowed.
fn engine(arguments: &ServerArguments, at: &Addresses) -> Result<Arc<dyn Engine>> {
    if arguments.allow_from.is_empty() {
        return Ok(engine::of(at)?);
    }
    if ![&at.emit, &at.reg].iter().any(|address| address.starts_with("tcp://")) {
        return Err(Outcome::usage("--allow-from is for tcp:// addresses: give --emit-addr and --reg-addr"));
    }
    let access = Access::new(Keys::default()).and_from(arguments.allow_from.iter().copied());
    Ok(Arc::new(ZmqEngine::new(Tcp::Curve(access))?))
}

/// The server's limits.
fn limits(arguments: &ServerArguments) -> Limits {
    let ServerArguments { max_records, max_depth, max_length, .. } = arguments;
    let all = Contents::default();
    let contents = Contents {
        records: max_records.unwrap_or(all.records),
        depth: max_depth.unwrap_or(all.depth),
        length: max_length.unwrap_or(all.length),
    };
    let bounds = Bounds {
        connections: arguments.max_connections,
        subscriptions: arguments.max_subscriptions,
        message: arguments.max_message,
        handshake: arguments.handshake_limit,
    };
    Limits {
        name: arguments.max_name,
        contents: (contents != all).then_some(contents),
        bounds,
        spin: u64::try_from(arguments.spin.as_micros()).unwrap_or(u64::MAX),
        ..Limits::default()
    }
}

fn start(engine: &Arc<dyn Engine>, at: &Addresses, limits: Limits) -> Result<Server> {
    match Server::start_with(engine, at, limits) {
        Err(error @ Error::Engine(EngineError::Served { .. })) => {
            Err(anyhow::anyhow!("{error}; use --standby to take over when it ends, or give other addresses").into())
        }
        server => Ok(server.context("the server cannot start")?),
    }
}

fn stand_by(
    engine: &Arc<dyn Engine>,
    at: &Addresses,
    arguments: &ServerArguments,
    ended: &mpsc::Receiver<()>,
) -> Result {
    let guard = ensure_server_with(engine, at, limits(arguments)).context("the server cannot start")?;
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
