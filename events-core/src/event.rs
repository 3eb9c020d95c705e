//! What an event is to the rest: a name, a shape, and a payload that goes onto the wire and comes back.

/// An event that can be emitted.
pub trait Event {
    /// The owned form: what the catalog declares, with `String` and `Vec<u8>` fields.
    type Kind: Receive;
    /// What is known about the event at compile time.
    const INFO: &'static EventInfo;
    /// Appends the payload to `out` as one MessagePack array.
    ///
    /// # Errors
    /// [`PutError`] if a field cannot be written; `out` may then hold a part of it.
    fn put(&self, out: &mut Vec<u8>) -> Result<(), PutError>;
}

/// An event that can be received.
pub trait Receive: Event + Sized + 'static {
    /// Takes a payload back.
    ///
    /// # Errors
    /// [`TakeError`] on anything that is not such a payload.
    fn take(input: &mut Reader<'_>) -> Result<Self, TakeError>;
}
