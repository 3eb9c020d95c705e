//! A random walk through a world: faults as the seed says, then peace, then the account.

use events_core::delivery::Limits;

use super::chance::Chance;
use super::world::{Choice, Mangle, World};
use super::{ANY, EVENTS};

/// What a bare SUB may subscribe to: all, names, beginnings of some, and of some frames of one.
const PLAIN: &[&str] = &["", "A", "A\0", "AB\0", "R", "R.", "R\0", "R\0\u{17}"];

/// What a seed decided to do.
#[derive(Clone, Copy, Debug)]
pub struct Profile {
    programs: usize,
    steps: usize,
    /// Everything is kept: nothing may be missed.
    ample: bool,
    room: usize,
    /// Chances in a thousand, per step.
    emits: usize,
    registers: usize,
    breaks: usize,
    kills: usize,
    leaves: usize,
    comes_and_goes: usize,
    stops: usize,
    behind: usize,
    slow: bool,
    mangles: usize,
    weight: usize,
    bursts: usize,
    plain: usize,
}

/// What a walk came to.
#[derive(Clone, Copy, Debug, Default)]
pub struct Outcome {
    /// Records handed to handlers.
    pub received: u64,
    /// Records reported missed.
    pub missed: u64,
    /// Servers lost.
    pub servers_lost: u64,
    /// Things that happened.
    pub steps: u64,
}

impl Profile {
    fn of(chance: &mut Chance) -> Profile {
        let mut maybe =
            |often: usize, chances: usize| if chance.permille(often) { 1 + chance.below(chances) } else { 0 };
        let (breaks, kills, leaves) = (maybe(600, 12), maybe(500, 8), maybe(250, 5));
        let (comes_and_goes, stops, behind, mangles) = (maybe(400, 10), maybe(400, 6), maybe(300, 8), maybe(150, 40));
        let plain = maybe(250, 30);
        Profile {
            programs: 2 + chance.below(3),
            steps: 200 + chance.below(800),
            ample: chance.permille(500),
            room: 1 + chance.below(8),
            emits: 40 + chance.below(250),
            registers: 10 + chance.below(30),
            breaks,
            kills,
            leaves,
            comes_and_goes,
            stops,
            behind,
            slow: chance.permille(300),
            mangles,
            weight: [8, 60, 400][chance.below(3)],
            bursts: if chance.permille(300) { 100 + chance.below(500) } else { 0 },
            plain,
        }
    }

    fn limits(&self) -> Limits {
        if self.ample { roomy() } else { Limits { window: 2048, window_frames: 4, window_most: 4096, ..roomy() } }
    }
}

/// Times that are short and windows that keep everything.
pub(super) fn roomy() -> Limits {
    Limits {
        frame: 1024,
        largest_frame: 8192,
        window: 16 << 20,
        window_frames: 96,
        in_flight: 2048,
        in_sockets: 2048,
        queue: 4096,
        ack_every: 512,
        ack_after: 300,
        stall: 20_000,
        retry: 5_000,
        grace: 10_000,
        known: 1_000,
        ..Limits::default()
    }
}

/// Walks as `seed` says.
///
/// # Errors
/// The promise that was broken.
pub fn walk(seed: u64, trace: bool) -> Result<Outcome, String> {
    let mut chance = Chance::new(seed);
    let profile = Profile::of(&mut chance);
    let mut world = World::new(profile.limits(), profile.room);
    world.trace = trace;
    if trace {
        println!("{profile:?}");
    }
    if chance.permille(700) {
        world.apply(&Choice::Start)?;
    }
    for _ in 0..profile.programs {
        world.apply(&Choice::Join)?;
    }
    let mut steps = 0;
    for _ in 0..profile.steps {
        steps += 1;
        world.now += chance.below(120) as u64;
        let choice = disturbance(&world, &profile, &mut chance).or_else(|| progress(&world, &mut chance));
        let choice = choice.unwrap_or(Choice::Turn);
        world.apply(&choice)?;
        if let Choice::Emit { program, open: true, .. } = choice
            && chance.permille(profile.bursts)
        {
            steps += burst(&mut world, program, &mut chance)?;
        }
        slow_down(&mut world, &profile, &mut chance);
    }
    steps += heal(&mut world, &mut chance)?;
    world.check_windows()?;
    world.check_topics()?;
    world.ledger.settle(profile.ample)?;
    steps += late_joiner(&mut world, &mut chance)?;
    let ledger = &world.ledger;
    Ok(Outcome {
        received: ledger.received,
        missed: ledger.missed,
        servers_lost: u64::from(ledger.servers_lost),
        steps,
    })
}

/// A program emits small events of some types in turn, which share messages.
fn burst(world: &mut World, program: usize, chance: &mut Chance) -> Result<u64, String> {
    let events = 4 + chance.below(20) as u64;
    for _ in 0..events {
        let event = EVENTS[chance.below(EVENTS.len())];
        world.apply(&Choice::Emit { program, event, weight: 1 + chance.below(4), open: true })?;
    }
    Ok(events)
}

/// Something that somebody does, or that breaks.
fn disturbance(world: &World, profile: &Profile, chance: &mut Chance) -> Option<Choice> {
    let present: Vec<usize> = world.present().map(|(at, _)| at).collect();
    let at = chance.pick(&present).copied();
    if !world.has_server() && chance.permille(25) {
        return Some(Choice::Start);
    }
    if chance.permille(profile.emits) {
        let (event, open) = (EVENTS[chance.below(EVENTS.len())], chance.permille(300));
        return Some(Choice::Emit { program: at?, event, weight: chance.below(profile.weight) + 1, open });
    }
    if chance.permille(profile.registers) {
        let registered = world.registered();
        if registered.len() > 2 && chance.permille(400) {
            let &(at, id) = chance.pick(registered)?;
            return Some(Choice::Unregister(at, id));
        }
        let event = if chance.permille(100) { ANY } else { EVENTS[chance.below(EVENTS.len())] };
        return Some(Choice::Register(at?, event));
    }
    if chance.permille(profile.breaks) {
        let at = at?;
        return Some(match chance.below(2) {
            0 => Choice::BreakDown(at),
            _ => Choice::BreakUp(at, chance.below(world.net.wires[at].backlog.len() + 1)),
        });
    }
    if chance.permille(profile.kills) {
        return Some(Choice::Kill);
    }
    if chance.permille(profile.leaves) {
        return Some(Choice::Leave);
    }
    if chance.permille(profile.comes_and_goes) {
        return if present.len() < 5 && chance.permille(500) { Some(Choice::Join) } else { Some(Choice::Part(at?)) };
    }
    if chance.permille(profile.stops) {
        return Some(Choice::Stop(at?, world.now + chance.below(50_000) as u64));
    }
    if chance.permille(profile.behind) {
        let at = at?;
        let behind = world.programs[at].as_ref()?.behind;
        return Some(Choice::Behind(at, !behind));
    }
    if chance.permille(profile.plain) {
        return chance.pick(PLAIN).map(|topic| Choice::Plain(topic));
    }
    if chance.permille(profile.mangles) {
        let mangles = [Mangle::Drop, Mangle::Twice, Mangle::Swap, Mangle::Stray, Mangle::Arrive, Mangle::Arrive];
        let mangle = mangles[chance.below(mangles.len())];
        return Some(Choice::Mangle(at?, mangle));
    }
    None
}

/// Something that goes on by itself.
fn progress(world: &World, chance: &mut Chance) -> Option<Choice> {
    let enabled = world.enabled();
    if world.has_server() && chance.below(enabled.len() + 2) < 2 {
        return Some(Choice::Turn);
    }
    chance.pick(&enabled).cloned()
}

fn slow_down(world: &mut World, profile: &Profile, chance: &mut Chance) {
    if profile.slow && chance.permille(5) {
        let at = chance.below(world.programs.len());
        if let Some(program) = &mut world.programs[at] {
            program.slow = [0, 500, 3_000][chance.below(3)];
        }
    }
}

/// No more faults: everything must come to rest within bounded time.
pub(super) fn heal(world: &mut World, chance: &mut Chance) -> Result<u64, String> {
    let began = world.now;
    let present: Vec<usize> = world.present().map(|(at, _)| at).collect();
    for &at in &present {
        world.apply(&Choice::Stop(at, 0))?;
        if let Some(program) = &mut world.programs[at] {
            (program.slow, program.busy) = (0, 0);
        }
        world.apply(&Choice::Behind(at, false))?;
    }
    for step in 0..60_000 {
        if !world.has_server() {
            world.apply(&Choice::Start)?;
        }
        let enabled = world.enabled();
        if enabled.is_empty() {
            world.apply(&Choice::Turn)?;
            if world.is_settled() && world.enabled().is_empty() {
                // What is merely late would come now.
                world.now += 2 * world.limits.retry;
                world.apply(&Choice::Turn)?;
                world.apply(&Choice::Turn)?;
                if world.is_settled() && world.enabled().iter().all(|choice| matches!(choice, Choice::Tick(_))) {
                    return Ok(step);
                }
            }
            world.now += 200;
        }
        let choice = progress(world, chance);
        world.apply(&choice.unwrap_or(Choice::Turn))?;
        world.now += 5;
    }
    Err(format!("no rest after {} ms of peace", (world.now - began) / 1000))
}

/// Who comes after all is calm gets the retained events that living publishers emitted.
fn late_joiner(world: &mut World, chance: &mut Chance) -> Result<u64, String> {
    let emitters: Vec<u64> = world.present().map(|(_, program)| program.id).collect();
    let at = world.programs.len();
    world.apply(&Choice::Join)?;
    for event in ["R", "R.B"] {
        world.apply(&Choice::Register(at, event))?;
        let id = world.registered().last().map_or(0, |&(_, id)| id);
        heal(world, chance)?;
        let got = world.ledger.retained(id);
        if got.is_none() && emitters.iter().any(|&publisher| world.ledger.newest(publisher, event).is_some()) {
            return Err(format!("a late joiner did not get the retained {event}"));
        }
        if let Some((publisher, sequence)) = got
            && world.ledger.newest(publisher, event) != Some(sequence)
        {
            return Err(format!("a late joiner got {event} {publisher:x}#{sequence}, which is not the newest"));
        }
    }
    world.ledger.settle(false)?;
    Ok(0)
}
