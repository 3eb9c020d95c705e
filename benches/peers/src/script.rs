//! What the director and the parts of a run say to each other.

use serde::{Deserialize, Serialize};

use crate::systems::{Place, System};
use crate::tally::{Counted, Trips};

/// What a part is, from its start.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Cast {
    pub(crate) system: System,
    pub(crate) place: Place,
    pub(crate) role: Role,
    /// Among those of its role, from 0.
    pub(crate) number: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Role {
    Server,
    Publisher,
    Subscriber,
    /// Sends back what it gets.
    Echo,
}

/// Which types, and how many handlers each.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Kinds {
    pub(crate) first: usize,
    pub(crate) count: usize,
    /// From each to the next.
    pub(crate) step: usize,
    pub(crate) handlers: usize,
}

impl Kinds {
    /// One type, with one handler.
    pub(crate) fn only(kind: usize) -> Kinds {
        Kinds { first: kind, count: 1, step: 1, handlers: 1 }
    }

    /// The one with this index, from 0.
    pub(crate) fn at(self, index: usize) -> usize {
        self.first + index * self.step
    }

    pub(crate) fn all(self) -> impl Iterator<Item = usize> {
        (0..self.count).map(move |index| self.at(index))
    }

    pub(crate) fn has(self, kind: usize) -> bool {
        let from = kind.wrapping_sub(self.first);
        from.is_multiple_of(self.step) && from / self.step < self.count
    }
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) enum Pace {
    Burst,
    /// So many events per second.
    Steady(f64),
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Order {
    /// To a subscriber: register, and say [`Answer::Heard`] when something has come from so many publishers.
    Register { kinds: Kinds, publishers: usize },
    /// To a publisher: let those who listen hear something of each of these, until told otherwise.
    Probe { kinds: Kinds },
    /// To a publisher: no more of that.
    Hush,
    /// To a subscriber: count until so many of this phase have come.
    Expect { phase: u8, events: u64 },
    /// To a publisher: emit.
    Emit { phase: u8, events: u64, size: usize, kinds: Kinds, pace: Pace },
    /// To a subscriber: everything is out. What has not come after so many milliseconds of silence is lost.
    Finish { silence: u64 },
    /// To a publisher: exchange single events with the echo for so long.
    Ping { seconds: f64, size: usize },
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Answer {
    /// It has begun, in this process.
    Ready(u32),
    Registered,
    Heard,
    Hushed,
    Expecting,
    Emitted {
        began: u64,
    },
    Counted(Counted),
    Pinged(Trips),
    /// It cannot go on, and why.
    Failed(String),
}
