//! The newest frames of all publishers, in the order in which they were handed out.

use std::collections::VecDeque;

use super::Limits;
use crate::engine::Frame;
use crate::frame::{self, Content, View};

/// A bounded queue whose entries have indices that never repeat.
#[derive(Debug)]
pub struct Ring {
    limits: Limits,
    frames: VecDeque<Frame>,
    /// The index of the first frame kept.
    tail: u64,
    bytes: usize,
}

impl Ring {
    /// An empty ring.
    #[must_use]
    pub fn new(limits: Limits) -> Ring {
        Ring { limits, frames: VecDeque::new(), tail: 0, bytes: 0 }
    }

    /// The index of the oldest frame kept.
    #[must_use]
    pub fn tail(&self) -> u64 {
        self.tail
    }

    /// The index the next frame gets.
    #[must_use]
    pub fn head(&self) -> u64 {
        self.tail + self.frames.len() as u64
    }

    /// Whether the oldest frame must go before another can come.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.bytes > self.limits.window && self.limits.exceeds_queues(self.frames.len(), self.bytes)
    }

    /// How many bytes are kept.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Appends a frame and returns its index.
    pub fn push(&mut self, frame: Frame) -> u64 {
        let index = self.head();
        self.bytes += frame.len();
        self.frames.push_back(frame);
        index
    }

    /// Takes the oldest frame out.
    pub fn pop(&mut self) -> Option<(u64, Frame)> {
        let frame = self.frames.pop_front()?;
        self.bytes -= frame.len();
        self.tail += 1;
        Some((self.tail - 1, frame))
    }

    /// The frame at `index`, unless it has left.
    #[must_use]
    pub fn get(&self, index: u64) -> Option<&Frame> {
        self.frames.get(usize::try_from(index.checked_sub(self.tail)?).ok()?)
    }

    /// The sequence behind the frame at `index`.
    #[must_use]
    pub fn sequence_behind(&self, index: u64) -> Option<u64> {
        view(self.get(index)?).map(|view| sequence_behind(&view))
    }
}

/// The sequence behind the last record of a frame.
#[must_use]
pub fn sequence_behind(view: &View<'_>) -> u64 {
    view.header.sequence.saturating_add(view.count())
}

/// A frame of the ring taken apart: only frames that parse get in.
#[must_use]
pub fn view(bytes: &[u8]) -> Option<View<'_>> {
    match frame::parse(bytes) {
        Ok(Content::Event(view)) => Some(view),
        _ => None,
    }
}
