//! This project. The first 48 types are a catalog's, encoded and decoded; what is beyond has run-time names.

use std::sync::mpsc::Receiver;
use std::time::Duration;

use anyhow::{Context, Result};
use events::{Client, Error, SharedBytes};
use events_core::delivery::Limits;
use events_core::delivery::publisher::Kind;
use events_core::engine::{self, Addresses};
use events_core::server::Server;

use super::{Held, Place, Publisher, Sink, Wanted, topic};

/// Generated from the catalog of `events bench`.
#[allow(unreachable_pub, reason = "the catalog's items are public, and here nobody is outside")]
mod catalog {
    events::catalog!("../../events-cli/bench.toml");
}

/// How long anything may take that is no measurement.
const LIMIT: Duration = Duration::from_secs(30);

struct Typed {
    emit: fn(&Client, &[u8]) -> Result<(), Error>,
    register: fn(&Client, Sink) -> Result<(), Error>,
}

macro_rules! typed {
    ($($name:ident)*) => {
        const TYPED: &[Typed] = &[$(Typed {
            emit: |client, data| client.emit(catalog::$name { data }),
            register: |client, sink| client.register::<catalog::$name<SharedBytes>>(move |event| sink(&event.data)).map(drop),
        },)*];
    };
}

typed! {
    Bench00 Bench01 Bench02 Bench03 Bench04 Bench05 Bench06 Bench07
    Bench08 Bench09 Bench10 Bench11 Bench12 Bench13 Bench14 Bench15
    Bench16 Bench17 Bench18 Bench19 Bench20 Bench21 Bench22 Bench23
    Bench24 Bench25 Bench26 Bench27 Bench28 Bench29 Bench30 Bench31
    Bench32 Bench33 Bench34 Bench35 Bench36 Bench37 Bench38 Bench39
    Bench40 Bench41 Bench42 Bench43 Bench44 Bench45 Bench46 Bench47
}

pub(super) fn ipc(at: &Place) -> Addresses {
    let (emit, reg) = at.ipc();
    Addresses { emit, reg }
}

pub(super) fn tcp(at: &Place) -> Addresses {
    let [emit, reg] = at.ports.map(|port| format!("tcp://127.0.0.1:{port}"));
    Addresses { emit, reg }
}

pub(super) fn memory(at: &Place) -> Addresses {
    let address = |name| format!("memory://{}", at.socket(name));
    Addresses { emit: address("emit"), reg: address("reg") }
}

fn server(at: &Addresses, spin: Duration) -> Result<Server> {
    let limits = Limits { spin: u64::try_from(spin.as_micros())?, ..Limits::default() };
    Server::start_with(&engine::of(at)?, at, limits).context("the server cannot start")
}

pub(super) fn serve(at: &Addresses, spin: Duration, ready: impl FnOnce(), end: &Receiver<String>) -> Result<()> {
    let server = server(at, spin)?;
    ready();
    end.iter().for_each(drop);
    server.shutdown(Duration::from_millis(200));
    Ok(())
}

struct Emitter {
    client: Client,
    /// Names of the types beyond the catalog, made when first used.
    names: Vec<String>,
    /// Ends after the client.
    _server: Option<Server>,
}

impl Emitter {
    fn emit(&mut self, kind: usize, data: &[u8]) -> Result<(), Error> {
        if let Some(typed) = TYPED.get(kind) {
            return (typed.emit)(&self.client, data);
        }
        while self.names.len() <= kind {
            self.names.push(topic(self.names.len()));
        }
        let payload = [&packed_head(data.len())[..], data].concat();
        let kind = Kind { name: &self.names[kind], fingerprint: 0, retain: false, shape: &String::new };
        self.client.emit_raw(kind, &payload)
    }
}

/// What stands before the bytes in a payload: an array of one `bin 32`.
fn packed_head(length: usize) -> [u8; 6] {
    let [a, b, c, d] = u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes();
    [0x91, 0xc6, a, b, c, d]
}

impl Publisher for Emitter {
    fn send(&mut self, kind: usize, data: &[u8]) -> Result<()> {
        // Backpressure is no failure here: it is emitted as fast as the system allows.
        while let Err(error) = self.emit(kind, data) {
            if !matches!(error, Error::Backpressure { .. }) {
                return Err(error.into());
            }
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<()> {
        Ok(self.client.flush(LIMIT)?)
    }
}

fn emitter(at: &Addresses, server: Option<Server>) -> Result<Box<dyn Publisher>> {
    let client = Client::connect(&at.emit, &at.reg).context("no client can be opened")?;
    Ok(Box::new(Emitter { client, names: Vec::new(), _server: server }))
}

pub(super) fn publisher(at: &Addresses) -> Result<Box<dyn Publisher>> {
    emitter(at, None)
}

pub(super) fn serving_publisher(at: &Addresses, spin: Duration) -> Result<Box<dyn Publisher>> {
    emitter(at, Some(server(at, spin)?))
}

pub(super) fn subscribe(at: &Addresses, wanted: &Wanted) -> Result<Held> {
    let client = Client::connect(&at.emit, &at.reg).context("no client can be opened")?;
    for kind in wanted.kinds.all() {
        for sink in &wanted.sinks {
            let sink = sink.clone();
            match TYPED.get(kind) {
                Some(typed) => (typed.register)(&client, sink)?,
                None => {
                    let head = packed_head(0).len();
                    let name = topic(kind);
                    client.register_raw(Some(&name), move |event| {
                        sink(event.payload.get(head..).unwrap_or_default());
                    })?;
                }
            }
        }
    }
    Ok(Box::new(client))
}
