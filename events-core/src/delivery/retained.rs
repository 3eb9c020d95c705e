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

impl Retained {
    /// Keeps the frames of `most` events.
    #[must_use]
    pub fn new(most: usize) -> Retained {
        Retained { frames: FxHashMap::default(), most }
    }

    /// Keeps `frame`. One of an earlier server's time gives way to a newer one.
    /// Returns whether there was room.
    pub fn keep(&mut self, view: &View<'_>, frame: &Frame) -> bool {
        if let Some((sent_at, kept)) = self.frames.get_mut(view.name) {
            if !view.header.has(flags::TOLD_AGAIN | flags::PAST) || *sent_at < view.header.sent_at {
                (*sent_at, *kept) = (view.header.sent_at, frame.clone());
            }
            return true;
        }
        let room = self.frames.len() < self.most;
        if room {
            self.frames.insert(view.name.into(), (view.header.sent_at, frame.clone()));
        }
        room
    }

    /// The newest frame of the event.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Frame> {
        self.frames.get(name).map(|(_, frame)| frame)
    }
}
