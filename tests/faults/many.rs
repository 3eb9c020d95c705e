//! Many clients, many event types, clients that come and go, and clients that all come back at once.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use events::catalog::ClientUid;
use events::{Client, ClientOptions, Error};
use events_core::delivery::publisher::Kind;

use crate::ledger::Ledger;
use crate::process::{descriptors, most_resident, resident, threads};
use crate::roles::{Last, commands, connect, listen, number, say, settle};
use crate::world::{Player, Sums, World, patience, print_row, size, stop_all, wait_for};

/// Several subscribers in one process.
pub(crate) fn herd(clients: &str) {
    let member = || {
        let (client, ledger) = (connect(ClientOptions::default()), Arc::new(Ledger::default()));
        listen(&client, &ledger, Duration::ZERO);
        let last = Last::of(&client);
        (client, ledger, last)
    };
    let members: Vec<_> = (0..number(clients)).map(|_| member()).collect();
    say("ready");
    for command in commands() {
        if command == "so far" {
            // Of the one who has the least.
            let least = members.iter().map(|(_, ledger, _)| ledger.so_far()).min().unwrap_or(0);
            say(&least.to_string());
            continue;
        }
        for (client, ledger, last) in &members {
            settle(&command, client, ledger, last).iter().for_each(crate::ledger::Account::say);
        }
    }
}

#[test]
fn a_hundred_that_come_back_at_once() {
    const HERDS: usize = 4;
    const EACH: usize = 25;
    let world = World::new();
    let mut server = world.start("server");
    let mut herds = world.start_all(&format!("herd {EACH}"), HERDS);
    let mut publishers = world.start_all("publisher", 1);
    let some = size(2_000, 20_000);
    publishers[0].ask::<3>(&format!("emit {some} 20"));
    herds.iter_mut().for_each(|herd| _ = herd.reaches(some));
    server.kill();
    let began = Instant::now();
    // Accepted while there is no server.
    publishers[0].ask::<3>(&format!("emit {some} 20"));
    let mut server = world.start("server");
    herds.iter_mut().for_each(|herd| _ = herd.reaches(2 * some));
    let back = began.elapsed();
    let emitted = stop_all(&mut publishers);

    let mut sums = Sums::default();
    for herd in &mut herds {
        sums.add(Sums::of(herd, &emitted));
        (1..EACH).for_each(|_| sums.add(Sums::next(herd, &emitted)));
    }
    let [_, stalled, replays, replayed, clients] = server.ask("figures");
    let memory = most_resident(server.pid()) / 1024;
    print_row(
        "100 subscribers come back at once",
        emitted[0].1,
        replayed,
        sums,
        format!(
            "all had all {} ms after the SIGKILL; {replays} replays, {clients} clients, {stalled} stalled, server at \
             most {memory} MiB",
            back.as_millis()
        ),
    );
    assert_eq!((sums.missed, sums.received), (0, emitted[0].1 * (HERDS * EACH) as u64));
    assert!(memory <= 128, "{memory} MiB");
}

fn name(number: u64) -> String {
    format!("MANY_{number}")
}

/// Several clients, each registered for some of the events.
pub(crate) fn crowd(clients: &str, events: &str, each: &str) {
    let (clients, events, each) = (number(clients), number(events), number(each));
    let (handled, wrong) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let mut slowest = Duration::ZERO;
    let began = Instant::now();
    let members: Vec<Client> = (0..clients)
        .map(|member| {
            let client = connect(ClientOptions::default());
            for event in 0..each {
                let expected = Arc::new(Mutex::new(HashMap::<u64, u64>::new()));
                let (handled, wrong) = (handled.clone(), wrong.clone());
                let began = Instant::now();
                let handler = move |e: &events::Received<events::RawEvent>| {
                    let mut expected = expected.lock().unwrap_or_else(PoisonError::into_inner);
                    let next = expected.entry(e.publisher()).or_default();
                    wrong.fetch_add(u64::from(e.sequence() != *next), Ordering::AcqRel);
                    *next = e.sequence() + 1;
                    handled.fetch_add(1, Ordering::AcqRel);
                };
                let registration =
                    client.register_raw(Some(&name((member * each + event) % events)), handler).expect("a client");
                assert!(registration.wait_active(patience()));
                slowest = slowest.max(began.elapsed());
            }
            client
        })
        .collect();
    say("ready");
    say(&format!("{} {}", began.elapsed().as_micros() / u128::from(clients * each).max(1), slowest.as_millis()));
    for _ in commands() {
        let missed: u64 = members.iter().map(|client| client.stats().missed).sum();
        say(&format!("{} {missed} {}", handled.load(Ordering::Acquire), wrong.load(Ordering::Acquire)));
    }
}

fn emit_all(client: &Client, events: u64) {
    for event in 0..events {
        let name = name(event);
        let kind = Kind { name: &name, fingerprint: 0, retain: false, shape: &String::new };
        while let Err(error) = client.emit_raw(kind, b"\x90") {
            assert!(matches!(error, Error::Backpressure { .. }), "{error}");
        }
    }
}

#[test]
fn two_hundred_clients_and_a_thousand_event_types() {
    const CROWDS: u64 = 4;
    const CLIENTS: u64 = 200;
    const EVENTS: u64 = 1_000;
    let (each, rounds) = (size(20, 1_000), size(5, 20));
    let world = World::new();
    let mut server = world.start("server");
    let memory = resident(server.pid());
    let alone = resident(world.start("crowd 1 1000 0").pid());
    let mut crowds = world.start_all(&format!("crowd {} {EVENTS} {each}", CLIENTS / CROWDS), 4);
    let registering: Vec<[u64; 2]> = crowds.iter().map(Player::numbers).collect();

    let client = world.client();
    (0..rounds).for_each(|_| emit_all(&client, EVENTS));
    client.flush(patience()).expect("a server");
    let wanted = CLIENTS / CROWDS * each * rounds;
    let mut sums = Sums::default();
    for crowd in &mut crowds {
        let [handled, missed, wrong] = wait_for("all events are handled", || {
            let figures: [u64; 3] = crowd.ask("figures");
            (figures[0] + figures[1] >= wanted).then_some(figures)
        });
        sums.add(Sums { received: handled, missed, repeated: wrong });
    }
    let [_, stalled, _, replayed, clients] = server.ask("figures");
    let of_client = (resident(crowds[0].pid()) - alone) * CROWDS / CLIENTS;
    let of_server = (resident(server.pid()) - memory) / CLIENTS;
    print_row(
        "200 clients, 1,000 event types",
        rounds * EVENTS,
        replayed,
        sums,
        format!(
            "{each} registrations a client, {} µs each (four programs at once), the slowest {} ms; {of_client} KiB a \
             client, {of_server} KiB of it in the server; {clients} clients, {stalled} stalled",
            registering.iter().map(|[mean, _]| mean).sum::<u64>() / CROWDS,
            registering.iter().map(|[_, slowest]| slowest).max().unwrap_or(&0)
        ),
    );
    assert_eq!((sums.received, sums.missed, sums.repeated), (wanted * CROWDS, 0, 0));
}

/// Clients that connect, register, emit, get what they emitted, and go.
pub(crate) fn visitors() {
    say("ready");
    for command in commands() {
        for _ in 0..number(&command) {
            let client = connect(ClientOptions::default());
            let mut own = client.subscribe::<ClientUid>().expect("a client");
            client.emit(ClientUid { uid: "0:" }).expect("room");
            // There may be events of the one before, whose server was slower than it.
            while own.recv_timeout(patience()).expect("its event").publisher() != client.id() {}
            drop(own);
            client.close(patience()).expect("a server");
        }
        say("done");
    }
}

#[test]
fn a_thousand_connects_leave_nothing_behind() {
    let world = World::new();
    let mut server = world.start("server");
    let mut visitors = world.start("visitors");
    // The first ones fill what is kept for all.
    visitors.tell("100");
    assert_eq!(visitors.answer(), "done");
    let alone = |server: &mut Player| {
        wait_for("the server has noticed that all are gone", || {
            let [.., clients] = server.ask::<5>("figures");
            (clients == 0).then_some(())
        });
    };
    alone(&mut server);
    let look = |player: &Player| (resident(player.pid()), descriptors(player.pid()), threads(player.pid()));
    let before = [look(&server), look(&visitors)];
    let began = Instant::now();
    let count = size(1_000, 10_000);
    visitors.tell(&count.to_string());
    assert_eq!(visitors.answer(), "done");
    let took = began.elapsed();
    alone(&mut server);
    let after = [look(&server), look(&visitors)];

    let grown = |index: usize| after[index].0.saturating_sub(before[index].0);
    print_row(
        "clients come and go",
        count,
        0,
        Sums { received: count, ..Sums::default() },
        format!(
            "{} µs each; the server grew by {} KiB, {} descriptors, {} threads; the program by {} KiB, {} descriptors, {} \
             threads",
            took.as_micros() / u128::from(count),
            grown(0),
            after[0].1 as i64 - before[0].1 as i64,
            after[0].2 as i64 - before[0].2 as i64,
            grown(1),
            after[1].1 as i64 - before[1].1 as i64,
            after[1].2 as i64 - before[1].2 as i64,
        ),
    );
    for (before, after) in before.iter().zip(&after) {
        // Sockets that libzmq closes in its own time.
        assert!(after.1 <= before.1 + 10, "descriptors: {before:?}, {after:?}");
        assert!(after.2 <= before.2, "threads: {before:?}, {after:?}");
    }
    // What a server keeps of each publisher it has known is bounded in number.
    assert!(grown(0) <= count * 4 && grown(1) <= count * 2, "memory: {before:?}, {after:?}");
}
