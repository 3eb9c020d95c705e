//! The newest retained frame of each event.

use rustc_hash::FxHashMap;

use crate::engine::Frame;
use crate::frame::name::Name;
use crate::frame::{Header, View, flags};

/// What late joiners get.
#[derive(Debug, Default)]
pub struct Retained {
    frames: FxHashMap<Name, Newest>,
    most: usize,
}

#[derive(Debug)]
struct Newest {
    sent_at: u64,
    publisher: u64,
    sequence: u64,
    frame: Frame,
}

/// What became of a retained frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// It is the newest one now.
    Newest,
    /// It is, though it was emitted under an earlier server.
    Recovered,
    /// There is a newer one.
    Outdated,
    /// Too many events are retained.
    NoRoom,
}

fn is_past(view: &View<'_>) -> bool {
    view.header.has(flags::TOLD_AGAIN | flags::PAST)
}

impl Retained {
    /// Keeps the frames of `most` events.
    #[must_use]
    pub fn new(most: usize) -> Retained {
        Retained { frames: FxHashMap::default(), most }
    }

    /// Keeps `frame`. One of an earlier server's time gives way to a newer one.
    pub fn keep(&mut self, view: &View<'_>, frame: Frame) -> Kept {
        let Header { sent_at, publisher, sequence, .. } = view.header;
        let newest = Newest { sent_at, publisher, sequence, frame };
        if let Some(kept) = self.frames.get_mut(view.key()) {
            // Of one publisher the sequence tells, whatever its clock did; of two there is only the time.
            let same = publisher == kept.publisher;
            let is_newer = if same { sequence > kept.sequence } else { sent_at > kept.sent_at };
            if is_past(view) && !is_newer {
                return Kept::Outdated;
            }
            *kept = newest;
        } else if self.frames.len() < self.most {
            self.frames.insert(view.name().into(), newest);
        } else {
            return Kept::NoRoom;
        }
        if is_past(view) { Kept::Recovered } else { Kept::Newest }
    }

    /// The newest frame of the event.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Frame> {
        self.frames.get(name.as_bytes()).map(|newest| &newest.frame)
    }
}
