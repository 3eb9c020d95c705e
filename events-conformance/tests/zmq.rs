//! The suite over ZeroMQ: ipc with the server in the clients' process and apart from them, tcp on the loopback, and
//! inproc.
#![cfg(feature = "zmq")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::time::Duration;

use events_conformance::every_promise;
use events_conformance::suite::bench::Bench;
use events_core::engine::zmq::{Tcp, ZmqEngine};
use events_core::engine::{Addresses, Bounds, ClientEnds, Engine, EngineError, Hub};

fn engine() -> Arc<ZmqEngine> {
    Arc::new(ZmqEngine::new(Tcp::PlainLoopbackOnly).expect("an engine"))
}

fn number() -> u32 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

fn ipc_bench(engine: Arc<dyn Engine>) -> Bench {
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name| format!("ipc://{}", folder.path().join(name).display());
    let (emit, reg) = (at("emit"), at("reg"));
    Bench::new(engine, &emit, &reg).keeping(folder)
}

/// Clients and server are in one process, so that they meet in memory.
mod ipc {
    use super::*;

    fn bench() -> Bench {
        ipc_bench(engine())
    }

    every_promise!(bench());
}

/// As between processes: what servers and clients have in common is the path.
struct Apart {
    clients: ZmqEngine,
    /// Those who serve, one after the other.
    servers: Vec<ZmqEngine>,
    served: AtomicUsize,
}

impl Apart {
    fn new(clients: ZmqEngine, servers: Vec<ZmqEngine>) -> Arc<Apart> {
        Arc::new(Apart { clients, servers, served: AtomicUsize::new(0) })
    }
}

impl Engine for Apart {
    fn connect(&self, to: &Addresses) -> Result<ClientEnds, EngineError> {
        self.clients.connect(to)
    }

    fn bind(&self, at: &Addresses, welcome: &[u8]) -> Result<Box<dyn Hub>, EngineError> {
        self.bind_within(at, welcome, &Bounds::default())
    }

    fn bind_within(&self, at: &Addresses, welcome: &[u8], bounds: &Bounds) -> Result<Box<dyn Hub>, EngineError> {
        let next = self.served.load(Ordering::Relaxed) % self.servers.len();
        let hub = self.servers[next].bind_within(at, welcome, bounds)?;
        self.served.fetch_add(1, Ordering::Relaxed);
        Ok(hub)
    }
}

fn isolated() -> ZmqEngine {
    ZmqEngine::isolated(Tcp::PlainLoopbackOnly).expect("an engine")
}

mod ipc_through_sockets {
    use super::*;

    fn bench() -> Bench {
        ipc_bench(Apart::new(isolated(), vec![isolated()]))
    }

    every_promise!(bench());
}

/// The first server is in the clients' process, the second is not, the third is, …
mod ipc_by_turns {
    use super::*;

    fn bench() -> Bench {
        let here = isolated();
        ipc_bench(Apart::new(here.clone(), vec![here, isolated()]))
    }

    every_promise!(bench());
}

/// The same, and servers that look for a while before they sleep.
mod ipc_spinning {
    use super::*;

    fn bench() -> Bench {
        let here = isolated();
        ipc_bench(Apart::new(here.clone(), vec![here, isolated()])).spinning(Duration::from_millis(1))
    }

    every_promise!(bench());
}

mod tcp {
    use super::*;

    /// Two ports that were free a moment ago.
    fn bench() -> Bench {
        let port = || std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let (emit, reg) = (port(), port());
        let at = |socket: &std::net::TcpListener| format!("tcp://{}", socket.local_addr().expect("its address"));
        Bench::new(engine(), &at(&emit), &at(&reg))
    }

    every_promise!(bench());
}

mod inproc {
    use super::*;

    fn bench() -> Bench {
        let (number, process) = (number(), std::process::id());
        let at = |name| format!("inproc://suite-{process}-{number}-{name}");
        Bench::new(engine(), &at("emit"), &at("reg")).without_reconnects()
    }

    every_promise!(bench());
}
