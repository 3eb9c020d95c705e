//! The frames a publisher keeps: what is not acknowledged, and as much of the past as fits.
//!
//! ```text
//!   first          expected            cursor          next
//!     │  acknowledged  │  on their way    │  waiting     │
//!     ▼                ▼                  ▼              ▼
//!   [ 7 ][ 8 ][ 9 ][ 10 ][ 11 ][ 12 ][ 13 ][ 14 ][ 15 ]
//! ```
//!
//! A message may hold several frames. It is sent, kept and forgotten as one; the server may have taken some of it.

use std::collections::VecDeque;
use std::ops::RangeInclusive;

use super::Limits;
use crate::control::Acked;
use crate::engine::Frame;
use crate::frame::{bundle, flags};

/// Messages whose memory is used again: as many as one acknowledgement lets go.
const SPARE: usize = 4;
/// How much memory of a message is used again, in bytes: less costs nothing anew, and more is not kept for nothing.
const SPARE_BYTES: RangeInclusive<usize> = 32 << 10..=1 << 20;

/// Frames with consecutive positions, and how far they have come.
#[derive(Debug)]
pub struct Window {
    limits: Limits,
    messages: VecDeque<Kept>,
    /// The position of the first frame kept.
    first: u64,
    /// The position the server expects: all before it are acknowledged.
    expected: u64,
    /// The position to send next.
    cursor: u64,
    next: u64,
    bytes: usize,
    in_flight: usize,
    unacked: usize,
    /// How many messages are acknowledged: which one holds the frame at `expected`.
    acked_messages: usize,
    /// Everything before this position was acknowledged by an earlier server.
    past: u64,
    /// The highest position that was ever acknowledged.
    acked: u64,
    /// The server keeps more than a window, and so must this one.
    keep: bool,
    /// Of messages that were forgotten. What is taken from the system anew costs more than a copy into it.
    spare: Vec<Vec<u8>>,
}

/// One message and the positions it covers.
#[derive(Debug)]
struct Kept {
    first: u64,
    /// The position behind its last frame.
    end: u64,
    frame: Frame,
}

impl Kept {
    /// The message as it is sent: what is before `past` says that it is.
    fn marked(&self, past: u64) -> Frame {
        if self.first >= past {
            return self.frame.clone();
        }
        Frame::new(bundle::with_flags(
            &self.frame,
            |number| {
                if self.first + (number as u64) < past { flags::PAST } else { 0 }
            },
        ))
    }
}

impl Window {
    /// An empty window; the first position is 1.
    #[must_use]
    pub fn new(limits: Limits) -> Window {
        Window {
            limits,
            messages: VecDeque::new(),
            first: 1,
            expected: 1,
            cursor: 1,
            next: 1,
            bytes: 0,
            in_flight: 0,
            unacked: 0,
            acked_messages: 0,
            past: 1,
            acked: 1,
            keep: false,
            spare: Vec::new(),
        }
    }

    /// Empty memory for a message of about so many bytes.
    pub fn memory(&mut self, capacity: usize) -> Vec<u8> {
        let fits = |spare: &Vec<u8>| (capacity..=2 * capacity).contains(&spare.capacity());
        let found = self.spare.iter().rposition(fits);
        found.map_or_else(|| Vec::with_capacity(capacity), |index| self.spare.swap_remove(index))
    }

    /// The position the next frame gets.
    #[must_use]
    pub fn next_position(&self) -> u64 {
        self.next
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

    /// Whether a frame waits.
    #[must_use]
    pub fn is_behind(&self) -> bool {
        self.cursor < self.next_position()
    }

    /// Everything before this position was acknowledged by an earlier server.
    #[must_use]
    pub fn past(&self) -> u64 {
        self.past
    }

    /// The messages kept, oldest first.
    pub fn messages(&self) -> impl Iterator<Item = &Frame> {
        self.messages.iter().map(|kept| &kept.frame)
    }

    /// The messages that the server has not acknowledged, or not all of it.
    pub fn unacked(&self) -> impl Iterator<Item = &Frame> {
        self.messages.range(self.acked_messages..).map(|kept| &kept.frame)
    }

    /// Appends a message of so many frames, the first of which has [`next_position`](Window::next_position).
    pub fn append(&mut self, frame: Frame, frames: usize) {
        self.bytes += frame.len();
        self.unacked += frame.len();
        let first = self.next;
        self.next += frames as u64;
        self.messages.push_back(Kept { first, end: self.next, frame });
        self.forget();
    }

    /// The next message to hand to the engine, as long as not too much is on its way.
    pub fn send(&mut self) -> Option<Frame> {
        if !self.can_send() {
            return None;
        }
        let kept = self.messages.get(self.index_of(self.cursor))?;
        self.in_flight += kept.frame.len();
        self.cursor = kept.end;
        Some(kept.marked(self.past))
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
        self.keep = acked.keep;
        if acked.next > self.expected {
            self.expected = acked.next;
            self.acked = self.acked.max(acked.next);
            self.cursor = self.cursor.max(acked.next);
        }
        if acked.again {
            // What the server expects and the window no longer has is lost; where the publisher begins says so.
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
        self.measure();
    }

    /// Goes back to the first frame that is not acknowledged: the connection was thrown away.
    pub fn go_back(&mut self) {
        self.cursor = self.expected;
        self.measure();
    }

    /// The newest message that was sent and not acknowledged. Sent once more, it makes the server say
    /// what it expects.
    #[must_use]
    pub fn probe(&self) -> Option<Frame> {
        let newest = self.messages.get(self.index_of(self.cursor.checked_sub(1)?));
        (self.expected < self.cursor).then(|| newest.map(|kept| kept.marked(self.past)))?
    }

    /// Which message holds the frame at `position`; behind the last one if none does.
    fn index_of(&self, position: u64) -> usize {
        // Mostly it is the newest or none, and a search would touch what has left the processor's cache.
        match self.messages.back() {
            Some(newest) if position < newest.first => self.messages.partition_point(|kept| kept.end <= position),
            Some(newest) if position < newest.end => self.messages.len() - 1,
            _ => self.messages.len(),
        }
    }

    /// Sums up anew after `expected` or `cursor` moved; cheap, since acknowledgements are rare.
    fn measure(&mut self) {
        self.acked_messages = self.index_of(self.expected);
        let (from, sent) = (self.acked_messages, self.index_of(self.cursor));
        let sum = |kept: std::collections::vec_deque::Iter<'_, Kept>| kept.map(|kept| kept.frame.len()).sum::<usize>();
        self.in_flight = sum(self.messages.range(from..sent));
        self.unacked = self.in_flight + sum(self.messages.range(sent..));
    }

    /// Drops the oldest acknowledged messages that no longer fit. What waits takes none of their room: a server keeps as
    /// much to replay, and what it still owes to somebody when it dies has to be here. Besides it may keep the message that
    /// it took last and a part of the oldest, so neither counts.
    fn forget(&mut self) {
        let limit = if self.keep { self.limits.grown() } else { self.limits.window };
        while let Some(between) = self.acked_messages.checked_sub(2)
            && let ends = self.messages[0].frame.len() + self.messages[between + 1].frame.len()
            && let kept = self.bytes - self.unacked - ends
            && kept > limit
            && self.limits.exceeds_queues(between, kept)
            && let Some(kept) = self.messages.pop_front()
        {
            self.bytes -= kept.frame.len();
            self.acked_messages -= 1;
            self.first = kept.end;
            if let Some(mut memory) = kept.frame.into_memory().filter(|memory| SPARE_BYTES.contains(&memory.capacity()))
            {
                memory.clear();
                self.spare.truncate(SPARE - 1);
                self.spare.push(memory);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delivery::ring::Ring;

    #[test]
    fn what_waits_takes_no_room_from_what_is_acknowledged() {
        let mut window = Window::new(Limits { window: 100, window_frames: 0, ..Limits::default() });
        for _ in 0..10 {
            window.append(Frame::new(vec![0; 10]), 1);
        }
        window.acked(Acked { next: 11, again: false, keep: false });
        for _ in 0..100 {
            window.append(Frame::new(vec![0; 10]), 1);
        }
        assert_eq!((window.first_position(), window.kept_bytes()), (1, 1_100));
        window.acked(Acked { next: 61, again: false, keep: false });
        assert_eq!((window.first_position(), window.kept_bytes()), (49, 620));
    }

    #[test]
    fn fewer_large_frames_are_kept_than_usual_ones() {
        let limits = Limits { window: 100, window_frames: 10, window_most: 300, ..Limits::default() };
        for (bytes, kept) in [(10, 12), (25, 12), (100, 5), (1_000, 2)] {
            let mut window = Window::new(limits);
            for _ in 0..30 {
                window.append(Frame::new(vec![0; bytes]), 1);
            }
            window.acked(Acked { next: window.next_position(), again: false, keep: false });
            assert_eq!(window.kept_bytes() / bytes, kept, "of {bytes} bytes");
            // A server has no more to replay.
            let mut ring = Ring::new(limits);
            for _ in 0..30 {
                while ring.is_full() {
                    ring.pop();
                }
                ring.push(Frame::new(vec![0; bytes]));
            }
            assert!(ring.bytes() <= window.kept_bytes(), "of {bytes} bytes");
        }
    }

    #[test]
    fn a_window_grows_with_the_ring_of_its_server_and_shrinks_with_it() {
        let mut window = Window::new(Limits { window: 100, window_frames: 0, ..Limits::default() });
        let mut kept = |next: u64, keep| {
            for _ in window.next_position()..next {
                window.append(Frame::new(vec![0; 10]), 1);
            }
            window.acked(Acked { next, again: false, keep });
            window.kept_bytes()
        };
        assert_eq!([kept(21, false), kept(31, true), kept(101, true), kept(102, false)], [120, 220, 420, 120]);
    }

    #[test]
    fn memory_of_what_is_forgotten_is_used_again_unless_somebody_reads_it() {
        let mut window = Window::new(Limits { window: 0, window_frames: 0, ..Limits::default() });
        let mut forgotten = |read: bool| {
            let frame = Frame::new(vec![7; 40_000]);
            let (at, reads) = (frame.as_ptr(), read.then(|| frame.clone()));
            window.append(frame, 1);
            (0..3).for_each(|_| window.append(Frame::new(vec![7]), 1));
            window.acked(Acked { next: window.next_position(), again: false, keep: false });
            (window.memory(30_000), at, reads)
        };
        let (memory, at, _) = forgotten(false);
        assert_eq!((memory.as_ptr(), memory.len(), memory.capacity()), (at, 0, 40_000));
        let (memory, at, reads) = forgotten(true);
        assert_ne!(memory.as_ptr(), at);
        assert_eq!(reads.as_deref(), Some(&[7; 40_000][..]));
    }
}
