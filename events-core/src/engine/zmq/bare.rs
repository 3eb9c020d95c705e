//! Bare sockets without anything of ours: what `events bench --raw` compares with.
//!
//! PUSH → PULL, XPUB → SUB, one message per event, libzmq's own queue lengths, and nothing dropped
//! (`ZMQ_XPUB_NODROP`). A message is a topic up to its zero byte, and a payload.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use zmq_sys as z;

use super::sys::{self, Context, Message, Socket};
use super::wake::Wake;

/// How long a loop waits before it looks whether it is told to end.
const LOOK: Duration = Duration::from_millis(50);

/// The way in: a PUSH.
pub struct Sender(Socket);

impl Sender {
    /// Connects to where [`serve`] takes messages in.
    ///
    /// # Errors
    /// What libzmq says.
    pub fn connect(address: &str) -> io::Result<Sender> {
        let socket = Context::new()?.socket(z::ZMQ_PUSH)?;
        socket.connect(address)?;
        Ok(Sender(socket))
    }

    /// Sends one message; waits for room.
    ///
    /// # Errors
    /// What libzmq says.
    pub fn send(&self, bytes: &[u8]) -> io::Result<()> {
        self.0.send(Message::copy_of(bytes)?, true, false).map(drop)
    }
}

/// The way out: a SUB.
pub struct Receiver {
    socket: Socket,
    wake: Wake,
}

impl Receiver {
    /// Connects to where [`serve`] hands messages out, and waits until it knows of all `topics`.
    ///
    /// # Errors
    /// What libzmq says.
    pub fn connect<'a>(address: &str, topics: impl Iterator<Item = &'a [u8]>) -> io::Result<Receiver> {
        let receiver = Receiver { socket: Context::new()?.socket(z::ZMQ_SUB)?, wake: Wake::new()? };
        receiver.socket.connect(address)?;
        for topic in topics {
            receiver.socket.set_bytes(z::ZMQ_SUBSCRIBE, topic)?;
        }
        // Subscriptions arrive in order, and the server says this one back.
        let barrier = [&[0xff][..], &std::process::id().to_be_bytes()].concat();
        receiver.socket.set_bytes(z::ZMQ_SUBSCRIBE, &barrier)?;
        while receiver.receive(LOOK, |message| message != barrier)?.unwrap_or(true) {}
        Ok(receiver)
    }

    /// Shows the next message to `look`; `None` if none came within `limit`.
    ///
    /// # Errors
    /// What libzmq says.
    pub fn receive<T>(&self, limit: Duration, look: impl FnOnce(&[u8]) -> T) -> io::Result<Option<T>> {
        let mut next = self.socket.receive()?;
        if next.is_none() {
            sys::poll([&self.socket], self.wake.fd(), limit)?;
            next = self.socket.receive()?;
        }
        Ok(next.map(|message| look(&message)))
    }
}

/// Hands on what comes, until `end`. `ready` is called when both addresses are bound.
///
/// # Errors
/// What libzmq says.
pub fn serve(emit: &str, reg: &str, end: &AtomicBool, ready: impl FnOnce()) -> io::Result<()> {
    let context = Context::new()?;
    let (pull, xpub, wake) = (context.socket(z::ZMQ_PULL)?, context.socket(z::ZMQ_XPUB)?, Wake::new()?);
    xpub.set_int(z::ZMQ_XPUB_NODROP, 1)?;
    xpub.bind(reg)?;
    pull.bind(emit)?;
    ready();
    while !end.load(Ordering::Acquire) {
        while let Some(subscription) = xpub.receive()? {
            if let [1, barrier @ ..] = &*subscription
                && barrier.first() == Some(&0xff)
            {
                xpub.send(Message::copy_of(barrier)?, true, false)?;
            }
        }
        // Some at a time, so that subscriptions are not kept waiting.
        for _ in 0..1_000 {
            let Some(message) = pull.receive()? else {
                sys::poll([&pull, &xpub], wake.fd(), LOOK)?;
                break;
            };
            xpub.send(message, true, false)?;
        }
    }
    Ok(())
}
