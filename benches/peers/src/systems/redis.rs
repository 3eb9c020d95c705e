//! Redis pub/sub: redis-server from PATH, over a unix socket, publishing in pipelines.

use std::os::unix::net::UnixStream;
use std::process::Command;
use std::thread;

use anyhow::{Context, Result};
use redis::{Client, Connection, Pipeline};

use super::{Held, Place, Publisher, Serving, Wanted, topic};

/// A pipeline is sent when it holds so many events …
const EVENTS: usize = 128;
/// … or so many bytes.
const BYTES: usize = 1 << 20;

pub(super) fn server(at: &Place) -> Serving {
    let mut command = Command::new("redis-server");
    // Nothing on disk, and no subscriber cut off for being behind.
    command.args(["--port", "0", "--save", "", "--appendonly", "no"]);
    command.args(["--client-output-buffer-limit", "pubsub 0 0 0"]);
    command.arg("--unixsocket").arg(at.socket("redis")).arg("--dir").arg(&at.folder);
    Serving::Program(Box::new(command), |at| UnixStream::connect(at.socket("redis")).is_ok())
}

fn connect(at: &Place) -> Result<Connection> {
    let client = Client::open(format!("redis+unix://{}", at.socket("redis")))?;
    client.get_connection().context("redis-server does not answer")
}

struct Sender {
    connection: Connection,
    pipeline: Pipeline,
    events: usize,
    bytes: usize,
    topics: Vec<String>,
}

impl Publisher for Sender {
    fn send(&mut self, kind: usize, data: &[u8]) -> Result<()> {
        while self.topics.len() <= kind {
            self.topics.push(topic(self.topics.len()));
        }
        self.pipeline.cmd("PUBLISH").arg(&self.topics[kind]).arg(data).ignore();
        self.events += 1;
        self.bytes += data.len();
        if self.events >= EVENTS || self.bytes >= BYTES { self.leave() } else { Ok(()) }
    }

    fn leave(&mut self) -> Result<()> {
        if self.events > 0 {
            self.pipeline.exec(&mut self.connection)?;
            self.pipeline.clear();
            (self.events, self.bytes) = (0, 0);
        }
        Ok(())
    }
}

pub(super) fn publisher(at: &Place) -> Result<Box<dyn Publisher>> {
    let pipeline = Pipeline::with_capacity(EVENTS);
    Ok(Box::new(Sender { connection: connect(at)?, pipeline, events: 0, bytes: 0, topics: Vec::new() }))
}

pub(super) fn subscribe(at: &Place, wanted: &Wanted) -> Result<Held> {
    let mut connection = connect(at)?;
    let topics: Vec<_> = wanted.kinds.all().map(topic).collect();
    let sink = wanted.sink();
    let (ready, subscribed) = std::sync::mpsc::channel();
    // Ends with the server.
    thread::spawn(move || {
        let mut messages = connection.as_pubsub();
        let done = topics.iter().try_for_each(|topic| messages.subscribe(topic));
        let going = done.is_ok();
        let _ = ready.send(done);
        while going && let Ok(message) = messages.get_message() {
            sink(message.get_payload_bytes());
        }
    });
    subscribed.recv().context("no subscription")??;
    Ok(Box::new(()))
}
