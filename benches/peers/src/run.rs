//! One run: parts are started, do one workload, and end.

use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use tempfile::TempDir;

use crate::processes::Part;
use crate::script::{Answer, Cast, Order, Pace, Role};
use crate::systems::{Place, Serving, System};
use crate::tally::Trips;
use crate::workload::{Mode, Workload};

/// How long bursts are to take.
#[derive(Clone, Copy)]
pub(crate) struct Times {
    pub(crate) burst: f64,
    pub(crate) steady: f64,
    pub(crate) latency: f64,
}

/// What one run has shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Found {
    pub(crate) emitted: u64,
    pub(crate) delivered: u64,
    pub(crate) lost: u64,
    pub(crate) disordered: u64,
    pub(crate) seconds: f64,
    pub(crate) deliveries_per_s: f64,
    pub(crate) latency_us: Trips,
    /// The share of all processor time that the host gave to others meanwhile.
    pub(crate) stolen: f64,
}

/// A system that is up: its folder, its server.
pub(crate) struct Stage {
    system: System,
    place: Place,
    server: Option<Part>,
    _folder: TempDir,
}

/// The folder of all runs, which goes when this program does, also by a signal.
pub(crate) static FOLDER: OnceLock<PathBuf> = OnceLock::new();

impl Stage {
    pub(crate) fn set(system: System, size: usize) -> Result<Stage> {
        let all = FOLDER.get().context("there is no folder")?;
        let folder = tempfile::tempdir_in(all).context("no folder for the sockets")?;
        // Free until somebody else takes it: then the run fails, and says so.
        let free = [TcpListener::bind("127.0.0.1:0")?, TcpListener::bind("127.0.0.1:0")?];
        let ports = [free[0].local_addr()?.port(), free[1].local_addr()?.port()];
        drop(free);
        let place = Place { folder: folder.path().to_owned(), ports, size };
        let mut stage = Stage { system, place, server: None, _folder: folder };
        if !matches!(system.serving(&stage.place)?, Serving::Publisher) {
            stage.server = Some(stage.part(Role::Server, 0)?);
        }
        Ok(stage)
    }

    /// The process that serves.
    pub(crate) fn server(&self) -> Option<u32> {
        self.server.as_ref().map(Part::pid)
    }

    /// The addresses of this project's server.
    pub(crate) fn addresses(&self) -> (String, String) {
        self.place.ipc()
    }

    fn cast(&self, role: Role, number: usize) -> Cast {
        Cast { system: self.system, place: self.place.clone(), role, number }
    }

    pub(crate) fn part(&self, role: Role, number: usize) -> Result<Part> {
        Part::start(&self.cast(role, number))
    }

    /// Parts that hear each other. Publishers first, of which one may have to serve.
    pub(crate) fn parts(&self, workload: &Workload) -> Result<Parts> {
        self.parts_from(0, workload)
    }

    /// The same, with the publishers numbered from `first`.
    fn parts_from(&self, first: usize, workload: &Workload) -> Result<Parts> {
        let mut publishers = vec![self.part(Role::Publisher, first)?];
        let all = |role, from: usize, to: usize| -> Result<Vec<Part>> {
            let mut parts: Vec<Part> =
                (from..to).map(|number| Part::begin(&self.cast(role, number))).collect::<Result<_>>()?;
            parts.iter_mut().try_for_each(Part::ready)?;
            Ok(parts)
        };
        publishers.extend(all(Role::Publisher, first + 1, first + workload.publishers)?);
        let subscribers = all(Role::Subscriber, 0, workload.listeners())?;
        for (number, subscriber) in subscribers.iter().enumerate() {
            subscriber.order(&Order::Register { kinds: workload.wanted(number), publishers: publishers.len() })?;
        }
        // Registered, then heard.
        subscribers.iter().try_for_each(|subscriber| subscriber.answer().map(drop))?;
        for publisher in &publishers {
            publisher.order(&Order::Probe { kinds: workload.last() })?;
        }
        subscribers.iter().try_for_each(|subscriber| subscriber.answer().map(drop))?;
        for publisher in &publishers {
            publisher.ask(&Order::Hush)?;
        }
        Ok(Parts { system: self.system, workload: *workload, publishers, subscribers, phase: 0 })
    }
}

/// Publishers and subscribers at work.
pub(crate) struct Parts {
    system: System,
    workload: Workload,
    pub(crate) publishers: Vec<Part>,
    pub(crate) subscribers: Vec<Part>,
    phase: u8,
}

impl Parts {
    /// Has every publisher emit so many events, and counts.
    pub(crate) fn go(&mut self, events: u64, pace: Pace) -> Result<Found> {
        self.start(events, pace)?;
        self.finish(events)
    }

    /// Has it begin.
    pub(crate) fn start(&mut self, events: u64, pace: Pace) -> Result<()> {
        self.phase += 1;
        let Workload { publishers, size, handlers, .. } = self.workload;
        let (phase, kinds) = (self.phase, self.workload.kinds());
        for (number, subscriber) in self.subscribers.iter().enumerate() {
            let events = self.workload.share(events, number) * publishers as u64 * handlers as u64;
            subscriber.ask(&Order::Expect { phase, events })?;
        }
        let each = match pace {
            Pace::Steady(rate) => Pace::Steady(rate / publishers as f64),
            Pace::Burst => Pace::Burst,
        };
        for publisher in &self.publishers {
            publisher.order(&Order::Emit { phase, events, size, kinds, pace: each })?;
        }
        Ok(())
    }

    /// Waits until it is over.
    pub(crate) fn finish(&mut self, events: u64) -> Result<Found> {
        let mut began = u64::MAX;
        for publisher in &self.publishers {
            match publisher.answer()? {
                Answer::Emitted { began: at } => began = began.min(at),
                other => bail!("a publisher was not to say {other:?} now"),
            }
        }
        let silence = if self.system.lossless() { 3_000 } else { 500 };
        for subscriber in &self.subscribers {
            subscriber.order(&Order::Finish { silence })?;
        }
        let mut found = Found { emitted: events * self.workload.publishers as u64, ..Found::default() };
        let (mut ended, mut trips) = (0, Vec::new());
        for subscriber in &self.subscribers {
            match subscriber.answer()? {
                Answer::Counted(counted) => {
                    found.delivered += counted.received;
                    found.disordered += counted.disordered;
                    ended = ended.max(counted.ended);
                    trips.push(counted.took);
                }
                other => bail!("a subscriber was not to say {other:?} now"),
            }
        }
        found.lost = (found.emitted * self.workload.copies()).saturating_sub(found.delivered);
        found.seconds = ended.saturating_sub(began) as f64 / 1e9;
        if found.seconds > 0.0 {
            found.deliveries_per_s = found.delivered as f64 / found.seconds;
        }
        // Of several subscribers, the one in the middle.
        trips.sort_by(|a, b| a.p50.total_cmp(&b.p50));
        found.latency_us = trips.get(trips.len() / 2).copied().unwrap_or_default();
        Ok(found)
    }
}

/// Finds how many events per publisher a burst takes to last as long as wanted. Bounded: what is slow is not asked
/// for much, and what is fast not for more than memory holds.
pub(crate) fn calibrate(system: System, workload: &Workload, seconds: f64) -> Result<u64> {
    let stage = Stage::set(system, workload.size)?;
    let mut parts = stage.parts(&workload.peak())?;
    let mut events = (200_000 / workload.size as u64 / workload.copies()).clamp(20, 5_000);
    let most = ((16_u64 << 30) / workload.size as u64).clamp(100, 40_000_000);
    loop {
        let found = parts.go(events, Pace::Burst)?;
        // What takes less says little.
        if found.seconds >= seconds / 8.0 || events >= most {
            let rate = found.delivered as f64 / found.seconds.max(1e-6);
            let wanted = rate * seconds / workload.copies() as f64 / workload.publishers as f64;
            return Ok((wanted as u64).clamp(20, most));
        }
        events = (events * 4).min(most);
    }
}

/// One round of one workload. `events` are of the burst; `rate` is that of a steady load.
pub(crate) fn once(system: System, workload: &Workload, events: u64, rate: f64, times: Times) -> Result<Found> {
    let stage = Stage::set(system, workload.size)?;
    match workload.mode {
        Mode::Burst => {
            let mut parts = stage.parts(workload)?;
            parts.go((events / 10).max(10), Pace::Burst)?;
            parts.go(events, Pace::Burst)
        }
        Mode::Steady | Mode::Same => {
            let mut parts = stage.parts(workload)?;
            let for_seconds = |seconds: f64| ((rate * seconds / workload.publishers as f64) as u64).max(20);
            parts.go(for_seconds(times.steady / 5.0), Pace::Steady(rate))?;
            parts.go(for_seconds(times.steady), Pace::Steady(rate))
        }
        Mode::Latency => Pair::start(&stage)?.ping(workload, times.latency),
        Mode::LatencyLoad => {
            let pair = Pair::start(&stage)?;
            // They get used to each other before the load begins, and stop before it ends.
            pair.ping(workload, 0.0)?;
            let mut parts = stage.parts_from(2, &workload.peak())?;
            let events = (rate * (times.latency + 1.0)) as u64;
            parts.start(events, Pace::Steady(rate))?;
            std::thread::sleep(Duration::from_millis(300));
            let mut found = pair.ping(workload, times.latency)?;
            // Of the load, only what it lost is told.
            let load = parts.finish(events)?;
            (found.lost, found.disordered) = (load.lost, load.disordered);
            Ok(found)
        }
    }
}

/// One that sends single events, and one that sends them back.
struct Pair {
    publisher: Part,
    _echo: Part,
}

impl Pair {
    fn start(stage: &Stage) -> Result<Pair> {
        // The publisher first: it may have to serve.
        Ok(Pair { publisher: stage.part(Role::Publisher, 0)?, _echo: stage.part(Role::Echo, 1)? })
    }

    fn ping(&self, workload: &Workload, seconds: f64) -> Result<Found> {
        match self.publisher.ask(&Order::Ping { seconds, size: workload.size })? {
            Answer::Pinged(latency_us) => {
                Ok(Found { emitted: latency_us.count, seconds, latency_us, ..Found::default() })
            }
            other => bail!("a publisher was not to say {other:?} now"),
        }
    }
}
