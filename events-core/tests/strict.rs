//! Types are taken strictly: whatever a field is confused with, it is an error and never wrong data.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use events_core::{Field, Reader, TakeError, TakeErrorKind, Timestamp, Uuid};

fn put<T: Field>(value: &T) -> Vec<u8> {
    let mut out = Vec::new();
    value.put(&mut out).unwrap();
    out
}

fn take<T: Field>(bytes: &[u8]) -> Result<T, TakeError> {
    T::take(&mut Reader::new(bytes))
}

/// One value of every kind on the wire.
fn samples() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("bool", put(&true)),
        ("integer", put(&5_u64)),
        ("float", put(&5.0_f64)),
        ("string", put(&"five".to_owned())),
        ("bytes", put(&vec![5_u8; 16])),
        ("timestamp", put(&Timestamp::from_seconds(5))),
        ("list", put(&vec![5_u64])),
        ("map", put(&BTreeMap::from([("five".to_owned(), 5_u64)]))),
        ("nil", put(&None::<u64>)),
        ("reserved", vec![0xc1]),
        ("other extension", vec![0xd6, 5, 0, 0, 0, 0]),
    ]
}

/// `T` takes the kinds in `allowed` and no other.
fn takes_only<T: Field>(allowed: &[&str]) {
    for (kind, bytes) in samples() {
        let taken = take::<T>(&bytes);
        if allowed.contains(&kind) {
            assert!(taken.is_ok(), "{} does not take a {kind}", T::SHAPE);
        } else {
            let error = taken.err().unwrap_or_else(|| panic!("{} takes a {kind}", T::SHAPE));
            assert!(matches!(error.kind(), TakeErrorKind::Type { .. }), "{}: {error}", T::SHAPE);
        }
    }
}

#[test]
fn no_type_takes_another() {
    takes_only::<bool>(&["bool"]);
    takes_only::<u8>(&["integer"]);
    takes_only::<u16>(&["integer"]);
    takes_only::<u32>(&["integer"]);
    takes_only::<u64>(&["integer"]);
    takes_only::<i8>(&["integer"]);
    takes_only::<i16>(&["integer"]);
    takes_only::<i32>(&["integer"]);
    takes_only::<i64>(&["integer"]);
    takes_only::<f32>(&["float"]);
    takes_only::<f64>(&["float"]);
    takes_only::<String>(&["string"]);
    takes_only::<Vec<u8>>(&["bytes"]);
    takes_only::<Timestamp>(&["timestamp"]);
    takes_only::<Uuid>(&["bytes"]);
    takes_only::<Vec<u64>>(&["list"]);
    takes_only::<BTreeMap<String, u64>>(&["map"]);
    takes_only::<Option<u64>>(&["integer", "nil"]);
    takes_only::<Option<String>>(&["string", "nil"]);
}

#[test]
fn an_integer_must_fit() {
    fn refuses<T: Field>(value: i128) {
        let bytes = match u64::try_from(value) {
            Ok(value) => put(&value),
            Err(_) => put(&i64::try_from(value).unwrap()),
        };
        let error = take::<T>(&bytes).err().unwrap_or_else(|| panic!("{} takes {value}", T::SHAPE));
        assert!(matches!(error.kind(), TakeErrorKind::Range { .. }), "{error}");
        assert!(error.to_string().contains(&value.to_string()), "{error}");
    }
    refuses::<u8>(256);
    refuses::<u8>(-1);
    refuses::<u16>(65_536);
    refuses::<u32>(1 << 32);
    refuses::<u64>(-1);
    refuses::<i8>(128);
    refuses::<i8>(-129);
    refuses::<i16>(32_768);
    refuses::<i32>(1 << 31);
    refuses::<i64>(1 << 63);
}

#[test]
fn an_integer_may_have_any_form() {
    // Other libraries do not always write the shortest.
    for bytes in [
        &[5][..],
        &[0xcc, 5],
        &[0xcd, 0, 5],
        &[0xce, 0, 0, 0, 5],
        &[0xcf, 0, 0, 0, 0, 0, 0, 0, 5],
        &[0xd0, 5],
        &[0xd1, 0, 5],
    ] {
        assert_eq!(take::<u8>(bytes).unwrap(), 5);
        assert_eq!(take::<u64>(bytes).unwrap(), 5);
        assert_eq!(take::<i16>(bytes).unwrap(), 5);
    }
}

#[test]
fn a_float_loses_nothing() {
    assert_eq!(take::<f64>(&put(&0.5_f32)).unwrap().to_bits(), 0.5_f64.to_bits());
    assert_eq!(take::<f32>(&put(&0.5_f64)).unwrap().to_bits(), 0.5_f32.to_bits());
    for lost in [0.1_f64, 1e300, f64::MIN_POSITIVE] {
        assert!(matches!(take::<f32>(&put(&lost)).unwrap_err().kind(), TakeErrorKind::Range { .. }), "{lost}");
    }
}

#[test]
fn a_uuid_has_sixteen_bytes() {
    for length in [0, 15, 17] {
        assert!(take::<Uuid>(&put(&vec![0_u8; length])).is_err());
    }
}

#[test]
fn a_timestamp_has_one_of_three_forms_and_less_than_a_second_of_nanoseconds() {
    for wrong in
        [&[0xd5, 0xff, 0, 0][..], &[0xc7, 8, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], &[0xc7, 0, 0xff]]
    {
        assert!(take::<Timestamp>(wrong).is_err(), "{wrong:x?}");
    }
}

#[test]
fn a_string_is_utf8() {
    let error = take::<String>(&[0xa2, 0xff, 0xfe]).unwrap_err();
    assert_eq!(*error.kind(), TakeErrorKind::Utf8);
    // Of every length around those that are read in another way, wherever the byte stands that is no text.
    for length in 0..=130 {
        for place in 0..length {
            let text = "x".repeat(place) + &"ü".repeat((length - place) / 2) + &"x".repeat((length - place) % 2);
            let mut bytes = rmp_serde::to_vec(&text).unwrap();
            assert_eq!(take::<String>(&bytes).unwrap(), text);
            let start = bytes.len() - length;
            bytes[start + place] = 0xff;
            let error = take::<String>(&bytes).unwrap_err();
            assert_eq!((error.kind(), error.offset()), (&TakeErrorKind::Utf8, 0), "{length} {place}");
        }
    }
}

#[test]
fn an_error_says_where() {
    let bytes = rmp_serde::to_vec(&vec![vec![1], vec![2, 300]]).unwrap();
    let error = take::<Vec<Vec<u16>>>(&bytes).map(drop);
    assert!(error.is_ok());
    let error = take::<Vec<Vec<i8>>>(&bytes).unwrap_err();
    assert_eq!(error.path(), "[1][1]");
    assert_eq!(error.offset(), 5);
    assert_eq!(error.to_string(), "field `[1][1]`: 300 does not fit into an i8 (at byte 5)");
}
