//! Full queues: emit waits, try_emit says so, and neither loses what it accepted.

use events::Error;
use events::catalog::ClientUid;

use crate::process::{most_resident, resident, signal};
use crate::world::{Sums, World, patience, print_row, size};

const SUBSCRIBERS: usize = 3;

/// What is emitted, and how far the server's memory may grow.
struct Load {
    publishers: usize,
    count: u64,
    bytes: u64,
    most_mib: u64,
}

fn small() -> Load {
    Load { publishers: 2, count: size(100_000, 2_000_000), bytes: 0, most_mib: 64 }
}

fn burst(row: &str, world: &World, load: &Load) {
    let mut server = world.start("server");
    let before = resident(server.pid());
    let mut subscribers = world.start_all("subscriber", SUBSCRIBERS);
    let mut publishers = world.start_all("publisher", load.publishers);

    publishers.iter_mut().for_each(|publisher| publisher.tell(&format!("emit {} {}", load.count, load.bytes)));
    let mut refused = 0;
    let mut emitted = Vec::new();
    for publisher in &publishers {
        let [id, accepted, waits] = publisher.numbers();
        refused += waits;
        emitted.push((id, accepted));
    }
    let mut sums = Sums::default();
    subscribers.iter_mut().for_each(|subscriber| sums.add(Sums::of(subscriber, &emitted)));

    let [_, stalled, _, replayed, _] = server.ask("figures");
    let total: u64 = emitted.iter().map(|(_, emitted)| emitted).sum();
    let grown = (most_resident(server.pid()) - before) / 1024;
    print_row(row, total, replayed, sums, format!("{refused} refused, {stalled} stalled, server grew {grown} MiB"));
    assert_eq!((sums.missed, sums.received), (0, total * SUBSCRIBERS as u64));
    assert!(grown <= load.most_mib, "the server grew by {grown} MiB");
}

#[test]
fn a_burst_loses_nothing() {
    burst("burst, ipc", &World::new(), &small());
}

#[test]
fn a_burst_over_tcp_loses_nothing() {
    burst("burst, tcp with CURVE", &World::tcp(), &small());
}

/// However busy the server is, it reads no more from each of them than that may have on its way, and nothing twice.
#[test]
fn a_burst_of_many_with_large_events_fills_no_memory() {
    let load = Load { publishers: 20, count: size(10, 100), bytes: 1 << 20, most_mib: 80 };
    burst("burst of 20 publishers, 1 MB", &World::new(), &load);
}

/// While the server is stopped the queue fills up; what was accepted arrives when it goes on.
#[test]
fn what_try_emit_accepted_arrives() {
    let world = World::new();
    let mut server = world.start("server");
    let mut subscriber = world.start("subscriber");
    let client = world.client();
    let text = "x".repeat(1000);
    let emit = |number| client.try_emit(ClientUid { uid: format!("{number}:{text}") });
    emit(0).expect("room");
    client.flush(patience()).expect("a server");

    signal(server.pid(), "STOP");
    let mut accepted = 1;
    let refused = loop {
        match emit(accepted) {
            Ok(()) => accepted += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(refused, Error::Backpressure { .. }), "{refused}");
    signal(server.pid(), "CONT");

    let sums = Sums::of(&mut subscriber, &[(client.id(), accepted)]);
    let [_, _, _, replayed, _] = server.ask("figures");
    client.flush(patience()).expect("a server");
    let stats = client.stats();
    print_row("try_emit, server stopped", stats.emitted, replayed, sums, format!("{} refused", stats.refused));
    assert_eq!((sums.missed, stats.emitted, stats.refused, stats.unacknowledged), (0, accepted, 1, 0));
}
