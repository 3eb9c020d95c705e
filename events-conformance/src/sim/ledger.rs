//! Who emitted what, who received what, and whether that is what was promised.

use std::collections::{BTreeMap, BTreeSet};

use events_core::dispatch::handling::Seen;
use events_core::frame::FIRST_BYTES;

use super::{ANY, EVENTS};

/// A record that was accepted.
#[derive(Clone, Debug)]
struct Emitted {
    event: String,
    position: u64,
}

/// One publisher.
#[derive(Debug, Default)]
struct Source {
    records: Vec<Emitted>,
    counts: BTreeMap<String, u64>,
    /// How often the server had been lost when one last greeted it: to that one it has told everything.
    greeted: u32,
    /// Whether it has left.
    left: bool,
}

impl Source {
    fn count(&self, event: &str) -> u64 {
        self.counts.get(event).copied().unwrap_or(0)
    }

    /// How many records of the event lie below this position.
    fn below(&self, event: &str, position: u64) -> u64 {
        self.records.iter().filter(|record| record.event == event && record.position < position).count() as u64
    }
}

/// What one registration got of one publisher.
#[derive(Clone, Debug, Default)]
struct Track {
    /// Records that were acknowledged before it was asked for: nothing below may come.
    low: u64,
    /// Records that were emitted before it was active: everything from here on must come or be reported.
    high: u64,
    /// The first sequence it was told about.
    start: Option<u64>,
    /// Missed before anything was received.
    early: u64,
    /// The sequence that must come next.
    next: Option<u64>,
    missed: u64,
}

impl Track {
    /// Of `total` records everything from `high` on must have come or been reported. `aged`: the server
    /// under which the handler became active is gone, so of what is older it may have heard too much; `shares`: it may have heard for another handler.
    fn settle(&self, total: u64, aged: bool, shares: bool, ample: bool) -> Result<(), String> {
        // Gaps are told to the client: with nothing received, all of them may have been meant for the other handler.
        let low = if aged || (shares && self.start.is_none()) { 0 } else { self.low };
        let told = self.next.is_some() || self.early > 0;
        if !told {
            return if total <= self.high {
                Ok(())
            } else {
                Err(format!("of {total} none came or was reported: {self:?}"))
            };
        }
        let start = self.start.unwrap_or(total.saturating_sub(self.early));
        let end = self.next.unwrap_or(start + self.early);
        if end != total {
            return Err(format!("ends at {end}, but {total} were emitted: {self:?}"));
        }
        if start < low || start > self.high {
            return Err(format!("begins at {start}, but {low} to {} is right: {self:?}", self.high));
        }
        let old = if aged || shares { self.early.min(self.high - start) } else { 0 };
        if ample && self.missed > old {
            return Err(format!("{} were missed, though everything was kept: {self:?}", self.missed - old));
        }
        Ok(())
    }
}

#[derive(Debug)]
struct Watched {
    program: usize,
    event: String,
    /// By a handler of all events.
    any: bool,
    active: bool,
    /// Under which server it became active.
    server: u32,
    /// Another handler of the event was active then: a gap may be meant for that one alone.
    shares: bool,
    ended: bool,
    tracks: BTreeMap<u64, Track>,
    retained: Option<(u64, u64)>,
}

/// All that was emitted and seen.
#[derive(Debug, Default)]
pub struct Ledger {
    sources: BTreeMap<u64, Source>,
    /// By registration and event: one of all events is watched for each.
    watched: BTreeMap<(u64, String), Watched>,
    /// The last record each program saw of each publisher, over all its registrations.
    order: BTreeMap<(usize, u64), u64>,
    /// How often a server was lost.
    pub servers_lost: u32,
    /// Records handed to handlers.
    pub received: u64,
    /// Records reported as missed.
    pub missed: u64,
}

impl Ledger {
    /// A publisher begins.
    pub fn joins(&mut self, publisher: u64) {
        self.sources.insert(publisher, Source::default());
    }

    /// The present server has greeted a publisher.
    pub fn greeted(&mut self, publisher: u64) {
        if let Some(source) = self.sources.get_mut(&publisher) {
            source.greeted = self.servers_lost;
        }
    }

    /// A publisher leaves, everything acknowledged by the server that greeted it last.
    pub fn leaves(&mut self, program: usize, publisher: u64) {
        if let Some(source) = self.sources.get_mut(&publisher) {
            source.left = true;
        }
        for watched in self.watched.values_mut().filter(|watched| watched.program == program) {
            watched.ended = true;
        }
    }

    /// The number the publisher's next record has among all it emits.
    #[must_use]
    pub fn next_number(&self, publisher: u64) -> u64 {
        self.sources.get(&publisher).map_or(0, |source| source.records.len() as u64)
    }

    /// A record was accepted into the frame at this position.
    pub fn emitted(&mut self, publisher: u64, event: &str, position: u64) {
        let source = self.sources.entry(publisher).or_default();
        source.records.push(Emitted { event: event.to_owned(), position });
        *source.counts.entry(event.to_owned()).or_default() += 1;
    }

    /// A handler is registered. `acked` says how far every publisher is known to be safe.
    pub fn registered(&mut self, program: usize, id: u64, event: &str, acked: &[(u64, u64)]) {
        match event {
            ANY => EVENTS.iter().for_each(|event| self.watch(program, id, event, true, acked)),
            event => self.watch(program, id, event, false, acked),
        }
    }

    fn watch(&mut self, program: usize, id: u64, event: &str, any: bool, acked: &[(u64, u64)]) {
        let track = |(publisher, source): (&u64, &Source)| {
            // Whoever left had everything acknowledged.
            let safe = acked.iter().find(|(id, _)| id == publisher).map_or(u64::MAX, |(_, position)| *position);
            (*publisher, Track { low: source.below(event, safe), ..Track::default() })
        };
        let tracks = self.sources.iter().map(track).collect();
        let watched = Watched {
            program,
            event: event.to_owned(),
            any,
            active: false,
            server: 0,
            shares: false,
            ended: false,
            tracks,
            retained: None,
        };
        self.watched.insert((id, event.to_owned()), watched);
    }

    /// A registration is active.
    pub fn stands(&mut self, id: u64) {
        for mut watched in self.watched.extract_if(.., |(of, _), _| *of == id).map(|(_, w)| w).collect::<Vec<_>>() {
            let shares = |w: &Watched| w.program == watched.program && w.event == watched.event && w.active && !w.ended;
            watched.shares = self.watched.values().any(shares);
            (watched.active, watched.server) = (true, self.servers_lost);
            for (publisher, source) in &self.sources {
                watched.tracks.entry(*publisher).or_default().high = source.count(&watched.event);
            }
            self.watched.insert((id, watched.event.clone()), watched);
        }
    }

    /// A handler is taken back.
    pub fn unregistered(&mut self, id: u64) {
        for watched in self.of(id) {
            watched.ended = true;
        }
    }

    fn of(&mut self, id: u64) -> impl Iterator<Item = &mut Watched> {
        self.watched.iter_mut().filter(move |((of, _), _)| *of == id).map(|(_, watched)| watched)
    }

    /// What a program saw.
    ///
    /// # Errors
    /// The promise that was broken.
    pub fn saw(&mut self, program: usize, seen: &Seen) -> Result<(), String> {
        match seen {
            Seen::Problem(problem) => Err(format!("program {program} has a problem: {problem}")),
            Seen::Lagged(lagged) => {
                self.missed += lagged.missed;
                let meant = |w: &&mut Watched| w.program == program && w.active && !w.ended && w.event == lagged.event;
                let mut heard = false;
                for watched in self.watched.values_mut().filter(meant) {
                    heard = true;
                    let track = watched.tracks.entry(lagged.publisher).or_default();
                    track.missed += lagged.missed;
                    match &mut track.next {
                        Some(next) => *next += lagged.missed,
                        None => track.early += lagged.missed,
                    }
                }
                if heard {
                    Ok(())
                } else {
                    Err(format!("program {program} heard of a gap without a handler: {lagged:?}"))
                }
            }
            Seen::Called { registration, event, publisher, sequence, retained, payload } => {
                self.received += 1;
                let number = number_of(payload).ok_or("a payload is damaged")?;
                let Some(watched) = self.watched.get_mut(&(*registration, event.clone())) else {
                    return Err(format!("handler {registration} is unknown, or not for {event}"));
                };
                let who = format!("handler {registration} of {event} in program {program}");
                if watched.ended || !watched.active {
                    return Err(format!("{who} was called while it was not registered"));
                }
                if *retained {
                    if watched.retained.replace((*publisher, *sequence)).is_some() {
                        return Err(format!("{who} got two retained events"));
                    }
                    return Ok(());
                }
                if watched.retained.is_some_and(|(p, s)| p == *publisher && s >= *sequence) {
                    return Err(format!("{who} got {publisher:x}#{sequence} after a retained one as new"));
                }
                let track = watched.tracks.entry(*publisher).or_default();
                match track.next {
                    None => {
                        // What a server that is gone had, and its successor too, lost with it: a handler of
                        // those times cannot tell what of it is older than itself.
                        let unknown = watched.server < self.servers_lost;
                        let low = if unknown { 0 } else { track.low };
                        let early =
                            if watched.shares { track.early.min(*sequence - low.min(*sequence)) } else { track.early };
                        let start = sequence.checked_sub(early);
                        let Some(start) = start.filter(|start| *start >= low) else {
                            return Err(format!(
                                "{who} got {publisher:x}#{sequence} first, {} reported missed, but {} were there before it",
                                track.early, track.low
                            ));
                        };
                        track.start = Some(start);
                    }
                    Some(next) if *sequence < next => {
                        return Err(format!("{who} got {publisher:x}#{sequence} again or late, {next} was next"));
                    }
                    Some(next) if *sequence > next => {
                        return Err(format!("{who} got {publisher:x}#{sequence} and was never told of {next} and on"));
                    }
                    Some(_) => {}
                }
                track.next = Some(sequence + 1);
                let last = self.order.entry((program, *publisher)).or_default();
                if number + 1 < *last {
                    return Err(format!("{who} got record {number} of {publisher:x} after record {}", *last - 1));
                }
                *last = number + 1;
                Ok(())
            }
        }
    }

    /// At the end, when nothing is on its way any more. `ample`: nothing may have been missed.
    ///
    /// # Errors
    /// The promise that was broken.
    pub fn settle(&self, ample: bool) -> Result<(), String> {
        for ((id, _), watched) in self.watched.iter().filter(|(_, watched)| !watched.ended) {
            if !watched.active {
                return Err(format!("handler {id} never became active"));
            }
            for (publisher, source) in &self.sources {
                let track = watched.tracks.get(publisher).cloned().unwrap_or_default();
                let who = format!(
                    "handler {id} of {} in program {}, events of {publisher:x}",
                    watched.event, watched.program
                );
                // The last server to which a publisher told anything took what only it knew with it.
                if source.left && source.greeted < self.servers_lost {
                    continue;
                }
                let aged = watched.server < self.servers_lost;
                track
                    .settle(source.count(&watched.event), aged, watched.shares, ample)
                    .map_err(|broken| format!("{who}: {broken}"))?;
            }
        }
        Ok(())
    }

    /// How many topics a program subscribes to for its handlers.
    #[must_use]
    pub fn topics(&self, program: usize) -> usize {
        let mine = || self.watched.values().filter(|w| w.program == program && !w.ended);
        let named = mine().filter(|w| !w.any).map(|w| &w.event).collect::<BTreeSet<_>>().len();
        if mine().any(|w| w.any) { named + FIRST_BYTES.len() } else { named }
    }

    /// The newest record of an event by this publisher, as publisher and sequence.
    #[must_use]
    pub fn newest(&self, publisher: u64, event: &str) -> Option<u64> {
        self.sources.get(&publisher)?.count(event).checked_sub(1)
    }

    /// What a registration got as the retained event.
    #[must_use]
    pub fn retained(&self, id: u64) -> Option<(u64, u64)> {
        self.watched.iter().find(|((of, _), _)| *of == id)?.1.retained
    }
}

/// A payload that carries a record's number and some weight.
#[must_use]
pub fn payload(number: u64, weight: usize) -> Vec<u8> {
    let mut bytes = vec![0x92, 0xCF];
    bytes.extend_from_slice(&number.to_be_bytes());
    bytes.push(0xC5);
    bytes.extend_from_slice(&u16::try_from(weight).unwrap_or(u16::MAX).to_be_bytes());
    bytes.resize(bytes.len() + weight.min(usize::from(u16::MAX)), 0);
    bytes
}

fn number_of(payload: &[u8]) -> Option<u64> {
    Some(u64::from_be_bytes(payload.get(2..10)?.try_into().ok()?))
}
