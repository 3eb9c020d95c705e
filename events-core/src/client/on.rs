//! A registration in the making.

use std::marker::PhantomData;

use super::Shared;
use crate::dispatch::Addition;
use crate::error::Error;
use crate::event::Receive;
use crate::received::Received;
use crate::registration::Registration;

/// A registration for `E` with more said about it. Begun by [`Client::on`](super::Client::on), ended by
/// [`handle`](On::handle).
#[must_use = "nothing is registered until `handle` is called"]
pub struct On<'a, E> {
    shared: &'a Shared,
    choice: Choice,
    event: PhantomData<fn(E)>,
}

/// What is said about a registration.
#[derive(Default)]
pub(super) struct Choice {
    pub(super) uid: Option<String>,
    pub(super) replace: bool,
    pub(super) once: bool,
}

impl<'a, E: Receive> On<'a, E> {
    pub(super) fn new(shared: &'a Shared) -> On<'a, E> {
        On { shared, choice: Choice::default(), event: PhantomData }
    }

    /// Names the handler. A uid is unique per event and client.
    pub fn uid(mut self, uid: impl Into<String>) -> Self {
        self.choice.uid = Some(uid.into());
        self
    }

    /// Takes the place of the handler with the same uid, if there is one. No event falls between them.
    pub fn replace(mut self) -> Self {
        self.choice.replace = true;
        self
    }

    /// Calls the handler for one event only, then takes it back.
    pub fn once(mut self) -> Self {
        self.choice.once = true;
        self
    }

    /// Registers the handler. See [`Client::register`](super::Client::register).
    ///
    /// # Errors
    /// [`Error::AlreadyRegistered`] if the uid is taken and is not to be replaced, [`Error::Closed`].
    pub fn handle(self, handler: impl FnMut(&Received<E>) + Send + 'static) -> Result<Registration, Error> {
        let add = |slot| Addition::typed::<E>(slot, Box::new(handler));
        self.shared.register(Some(E::INFO.name), self.choice, add)
    }
}
