//! What a subscriber counts, so that a lost, a repeated and a reordered event each show.
//!
//! Every publisher numbers its events from 0 over all event types, and the number is the payload. So the
//! numbers of a publisher must rise by one; a jump is a loss, and a number that is not larger than the one
//! before came twice or out of order.

use std::collections::HashMap;
use std::sync::{Condvar, Mutex, PoisonError};

use crate::world::patience;

#[derive(Default)]
pub(crate) struct Ledger {
    publishers: Mutex<HashMap<u64, Account>>,
    changed: Condvar,
}

/// What was counted of one publisher.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Account {
    /// The number that comes next.
    next: u64,
    /// Events that arrived.
    pub(crate) received: u64,
    /// Events that the client reported as missed.
    pub(crate) missed: u64,
    /// Events that came twice or out of order.
    pub(crate) repeated: u64,
}

impl Ledger {
    /// The event with this number arrived.
    pub(crate) fn received(&self, publisher: u64, number: u64) {
        self.note(publisher, |account| {
            account.received += 1;
            if number < account.next {
                account.repeated += 1;
            } else {
                account.next = number + 1;
            }
        });
    }

    /// The client says that it missed some.
    pub(crate) fn missed(&self, publisher: u64, missed: u64) {
        self.note(publisher, |account| account.missed += missed);
    }

    fn note(&self, publisher: u64, change: impl FnOnce(&mut Account)) {
        let mut publishers = self.publishers.lock().unwrap_or_else(PoisonError::into_inner);
        change(publishers.entry(publisher).or_default());
        self.changed.notify_all();
    }

    /// What arrived so far, of everybody.
    pub(crate) fn so_far(&self) -> u64 {
        let publishers = self.publishers.lock().unwrap_or_else(PoisonError::into_inner);
        publishers.values().map(|account| account.received).sum()
    }

    /// Waits until every publisher's events are accounted for, and returns the accounts. The watchdog ends
    /// the waiting, and then they show what is not accounted for.
    pub(crate) fn settle(&self, emitted: &[(u64, u64)]) -> Vec<Account> {
        let publishers = self.publishers.lock().unwrap_or_else(PoisonError::into_inner);
        let account = |publishers: &HashMap<u64, Account>, id| publishers.get(&id).copied().unwrap_or_default();
        let open = |publishers: &mut HashMap<u64, Account>| {
            emitted.iter().any(|&(id, emitted)| {
                let account = account(publishers, id);
                account.received + account.missed < emitted
            })
        };
        let waited = self.changed.wait_timeout_while(publishers, patience() / 2, open);
        let (publishers, _) = waited.unwrap_or_else(PoisonError::into_inner);
        emitted.iter().map(|&(id, _)| account(&publishers, id)).collect()
    }
}
