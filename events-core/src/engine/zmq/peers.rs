//! Names the connections of the hub's XPUB, so that one can be ended.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::hash::{BuildHasher, RandomState};
use std::os::fd::{AsFd, RawFd};
use std::os::unix::fs::MetadataExt;

use super::sys::{self, Message, SharedMessage};
use crate::engine::Peer;

/// Bytes that an ipc connection holds between two programs, if the system allows as much (on Linux `net.core.wmem_max`); it counts
/// twice as many, for itself as well. With what it gives by itself, 104 KiB, a full message never fits: both sides take turns
/// to wait for each other. This is as much as a client has on its way.
const SENT_AHEAD: i32 = 1 << 20;

/// The connections from which a subscription came and that still stand.
#[derive(Default)]
pub(super) struct Peers {
    by_connection: HashMap<usize, Known>,
    /// Nobody outside can choose topics that look the same.
    hasher: RandomState,
    last: u64,
    /// Those that have ended, and nobody was told yet.
    gone: Vec<Peer>,
}

struct Known {
    peer: Peer,
    fd: RawFd,
    /// The topics that it has subscribed to, by their hashes.
    topics: HashSet<u64>,
    /// It has too many, and is on its way out.
    over: bool,
    /// What waited for it at the first look, while nothing of it was taken at any look since.
    stuck: Option<i32>,
    /// The number of the socket itself. Descriptors are given away again, this is not.
    inode: u64,
    /// Keeps the connection's number from being given away again.
    _message: SharedMessage,
}

impl Peers {
    /// The peer that `subscription` came from. None for inproc, where a connection has no descriptor, and
    /// for what libzmq itself tells when a connection has ended.
    pub(super) fn of(&mut self, subscription: Message) -> Option<Peer> {
        let (made, topic) = (subscription.first() == Some(&1), self.hash(&subscription));
        let (fd, id) = subscription.property(c"__fd")?;
        if let Some(known) = self.by_connection.get_mut(&id) {
            // What was never subscribed to cannot be given back.
            if made {
                known.topics.insert(topic);
            } else {
                known.topics.remove(&topic);
            }
            return Some(known.peer);
        }
        let fd = fd.parse().ok()?;
        self.last += 1;
        let peer = Peer(self.last);
        let Some((_, inode)) = open(fd) else {
            // It has ended before its subscription was read.
            self.gone.push(peer);
            return Some(peer);
        };
        self.by_connection.insert(
            id,
            Known {
                peer,
                fd,
                topics: made.then_some(topic).into_iter().collect(),
                over: false,
                stuck: None,
                inode,
                _message: subscription.share(),
            },
        );
        Some(peer)
    }

    /// The connection with descriptor `fd` has ended.
    pub(super) fn forget(&mut self, fd: RawFd) {
        let ended = self.by_connection.extract_if(|_, known| known.fd == fd);
        self.gone.extend(ended.map(|(_, known)| known.peer));
    }

    /// The next connection that has ended.
    pub(super) fn gone(&mut self) -> Option<Peer> {
        self.gone.pop()
    }

    /// Whether `message`, a subscription, is one more than the `most` that its connection may have.
    pub(super) fn is_beyond(&self, message: &Message, most: usize) -> bool {
        let known = message.property(c"__fd").and_then(|(_, id)| self.by_connection.get(&id));
        let full = known.filter(|known| message.first() == Some(&1) && known.topics.len() >= most);
        full.is_some_and(|known| !known.topics.contains(&self.hash(message)))
    }

    fn hash(&self, subscription: &Message) -> u64 {
        self.hasher.hash_one(subscription.get(1..).unwrap_or_default())
    }

    /// Notes that this connection has too many. Returns whether that is new.
    pub(super) fn oversubscribes(&mut self, message: &Message) -> bool {
        let known = message.property(c"__fd").and_then(|(_, id)| self.by_connection.get_mut(&id));
        known.is_some_and(|known| !std::mem::replace(&mut known.over, true))
    }

    /// See [`Hub::stuck`](crate::engine::Hub::stuck).
    pub(super) fn stuck(&mut self, first: bool) -> Vec<Peer> {
        let mut stuck = Vec::new();
        for known in self.by_connection.values_mut() {
            if !first && known.stuck.is_none() {
                continue;
            }
            let socket = open(known.fd).filter(|(_, inode)| *inode == known.inode);
            let waiting = socket.and_then(|(socket, _)| sys::waiting_if_full(socket.as_fd()));
            // Between two looks libzmq fills up again only what has become mostly empty, which shows in one of them.
            known.stuck = if first || waiting == known.stuck { waiting } else { None };
            if known.stuck.is_some() {
                stuck.push(known.peer);
            }
        }
        stuck
    }

    /// Ends the connection of `peer`, if it still stands.
    pub(super) fn disconnect(&mut self, peer: Peer) {
        let Some(known) = self.by_connection.values().find(|known| known.peer == peer) else { return };
        // libzmq's thread may close the descriptor at any moment and the next connection get its number.
        // The second descriptor holds on to what the first means now, and the inode tells whether that is
        // still the connection meant.
        if let Some((socket, inode)) = open(known.fd)
            && inode == known.inode
        {
            let _ = sys::shutdown(socket.as_fd());
        }
    }
}

/// Lets more of what is sent over a connection wait in the system, if it is one of ipc.
pub(super) fn widen(fd: RawFd) {
    // It may have ended already, or the system may not allow it: then it stays as it is.
    if let Ok(socket) = sys::duplicate(fd) {
        let _ = sys::widen_local(socket.as_fd(), SENT_AHEAD);
    }
}

/// What `fd` refers to now, and the number of that.
pub(super) fn open(fd: RawFd) -> Option<(File, u64)> {
    let socket = File::from(sys::duplicate(fd).ok()?);
    let inode = socket.metadata().ok()?.ino();
    Some((socket, inode))
}
