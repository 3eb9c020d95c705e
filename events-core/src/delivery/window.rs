//! The frames a publisher keeps: what is not acknowledged, and as much of the past as fits.
//!
//! ```text
//!   first          expected            cursor          next
//!     │  acknowledged  │  on their way    │  waiting     │
//!     ▼                ▼                  ▼              ▼
//!   [ 7 ][ 8 ][ 9 ][ 10 ][ 11 ][ 12 ][ 13 ][ 14 ][ 15 ]
//! ```

use std::collections::VecDeque;

use super::Limits;
use crate::control::Acked;
use crate::engine::Frame;
use crate::frame::{self, flags};

/// Frames with consecutive positions, and how far they have come.
#[derive(Debug)]
pub struct Window {
    limits: Limits,
    frames: VecDeque<Frame>,
    /// The position of the first frame kept.
    first: u64,
    /// The position the server expects: all before it are acknowledged.
    expected: u64,
    /// The position to send next.
    cursor: u64,
    bytes: usize,
    in_flight: usize,
    unacked: usize,
    /// Everything before this position was acknowledged by an earlier server.
    past: u64,
    /// The highest position that was ever acknowledged.
    acked: u64,
    /// The first frame must say that it is the oldest when it is sent.
    mark_oldest: bool,
}

impl Window {
    /// An empty window; the first position is 1.
    #[must_use]
    pub fn new(limits: Limits) -> Window {
        Window {
            limits,
            frames: VecDeque::new(),
            first: 1,
            expected: 1,
            cursor: 1,
            bytes: 0,
            in_flight: 0,
            unacked: 0,
            past: 1,
            acked: 1,
            mark_oldest: true,
        }
    }

    /// The position the next frame gets.
    #[must_use]
    pub fn next_position(&self) -> u64 {
        self.first + self.frames.len() as u64
    }

    /// The position of the oldest frame kept.
    #[must_use]
    pub fn first_position(&self) -> u64 {
        self.first
    }

    /// The position up to which, exclusive, the server has acknowledged.
    #[must_use]
    pub fn acked_position(&self) -> u64 {
        self.expected
    }

    /// Whether another frame may be appended.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.unacked < self.limits.queue
    }

    /// How many bytes are not acknowledged.
    #[must_use]
    pub fn unacked_bytes(&self) -> usize {
        self.unacked
    }

    /// How many bytes are kept.
    #[must_use]
    pub fn kept_bytes(&self) -> usize {
        self.bytes
    }

    /// Whether a frame waits and may be sent now.
    #[must_use]
    pub fn can_send(&self) -> bool {
        self.cursor < self.next_position() && (self.in_flight == 0 || self.in_flight < self.limits.in_flight)
    }

    /// Everything before this position was acknowledged by an earlier server.
    #[must_use]
    pub fn past(&self) -> u64 {
        self.past
    }

    /// The frames kept, oldest first.
    pub fn frames(&self) -> impl Iterator<Item = &Frame> {
        self.frames.iter()
    }

    /// Appends the frame with [`next_position`](Window::next_position).
    pub fn append(&mut self, frame: Frame) {
        self.bytes += frame.len();
        self.unacked += frame.len();
        self.frames.push_back(frame);
        self.forget();
    }

    /// The next frame to hand to the engine, as long as not too much is on its way.
    pub fn send(&mut self) -> Option<Frame> {
        if !self.can_send() {
            return None;
        }
        let frame = self.get(self.cursor)?.clone();
        self.in_flight += frame.len();
        let mut marks = 0;
        if self.mark_oldest && self.cursor == self.first {
            self.mark_oldest = false;
            marks |= flags::OLDEST;
        }
        if self.cursor < self.past {
            marks |= flags::PAST;
        }
        self.cursor += 1;
        Some(if marks == 0 { frame } else { Frame::new(frame::with_flags(&frame, marks)) })
    }

    /// What the server said. Returns whether it does not know this publisher at all, so that all is
    /// sent again.
    pub fn acked(&mut self, acked: Acked) -> bool {
        if acked.next == 0 {
            self.start_again();
            return true;
        }
        // Nobody can expect what was never sent.
        if acked.next > self.next_position() {
            return false;
        }
        if acked.next > self.expected {
            self.expected = acked.next;
            self.acked = self.acked.max(acked.next);
            self.cursor = self.cursor.max(acked.next);
        }
        if acked.again {
            // What the server expects and the window no longer has is lost; the mark says so.
            self.mark_oldest |= acked.next < self.first;
            self.expected = acked.next.max(self.first);
            self.cursor = self.expected;
        }
        self.measure();
        self.forget();
        false
    }

    /// Goes back to the oldest frame: the server is a new one and knows nothing.
    pub fn start_again(&mut self) {
        self.past = self.acked;
        self.expected = self.first;
        self.cursor = self.first;
        self.mark_oldest = true;
        self.measure();
    }

    /// Goes back to the first frame that is not acknowledged: the connection was thrown away.
    pub fn go_back(&mut self) {
        self.cursor = self.expected;
        self.measure();
    }

    /// The newest frame that was sent and not acknowledged. Sent once more, it makes the server say
    /// what it expects.
    #[must_use]
    pub fn probe(&self) -> Option<Frame> {
        (self.expected < self.cursor).then(|| self.get(self.cursor - 1).cloned())?
    }

    fn get(&self, position: u64) -> Option<&Frame> {
        self.frames.get(usize::try_from(position.checked_sub(self.first)?).ok()?)
    }

    /// Sums up anew after `expected` or `cursor` moved; cheap, since acknowledgements are rare.
    fn measure(&mut self) {
        let from = (self.expected - self.first) as usize;
        let sent = (self.cursor - self.first) as usize;
        self.in_flight = self.frames.range(from..sent).map(|frame| frame.len()).sum();
        self.unacked = self.in_flight + self.frames.range(sent..).map(|frame| frame.len()).sum::<usize>();
    }

    /// Drops the oldest acknowledged frames that no longer fit.
    fn forget(&mut self) {
        while self.bytes > self.limits.window
            && self.frames.len() > self.limits.window_frames
            && self.first < self.expected
            && let Some(frame) = self.frames.pop_front()
        {
            self.bytes -= frame.len();
            self.first += 1;
        }
    }
}
