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
use crate::security::{Access, Admitted, z85};

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
    /// When a refusal was last logged: one who knocks all day does not fill the log.
    logged: Option<Instant>,
}

/// A server's domain, known while this lives.
pub(super) struct Admission {
    name: String,
    domains: Domains,
}

impl Admission {
    pub(super) fn domain(&self) -> &str {
        &self.name
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

    /// A new domain with these rules.
    pub(super) fn admit(&self, access: &Access) -> Admission {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let name = format!("events.{}", COUNT.fetch_add(1, Ordering::Relaxed));
        let admitted = Admitted::new(access.keys().clone());
        self.domains.lock().insert(name.clone(), Domain { access: access.clone(), admitted, logged: None });
        Admission { name, domains: self.domains.clone() }
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
                None => sys::poll([&self.socket], self.wake.fd(), Duration::MAX).map(|_| self.wake.clear()),
            });
            if let Err(error) = answered {
                // Without a handler every handshake hangs until its limit: nobody comes in.
                tracing::error!(%error, "the handler of keys ends; no client can connect over tcp any more");
                return;
            }
        }
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
        match domain.admitted.name(&key) {
            Ok(Some(_)) if from_here => return Verdict::In(key),
            Err(error) => {
                tracing::error!(%error, "nobody is let in: the keys of clients cannot be read");
                return Verdict::Failed;
            }
            Ok(known) => {
                let known = known.is_some();
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
