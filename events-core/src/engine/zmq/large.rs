//! Large messages on their way out. libzmq's queues count messages: full of large ones they would hold a gigabyte.

use std::io;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use bytes::Bytes;

use super::lock;
use super::sys::Message;
use crate::engine::Frame;

/// Smaller ones are not counted: frames close at 256 KiB, and of these a queue holds 16 MiB.
const LARGE: usize = 260 << 10;
/// So many bytes of large ones may be on their way, or a single one.
const AT_ONCE: usize = 8 << 20;

/// How much is on its way.
#[derive(Default)]
pub(super) struct Large {
    bytes: Mutex<usize>,
    /// It has become less.
    less: Condvar,
}

/// Leave for a message. Comes back when libzmq has handed it to the system for the last of its subscribers, or dropped it.
pub(super) struct Pass {
    large: Arc<Large>,
    bytes: usize,
}

impl Large {
    /// Leave for a message of so many bytes, if it needs any; waits for that at most `limit`. `Err`: there is no room.
    pub(super) fn pass(self: &Arc<Large>, bytes: usize, limit: Duration) -> Result<Option<Pass>, NoRoom> {
        if bytes < LARGE {
            return Ok(None);
        }
        let no_room = |under_way: &mut usize| *under_way > 0 && *under_way + bytes > AT_ONCE;
        let waited = self.less.wait_timeout_while(lock(&self.bytes), limit, no_room);
        let (mut under_way, timeout) = waited.unwrap_or_else(std::sync::PoisonError::into_inner);
        if timeout.timed_out() {
            return Err(NoRoom);
        }
        *under_way += bytes;
        Ok(Some(Pass { large: Arc::clone(self), bytes }))
    }
}

/// Too much is on its way.
pub(super) struct NoRoom;

impl Pass {
    /// A message of `frame` that has this leave.
    pub(super) fn message(self, frame: &Frame) -> io::Result<Message> {
        struct Leaving {
            frame: Frame,
            _pass: Pass,
        }
        impl AsRef<[u8]> for Leaving {
            fn as_ref(&self) -> &[u8] {
                &self.frame
            }
        }
        Message::sharing(Bytes::from_owner(Leaving { frame: frame.clone(), _pass: self }))
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        *lock(&self.large.bytes) -= self.bytes;
        self.large.less.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: usize = 1 << 20;

    #[test]
    fn so_many_bytes_pass_at_once_or_a_single_message() {
        let large = Arc::new(Large::default());
        let pass = |bytes| large.pass(bytes, Duration::ZERO).ok();
        let eight: Vec<_> = (0..8).map(|_| pass(MIB)).collect();
        assert!(eight.iter().all(|passed| matches!(passed, Some(Some(_)))));
        assert!(pass(MIB).is_none() && matches!(pass(LARGE - 1), Some(None)));
        drop(eight);
        let single = pass(16 * MIB);
        assert!(matches!(single, Some(Some(_))) && pass(LARGE).is_none());
    }

    #[test]
    fn who_waits_passes_when_a_message_is_gone() {
        let large = Arc::new(Large::default());
        let message = |frame: &Frame| large.pass(frame.len(), Duration::from_secs(30)).ok()??.message(frame).ok();
        let frame = Frame::new(vec![7; 6 * MIB]);
        let first = message(&frame).expect("room for one");
        assert_eq!(*first, *frame);
        std::thread::scope(|scope| {
            let second = scope.spawn(|| message(&frame).is_some());
            drop(first);
            assert!(second.join().expect("it passes"));
        });
    }
}
