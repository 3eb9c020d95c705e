//! A small case in full: three events, one registration, one server killed and replaced, one connection
//! that breaks, each at every step. `EVENTS_STRIDE=1` checks every placement, which takes minutes; otherwise it
//! is every 11th, and every 397th in a build without optimisation.

use events_conformance::sim::search::{Order, check_all};

fn all(order: Order) {
    let given = std::env::var("EVENTS_STRIDE").ok().and_then(|stride| stride.parse().ok());
    let stride = given.unwrap_or(if cfg!(debug_assertions) { 397 } else { 11 });
    match check_all(order, 12, stride) {
        Ok(count) => println!("{count} placements under {order:?}"),
        Err(broken) => panic!("{broken}"),
    }
}

#[test]
fn the_first_program_first() {
    all(Order::First);
}

#[test]
fn what_came_last_first() {
    all(Order::Last);
}

#[test]
fn the_server_after_each_step() {
    all(Order::Server);
}
