//! Subscribers that stop, or are slow: they hold up nobody for longer than the stall limit, and learn
//! exactly what they missed.

use std::time::Instant;

use crate::process::{most_resident, resident, signal};
use crate::world::{Player, Sums, World, print_row, size, stop_all, wait_for};

/// How many thousand events a second a subscriber gets.
fn rate(subscriber: &mut Player, events: u64) -> u64 {
    let began = Instant::now();
    subscriber.moves_on(events) / u64::try_from(began.elapsed().as_millis().max(1)).expect("a short time")
}

fn total(emitted: &[(u64, u64)]) -> u64 {
    emitted.iter().map(|(_, emitted)| emitted).sum()
}

/// One of three subscribers is stopped under full load.
#[test]
fn a_stopped_subscriber_holds_up_nobody() {
    let world = World::new();
    let mut server = world.start("server");
    let mut subscribers = world.start_all("subscriber", 3);
    let mut publishers = world.start_all("publisher", 2);
    publishers.iter_mut().for_each(|publisher| publisher.tell("start 100"));
    let some = size(100_000, 2_000_000);
    let rate_before = rate(&mut subscribers[0], some);
    let memory = resident(server.pid());

    let stopped = subscribers[2].pid();
    signal(stopped, "STOP");
    let began = Instant::now();
    wait_for("the stopped one is cut off", || {
        let [_, stalled, _, _, _] = server.ask("figures");
        (stalled > 0).then_some(())
    });
    let cut_off = began.elapsed();
    // Far more than the server keeps, so that the stopped one does miss some.
    let rate_after = rate(&mut subscribers[0], size(400_000, 8_000_000));
    subscribers[1].moves_on(some);
    signal(stopped, "CONT");
    subscribers[2].moves_on(some);

    let emitted = stop_all(&mut publishers);
    let mut others = Sums::default();
    others.add(Sums::of(&mut subscribers[0], &emitted));
    others.add(Sums::of(&mut subscribers[1], &emitted));
    let sums = Sums::of(&mut subscribers[2], &emitted);
    let [_, stalled, _, replayed, _] = server.ask("figures");
    let grown = most_resident(server.pid()).saturating_sub(memory) / 1024;
    print_row(
        "SIGSTOP of one of three",
        total(&emitted),
        replayed,
        sums,
        format!(
            "the others: {} received, {} missed; cut off after {} ms, {rate_before} events/ms before and {rate_after} after, \
             server grew {grown} MiB",
            others.received,
            others.missed,
            cut_off.as_millis()
        ),
    );
    assert_eq!((others.missed, stalled), (0, 1));
    assert!(sums.missed > 0, "the stopped one missed nothing: the row shows nothing");
    assert!(grown <= 64, "the server grew by {grown} MiB");
}

/// Its queue is full of bytes then, and has room for a message that asks whether it is.
#[test]
fn nor_does_one_that_is_stopped_among_large_events() {
    let world = World::new();
    let mut server = world.start("server");
    let memory = resident(server.pid());
    let mut subscribers = world.start_all("subscriber", 2);
    let mut publisher = world.start("publisher");
    publisher.tell(&format!("start {}", 4 << 20));
    subscribers[1].moves_on(20);

    let stopped = subscribers[1].pid();
    signal(stopped, "STOP");
    wait_for("the stopped one is cut off", || {
        let [_, stalled, _, _, _] = server.ask("figures");
        (stalled > 0).then_some(())
    });
    subscribers[0].moves_on(size(50, 1_000));
    signal(stopped, "CONT");
    subscribers[1].moves_on(20);

    let [id, emitted, refused] = publisher.ask("stop");
    let other = Sums::of(&mut subscribers[0], &[(id, emitted)]);
    let sums = Sums::of(&mut subscribers[1], &[(id, emitted)]);
    let [_, stalled, _, replayed, _] = server.ask("figures");
    let grown = most_resident(server.pid()).saturating_sub(memory) / 1024;
    let more = format!("the other {} received; {refused} refused, server grew {grown} MiB", other.received);
    print_row("SIGSTOP of one of two, 4 MB", emitted, replayed, sums, more);
    assert_eq!((other.missed, stalled), (0, 1));
    assert!(grown <= 64, "the server grew by {grown} MiB");
}

/// What leaves the server's memory while a subscriber is stopped, and has nothing behind it that would
/// show the gap, is told as well.
#[test]
fn a_lost_tail_is_told() {
    let world = World::new();
    let mut server = world.start("server");
    let mut subscriber = world.start("subscriber");
    let mut publishers = world.start_all("publisher", 2);
    let mut quiet = publishers.remove(0);
    let [id, before, _] = quiet.ask("emit 1000 0");
    assert_eq!(Sums::of(&mut subscriber, &[(id, before)]).received, before);

    signal(subscriber.pid(), "STOP");
    publishers[0].tell("start 1000");
    wait_for("the stopped one is cut off", || {
        let [_, stalled, _, _, _] = server.ask("figures");
        (stalled > 0).then_some(())
    });
    let [_, all, _] = quiet.ask("emit 1000 0");
    quiet.ask::<3>("flush");
    // The server keeps 16 MiB; the load goes on until all of that is new.
    let [_, at, _] = publishers[0].ask("so far");
    wait_for("a ring full of others' events", || {
        let [_, now, _] = publishers[0].ask("so far");
        (now - at > 60_000).then_some(())
    });
    let mut emitted = stop_all(&mut publishers);
    signal(subscriber.pid(), "CONT");

    emitted.push((id, all));
    let sums = Sums::of(&mut subscriber, &emitted);
    let tail = Sums::of(&mut subscriber, &[(id, all)]);
    let [_, _, _, replayed, _] = server.ask("figures");
    print_row("lost tail", total(&emitted), replayed, sums, format!("of the tail {} missed", tail.missed));
    assert_eq!(tail.missed, 1000);
}

fn slow(row: &str, pause: u64, padding: u64, count: u64) {
    let world = World::new();
    let mut server = world.start("server");
    let memory = resident(server.pid());
    let mut subscribers = world.start_all("subscriber", 1);
    subscribers.push(world.start(&format!("slow {pause}")));
    let mut publisher = world.start("publisher");

    let [id, emitted, refused] = publisher.ask(&format!("emit {count} {padding}"));
    let mut sums = Sums::default();
    subscribers.iter_mut().for_each(|subscriber| sums.add(Sums::of(subscriber, &[(id, emitted)])));
    let [_, stalled, _, replayed, _] = server.ask("figures");
    let grown = most_resident(server.pid()).saturating_sub(memory) / 1024;
    print_row(row, emitted, replayed, sums, format!("{refused} refused, {stalled} stalled, server grew {grown} MiB"));
    assert_eq!((sums.missed, stalled), (0, 0));
    assert!(grown <= 64, "the server grew by {grown} MiB");
}

/// It holds the publisher to its pace and is not cut off.
#[test]
fn a_slow_subscriber_is_not_cut_off() {
    slow("1 ms per event of 4 KiB", 1000, 4096, size(8_000, 60_000));
}

/// It takes so long for what opens a full queue again (libzmq waits until half of it is gone) that it
/// could be taken for stopped, though it has never had to wait long for room itself.
#[test]
fn nor_one_whose_queue_opens_rarely() {
    slow("8 ms per event of 4 KiB", 8000, 4096, size(4_500, 8_000));
}

/// A frame of small events takes such a subscriber longer than the stall limit.
#[test]
fn nor_one_that_needs_seconds_for_a_frame() {
    slow("1 ms per event of a few bytes", 1000, 0, size(10_000, 60_000));
}

#[test]
fn a_subscriber_that_skips_holds_up_nobody() {
    let world = World::new();
    let mut server = world.start("server");
    let memory = resident(server.pid());
    let mut fast = world.start("subscriber");
    let mut skipping = world.start("skipping 1000");
    let mut publisher = world.start("publisher");

    let count = size(20_000, 500_000);
    let [id, emitted, refused] = publisher.ask(&format!("emit {count} 1000"));
    let mut others = Sums::default();
    others.add(Sums::of(&mut fast, &[(id, emitted)]));
    let [so_far] = skipping.ask("so far");
    let sums = Sums::of(&mut skipping, &[(id, emitted)]);
    let [_, stalled, _, replayed, _] = server.ask("figures");
    let grown = most_resident(server.pid()).saturating_sub(memory) / 1024;
    print_row(
        "when_slow(Skip), 1 ms per event",
        emitted,
        replayed,
        sums,
        format!(
            "when the other had all {}, it had {so_far}; {refused} refused, {stalled} stalled, server grew {grown} MiB",
            others.received
        ),
    );
    assert_eq!((others.missed, stalled), (0, 0));
    assert!(sums.missed > 0, "it skipped nothing: the row shows nothing");
    assert!(grown <= 64, "the server grew by {grown} MiB");
}
