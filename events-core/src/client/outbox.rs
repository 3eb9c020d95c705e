//! The emitting side of a client: one lock around numbering, appending and sending, so that order holds.
//!
//! ```text
//!  emit ─▶ record ─┬─ by itself: seal and send at once
//!                  └─ in a burst: stays open for more; leaves when it is full, or holds what comes in a moment,
//!                     the rest when the uplink thread passes by
//! ```

mod pace;
mod turns;

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use crate::control::Acked;
use crate::delivery::Limits;
use crate::delivery::publisher::{Kind, Publisher, Put, Refused};
use crate::delivery::subscriber::Greeting;
use crate::engine::{Frame, Uplink};
use crate::error::Error;
use crate::lock;
use pace::Pace;
use turns::Turns;

/// So many events leave at once in [`WHILE`], each in a frame of its own; with one more it is a burst. Two programs that
/// answer each other are none: a round trip is longer than a third of that.
const ALONE: u32 = 3;
/// See [`ALONE`].
const WHILE: Duration = Duration::from_micros(100);
/// With so many frames that are not acknowledged it is a burst, however slowly they came: two programs that answer each other
/// have fewer. Where many share a processor, whoever emits loses it to those that his event wakes. He never emits four in
/// 100 µs, and events that each leave by themselves keep it so.
const BEHIND: u64 = 512;
/// After so many passes without anything new the burst is over.
const PAUSE: u32 = 2;
/// After so many the uplink thread waits for the next one, until it is woken.
const REST: u32 = 10;
/// How often at least a flush asks for an acknowledgement.
const PROBE: Duration = Duration::from_millis(500);
/// A frame of so many bytes is acknowledged as soon as a server gets to it. To ask would be to send it once more, which a server
/// that is slow reads as well; so that has [`PROBE`] for each of them to be answered first.
const LARGE: usize = 256 << 10;

/// See [`Outbox::counts`].
pub(crate) struct Counts {
    pub(crate) emitted: u64,
    pub(crate) refused: u64,
    pub(crate) unacknowledged: u64,
}

/// A client's events on their way out.
pub(crate) struct Outbox {
    state: Mutex<State>,
    /// Something was acknowledged, or the outbox was closed or has ended.
    acked: Condvar,
    /// The uplink thread is to pass by, or to end.
    pass: Condvar,
    limits: Limits,
}

struct State {
    publisher: Publisher,
    link: Box<dyn Uplink>,
    /// What is emitted stays open for more of its kind.
    burst: bool,
    /// The uplink thread passes by, and need not be woken.
    passing: bool,
    pace: Pace,
    /// How many events have left at once, and since when, for no longer than [`WHILE`].
    alone: (u32, Instant),
    last_acked: u64,
    /// When a large frame may be sent once more.
    ask_again: Instant,
    /// Who goes first when there is no room for all.
    turns: Turns,
    emitted: u64,
    refused: u64,
    /// No server has greeted, or the one that has is leaving or gone: what is emitted is kept for the
    /// next. What was queued for a server that is gone would reach the next one ahead of the repair.
    paused: bool,
    /// Nothing is taken any more.
    closed: bool,
    /// Nothing is sent any more, and nobody waits.
    ended: bool,
}

impl Outbox {
    pub(crate) fn new(id: u64, limits: Limits, link: Box<dyn Uplink>) -> Outbox {
        let state = State {
            publisher: Publisher::new(id, limits),
            link,
            burst: false,
            passing: false,
            pace: Pace::new(),
            alone: (0, Instant::now()),
            last_acked: 0,
            ask_again: Instant::now(),
            turns: Turns::default(),
            emitted: 0,
            refused: 0,
            paused: true,
            closed: false,
            ended: false,
        };
        Outbox { state: Mutex::new(state), acked: Condvar::new(), pass: Condvar::new(), limits }
    }

    /// Takes one record; `false` without room. An emit in a handler goes `first`, before those that wait elsewhere.
    pub(crate) fn emit(&self, kind: &Kind<'_>, first: bool, put: Put<'_>) -> Result<bool, Error> {
        self.take(&mut lock(&self.state), kind, first, put)
    }

    /// The same, and waits for room so long.
    pub(crate) fn emit_within(&self, limit: Duration, kind: &Kind<'_>, first: bool, put: Put<'_>) -> Result<(), Error> {
        let since = Instant::now();
        let mut state = lock(&self.state);
        while !self.take(&mut state, kind, first, put)? {
            let left = limit.saturating_sub(since.elapsed());
            if state.turns.gives_up(first, left) {
                state.turns.gave_up(first, limit);
                return Err(self.refuse(&mut state, kind, Refused::Full));
            }
            state.send();
            let wait = state.turns.begin_wait(first, left);
            state = self.acked.wait_timeout(state, wait).map_or_else(|error| error.into_inner().0, |(state, _)| state);
            state.turns.end_wait(first);
        }
        Ok(())
    }

    #[inline]
    fn take(&self, state: &mut State, kind: &Kind<'_>, first: bool, put: Put<'_>) -> Result<bool, Error> {
        if state.closed {
            return Err(Error::Closed);
        }
        if !state.turns.may_emit(first) {
            return Ok(false);
        }
        match state.publisher.record(kind, microseconds_now, put) {
            Ok(()) => {
                state.emitted += 1;
                self.recorded(state);
                Ok(true)
            }
            Err(Refused::Full) => Ok(false),
            Err(refused) => Err(self.refuse(state, kind, refused)),
        }
    }

    #[cold]
    fn refuse(&self, state: &mut State, kind: &Kind<'_>, refused: Refused) -> Error {
        state.refused += 1;
        let event = kind.name.to_owned();
        match refused {
            Refused::Full => Error::Backpressure { event, trouble: None },
            Refused::Put(source) => Error::Put { event, source },
            Refused::Name => Error::Name { name: event },
            Refused::TooLarge(bytes) => Error::TooLarge { event, bytes, limit: self.limits.largest_frame },
        }
    }

    /// After a record was taken: sends what is to be sent now.
    #[inline]
    fn recorded(&self, state: &mut State) {
        // Without anybody who passes by, what stays open would stay here.
        if !state.burst || !state.passing {
            self.recorded_alone(state);
        } else if state.publisher.can_send() {
            state.send();
        } else if state.pace.is_full(state.publisher.open_bytes()) {
            state.holds_enough();
        }
    }

    fn recorded_alone(&self, state: &mut State) {
        let now = Instant::now();
        let (alone, since) = &mut state.alone;
        if now.duration_since(*since) >= WHILE {
            (*alone, *since) = (0, now);
        }
        *alone += 1;
        state.burst = *alone > ALONE || state.publisher.unacked_frames() > BEHIND;
        if !state.burst {
            state.publisher.seal();
        } else if !std::mem::replace(&mut state.passing, true) {
            self.pass.notify_one();
        }
        state.send();
    }

    /// Takes what the server acknowledges.
    pub(crate) fn acked(&self, acked: Acked) {
        let mut state = lock(&self.state);
        let before = state.publisher.acked_position();
        state.publisher.acked(acked);
        if state.publisher.acked_position() != before {
            state.turns.moved();
        }
        state.send();
        drop(state);
        self.acked.notify_all();
    }

    /// A server greets.
    pub(crate) fn greeted(&self, greeting: Greeting, epoch: u64) {
        let mut state = lock(&self.state);
        state.paused = false;
        state.turns.begin_anew();
        if greeting != Greeting::First
            && let Err(error) = state.link.reset()
        {
            tracing::error!(error = &error as &dyn std::error::Error, "no new connection to the server can be opened");
        }
        state.publisher.greeted(greeting, epoch);
        state.send();
    }

    /// Somebody who listens to what is emitted here has no room, or has room again.
    pub(crate) fn hold(&self, on: bool) {
        lock(&self.state).turns.hold(on);
        self.acked.notify_all();
    }

    /// Whether half of the queue is empty.
    pub(crate) fn has_much_room(&self) -> bool {
        lock(&self.state).publisher.unacked_bytes() < self.limits.queue / 2
    }

    /// The server is leaving, or gone.
    pub(crate) fn pause(&self) {
        lock(&self.state).paused = true;
    }

    /// Sends a control message, before all that waits.
    pub(crate) fn control(&self, message: &Frame) {
        lock(&self.state).send_one(message);
    }

    /// Called now and then: asks for an acknowledgement that does not come. A frame that was lost with
    /// a connection nobody saw break is found missing that way.
    pub(crate) fn tick(&self) {
        let mut state = lock(&self.state);
        let acked = state.publisher.acked_position();
        if acked == std::mem::replace(&mut state.last_acked, acked) {
            state.probe();
        }
    }

    /// Waits until the server has acknowledged everything emitted before.
    pub(crate) fn flush(&self, limit: Duration) -> Result<(), Error> {
        let since = Instant::now();
        let mut state = lock(&self.state);
        state.publisher.seal();
        state.send();
        let end = state.publisher.end();
        let mut patience = Duration::from_millis(20);
        loop {
            if state.publisher.acked_position() >= end {
                return Ok(());
            }
            let left = limit.saturating_sub(since.elapsed());
            if left.is_zero() || state.ended {
                let unacknowledged = state.publisher.unacked_records();
                return Err(Error::NotFlushed { unacknowledged, trouble: None });
            }
            state.probe();
            let wait = left.min(patience);
            patience = (patience * 2).min(PROBE);
            let before = state.publisher.acked_position();
            state = self
                .acked
                .wait_timeout_while(state, wait, |state| {
                    let acked = state.publisher.acked_position();
                    acked == before && acked < end && !state.ended
                })
                .map_or_else(|error| error.into_inner().0, |(state, _)| state);
        }
    }

    /// How many events were emitted and refused, and how many the server has not acknowledged.
    pub(crate) fn counts(&self) -> Counts {
        let state = lock(&self.state);
        let unacknowledged = state.publisher.unacked_records();
        Counts { emitted: state.emitted, refused: state.refused, unacknowledged }
    }

    /// Refuses everything from now on.
    pub(crate) fn close(&self) {
        lock(&self.state).closed = true;
        self.acked.notify_all();
    }

    /// Ends the uplink thread, and whoever waits here.
    pub(crate) fn end(&self) {
        lock(&self.state).ended = true;
        self.acked.notify_all();
        self.pass.notify_all();
    }

    /// The uplink thread: seals and sends what a burst leaves open.
    pub(crate) fn run(&self) {
        let mut state = lock(&self.state);
        let (mut quiet, mut before) = (0, 0);
        while !state.ended {
            if !state.passing {
                quiet = 0;
                state = self.pass.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            state.pace.reckon(Instant::now());
            let end = std::mem::replace(&mut before, state.publisher.end());
            if let Some(time) = state.too_young() {
                quiet = 0;
                state = self.wait(state, time);
                continue;
            }
            let found = state.publisher.open_bytes();
            if found > 0 || (!state.paused && state.publisher.can_send()) {
                quiet = 0;
                state.publisher.seal();
                state.send();
            } else {
                quiet = if before == end { quiet + 1 } else { 0 };
                state.burst &= quiet < PAUSE || state.publisher.unacked_frames() > BEHIND;
                state.passing = quiet < REST;
            }
            state = self.wait(state, pace::until_next(found));
        }
    }

    fn wait<'a>(&self, state: MutexGuard<'a, State>, time: Duration) -> MutexGuard<'a, State> {
        self.pass.wait_timeout(state, time).map_or_else(|error| error.into_inner().0, |(state, _)| state)
    }
}

impl State {
    /// Closes the open message, if it would leave then.
    #[inline(never)]
    fn holds_enough(&mut self) {
        if self.publisher.is_behind() {
            self.pace.keep_open();
        } else {
            self.publisher.seal();
            self.send();
        }
    }

    /// How long the open message waits for more yet, even if the uplink thread passes by.
    fn too_young(&self) -> Option<Duration> {
        // A clock that was set back tells of an age beyond all limits: then it leaves at once.
        let age = microseconds_now().wrapping_sub(self.publisher.opened()?);
        self.pace.least().checked_sub(Duration::from_micros(age)).filter(|time| !time.is_zero())
    }

    /// Hands the engine what may be on its way.
    fn send(&mut self) {
        while !self.paused
            && let Some(frame) = self.publisher.send()
        {
            self.pace.sent(frame.len());
            self.send_one(&frame);
        }
    }

    /// Sends the newest frame once more, if the server has not acknowledged it.
    fn probe(&mut self) {
        if let Some(frame) = self.publisher.probe()
            && !self.paused
            && (frame.len() < LARGE || Instant::now() >= self.ask_again)
        {
            self.send_one(&frame);
        }
    }

    fn send_one(&mut self, frame: &Frame) {
        if frame.len() >= LARGE {
            self.ask_again = Instant::now() + PROBE.mul_f64(frame.len() as f64 / LARGE as f64);
        }
        // What an uplink refuses is still in the window, and is sent again.
        if let Err(error) = self.link.send(frame) {
            tracing::debug!(error = &error as &dyn std::error::Error, "a frame was not sent");
        }
    }
}

/// The time of day in microseconds since 1970.
fn microseconds_now() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::thread;

    use super::*;
    use crate::engine::EngineError;
    use crate::event::PutError;

    type Sent = Arc<Mutex<Vec<Frame>>>;

    struct Link(Sent);

    impl Uplink for Link {
        fn send(&mut self, frame: &Frame) -> Result<(), EngineError> {
            lock(&self.0).push(frame.clone());
            Ok(())
        }

        fn reset(&mut self) -> Result<(), EngineError> {
            Ok(())
        }
    }

    fn outbox() -> (Arc<Outbox>, Sent) {
        let sent = Sent::default();
        let outbox = Outbox::new(1, Limits::default(), Box::new(Link(Arc::clone(&sent))));
        outbox.greeted(Greeting::First, 1);
        lock(&sent).clear();
        (Arc::new(outbox), sent)
    }

    const KIND: Kind<'static> = Kind { name: "E", fingerprint: 0, retain: false, shape: &String::new };

    fn nothing(out: &mut Vec<u8>) -> Result<(), PutError> {
        out.push(0xc0);
        Ok(())
    }

    fn emit(outbox: &Outbox) {
        assert!(outbox.emit(&KIND, false, &mut nothing).expect("it can be taken"), "there is room");
    }

    #[test]
    fn some_events_in_a_row_leave_at_once_without_the_thread() {
        let (outbox, sent) = outbox();
        emit(&outbox);
        let first = lock(&sent).len();
        for more in 1..ALONE as usize {
            emit(&outbox);
            assert_eq!(lock(&sent).len(), first + more);
        }
    }

    #[test]
    fn so_many_that_are_not_acknowledged_are_a_burst() {
        let (outbox, sent) = outbox();
        for number in 1..=BEHIND as usize {
            lock(&outbox.state).alone = (0, Instant::now());
            emit(&outbox);
            assert!(!lock(&outbox.state).burst, "{number}");
        }
        let before = lock(&sent).len();
        (0..2).for_each(|_| emit(&outbox));
        assert!(lock(&outbox.state).burst);
        assert_eq!(lock(&sent).len(), before);
        let thread = thread::spawn({
            let outbox = Arc::clone(&outbox);
            move || outbox.run()
        });
        let limit = Instant::now() + Duration::from_secs(30);
        let until = |is: &dyn Fn() -> bool| {
            while !is() {
                assert!(Instant::now() < limit);
                thread::yield_now();
            }
        };
        // It leaves, and so does what comes when the thread no longer passes by, though it is a burst still.
        until(&|| !lock(&outbox.state).passing);
        assert_eq!(lock(&sent).len(), before + 1);
        assert!(lock(&outbox.state).burst);
        emit(&outbox);
        until(&|| lock(&sent).len() == before + 2);
        outbox.end();
        thread.join().expect("the uplink thread ends");
    }

    #[test]
    fn a_message_that_holds_what_comes_in_a_moment_leaves_without_the_thread_unless_another_waits() {
        const MOMENT: usize = 1_000;
        let sent = Sent::default();
        let limits = Limits { in_flight: MOMENT / 2, ..Limits::default() };
        let outbox = Outbox::new(1, limits, Box::new(Link(Arc::clone(&sent))));
        outbox.greeted(Greeting::First, 1);
        let mut state = lock(&outbox.state);
        (state.burst, state.passing, state.pace) = (true, true, Pace::of(MOMENT));
        drop(state);
        let messages =
            || -> Vec<usize> { lock(&sent).iter().map(|frame| frame.len()).filter(|&bytes| bytes >= MOMENT).collect() };
        let fill = || (0..MOMENT).for_each(|_| emit(&outbox));
        fill();
        assert_eq!(messages(), [MOMENT], "it has left");
        (0..4).for_each(|_| fill());
        assert_eq!(messages(), [MOMENT], "no more may be on its way");
        for next in 2..=3 {
            outbox.acked(Acked { next, again: false, keep: false });
        }
        assert_eq!(messages()[..2], [MOMENT, MOMENT], "the second was closed before it was known that it waits");
        emit(&outbox);
        assert!(messages()[2] > 3 * MOMENT, "the third took all since then: {:?}", messages());
    }

    #[test]
    fn whoever_waits_while_it_is_held_emits_when_it_no_longer_is() {
        let (outbox, _) = outbox();
        outbox.hold(true);
        let waits = thread::spawn({
            let outbox = Arc::clone(&outbox);
            move || outbox.emit_within(Duration::from_secs(60), &KIND, false, &mut nothing)
        });
        assert!(!outbox.emit(&KIND, false, &mut nothing).expect("no error"));
        assert!(outbox.emit(&KIND, true, &mut nothing).expect("no error"));
        outbox.hold(false);
        waits.join().expect("no panic").expect("there is room");
        // Another server knows nothing of it.
        outbox.hold(true);
        outbox.greeted(Greeting::New, 2);
        emit(&outbox);
    }

    #[test]
    fn what_is_closed_refuses_and_still_flushes_what_it_took() {
        let (outbox, _) = outbox();
        emit(&outbox);
        outbox.close();
        let refused = outbox.emit(&KIND, false, &mut nothing);
        assert!(matches!(refused, Err(Error::Closed)), "{refused:?}");
        outbox.flush(Duration::ZERO).expect_err("not acknowledged");
        let flushes = thread::spawn({
            let outbox = Arc::clone(&outbox);
            move || outbox.flush(Duration::from_secs(60))
        });
        outbox.acked(Acked { next: 2, again: false, keep: false });
        flushes.join().expect("no panic").expect("acknowledged");
    }

    #[test]
    fn a_handler_is_refused_at_once_until_the_server_takes_something() {
        let sent = Sent::default();
        let limits = Limits { queue: 1, ..Limits::default() };
        let outbox = Outbox::new(1, limits, Box::new(Link(Arc::clone(&sent))));
        outbox.greeted(Greeting::First, 1);
        emit(&outbox);
        let emit_within = |limit| outbox.emit_within(limit, &KIND, true, &mut nothing);
        let (moment, long) = (Duration::from_millis(1), Duration::from_secs(1_000));
        emit_within(moment).expect_err("no room");
        emit_within(long).expect_err("no room, and no wait");
        outbox.acked(Acked { next: 2, again: false, keep: false });
        emit_within(long).expect("room");
    }

    #[test]
    fn an_event_behind_a_burst_leaves_at_once() {
        let (outbox, sent) = outbox();
        let thread = thread::spawn({
            let outbox = Arc::clone(&outbox);
            move || outbox.run()
        });
        let limit = Instant::now() + Duration::from_secs(30);
        let until = |is: fn(&State) -> bool, act: fn(&Outbox)| {
            while !is(&lock(&outbox.state)) {
                assert!(Instant::now() < limit);
                act(&outbox);
            }
        };
        until(|state| state.burst, emit);
        until(|state| !state.burst, |_| thread::yield_now());
        let before = lock(&sent).len();
        emit(&outbox);
        assert_eq!(lock(&sent).len(), before + 1);
        outbox.end();
        thread.join().expect("the uplink thread ends");
    }
}
