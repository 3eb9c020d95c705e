//! What the processes of a test do: they take commands from stdin and answer on stdout.

use std::io::{BufRead, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver};
use std::thread::JoinHandle;
use std::time::Duration;

use events::catalog::{ClientSessionId, ClientUid, KeymanagerKeyFound};
use events::server::Server;
use events::{Client, ClientOptions, Error, WhenSlow};
use events_core::delivery::Limits;
use events_core::engine::{self, Addresses};

use crate::ledger::{Account, Ledger};
use crate::world::{MARK, ROLE, patience};
use crate::{circles, clock, exits, handlers, many, standby};

/// Plays what the environment says, as `ROLE ARGUMENT…`.
pub(crate) fn play() {
    let Ok(role) = std::env::var(ROLE) else { return };
    let words: Vec<&str> = role.split_whitespace().collect();
    match words[..] {
        ["server"] => server(),
        ["clock"] => clock::role(),
        ["standby"] => standby::role(),
        ["exits", way, count] => exits::role(way, count),
        ["serves", way, count] => exits::serving_role(way, count),
        ["echo", from, to, bytes] => circles::echo(from, to, number(bytes)),
        ["handler", kind] => handlers::role(kind),
        ["herd", clients] => many::herd(clients),
        ["crowd", clients, events, each] => many::crowd(clients, events, each),
        ["visitors"] => many::visitors(),
        ["feeder", to, bytes] => circles::feeder(to, number(bytes)),
        ["publisher"] => publisher(),
        ["subscriber"] => subscriber(ClientOptions::default(), Duration::ZERO),
        ["slow", micros] => subscriber(ClientOptions::default(), Duration::from_micros(number(micros))),
        ["skipping", micros] => {
            let mut options = ClientOptions::default();
            options.when_slow = WhenSlow::Skip;
            subscriber(options, Duration::from_micros(number(micros)));
        }
        _ => panic!("there is no role `{role}`"),
    }
}

pub(crate) fn number(text: &str) -> u64 {
    text.parse().expect("a number")
}

/// Says something to the test.
pub(crate) fn say(what: &str) {
    let mut out = std::io::stdout().lock();
    // The test is gone, or the line arrives.
    let _ = writeln!(out, "{MARK}{what}").and_then(|()| out.flush());
}

pub(crate) fn addresses() -> Addresses {
    let address = |name| std::env::var(name).expect("an address");
    Addresses { emit: address("EVENTS_EMIT_ADDR"), reg: address("EVENTS_REG_ADDR") }
}

pub(crate) fn connect(options: ClientOptions) -> Client {
    let at = addresses();
    Client::with_options(&at.emit, &at.reg, options).expect("a client")
}

/// The commands, until there is nobody who gives any.
pub(crate) fn commands() -> impl Iterator<Item = String> {
    std::io::stdin().lock().lines().map_while(Result::ok)
}

/// Serves until it is told to end by SIGTERM or by nobody being there.
fn server() {
    let at = addresses();
    let engine = engine::of(&at).expect("an engine");
    let server = Server::start_with(&engine, &at, Limits::default()).expect("a server");
    let todo = commands_and_signals();
    say("ready");
    for what in todo {
        match &*what {
            "figures" => {
                let f = server.figures();
                say(&format!("{} {} {} {} {}", f.frames, f.stalled, f.replays, f.replayed, f.clients));
            }
            "SIGTERM" => {
                server.shutdown(Duration::from_secs(20));
                say("left");
                return;
            }
            other => panic!("a server does not know `{other}`"),
        }
    }
}

fn commands_and_signals() -> Receiver<String> {
    let (tell, told) = mpsc::channel();
    let mut signals = signal_hook::iterator::Signals::new([signal_hook::consts::SIGTERM]).expect("a handler");
    std::thread::spawn({
        let tell = tell.clone();
        move || {
            if signals.forever().next().is_some() {
                let _ = tell.send("SIGTERM".to_owned());
            }
        }
    });
    std::thread::spawn(move || {
        for command in commands() {
            let _ = tell.send(command);
        }
        // Whoever started this process is gone.
        std::process::exit(0);
    });
    told
}

/// Emits numbers: so many, or until it is told to stop.
fn publisher() {
    let client = connect(ClientOptions::default());
    let emitter =
        Arc::new(Emitter { client, next: AtomicU64::new(0), refused: AtomicU64::new(0), stop: AtomicBool::new(false) });
    let mut running: Option<JoinHandle<()>> = None;
    say("ready");
    for command in commands() {
        let words: Vec<&str> = command.split_whitespace().collect();
        match words[..] {
            ["emit", count, padding] => emitter.emit_all(Some(number(count)), number(padding)),
            ["start", padding] => {
                let (emitter, padding) = (emitter.clone(), number(padding));
                running = Some(std::thread::spawn(move || emitter.emit_all(None, padding)));
                continue;
            }
            ["stop"] => {
                emitter.stop.store(true, Ordering::Release);
                running.take().map(JoinHandle::join);
            }
            ["so", "far"] => {}
            ["flush"] => emitter.client.flush(patience()).expect("a server that takes everything"),
            ["close"] => emitter.client.close(patience()).expect("a server that takes everything"),
            _ => panic!("a publisher does not know `{command}`"),
        }
        emitter.tell();
    }
}

struct Emitter {
    client: Client,
    next: AtomicU64,
    /// How often there was no room.
    refused: AtomicU64,
    stop: AtomicBool,
}

impl Emitter {
    fn tell(&self) {
        let (emitted, refused) = (self.next.load(Ordering::Acquire), self.refused.load(Ordering::Acquire));
        say(&format!("{} {emitted} {refused}", self.client.id()));
    }

    /// Emits as fast as it can. What finds no room was not emitted, and is tried again.
    fn emit_all(&self, count: Option<u64>, padding: u64) {
        let padding = "x".repeat(usize::try_from(padding).expect("a size"));
        let first = self.next.load(Ordering::Acquire);
        let mut number = first;
        while count.is_none_or(|count| number < first + count) && !self.stop.load(Ordering::Acquire) {
            match self.emit(number, &padding) {
                Ok(()) => number += 1,
                Err(Error::Backpressure { .. }) => _ = self.refused.fetch_add(1, Ordering::AcqRel),
                Err(error) => panic!("{error}"),
            }
            self.next.store(number, Ordering::Release);
        }
    }

    /// Runs of different lengths of two event types, so that frames have all sizes.
    fn emit(&self, number: u64, padding: &str) -> Result<(), Error> {
        let text = format!("{number}:{padding}");
        let run = (number / 16).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 60;
        if run < 5 {
            self.client.emit(ClientSessionId { session_id: &text })
        } else {
            self.client.emit(ClientUid { uid: &text })
        }
    }
}

/// Receives what publishers emit.
fn subscriber(options: ClientOptions, pause: Duration) {
    let client = connect(options);
    let ledger = Arc::new(Ledger::default());
    listen(&client, &ledger, pause);
    let last = Last::of(&client);
    say("ready");
    for command in commands() {
        match &*command {
            "so far" => say(&ledger.so_far().to_string()),
            question => settle(question, &client, &ledger, &last).iter().for_each(Account::say),
        }
    }
}

/// An event of this client that comes back to it.
pub(crate) struct Last(Receiver<u64>);

impl Last {
    pub(crate) fn of(client: &Client) -> Last {
        let (came, comes) = mpsc::channel();
        client.register::<KeymanagerKeyFound>(move |e| _ = came.send(e.publisher())).expect("a client");
        Last(comes)
    }
}

/// Answers `settle PUBLISHER:EMITTED…`: the accounts when everything is accounted for, and whatever was on
/// its way besides has arrived.
pub(crate) fn settle(question: &str, client: &Client, ledger: &Ledger, last: &Last) -> Vec<Account> {
    let pairs = question.strip_prefix("settle").unwrap_or_else(|| panic!("a subscriber does not know `{question}`"));
    let pair = |pair: &str| pair.split_once(':').map(|(id, emitted)| (number(id), number(emitted))).expect("a pair");
    let emitted: Vec<(u64, u64)> = pairs.split_whitespace().map(pair).collect();
    ledger.settle(&emitted);
    // Behind all that is on its way, a repeated event included, comes what is emitted now.
    client.emit(KeymanagerKeyFound { address: "last" }).expect("room");
    while last.0.recv_timeout(patience()).expect("the last event") != client.id() {}
    ledger.settle(&emitted)
}

impl Account {
    pub(crate) fn say(&self) {
        say(&format!("{} {} {}", self.received, self.missed, self.repeated));
    }
}

/// Counts the two event types of a publisher.
pub(crate) fn listen(client: &Client, ledger: &Arc<Ledger>, pause: Duration) {
    let gaps = ledger.clone();
    client.on_gap(move |lagged| {
        if lagged.event.starts_with("CLIENT_") {
            gaps.missed(lagged.publisher, lagged.missed);
        }
    });
    let count = {
        let ledger = ledger.clone();
        move |publisher, text: &str| {
            if !pause.is_zero() {
                std::thread::sleep(pause);
            }
            ledger.received(publisher, number(text.split_once(':').expect("a number and its padding").0));
        }
    };
    let same = count.clone();
    client.register::<ClientSessionId>(move |e| count(e.publisher(), &e.session_id)).expect("a client");
    client.register::<ClientUid>(move |e| same(e.publisher(), &e.uid)).expect("a client");
}
