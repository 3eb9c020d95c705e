//! Every event against its oracles: rmp-serde with the catalog's types known at run time, and
//! rmp-serde with serde's derives.
#![allow(clippy::unwrap_used)]

use std::path::Path;

use events::{Catalog, Event, Reader, Receive};
use events_codegen::Secrets;
use events_codegen::model::{Field, Scalar, Type, TypeKind};
use proptest::prelude::*;
use proptest::strategy::Union;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value as Json;

mod everything {
    events::catalog!("tests/everything.toml");
}

fn load(path: &str) -> events_codegen::Catalog {
    events_codegen::Catalog::load(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

/// Any value of a type, as JSON.
fn value(catalog: &events_codegen::Catalog, ty: &Type) -> BoxedStrategy<Json> {
    match ty {
        Type::Scalar(scalar) => self::scalar(*scalar),
        Type::Optional(of) => prop_oneof![Just(Json::Null), value(catalog, of)].boxed(),
        Type::List(of) => prop::collection::vec(value(catalog, of), 0..4).prop_map(Json::Array).boxed(),
        Type::Map(of) => prop::collection::btree_map("[a-zß]{0,3}", value(catalog, of), 0..4)
            .prop_map(|map| Json::Object(map.into_iter().collect()))
            .boxed(),
        Type::Named(index) => match &catalog.types[*index].kind {
            TypeKind::Struct(fields) => self::fields(catalog, fields),
            TypeKind::Enum(variants) => {
                Union::new(variants.iter().map(|variant| Just(Json::from(variant.name.as_str())))).boxed()
            }
        },
    }
}

fn scalar(scalar: Scalar) -> BoxedStrategy<Json> {
    match scalar {
        Scalar::Bool => any::<bool>().prop_map(Json::from).boxed(),
        Scalar::I8 => any::<i8>().prop_map(Json::from).boxed(),
        Scalar::I16 => any::<i16>().prop_map(Json::from).boxed(),
        Scalar::I32 => any::<i32>().prop_map(Json::from).boxed(),
        Scalar::I64 => any::<i64>().prop_map(Json::from).boxed(),
        Scalar::U8 => any::<u8>().prop_map(Json::from).boxed(),
        Scalar::U16 => any::<u16>().prop_map(Json::from).boxed(),
        Scalar::U32 => any::<u32>().prop_map(Json::from).boxed(),
        Scalar::U64 => any::<u64>().prop_map(Json::from).boxed(),
        Scalar::F32 => any::<f32>().prop_map(|number| Json::from(f64::from(number))).boxed(),
        Scalar::F64 => {
            prop_oneof![any::<f64>().prop_map(Json::from), Just(Json::from("NaN")), Just(Json::from("-inf"))].boxed()
        }
        Scalar::String => prop_oneof![".{0,8}", "[a-z]{30,34}", "x{254,258}"].prop_map(Json::from).boxed(),
        Scalar::Bytes => prop::collection::vec(any::<u8>(), 0..40).prop_map(Json::from).boxed(),
        Scalar::Timestamp => (0..10_000_u32, 1..13_u32, 1..29_u32, 0..86_400_u32, 0..1_000_000_000_u32)
            .prop_map(|(year, month, day, second, nanos)| {
                let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
                Json::from(format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{nanos:09}Z"))
            })
            .boxed(),
        Scalar::Uuid => any::<u128>().prop_map(|id| Json::from(events::Uuid::from_u128(id).to_string())).boxed(),
    }
}

fn fields(catalog: &events_codegen::Catalog, fields: &[Field]) -> BoxedStrategy<Json> {
    let fields: Vec<_> = fields.iter().map(|field| (Just(field.name.clone()), value(catalog, &field.ty))).collect();
    fields.prop_map(|fields| Json::Object(fields.into_iter().collect())).boxed()
}

/// Any payload of any event of a catalog: its name, and its fields as JSON.
fn payloads(path: &str) -> (events_codegen::Catalog, BoxedStrategy<(String, Json)>) {
    let catalog = load(path);
    let events = catalog.events.iter().map(|event| (Just(event.name.clone()), fields(&catalog, &event.fields)).boxed());
    let any = Union::new(events.collect::<Vec<_>>()).boxed();
    (catalog, any)
}

/// Runs `check` on many payloads of every event: the name, the fields, and the bytes of rmp-serde.
fn for_every_event(path: &str, check: impl Fn(&str, &[u8])) {
    let (catalog, payloads) = payloads(path);
    let cases = u32::try_from(catalog.events.len() * 40).unwrap();
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig {
        cases,
        failure_persistence: None,
        ..ProptestConfig::default()
    });
    let result = runner.run(&payloads, |(name, json)| {
        let event = catalog.find(&name).unwrap();
        let bytes = catalog.encode(event, &json).map_err(|mistakes| TestCaseError::fail(mistakes.to_string()))?;
        check(&name, &bytes);
        // What is shown can be given again.
        let shown = catalog.decode(event, &bytes, Secrets::Shown).unwrap();
        prop_assert_eq!(catalog.encode(event, &shown).unwrap(), bytes);
        Ok(())
    });
    result.unwrap();
}

fn same_bytes<A: Catalog + Serialize>(name: &str, bytes: &[u8]) {
    let mut input = Reader::new(bytes);
    let event = A::take(name, &mut input).unwrap_or_else(|error| panic!("{name}: {error}"));
    assert!(input.is_empty(), "{name}: the whole payload is read");
    assert_eq!(event.name(), name);
    let mut ours = Vec::new();
    event.put(&mut ours).unwrap();
    assert_eq!(ours, bytes, "{name}: our bytes are rmp-serde's");
    assert_eq!(rmp_serde::to_vec(&event).unwrap(), bytes, "{name}: serde's derive agrees");
}

#[test]
fn every_event_of_the_built_in_catalog() {
    for_every_event("catalog.toml", same_bytes::<events::catalog::AnyEvent>);
}

#[test]
fn every_event_of_a_catalog_with_everything() {
    for_every_event("tests/everything.toml", same_bytes::<everything::AnyEvent>);
}

#[test]
#[allow(deprecated)]
fn serde_reads_what_we_write() {
    fn read<E: Receive + Serialize + DeserializeOwned>(bytes: &[u8]) {
        let mut ours = Vec::new();
        E::take(&mut Reader::new(bytes)).unwrap().put(&mut ours).unwrap();
        let event: E = rmp_serde::from_slice(&ours).unwrap();
        assert_eq!(rmp_serde::to_vec(&event).unwrap(), bytes);
        // The payload has names in JSON, and is the same when it comes back (unless JSON has no
        // number for it).
        if let Ok(event) = serde_json::from_str::<E>(&serde_json::to_string(&event).unwrap()) {
            assert_eq!(rmp_serde::to_vec(&event).unwrap(), bytes);
        }
    }

    for_every_event("tests/everything.toml", |name, bytes| match name {
        "NOTHING" => read::<everything::Nothing>(bytes),
        "UID" => read::<everything::Uid>(bytes),
        "SCALARS" => read::<everything::Scalars>(bytes),
        "NESTED" => read::<everything::Nested>(bytes),
        "KEYWORDS" => read::<everything::Keywords>(bytes),
        "DEFAULTS" => read::<everything::Defaults>(bytes),
        "SECRETS" => read::<everything::Secrets>(bytes),
        "PARAMETERS" => read::<everything::Parameters>(bytes),
        "OLD" => read::<everything::Old>(bytes),
        other => panic!("no such event in this test: {other}"),
    });
}

#[test]
fn shapes_are_the_same_at_compile_time_and_at_run_time() {
    fn compare<A: Catalog>(path: &str) {
        let catalog = load(path);
        assert_eq!(catalog.name, A::NAME);
        assert_eq!(catalog.events.len(), A::EVENTS.len());
        for (event, info) in catalog.events.iter().zip(A::EVENTS) {
            assert_eq!(catalog.shape_text(event), info.shape_text());
            assert_eq!(catalog.fingerprint(event), info.fingerprint);
            assert_eq!((event.name.as_str(), event.doc.as_str()), (info.name, info.doc));
            assert_eq!((event.retain, event.deprecated.as_deref()), (info.retain, info.deprecated));
            assert_eq!(event.fields.len(), info.fields.len());
            for (field, info) in event.fields.iter().zip(info.fields) {
                assert_eq!((field.name.as_str(), field.doc.as_str()), (info.name, info.doc));
                assert_eq!((field.optional(), field.secret), (info.optional, info.secret), "{}", info.name);
            }
        }
    }
    compare::<events::catalog::AnyEvent>("catalog.toml");
    compare::<everything::AnyEvent>("tests/everything.toml");
}

#[test]
fn an_unknown_event_keeps_its_bytes() {
    let bytes = rmp_serde::to_vec(&("a", [1, 2])).unwrap();
    let event = <everything::AnyEvent as Catalog>::take("NEWER", &mut Reader::new(&bytes)).unwrap();
    assert_eq!(event, everything::AnyEvent::Unknown { name: "NEWER".to_owned(), bytes: bytes.clone() });
    let mut out = Vec::new();
    Catalog::put(&event, &mut out).unwrap();
    assert_eq!(out, bytes);
}

#[test]
fn defaults_are_what_the_catalog_says() {
    let event = <everything::Defaults as Receive>::take(&mut Reader::new(&[0x90])).unwrap();
    assert_eq!(event.text, "a \"quoted\" text");
    assert_eq!(event.blob, [0, 10, 255]);
    assert_eq!(event.time.to_string(), "2026-05-04T01:02:01.5Z");
    assert_eq!(event.contact.weight.to_bits(), 0.5_f32.to_bits());
    let by_serde: everything::Defaults = rmp_serde::from_slice(&[0x90]).unwrap();
    assert_eq!(by_serde, event);
    let catalog = load("tests/everything.toml");
    let at_run_time = catalog.encode(catalog.find("DEFAULTS").unwrap(), &serde_json::json!({})).unwrap();
    let mut ours = Vec::new();
    event.put(&mut ours).unwrap();
    assert_eq!(ours, at_run_time);
}
