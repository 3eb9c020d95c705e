//! NATS: nats-server from PATH, async-nats in the programs.

use std::net::TcpStream;
use std::pin::pin;
use std::process::Command;
use std::sync::Arc;
use std::thread;

use anyhow::{Context, Result};
use async_nats::{Client, ConnectOptions, Subject};
use bytes::Bytes;
use futures_util::stream::SelectAll;
use futures_util::{FutureExt, StreamExt};
use tokio::runtime::Runtime;

use super::{Held, Place, Publisher, Serving, Wanted, topic};

/// Bytes that may wait for a subscriber before the server, or its own client, gives up on it.
const PENDING: usize = 512 << 20;

pub(super) fn server(at: &Place) -> Result<Serving> {
    let file = at.folder.join("nats.conf");
    let configuration = format!(
        "listen: \"127.0.0.1:{}\"\nmax_payload: 8MB\nmax_pending: {PENDING}\nwrite_deadline: \"10s\"\nno_sys_acc: true\n",
        at.ports[0]
    );
    std::fs::write(&file, configuration).context("no configuration for nats-server")?;
    let mut command = Command::new("nats-server");
    command.arg("-c").arg(file);
    Ok(Serving::Program(Box::new(command), |at| TcpStream::connect(("127.0.0.1", at.ports[0])).is_ok()))
}

fn connect(at: &Place) -> Result<(Arc<Runtime>, Client)> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let options = ConnectOptions::new()
        .client_capacity(65_536)
        .subscription_capacity((PENDING / at.size).clamp(1_024, 1 << 20))
        .read_buffer_capacity(u16::MAX);
    let client = runtime.block_on(options.connect(format!("127.0.0.1:{}", at.ports[0])))?;
    Ok((Arc::new(runtime), client))
}

struct Sender {
    runtime: Arc<Runtime>,
    client: Client,
    subjects: Vec<Subject>,
}

impl Publisher for Sender {
    fn send(&mut self, kind: usize, data: &[u8]) -> Result<()> {
        while self.subjects.len() <= kind {
            self.subjects.push(topic(self.subjects.len()).into());
        }
        let publishing = self.client.publish(self.subjects[kind].clone(), Bytes::copy_from_slice(data));
        let mut publishing = pin!(publishing);
        // The runtime is entered only where there is something to wait for: that costs as much as an event.
        match publishing.as_mut().now_or_never() {
            Some(done) => Ok(done?),
            None => Ok(self.runtime.block_on(publishing)?),
        }
    }

    fn flush(&mut self) -> Result<()> {
        Ok(self.runtime.block_on(self.client.flush())?)
    }
}

pub(super) fn publisher(at: &Place) -> Result<Box<dyn Publisher>> {
    let (runtime, client) = connect(at)?;
    Ok(Box::new(Sender { runtime, client, subjects: Vec::new() }))
}

pub(super) fn subscribe(at: &Place, wanted: &Wanted) -> Result<Held> {
    let (runtime, client) = connect(at)?;
    let mut subscriptions = Vec::new();
    for kind in wanted.kinds.all() {
        subscriptions.push(runtime.block_on(client.subscribe(topic(kind)))?);
    }
    runtime.block_on(client.flush())?;
    let sink = wanted.sink();
    let running = runtime.clone();
    // The sink may publish and wait, which no thread of the runtime may.
    thread::spawn(move || {
        if subscriptions.len() == 1
            && let Some(only) = subscriptions.pop()
        {
            let mut chunks = only.ready_chunks(256);
            while let Some(messages) = running.block_on(chunks.next()) {
                messages.iter().for_each(|message| sink(&message.payload));
            }
        } else {
            let mut chunks = subscriptions.into_iter().collect::<SelectAll<_>>().ready_chunks(256);
            while let Some(messages) = running.block_on(chunks.next()) {
                messages.iter().for_each(|message| sink(&message.payload));
            }
        }
    });
    Ok(Box::new((client, runtime)))
}
