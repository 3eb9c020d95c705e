//! What a part of a run does: the same for every system.

use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use crate::processes::Program;
use crate::script::{Answer, Cast, Kinds, Order, Pace, Role};
use crate::systems::{Held, Publisher, Serving, Sink, Wanted};
use crate::tally::{Stamp, Tally, Told, Trips, now};
use crate::workload::CATALOG;

/// In a burst the time is taken of each so many events: a look at the clock costs as much as an event.
const SAMPLE: u64 = 64;
/// How many times a second a steady load is timed, about.
const TIMED: f64 = 50_000.0;
/// How long a steady load rests between its small bursts.
const REST: Duration = Duration::from_micros(100);
/// A steady load that is later than this has that counted as waiting.
const LATE: u64 = 1_000_000;
/// Between two events that travel alone.
const PAUSE: Duration = Duration::from_micros(500);
/// How long what should come at once may take.
const LIMIT: Duration = Duration::from_secs(20);
/// Goes to the echo, and comes back. The last types of the catalog: a load beside uses the first.
const PING: usize = CATALOG - 2;
const PONG: usize = CATALOG - 1;

/// Where a part says what it has done.
pub(crate) type Say = Arc<dyn Fn(&Answer) + Send + Sync>;

/// Does what it is told until nobody is left to tell.
pub(crate) fn run(cast: &Cast, orders: &Receiver<String>, say: &Say) {
    let done = match cast.role {
        Role::Server => serve(cast, orders, say),
        Role::Publisher => publish(cast, orders, say),
        Role::Subscriber => subscribe(cast, orders, say),
        Role::Echo => echo(cast, orders, say),
    };
    if let Err(error) = done {
        say(&Answer::Failed(format!("{:?} {}: {error:#}", cast.role, cast.number)));
    }
}

/// A program of a peer is held by a process of ours, which ends it also where the director was killed.
fn serve(cast: &Cast, orders: &Receiver<String>, say: &Say) -> Result<()> {
    match cast.system.serving(&cast.place)? {
        Serving::Program(command, ready) => {
            let program = Program::start(*command, || ready(&cast.place))?;
            say(&Answer::Ready(program.pid()));
            orders.iter().for_each(drop);
            Ok(())
        }
        _ => cast.system.serve(&cast.place, || say(&Answer::Ready(std::process::id())), orders),
    }
}

fn publish(cast: &Cast, orders: &Receiver<String>, say: &Say) -> Result<()> {
    let mut publisher = cast.system.publisher(&cast.place, cast.number)?;
    let mut pinger = None;
    say(&Answer::Ready(std::process::id()));
    while let Ok(line) = orders.recv() {
        match serde_json::from_str(&line)? {
            Order::Probe { kinds } => {
                probe(publisher.as_mut(), cast, kinds, orders)?;
                say(&Answer::Hushed);
            }
            Order::Emit { phase, events, size, kinds, pace } => {
                let began = now();
                let next = Next { phase, publisher: cast.number, number: 0, kinds, data: vec![0x5a; size] };
                match pace {
                    Pace::Burst => burst(publisher.as_mut(), next, events)?,
                    Pace::Steady(rate) => steady(publisher.as_mut(), next, events, rate)?,
                }
                publisher.flush()?;
                say(&Answer::Emitted { began });
            }
            Order::Ping { seconds, size } => {
                let ready = match pinger.take() {
                    Some(ready) => ready,
                    None => Pinger::new(publisher.as_mut(), cast)?,
                };
                let trips = pinger.insert(ready).measure(publisher.as_mut(), Duration::from_secs_f64(seconds), size)?;
                say(&Answer::Pinged(trips));
            }
            other => bail!("a publisher does not do {other:?}"),
        }
    }
    Ok(())
}

/// The events of one phase, one after the other.
struct Next {
    phase: u8,
    publisher: usize,
    number: u64,
    kinds: Kinds,
    data: Vec<u8>,
}

impl Next {
    fn send(&mut self, to: &mut dyn Publisher, sent: u64) -> Result<()> {
        Stamp { sent, phase: self.phase, publisher: self.publisher, number: self.number }.put(&mut self.data);
        let kind = self.kinds.at(usize::try_from(self.number)? % self.kinds.count);
        self.number += 1;
        to.send(kind, &self.data)
    }
}

fn probe(to: &mut dyn Publisher, cast: &Cast, kinds: Kinds, orders: &Receiver<String>) -> Result<()> {
    let mut data = [0; Stamp::SIZE];
    Stamp { sent: Stamp::PROBE, phase: 0, publisher: cast.number, number: 0 }.put(&mut data);
    loop {
        kinds.all().try_for_each(|kind| to.send(kind, &data))?;
        to.leave()?;
        match orders.recv_timeout(Duration::from_millis(5)) {
            Err(RecvTimeoutError::Timeout) => {}
            // `Hush`, or nobody left.
            Ok(_) | Err(RecvTimeoutError::Disconnected) => return to.flush(),
        }
    }
}

fn burst(to: &mut dyn Publisher, mut next: Next, events: u64) -> Result<()> {
    for number in 0..events {
        next.send(to, if number.is_multiple_of(SAMPLE) { now() } else { 0 })?;
    }
    Ok(())
}

/// Sends what is due, rests, and so on. An event is timed from when it was due where that is long ago, so that what
/// waits for its predecessors is not taken for quick.
fn steady(to: &mut dyn Publisher, mut next: Next, events: u64, rate: f64) -> Result<()> {
    let sample = ((rate / TIMED) as u64).max(1);
    let began = now();
    while next.number < events {
        let woken = now();
        let due = (((woken - began) as f64 / 1e9 * rate) as u64).min(events);
        while next.number < due {
            let timed = next.number.is_multiple_of(sample);
            let when = began + (next.number as f64 / rate * 1e9) as u64;
            next.send(to, if timed { now().min(when + LATE) } else { 0 })?;
        }
        to.leave()?;
        thread::sleep(REST);
    }
    Ok(())
}

/// What gets answers from the echo.
struct Pinger {
    told: Receiver<u64>,
    took: Arc<Mutex<Vec<u64>>>,
    number: u64,
    _held: Held,
}

impl Pinger {
    /// Registers for answers, and exchanges events until both ends are used to it.
    fn new(to: &mut dyn Publisher, cast: &Cast) -> Result<Pinger> {
        let (tell, told) = channel();
        let took = Arc::new(Mutex::new(Vec::new()));
        let taking = took.clone();
        // The time is taken where the answer arrives: waking this thread is no part of it.
        let sink: Sink = Arc::new(move |data: &[u8]| {
            if let Some(stamp) = Stamp::take(data) {
                taking.lock().unwrap_or_else(PoisonError::into_inner).push(now().saturating_sub(stamp.sent));
                let _ = tell.send(stamp.number);
            }
        });
        let held = cast.system.subscribe(&cast.place, &Wanted { kinds: Kinds::only(PONG), sinks: vec![sink] })?;
        let mut pinger = Pinger { told, took, number: 0, _held: held };
        let mut data = [0; Stamp::SIZE];
        let until = Instant::now() + LIMIT;
        let mut warm = 0;
        while warm < 100 {
            ensure!(Instant::now() < until, "no answer comes from the echo");
            warm += u32::from(pinger.exchange(to, &mut data, Duration::from_millis(100))?);
        }
        Ok(pinger)
    }

    /// Sends one event and waits for it to come back. Says whether it did.
    fn exchange(&mut self, to: &mut dyn Publisher, data: &mut [u8], limit: Duration) -> Result<bool> {
        self.number += 1;
        Stamp { sent: now(), phase: 0, publisher: 0, number: self.number }.put(data);
        to.send(PING, data)?;
        to.leave()?;
        let until = Instant::now() + limit;
        while let Ok(answered) = self.told.recv_timeout(until.saturating_duration_since(Instant::now())) {
            if answered == self.number {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// How long single events take, for so long.
    fn measure(&mut self, to: &mut dyn Publisher, time: Duration, size: usize) -> Result<Trips> {
        let took = |pinger: &Pinger| std::mem::take(&mut *pinger.took.lock().unwrap_or_else(PoisonError::into_inner));
        took(self);
        let mut data = vec![0x5a; size];
        let until = Instant::now() + time;
        while Instant::now() < until {
            // What is lost has no time; how many came is told.
            self.exchange(to, &mut data, Duration::from_secs(2))?;
            thread::sleep(PAUSE);
        }
        Ok(Trips::of(took(self)))
    }
}

fn echo(cast: &Cast, orders: &Receiver<String>, say: &Say) -> Result<()> {
    // Publisher 1: the first one may serve.
    let publisher = Mutex::new(cast.system.publisher(&cast.place, 1)?);
    let sink: Sink = Arc::new(move |data: &[u8]| {
        let mut publisher = publisher.lock().unwrap_or_else(PoisonError::into_inner);
        // Whoever waits for it notices what fails here.
        let _ = publisher.send(PONG, data).and_then(|()| publisher.leave());
    });
    let _held = cast.system.subscribe(&cast.place, &Wanted { kinds: Kinds::only(PING), sinks: vec![sink] })?;
    say(&Answer::Ready(std::process::id()));
    orders.iter().for_each(drop);
    Ok(())
}

fn subscribe(cast: &Cast, orders: &Receiver<String>, say: &Say) -> Result<()> {
    let (tally, told) = Tally::new();
    let mut held: Vec<Held> = Vec::new();
    say(&Answer::Ready(std::process::id()));
    while let Ok(line) = orders.recv() {
        match serde_json::from_str(&line)? {
            Order::Register { kinds, publishers } => {
                let sinks = (0..kinds.handlers).map(|handler| {
                    let tally = tally.clone();
                    Arc::new(move |data: &[u8]| tally.take(data, handler == 0)) as Sink
                });
                let wanted = Wanted { kinds, sinks: sinks.collect() };
                held.push(cast.system.subscribe(&cast.place, &wanted)?);
                say(&Answer::Registered);
                while told.recv_timeout(LIMIT).context("nothing was heard")? != Told::Heard(publishers) {}
                say(&Answer::Heard);
            }
            Order::Expect { phase, events } => {
                tally.expect(phase, events);
                say(&Answer::Expecting);
            }
            Order::Finish { silence } => {
                say(&Answer::Counted(tally.finish(&told, Duration::from_millis(silence))));
            }
            other => bail!("a subscriber does not do {other:?}"),
        }
    }
    Ok(())
}
