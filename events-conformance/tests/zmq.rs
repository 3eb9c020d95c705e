//! The suite over ZeroMQ: ipc, tcp on the loopback, and inproc.
#![cfg(feature = "zmq")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use events_conformance::every_promise;
use events_conformance::suite::bench::Bench;
use events_core::engine::zmq::{Tcp, ZmqEngine};

fn engine() -> Arc<ZmqEngine> {
    Arc::new(ZmqEngine::new(Tcp::PlainLoopbackOnly).expect("an engine"))
}

fn number() -> u32 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

mod ipc {
    use super::*;

    fn bench() -> Bench {
        let folder = tempfile::tempdir().expect("a folder");
        let at = |name| format!("ipc://{}", folder.path().join(name).display());
        let (emit, reg) = (at("emit"), at("reg"));
        Bench::new(engine(), &emit, &reg).keeping(folder)
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
