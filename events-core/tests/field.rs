//! Every type of a field against its oracle: our bytes are rmp-serde's, and each reads the other's.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::fmt::Debug;

use events_core::{Field, Reader, Timestamp, Uuid};
use proptest::prelude::*;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

fn put<T: Field>(value: &T) -> Vec<u8> {
    let mut out = Vec::new();
    value.put(&mut out).unwrap();
    out
}

fn take<T: Field>(bytes: &[u8]) -> T {
    let mut input = Reader::new(bytes);
    let value = T::take(&mut input).unwrap();
    assert!(input.is_empty(), "the whole value is read");
    value
}

/// Checks `value` against `twin`, which is the same for serde. Bytes are compared, as NaN is not
/// equal to itself.
fn agrees<T: Field + Debug, S: Serialize + DeserializeOwned>(value: &T, twin: &S) {
    let ours = put(value);
    let theirs = rmp_serde::to_vec(twin).unwrap();
    assert_eq!(ours, theirs, "{value:?}");
    assert_eq!(put(&take::<T>(&theirs)), ours, "we read what rmp-serde wrote");
    let read: S = rmp_serde::from_slice(&ours).unwrap();
    assert_eq!(rmp_serde::to_vec(&read).unwrap(), ours, "rmp-serde reads what we wrote");
    let mut input = Reader::new(&ours);
    input.skip().unwrap();
    assert!(input.is_empty(), "skipping steps over the whole value");
}

fn agrees_with_itself<T: Field + Debug + Serialize + DeserializeOwned>(value: &T) {
    agrees(value, value);
}

/// Bytes as bytes, where serde's `Vec<u8>` is a list of numbers.
#[derive(Serialize, Deserialize)]
struct Bytes(#[serde(with = "events_core::__private::bytes")] Vec<u8>);

fn timestamps() -> impl Strategy<Value = Timestamp> {
    let seconds = prop_oneof![any::<u32>().prop_map(i64::from), 0..1_i64 << 34, any::<i64>()];
    (seconds, prop_oneof![Just(0), 0..1_000_000_000_u32])
        .prop_map(|(seconds, nanoseconds)| Timestamp::new(seconds, nanoseconds).unwrap())
}

fn maps<V: Debug>(values: impl Strategy<Value = V>) -> impl Strategy<Value = BTreeMap<String, V>> {
    prop::collection::btree_map("[a-z]{0,40}", values, 0..20)
}

/// Around every length at which the form changes.
fn lengths() -> impl Strategy<Value = usize> {
    prop_oneof![0..40_usize, 250..260_usize, 65_530..65_540_usize]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn integers(a: u8, b: u16, c: u32, d: u64, e: i8, f: i16, g: i32, h: i64, shift in 0..64_u32) {
        agrees_with_itself(&a);
        agrees_with_itself(&b);
        agrees_with_itself(&c);
        agrees_with_itself(&(d >> shift));
        agrees_with_itself(&e);
        agrees_with_itself(&f);
        agrees_with_itself(&g);
        agrees_with_itself(&(h >> shift));
    }

    #[test]
    fn floats_and_bools(a: bool, b: u32, c: u64) {
        agrees_with_itself(&a);
        agrees_with_itself(&f32::from_bits(b));
        agrees_with_itself(&f64::from_bits(c));
    }

    #[test]
    fn strings(text: String, length in lengths()) {
        agrees_with_itself(&text);
        agrees_with_itself(&"ß".repeat(length / 2));
    }

    #[test]
    fn bytes(length in lengths(), fill: u8) {
        agrees(&vec![fill; length], &Bytes(vec![fill; length]));
    }

    #[test]
    fn timestamps_and_uuids(time in timestamps(), id: u128) {
        agrees_with_itself(&time);
        agrees_with_itself(&Uuid::from_u128(id));
        let text = time.to_string();
        if (0..=9999).contains(&(time.seconds() / 31_556_952 + 1970)) && !text.starts_with('-') {
            prop_assert_eq!(text.parse(), Ok(time));
        }
    }

    #[test]
    fn what_is_made_of_others(
        maybe: Option<i32>,
        list in prop::collection::vec(any::<Option<String>>(), 0..20),
        lists in prop::collection::vec(prop::collection::vec(any::<i16>(), 0..20), 0..20),
        map in maps(any::<u64>()),
        maps in maps(prop::collection::vec(maps(any::<bool>()), 0..4)),
        times in prop::collection::vec(timestamps(), 0..20),
    ) {
        agrees_with_itself(&maybe);
        agrees_with_itself(&list);
        agrees_with_itself(&lists);
        agrees_with_itself(&map);
        agrees_with_itself(&maps);
        agrees_with_itself(&times);
    }
}

#[test]
fn every_edge_of_the_integers() {
    let edges = [0, 31, 32, 33, 127, 128, 255, 256, 32_767, 32_768, 65_535, 65_536];
    let wide = [2_147_483_647, 2_147_483_648, 4_294_967_295, 4_294_967_296, i64::MAX];
    for edge in edges.into_iter().chain(wide) {
        agrees_with_itself(&edge);
        agrees_with_itself(&-edge);
        agrees_with_itself(&(-edge - 1));
        agrees_with_itself(&edge.unsigned_abs());
    }
    agrees_with_itself(&i64::MIN);
    agrees_with_itself(&u64::MAX);
}

#[test]
fn every_form_of_a_length() {
    for length in [0, 15, 16, 65_535, 65_536] {
        agrees_with_itself(&vec![true; length]);
        let map: BTreeMap<String, bool> = (0..length).map(|number| (number.to_string(), true)).collect();
        agrees_with_itself(&map);
    }
}

#[test]
fn a_map_comes_in_any_order() {
    let bytes = rmp_serde::to_vec(&[("b", 1), ("a", 2)]).unwrap();
    // The same, as a map of two instead of a list of two pairs.
    let bytes = [&[0x82], &bytes[2..5], &bytes[6..]].concat();
    assert_eq!(take::<BTreeMap<String, u8>>(&bytes), BTreeMap::from([("a".to_owned(), 2), ("b".to_owned(), 1)]));
}

#[test]
fn timestamps_as_text() {
    for (text, seconds, nanoseconds) in [
        ("1970-01-01T00:00:00Z", 0, 0),
        ("1969-12-31T23:59:59.5Z", -1, 500_000_000),
        ("2000-02-29T12:00:00Z", 951_825_600, 0),
        ("2026-05-04T03:02:01.000000001Z", 1_777_863_721, 1),
        ("0000-01-01T00:00:00Z", -62_167_219_200, 0),
        ("9999-12-31T23:59:59Z", 253_402_300_799, 0),
    ] {
        let time = Timestamp::new(seconds, nanoseconds).unwrap();
        assert_eq!(time.to_string(), text);
        assert_eq!(text.parse(), Ok(time));
    }
    assert_eq!("2026-05-04T03:02:01+02:00".parse(), Ok(Timestamp::from_seconds(1_777_856_521)));
    for wrong in [
        "",
        "2026-05-04",
        "2026-02-30T00:00:00Z",
        "2026-05-04T24:00:00Z",
        "2026-05-04T03:02:01",
        "2026-05-04T03:02:01.Z",
        "2026-05-04T03:02:0ß",
    ] {
        assert!(wrong.parse::<Timestamp>().is_err(), "{wrong}");
    }
}

#[test]
fn timestamps_and_the_clock_of_the_system() {
    use std::time::{Duration, SystemTime, UNIX_EPOCH};

    for time in [UNIX_EPOCH, UNIX_EPOCH - Duration::new(1, 1), UNIX_EPOCH + Duration::new(7, 5), SystemTime::now()] {
        assert_eq!(SystemTime::try_from(Timestamp::from(time)), Ok(time));
    }
}
