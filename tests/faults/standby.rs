//! Several processes want to be the server: one serves, the others stand by and take over.

use std::time::{Duration, Instant};

use events::catalog::MailUnreadMessages;
use events::server::{Role, ensure_server};

use crate::roles::{addresses, commands, say};
use crate::world::{Player, Sums, World, patience, print_row, size, stop_all, wait_for};

/// Ensures a server when it is told to, and tells when it takes over.
pub(crate) fn role() {
    say("ready");
    let mut commands = commands();
    assert_eq!(commands.next().as_deref(), Some("go"));
    let at = addresses();
    let guard = ensure_server(&at.emit, &at.reg).expect("a server, here or elsewhere");
    if guard.role() == Role::Serving {
        say("serves");
    } else {
        say("stands by");
        let guard = guard.clone();
        std::thread::spawn(move || {
            if guard.wait_serving(Duration::MAX) {
                say("takes over");
            }
        });
    }
    for _ in commands {
        say(&u8::from(guard.role() == Role::Serving).to_string());
    }
}

fn go(player: &mut Player) -> String {
    player.tell("go");
    player.answer()
}

/// Waits until one of them takes over, and returns it with the time it took.
fn successor(players: &mut Vec<Player>) -> (Player, Duration) {
    let began = Instant::now();
    let index = wait_for("somebody takes over", || {
        let heard = |player: &Player| player.heard().is_some_and(|said| said == "takes over");
        players.iter().position(heard)
    });
    (players.remove(index), began.elapsed())
}

fn retained_arrives(world: &World, at: &str) {
    let late = world.client();
    let mut unread = late.subscribe::<MailUnreadMessages>().expect("a client");
    let event = unread.recv_timeout(Duration::from_secs(10)).unwrap_or_else(|| panic!("no retained event at {at}"));
    assert!(event.is_retained() && event.number == 7, "{event:?}");
}

#[test]
fn one_that_stands_by_takes_over() {
    let world = World::new();
    let mut players = world.start_all("standby", 4);
    assert_eq!(go(&mut players[0]), "serves");
    for player in &mut players[1..] {
        assert_eq!(go(player), "stands by");
    }
    let retainer = world.client();
    retainer.emit(MailUnreadMessages { userid: "me", number: 7 }).expect("room");
    retainer.flush(patience()).expect("a server");
    let mut subscribers = world.start_all("subscriber", 2);
    let mut publishers = world.start_all("publisher", 2);
    publishers.iter_mut().for_each(|publisher| publisher.tell("start 20"));

    let mut serving = players.remove(0);
    retained_arrives(&world, "first");
    let mut measured = Vec::new();
    for killed in [true, true, false] {
        subscribers[0].moves_on(size(2_000, 100_000));
        let began = Instant::now();
        if killed {
            serving.kill();
        } else {
            assert_eq!(serving.end(), Some(0));
        }
        let ended = began.elapsed();
        let (next, took) = successor(&mut players);
        serving = next;
        subscribers[0].moves_on(1);
        // A retained event outlives the server that it was sent to, since its publisher lives.
        retained_arrives(&world, "a successor");
        let how = if killed { "SIGKILL" } else { "exit" };
        measured.push(format!(
            "{how}: after {} ms, first event after {}",
            took.as_millis(),
            (began.elapsed() - ended).as_millis()
        ));
    }
    let emitted = stop_all(&mut publishers);
    let mut sums = Sums::default();
    subscribers.iter_mut().for_each(|subscriber| sums.add(Sums::of(subscriber, &emitted)));
    let total: u64 = emitted.iter().map(|(_, emitted)| emitted).sum();
    print_row("standby", total, 0, sums, measured.join("; "));
    assert_eq!((sums.missed, sums.received), (0, total * 2));
    // Clients first, so that the server has nobody to wait for.
    drop(retainer);
}

#[test]
fn ten_that_start_in_the_same_instant_end_up_with_one_server() {
    for round in 0..size(3, 20) {
        let world = World::new();
        let mut players = world.start_all("standby", 10);
        players.iter_mut().for_each(|player| player.tell("go"));
        let said: Vec<_> = players.iter().map(Player::answer).collect();
        assert_eq!(said.iter().filter(|said| *said == "serves").count(), 1, "{said:?}");

        // The one that serves dies; nine want its place.
        let first = said.iter().position(|said| said == "serves").expect("one");
        players.remove(first).kill();
        let (mut next, took) = successor(&mut players);
        let serving = players.iter_mut().map(|player| player.ask::<1>("role")[0]).sum::<u64>();
        assert_eq!((serving, next.ask("role")), (0, [1]));

        let client = world.client();
        let mut subscriber = world.start("subscriber");
        let mut publisher = world.start("publisher");
        let [id, emitted, _] = publisher.ask("emit 1000 0");
        let sums = Sums::of(&mut subscriber, &[(id, emitted)]);
        print_row(
            "ten in the same instant",
            emitted,
            0,
            sums,
            format!("round {round}, taken over after {} ms", took.as_millis()),
        );
        assert_eq!(sums.missed, 0);
        drop(client);
    }
}
