//! Where handlers get called: the table of one client's handlers, owned by its handler thread.
//!
//! ```text
//!  frame ─▶ entry of its name ─▶ for each record: for each route (one per payload type)
//!                                                   decode once ─▶ handler, handler, …
//! ```
//!
//! Nothing here is locked: whoever registers sends the handler over as a step, so handlers may
//! register, unregister and emit as they like.

use std::cell::OnceCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use hashlink::LinkedHashMap;
use rustc_hash::{FxBuildHasher, FxHashMap};

use crate::control::Reached;
use crate::delivery::subscriber::Step;
use crate::engine::Frame;
use crate::error::{Error, Lagged};
use crate::event::EventInfo;
use crate::frame::bundle::views;
use crate::frame::name::Name;
use crate::frame::{self, Content, Header, View, flags};
use crate::reader::SHARED;
use crate::received::About;
use crate::registration::Slot;
use crate::shape::ShapeMismatch;

#[doc(hidden)]
pub mod handling;

mod route;

pub use route::RawEvent;
pub(crate) use route::{Addition, Around, Shape};

use route::{At, Call, Rank, Route, message};

/// Handlers by event name, and what was received of each.
#[derive(Default)]
pub(crate) struct Dispatcher {
    entries: FxHashMap<Name, Entry>,
    any: Vec<Box<dyn Route>>,
    slots: FxHashMap<u64, Arc<Slot>>,
    verdicts: Verdicts,
    /// The message that is handed out, while it is and if payloads may share its bytes.
    shared: Option<Frame>,
}

/// By the fingerprints of ours and theirs.
type Verdicts = FxHashMap<(u64, u64), Verdict>;

/// Whether records of one shape can be read as another.
enum Verdict {
    Readable,
    Mismatch(ShapeMismatch),
    /// The server did not say. It is asked again after this time.
    Open(Instant),
}

/// How long that is.
const ASK_AGAIN: Duration = Duration::from_secs(5);

#[derive(Default)]
struct Entry {
    routes: Vec<Box<dyn Route>>,
    /// The next sequence of each publisher.
    expected: Expected,
}

impl Entry {
    fn rank(&self) -> Rank {
        rank_of(&self.routes)
    }
}

/// The most that can be said of the handlers behind some routes.
fn rank_of(routes: &[Box<dyn Route>]) -> Rank {
    routes.iter().map(|route| route.rank()).max().unwrap_or(Rank::Nobody)
}

/// What tells where a stream stands.
#[derive(Clone, Copy)]
enum Tells {
    /// A frame, or the answer to a registration.
    Frame,
    /// A frame that an earlier server had acknowledged.
    Past,
    /// A replay; the stream began there for this server.
    From(u64),
}

/// By publisher, the one that was silent for longest first: the next sequence of one event.
type Expected = LinkedHashMap<u64, u64, FxBuildHasher>;

/// How many publishers one event is followed for, and how many verdicts on shapes are kept.
const KNOWN: usize = 65_536;

impl Dispatcher {
    /// Does one step of the stream.
    pub(crate) fn step(&mut self, step: Step, around: &mut dyn Around) {
        match step {
            Step::Frame(message) => self.message(&message, Tells::Frame, around),
            Step::Replayed { frame, base } => self.message(&frame, Tells::From(base), around),
            Step::Had(message) => views(&message).for_each(|view| self.had(&view)),
            Step::Retained(frame) => self.recovered(&frame, around),
            Step::Foreign(frame) => {
                if let Ok(Content::Foreign { name }) = frame::parse(&frame) {
                    around.problem(Error::Foreign { event: name.to_owned() });
                }
            }
            Step::Malformed => around.problem(Error::Malformed),
            Step::Activate { registration, retained, sequences, streams } => {
                self.activate(registration, retained.as_ref(), sequences, streams, around);
            }
            Step::Reached(sequences) => {
                for reached in sequences {
                    self.expect(&reached.event, reached.publisher, reached.next, Tells::From(reached.base), around);
                }
            }
            Step::NewServer => self.slots.values().for_each(|slot| slot.new_server()),
        }
    }

    /// Hands out a message.
    fn message(&mut self, message: &Frame, tells: Tells, around: &mut dyn Around) {
        self.shared = (message.len() >= SHARED).then(|| message.clone());
        views(message).for_each(|view| self.frame(&view, tells, around));
        self.shared = None;
    }

    pub(crate) fn add(&mut self, addition: Addition) {
        let slot = addition.slot;
        let routes = match slot.event() {
            Some(event) => &mut self.entries.entry(event.into()).or_default().routes,
            None => &mut self.any,
        };
        (addition.add)(routes);
        self.slots.insert(slot.id(), slot);
    }

    /// Removes what was unregistered.
    pub(crate) fn sweep(&mut self) {
        self.slots.retain(|_, slot| !slot.is_cancelled());
        self.any.retain_mut(|route| route.sweep());
        let any = !self.any.is_empty();
        self.entries.retain(|_, entry| {
            entry.routes.retain_mut(|route| route.sweep());
            any || !entry.routes.is_empty()
        });
    }

    /// A registration becomes active here in the stream, and gets the retained event.
    fn activate(
        &mut self,
        registration: u64,
        retained: Option<&Frame>,
        sequences: Vec<(u64, u64)>,
        streams: Vec<Reached>,
        around: &mut dyn Around,
    ) {
        let Some(slot) = self.slots.get(&registration).cloned() else { return };
        // Where another handler is active, the stream has told by itself where it stands.
        if let Some(event) = slot.event() {
            if self.rank(event).max(self.rank_of_any()) == Rank::Nobody {
                self.entries.entry(event.into()).or_default().expected = sequences.into_iter().collect();
            }
        } else if self.rank_of_any() == Rank::Nobody {
            self.entries
                .values_mut()
                .filter(|entry| entry.rank() == Rank::Nobody)
                .for_each(|entry| entry.expected.clear());
            for Reached { publisher, event, next, .. } in streams {
                let entry = self.entries.entry(event.as_str().into()).or_default();
                if entry.rank() == Rank::Nobody {
                    reach(&mut entry.expected, publisher, next);
                }
            }
        }
        slot.activate();
        if let Some(Ok(Content::Event(view))) = retained.map(|frame| frame::parse(frame)) {
            self.retained(&view, registration, around);
        }
    }

    /// The server had lost a retained frame and has it back: those that came in between get it now.
    fn recovered(&mut self, frame: &Frame, around: &mut dyn Around) {
        let Ok(Content::Event(view)) = frame::parse(frame) else { return };
        let waits = |slot: &&Arc<Slot>| slot.event() == Some(view.name()) && slot.waits_for_first();
        let waiting: Vec<u64> = self.slots.values().filter(waits).map(|slot| slot.id()).collect();
        for registration in waiting {
            self.retained(&view, registration, around);
        }
    }

    /// Hands the last record of a retained frame to one registration.
    fn retained(&mut self, view: &View<'_>, registration: u64, around: &mut dyn Around) {
        if let Some((number, Ok(record))) = view.records().enumerate().last() {
            let last = View {
                header: Header { sequence: view.header.sequence.wrapping_add(number as u64), ..view.header },
                records: record,
                ..*view
            };
            self.records(&last, Some(registration), around);
        }
    }

    /// Hands a frame's records to whoever registered.
    fn frame(&mut self, view: &View<'_>, tells: Tells, around: &mut dyn Around) {
        let Header { publisher, sequence, position, .. } = view.header;
        let tells = if view.header.has(flags::PAST) { Tells::Past } else { tells };
        if view.header.has(flags::STANDS) {
            return self.expect(view.name(), publisher, sequence, tells, around);
        }
        if position == 0 {
            self.records(view, None, around);
            return;
        }
        if let Some(Entry { routes, expected }) = self.entries.get_mut(view.key())
            && let Some(expected) = expected.to_back(&publisher)
            && *expected == sequence
        {
            let shared = self.shared.as_ref();
            let count = call(routes, &mut self.any, &mut self.verdicts, view, shared, None, around);
            *expected = sequence.saturating_add(count);
            return;
        }
        self.expect(view.name(), publisher, sequence, tells, around);
        let next = sequence.saturating_add(self.records(view, None, around));
        if let Some(entry) = self.entries.get_mut(view.key()) {
            reach(&mut entry.expected, publisher, next);
        }
    }

    /// Passes a frame by: that it is not handed out is no loss to anybody.
    fn had(&mut self, view: &View<'_>) {
        if view.header.position != 0 && self.rank(view.name()).max(self.rank_of_any()) != Rank::Nobody {
            let entry = self.entries.entry(view.name().into()).or_default();
            reach(&mut entry.expected, view.header.publisher, view.header.sequence.saturating_add(view.count()));
        }
    }

    /// Who listens to the event by its name.
    fn rank(&self, event: &str) -> Rank {
        self.entries.get(event.as_bytes()).map_or(Rank::Nobody, Entry::rank)
    }

    /// Who listens to all events.
    fn rank_of_any(&self) -> Rank {
        rank_of(&self.any)
    }

    /// Notes that the stream stands at `sequence` now, and reports what was missed before it.
    fn expect(&mut self, event: &str, publisher: u64, sequence: u64, tells: Tells, around: &mut dyn Around) {
        let known = self.entries.get(event.as_bytes()).and_then(|entry| entry.expected.get(&publisher).copied());
        if known.is_some_and(|expected| expected >= sequence) {
            return;
        }
        let rank = self.rank(event).max(self.rank_of_any());
        if rank == Rank::Nobody {
            return;
        }
        let from = match (known, rank, tells) {
            // An earlier server's frames are none of their business.
            (_, Rank::Fresh, Tells::Past) => sequence,
            (Some(expected), Rank::Fresh, Tells::From(base)) => expected.max(base),
            (Some(expected), ..) => expected,
            // Nobody named it when they became active, so its first was 0.
            (None, Rank::Veteran, _) => 0,
            (None, _, Tells::From(base)) => base.min(sequence),
            // It has come from an earlier server: since then, nothing was lost on this connection.
            (None, ..) => sequence,
        };
        let entry = self.entries.entry(event.into()).or_default();
        reach(&mut entry.expected, publisher, sequence);
        if sequence > from {
            around.lagged(Lagged { event: event.to_owned(), publisher, missed: sequence - from });
        }
    }

    /// Calls whoever wants the event, or `only` one registration.
    fn records(&mut self, view: &View<'_>, only: Option<u64>, around: &mut dyn Around) -> u64 {
        let own = self.entries.get_mut(view.key()).map_or(&mut [][..], |entry| &mut entry.routes);
        call(own, &mut self.any, &mut self.verdicts, view, self.shared.as_ref(), only, around)
    }
}

/// Calls the handlers for each record and returns how many records there were.
fn call(
    own: &mut [Box<dyn Route>],
    any: &mut [Box<dyn Route>],
    verdicts: &mut Verdicts,
    view: &View<'_>,
    shared: Option<&Frame>,
    only: Option<u64>,
    around: &mut dyn Around,
) -> u64 {
    // Those that cannot read records of this shape; as good as always there are none.
    let mut unable = Vec::new();
    for (number, route) in own.iter().chain(&*any).enumerate() {
        if let Some(info) = route.info(view)
            && view.header.fingerprint != 0
            && !readable(verdicts, info, view, around)
        {
            unable.push(number);
        }
    }
    let past = only.is_none() && view.header.has(flags::PAST);
    let mut call = Call { around, only, past, view, event: OnceCell::new(), shared };
    let mut at = At::new(view.records, About::new(&view.header, only.is_some()));
    let alone = own.len() + any.len() == 1 && unable.is_empty();
    // Code that is not ours reads payloads, and may panic: then it goes on behind that.
    while let Err(panic) = catch_unwind(AssertUnwindSafe(|| {
        if alone
            && at.route == 0
            && let Some(route) = own.first_mut().or(any.first_mut())
        {
            return route.records(&mut at, &mut call);
        }
        while !at.rest.is_empty() {
            let routes = own.iter_mut().chain(&mut *any).enumerate().skip(at.route);
            for (number, route) in routes {
                at.route = number + 1;
                if !unable.contains(&number) {
                    let taken = route.record(at.rest, at.about, &mut call);
                    at.taken(taken, &mut call);
                }
            }
            if !at.goes_on() {
                break;
            }
        }
    })) {
        let event = view.name().to_owned();
        call.around.problem(Error::ReadingPanicked { event, message: message(&*panic) });
    }
    at.count
}

/// Whether records of the frame's shape can be read as `info`; the verdict is kept.
fn readable(verdicts: &mut Verdicts, info: &'static EventInfo, view: &View<'_>, around: &mut dyn Around) -> bool {
    let theirs = view.header.fingerprint;
    if theirs == info.fingerprint {
        return true;
    }
    if verdicts.len() >= KNOWN {
        verdicts.clear();
    }
    let key = (info.fingerprint, theirs);
    if verdicts.get(&key).is_none_or(|verdict| matches!(verdict, Verdict::Open(until) if *until <= Instant::now())) {
        verdicts.insert(key, judge(info, around.shape(theirs)));
    }
    let source = match verdicts.get(&key) {
        Some(Verdict::Readable) => return true,
        Some(Verdict::Mismatch(mismatch)) => mismatch.clone(),
        Some(Verdict::Open(_)) | None => unknown("the server did not say in time what the shape is"),
    };
    around.problem(Error::SchemaMismatch { event: view.name().to_owned(), publisher: view.header.publisher, source });
    false
}

fn judge(info: &EventInfo, shape: Shape) -> Verdict {
    match shape {
        Shape::Text(text) => info.check_shape(&text).map_or_else(Verdict::Mismatch, |()| Verdict::Readable),
        Shape::Unknown => Verdict::Mismatch(unknown("the server does not know the shape")),
        Shape::NoAnswer => Verdict::Open(Instant::now() + ASK_AGAIN),
    }
}

fn unknown(why: &str) -> ShapeMismatch {
    ShapeMismatch { field: String::new(), why: why.to_owned() }
}

/// Notes that a publisher's next sequence is at least `next`. Publishers that are silent for long make room.
fn reach(expected: &mut Expected, publisher: u64, next: u64) {
    if let Some(at) = expected.to_back(&publisher) {
        *at = next.max(*at);
        return;
    }
    if expected.len() >= KNOWN {
        expected.pop_front();
    }
    expected.insert(publisher, next);
}
