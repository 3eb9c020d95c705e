//! Reliable delivery as state machines: messages and the time go in, messages come out. No sockets,
//! no clocks and no threads, so that a test can drive them through any fault.
//!
//! ```text
//!  emit ─▶ Publisher ─ frames ─▶ Relay ─ frames, replays ─▶ Subscriber ─ steps ─▶ handlers
//!          (Window)  ◀─ acks ──  (Intake, Ring, Retained) ◀── syncs, resumes ──
//! ```
//!
//! Every hop numbers what it sends and keeps a bounded part of it to send again: the publisher in its
//! [`Window`](window::Window), the server in its [`Ring`](ring::Ring).

pub mod intake;
pub mod interests;
pub mod owners;
pub mod publisher;
pub mod relay;
pub mod replay;
pub mod retained;
pub mod ring;
pub mod subscriber;
pub mod window;

use crate::engine::Bounds;

/// Microseconds on a clock that never goes back; only differences mean something.
pub type Now = u64;

/// What may stand inside a frame. A server that looks reads every record; whoever receives one is safe without.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Contents {
    /// Records of a frame.
    pub records: usize,
    /// Lists and maps inside one another, at most 64.
    pub depth: usize,
    /// Bytes of a text or of bytes, and items of a list or map.
    pub length: usize,
}

impl Default for Contents {
    fn default() -> Contents {
        Contents { records: usize::MAX, depth: crate::reader::MAX_DEPTH, length: usize::MAX }
    }
}

/// How much is kept, and for how long. Bytes, frames and microseconds.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Frames close at this size.
    pub frame: usize,
    /// No frame is larger than this.
    pub largest_frame: usize,
    /// What a publisher keeps to send again, and what a server keeps to replay.
    pub window: usize,
    /// At least so many frames are kept, however large: the queue to a subscriber, which ends with its server, and half as
    /// many again. What has reached a socket is read to its end.
    pub window_frames: usize,
    /// But no more of them than have so many bytes, which is more than that queue holds of large ones.
    pub window_most: usize,
    /// What a publisher has on its way at most, or a single frame. A server reads as much from each, however busy it is.
    pub in_flight: usize,
    /// What may be on its way to a subscriber besides what queues hold.
    pub in_sockets: usize,
    /// What may wait at a publisher, its frames on the way included, before `emit` waits.
    pub queue: usize,
    /// A server acknowledges a publisher's frames at the latest after this many bytes.
    pub ack_every: usize,
    /// And at the latest after this long.
    pub ack_after: Now,
    /// A subscriber that takes nothing for so long is disconnected.
    pub stall: Now,
    /// What got no answer is asked again after this long.
    pub retry: Now,
    /// A new server that finds publishers of an older one keeps all it gets for so long, so that
    /// their subscribers can come back for it.
    pub grace: Now,
    /// Publishers, shapes and retained events known at once.
    pub known: usize,
    /// What is known of the sequences of all publishers: 32 bytes and the name for each event of each. All of it has to
    /// fit into one message.
    pub sequences: usize,
    /// A subscriber that takes nothing is disconnected after this long even if it says that it lives.
    pub patience: Now,
    /// Names of events that a server hands on have at most so many bytes.
    pub name: usize,
    /// What may stand inside the frames that a server hands on; `None`: it does not look.
    pub contents: Option<Contents>,
    /// What a server's connections may do.
    pub bounds: Bounds,
    /// How long a server looks whether something comes before it sleeps. Nothing has to wake it then, so a single event
    /// arrives sooner; while events come that often it takes a processor, also for one event each time.
    pub spin: Now,
}

impl Limits {
    /// What is kept instead of a window in the first second of a server behind another one, until it is no longer needed.
    #[must_use]
    pub fn grown(&self) -> usize {
        self.window.saturating_mul(4)
    }

    /// Whether so many frames of so many bytes together are as many as may wait in queues, and half as many again.
    #[must_use]
    pub fn exceeds_queues(&self, frames: usize, bytes: usize) -> bool {
        frames > self.window_frames || bytes > self.window_most
    }
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            frame: 256 << 10,
            largest_frame: 16 << 20,
            window: 16 << 20,
            window_frames: 96,
            window_most: 32 << 20,
            in_flight: 1 << 20,
            in_sockets: 4 << 20,
            queue: 8 << 20,
            ack_every: 256 << 10,
            ack_after: 10_000,
            stall: 2_000_000,
            retry: 500_000,
            grace: 1_000_000,
            known: 65_536,
            sequences: 14 << 20,
            patience: 60_000_000,
            name: crate::frame::MAX_NAME,
            contents: None,
            bounds: Bounds::default(),
            spin: 0,
        }
    }
}
