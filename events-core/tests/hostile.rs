//! What arrives is hostile until decoded: nothing makes the reader panic, recurse or allocate without
//! bounds.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use events_core::{EventInfo, Field, FieldInfo, Reader, Shape, TakeErrorKind, Timestamp, Uuid};
use proptest::prelude::*;
use serde::Deserialize;

type Deep = Vec<Option<BTreeMap<String, Vec<Vec<Option<String>>>>>>;

static FIELDS: &[FieldInfo] = &[
    FieldInfo::new("a", "", <Deep as Field>::SHAPE),
    FieldInfo::new("b", "", &Shape::Struct(&[FieldInfo::new("c", "", &Shape::Enum(&["x", "y"]))])),
];
static INFO: EventInfo = EventInfo::new("E", "", FIELDS);

/// Bytes that often are MessagePack.
fn nearly_messagepack() -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![any::<u8>(), 0x80..0xa4_u8, 0xc0..0xe0_u8, 0..4_u8];
    prop::collection::vec(byte, 0..80)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_024))]

    #[test]
    fn no_bytes_make_it_panic(bytes in nearly_messagepack()) {
        let _ = Deep::take(&mut Reader::new(&bytes));
        let _ = Timestamp::take(&mut Reader::new(&bytes));
        let _ = Uuid::take(&mut Reader::new(&bytes));
        let _ = f32::take(&mut Reader::new(&bytes));
        let _ = i64::take(&mut Reader::new(&bytes));
        let _ = Vec::<u8>::take(&mut Reader::new(&bytes));
        let _ = Reader::new(&bytes).skip();
    }

    #[test]
    fn skipping_ends_where_rmp_serde_ends(bytes in nearly_messagepack()) {
        let mut input = Reader::new(&bytes);
        let mut oracle = rmp_serde::Deserializer::new(std::io::Cursor::new(&bytes));
        if input.skip().is_ok() && serde::de::IgnoredAny::deserialize(&mut oracle).is_ok() {
            prop_assert_eq!(input.position() as u64, oracle.position());
        }
    }

    #[test]
    fn no_shape_makes_it_panic(text in "(E?[(])?[a-z0-9:,?()\\[\\]{}<>|ß]{0,60}") {
        let _ = INFO.check_shape(&text);
    }
}

#[test]
fn depth_is_counted_and_not_recursed() {
    // A million lists inside one another: recursion would end the process.
    for opening in [0x91_u8, 0x81] {
        let bytes = vec![opening; 1 << 20];
        let error = Reader::new(&bytes).skip().unwrap_err();
        assert_eq!(*error.kind(), TakeErrorKind::Depth { limit: 64 });
    }
    let allowed = [vec![0x91; 64], vec![0xc0]].concat();
    let mut input = Reader::new(&allowed);
    input.skip().unwrap();
    assert!(input.is_empty());
    let deeper = [vec![0x91; 65], vec![0xc0]].concat();
    assert!(Reader::new(&deeper).skip().is_err());
}

#[test]
fn a_shape_nests_as_deep_as_a_value() {
    for bracket in ["(a:", "[", "{", "<"] {
        assert!(INFO.check_shape(&format!("E(a:{}", bracket.repeat(20_000))).is_err());
    }
    assert!(INFO.check_shape(&"E".repeat(1 << 20)).is_err());
}

#[test]
fn a_length_is_checked_before_anything_is_allocated() {
    for claim in [
        &[0xdb, 0xff, 0xff, 0xff, 0xff][..],
        &[0xc6, 0xff, 0xff, 0xff, 0xff],
        &[0xdd, 0xff, 0xff, 0xff, 0xff],
        &[0xdf, 0xff, 0xff, 0xff, 0xff],
        &[0xc9, 0xff, 0xff, 0xff, 0xff, 5],
    ] {
        assert!(Reader::new(claim).skip().is_err());
        assert!(String::take(&mut Reader::new(claim)).is_err());
        assert!(Vec::<u8>::take(&mut Reader::new(claim)).is_err());
        assert!(Vec::<u64>::take(&mut Reader::new(claim)).is_err());
        assert!(BTreeMap::<String, u64>::take(&mut Reader::new(claim)).is_err());
    }
}

#[test]
fn a_payload_takes_memory_in_proportion_to_its_size() {
    /// A value of half a kilobyte that is one byte on the wire.
    #[derive(Debug)]
    struct Wide(#[allow(dead_code, reason = "only its size counts")] [u64; 64]);

    impl Field for Wide {
        const SHAPE: &'static Shape = &Shape::Bool;

        fn put(&self, _: &mut Vec<u8>) -> Result<(), events_core::PutError> {
            Ok(())
        }

        fn take(input: &mut Reader<'_>) -> Result<Self, events_core::TakeError> {
            input.skip()?;
            Ok(Wide([0; 64]))
        }
    }

    let list = |length: u16| [&[0xdc][..], &length.to_be_bytes(), &vec![0xc0; usize::from(length)]].concat();
    assert_eq!(Vec::<Wide>::take(&mut Reader::new(&list(2_000))).unwrap().len(), 2_000);
    let error = Vec::<Wide>::take(&mut Reader::new(&list(60_000))).unwrap_err();
    assert_eq!(*error.kind(), TakeErrorKind::Memory);
}
