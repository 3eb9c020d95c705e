//! A small case in full: every way to place a few events of interest in a fair schedule.
//!
//! A random walk finds what is likely; this finds what is not. Two programs, of which one emits and one
//! registers, and one server that is killed and comes back: each of these may fall before or after any
//! step of the messages, under several orders in which the messages move.

use super::chance::Chance;
use super::walk::{heal, roomy};
use super::world::{Choice, World};

/// In which order messages move.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// What the first program does comes first.
    First,
    /// What came last comes first.
    Last,
    /// The server works after each step.
    Server,
}

/// When what happens, as step numbers.
#[derive(Clone, Copy, Debug)]
pub struct Placement {
    /// Which messages move first.
    pub order: Order,
    /// The first program emits.
    pub emits: [usize; 3],
    /// The second program registers.
    pub registers: usize,
    /// The server is killed, and another one comes.
    pub server: [usize; 2],
    /// The connection to the second program breaks.
    pub breaks: usize,
}

/// Walks through one placement.
///
/// # Errors
/// The promise that was broken.
pub fn check(placement: &Placement, steps: usize) -> Result<(), String> {
    let mut world = World::new(roomy(), 2);
    world.apply(&Choice::Start)?;
    world.apply(&Choice::Join)?;
    world.apply(&Choice::Join)?;
    for step in 0..steps {
        if placement.registers == step {
            world.apply(&Choice::Register(1, "A"))?;
        }
        for (index, at) in placement.emits.iter().enumerate() {
            if *at == step {
                let event = ["A", "AB", "A"][index];
                world.apply(&Choice::Emit { program: 0, event, weight: 1, open: false })?;
            }
        }
        if placement.breaks == step {
            world.apply(&Choice::BreakDown(1))?;
        }
        for (at, choice) in placement.server.iter().zip([Choice::Kill, Choice::Start]) {
            if *at == step {
                world.apply(&choice)?;
            }
        }
        move_on(&mut world, placement.order, step)?;
        world.now += 100;
    }
    heal(&mut world, &mut Chance::new(1))?;
    world.check_topics()?;
    world.ledger.settle(true)
}

fn move_on(world: &mut World, order: Order, step: usize) -> Result<(), String> {
    let enabled = world.enabled();
    let choice = match order {
        Order::First if step % 3 < 2 => enabled.first(),
        Order::Last if step % 3 < 2 => enabled.last(),
        Order::Server => enabled.get(step % enabled.len().max(1)),
        _ => None,
    };
    if let Some(choice) = choice {
        world.apply(choice)?;
    }
    if choice.is_none() || order == Order::Server { world.apply(&Choice::Turn) } else { Ok(()) }
}

/// Checks every placement within so many steps, or each `stride`-th. Returns how many there were.
///
/// # Errors
/// The first placement that broke a promise, and which.
pub fn check_all(order: Order, steps: usize, stride: usize) -> Result<usize, String> {
    let mut count = 0;
    let mut checked = 0;
    for registers in 0..steps {
        for kill in 0..steps {
            for start in kill..steps {
                for breaks in [start, steps] {
                    for first in 0..steps {
                        for second in first..steps {
                            for third in second..steps {
                                count += 1;
                                if count % stride != 0 {
                                    continue;
                                }
                                checked += 1;
                                let emits = [first, second, third];
                                let placement = Placement { order, emits, registers, server: [kill, start], breaks };
                                check(&placement, steps).map_err(|broken| format!("{placement:?}: {broken}"))?;
                            }
                        }
                    }
                }
            }
        }
    }
    Ok(checked)
}
