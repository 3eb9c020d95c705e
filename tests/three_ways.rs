//! The build script, `catalog!` and the derives give the same items.
#![allow(clippy::unwrap_used, deprecated, unreachable_pub)]

use events::{Catalog, Event, EventInfo, FieldInfo, Reader, Receive};

/// As the build script writes it: the golden source is what `events_codegen::compile` gives.
#[allow(missing_docs)]
mod by_build_script {
    include!("../events-codegen/tests/golden/everything.rs");
}

mod by_macro {
    events::catalog!("tests/everything.toml");
}

/// As a person writes it.
mod by_hand {
    use std::collections::BTreeMap;

    use events::{Event, Field, Timestamp, Uuid};

    /// How far a sync has come.
    #[derive(Debug, Field)]
    pub enum SyncState {
        #[event(name = "idle")]
        Idle,
        #[event(name = "syncing")]
        Syncing,
        #[event(name = "FAILED")]
        Failed,
        #[event(name = "type")]
        Type,
        #[event(unknown)]
        Unknown(String),
    }

    /// Somebody to write to.
    #[derive(Debug, Field)]
    pub struct Contact {
        /// Where mail goes.
        #[event(secret)]
        pub address: String,
        /// The field `state`.
        #[event(default = SyncState::Idle)]
        pub state: SyncState,
        /// The field `key`.
        pub key: Option<Vec<u8>>,
        /// The field `weight`.
        #[event(default = 0.5)]
        pub weight: f32,
    }

    /// An event without fields.
    #[derive(Debug, Event)]
    pub struct Nothing;

    /// An event whose field would be called as itself.
    ///
    /// With a second paragraph.
    #[derive(Debug, Event)]
    pub struct Uid<Text = String> {
        /// The field `uid`.
        #[event(text)]
        pub uid: Text,
    }

    /// Every type there always is.
    #[derive(Debug, Event)]
    pub struct Scalars<Text = String> {
        /// The field `flag`.
        pub flag: bool,
        /// The field `i8`.
        pub i8: i8,
        /// The field `i16`.
        pub i16: i16,
        /// The field `i32`.
        pub i32: i32,
        /// The field `i64`.
        pub i64: i64,
        /// The field `u8`.
        pub u8: u8,
        /// The field `u16`.
        pub u16: u16,
        /// The field `u32`.
        pub u32: u32,
        /// The field `u64`.
        pub u64: u64,
        /// The field `f32`.
        pub f32: f32,
        /// The field `f64`.
        pub f64: f64,
        /// The field `text`.
        #[event(text)]
        pub text: Text,
        /// The field `blob`.
        pub blob: Vec<u8>,
        /// The field `time`.
        pub time: Timestamp,
        /// The field `id`.
        pub id: Uuid,
    }

    /// Names that Rust keeps for itself.
    #[derive(Debug, Event)]
    pub struct Keywords {
        /// The field `type`.
        pub r#type: String,
        /// The field `self`.
        #[event(name = "self")]
        pub self_: u64,
        /// The field `super`.
        #[event(name = "super")]
        pub super_: Vec<u8>,
        /// The field `crate`.
        #[event(name = "crate")]
        pub crate_: bool,
        /// The field `match`.
        pub r#match: u8,
        /// The field `async`.
        pub r#async: Option<String>,
    }

    /// What nobody should see in a log.
    #[derive(Event)]
    #[event(name = "SECRETS")]
    pub struct Hidden {
        /// The field `account`.
        pub account: String,
        /// The field `password`.
        #[event(secret)]
        pub password: String,
        /// The field `pin`.
        #[event(secret)]
        pub pin: Option<u64>,
    }

    /// An event that nobody should use any more.
    #[derive(Debug, Event)]
    #[deprecated(note = "use `UID`")]
    pub struct Old {
        /// The field `uid`.
        pub uid: String,
        /// The field `count`.
        pub count: u64,
    }

    /// Some more shapes, which the catalog has in `NESTED`.
    #[derive(Debug, Event)]
    #[event(name = "NESTED", retain)]
    pub struct Nested {
        pub maybe: Option<u64>,
        pub maps: BTreeMap<String, Vec<BTreeMap<String, bool>>>,
        pub contact: Contact,
    }
}

/// All that is known of a field, as text.
fn describe_field(field: &FieldInfo) -> String {
    format!("{field:?}")
}

fn describe(info: &EventInfo) -> String {
    let fields: Vec<String> = info.fields.iter().map(describe_field).collect();
    format!("{info:?} {} {}", info.shape_text(), fields.join(" "))
}

#[test]
fn the_same_is_known_of_every_event() {
    let by_build_script = <by_build_script::AnyEvent as Catalog>::EVENTS;
    let by_macro = <by_macro::AnyEvent as Catalog>::EVENTS;
    assert_eq!(by_build_script.len(), by_macro.len());
    for (one, other) in by_build_script.iter().zip(by_macro) {
        assert_eq!(describe(one), describe(other));
    }
    let by_hand = [
        <by_hand::Nothing as Event>::INFO,
        <by_hand::Uid as Event>::INFO,
        <by_hand::Scalars as Event>::INFO,
        <by_hand::Keywords as Event>::INFO,
        <by_hand::Hidden as Event>::INFO,
        <by_hand::Old as Event>::INFO,
    ];
    for one in by_hand {
        let other = by_macro.iter().find(|other| other.name == one.name).unwrap();
        assert_eq!(describe(one), describe(other));
    }
    let nested = <by_hand::Nested as Event>::INFO;
    assert!(nested.retain);
    assert_eq!(describe_field(&nested.fields[2]).replace("\"\"", "\"The field `contact`.\""), {
        let fields = <by_macro::Nested as Event>::INFO.fields;
        describe_field(fields.iter().find(|field| field.name == "contact").unwrap())
    });
}

#[test]
fn the_same_goes_onto_the_wire() {
    fn put(event: &impl Event) -> Vec<u8> {
        let mut out = Vec::new();
        event.put(&mut out).unwrap();
        out
    }
    fn through<From: Event, To: Receive>(event: &From) -> To {
        To::take(&mut Reader::new(&put(event))).unwrap()
    }

    let bytes = put(&by_hand::Nothing);
    assert_eq!(bytes, [0x90]);
    assert_eq!(bytes, put(&by_macro::Nothing));
    assert_eq!(bytes, put(&by_build_script::Nothing));

    let bytes = put(&by_hand::Uid { uid: "abc" });
    assert_eq!(bytes, put(&by_macro::Uid { uid: "abc".to_owned() }));
    assert_eq!(bytes, put(&&by_build_script::Uid { uid: std::borrow::Cow::from("abc") }));

    let by_hand = by_hand::Keywords {
        r#type: "t".to_owned(),
        self_: 1,
        super_: vec![2],
        crate_: true,
        r#match: 3,
        r#async: None,
    };
    let by_macro: by_macro::Keywords = through(&by_hand);
    assert_eq!(by_macro, by_macro::Keywords::new("t", 1, [2], true, 3, None));
    let by_build_script: by_build_script::Keywords = through(&by_macro);
    assert_eq!(put(&by_build_script), put(&by_hand));
}

#[test]
fn secrets_are_not_shown() {
    let event = by_macro::Secrets { account: "me", password: "hush", pin: Some(1234) };
    assert_eq!(format!("{event:?}"), r#"Secrets { account: "me", password: <secret>, pin: <secret> }"#);
    let contact = by_macro::Contact { address: "a@b".into(), state: by_macro::SyncState::Idle, key: None, weight: 1.0 };
    assert!(!format!("{contact:?}").contains("a@b"));
    assert!(!format!("{:?}", by_macro::AnyEvent::from(event)).contains("hush"));
}
