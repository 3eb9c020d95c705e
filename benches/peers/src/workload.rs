//! What is done, by name: `64B_1x8`, `64B_1x1_48types`, `64B_1x2_48types_apart`, `steady_64B_1x1`, `latency_load_64B`.

use std::fmt;
use std::str::FromStr;

use anyhow::{Context, bail};

use crate::script::Kinds;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Workload {
    pub(crate) mode: Mode,
    pub(crate) size: usize,
    pub(crate) publishers: usize,
    pub(crate) subscribers: usize,
    pub(crate) types: usize,
    pub(crate) handlers: usize,
    /// Types with names of the run time, in place of those of a catalog.
    pub(crate) named: bool,
    /// Each subscriber wants types of its own: of two, every other one.
    pub(crate) apart: bool,
    /// One more subscriber wants all.
    pub(crate) watched: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// As fast as it goes.
    Burst,
    /// At half of the system's own peak.
    Steady,
    /// At half of what bare libzmq can do, or of the own peak where that is less.
    Same,
    /// One event, there and back.
    Latency,
    /// The same beside a steady load of half the peak.
    LatencyLoad,
}

const MODES: &[(&str, Mode)] = &[
    ("steady_", Mode::Steady),
    ("same_", Mode::Same),
    ("latency_load_", Mode::LatencyLoad),
    ("latency_", Mode::Latency),
];

/// How many types the catalog of the bench has.
pub(crate) const CATALOG: usize = 48;

/// What is measured where nothing else is said. Bursts come first: the steady loads go by their peaks.
pub(crate) const STANDARD: &[&str] = &[
    "16B_1x1",
    "64B_1x1",
    "256B_1x1",
    "1024B_1x1",
    "16384B_1x1",
    "262144B_1x1",
    "64B_1x8",
    "64B_8x1",
    "64B_4x4",
    "64B_1x1_48types",
    "64B_1x2_48types_apart",
    "64B_1x2_48types_apart_watched",
    "1024B_1x8",
    "1024B_1x1_48types",
    "steady_64B_1x1",
    "steady_1024B_1x1",
    "same_64B_1x1",
    "latency_64B",
    "latency_load_64B",
];

/// How it grows, of this project only: the title of a plot, what it counts, and its workloads.
pub(crate) fn scaling(quick: bool) -> Vec<(&'static str, Vec<(usize, String)>)> {
    let steps: &[usize] = if quick { &[1, 10, 100, 1_000] } else { &[1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000] };
    let clients: &[usize] = if quick { &[1, 4, 16] } else { &[1, 2, 5, 10, 20, 50, 100] };
    let of = |counts: &[usize], name: fn(usize) -> String| counts.iter().map(|n| (*n, name(*n))).collect();
    vec![
        ("types", of(steps, |n| format!("64B_1x1_{n}names"))),
        ("handlers", of(steps, |n| format!("64B_1x1_{n}handlers"))),
        ("subscribers", of(clients, |n| format!("64B_1x{n}"))),
        ("publishers", of(clients, |n| format!("64B_{n}x1"))),
    ]
}

impl Workload {
    /// What is emitted.
    pub(crate) fn kinds(&self) -> Kinds {
        let first = if self.named { CATALOG } else { 0 };
        Kinds { first, count: self.types, step: 1, handlers: self.handlers }
    }

    /// What a subscriber wants.
    pub(crate) fn wanted(&self, subscriber: usize) -> Kinds {
        let all = self.kinds();
        if self.wants_all(subscriber) {
            return all;
        }
        let step = self.subscribers;
        Kinds { first: all.first + subscriber, count: all.count / step, step, ..all }
    }

    /// The last that each subscriber wants: subscriptions of one connection arrive in order.
    pub(crate) fn last(&self) -> Kinds {
        let (all, count) = (self.kinds(), if self.apart { self.subscribers } else { 1 });
        Kinds { first: all.first + all.count - count, count, ..all }
    }

    /// How many of so many events a subscriber gets.
    pub(crate) fn share(&self, events: u64, subscriber: usize) -> u64 {
        if self.wants_all(subscriber) {
            return events;
        }
        events.saturating_sub(subscriber as u64).div_ceil(self.subscribers as u64)
    }

    /// How many subscribers there are.
    pub(crate) fn listeners(&self) -> usize {
        self.subscribers + usize::from(self.watched)
    }

    fn wants_all(&self, subscriber: usize) -> bool {
        !self.apart || subscriber >= self.subscribers
    }

    /// What a steady load is half of.
    pub(crate) fn peak(&self) -> Workload {
        Workload { mode: Mode::Burst, ..*self }
    }

    /// How often each event is delivered.
    pub(crate) fn copies(&self) -> u64 {
        let once = if self.apart { 1 } else { self.subscribers };
        ((once + usize::from(self.watched)) * self.handlers) as u64
    }
}

impl fmt::Display for Workload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mode = MODES.iter().find(|(_, mode)| *mode == self.mode).map_or("", |(name, _)| name);
        write!(f, "{mode}{}B", self.size)?;
        if !matches!(self.mode, Mode::Latency | Mode::LatencyLoad) {
            write!(f, "_{}x{}", self.publishers, self.subscribers)?;
        }
        match (self.named, self.types) {
            (true, types) => write!(f, "_{types}names")?,
            (false, 1) => {}
            (false, types) => write!(f, "_{types}types")?,
        }
        if self.apart {
            write!(f, "_apart")?;
        }
        if self.watched {
            write!(f, "_watched")?;
        }
        if self.handlers > 1 { write!(f, "_{}handlers", self.handlers) } else { Ok(()) }
    }
}

impl FromStr for Workload {
    type Err = anyhow::Error;

    fn from_str(name: &str) -> anyhow::Result<Workload> {
        let found = MODES.iter().find_map(|(prefix, mode)| Some((name.strip_prefix(prefix)?, *mode)));
        let (rest, mode) = found.unwrap_or((name, Mode::Burst));
        let mut parts = rest.split('_');
        let size = parts.next().and_then(|size| size.strip_suffix('B')).context("a workload begins as in `64B_1x1`")?;
        let size: usize = size.parse().context("the size is a number of bytes")?;
        let (publishers, subscribers, types, handlers) = (1, 1, 1, 1);
        let (named, apart, watched) = (false, false, false);
        let mut workload = Workload { mode, size, publishers, subscribers, types, handlers, named, apart, watched };
        for part in parts {
            if let Some((publishers, subscribers)) = part.split_once('x') {
                workload.publishers = publishers.parse()?;
                workload.subscribers = subscribers.parse()?;
            } else if let Some(types) = part.strip_suffix("types") {
                workload.types = types.parse()?;
            } else if let Some(names) = part.strip_suffix("names") {
                (workload.types, workload.named) = (names.parse()?, true);
            } else if part == "apart" {
                workload.apart = true;
            } else if part == "watched" {
                workload.watched = true;
            } else if let Some(handlers) = part.strip_suffix("handlers") {
                workload.handlers = handlers.parse()?;
            } else {
                bail!("a workload is as in `steady_64B_1x8_48types`: `{part}` does not belong there");
            }
        }
        let counts = [workload.publishers, workload.subscribers, workload.types, workload.handlers];
        anyhow::ensure!(counts.iter().all(|count| (1..=1_000).contains(count)), "from 1 to 1,000 of each");
        anyhow::ensure!(workload.publishers <= 200, "at most 200 publishers");
        anyhow::ensure!(workload.named || workload.types <= CATALOG, "beyond {CATALOG} types say `names`");
        let shared_out = !workload.apart || workload.types.is_multiple_of(workload.subscribers);
        anyhow::ensure!(shared_out, "`apart` wants a number of types that the subscribers can share out");
        anyhow::ensure!((16..=4 << 20).contains(&size), "from 16 bytes to 4 MiB");
        Ok(workload)
    }
}
