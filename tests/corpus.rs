//! What the fuzz targets found once, and what they begin with, on every run of the tests.
//!
//! `EVENTS_UPDATE_CORPUS=1 cargo test --test corpus` writes the beginnings (`fuzz/corpus/*/seed-*`) anew. What a
//! target finds is put beside them by hand, under a name that says what it was.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::{Path, PathBuf};

use events_core::control::{
    About, Acked, Announced, Begins, Empty, Figures, Hold, Leaving, Reached, Replay, Resume, Synced, Topic,
};
use events_core::engine::Frame;
use events_core::frame::{self, Header, flags};
use serde_json::json;

// Not a dependency: the crate around it needs a nightly compiler.
#[allow(unreachable_pub, reason = "it is the root of a crate elsewhere")]
#[path = "../fuzz/src/lib.rs"]
mod targets;

fn folder(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// Runs a target on all that is kept for it.
fn replay(name: &str, target: fn(&[u8]), seeds: Vec<Vec<u8>>) {
    let corpus = folder("fuzz/corpus").join(name);
    if std::env::var_os("EVENTS_UPDATE_CORPUS").is_some() {
        fs::create_dir_all(&corpus).unwrap();
        for (number, seed) in seeds.iter().enumerate() {
            fs::write(corpus.join(format!("seed-{number:02}")), seed).unwrap();
        }
    }
    let mut count = 0;
    for file in fs::read_dir(&corpus).unwrap() {
        let path = file.unwrap().path();
        // Seen only if it fails.
        println!("{}", path.display());
        target(&fs::read(path).unwrap());
        count += 1;
    }
    assert!(count >= seeds.len(), "files of {name} are missing");
}

/// A payload of every event of the catalog that has everything, and the number of its name.
fn payloads() -> Vec<(u8, &'static str, Vec<u8>)> {
    let catalog = events_codegen::Catalog::load(folder("tests/everything.toml")).unwrap();
    let contact = json!({ "address": "a@b", "state": "type", "key": [1], "weight": 1.5 });
    let group = json!({ "name": "g", "members": [contact.clone()], "by_role": { "x": contact.clone(), "y": null } });
    let uuid = "123e4567-e89b-12d3-a456-426614174000";
    let time = "2026-05-04T03:02:01.5Z";
    let fields = |name: &str| match name {
        "UID" => json!({ "uid": "abc" }),
        "SCALARS" => json!({
            "flag": true, "i8": -1, "i16": -300, "i32": -70_000, "i64": -5_000_000_000_i64, "u8": 200, "u16": 300,
            "u32": 70_000, "u64": u64::MAX, "f32": 0.5, "f64": "NaN", "text": "t", "blob": [0, 1], "time": time,
            "id": uuid,
        }),
        "NESTED" => json!({
            "maybe": 1, "maybe_text": "m", "maybe_blob": [1], "list": ["a", "b"], "lists": [[1, null], []],
            "blobs": [[1], []], "map": { "a": 1 }, "maps": { "a": [{ "b": true }] }, "blob_map": { "a": [[1]], "b": null },
            "state": "idle", "states": ["syncing", "FAILED"], "contact": contact, "group": group,
            "times": [time, "1969-01-01T00:00:00Z"], "ids": { "a": uuid }, "no_lists": [[1], null],
        }),
        "KEYWORDS" => json!({ "type": "t", "self": 1, "super": [1], "crate": true, "match": 1, "async": null }),
        "SECRETS" => json!({ "account": "a", "password": "p", "pin": 1 }),
        "PARAMETERS" => json!({ "string": "s", "contact": "c", "uid": [1], "vec": [2], "any_event": "a" }),
        "OLD" => json!({ "uid": "u", "count": 1 }),
        _ => json!({}),
    };
    let names = <targets::everything::AnyEvent as events::Catalog>::NAMES.iter().enumerate();
    names
        .map(|(number, &name)| {
            let payload = catalog.encode(catalog.find(name).unwrap(), &fields(name)).unwrap();
            (u8::try_from(number).unwrap(), name, payload)
        })
        .collect()
}

fn event(name: &str, position: u64, records: &[u8]) -> Vec<u8> {
    let flags = flags::RETAINED | flags::OLDEST;
    let header = Header { flags, publisher: 1, position, sequence: 0, fingerprint: 0, sent_at: 0 };
    let mut bytes = Vec::new();
    frame::begin(&mut bytes, name, &header);
    bytes.extend_from_slice(records);
    bytes
}

fn controls() -> Vec<Frame> {
    let reached = Reached { publisher: 1, event: "A".into(), base: 0, next: 2 };
    let shape = "A(a:u64)".to_owned();
    let announced = Announced { publisher: 1, name: "A".into(), sequence: 0, fresh: 0, shape: shape.clone() };
    vec![
        Topic::Hello { epoch: 1 }.message(&Empty()),
        Topic::Sync { client: 1, number: 1, about: About::Event("A".into()) }.message(&Synced {
            epoch: 1,
            baseline: vec![(1, 2)],
            sequences: vec![(1, 2)],
            shape: Some(shape),
            streams: vec![reached.clone()],
        }),
        Topic::Sync { client: 1, number: 1, about: About::Shape(1) }.message(&Empty()),
        Topic::Ack { publisher: 1 }.message(&Acked { next: 300, again: true, keep: false }),
        Topic::Resume { client: 1, number: 1 }.message(&Resume {
            had: vec![(1, 2)],
            names: vec!["A".into()],
            any: false,
        }),
        Topic::Rx { client: 1 }.message(&Replay {
            number: 1,
            end: true,
            bases: vec![0],
            baseline: vec![(1, 2)],
            sequences: vec![reached],
        }),
        Topic::Hold { client: 1 }.message(&Hold { on: true }),
        Topic::Shape { fingerprint: 1 }.message(&announced),
        Topic::Stats.message(&Figures::default()),
        Topic::Bye.message(&Leaving { last: true }),
    ]
}

#[test]
fn frames() {
    let mut seeds: Vec<Vec<u8>> =
        payloads().into_iter().map(|(_, name, payload)| event(name, 1, &payload.repeat(2))).collect();
    seeds.push(b"CLIENT_UID\0(dp0\n.".to_vec());
    seeds.push(Topic::Bye.bytes());
    replay("frame", targets::frame, seeds);
}

#[test]
fn every_payload() {
    let seeds = payloads().into_iter().map(|(number, _, payload)| [vec![number], payload].concat());
    replay("payload", targets::payload, seeds.collect());
}

#[test]
fn catalogs() {
    let mut files = vec![folder("tests/everything.toml"), folder("tests/ui/three_mistakes.toml")];
    let mistakes = fs::read_dir(folder("events-codegen/tests/mistakes")).unwrap().map(|file| file.unwrap().path());
    files.extend(mistakes.filter(|path| path.extension().is_some_and(|extension| extension == "toml")));
    files.sort();
    replay("catalog", targets::catalog, files.into_iter().map(|path| fs::read(path).unwrap()).collect());
}

#[test]
fn control_messages_and_shapes() {
    let mut seeds: Vec<Vec<u8>> = controls().into_iter().map(|message| message.to_vec()).collect();
    let infos = <targets::everything::AnyEvent as events::Catalog>::EVENTS;
    seeds.extend(infos.iter().map(|info| info.shape_text().into_bytes()));
    let begins = Begins { epoch: 1, oldest: 2, past: 3 };
    seeds.push(Topic::Begin { publisher: 1 }.message(&begins).to_vec());
    replay("control", targets::control, seeds);
}

/// Steps of a script: see `fuzz/src/relay.rs` and `fuzz/src/script.rs` for what the bytes mean.
#[test]
fn what_clients_say_to_a_server() {
    let rx = [0, 1, 1, 4, 1, 0, 0];
    let turn = [3, 5, 9];
    let event = |position: u8| [1, 3, 0, 3, 1, position, position - 1, 0, 1, 0];
    let resume = [1, 2, 3, 1, 1, 1, 1, 0, 1, 0, 1, 0];
    let sync = [0, 1, 1, 1, 1, 2, 1, 0, 0, 0];
    let seeds = [
        [&rx[..], &turn, &event(1), &event(2), &turn, &resume, &turn, &turn].concat(),
        [&rx[..], &event(1), &[3, 5, 0], &sync, &turn, &event(3), &turn, &[3, 250, 9]].concat(),
    ];
    replay("relay", targets::relay, seeds.to_vec());
}

/// See `fuzz/src/subscriber.rs`.
#[test]
fn what_a_server_says_to_a_client() {
    let register = [0, 1, 0];
    let hello = [8, 2, 0, 1, 0];
    let synced = |number: u8| [8, 2, 1, 1, number, 1, 0, 1, 1, 1, 0, 1, 1, 0, 0, 0];
    let event = |position: u8| [8, 3, 0, 0, 1, position, position - 1, 0, 2, 0];
    let end = |number: u8| [8, 2, 4, 1, number, 1, 0, 1, 1, 9, 1, 1, 0, 0, 9, 0];
    let seeds = [
        [&register[..], &hello, &synced(1), &event(1), &event(2), &event(5)].concat(),
        [&hello[..], &register, &synced(1), &event(1), &[5], &hello, &synced(2), &end(2), &event(12)].concat(),
    ];
    replay("subscriber", targets::subscriber, seeds.to_vec());
}
