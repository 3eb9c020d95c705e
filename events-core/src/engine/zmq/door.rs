//! How many connections a server takes on.
//!
//! Without descriptors libzmq ends the whole process when somebody connects over ipc. So the last fifth of them, and
//! at least 512 or half of them all, is spared: a connection beyond, or beyond the server's own limit, is ended at once.
//! libzmq accepts by itself, some 30 in a millisecond; what is spared is there for those before we see them.

use std::collections::HashMap;
use std::os::fd::{AsFd, RawFd};
use std::time::{Duration, Instant};

use super::monitor::Event;
use super::peers::open;
use super::sys;

/// How often it is logged that connections are ended.
const LOG: Duration = Duration::from_secs(5);

/// The connections of both sockets of a server.
pub(super) struct Door {
    most: usize,
    /// Descriptors from here on are not for connections. The system gives the lowest that is free, so one from here on
    /// means that all below are taken.
    first_spared: RawFd,
    /// By descriptor, with the number of the socket itself.
    standing: HashMap<RawFd, Option<u64>>,
    /// Those that have to go.
    over: Vec<RawFd>,
    turned_away: u64,
    failed_handshakes: u64,
    logged: Option<Instant>,
}

impl Door {
    pub(super) fn new(most: usize) -> Door {
        let descriptors = sys::descriptor_limit().unwrap_or(1024);
        let spared = (descriptors / 5).max(512).min(descriptors / 2);
        let first_spared = RawFd::try_from(descriptors - spared).unwrap_or(RawFd::MAX);
        let (standing, over) = (HashMap::new(), Vec::new());
        Door { most, first_spared, standing, over, turned_away: 0, failed_handshakes: 0, logged: None }
    }

    pub(super) fn note(&mut self, event: Event) {
        match event {
            Event::Accepted(fd) => {
                let over = self.standing.len() >= self.most || fd >= self.first_spared;
                self.standing.insert(fd, open(fd).map(|(_, inode)| inode));
                if over {
                    self.over.push(fd);
                }
            }
            Event::Refused | Event::Mismatch | Event::Dropped => self.failed_handshakes += 1,
            Event::Disconnected(fd) => {
                self.standing.remove(&fd);
                self.over.retain(|&other| other != fd);
            }
            _ => {}
        }
    }

    /// Ends the connections that are too many. Called when all events are noted: by then the descriptor of one that
    /// has ended may be another's.
    pub(super) fn close(&mut self) {
        if self.over.is_empty() {
            return;
        }
        for fd in self.over.drain(..) {
            self.turned_away += 1;
            let noted = self.standing.get(&fd).copied().flatten();
            if let Some((socket, inode)) = open(fd)
                && noted == Some(inode)
            {
                let _ = sys::shutdown(socket.as_fd());
            }
        }
        if self.logged.is_none_or(|at| at.elapsed() > LOG) {
            self.logged = Some(Instant::now());
            let (connections, turned_away) = (self.standing.len(), self.turned_away);
            tracing::warn!(connections, turned_away, "too many connections: new ones are ended");
        }
    }

    /// How many there are.
    pub(super) fn connections(&self) -> usize {
        self.standing.len()
    }

    /// How many ended before they could carry messages.
    pub(super) fn failed_handshakes(&self) -> u64 {
        self.failed_handshakes
    }

    /// How many were ended.
    pub(super) fn turned_away(&self) -> u64 {
        self.turned_away
    }
}
