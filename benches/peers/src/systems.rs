//! What is measured, each through the same few calls: a workload is written once.
//!
//! ```text
//!  Publisher::send ─▶ server ─▶ Sink
//! ```

use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::time::Duration;

use anyhow::Result;
use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use crate::script::Kinds;

mod broadcast;
mod events;
mod nats;
mod raw;
mod redis;
mod zenoh;

/// Longer than single events are apart.
const SPIN: Duration = Duration::from_millis(1);

/// Ways to carry an event from program to program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum System {
    /// This project: typed, three kinds of processes.
    Events,
    /// libzmq by itself, with `XPUB_NODROP`.
    Raw,
    /// libzmq by itself as it comes: a full queue drops.
    RawLossy,
    /// nats-server and async-nats.
    Nats,
    /// A zenoh router and its clients.
    Zenoh,
    /// Redis pub/sub.
    Redis,
    /// This project with the server in the process of the first publisher.
    EventsServing,
    /// The same two with a server that looks for [`SPIN`] before it sleeps.
    EventsSpinning,
    EventsServingSpinning,
    /// This project over tcp on loopback, encrypted.
    EventsTcp,
    /// This project in one process, over its memory engine.
    EventsMemory,
    /// `tokio::sync::broadcast`, in one process.
    Broadcast,
}

/// Where a system meets, in one run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Place {
    /// For sockets and configuration; goes when the run is over.
    pub(crate) folder: PathBuf,
    /// Free ports on loopback.
    pub(crate) ports: [u16; 2],
    /// Bytes of one event, by which queues are sized.
    pub(crate) size: usize,
}

impl Place {
    /// The path of a socket.
    pub(crate) fn socket(&self, name: &str) -> String {
        self.folder.join(name).display().to_string()
    }

    /// Where events and bare sockets meet: the emit address and the reg address.
    pub(crate) fn ipc(&self) -> (String, String) {
        let address = |name| format!("ipc://{}", self.socket(name));
        (address("emit"), address("reg"))
    }
}

/// The way in.
pub(crate) trait Publisher: Send {
    /// Hands one event over, type `kind`; waits for room where the system knows how to.
    fn send(&mut self, kind: usize, data: &[u8]) -> Result<()>;

    /// Lets go of what waits for company.
    fn leave(&mut self) -> Result<()> {
        Ok(())
    }

    /// Waits until what was sent is out of this process, as far as the system can tell.
    fn flush(&mut self) -> Result<()> {
        self.leave()
    }
}

/// What is called with each event that arrives.
pub(crate) type Sink = Arc<dyn Fn(&[u8]) + Send + Sync>;

/// Which types are registered for, each with all `sinks`.
pub(crate) struct Wanted {
    pub(crate) kinds: Kinds,
    pub(crate) sinks: Vec<Sink>,
}

impl Wanted {
    /// One sink that calls all.
    fn sink(&self) -> Sink {
        if let [only] = &self.sinks[..] {
            return only.clone();
        }
        let sinks = self.sinks.clone();
        Arc::new(move |data| sinks.iter().for_each(|sink| sink(data)))
    }
}

/// What keeps a registration: it ends when this is dropped.
pub(crate) type Held = Box<dyn std::any::Any>;

/// How a system's server comes to be.
pub(crate) enum Serving {
    /// A program of its own, and whether it is ready yet.
    Program(Box<Command>, fn(&Place) -> bool),
    /// A process of this program.
    Ours,
    /// Whoever publishes first serves; there is no server process.
    Publisher,
}

impl System {
    /// What runs where nothing else is said.
    pub(crate) const ALL: &[System] = &[
        System::Events,
        System::Raw,
        System::RawLossy,
        System::Nats,
        System::Zenoh,
        System::Redis,
        System::EventsServing,
        System::EventsSpinning,
        System::EventsServingSpinning,
        System::EventsTcp,
        System::EventsMemory,
        System::Broadcast,
    ];

    /// As in tables.
    pub(crate) fn title(self) -> &'static str {
        match self {
            System::Events => "events",
            System::Raw => "libzmq",
            System::RawLossy => "libzmq, may drop",
            System::Nats => "NATS",
            System::Zenoh => "zenoh",
            System::Redis => "Redis",
            System::EventsServing => "events, serving itself",
            System::EventsSpinning => "events, the server spins",
            System::EventsServingSpinning => "events, serving itself, spins",
            System::EventsTcp => "events, tcp with CURVE",
            System::EventsMemory => "events in one process",
            System::Broadcast => "tokio broadcast",
        }
    }

    /// What was chosen for it, so that a reader can object.
    pub(crate) fn how(self) -> &'static str {
        match self {
            System::Events => "typed: encoded, decoded, handler called; ipc, a server process",
            System::Raw => {
                "opaque bytes; PUSH → PULL/XPUB → SUB over ipc, one message per event, XPUB_NODROP, queues of 1,000; looks \
                 every 50 ms whether it is to end, which is its processor time when idle"
            }
            System::RawLossy => "the same without XPUB_NODROP: a full queue drops",
            System::Nats => {
                "opaque bytes; tcp on loopback, flush at the end only, client capacity 65,536, subscriptions and \
                 max_pending of 512 MB, messages read in chunks"
            }
            System::Zenoh => {
                "opaque bytes; unixsock-stream, a router process, peers as clients, declared publishers, \
                 CongestionControl::Block, not express (it batches), reliable, callbacks"
            }
            System::Redis => {
                "opaque bytes; unix socket, pipelines of up to 128 PUBLISH or 1 MB, no limit on output buffers, no disk"
            }
            System::EventsServing => {
                "typed; the server in the first publisher's process (reached through memory), subscribers over ipc"
            }
            System::EventsSpinning | System::EventsServingSpinning => {
                "the same with a server that looks for 1 ms before it sleeps (`Limits::spin`), and takes a processor for it"
            }
            System::EventsTcp => "typed; tcp on loopback with CURVE, a server process",
            System::EventsMemory => "typed; everything in one process, over memory://",
            System::Broadcast => "bytes by reference, nothing encoded; everything in one process, capacity 65,536",
        }
    }

    /// Whether it is meant to lose nothing: such a run waits longer for the last event.
    pub(crate) fn lossless(self) -> bool {
        !matches!(self, System::RawLossy | System::Broadcast)
    }

    /// Whether all parts are threads of one process.
    pub(crate) fn in_one_process(self) -> bool {
        matches!(self, System::EventsMemory | System::Broadcast)
    }

    /// Whether its server is in the process of the first publisher.
    pub(crate) fn serves_itself(self) -> bool {
        matches!(self, System::EventsServing | System::EventsServingSpinning)
    }

    /// How its server is started.
    pub(crate) fn serving(self, at: &Place) -> Result<Serving> {
        Ok(match self {
            System::Nats => nats::server(at)?,
            System::Redis => redis::server(at),
            _ if self.serves_itself() => Serving::Publisher,
            _ => Serving::Ours,
        })
    }

    /// Serves until `end` says something or nobody is left to say it.
    pub(crate) fn serve(self, at: &Place, ready: impl FnOnce() + Send, end: &Receiver<String>) -> Result<()> {
        match self {
            System::EventsSpinning => events::serve(&events::ipc(at), SPIN, ready, end),
            System::EventsTcp => events::serve(&events::tcp(at), Duration::ZERO, ready, end),
            System::EventsMemory => events::serve(&events::memory(at), Duration::ZERO, ready, end),
            System::Events => events::serve(&events::ipc(at), Duration::ZERO, ready, end),
            System::Raw => raw::serve(at, true, ready, end),
            System::RawLossy => raw::serve(at, false, ready, end),
            System::Zenoh => zenoh::serve(at, ready, end),
            System::Broadcast => broadcast::serve(at, ready, end),
            System::Nats | System::Redis | System::EventsServing | System::EventsServingSpinning => {
                anyhow::bail!("its server is not one of these processes")
            }
        }
    }

    /// Connects a publisher. The first one serves where the system is served so.
    pub(crate) fn publisher(self, at: &Place, number: usize) -> Result<Box<dyn Publisher>> {
        match self {
            System::EventsTcp => events::publisher(&events::tcp(at)),
            System::EventsMemory => events::publisher(&events::memory(at)),
            System::EventsServing if number == 0 => events::serving_publisher(&events::ipc(at), Duration::ZERO),
            System::EventsServingSpinning if number == 0 => events::serving_publisher(&events::ipc(at), SPIN),
            System::Events | System::EventsServing | System::EventsSpinning | System::EventsServingSpinning => {
                events::publisher(&events::ipc(at))
            }
            System::Raw | System::RawLossy => raw::publisher(at),
            System::Nats => nats::publisher(at),
            System::Zenoh => zenoh::publisher(at),
            System::Redis => redis::publisher(at),
            System::Broadcast => broadcast::publisher(at),
        }
    }

    /// Registers; returns when the system says that it stands, which not all can.
    pub(crate) fn subscribe(self, at: &Place, wanted: &Wanted) -> Result<Held> {
        match self {
            System::Events | System::EventsServing | System::EventsSpinning | System::EventsServingSpinning => {
                events::subscribe(&events::ipc(at), wanted)
            }
            System::EventsTcp => events::subscribe(&events::tcp(at), wanted),
            System::EventsMemory => events::subscribe(&events::memory(at), wanted),
            System::Raw | System::RawLossy => raw::subscribe(at, wanted),
            System::Nats => nats::subscribe(at, wanted),
            System::Zenoh => zenoh::subscribe(at, wanted),
            System::Redis => redis::subscribe(at, wanted),
            System::Broadcast => broadcast::subscribe(at, wanted),
        }
    }
}

/// The name of a type where names are free.
fn topic(kind: usize) -> String {
    format!("PEERS_{kind:04}")
}
