//! Emitters that are gone as soon as they have emitted, some of which have served as well.

use std::sync::OnceLock;
use std::time::Duration;

use events::catalog::ClientUid;
use events::server::{Role, ensure_server};
use events::{Client, ClientOptions, Error, default_client, emit};

use crate::roles::{addresses, commands, connect, number, say};
use crate::world::{Player, Sums, World, patience, print_row, size};

/// Emits and ends, in one of several ways.
pub(crate) fn role(way: &str, count: &str) {
    let count = number(count);
    let uid = |number| ClientUid { uid: format!("{number}:") };
    let emit_all = |client: &Client| {
        for number in 0..count {
            client.emit(uid(number)).expect("room");
        }
        say("emitted");
    };
    if way == "global" {
        say(&default_client().expect("a client").id().to_string());
        (0..count).try_for_each(|number| emit(uid(number))).expect("room");
        std::process::exit(0);
    }
    let client = connect(ClientOptions::default());
    say(&client.id().to_string());
    match way {
        "static" => {
            static CLIENT: OnceLock<Client> = OnceLock::new();
            emit_all(CLIENT.get_or_init(|| client));
            std::process::exit(0);
        }
        "drop" => emit_all(&client),
        "close" => {
            emit_all(&client);
            client.close(patience()).expect("a server");
        }
        // When it is told to.
        "soon" => {
            emit_all(&client);
            commands().next().expect("a word");
            let unacknowledged = match client.close(Duration::from_millis(300)) {
                Ok(()) => 0,
                Err(Error::NotFlushed { unacknowledged, .. }) => unacknowledged,
                Err(error) => panic!("{error}"),
            };
            say(&unacknowledged.to_string());
        }
        _ => panic!("there is no way `{way}`"),
    }
}

/// Serves, emits when it is told to, and ends in one of several ways.
pub(crate) fn serving_role(way: &str, count: &str) {
    let at = addresses();
    let guard = ensure_server(&at.emit, &at.reg).expect("a server");
    assert_eq!(guard.role(), Role::Serving);
    say(&default_client().expect("a client").id().to_string());
    commands().next().expect("a word");
    let padding = "x".repeat(1000);
    for number in 0..number(count) {
        emit(ClientUid { uid: format!("{number}:{padding}") }).expect("room");
    }
    match way {
        "guard" => drop(guard),
        "detach" => guard.detach(),
        "exit" => std::process::exit(0),
        _ => panic!("there is no way `{way}`"),
    }
}

fn emitter(world: &World, way: &str, count: u64) -> (Player, u64) {
    let player = world.begin(&format!("exits {way} {count}"));
    let [id] = player.numbers();
    (player, id)
}

fn count() -> u64 {
    size(20_000, 200_000)
}

#[test]
fn what_was_emitted_right_before_the_end_arrives() {
    let world = World::new();
    let _server = world.start("server");
    let mut subscriber = world.start("subscriber");
    for (way, row) in [
        ("global", "emit and process::exit"),
        ("static", "the same with a client of its own"),
        ("drop", "emit and drop the client"),
        ("close", "emit and close"),
    ] {
        let (mut player, id) = emitter(&world, way, count());
        assert_eq!(player.end(), Some(0));
        let sums = Sums::of(&mut subscriber, &[(id, count())]);
        print_row(row, count(), 0, sums, "");
        assert_eq!(sums.missed, 0);
    }
}

#[test]
fn what_was_emitted_right_before_the_end_of_its_own_server_arrives() {
    for (way, row) in [
        ("guard", "serve, emit, let go of the server, and end"),
        ("detach", "the same with a server that is there until the end"),
        ("exit", "serve, emit and process::exit"),
    ] {
        let (world, count) = (World::new(), size(20_000, 100_000));
        let mut player = world.begin(&format!("serves {way} {count}"));
        let [id] = player.numbers();
        let mut subscriber = world.start("subscriber");
        player.tell("go");
        assert_eq!(player.end(), Some(0));
        // For what the subscriber asks it when it has everything.
        let _server = world.start("server");
        let sums = Sums::of(&mut subscriber, &[(id, count)]);
        print_row(row, count, 0, sums, "1 KB each");
        assert_eq!(sums.missed, 0);
    }
}

#[test]
fn what_was_emitted_before_there_is_a_server_arrives() {
    let world = World::new();
    let (mut player, id) = emitter(&world, "close", count());
    assert_eq!(player.answer(), "emitted");
    let mut server = world.start("server");
    assert_eq!(player.end(), Some(0));
    // Nobody had registered when it was emitted, so nobody gets it; but the server has it all: it knows
    // the emitter, and takes nothing of it twice.
    let [frames, _, _, replayed, _] = server.ask("figures");
    let mut subscriber = world.start("subscriber");
    let sums = Sums::of(&mut subscriber, &[(id, 0)]);
    print_row("emit before there is a server, and close", count(), replayed, sums, format!("{frames} frames"));
    assert!(frames > 0);
}

#[test]
fn what_was_emitted_while_the_server_restarts_arrives() {
    let world = World::new();
    let mut server = world.start("server");
    let mut subscriber = world.start("subscriber");
    server.kill();
    let (mut player, id) = emitter(&world, "close", count());
    assert_eq!(player.answer(), "emitted");
    let mut server = world.start("server");
    assert_eq!(player.end(), Some(0));
    let sums = Sums::of(&mut subscriber, &[(id, count())]);
    let [_, _, _, replayed, _] = server.ask("figures");
    print_row("emit while the server restarts, and close", count(), replayed, sums, "");
    assert_eq!(sums.missed, 0);
}

#[test]
fn close_says_how_many_did_not_arrive() {
    let world = World::new();
    let (mut player, _) = emitter(&world, "soon", 5_000);
    assert_eq!(player.answer(), "emitted");
    player.tell("close");
    let [unacknowledged] = player.numbers();
    print_row("close without a server", 5_000, 0, Sums::default(), format!("close says {unacknowledged}"));
    assert_eq!(unacknowledged, 5_000);
    assert_eq!(player.end(), Some(0));
}
