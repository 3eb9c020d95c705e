//! Whoever holds a key: a number for him, the same on both sockets of a hub, and the end of his connections
//! when the key is taken away.

use std::collections::{HashMap, HashSet};
use std::os::fd::{AsFd, RawFd};
use std::sync::Arc;

use super::monitor::Event;
use super::peers::open;
use super::sys::{self, Message};
use super::zap::Admission;
use crate::engine::Owner;
use crate::permission::Permission;

/// One of the two sockets of a hub.
#[derive(Clone, Copy)]
pub(super) enum Side {
    Pull,
    Xpub,
}

/// The keys that have been seen, no more than were ever let in, and the connections there are.
pub(super) struct Keyholders {
    owners: HashMap<Box<str>, Owner>,
    /// Whether an owner may still be here.
    admitted: Vec<bool>,
    /// What an owner may do, if that is not everything.
    permissions: Vec<Option<Arc<Permission>>>,
    sides: [Connections; 2],
    /// Whether there is a key that may not register for everything.
    restricted: bool,
    admissions: Vec<Admission>,
    changes: u64,
    losses: u64,
}

/// The connections of one socket, by descriptor.
#[derive(Default)]
struct Connections(HashMap<RawFd, Connection>);

struct Connection {
    /// The number of the socket itself. Descriptors are given away again, this is not.
    inode: u64,
    /// Whose it is. Not known before something came over it.
    owner: Option<Owner>,
}

impl Connection {
    /// Ends it, if `fd` still means it.
    fn end(&self, fd: RawFd) {
        if let Some((socket, inode)) = open(fd)
            && inode == self.inode
        {
            let _ = sys::shutdown(socket.as_fd());
        }
    }
}

impl Keyholders {
    /// Those whom one of `admissions` lets in.
    pub(super) fn new(admissions: Vec<Admission>) -> Keyholders {
        let (owners, admitted, permissions) = (HashMap::new(), Vec::new(), Vec::new());
        let (sides, restricted) = (Default::default(), false);
        Keyholders { owners, admitted, permissions, sides, restricted, admissions, changes: 0, losses: 0 }
    }

    /// Who sent `message`, by the key that [`Zap`](super::zap::Zap) let in. None where no key was asked for.
    pub(super) fn of(&mut self, message: &Message, side: Side) -> Option<Owner> {
        let (key, _) = message.property(c"User-Id")?;
        let owner = match self.owners.get(key) {
            Some(&owner) => owner,
            None => {
                let owner = Owner(u32::try_from(self.owners.len()).ok()?);
                self.admitted.push(self.admissions.iter().all(|admission| admission.admits(key)));
                self.permissions.push(permission(&self.admissions, key));
                self.owners.insert(key.into(), owner);
                owner
            }
        };
        let fd = message.property(c"__fd").and_then(|(fd, _)| fd.parse().ok());
        if let Some(fd) = fd
            && let Some(connection) = self.sides[side as usize].0.get_mut(&fd)
        {
            connection.owner = Some(owner);
            if !self.admits(owner) {
                self.sides[side as usize].0[&fd].end(fd);
            }
        }
        Some(owner)
    }

    /// Whether there is somebody who may not register for everything.
    pub(super) fn restricted(&self) -> bool {
        self.restricted
    }

    /// What `owner` may do, if that is not everything.
    pub(super) fn permission(&self, owner: Owner) -> Option<&Arc<Permission>> {
        self.permissions.get(owner.0 as usize)?.as_ref()
    }

    /// Notes what happened to a connection of `side`.
    pub(super) fn note(&mut self, event: Event, side: Side) {
        let connections = &mut self.sides[side as usize].0;
        match event {
            Event::Accepted(fd) => {
                // One that has ended already is not there to be ended.
                let opened = open(fd).map(|(_, inode)| Connection { inode, owner: None });
                _ = opened.and_then(|connection| connections.insert(fd, connection));
            }
            Event::Disconnected(fd) => _ = connections.remove(&fd),
            _ => {}
        }
    }

    /// Whether keys changed since [`end_changed`](Keyholders::end_changed).
    pub(super) fn changed(&self) -> bool {
        self.admissions.iter().map(Admission::changes).sum::<u64>() != self.changes
    }

    /// Ends the connections of those whose key was taken away, or may do something else than before: they come back
    /// and are treated anew.
    pub(super) fn end_changed(&mut self) {
        // In this order: what changes meanwhile is looked at the next time.
        self.changes = self.admissions.iter().map(Admission::changes).sum();
        let losses = self.admissions.iter().map(Admission::losses).sum();
        self.restricted = self.admissions.iter().any(Admission::restricts_hearing);
        let mut changed = HashSet::new();
        for (key, owner) in &self.owners {
            if let Some(admitted) = self.admitted.get_mut(owner.0 as usize) {
                *admitted = self.admissions.iter().all(|admission| admission.admits(key));
            }
            if let Some(known) = self.permissions.get_mut(owner.0 as usize) {
                let now = permission(&self.admissions, key);
                if *known != now {
                    *known = now;
                    changed.insert(*owner);
                }
            }
        }
        // A connection that has not spoken yet may be anybody's. Who is still admitted is back at once.
        let unknown = losses != self.losses;
        self.losses = losses;
        let mut ended = 0;
        for (&fd, connection) in self.sides.iter().flat_map(|side| &side.0) {
            if connection.owner.map_or(unknown, |owner| !self.admits(owner) || changed.contains(&owner)) {
                connection.end(fd);
                ended += 1;
            }
        }
        if unknown {
            tracing::info!(ended, "a client's key was taken away, and the connections with it have ended");
        }
    }

    fn admits(&self, owner: Owner) -> bool {
        self.admitted.get(owner.0 as usize).copied().unwrap_or(false)
    }
}

/// What all of `admissions` allow the holder of `key`, if that is not everything.
fn permission(admissions: &[Admission], key: &str) -> Option<Arc<Permission>> {
    let known = admissions.iter().filter_map(|admission| admission.permission(key));
    let both = known.reduce(|one, other| one.and(&other))?;
    (!both.is_everything()).then(|| Arc::new(both))
}
