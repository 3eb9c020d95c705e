//! The server ends again and again while publishers and subscribers live on.

use std::time::{Duration, Instant};

use crate::process::signal;
use crate::world::{Player, Sums, World, print_row, size, stop_all, wait_for};

/// Waits until a server has handed out frames, and returns how many frames it has sent again.
fn serves(server: &mut Player, frames: u64) -> u64 {
    wait_for("the server hands out frames", || {
        let [handed_out, _, _, replayed, _] = server.ask("figures");
        (handed_out >= frames).then_some(replayed)
    })
}

fn ends(row: &str, world: &World, times: u64, end: impl Fn(&World, Player, &mut [Player]) -> Player) {
    let mut server = world.start("server");
    let mut subscribers = world.start_all("subscriber", 3);
    let mut publishers = world.start_all("publisher", 2);
    publishers.iter_mut().for_each(|publisher| publisher.tell("start 20"));

    let mut replayed = 0;
    for _ in 0..times {
        replayed += serves(&mut server, size(300, 1_000));
        server = end(world, server, &mut subscribers);
    }
    replayed += serves(&mut server, size(300, 1_000));
    let emitted = stop_all(&mut publishers);
    let mut sums = Sums::default();
    subscribers.iter_mut().for_each(|subscriber| sums.add(Sums::of(subscriber, &emitted)));
    let total: u64 = emitted.iter().map(|(_, emitted)| emitted).sum();
    print_row(row, total, replayed, sums, format!("{times} servers ended"));
    assert_eq!((sums.missed, sums.received), (0, total * 3));
}

fn killed(world: &World, mut server: Player, _: &mut [Player]) -> Player {
    server.kill();
    world.start("server")
}

#[test]
fn a_server_that_is_killed_20_times_loses_nothing() {
    ends("SIGKILL of the server, ipc", &World::new(), 20, killed);
}

#[test]
fn nor_over_tcp() {
    ends("SIGKILL of the server, tcp with CURVE", &World::tcp(), size(5, 20), killed);
}

/// One subscriber comes back when the new server has handed out frames already, and gets them by a replay.
#[test]
fn nor_for_a_subscriber_that_comes_back_late() {
    ends("SIGKILL of the server, one subscriber late", &World::new(), size(5, 20), |world, mut server, subscribers| {
        let late = subscribers[0].pid();
        signal(late, "STOP");
        server.kill();
        let mut server = world.start("server");
        serves(&mut server, 20);
        signal(late, "CONT");
        server
    });
}

/// What a subscriber has to do.
#[derive(Clone, Copy)]
struct Load {
    /// Bytes of each event.
    bytes: u64,
    /// Microseconds that its handler takes.
    pause: u64,
    /// Events that fit into its queues.
    fit: u64,
}

const SMALL: Load = Load { bytes: 2_000, pause: 500, fit: 7_000 };
/// So large that the number of messages decides what is kept.
const LARGE: Load = Load { bytes: 256 << 10, pause: 20_000, fit: 120 };
/// So large that in the server's queue their bytes decide.
const LARGER: Load = Load { bytes: 1 << 20, pause: 40_000, fit: 75 };
const LARGEST: Load = Load { bytes: 4 << 20, pause: 40_000, fit: 65 };

/// One subscriber has seconds of work before it each time the server is killed: what fits into its queues at least, and
/// then so many events, or as many as come within two seconds.
fn behind(row: &str, load: Load, lead: u64) {
    let world = World::new();
    let mut server = world.start("server");
    let mut subscribers = [world.start("subscriber"), world.start(&format!("slow {}", load.pause))];
    let mut publisher = world.start("publisher");
    let (mut replayed, mut waited, mut most) = (0, Duration::ZERO, 0);
    publisher.tell(&format!("start {}", load.bytes));
    for _ in 0..size(2, 5) {
        let back = Instant::now();
        most = most.max(wait_for("the slow one has enough work before it", || {
            let ([_, emitted, _], [handled]) = (publisher.ask("so far"), subscribers[1].ask("so far"));
            let ahead = emitted.saturating_sub(handled);
            (ahead >= lead || ahead >= load.fit && back.elapsed() > Duration::from_secs(2)).then_some(ahead)
        }));
        server.kill();
        let killed = Instant::now();
        server = world.start("server");
        replayed += wait_for("both are back", || {
            let [_, _, replays, replayed, _] = server.ask("figures");
            (replays >= 2).then_some(replayed)
        });
        waited = waited.max(killed.elapsed());
    }
    let [id, total, _] = publisher.ask("stop");
    let mut sums = Sums::default();
    subscribers.iter_mut().for_each(|subscriber| sums.add(Sums::of(subscriber, &[(id, total)])));
    let more = format!("at most {most} before it; both asked for what they lacked within {} ms", waited.as_millis());
    print_row(row, total, replayed, sums, more);
    assert_eq!((sums.missed, sums.received), (0, total * 2));
}

/// As much as fits into its queues.
#[test]
fn nor_for_a_subscriber_with_seconds_of_work() {
    behind("SIGKILL of the server, one subscriber slow", SMALL, SMALL.fit);
}

/// As a rule more than a window: the ring of a new server grows while subscribers of the old one may come, and it is killed
/// then. That it holds however much it is, the simulator checks.
#[test]
fn nor_for_one_that_is_further_behind_with_every_server() {
    behind("SIGKILL of the server, one subscriber ever slower", SMALL, 30_000);
}

/// Of what is on its way only the queue in the server is lost with it, however large the events are.
#[test]
fn nor_with_large_events() {
    behind("SIGKILL of the server, one subscriber slow, 256 KB", LARGE, u64::MAX);
    behind("SIGKILL of the server, one subscriber slow, 1 MB", LARGER, u64::MAX);
    behind("SIGKILL of the server, one subscriber slow, 4 MB", LARGEST, u64::MAX);
}

fn left(world: &World, mut server: Player, _: &mut [Player]) -> Player {
    signal(server.pid(), "TERM");
    while server.answer() != "left" {}
    server.end();
    world.start("server")
}

#[test]
fn a_server_that_leaves_loses_nothing() {
    ends("SIGTERM of the server", &World::new(), size(5, 20), left);
}

/// What was handed out before the server left is not handed out again.
#[test]
fn what_a_server_handed_out_before_it_left_is_not_replayed() {
    let world = World::new();
    let mut server = world.start("server");
    let mut subscribers = world.start_all("subscriber", 3);
    let mut publisher = world.start("publisher");
    let mut replayed = 0;
    let mut emitted = Vec::new();
    for _ in 0..5 {
        publisher.ask::<3>("emit 10000 20");
        let [id, count, _] = publisher.ask("flush");
        emitted = vec![(id, count)];
        server = left(&world, server, &mut subscribers);
        wait_for("everybody is back", || {
            let [_, _, replays, now, clients] = server.ask("figures");
            (replays >= 3 && clients >= 4).then(|| replayed += now)
        });
    }
    let mut sums = Sums::default();
    subscribers.iter_mut().for_each(|subscriber| sums.add(Sums::of(subscriber, &emitted)));
    let [_, _, _, now, _] = server.ask("figures");
    replayed += now;
    let total = emitted[0].1;
    print_row("SIGTERM between bursts", total, replayed, sums, "5 servers ended");
    assert_eq!((sums.received, replayed), (total * 3, 0));
}
