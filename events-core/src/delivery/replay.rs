//! One client's replay: a cursor that follows the ring until it has caught up.

use std::collections::VecDeque;

use rustc_hash::{FxHashMap, FxHashSet};

use super::ring::{Ring, sequence_behind};
use super::{Limits, Now};
use crate::control::Resume;
use crate::engine::Frame;
use crate::frame::bundle::views;
use crate::frame::{self, Content, View};

/// What a client still has to get.
#[derive(Debug)]
pub struct Replay {
    number: u64,
    cursor: u64,
    had: FxHashMap<u64, u64>,
    names: FxHashSet<String>,
    any: bool,
    /// Where the client's streams stand, by the frames in the ring that it had.
    stands: FxHashMap<u64, FxHashMap<String, u64>>,
    /// When it last took a frame.
    moved: Now,
    /// The frames sent last, which may be on their way still, and their sizes: as many as the queues there can hold, and
    /// as many bytes as the system may besides.
    on_their_way: VecDeque<(u64, usize)>,
    bytes: usize,
}

/// What to send next.
#[derive(Debug)]
pub enum Next {
    /// This frame; [`Replay::sent`] once it left.
    Frame(Frame),
    /// It has caught up.
    End,
    /// It is still on its way; later.
    Later,
}

impl Replay {
    /// A replay from the ring's oldest frame on.
    #[must_use]
    pub fn new(number: u64, resume: Resume, ring: &Ring, now: Now) -> Replay {
        Replay {
            number,
            cursor: ring.tail(),
            had: resume.had.into_iter().collect(),
            names: resume.names.into_iter().collect(),
            any: resume.any,
            stands: FxHashMap::default(),
            moved: now,
            on_their_way: VecDeque::new(),
            bytes: 0,
        }
    }

    /// Which attempt of the client it serves.
    #[must_use]
    pub fn number(&self) -> u64 {
        self.number
    }

    /// The frame to send next. Looks at no more than `budget` frames of the ring, which it counts down.
    pub fn next(&mut self, ring: &Ring, budget: &mut usize) -> Next {
        self.cursor = self.cursor.max(ring.tail());
        while let Some(frame) = ring.get(self.cursor) {
            if *budget == 0 {
                return Next::Later;
            }
            *budget -= 1;
            if let Some(lacking) = self.lacking(frame) {
                return Next::Frame(lacking);
            }
            self.cursor += 1;
        }
        Next::End
    }

    /// The frame that [`next`](Replay::next) gave, of so many bytes, has left.
    pub fn sent(&mut self, bytes: usize, limits: &Limits, now: Now) {
        self.on_their_way.push_back((self.cursor, bytes));
        self.bytes += bytes;
        while let Some(&(_, oldest)) = self.on_their_way.front()
            && let behind = self.bytes - oldest
            && behind >= limits.in_sockets
            && limits.exceeds_queues(self.on_their_way.len(), behind)
        {
            self.bytes = behind;
            self.on_their_way.pop_front();
        }
        self.cursor += 1;
        self.moved = now;
    }

    /// Whether the ring must not drop the frame at `index` yet: the client may lack it, and the replay moves on or the
    /// client was `seen` to. To be seen helps only so long.
    ///
    /// A frame on its way counts as well. Otherwise a client could lack the whole ring and what is on its way besides,
    /// and if this server died, publishers would not have that much.
    #[must_use]
    pub fn holds(&self, index: u64, seen: Now, limits: &Limits, now: Now) -> bool {
        let rests = now.saturating_sub(self.moved);
        let lives = rests < limits.stall || now.saturating_sub(seen) < limits.stall && rests < limits.patience;
        lives && self.on_their_way.front().map_or(self.cursor, |(oldest, _)| *oldest) <= index
    }

    /// Whether the client asked for the event.
    #[must_use]
    pub fn wants_name(&self, name: &str) -> bool {
        self.any || self.names.contains(name)
    }

    /// The sequence behind what the client had, as far as the ring shows.
    #[must_use]
    pub fn stands(&self, publisher: u64, name: &str) -> u64 {
        self.stands.get(&publisher).and_then(|streams| streams.get(name)).copied().unwrap_or(0)
    }

    /// What the client wants of a message and lacks.
    fn lacking(&mut self, message: &Frame) -> Option<Frame> {
        let mut lacks = Vec::new();
        for view in views(message) {
            let wants = self.wants_name(view.name());
            if wants && !self.lacks(&view) {
                self.passes(&view);
            }
            lacks.push(wants && self.lacks(&view));
        }
        if lacks.iter().all(|lacks| *lacks) {
            return (!lacks.is_empty()).then(|| message.clone());
        }
        match frame::parse(message) {
            Ok(Content::Bundle(bundle)) => bundle.only(|number| lacks.get(number) == Some(&true)).map(Frame::new),
            _ => None,
        }
    }

    fn lacks(&self, view: &View<'_>) -> bool {
        view.header.position > self.had.get(&view.header.publisher).copied().unwrap_or(0)
    }

    fn passes(&mut self, view: &View<'_>) {
        let streams = self.stands.entry(view.header.publisher).or_default();
        let next = sequence_behind(view);
        match streams.get_mut(view.name()) {
            Some(stands) => *stands = next,
            None => drop(streams.insert(view.name().to_owned(), next)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::Header;

    /// Which of four frames of 40 bytes that were sent at 0 are held.
    fn held(limits: &Limits, seen: Now, now: Now) -> [bool; 4] {
        let mut ring = Ring::new(*limits);
        for position in 1..=4 {
            let mut bytes = Vec::new();
            let header = Header { flags: 0, publisher: 9, position, sequence: 0, fingerprint: 0, sent_at: 0 };
            frame::begin(&mut bytes, "E", &header);
            ring.push(Frame::new(bytes));
        }
        let asks = Resume { had: Vec::new(), names: vec!["E".to_owned()], any: false };
        let mut replay = Replay::new(1, asks, &ring, 0);
        for _ in 0..4 {
            assert!(matches!(replay.next(&ring, &mut 10), Next::Frame(_)));
            replay.sent(40, limits, 0);
        }
        [0, 1, 2, 3].map(|index| replay.holds(index, seen, limits, now))
    }

    #[test]
    fn what_may_be_on_its_way_is_held_as_long_as_the_client_lives() {
        // The queues hold two, so the first two have arrived.
        let limits = Limits { window_frames: 2, in_sockets: 0, ..Limits::default() };
        assert_eq!(held(&limits, 0, limits.stall - 1), [false, false, true, true]);
        assert_eq!(held(&limits, 0, limits.stall), [false; 4]);
        assert_eq!(held(&limits, limits.stall, limits.stall + 1), [false, false, true, true]);
        assert_eq!(held(&limits, limits.patience, limits.patience), [false; 4]);
    }

    #[test]
    fn nor_has_what_the_system_may_hold_arrived() {
        for (in_sockets, first) in [(80, 2), (81, 1), (160, 0), (1_000, 0)] {
            let limits = Limits { window_frames: 1, in_sockets, ..Limits::default() };
            assert_eq!(held(&limits, 0, 0), [0, 1, 2, 3].map(|index| index >= first), "{in_sockets}");
        }
    }
}
