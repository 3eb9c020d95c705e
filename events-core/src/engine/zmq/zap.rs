//! Answers libzmq when it asks whether a peer may come in (ZAP, version 1.0).
//!
//! libzmq without such a handler lets everybody in whose handshake is right, with any key at all. There can
//! be one per context, so it is shared: each server gets a domain of its own, and a domain that is not
//! known, or no more, lets nobody in.

use std::collections::HashMap;
use std::io;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use zmq_sys as z;

use super::sys::{self, Context, Message, Socket};
use super::wake::Wake;
use crate::permission::Permission;
use crate::security::{Access, Admitted, SecurityError, z85};

/// How often the folder of keys is looked at.
const LOOK: Duration = Duration::from_millis(250);

/// The handler of a context. Runs until it is dropped.
pub(super) struct Zap {
    domains: Domains,
    wake: Wake,
    ended: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Clone, Default)]
struct Domains(Arc<Mutex<HashMap<String, Domain>>>);

struct Domain {
    access: Access,
    admitted: Admitted,
    changes: Arc<Changes>,
    /// Interrupts the hub when keys come or go.
    wake: Wake,
    /// When a refusal was last logged: one who knocks all day does not fill the log.
    logged: Option<Instant>,
}

/// How often the keys have changed.
#[derive(Default)]
struct Changes {
    all: AtomicU64,
    losses: AtomicU64,
}

impl Domain {
    /// Looks whether keys came or went.
    fn refresh(&mut self) -> Result<(), SecurityError> {
        if let Some(change) = self.admitted.refresh()? {
            self.changes.losses.fetch_add(u64::from(change.lost), Ordering::Release);
            self.changes.all.fetch_add(1, Ordering::Release);
            self.wake.call();
        }
        Ok(())
    }
}

/// A server's domain, known while this lives.
pub(super) struct Admission {
    name: String,
    changes: Arc<Changes>,
    domains: Domains,
}

impl Admission {
    pub(super) fn domain(&self) -> &str {
        &self.name
    }

    /// How often keys came or went.
    pub(super) fn changes(&self) -> u64 {
        self.changes.all.load(Ordering::Acquire)
    }

    /// How often keys went.
    pub(super) fn losses(&self) -> u64 {
        self.changes.losses.load(Ordering::Acquire)
    }

    /// What the holder of `key` may do.
    pub(super) fn permission(&self, key: &str) -> Option<Permission> {
        self.domains.lock().get(&self.name).and_then(|domain| domain.admitted.permission(key).cloned())
    }

    /// Whether there is a key that may not register for everything.
    pub(super) fn restricts_hearing(&self) -> bool {
        self.domains.lock().get(&self.name).is_some_and(|domain| domain.admitted.restricts_hearing())
    }

    /// Whether `key` may be here.
    pub(super) fn admits(&self, key: &str) -> bool {
        self.domains.lock().get(&self.name).is_some_and(|domain| domain.admitted.has(key))
    }
}

impl Drop for Admission {
    fn drop(&mut self) {
        self.domains.lock().remove(&self.name);
    }
}

impl Domains {
    fn lock(&self) -> MutexGuard<'_, HashMap<String, Domain>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Zap {
    /// Starts the handler. From here on every CURVE handshake of the context waits for its word.
    pub(super) fn start(context: &Context) -> io::Result<Zap> {
        let socket = context.socket(z::ZMQ_REP)?;
        socket.set_int(z::ZMQ_LINGER, 0)?;
        socket.bind("inproc://zeromq.zap.01")?;
        let (domains, wake, ended) = (Domains::default(), Wake::new()?, Arc::new(AtomicBool::new(false)));
        let handler = Handler { socket, domains: domains.clone(), wake: wake.clone(), ended: Arc::clone(&ended) };
        let thread = std::thread::Builder::new().name("events-zap".into()).spawn(move || handler.run())?;
        Ok(Zap { domains, wake, ended, thread: Some(thread) })
    }

    /// A new domain with these rules. `wake` is called when the keys have changed.
    pub(super) fn admit(&self, access: &Access, wake: &Wake) -> Admission {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let name = format!("events.{}", COUNT.fetch_add(1, Ordering::Relaxed));
        let (admitted, changes) = (Admitted::new(access.keys().clone()), Arc::new(Changes::default()));
        let (access, wake) = (access.clone(), wake.clone());
        let domain = Domain { access, admitted, changes: Arc::clone(&changes), wake, logged: None };
        self.domains.lock().insert(name.clone(), domain);
        // From now on the folder is looked at.
        self.wake.call();
        Admission { name, changes, domains: self.domains.clone() }
    }
}

impl Drop for Zap {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Release);
        self.wake.call();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

struct Handler {
    socket: Socket,
    domains: Domains,
    wake: Wake,
    ended: Arc<AtomicBool>,
}

/// What the handler says to one request.
enum Verdict {
    /// In, under this key: names of files change, and two files may hold the same.
    In(String),
    /// Not in.
    Out,
    /// We cannot tell.
    Failed,
}

impl Handler {
    fn run(self) {
        while !self.ended.load(Ordering::Acquire) {
            let answered = self.request().and_then(|request| match request {
                Some(request) => self.reply(&request),
                None => self.wait(),
            });
            if let Err(error) = answered {
                // Without a handler every handshake hangs until its limit: nobody comes in.
                tracing::error!(%error, "the handler of keys ends; no client can connect over tcp any more");
                return;
            }
        }
    }

    /// Waits for a request, and looks after the keys meanwhile.
    fn wait(&self) -> io::Result<()> {
        let limit = if self.domains.lock().is_empty() { Duration::MAX } else { LOOK };
        let ([asked], _) = sys::poll([&self.socket], self.wake.fd(), limit)?;
        self.wake.clear();
        if !asked {
            for domain in self.domains.lock().values_mut() {
                // Keys that cannot be read end no connection. Whoever comes now is not let in, which is logged.
                let _ = domain.refresh();
            }
        }
        Ok(())
    }

    fn request(&self) -> io::Result<Option<Vec<Message>>> {
        let mut parts = Vec::new();
        while let Some(part) = self.socket.receive()? {
            let more = part.more();
            parts.push(part);
            if !more {
                return Ok(Some(parts));
            }
        }
        Ok(None)
    }

    fn reply(&self, request: &[Message]) -> io::Result<()> {
        let verdict = self.judge(request);
        let (code, user) = match &verdict {
            Verdict::In(key) => ("200", key.as_str()),
            Verdict::Out => ("400", ""),
            Verdict::Failed => ("500", ""),
        };
        let id = request.get(1).map_or(&b""[..], |id| id);
        // Version, request, code, text (which goes nowhere), user, metadata.
        let parts = [b"1.0", id, code.as_bytes(), b"", user.as_bytes(), b""];
        for (index, part) in parts.iter().enumerate() {
            self.socket.send(Message::copy_of(part)?, false, index + 1 < parts.len())?;
        }
        Ok(())
    }

    fn judge(&self, request: &[Message]) -> Verdict {
        let [version, _, domain, address, _, mechanism, credentials @ ..] = request else { return Verdict::Failed };
        if **version != *b"1.0" {
            return Verdict::Failed;
        }
        let mut domains = self.domains.lock();
        let text = |part: &Message| String::from_utf8_lossy(part).into_owned();
        let Some(domain) = domains.get_mut(&text(domain)) else { return Verdict::Out };
        let [key] = credentials else { return Verdict::Out };
        let (b"CURVE", Ok(key)) = (&**mechanism, <&[u8; 32]>::try_from(&**key)) else { return Verdict::Out };
        let (key, address) = (z85(key), text(address));
        let from_here = address.parse::<IpAddr>().is_ok_and(|address| domain.access.allows(address));
        match domain.refresh().map(|()| domain.admitted.has(&key)) {
            Ok(true) if from_here => return Verdict::In(key),
            Err(error) => {
                tracing::error!(%error, "nobody is let in: the keys of clients cannot be read");
                return Verdict::Failed;
            }
            Ok(known) => {
                if domain.logged.is_none_or(|at| at.elapsed() > Duration::from_secs(1)) {
                    domain.logged = Some(Instant::now());
                    match (known, from_here) {
                        (true, _) => tracing::warn!(%address, "refused: this address may not connect"),
                        (false, true) => tracing::warn!(
                            %address, %key,
                            "refused: this key is not known; to let it in put its certificate into the folder `clients`"
                        ),
                        (false, false) => tracing::warn!(%address, "refused: neither address nor key may connect"),
                    }
                }
            }
        }
        Verdict::Out
    }
}
