//! libzmq by itself: PUSH → PULL/XPUB → SUB, one message per event, in ZeroMQ's own queue lengths.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, TryRecvError};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use events_core::engine::zmq::bare;

use super::{Held, Place, Publisher, Wanted, topic};

/// How long a loop waits before it looks whether it is told to end.
const LOOK: Duration = Duration::from_millis(50);

pub(super) fn serve(at: &Place, lossless: bool, ready: impl FnOnce() + Send, end: &Receiver<String>) -> Result<()> {
    let (emit, reg) = at.ipc();
    if !lossless {
        return serve_lossy(&emit, &reg, ready, end);
    }
    let ended = AtomicBool::new(false);
    thread::scope(|scope| {
        let serving = scope.spawn(|| bare::serve(&emit, &reg, &ended, ready));
        end.iter().for_each(drop);
        ended.store(true, Ordering::Release);
        serving.join().map_err(|_| anyhow::anyhow!("the server panicked"))?.context("the server of bare sockets ends")
    })
}

/// What `bare::serve` does, without `XPUB_NODROP`.
fn serve_lossy(emit: &str, reg: &str, ready: impl FnOnce(), end: &Receiver<String>) -> Result<()> {
    let context = zmq::Context::new();
    let (pull, xpub) = (context.socket(zmq::PULL)?, context.socket(zmq::XPUB)?);
    xpub.bind(reg)?;
    pull.bind(emit)?;
    ready();
    let mut message = zmq::Message::new();
    while end.try_recv() != Err(TryRecvError::Disconnected) {
        while let Ok(subscription) = xpub.recv_bytes(zmq::DONTWAIT) {
            if let [1, barrier @ ..] = &subscription[..]
                && barrier.first() == Some(&0xff)
            {
                xpub.send(barrier, 0)?;
            }
        }
        for _ in 0..1_000 {
            match pull.recv(&mut message, zmq::DONTWAIT) {
                Ok(()) => xpub.send(std::mem::replace(&mut message, zmq::Message::new()), 0)?,
                Err(zmq::Error::EAGAIN) => {
                    let mut items = [pull.as_poll_item(zmq::POLLIN), xpub.as_poll_item(zmq::POLLIN)];
                    zmq::poll(&mut items, i64::try_from(LOOK.as_millis())?)?;
                    break;
                }
                Err(error) => return Err(error.into()),
            }
        }
    }
    Ok(())
}

struct Sender {
    sender: bare::Sender,
    message: Vec<u8>,
    topics: Vec<Vec<u8>>,
}

impl Publisher for Sender {
    fn send(&mut self, kind: usize, data: &[u8]) -> Result<()> {
        while self.topics.len() <= kind {
            self.topics.push(bytes(self.topics.len()));
        }
        self.message.clear();
        self.message.extend_from_slice(&self.topics[kind]);
        self.message.extend_from_slice(data);
        Ok(self.sender.send(&self.message)?)
    }
}

fn bytes(kind: usize) -> Vec<u8> {
    (topic(kind) + "\0").into_bytes()
}

pub(super) fn publisher(at: &Place) -> Result<Box<dyn Publisher>> {
    let sender = bare::Sender::connect(&at.ipc().0).context("no PUSH can be opened")?;
    Ok(Box::new(Sender { sender, message: Vec::new(), topics: Vec::new() }))
}

/// Ends the thread that receives.
struct Receiving(Arc<AtomicBool>);

impl Drop for Receiving {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

pub(super) fn subscribe(at: &Place, wanted: &Wanted) -> Result<Held> {
    let topics: Vec<_> = wanted.kinds.all().map(bytes).collect();
    let reg = at.ipc().1;
    let sink = wanted.sink();
    let (ready, connected) = std::sync::mpsc::channel();
    let ended = Arc::new(AtomicBool::new(false));
    let end = ended.clone();
    // A socket stays on the thread that opened it.
    thread::spawn(move || {
        let receiver = match bare::Receiver::connect(&reg, topics.iter().map(Vec::as_slice)) {
            Ok(receiver) => receiver,
            Err(error) => return drop(ready.send(Err(error))),
        };
        let _ = ready.send(Ok(()));
        let head = bytes(0).len();
        while !end.load(Ordering::Relaxed) {
            if receiver.receive(LOOK, |message| sink(message.get(head..).unwrap_or_default())).is_err() {
                return;
            }
        }
    });
    match connected.recv_timeout(Duration::from_secs(10)) {
        Ok(done) => done.context("no SUB can be opened")?,
        Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => anyhow::bail!("the server does not answer"),
    }
    Ok(Box::new(Receiving(ended)))
}
