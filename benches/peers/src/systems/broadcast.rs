//! `tokio::sync::broadcast`: threads of one process, bytes shared and not copied on the way.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::mpsc::Receiver;
use std::sync::{Mutex, PoisonError};
use std::thread;

use anyhow::{Context, Result};
use bytes::Bytes;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::broadcast::{self, Sender};

use super::{Held, Place, Publisher, Wanted};

type Channel = Sender<(usize, Bytes)>;

/// The channels of this process: a place has one while its server is there.
static CHANNELS: Mutex<Option<HashMap<PathBuf, Channel>>> = Mutex::new(None);

fn with<T>(work: impl FnOnce(&mut HashMap<PathBuf, Channel>) -> T) -> T {
    work(CHANNELS.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_default())
}

fn channel(at: &Place) -> Result<Channel> {
    with(|channels| channels.get(&at.folder).cloned()).context("there is no channel")
}

pub(super) fn serve(at: &Place, ready: impl FnOnce(), end: &Receiver<String>) -> Result<()> {
    let capacity = ((256 << 20) / at.size).clamp(1_024, 65_536);
    with(|channels| channels.insert(at.folder.clone(), broadcast::channel(capacity).0));
    ready();
    end.iter().for_each(drop);
    with(|channels| channels.remove(&at.folder));
    Ok(())
}

struct Publishing(Channel);

impl Publisher for Publishing {
    fn send(&mut self, kind: usize, data: &[u8]) -> Result<()> {
        // Fails only where nobody listens, which is no failure.
        let _ = self.0.send((kind, Bytes::copy_from_slice(data)));
        Ok(())
    }
}

pub(super) fn publisher(at: &Place) -> Result<Box<dyn Publisher>> {
    Ok(Box::new(Publishing(channel(at)?)))
}

pub(super) fn subscribe(at: &Place, wanted: &Wanted) -> Result<Held> {
    let mut receiver = channel(at)?.subscribe();
    let (kinds, sink) = (wanted.kinds, wanted.sink());
    // Ends with the last sender.
    thread::spawn(move || {
        loop {
            match receiver.blocking_recv() {
                Ok((kind, data)) if kinds.has(kind) => sink(&data),
                // What was overtaken is missing in the count.
                Ok(_) | Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return,
            }
        }
    });
    Ok(Box::new(()))
}
