//! Payloads at run time: what is said about wrong ones, and what is shown of right ones.
#![cfg(feature = "runtime")]
#![allow(clippy::unwrap_used)]

use std::path::Path;

use events_codegen::{Catalog, Secrets};
use serde_json::json;

fn everything() -> Catalog {
    Catalog::load(Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/everything.toml")).unwrap()
}

/// What is said about `fields` of `event`, line by line.
fn said(event: &str, fields: &[&str]) -> Vec<String> {
    let catalog = everything();
    let mistakes = catalog.encode_fields(catalog.find(event).unwrap(), fields).unwrap_err();
    mistakes.iter().map(ToString::to_string).collect()
}

#[test]
fn an_unknown_event_is_said_with_what_was_meant() {
    let catalog = everything();
    let near = catalog.find("SCALAR").unwrap_err().to_string();
    assert_eq!(near, "no event `SCALAR` in the catalog `everything`; did you mean `SCALARS`?");
    let far = catalog.find("xyzzy").unwrap_err().to_string();
    assert!(far.contains("there are `NOTHING`, `UID`, "), "{far}");
}

#[test]
fn every_mistake_of_a_payload_is_said_at_once() {
    assert_eq!(
        said("OLD", &["uit=a", "count=minus", "nonsense"]),
        [
            "`nonsense` is no `field=value`",
            "unknown field `uit`; `OLD` has `uid` and `count`; did you mean `uid`?",
            "field `uid`: missing; `OLD` needs it",
            "field `count`: expected an integer from 0 to 18446744073709551615, found \"minus\"",
        ]
    );
    assert_eq!(
        said("OLD", &["uid=a", "uid=b", "count=-1"]),
        [
            "the field `uid` is given twice",
            "field `count`: expected an integer from 0 to 18446744073709551615, found `-1`",
        ]
    );
    assert_eq!(said("NOTHING", &["uid=a"]), ["unknown field `uid`; `NOTHING` has no fields"]);
}

#[test]
fn a_mistake_inside_is_said_with_its_path() {
    let catalog = everything();
    let event = catalog.find("DEFAULTS").unwrap();
    let fields = json!({
        "contact": { "address": 5, "state": "sleeping", "weigth": 1 },
        "list": ["a", 2],
        "map": { "x": 70_000 },
        "time": "yesterday",
        "id": "123",
        "blob": "hex:0",
        "single": 1e300,
    });
    let said: Vec<String> =
        catalog.encode(event, &fields).unwrap_err().iter().map(|mistake| mistake.field.clone()).collect();
    let expected =
        ["single", "blob", "time", "id", "list[1]", "map[\"x\"]", "contact", "contact.address", "contact.state"];
    assert_eq!(said, expected);
    let not_an_object = catalog.encode(event, &json!([1])).unwrap_err().to_string();
    assert_eq!(not_an_object, "`DEFAULTS` takes an object with its fields, not a list");
}

#[test]
fn fields_are_given_as_text() {
    let catalog = everything();
    let event = catalog.find("SCALARS").unwrap();
    let given = [
        "flag=true",
        "i8=-1",
        "i16=-2",
        "i32=-3",
        "i64=-4",
        "u8=1",
        "u16=2",
        "u32=3",
        "u64=4",
        "f32=0.5",
        "f64=-inf",
        "text=a=b",
        "blob=hex:0aFF",
        "time=2026-05-04T03:02:01+02:00",
        "id=123e4567-e89b-12d3-a456-426614174000",
    ];
    let payload = catalog.encode_fields(event, &given).unwrap();
    let shown = catalog.decode(event, &payload, Secrets::Hidden).unwrap();
    assert_eq!(shown["text"], "a=b");
    assert_eq!(shown["blob"], json!([10, 255]));
    assert_eq!(shown["time"], "2026-05-04T01:02:01Z");
    assert_eq!(shown["f64"], "-inf");
    assert_eq!(catalog.encode(event, &shown).unwrap(), payload);

    let event = catalog.find("DEFAULTS").unwrap();
    let given = ["maybe=null", "list=[\"x\"]", "state=FAILED", "contact={\"address\": \"me\"}"];
    let shown = catalog.decode(event, &catalog.encode_fields(event, &given).unwrap(), Secrets::Shown).unwrap();
    assert_eq!((&shown["maybe"], &shown["state"]), (&json!(null), &json!("FAILED")));
    assert_eq!(shown["contact"], json!({ "address": "me", "state": "idle", "key": null, "weight": 0.5 }));
    assert!(
        said("DEFAULTS", &["list=a"])[0].starts_with("field `list`: lists, maps and struct types are written as JSON")
    );
}

#[test]
fn secrets_are_shown_only_when_asked() {
    let catalog = everything();
    let event = catalog.find("SECRETS").unwrap();
    let payload = catalog.encode(event, &json!({ "account": "me", "password": "hush" })).unwrap();
    let hidden = catalog.decode(event, &payload, Secrets::Hidden).unwrap();
    assert_eq!(hidden, json!({ "account": "me", "password": "<secret>", "pin": "<secret>" }));
    let shown = catalog.decode(event, &payload, Secrets::Shown).unwrap();
    assert_eq!(shown, json!({ "account": "me", "password": "hush", "pin": null }));
    // Inside a struct type, and in a default.
    let event = catalog.find("DEFAULTS").unwrap();
    let hidden = catalog.decode(event, &[0x90], Secrets::Hidden).unwrap();
    assert_eq!(hidden["contact"]["address"], "<secret>");
}

#[test]
fn decoding_is_tolerant_of_fields_and_strict_of_types() {
    let catalog = everything();
    let event = catalog.find("OLD").unwrap();
    // ["a", 5, [nil]]: a newer version.
    let newer = catalog.decode(event, &[0x93, 0xa1, b'a', 5, 0x91, 0xc0], Secrets::Hidden).unwrap();
    assert_eq!(newer, json!({ "uid": "a", "count": 5 }));
    for (payload, why) in [
        (&[0x91, 0xa1, b'a'][..], "field `count`: missing, and it has no default"),
        (&[0x92, 0xc4, 1, b'a', 5], "field `uid`: expected string, found bytes"),
        (&[0x92, 0xa1, b'a', 0xca, 0, 0, 0, 0], "field `count`: expected u64, found a float"),
        (&[0x92, 0xa1, b'a', 0xff], "field `count`: -1 does not fit into u64"),
    ] {
        let said = catalog.decode(event, payload, Secrets::Hidden).unwrap_err().to_string();
        assert!(said.ends_with(why), "{said}");
    }
    // What is deeper than the limit does not reach the end of the stack.
    let deep = [&[0x93, 0xa1, b'a', 5][..], &vec![0x91; 1 << 20]].concat();
    assert!(catalog.decode(event, &deep, Secrets::Hidden).is_err());
    assert!(catalog.decode(event, &[], Secrets::Hidden).is_err());
    assert!(catalog.decode(event, &[0x80], Secrets::Hidden).is_err());
}
