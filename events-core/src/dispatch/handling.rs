//! A dispatcher without threads around it, for tests that drive the delivery in virtual time, and for benches.

use std::sync::{Arc, Mutex, Weak};

use super::{Addition, Around, Dispatcher, Shape};
use crate::delivery::subscriber::Step;
use crate::error::{Error, Lagged};
use crate::event::{Catalog, Receive};
use crate::lock;
use crate::received::Received;
use crate::registration::Slot;

/// What a handler, or a gap handler, was told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seen {
    /// A handler was called.
    Called {
        /// Of this registration.
        registration: u64,
        /// With this event.
        event: String,
        /// Of this publisher.
        publisher: u64,
        /// And this sequence.
        sequence: u64,
        /// Whether it was a retained event of before the registration.
        retained: bool,
        /// The payload as it came.
        payload: Vec<u8>,
    },
    /// Something was missed.
    Lagged(Lagged),
    /// Something went wrong.
    Problem(String),
}

/// The handlers of one client.
#[derive(Default)]
pub struct Handling {
    dispatcher: Dispatcher,
    slots: Vec<Arc<Slot>>,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Handling {
    /// Adds a handler that notes what it is called with.
    pub fn add(&mut self, registration: u64, event: Option<&str>) {
        let slot = Arc::new(Slot::new(registration, event, &registration.to_string(), false, Weak::new()));
        self.slots.push(slot.clone());
        let seen = self.seen.clone();
        self.dispatcher.add(Addition::raw(
            slot,
            Box::new(move |received| {
                lock(&seen).push(Seen::Called {
                    registration,
                    event: received.name.clone(),
                    publisher: received.publisher(),
                    sequence: received.sequence(),
                    retained: received.is_retained(),
                    payload: received.payload().payload.clone(),
                });
            }),
        ));
    }

    /// Adds a handler that is called with the payload, decoded: what benches measure.
    pub fn add_typed<E: Receive>(&mut self, registration: u64, handler: impl FnMut(&Received<E>) + Send + 'static) {
        let slot = Arc::new(Slot::new(registration, Some(E::INFO.name), &registration.to_string(), false, Weak::new()));
        self.slots.push(slot.clone());
        self.dispatcher.add(Addition::typed::<E>(slot, Box::new(handler)));
    }

    /// The same for all events of a catalog.
    pub fn add_any<A: Catalog>(&mut self, registration: u64, handler: impl FnMut(&Received<A>) + Send + 'static) {
        let slot = Arc::new(Slot::new(registration, None, &registration.to_string(), false, Weak::new()));
        self.slots.push(slot.clone());
        self.dispatcher.add(Addition::any::<A>(slot, Box::new(handler)));
    }

    /// Takes a handler back.
    pub fn remove(&mut self, registration: u64) {
        for slot in self.slots.extract_if(.., |slot| slot.id() == registration) {
            slot.cancel();
        }
        self.dispatcher.sweep();
    }

    /// Does what the handler thread does with a step; returns what was seen in it.
    pub fn step(&mut self, step: Step) -> Vec<Seen> {
        let mut around = Notes(self.seen.clone());
        self.dispatcher.step(step, &mut around);
        std::mem::take(&mut *lock(&self.seen))
    }
}

struct Notes(Arc<Mutex<Vec<Seen>>>);

impl Around for Notes {
    fn shape(&mut self, _: u64) -> Shape {
        Shape::Unknown
    }

    fn lagged(&mut self, lagged: Lagged) {
        lock(&self.0).push(Seen::Lagged(lagged));
    }

    fn problem(&mut self, error: Error) {
        lock(&self.0).push(Seen::Problem(error.to_string()));
    }

    fn calls(&mut self, _: &Arc<Slot>) {}
}
