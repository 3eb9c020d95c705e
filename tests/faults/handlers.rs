//! Handlers that panic, block, or use the client that calls them: they harm nobody else.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::Duration;

use events::catalog::{ClientUid, MailMsgDecrypted};
use events::{Client, ClientOptions, Registration};

use crate::ledger::{Account, Ledger};
use crate::roles::{Last, commands, connect, listen, say, settle};
use crate::world::{Sums, World, patience, print_row, size};

/// A subscriber with another handler beside the one that counts.
pub(crate) fn role(kind: &str) {
    let client = connect(ClientOptions::default());
    let ledger = Arc::new(Ledger::default());
    let calls = Arc::new(AtomicU64::new(0));
    let (go_on, wait) = mpsc::channel::<()>();
    match kind {
        "panics" => {
            // What a panic says is not for whoever reads this test.
            std::panic::set_hook(Box::new(|_| {}));
            let calls = calls.clone();
            let handler = move |_: &_| {
                if calls.fetch_add(1, Ordering::AcqRel).is_multiple_of(10) {
                    panic!("one of ten");
                }
            };
            client.register::<ClientUid>(handler).expect("a client");
        }
        "blocks" => {
            let calls = calls.clone();
            let handler = move |_: &_| {
                if calls.fetch_add(1, Ordering::AcqRel) == 0 {
                    say("blocked");
                    let _ = wait.recv();
                }
            };
            client.register::<ClientUid>(handler).expect("a client");
        }
        "re-enters" => re_enter(&client, &calls),
        _ => panic!("there is no handler that {kind}"),
    }
    listen(&client, &ledger, Duration::ZERO);
    let last = Last::of(&client);
    say("ready");
    for command in commands() {
        match &*command {
            "go on" => go_on.send(()).expect("a handler that waits"),
            "calls" => {
                let stats = client.stats();
                say(&format!("{} {} {}", calls.load(Ordering::Acquire), stats.panicked, stats.emitted));
            }
            question => settle(question, &client, &ledger, &last).iter().for_each(Account::say),
        }
    }
}

/// At each call: a handler goes, another comes, an event is emitted and flushed.
fn re_enter(client: &Client, calls: &Arc<AtomicU64>) {
    let (inside, calls) = (client.clone(), calls.clone());
    let registered: Mutex<Option<Registration>> = Mutex::new(None);
    let handler = move |_: &_| {
        let call = calls.fetch_add(1, Ordering::AcqRel);
        let next = inside.register::<MailMsgDecrypted>(|_| {}).expect("a client");
        let mut registered = registered.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(before) = registered.replace(next) {
            before.unregister();
        }
        inside.emit(MailMsgDecrypted { userid: "me" }).expect("room");
        if call % 100 == 0 {
            inside.flush(patience()).expect("a server");
        }
    };
    client.register::<ClientUid>(handler).expect("a client");
}

/// One subscriber with such a handler, one without, and a publisher.
fn beside(kind: &str, count: u64, padding: u64) -> [u64; 3] {
    let world = World::new();
    let mut server = world.start("server");
    let mut handler = world.start(&format!("handler {kind}"));
    let mut other = world.start("subscriber");
    let mut publisher = world.start("publisher");
    let [id, emitted, refused] = publisher.ask(&format!("emit {count} {padding}"));
    if kind == "blocks" {
        assert_eq!(handler.answer(), "blocked");
    }
    let others = Sums::of(&mut other, &[(id, emitted)]);
    assert_eq!(others.missed, 0);
    if kind == "blocks" {
        handler.tell("go on");
    }
    let sums = Sums::of(&mut handler, &[(id, emitted)]);
    let [calls, panicked, answers] = handler.ask("calls");
    let [_, stalled, _, replayed, _] = server.ask("figures");
    print_row(
        &format!("a handler {kind}"),
        emitted,
        replayed,
        sums,
        format!(
            "{calls} calls, {panicked} panics; the other received {}; {refused} refused, {stalled} stalled",
            others.received
        ),
    );
    assert_eq!(stalled, 0);
    [calls, panicked, answers.saturating_sub(1) + sums.missed]
}

#[test]
fn one_that_panics() {
    let [calls, panicked, _] = beside("panics", size(5_000, 100_000), 0);
    assert_eq!(panicked, calls.div_ceil(10));
}

/// What does not fit into its queues while it blocks is missed, and counted.
#[test]
fn one_that_blocks() {
    let [.., missed] = beside("blocks", size(60_000, 600_000), 1000);
    assert!(missed > 0, "it missed nothing: the row shows nothing");
}

#[test]
fn one_that_re_enters() {
    let [calls, _, answers] = beside("re-enters", size(1_000, 20_000), 0);
    assert_eq!(calls, answers);
}
