//! The events of the bench, by number: typed on both sides, as in a program.

use events_core::SharedBytes;
use events_core::client::Client;
use events_core::error::Error;

/// Generated from `bench.toml`.
#[allow(missing_docs, unreachable_pub, reason = "the catalog's items are public, and here nobody is outside")]
mod catalog {
    events::catalog!("bench.toml");
}

/// What is called with the bytes of each event.
pub(super) type Handler = Box<dyn FnMut(&[u8]) + Send>;

/// One type of event.
pub(super) struct Kind {
    pub(super) emit: fn(&Client, &[u8]) -> Result<(), Error>,
    pub(super) register: fn(&Client, Handler) -> Result<(), Error>,
}

macro_rules! kinds {
    ($($name:ident)*) => {
        /// All of them.
        pub(super) const KINDS: &[Kind] = &[$(Kind {
            emit: |client, data| client.emit(catalog::$name { data }),
            register: |client, mut handler| {
                client.register::<catalog::$name<SharedBytes>>(move |event| handler(&event.data)).map(drop)
            },
        },)*];
    };
}

kinds! {
    Bench00 Bench01 Bench02 Bench03 Bench04 Bench05 Bench06 Bench07
    Bench08 Bench09 Bench10 Bench11 Bench12 Bench13 Bench14 Bench15
    Bench16 Bench17 Bench18 Bench19 Bench20 Bench21 Bench22 Bench23
    Bench24 Bench25 Bench26 Bench27 Bench28 Bench29 Bench30 Bench31
    Bench32 Bench33 Bench34 Bench35 Bench36 Bench37 Bench38 Bench39
    Bench40 Bench41 Bench42 Bench43 Bench44 Bench45 Bench46 Bench47
}
