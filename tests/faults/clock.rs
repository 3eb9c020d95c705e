//! Wall clocks that jump by years, in every process: limits run on the monotonic clock, so nothing changes but
//! the age that is shown.

use std::process::Command;
use std::time::SystemTime;

use crate::roles::say;
use crate::world::{Sums, World, print_row, size};

/// Says by how many seconds two looks at the clock differ.
pub(crate) fn role() {
    let apart = |one: SystemTime, other: SystemTime| match other.duration_since(one) {
        Ok(ahead) => ahead,
        Err(behind) => behind.duration(),
    };
    say(&apart(SystemTime::now(), SystemTime::now()).as_secs().to_string());
}

#[test]
fn jumps_of_the_clock_change_nothing() {
    let count = size(100_000, 1_000_000);
    let mut world = World::new();
    let library = world.folder().join("clock.so");
    let built = Command::new("cc")
        .args(["-shared", "-fPIC", "-O1", "-o"])
        .args([library.as_os_str(), concat!(env!("CARGO_MANIFEST_DIR"), "/tests/faults/clock.c").as_ref()])
        .status();
    assert!(built.expect("a C compiler, as libzmq needs one").success());
    world.preload(library);
    let [apart] = world.begin("clock").numbers();
    assert!(apart >= 3600, "the clock does not jump");

    let mut server = world.start("server");
    let mut subscribers = world.start_all("subscriber", 2);
    let mut publishers = world.start_all("publisher", 2);
    publishers.iter_mut().for_each(|publisher| publisher.tell(&format!("emit {count} 0")));
    subscribers[0].reaches(count / 4);
    server.kill();
    let mut server = world.start("server");

    let emitted: Vec<_> =
        publishers.iter().map(|publisher| publisher.numbers()).map(|[id, all, _]| (id, all)).collect();
    let mut sums = Sums::default();
    subscribers.iter_mut().for_each(|subscriber| sums.add(Sums::of(subscriber, &emitted)));
    let [_, stalled, _, replayed, _] = server.ask("figures");
    print_row("clocks that jump by years, and a kill", 2 * count, replayed, sums, format!("{stalled} stalled"));
    assert_eq!((sums.missed, stalled), (0, 0));
}
