//! Where every publisher stands at the server: which frame is next, which come twice, which too early.

use hashlink::LinkedHashMap;
use rustc_hash::{FxBuildHasher, FxHashMap};

use super::ring::sequence_behind;
use super::{Limits, Now};
use crate::control::{Acked, Announced, Begins, Standing};
use crate::frame::name::Name;
use crate::frame::{Header, View, flags};

/// What to do with a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is the next one.
    Take {
        /// But for so many frames at its beginning, which came before.
        had: u64,
        /// An earlier server has acknowledged what lies before this position, and the frame may not say so.
        past: u64,
    },
    /// It came before.
    Duplicate,
    /// One before it is missing; the publisher is asked to go back.
    Early,
}

/// All publishers a server knows.
#[derive(Debug)]
pub struct Intake {
    limits: Limits,
    /// The one not seen for longest first.
    publishers: LinkedHashMap<u64, Known, FxBuildHasher>,
    /// See [`Limits::sequences`].
    bytes: usize,
    /// Publishers that have something to be told.
    due: Vec<u64>,
}

#[derive(Debug)]
struct Known {
    /// The position that is next; 0 until the publisher said where it begins.
    next: u64,
    /// Where it said that it begins here: nothing before this position will come. 0 until it has.
    oldest: u64,
    /// What lies before this position was acknowledged by an earlier server.
    past: u64,
    /// Bytes taken since the last acknowledgement.
    unacked: usize,
    /// The publisher must be told to go back.
    again: bool,
    /// When it was last told to, so that one jump asks once.
    asked: Option<Now>,
    /// Since when an acknowledgement is due.
    due: Option<Now>,
    /// It must hear at once.
    urgent: bool,
    streams: FxHashMap<Name, Sequence>,
}

/// One event of one publisher.
#[derive(Clone, Copy, Debug)]
struct Sequence {
    /// The first sequence that was not an earlier server's.
    base: u64,
    at: Stream,
}

/// Where the sequence of one event of one publisher stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// The next sequence is known.
    Next(u64),
    /// The newest frame is in the ring at this index; its records are counted when somebody asks.
    InRing(u64),
}

impl Intake {
    /// Knows nobody.
    #[must_use]
    pub fn new(limits: Limits) -> Intake {
        Intake { limits, publishers: LinkedHashMap::with_hasher(FxBuildHasher), bytes: 0, due: Vec::new() }
    }

    /// Decides about a message of so many frames, the first of which has this header. What is to be taken counts
    /// once [`take`](Intake::take) says so.
    pub fn judge(&mut self, header: &Header, frames: u64, now: Now) -> Verdict {
        let retry = self.limits.retry;
        let Some(known) = self.known(header.publisher) else { return Verdict::Early };
        let past = known.past;
        // Of a publisher that is new here only its oldest frame can be the first, and only when it has said to this
        // server which that is: what was queued for a server that is gone does not know what it had acknowledged.
        let oldest = header.has(flags::OLDEST) || header.position == known.oldest;
        if oldest && header.position >= known.next {
            return Verdict::Take { had: 0, past };
        }
        let duplicate = known.next != 0 && header.position < known.next;
        if known.next != 0
            && let Some(had) = known.next.checked_sub(header.position)
            && had < frames
        {
            return Verdict::Take { had, past };
        }
        if duplicate || known.asked.is_none_or(|asked| now.saturating_sub(asked) >= retry) {
            known.urgent = true;
            if !duplicate {
                known.again = true;
                known.asked = Some(now);
            }
            if known.due.is_none() {
                known.due = Some(now);
                self.due.push(header.publisher);
            }
        }
        if duplicate { Verdict::Duplicate } else { Verdict::Early }
    }

    /// A message of this publisher, of `len` bytes, was handed out; the position of its last frame was `last`.
    pub fn take(&mut self, publisher: u64, last: u64, len: usize, now: Now) {
        let Some(known) = self.known(publisher) else { return };
        known.next = last.saturating_add(1);
        known.again = false;
        known.asked = None;
        known.unacked += len;
        if known.due.is_none() {
            known.due = Some(now);
            self.due.push(publisher);
        }
    }

    /// A publisher says to this server where it begins.
    pub fn begins(&mut self, publisher: u64, begins: &Begins) {
        let Some(known) = self.known(publisher) else { return };
        known.oldest = known.oldest.max(begins.oldest);
        known.past = known.past.max(begins.past);
    }

    /// Whether frames of this publisher show that it has known an older server.
    #[must_use]
    pub fn is_resumed(header: &Header) -> bool {
        header.has(flags::OLDEST) && header.position > 1
    }

    /// Notes where the sequences stand behind frames that were handed out, and where that leads. What an earlier
    /// server had acknowledged is before the base, whatever became of the word that said so.
    pub fn note<'a>(&mut self, publisher: u64, mut frames: impl Iterator<Item = (View<'a>, Stream)>) {
        while let Some(known) = self.publishers.get_mut(&publisher)
            && let Some((name, stream)) = frames.find_map(|(view, at)| known.note(&view, at))
        {
            self.begin(publisher, name, stream);
        }
    }

    /// Notes what a publisher said of itself. Once it has begun, what is known stays; before, the highest word counts,
    /// since what it says only rises, and a lower one was meant for another server.
    pub fn announced(&mut self, said: &Announced) {
        let Some(known) = self.known(said.publisher) else { return };
        let begun = known.next != 0;
        match known.streams.get_mut(said.name.as_bytes()) {
            Some(_) if begun => {}
            Some(stream) => {
                stream.base = said.fresh.max(stream.base);
                // Nothing of who has not begun is in the ring.
                if let Stream::Next(next) = &mut stream.at {
                    *next = said.sequence.max(*next);
                }
            }
            None => {
                let stream = Sequence { base: said.fresh, at: Stream::Next(said.sequence) };
                self.begin(said.publisher, &said.name, stream);
            }
        }
    }

    /// The frame at `index` leaves the ring; `next` counts the sequence behind it.
    pub fn leaves_ring(&mut self, publisher: u64, name: &[u8], index: u64, next: impl FnOnce() -> u64) {
        if let Some(known) = self.publishers.get_mut(&publisher)
            && let Some(stream) = known.streams.get_mut(name)
            && stream.at == Stream::InRing(index)
        {
            stream.at = Stream::Next(next());
        }
    }

    /// Where every publisher stands that has begun.
    #[must_use]
    pub fn baseline(&self) -> Vec<Standing> {
        let begun = self.publishers.iter().filter(|(_, known)| known.next != 0);
        begun.map(|(&publisher, known)| (publisher, known.next - 1)).collect()
    }

    /// Where the sequences of `name` stand: publisher, base and present.
    pub fn streams<'a>(&'a self, name: &'a str) -> impl Iterator<Item = (u64, u64, Stream)> + 'a {
        let of = |(&publisher, known): (&u64, &Known)| {
            let stream = known.streams.get(name.as_bytes()).filter(|_| known.next != 0)?;
            Some((publisher, stream.base, stream.at))
        };
        self.publishers.iter().filter_map(of)
    }

    /// The first sequence of `name` by this publisher that was not an earlier server's.
    #[must_use]
    pub fn base(&self, publisher: u64, name: &str) -> u64 {
        let stream = self.publishers.get(&publisher).and_then(|known| known.streams.get(name.as_bytes()));
        stream.map_or(0, |stream| stream.base)
    }

    /// The events of this publisher.
    pub fn names(&self, publisher: u64) -> impl Iterator<Item = &str> {
        let known = self.publishers.get(&publisher);
        known.into_iter().flat_map(|known| known.streams.keys().map(|name| &**name))
    }

    /// Where all sequences stand: publisher, event, base and present.
    pub fn all_streams(&self) -> impl Iterator<Item = (u64, &str, u64, Stream)> {
        self.publishers.iter().flat_map(|(&publisher, known)| {
            known.streams.iter().map(move |(name, stream)| (publisher, &**name, stream.base, stream.at))
        })
    }

    /// How many publishers are known.
    #[must_use]
    pub fn len(&self) -> usize {
        self.publishers.len()
    }

    /// Whether none is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.publishers.is_empty()
    }

    /// What publishers must hear now, and whether to `keep` more than a window; `tell` returns whether the message left. What
    /// did not is due again the next time.
    pub fn acks(&mut self, keep: bool, now: Now, mut tell: impl FnMut(u64, Acked) -> bool) {
        if self.due.is_empty() {
            return;
        }
        let (limits, publishers) = (self.limits, &mut self.publishers);
        self.due.retain(|publisher| {
            let Some(known) = publishers.get_mut(publisher) else { return false };
            let Some(since) = known.due else { return false };
            let waits =
                !known.urgent && known.unacked < limits.ack_every && now.saturating_sub(since) < limits.ack_after;
            if waits || !tell(*publisher, Acked { next: known.next, again: known.again, keep }) {
                return true;
            }
            known.unacked = 0;
            known.due = None;
            known.urgent = false;
            false
        });
    }

    /// When an acknowledgement is due at the latest.
    #[must_use]
    pub fn next_ack(&self) -> Option<Now> {
        let since = self.due.iter().filter_map(|publisher| self.publishers.get(publisher)?.due).min()?;
        Some(since + self.limits.ack_after)
    }

    fn forget_oldest(&mut self) -> Option<()> {
        let (_, known) = self.publishers.pop_front()?;
        self.bytes -= known.bytes();
        Some(())
    }

    /// Notes the first that is known of an event of this publisher. When there is too much, those not seen for longest
    /// are forgotten; what one alone has too much of is not noted.
    fn begin(&mut self, publisher: u64, name: &str, stream: Sequence) {
        while self.bytes + weight(name) > self.limits.sequences {
            match self.publishers.front() {
                Some((&oldest, _)) if oldest != publisher => _ = self.forget_oldest(),
                _ => return,
            }
        }
        let Some(known) = self.publishers.get_mut(&publisher) else { return };
        if known.streams.insert(name.into(), stream).is_none() {
            self.bytes += weight(name);
        }
    }

    /// The entry of a publisher that is seen now; a new one takes the place of the one not seen for longest
    /// when there are too many.
    fn known(&mut self, publisher: u64) -> Option<&mut Known> {
        if self.publishers.to_back(&publisher).is_none() {
            if self.publishers.len() >= self.limits.known {
                self.forget_oldest()?;
            }
            let known = Known {
                next: 0,
                oldest: 0,
                past: 0,
                unacked: 0,
                again: false,
                asked: None,
                due: None,
                urgent: false,
                streams: FxHashMap::default(),
            };
            self.publishers.insert(publisher, known);
        }
        self.publishers.get_mut(&publisher)
    }
}

impl Known {
    /// Notes where the sequence stands behind a frame. Of an event that is new here, that is given back.
    fn note<'a>(&mut self, view: &View<'a>, at: Stream) -> Option<(&'a str, Sequence)> {
        let past = if view.header.has(flags::PAST) { sequence_behind(view) } else { 0 };
        let Some(stream) = self.streams.get_mut(view.key()) else {
            return Some((view.name(), Sequence { base: past.max(view.header.sequence), at }));
        };
        stream.base = stream.base.max(past);
        stream.at = at;
        None
    }

    /// What its sequences count for.
    fn bytes(&self) -> usize {
        self.streams.keys().map(|name| weight(name)).sum()
    }
}

/// What a sequence of this event counts for.
fn weight(name: &str) -> usize {
    32 + name.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(had: u64) -> Verdict {
        Verdict::Take { had, past: 0 }
    }

    #[test]
    fn a_publisher_begins_where_it_says_and_not_with_what_was_meant_for_another_server() {
        let mut intake = Intake::new(Limits::default());
        let header = |position| Header { flags: 0, publisher: 1, position, sequence: 0, fingerprint: 0, sent_at: 0 };
        assert_eq!(intake.judge(&header(3), 1, 0), Verdict::Early);
        intake.begins(1, &Begins { epoch: 1, oldest: 3, past: 5 });
        assert_eq!(intake.judge(&header(4), 1, 0), Verdict::Early);
        assert_eq!(intake.judge(&header(3), 1, 0), Verdict::Take { had: 0, past: 5 });
        intake.take(1, 3, 1, 0);
        // What lies between is gone for good.
        intake.begins(1, &Begins { epoch: 1, oldest: 7, past: 5 });
        assert_eq!(intake.judge(&header(3), 1, 0), Verdict::Duplicate);
        assert_eq!(intake.judge(&header(8), 1, 0), Verdict::Early);
        assert_eq!(intake.judge(&header(7), 1, 0), Verdict::Take { had: 0, past: 5 });
    }

    #[test]
    fn of_a_message_that_was_had_in_part_the_rest_is_taken() {
        let mut intake = Intake::new(Limits::default());
        let header = |position| Header {
            flags: if position == 1 { flags::OLDEST } else { 0 },
            publisher: 1,
            position,
            sequence: 0,
            fingerprint: 0,
            sent_at: 0,
        };
        assert_eq!(intake.judge(&header(1), 5, 0), take(0));
        intake.take(1, 3, 1, 0);
        assert_eq!(intake.judge(&header(1), 3, 0), Verdict::Duplicate);
        assert_eq!(intake.judge(&header(1), 5, 0), take(3));
        assert_eq!(intake.judge(&header(4), 2, 0), take(0));
        assert_eq!(intake.judge(&header(5), 2, 0), Verdict::Early);
    }

    #[test]
    fn what_an_earlier_server_had_acknowledged_is_before_the_base() {
        let mut intake = Intake::new(Limits::default());
        intake.take(1, 1, 1, 0);
        let mut note = |flags, sequence| {
            let header = Header { flags, publisher: 1, position: 1, sequence, fingerprint: 0, sent_at: 0 };
            let view = View { topic: b"A\0", header, records: &[0x90, 0x90] };
            intake.note(1, std::iter::once((view, Stream::Next(sequence + 2))));
            intake.base(1, "A")
        };
        assert_eq!(note(flags::PAST, 3), 5);
        assert_eq!(note(flags::PAST, 5), 7);
        assert_eq!(note(0, 7), 7);
    }

    #[test]
    fn names_without_end_push_out_who_was_not_seen_for_longest_and_then_count_no_more() {
        let mut intake = Intake::new(Limits { sequences: 3 * weight("A1"), ..Limits::default() });
        let mut emits = |publisher, name: &str| {
            intake.take(publisher, 1, 1, 0);
            let header = Header { flags: 0, publisher, position: 1, sequence: 4, fingerprint: 0, sent_at: 0 };
            let view = View { topic: name.as_bytes(), header, records: &[0x90] };
            intake.note(publisher, std::iter::once((view, Stream::Next(5))));
            (intake.len(), intake.all_streams().count(), intake.bytes)
        };
        let one = weight("A1");
        assert_eq!(emits(1, "A1"), (1, 1, one));
        assert_eq!(emits(2, "A1"), (2, 2, 2 * one));
        assert_eq!(emits(2, "A2"), (2, 3, 3 * one));
        assert_eq!(emits(2, "A2"), (2, 3, 3 * one), "known already");
        assert_eq!(emits(2, "A3"), (1, 3, 3 * one));
        assert_eq!(emits(2, "A4"), (1, 3, 3 * one));
        assert_eq!(emits(3, "A1"), (1, 1, one));
    }

    #[test]
    fn a_new_publisher_takes_the_place_of_the_one_not_seen_for_longest() {
        let mut intake = Intake::new(Limits { known: 3, ..Limits::default() });
        let header = |publisher, position| Header {
            flags: if position == 1 { flags::OLDEST } else { 0 },
            publisher,
            position,
            sequence: 0,
            fingerprint: 0,
            sent_at: 0,
        };
        for publisher in [1, 2, 3] {
            intake.take(publisher, 1, 1, 0);
        }
        assert_eq!(intake.judge(&header(1, 2), 1, 0), take(0));
        intake.take(4, 1, 1, 0);
        let baseline: Vec<u64> = intake.baseline().into_iter().map(|(publisher, _)| publisher).collect();
        assert_eq!(baseline, [3, 1, 4]);
        // Who was forgotten is a stranger: it is asked where it begins.
        assert_eq!(intake.judge(&header(2, 2), 1, 0), Verdict::Early);
        assert_eq!(intake.len(), 3);
    }
}
