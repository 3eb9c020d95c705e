//! The newest retained frame of each event.

use rustc_hash::FxHashMap;

use crate::engine::Frame;
use crate::frame::{View, flags};

/// What late joiners get.
#[derive(Debug, Default)]
pub struct Retained {
    frames: FxHashMap<Box<str>, (u64, Frame)>,
    most: usize,
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
    pub fn keep(&mut self, view: &View<'_>, frame: &Frame) -> Kept {
        if let Some((sent_at, kept)) = self.frames.get_mut(view.name) {
            if is_past(view) && *sent_at >= view.header.sent_at {
                return Kept::Outdated;
            }
            (*sent_at, *kept) = (view.header.sent_at, frame.clone());
        } else if self.frames.len() < self.most {
            self.frames.insert(view.name.into(), (view.header.sent_at, frame.clone()));
        } else {
            return Kept::NoRoom;
        }
        if is_past(view) { Kept::Recovered } else { Kept::Newest }
    }

    /// The newest frame of the event.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Frame> {
        self.frames.get(name).map(|(_, frame)| frame)
    }
}
