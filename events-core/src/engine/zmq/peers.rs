//! Names the connections of the hub's XPUB, so that one can be ended.

use std::collections::HashMap;
use std::fs::File;
use std::os::fd::{AsFd, RawFd};
use std::os::unix::fs::MetadataExt;

use super::sys::{self, Message, SharedMessage};
use crate::engine::Peer;

/// The connections from which a subscription came and that still stand.
#[derive(Default)]
pub(super) struct Peers {
    by_connection: HashMap<usize, Known>,
    last: u64,
    /// Those that have ended, and nobody was told yet.
    gone: Vec<Peer>,
}

struct Known {
    peer: Peer,
    fd: RawFd,
    /// The number of the socket itself. Descriptors are given away again, this is not.
    inode: u64,
    /// Keeps the connection's number from being given away again.
    _message: SharedMessage,
}

impl Peers {
    /// The peer that `subscription` came from. None for inproc, where a connection has no descriptor, and
    /// for what libzmq itself tells when a connection has ended.
    pub(super) fn of(&mut self, subscription: Message) -> Option<Peer> {
        let (fd, id) = subscription.property(c"__fd")?;
        if let Some(known) = self.by_connection.get(&id) {
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
        self.by_connection.insert(id, Known { peer, fd, inode, _message: subscription.share() });
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

/// What `fd` refers to now, and the number of that.
pub(super) fn open(fd: RawFd) -> Option<(File, u64)> {
    let socket = File::from(sys::duplicate(fd).ok()?);
    let inode = socket.metadata().ok()?.ino();
    Some((socket, inode))
}
