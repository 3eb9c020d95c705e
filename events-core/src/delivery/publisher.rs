//! The emitting side of a client: records become frames, frames get positions and go into the window.
//!
//! Consecutive records of the same event share a frame, and frames of different events share a message, as long as
//! it is open. Who opens and seals it, and when, is the client's to decide; here is only what must hold in whichever
//! order it happens.

mod anew;

use std::collections::VecDeque;
use std::ops::Range;

use rustc_hash::FxHashMap;

use super::Limits;
use super::window::Window;
use crate::control::{Acked, Announced, Topic};
use crate::engine::Frame;
use crate::event::PutError;
use crate::frame::bundle::{self, views};
use crate::frame::{self, Header, View, flags};

/// Room for no more than so many bytes is made before it is known that they are needed.
const LARGEST_GUESS: usize = 1 << 20;

/// What must be known of an event to emit it.
#[derive(Clone, Copy)]
pub struct Kind<'a> {
    /// Its name on the wire.
    pub name: &'a str,
    /// The fingerprint of its shape; 0 if there is none to compare.
    pub fingerprint: u64,
    /// Whether the last one is kept for late joiners.
    pub retain: bool,
    /// The canonical text of its shape; called once per event and server.
    pub shape: &'a dyn Fn() -> String,
}

/// Writes a record at the end of what is there.
pub type Put<'a> = &'a mut dyn FnMut(&mut Vec<u8>) -> Result<(), PutError>;

/// Why a record was not taken.
#[derive(Debug)]
pub enum Refused {
    /// The window is full: nothing more until the server acknowledges.
    Full,
    /// The payload cannot be written.
    Put(PutError),
    /// The frame would be larger than the limit, in bytes.
    TooLarge(usize),
    /// No event can have the name.
    Name,
}

/// Turns records into numbered frames and keeps them until they are safe.
pub struct Publisher {
    id: u64,
    limits: Limits,
    /// Which run of the server has greeted last.
    epoch: u64,
    window: Window,
    streams: Vec<Stream>,
    index: FxHashMap<Box<str>, usize>,
    open: Option<Open>,
    /// Control messages, and retained frames told again: they go before the window's frames.
    first: VecDeque<Frame>,
    /// How large the last frame was: a good guess for the next.
    guess: usize,
}

/// All records of one event.
struct Stream {
    name: Box<str>,
    fingerprint: u64,
    shape: String,
    next_sequence: u64,
    retain: bool,
    retained: Option<(u64, Frame)>,
}

/// The message that records are added to.
#[derive(Default)]
struct Open {
    bytes: Vec<u8>,
    sent_at: u64,
    /// The frames that are complete.
    complete: bundle::Writer,
    /// Those of them that are retained: stream, header, and where the records stand.
    retained: Vec<(usize, Header, Range<usize>)>,
    /// The records in them.
    records: u64,
    /// The frame that is not. Without one there is a complete one.
    frame: Option<OpenFrame>,
}

/// The frame that records are added to.
#[derive(Clone, Copy)]
struct OpenFrame {
    stream: usize,
    header: Header,
    /// Where the name stood that it was begun with: to be known again without a look at it.
    name_at: (usize, usize),
    records: u64,
    /// Where it begins in the message, and where its records do.
    start: usize,
    records_at: usize,
}

/// A record that is being written. If that panics, half of it must not stay.
struct Unfinished<'a> {
    publisher: &'a mut Publisher,
    before: usize,
}

impl Drop for Unfinished<'_> {
    fn drop(&mut self) {
        self.publisher.take_back(self.before);
    }
}

fn place(name: &str) -> (usize, usize) {
    (name.as_ptr().addr(), name.len())
}

impl Publisher {
    /// A publisher that has emitted nothing.
    #[must_use]
    pub fn new(id: u64, limits: Limits) -> Publisher {
        Publisher {
            id,
            limits,
            epoch: 0,
            window: Window::new(limits),
            streams: Vec::new(),
            index: FxHashMap::default(),
            open: None,
            first: VecDeque::new(),
            guess: 256,
        }
    }

    /// The publisher's id.
    #[must_use]
    pub fn id(&self) -> u64 {
        self.id
    }

    /// Adds one record, which `put` writes. `sent_at` is asked when a frame begins.
    ///
    /// # Errors
    /// [`Refused`]; nothing was added then.
    #[inline]
    pub fn record(&mut self, kind: &Kind<'_>, sent_at: fn() -> u64, put: Put<'_>) -> Result<(), Refused> {
        if !self.is_open_for(kind) {
            self.begin(kind, sent_at)?;
        }
        let before = self.open.as_ref().map_or(0, |open| open.bytes.len());
        let unfinished = Unfinished { publisher: &mut *self, before };
        let Some(Open { bytes, .. }) = &mut unfinished.publisher.open else { return Err(Refused::Full) };
        let written = put(bytes);
        std::mem::forget(unfinished);
        if written.is_ok()
            && let Some(Open { bytes, complete, frame: Some(frame), .. }) = &mut self.open
            && bytes.len() + complete.table() < self.limits.frame.min(self.limits.largest_frame)
        {
            frame.records += 1;
            return Ok(());
        }
        self.settle(kind, sent_at, before, written)
    }

    /// What becomes of a record behind `before` that failed, or with which the message is full.
    #[inline(never)]
    fn settle(
        &mut self,
        kind: &Kind<'_>,
        sent_at: fn() -> u64,
        before: usize,
        written: Result<(), PutError>,
    ) -> Result<(), Refused> {
        let Some(Open { bytes, complete, frame: Some(frame), .. }) = &mut self.open else { return Err(Refused::Full) };
        let size = bytes.len() + complete.table();
        match written {
            Ok(()) if size <= self.limits.largest_frame => {
                frame.records += 1;
                if size >= self.limits.frame {
                    self.seal();
                }
                Ok(())
            }
            Ok(()) if frame.records > 0 || frame.start > 0 => {
                // Alone in a message it may still fit.
                let record = bytes.split_off(before);
                self.take_back(before);
                self.seal();
                self.record(kind, sent_at, &mut |out| {
                    out.extend_from_slice(&record);
                    Ok(())
                })
            }
            written => {
                self.take_back(before);
                Err(written.map_or_else(Refused::Put, |()| Refused::TooLarge(size)))
            }
        }
    }

    fn is_open_for(&self, kind: &Kind<'_>) -> bool {
        let frame = self.open.as_ref().and_then(|open| open.frame.as_ref());
        frame.is_some_and(|frame| {
            // A fingerprint is of name and shape. Without one, another name may have taken the place of the last.
            let same = kind.fingerprint != 0 && frame.name_at == place(kind.name);
            frame.header.fingerprint == kind.fingerprint && (same || *self.streams[frame.stream].name == *kind.name)
        })
    }

    /// Forgets what was written behind `before`, and the frame if it has no records.
    fn take_back(&mut self, before: usize) {
        let Some(open) = &mut self.open else { return };
        open.bytes.truncate(before);
        if let Some(frame) = open.frame.take_if(|frame| frame.records == 0) {
            open.bytes.truncate(frame.start);
        }
        if open.bytes.is_empty() {
            self.open = None;
        }
    }

    /// Completes the frame that records are added to.
    fn complete(&mut self) {
        let Some(open) = &mut self.open else { return };
        let Some(frame) = open.frame.take() else { return };
        let stream = &mut self.streams[frame.stream];
        stream.next_sequence += frame.records;
        if stream.retain {
            open.retained.push((frame.stream, frame.header, frame.records_at..open.bytes.len()));
        }
        open.records += frame.records;
        open.complete.ends(open.bytes.len());
    }

    /// Closes the open message: what comes next begins another.
    pub fn seal(&mut self) {
        self.complete();
        let Some(mut open) = self.open.take() else { return };
        let frames = open.complete.frames();
        // Of several frames each retained one is copied, since the message is no frame; one alone is shared.
        for (stream, header, records) in open.retained.iter().filter(|_| frames > 1) {
            let stream = &mut self.streams[*stream];
            let view = View { topic: stream.name.as_bytes(), header: *header, records: &open.bytes[records.clone()] };
            stream.retained = Some((header.position, Frame::new(view.to_bytes())));
        }
        open.complete.finish(&mut open.bytes);
        self.guess = open.bytes.len();
        // A small message after a large one must not hold on to the room of a large one.
        if open.bytes.capacity() / 2 > open.bytes.len() {
            open.bytes.shrink_to_fit();
        }
        let message = Frame::new(open.bytes);
        if let [(stream, header, _)] = &open.retained[..]
            && frames == 1
        {
            self.streams[*stream].retained = Some((header.position, message.clone()));
        }
        self.window.append(message, frames);
    }

    /// The size of the open message, 0 if none is open.
    #[must_use]
    pub fn open_bytes(&self) -> usize {
        self.open.as_ref().map_or(0, |open| open.bytes.len())
    }

    /// The `sent_at` of the open message: when it was begun.
    #[must_use]
    pub fn opened(&self) -> Option<u64> {
        self.open.as_ref().map(|open| open.sent_at)
    }

    /// Whether a message waits until less is on its way.
    #[must_use]
    pub fn is_behind(&self) -> bool {
        self.window.is_behind()
    }

    /// The next message for the server, as long as not too much is on its way.
    pub fn send(&mut self) -> Option<Frame> {
        self.first.pop_front().or_else(|| self.window.send())
    }

    /// Whether [`send`](Publisher::send) has something.
    #[must_use]
    pub fn can_send(&self) -> bool {
        !self.first.is_empty() || self.window.can_send()
    }

    /// Whether a record would be taken.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.open.is_some() || self.window.has_room()
    }

    /// The position behind everything recorded so far, sealed or not.
    #[must_use]
    pub fn end(&self) -> u64 {
        let open = self.open.as_ref();
        let frames = open.map_or(0, |open| open.complete.frames() + usize::from(open.frame.is_some()));
        self.window.next_position() + frames as u64
    }

    /// The position up to which, exclusive, the server has acknowledged.
    #[must_use]
    pub fn acked_position(&self) -> u64 {
        self.window.acked_position()
    }

    /// How many frames the server has not acknowledged.
    #[must_use]
    pub fn unacked_frames(&self) -> u64 {
        self.end() - self.acked_position()
    }

    /// How many bytes the server has not acknowledged, but for the open message.
    #[must_use]
    pub fn unacked_bytes(&self) -> usize {
        self.window.unacked_bytes()
    }

    /// How many bytes are kept to be sent again.
    #[must_use]
    pub fn kept_bytes(&self) -> usize {
        self.window.kept_bytes()
    }

    /// How many records the server has not acknowledged.
    #[must_use]
    pub fn unacked_records(&self) -> u64 {
        let acked = self.window.acked_position();
        let unacked = self.window.unacked().flat_map(|message| views(message));
        let sealed: u64 = unacked.filter(|view| view.header.position >= acked).map(|view| view.count()).sum();
        let open = self.open.as_ref();
        let open = open.map_or(0, |open| open.records + open.frame.map_or(0, |frame| frame.records));
        sealed + open
    }

    /// The position of the oldest frame kept.
    #[must_use]
    pub fn first_position(&self) -> u64 {
        self.window.first_position()
    }

    /// What the server said of this publisher.
    pub fn acked(&mut self, acked: Acked) {
        if self.window.acked(acked) || acked.again {
            self.tell_again();
        }
    }

    /// See [`Window::probe`].
    #[must_use]
    pub fn probe(&self) -> Option<Frame> {
        self.window.probe()
    }

    /// Begins a frame, in the open message if there is one.
    #[inline(never)]
    fn begin(&mut self, kind: &Kind<'_>, sent_at: fn() -> u64) -> Result<(), Refused> {
        if self.open.is_none() && !self.window.has_room() {
            return Err(Refused::Full);
        }
        self.complete();
        let stream = match self.index.get(kind.name) {
            Some(&stream) => stream,
            None if frame::is_name(kind.name) => self.new_stream(kind),
            None => return Err(Refused::Name),
        };
        if self.streams[stream].fingerprint != kind.fingerprint {
            self.streams[stream].fingerprint = kind.fingerprint;
            self.streams[stream].shape = (kind.shape)();
            let sequence = self.streams[stream].next_sequence;
            let announcement = self.announce(stream, sequence, sequence);
            self.first.push_back(announcement);
        }
        let open = self.open.get_or_insert_with(|| {
            let capacity = (self.guess + self.guess / 8).clamp(160, LARGEST_GUESS);
            Open { bytes: self.window.memory(capacity), sent_at: sent_at(), ..Open::default() }
        });
        let header = Header {
            flags: if kind.retain { flags::RETAINED } else { 0 },
            publisher: self.id,
            position: self.window.next_position() + open.complete.frames() as u64,
            sequence: self.streams[stream].next_sequence,
            fingerprint: kind.fingerprint,
            sent_at: open.sent_at,
        };
        let start = open.bytes.len();
        open.complete.begin(&mut open.bytes, kind.name, &header);
        open.frame = Some(OpenFrame {
            stream,
            header,
            name_at: place(kind.name),
            records: 0,
            start,
            records_at: open.bytes.len(),
        });
        Ok(())
    }

    fn new_stream(&mut self, kind: &Kind<'_>) -> usize {
        let stream = self.streams.len();
        self.index.insert(kind.name.into(), stream);
        self.streams.push(Stream {
            name: kind.name.into(),
            fingerprint: 0,
            shape: String::new(),
            next_sequence: 0,
            retain: kind.retain,
            retained: None,
        });
        stream
    }

    /// Says that the stream goes on at `sequence` in the window, and at `fresh` with what no server has
    /// acknowledged.
    fn announce(&self, stream: usize, sequence: u64, fresh: u64) -> Frame {
        let stream = &self.streams[stream];
        Topic::Shape { fingerprint: stream.fingerprint }.message(&Announced {
            publisher: self.id,
            name: stream.name.to_string(),
            sequence,
            fresh,
            shape: stream.shape.clone(),
        })
    }
}
