//! Gives whoever holds a key a number, the same on both sockets of a hub.

use std::collections::HashMap;

use super::sys::Message;
use crate::engine::Owner;

/// The keys that have been seen. No more than were ever let in.
#[derive(Default)]
pub(super) struct Keyholders {
    owners: HashMap<Box<str>, Owner>,
}

impl Keyholders {
    /// Who sent `message`, by the key that [`Zap`](super::zap::Zap) let in. None where no key was asked for.
    pub(super) fn of(&mut self, message: &Message) -> Option<Owner> {
        let (key, _) = message.property(c"User-Id")?;
        if let Some(&owner) = self.owners.get(key) {
            return Some(owner);
        }
        let owner = Owner(u32::try_from(self.owners.len()).ok()?);
        self.owners.insert(key.into(), owner);
        Some(owner)
    }
}
