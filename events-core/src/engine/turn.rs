//! How a server's thread and clients of its process share a hub: who waits where, and who does its work.

use std::sync::Arc;
use std::time::Duration;

use super::EngineError;

/// Where a server's thread waits for its hub, while others may have that.
pub trait Rest: Send + Sync {
    /// Waits until there is something for the server's thread to do, the hub's waker is called, or `limit` has passed.
    ///
    /// # Errors
    /// [`EngineError`] if the system refuses.
    fn wait(&self, limit: Duration) -> Result<Seen, EngineError>;
}

/// What a wait for a hub found, in the engine's own terms.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen(pub(crate) u8);

/// Turns a server on the thread that calls, in place of the server's own.
#[derive(Clone)]
pub struct Turn(Arc<dyn Fn(Seen) -> bool + Send + Sync>);

impl Turn {
    /// With what turns it, see [`turn`](Turn::turn).
    pub fn new(turn: impl Fn(Seen) -> bool + Send + Sync + 'static) -> Turn {
        Turn(Arc::new(turn))
    }

    /// Does what there is to do, after a wait that found this. Never waits. `false`: there is more, or somebody else is
    /// just at it, so the server's thread has to be woken.
    #[must_use]
    pub fn turn(&self, seen: Seen) -> bool {
        (self.0)(seen)
    }
}
