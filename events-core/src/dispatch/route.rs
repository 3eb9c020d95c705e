//! Handlers behind one face, whatever the type of their payload.

use std::any::Any;
use std::cell::OnceCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use rustc_hash::FxHashMap;

use crate::__private::Withheld;
use crate::engine::Frame;
use crate::error::{Error, Lagged};
use crate::event::{Catalog, EventInfo, Receive};
use crate::frame::View;
use crate::reader::Reader;
use crate::received::{About, Received};
use crate::registration::Slot;
use crate::take::TakeError;

/// A handler of the payload `P`.
pub(crate) type Handler<P> = Box<dyn FnMut(&Received<P>) + Send>;

/// What a dispatcher needs from around it.
pub(crate) trait Around {
    /// The canonical text behind a fingerprint.
    fn shape(&mut self, fingerprint: u64) -> Shape;
    /// Something was missed.
    fn lagged(&mut self, lagged: Lagged);
    /// Something went wrong with what arrived, or in a handler.
    fn problem(&mut self, error: Error);
    /// A handler is called now.
    fn calls(&mut self, slot: &Arc<Slot>);
}

/// What the server says of a fingerprint.
pub(crate) enum Shape {
    /// The canonical text behind it.
    Text(String),
    /// It does not know it.
    Unknown,
    /// Nothing, so far.
    NoAnswer,
}

/// All handlers with the same payload type on the same interest.
pub(crate) trait Route: Send {
    /// Decodes the record at the beginning of `bytes`, calls the handlers, returns the record's size.
    fn record(&mut self, bytes: &[u8], about: About, call: &mut Call<'_>) -> Result<usize, TakeError>;
    /// The same for record after record, as long as it can be told where the next one begins. Here rather than where
    /// several routes take turns, since it is compiled for each payload type: most frames are for one route only.
    fn records(&mut self, at: &mut At<'_>, call: &mut Call<'_>) {
        while !at.rest.is_empty() {
            at.route = 1;
            let taken = self.record(at.rest, at.about, call);
            at.taken(taken, call);
            if !at.goes_on() {
                break;
            }
        }
    }
    /// What this program knows of the event, if the payload is typed.
    fn info(&self, view: &View<'_>) -> Option<&'static EventInfo>;
    /// Removes what was unregistered. Returns whether anything is left.
    fn sweep(&mut self) -> bool;
    /// Who listens.
    fn rank(&self) -> Rank;
    fn as_any(&mut self) -> &mut dyn Any;
}

/// The most that can be said of some registrations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Rank {
    /// None is active.
    Nobody,
    /// One became active under the present server.
    Fresh,
    /// One was active before the present server began.
    Veteran,
}

impl Rank {
    fn of(slot: &Slot) -> Rank {
        match (slot.is_active(), slot.is_veteran()) {
            (false, _) => Rank::Nobody,
            (true, false) => Rank::Fresh,
            (true, true) => Rank::Veteran,
        }
    }
}

/// For whom a record is.
pub(crate) struct Call<'a> {
    pub(super) around: &'a mut dyn Around,
    /// Only this registration: a retained event at its activation.
    pub(super) only: Option<u64>,
    /// The record is of an earlier server's time: only for who was registered then.
    pub(super) past: bool,
    pub(super) view: &'a View<'a>,
    /// The event's name, once somebody has asked.
    pub(super) event: OnceCell<&'a str>,
    /// What the record stands in, if a payload may share its bytes.
    pub(super) shared: Option<&'a Frame>,
}

/// Where in a frame its records are being handed out.
pub(crate) struct At<'a> {
    pub(super) rest: &'a [u8],
    /// How many are done.
    pub(super) count: u64,
    pub(super) about: About,
    /// The route that has the record at hand next.
    pub(super) route: usize,
    /// The size of that record, once a route has read it.
    size: Option<usize>,
}

impl<'a> At<'a> {
    pub(super) fn new(records: &'a [u8], about: About) -> At<'a> {
        At { rest: records, count: 0, about, route: 0, size: None }
    }

    /// Notes what a route made of the record at hand.
    #[inline]
    pub(super) fn taken(&mut self, taken: Result<usize, TakeError>, call: &mut Call<'_>) {
        match taken {
            Ok(size) => self.size = Some(size),
            Err(source) => {
                let (event, publisher) = (call.event().to_owned(), self.about.publisher);
                call.around.problem(Error::Take { event, publisher, source });
            }
        }
    }

    /// Goes behind the record at hand. `false`: nobody can tell where that is.
    #[inline]
    pub(super) fn goes_on(&mut self) -> bool {
        let size = self.size.take().or_else(|| {
            let mut reader = Reader::new(self.rest);
            reader.skip().ok().map(|()| reader.position())
        });
        let Some(behind) = size.and_then(|size| self.rest.get(size..)) else { return false };
        self.rest = behind;
        self.route = 0;
        self.count += 1;
        self.about.sequence = self.about.sequence.wrapping_add(1);
        true
    }
}

impl Call<'_> {
    fn event(&self) -> &str {
        self.event.get_or_init(|| self.view.name())
    }

    #[inline]
    fn is_for(&self, slot: &Slot) -> bool {
        self.only.is_none_or(|only| only == slot.id()) && (!self.past || slot.is_veteran())
    }
}

/// The handlers of one payload type.
struct Handlers<P>(Vec<(Arc<Slot>, Handler<P>)>);

impl<P> Handlers<P> {
    fn call(&mut self, received: &Received<P>, call: &mut Call<'_>) {
        for (slot, handler) in &mut self.0 {
            if !call.is_for(slot) || !slot.may_call() {
                continue;
            }
            call.around.calls(slot);
            if let Err(panic) = catch_unwind(AssertUnwindSafe(|| handler(received))) {
                call.around.problem(Error::HandlerPanicked {
                    event: call.event().to_owned(),
                    uid: slot.uid().to_owned(),
                    message: message(&*panic),
                });
            }
        }
    }

    fn wanted(&self, call: &Call<'_>) -> bool {
        self.0.iter().any(|(slot, _)| call.is_for(slot) && slot.is_active())
    }

    fn sweep(&mut self) -> bool {
        self.0.retain(|(slot, _)| !slot.is_cancelled());
        !self.0.is_empty()
    }

    fn rank(&self) -> Rank {
        self.0.iter().map(|(slot, _)| Rank::of(slot)).max().unwrap_or(Rank::Nobody)
    }
}

struct Typed<E>(Handlers<E>);

impl<E: Receive> Route for Typed<E> {
    fn record(&mut self, bytes: &[u8], about: About, call: &mut Call<'_>) -> Result<usize, TakeError> {
        let mut reader = Reader::sharing(bytes, call.shared);
        if !self.0.wanted(call) {
            reader.skip()?;
            return Ok(reader.position());
        }
        let payload = E::take(&mut reader)?;
        self.0.call(&Received::new(payload, about), call);
        Ok(reader.position())
    }

    fn info(&self, _: &View<'_>) -> Option<&'static EventInfo> {
        Some(E::INFO)
    }

    fn sweep(&mut self) -> bool {
        self.0.sweep()
    }

    fn rank(&self) -> Rank {
        self.0.rank()
    }

    fn as_any(&mut self) -> &mut dyn Any {
        self
    }
}

struct AnyOf<A> {
    handlers: Handlers<A>,
    /// What is known of the catalog's events, by name.
    infos: FxHashMap<&'static [u8], &'static EventInfo>,
}

impl<A: Catalog> AnyOf<A> {
    fn new(handlers: Handlers<A>) -> AnyOf<A> {
        AnyOf { handlers, infos: A::EVENTS.iter().map(|info| (info.name.as_bytes(), *info)).collect() }
    }
}

impl<A: Catalog> Route for AnyOf<A> {
    fn record(&mut self, bytes: &[u8], about: About, call: &mut Call<'_>) -> Result<usize, TakeError> {
        let mut reader = Reader::sharing(bytes, call.shared);
        if !self.handlers.wanted(call) {
            reader.skip()?;
            return Ok(reader.position());
        }
        let payload = A::take(call.event(), &mut reader)?;
        self.handlers.call(&Received::new(payload, about), call);
        Ok(reader.position())
    }

    fn info(&self, view: &View<'_>) -> Option<&'static EventInfo> {
        self.infos.get(view.key()).copied()
    }

    fn sweep(&mut self) -> bool {
        self.handlers.sweep()
    }

    fn rank(&self) -> Rank {
        self.handlers.rank()
    }

    fn as_any(&mut self) -> &mut dyn Any {
        self
    }
}

/// An event as it came, for programs that know its type only at run time.
#[derive(Clone, PartialEq, Eq)]
pub struct RawEvent {
    /// The event's name.
    pub name: String,
    /// The fingerprint of the shape it was written with; 0 if its publisher gave none.
    pub fingerprint: u64,
    /// The payload: one MessagePack array.
    pub payload: Vec<u8>,
}

/// Without the payload: what in it is secret is not known here.
impl std::fmt::Debug for RawEvent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RawEvent")
            .field("name", &self.name)
            .field("fingerprint", &self.fingerprint)
            .field("payload", &Withheld(self.payload.len()))
            .finish()
    }
}

struct Raw(Handlers<RawEvent>);

impl Route for Raw {
    fn record(&mut self, bytes: &[u8], about: About, call: &mut Call<'_>) -> Result<usize, TakeError> {
        let mut reader = Reader::new(bytes);
        reader.skip()?;
        let size = reader.position();
        if self.0.wanted(call) {
            let event = RawEvent {
                name: call.event().to_owned(),
                fingerprint: about.fingerprint,
                payload: bytes[..size].to_vec(),
            };
            self.0.call(&Received::new(event, about), call);
        }
        Ok(size)
    }

    fn info(&self, _: &View<'_>) -> Option<&'static EventInfo> {
        None
    }

    fn sweep(&mut self) -> bool {
        self.0.sweep()
    }

    fn rank(&self) -> Rank {
        self.0.rank()
    }

    fn as_any(&mut self) -> &mut dyn Any {
        self
    }
}

/// One subscription, which takes each event over. It decodes for itself.
struct Owned<E> {
    slot: Arc<Slot>,
    handler: OwnedHandler<E>,
}

/// Takes an event over; `false` if it had no room and skipped it.
pub(crate) type OwnedHandler<E> = Box<dyn FnMut(Received<E>) -> bool + Send>;

impl<E: Receive> Route for Owned<E> {
    fn record(&mut self, bytes: &[u8], about: About, call: &mut Call<'_>) -> Result<usize, TakeError> {
        let mut reader = Reader::sharing(bytes, call.shared);
        if !call.is_for(&self.slot) || !self.slot.may_call() {
            reader.skip()?;
            return Ok(reader.position());
        }
        let payload = E::take(&mut reader)?;
        call.around.calls(&self.slot);
        if !(self.handler)(Received::new(payload, about)) {
            call.around.lagged(Lagged { event: call.event().to_owned(), publisher: about.publisher, missed: 1 });
        }
        Ok(reader.position())
    }

    fn info(&self, _: &View<'_>) -> Option<&'static EventInfo> {
        Some(E::INFO)
    }

    fn sweep(&mut self) -> bool {
        !self.slot.is_cancelled()
    }

    fn rank(&self) -> Rank {
        Rank::of(&self.slot)
    }

    fn as_any(&mut self) -> &mut dyn Any {
        self
    }
}

/// A handler on its way to the table.
pub(crate) struct Addition {
    pub(crate) slot: Arc<Slot>,
    /// Adds to the route of its payload type, which it makes if there is none yet.
    pub(super) add: Box<dyn FnOnce(&mut Vec<Box<dyn Route>>) + Send>,
}

impl Addition {
    pub(crate) fn typed<E: Receive>(slot: Arc<Slot>, handler: Handler<E>) -> Addition {
        Addition::of(slot, handler, |route: &mut Typed<E>| &mut route.0.0, |handlers| Box::new(Typed(handlers)))
    }

    pub(crate) fn any<A: Catalog>(slot: Arc<Slot>, handler: Handler<A>) -> Addition {
        Addition::of(slot, handler, |it: &mut AnyOf<A>| &mut it.handlers.0, |handlers| Box::new(AnyOf::new(handlers)))
    }

    pub(crate) fn raw(slot: Arc<Slot>, handler: Handler<RawEvent>) -> Addition {
        Addition::of(slot, handler, |route: &mut Raw| &mut route.0.0, |handlers| Box::new(Raw(handlers)))
    }

    pub(crate) fn owned<E: Receive>(slot: Arc<Slot>, handler: OwnedHandler<E>) -> Addition {
        let own = slot.clone();
        let add = Box::new(move |routes: &mut Vec<Box<dyn Route>>| {
            routes.push(Box::new(Owned { slot: own, handler }));
        });
        Addition { slot, add }
    }

    fn of<P: 'static, R: Route + 'static>(
        slot: Arc<Slot>,
        handler: Handler<P>,
        inside: fn(&mut R) -> &mut Vec<(Arc<Slot>, Handler<P>)>,
        make: fn(Handlers<P>) -> Box<dyn Route>,
    ) -> Addition {
        let own = slot.clone();
        let add = Box::new(move |routes: &mut Vec<Box<dyn Route>>| {
            match routes.iter_mut().find_map(|route| route.as_any().downcast_mut::<R>()) {
                Some(route) => inside(route).push((own, handler)),
                None => routes.push(make(Handlers(vec![(own, handler)]))),
            }
        });
        Addition { slot, add }
    }
}

/// What a panic said.
pub(super) fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no message".to_owned())
}
