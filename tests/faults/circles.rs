//! Programs whose handlers emit: circles, fed from outside at full speed.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use events::{Client, ClientOptions, Error};
use events_core::delivery::publisher::Kind;

use crate::process::most_resident;
use crate::roles::{commands, connect, say};
use crate::world::{Player, Sums, World, print_row, size, wait_for};

/// After so many events a handler flushes.
const FLUSH_EVERY: u64 = 500;

/// An array with that many bytes.
fn payload(bytes: u64) -> Vec<u8> {
    let length = u32::try_from(bytes).expect("a length of MessagePack").to_be_bytes();
    let mut payload = [&[0x91, 0xC6][..], &length].concat();
    payload.resize(payload.len() + bytes as usize, 0xC0);
    payload
}

fn emit(client: &Client, name: &str, payload: &[u8]) -> Result<(), Error> {
    let kind = Kind { name, fingerprint: 0, retain: false, shape: &String::new };
    client.emit_raw(kind, payload)
}

/// Answers each event with another. Counts.
pub(crate) fn echo(from: &str, to: &str, bytes: u64) {
    let client = connect(ClientOptions::default());
    let (on, handled) = (Arc::new(AtomicBool::new(true)), Arc::new(AtomicU64::new(0)));
    let handler = {
        let (client, on, handled) = (client.clone(), on.clone(), handled.clone());
        let (to, payload) = (to.to_owned(), payload(bytes));
        move |_: &_| {
            let handled = handled.fetch_add(1, Ordering::AcqRel) + 1;
            if !on.load(Ordering::Acquire) {
                return;
            }
            match emit(&client, &to, &payload) {
                Ok(()) | Err(Error::Backpressure { .. }) => {}
                Err(error) => panic!("{error}"),
            }
            if handled % FLUSH_EVERY == 0 {
                // In a full circle it may not succeed; that is no loss.
                let _ = client.flush(Duration::from_millis(100));
            }
        }
    };
    client.register_raw(Some(from), handler).expect("a client");
    say("ready");
    for command in commands() {
        if command == "off" {
            on.store(false, Ordering::Release);
        }
        tell(&client, handled.load(Ordering::Acquire));
    }
}

/// Emits at full speed, until it is told to stop.
pub(crate) fn feeder(to: &str, bytes: u64) {
    let client = connect(ClientOptions::default());
    let on = Arc::new(AtomicBool::new(true));
    say("ready");
    let mut commands = commands();
    commands.next();
    let feeding = {
        let (client, on, to, payload) = (client.clone(), on.clone(), to.to_owned(), payload(bytes));
        std::thread::spawn(move || {
            while on.load(Ordering::Acquire) {
                match emit(&client, &to, &payload) {
                    Ok(()) | Err(Error::Backpressure { .. }) => {}
                    Err(error) => panic!("{error}"),
                }
            }
        })
    };
    for command in commands {
        if command == "off" {
            on.store(false, Ordering::Release);
            // It may wait for room for as long as emit does.
            while !feeding.is_finished() {
                std::thread::park_timeout(Duration::from_millis(5));
            }
        }
        tell(&client, 0);
    }
}

fn tell(client: &Client, handled: u64) {
    let stats = client.stats();
    say(&format!("{handled} {} {} {}", stats.emitted, stats.refused, stats.missed));
}

/// Each program of the circle turns one event into the next.
fn circle(row: &str, names: &[&str], bytes: u64) {
    let world = World::new();
    let mut server = world.start("server");
    let mut echoes: Vec<Player> = (0..names.len())
        .map(|index| world.start(&format!("echo {} {} {bytes}", names[index], names[(index + 1) % names.len()])))
        .collect();
    let mut feeder = world.start(&format!("feeder {} {bytes}", names[0]));
    feeder.tell("on");

    let began = Instant::now();
    let mut handled = vec![0; echoes.len()];
    while began.elapsed() < Duration::from_secs(size(4, 60)) {
        for (echo, before) in echoes.iter_mut().zip(&mut handled) {
            // Whoever is deadlocked handles nothing more, and the watchdog sees it.
            *before = wait_for("an echo goes on", || {
                let [handled, ..] = echo.ask::<4>("figures");
                (handled > *before).then_some(handled)
            });
        }
    }
    let [_, fed, refused_outside, _] = feeder.ask("off");
    echoes.iter_mut().for_each(|echo| _ = echo.ask::<4>("off"));

    let mut refused = 0;
    let mut emitted = 0;
    let mut sums = Sums::default();
    wait_for("all that was emitted is handled", || {
        let figures: Vec<[u64; 4]> = echoes.iter_mut().map(|echo| echo.ask("figures")).collect();
        emitted = fed + figures.iter().map(|[_, emitted, _, _]| emitted).sum::<u64>();
        refused = figures.iter().map(|[_, _, refused, _]| refused).sum();
        sums.received = figures.iter().map(|[handled, ..]| handled).sum();
        sums.missed = figures.iter().map(|[_, _, _, missed]| missed).sum();
        (sums.received + sums.missed >= emitted).then_some(())
    });
    // Behind all that is on its way comes what is emitted now, and nothing besides.
    feeder.ask::<4>("figures");
    let [_, stalled, _, replayed, _] = server.ask("figures");
    let most = |player: &Player| most_resident(player.pid()) / 1024;
    let memory = echoes.iter().map(most).max().unwrap_or(0);
    let at_server = most(&server);
    print_row(
        row,
        emitted,
        replayed,
        sums,
        format!(
            "refused {refused} in handlers and {refused_outside} outside, {stalled} stalled, at most {memory} MiB in a \
             program and {at_server} MiB in the server"
        ),
    );
    assert_eq!((sums.missed, sums.received), (0, emitted));
    assert!(memory <= 128 && at_server <= 128, "{memory} MiB, {at_server} MiB");
}

#[test]
fn a_handler_that_emits_what_it_gets_goes_on() {
    circle("circle of one", &["RING_A"], 5);
}

#[test]
fn two_programs_that_answer_each_other_go_on() {
    circle("circle of two", &["RING_A", "RING_B"], 5);
}

#[test]
fn two_programs_that_answer_each_other_with_a_kilobyte_go_on() {
    circle("circle of two, 1 KB", &["RING_A", "RING_B"], 1 << 10);
}

#[test]
fn two_programs_that_answer_each_other_with_16_kilobytes_go_on() {
    circle("circle of two, 16 KB", &["RING_A", "RING_B"], 16 << 10);
}

#[test]
fn a_ring_of_three_goes_on() {
    circle("circle of three", &["RING_A", "RING_B", "RING_C"], 5);
}
