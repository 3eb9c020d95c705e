//! Canonical texts, fingerprints, and the verdict on every change of shape.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use events_core::{EventInfo, Field, FieldInfo, Shape, Timestamp, Uuid};

static STATE: Shape = Shape::Enum(&["idle", "busy"]);
static PLACE: Shape = Shape::Struct(&[
    FieldInfo::new("x", "", &Shape::F64),
    FieldInfo::new("state", "", &STATE).optional(),
    FieldInfo::new("y", "", &Shape::F64).optional(),
]);
static MOVED: EventInfo = EventInfo::new(
    "MOVED",
    "Something was moved.",
    &[
        FieldInfo::new("uid", "", &Shape::String),
        FieldInfo::new("place", "", &PLACE),
        FieldInfo::new("ids", "", &Shape::List(&Shape::U64)),
        FieldInfo::new("note", "", &Shape::Optional(&Shape::String)),
    ],
);

fn fnv1a(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |state, byte| (state ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3))
}

#[test]
fn the_canonical_text_has_everything_inline() {
    let text = "MOVED(uid:string,place:(x:f64,state:<idle|busy>,y:f64),ids:[u64],note:string?)";
    assert_eq!(MOVED.shape_text(), text);
    assert_eq!(MOVED.fingerprint, fnv1a(text));
    assert_eq!(EventInfo::new("NOTHING", "", &[]).shape_text(), "NOTHING()");
    // The published test vector of FNV-1a 64 for "a".
    assert_eq!(fnv1a("a"), 0xaf63_dc4c_8601_ec8c);
}

#[test]
fn every_type_has_its_text() {
    fn text<T: Field>() -> String {
        T::SHAPE.to_string()
    }
    let texts = [
        (text::<bool>(), "bool"),
        (text::<i8>(), "i8"),
        (text::<u64>(), "u64"),
        (text::<f32>(), "f32"),
        (text::<String>(), "string"),
        (text::<Vec<u8>>(), "bytes"),
        (text::<Vec<Vec<u8>>>(), "[bytes]"),
        (text::<Timestamp>(), "timestamp"),
        (text::<Uuid>(), "uuid"),
        (text::<Option<Vec<Option<u8>>>>(), "[u8?]?"),
        (text::<BTreeMap<String, Vec<i16>>>(), "{[i16]}"),
    ];
    for (text, expected) in texts {
        assert_eq!(text, expected);
    }
}

#[test]
fn what_was_added_at_the_end_goes_together() {
    for theirs in [
        // The same.
        "MOVED(uid:string,place:(x:f64,state:<idle|busy>,y:f64),ids:[u64],note:string?)",
        // Older: what it lacks is optional here.
        "MOVED(uid:string,place:(x:f64,state:<idle|busy>,y:f64),ids:[u64])",
        "MOVED(uid:string,place:(x:f64),ids:[u64])",
        // Newer, at every level.
        "MOVED(uid:string,place:(x:f64,state:<idle|busy>,y:f64,z:{(a:[u8?])}),ids:[u64],note:string?,more:u64)",
        // Variants travel by name.
        "MOVED(uid:string,place:(x:f64,state:<idle|broken|busy>,y:f64),ids:[u64])",
    ] {
        assert_eq!(MOVED.check_shape(theirs), Ok(()), "{theirs}");
    }
}

#[test]
fn any_other_change_is_named_by_its_first_field() {
    for (theirs, field, why) in [
        ("MOVED(uid:string,place:(x:f64))", "ids", "the publisher does not have it, and it has no default"),
        ("MOVED()", "uid", "the publisher does not have it, and it has no default"),
        ("MOVED(place:(x:f64),uid:string,ids:[u64])", "uid", "field 1 is called `place` there"),
        ("MOVED(uid:bytes,place:(x:f64),ids:[u64])", "uid", "`string` here, `bytes` there"),
        ("MOVED(uid:string?,place:(x:f64),ids:[u64])", "uid", "`string` here, `string?` there"),
        ("MOVED(uid:string,place:(x:f32),ids:[u64])", "place.x", "`f64` here, `f32` there"),
        ("MOVED(uid:string,place:(),ids:[u64])", "place.x", "the publisher does not have it, and it has no default"),
        ("MOVED(uid:string,place:(y:f64,state:<a>),ids:[u64])", "place.x", "field 1 is called `y` there"),
        ("MOVED(uid:string,place:<idle>,ids:[u64])", "place", "`(x:f64,state:<idle|busy>,y:f64)` here, `<idle>` there"),
        ("MOVED(uid:string,place:(x:f64,state:string),ids:[u64])", "place.state", "`<idle|busy>` here, `string` there"),
        ("MOVED(uid:string,place:(x:f64),ids:[i64])", "ids", "`u64` here, `i64` there"),
        ("MOVED(uid:string,place:(x:f64),ids:{u64})", "ids", "`[u64]` here, `{u64}` there"),
        ("MOVED(uid:string,place:(x:f64),ids:[u64],note:string)", "note", "`string?` here, `string` there"),
        ("OTHER(uid:string)", "", "the publisher's shape `OTHER(uid:string)` is not one of this event"),
        ("MOVED", "", "the publisher's shape `MOVED` is not one of this event"),
        ("", "", "the publisher's shape `` is not one of this event"),
    ] {
        let mismatch = MOVED.check_shape(theirs).unwrap_err();
        assert_eq!((mismatch.field.as_str(), mismatch.why.as_str()), (field, why), "{theirs}");
    }
}

#[test]
fn a_foreign_type_is_the_same_by_name_only() {
    static INFO: EventInfo = EventInfo::new("E", "", &[FieldInfo::new("at", "", &Shape::Serde("Url"))]);
    assert_eq!(INFO.shape_text(), "E(at:serde<Url>)");
    assert_eq!(INFO.fingerprint, fnv1a("E(at:serde<Url>)"));
    assert!(INFO.check_shape("E(at:serde<Url>)").is_ok());
    assert!(INFO.check_shape("E(at:serde<Uri>)").is_err());
    assert!(INFO.check_shape("E(at:string)").is_err());
}

#[test]
fn a_text_that_is_no_shape_is_refused() {
    for theirs in [
        "MOVED(uid:string,place:(x:f64),ids:[u64]",
        "MOVED(uid:string,place:(x:f64),ids:[u64],)",
        "MOVED(uid:string,place:(x:f64),ids:[u64],,more:u8)",
        "MOVED(uid:string,place:(x:f64),ids:[u64],note:string?,more)",
        "MOVED(uid:string,place:(x:f64,ids:[u64])",
        "MOVED(uid:string,place:(x:f64],ids:[u64])",
        "MOVED(uid:string,place:(x:f64),ids:[u64]))",
    ] {
        assert!(MOVED.check_shape(theirs).is_err(), "{theirs}");
    }
}
