//! A secret is planted in every kind of field, and looked for in all that comes out of a program.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use events::{Catalog as _, Client, ClientOptions, Event as _, Reader, Receive as _};
use events_core::delivery::publisher::Kind;
use events_core::engine::zmq::{Tcp, ZmqEngine};
use secrets::{AnyEvent, Inner, Last, Level, Open, Secret};
use serde_json::{Value, json};
use tracing_subscriber::filter::LevelFilter;

#[path = "common/log.rs"]
mod log;

use log::Log;

mod secrets {
    events::catalog!("tests/secrets.toml");
}

const WATCHDOG: Duration = Duration::from_secs(60);
const SECRET: &str = "hunter2";
const NUMBER: u64 = 47_110;

/// Text in which the secret must not be, in any of the ways in which it may be written.
fn is_clean(text: &str) {
    let bytes: Vec<String> = SECRET.bytes().map(|byte| byte.to_string()).collect();
    let hex: String = SECRET.bytes().map(|byte| format!("{byte:02x}")).collect();
    for trace in [SECRET.to_owned(), NUMBER.to_string(), bytes.join(", "), bytes.join(","), hex] {
        assert!(!text.contains(&trace), "{text}");
    }
}

fn planted() -> Secret {
    Secret {
        plain: 1,
        text: SECRET.to_owned(),
        blob: SECRET.as_bytes().to_vec(),
        inner: Inner { name: SECRET.to_owned(), small: 1 },
        maybe: Some(SECRET.to_owned()),
        list: vec![SECRET.to_owned()],
        map: BTreeMap::from([(SECRET.to_owned(), 1)]),
        level: Level::High,
        number: u16::try_from(NUMBER).unwrap(),
        open: Open { name: "seen".to_owned(), hidden: u16::try_from(NUMBER).unwrap() },
    }
}

/// Payloads each of which has one field that cannot be read and tells the secret.
fn wrong() -> Vec<Vec<u8>> {
    let right = json!([1, "t", [], ["n", 1], null, [], {}, "low", 1, ["seen", 1]]);
    let wrong = [
        (1, json!(NUMBER)),
        (2, json!(SECRET)),
        (3, json!([SECRET, NUMBER])),
        (3, json!(SECRET)),
        (4, json!([SECRET])),
        (5, json!([SECRET, NUMBER])),
        (6, json!({ SECRET: NUMBER })),
        (6, json!({ SECRET: SECRET })),
        (7, json!(NUMBER)),
        (8, json!(NUMBER * 100_000)),
        (8, json!(SECRET)),
        (9, json!(["seen", NUMBER * 100_000])),
    ];
    let payload = |(at, value): (usize, Value)| {
        let mut fields = right.as_array().unwrap().clone();
        // Bytes are no list.
        let blob = if at == 2 { value.clone() } else { Value::Null };
        fields[at] = value;
        let mut bytes = vec![0x90 + u8::try_from(fields.len()).unwrap()];
        for (index, field) in fields.iter().enumerate() {
            match index {
                2 if blob.is_null() => bytes.extend([0xC4, 0]),
                _ => bytes.extend(rmp_serde::to_vec(field).unwrap()),
            }
        }
        bytes
    };
    wrong.into_iter().map(payload).collect()
}

#[test]
fn not_in_what_debug_shows() {
    let secret = planted();
    let text = format!("{secret:?} {secret:#?}");
    is_clean(&text);
    assert!(text.contains("text: <secret>") && text.contains("seen"), "{text}");
    let mut payload = Vec::new();
    secret.put(&mut payload).unwrap();
    is_clean(&format!("{:?}", AnyEvent::from(secret)));
    // Of an event that nobody knows, nobody knows what is secret.
    let unknown = AnyEvent::take("NEWER", &mut Reader::new(&payload)).unwrap();
    is_clean(&format!("{unknown:?} {unknown:#?}"));
}

#[test]
fn not_in_what_is_wrong_with_a_payload() {
    let catalog = events_codegen::Catalog::load("tests/secrets.toml").unwrap();
    let event = catalog.find("SECRET").unwrap();
    for payload in wrong() {
        let error = Secret::<String, Vec<u8>>::take(&mut Reader::new(&payload)).unwrap_err();
        is_clean(&format!("{error} {error:?}"));
        assert!(!error.path().is_empty(), "the field is told: {error}");
        let error = catalog.decode(event, &payload, events_codegen::Secrets::Hidden).unwrap_err();
        is_clean(&format!("{error} {error:?}"));
    }
}

#[test]
fn not_in_what_is_wrong_with_what_is_to_be_emitted() {
    let catalog = events_codegen::Catalog::load("tests/secrets.toml").unwrap();
    let event = catalog.find("SECRET").unwrap();
    for given in [
        json!({ "text": NUMBER, "blob": SECRET, "inner": SECRET, "maybe": NUMBER, "list": SECRET, "map": SECRET }),
        json!({ "inner": { "name": NUMBER, "small": NUMBER, SECRET: 1 }, "list": [NUMBER], "map": { SECRET: SECRET } }),
        json!({ "level": SECRET, "number": SECRET, "open": { "name": "seen", "hidden": SECRET } }),
        json!({ "number": NUMBER * 100_000, "open": { "hidden": NUMBER * 100_000 } }),
    ] {
        is_clean(&catalog.encode(event, &given).unwrap_err().to_string());
    }
    let pairs = [
        SECRET,
        "blob=hunter2",
        "inner=hunter2",
        "inner={\"name\": hunter2}",
        "list=hunter2",
        "map={\"hunter2\": \"hunter2\"}",
        "level=hunter2",
        "number=hunter2",
        "open={\"hidden\": \"hunter2\"}",
    ];
    is_clean(&catalog.encode_fields(event, &pairs).unwrap_err().to_string());
}

#[test]
fn not_in_what_is_logged_and_told_while_events_flow() {
    let log = Log::begin(LevelFilter::TRACE);
    let folder = tempfile::tempdir().unwrap();
    let at = |name| format!("ipc://{}", folder.path().join(name).display());
    let (emit, reg) = (at("emit"), at("reg"));
    let _server = events::server::ensure_server(&emit, &reg).unwrap();
    // As from another process, through sockets: all that can be logged is.
    let apart = ZmqEngine::isolated(Tcp::PlainLoopbackOnly).unwrap();
    let client = Client::with_options(&emit, &reg, ClientOptions::default().engine(Arc::new(apart))).unwrap();
    let (tell, told) = mpsc::channel();
    let problems = tell.clone();
    client.on_problem(move |problem| {
        let mut source = std::error::Error::source(problem);
        let _ = problems.send(format!("{problem} {problem:?}"));
        while let Some(error) = source {
            let _ = problems.send(format!("{error} {error:?}"));
            source = error.source();
        }
    });
    let (typed, any, raw) = (tell.clone(), tell.clone(), tell.clone());
    client.register::<Secret>(move |event| drop(typed.send(format!("{event:?}")))).unwrap();
    client.register::<Secret>(|_| panic!("a handler that gives up")).unwrap();
    client.register_any::<AnyEvent>(move |event| drop(any.send(format!("{event:?}")))).unwrap();
    client.register_raw(None, move |event| drop(raw.send(format!("{event:?}")))).unwrap();
    client.register::<Last>(move |_| drop(tell.send("the last".to_owned()))).unwrap();

    client.emit(planted()).unwrap();
    let info = <Secret as events::Event>::INFO;
    let kind = |fingerprint, shape| Kind { name: "SECRET", fingerprint, retain: true, shape };
    let ours = || info.shape_text();
    for payload in wrong() {
        client.emit_raw(kind(info.fingerprint, &ours), &payload).unwrap();
    }
    // Of another shape, and what is no payload at all.
    let theirs = || "SECRET(plain:string)".to_owned();
    let fingerprint = events_core::shape::fingerprint_of(&theirs());
    client.emit_raw(kind(fingerprint, &theirs), &rmp_serde::to_vec(&(SECRET,)).unwrap()).unwrap();
    client.emit(Last).unwrap();

    let (mut seen, mut all) = (0, String::new());
    loop {
        let line = told.recv_timeout(WATCHDOG).unwrap();
        if line == "the last" {
            break;
        }
        is_clean(&line);
        seen += 1;
        all.push_str(&line);
    }
    assert!(seen > wrong().len(), "{seen}");
    for trace in ["<secret>", "gives up", "another shape", "cannot be read"] {
        assert!(all.contains(trace), "{trace}");
    }
    client.close(WATCHDOG).unwrap();
    let log = log.text();
    assert!(log.contains("an event was not handled") && log.contains("TRACE"), "{log}");
    is_clean(&log);
}
