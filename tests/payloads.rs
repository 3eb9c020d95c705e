//! What a payload may be in Rust: borrowed, owned, of a type of the user's choice; older and newer.
#![allow(clippy::unwrap_used, unreachable_pub)]

use std::borrow::Cow;
use std::sync::Arc;

use compact_str::CompactString;
use events::catalog::{AnyEvent, ClientUid, MailUnreadMessages, RaiseWindow};
use events::{Event, Field, PutErrorKind, Reader, Receive, TakeErrorKind};

fn put<E: Event>(event: E) -> Vec<u8> {
    let mut out = Vec::new();
    event.put(&mut out).unwrap();
    out
}

fn take<E: Receive>(bytes: &[u8]) -> E {
    E::take(&mut Reader::new(bytes)).unwrap()
}

#[test]
fn any_text_can_be_emitted_and_any_owned_text_received() {
    let bytes = put(ClientUid { uid: "abc" });
    let owned = ClientUid { uid: String::from("abc") };
    assert_eq!(put(&owned), bytes);
    let twice = &&owned;
    assert_eq!(put(twice), bytes);
    assert_eq!(put(ClientUid { uid: Cow::Borrowed("abc") }), bytes);
    assert_eq!(put(ClientUid { uid: Arc::<str>::from("abc") }), bytes);
    assert_eq!(put(ClientUid { uid: &String::from("abc") }), bytes);

    assert_eq!(take::<ClientUid>(&bytes), owned);
    assert_eq!(take::<ClientUid<CompactString>>(&bytes), owned);
    assert_eq!(take::<ClientUid<Arc<str>>>(&bytes).uid, "abc".into());
    assert_eq!(take::<ClientUid<Box<str>>>(&bytes).uid, "abc".into());
}

#[test]
fn where_inference_cannot_new_and_into_owned_help() {
    let made = ClientUid::new("abc");
    assert_eq!(made, ClientUid { uid: "abc" });
    assert_eq!(ClientUid { uid: "abc" }.into_owned(), made);
    assert_eq!(MailUnreadMessages::new("bob", 3).number, 3);
}

#[test]
fn any_event_holds_each() {
    let any = AnyEvent::from(ClientUid { uid: "abc" });
    assert_eq!(any, AnyEvent::ClientUid(ClientUid::new("abc")));
    assert_eq!(any.name(), "CLIENT_UID");
    assert_eq!(AnyEvent::from(RaiseWindow).name(), "RAISE_WINDOW");
}

#[test]
fn the_built_in_catalog_is_that_of_the_list() {
    let events = <AnyEvent as events::Catalog>::EVENTS;
    assert_eq!(events.len(), 48);
    let retained: Vec<_> = events.iter().filter(|info| info.retain).map(|info| info.name).collect();
    assert_eq!(retained, ["MAIL_UNREAD_MESSAGES", "VPN_STATUS_CHANGED"]);
    for field in events.iter().flat_map(|info| info.fields) {
        let secret = ["address", "from_addr", "dest", "userid", "username"].contains(&field.name);
        assert_eq!(field.secret, secret, "{}", field.name);
    }
    assert!(events.iter().all(|info| !info.doc.is_empty()));
}

mod version_1 {
    use events::{Event, Field};

    #[derive(Debug, PartialEq, Field)]
    pub struct Place {
        pub x: u64,
    }

    #[derive(Debug, PartialEq, Event)]
    pub struct Moved {
        pub uid: String,
        pub place: Place,
    }
}

mod version_2 {
    use events::{Event, Field};

    #[derive(Debug, PartialEq, Field)]
    pub struct Place {
        pub x: u64,
        #[event(default = 7)]
        pub y: u64,
        pub z: Option<u64>,
    }

    #[derive(Debug, PartialEq, Event)]
    pub struct Moved {
        pub uid: String,
        pub place: Place,
        #[event(default = "nobody")]
        pub by: String,
        #[event(default)]
        pub times: Vec<u64>,
        pub note: Option<String>,
    }
}

#[test]
fn an_older_payload_takes_defaults_and_a_newer_one_is_cut() {
    let old = version_1::Moved { uid: "a".into(), place: version_1::Place { x: 1 } };
    let new = version_2::Moved {
        uid: "a".into(),
        place: version_2::Place { x: 1, y: 7, z: None },
        by: "nobody".into(),
        times: Vec::new(),
        note: None,
    };
    assert_eq!(take::<version_2::Moved>(&put(&old)), new);
    assert_eq!(take::<version_1::Moved>(&put(&new)), old);
    let (one, two) = (<version_1::Moved as Event>::INFO, <version_2::Moved as Event>::INFO);
    assert_ne!(one.fingerprint, two.fingerprint);
    assert_eq!(one.check_shape(&two.shape_text()), Ok(()));
    assert_eq!(two.check_shape(&one.shape_text()), Ok(()));
}

/// Two events in one stream: what is skipped of the first does not touch the second.
#[test]
fn records_follow_one_another() {
    let stream =
        [put(ClientUid { uid: "a" }), put(MailUnreadMessages { userid: "b", number: 2 }), put(RaiseWindow)].concat();
    let mut input = Reader::new(&stream);
    assert_eq!(ClientUid::<String>::take(&mut input).unwrap().uid, "a");
    // As a newer version, which has more.
    assert_eq!(ClientUid::<String>::take(&mut input).unwrap().uid, "b");
    RaiseWindow::take(&mut input).unwrap();
    assert!(input.is_empty());
}

#[test]
fn swapped_and_missing_fields_are_errors_that_name_them() {
    #[derive(Debug, Event)]
    #[event(name = "MAIL_UNREAD_MESSAGES")]
    struct Swapped {
        number: u64,
        userid: String,
    }

    let bytes = put(Swapped { number: 5, userid: "bob".into() });
    let error = MailUnreadMessages::<String>::take(&mut Reader::new(&bytes)).unwrap_err();
    assert_eq!(error.path(), "userid");
    let mismatch = <MailUnreadMessages as Event>::INFO.check_shape(&<Swapped as Event>::INFO.shape_text()).unwrap_err();
    assert_eq!(mismatch.field, "userid");

    let error = MailUnreadMessages::<String>::take(&mut Reader::new(&put(ClientUid { uid: "a" }))).unwrap_err();
    assert_eq!((error.path(), error.kind()), ("number", &TakeErrorKind::Missing));
    assert!(ClientUid::<String>::take(&mut Reader::new(&put(RaiseWindow))).is_err());
}

#[test]
fn an_enum_keeps_names_it_does_not_know() {
    #[derive(Debug, PartialEq, Field)]
    enum Open {
        On,
        #[event(unknown)]
        Other(String),
    }

    #[derive(Debug, PartialEq, Field)]
    enum Closed {
        On,
        Off,
    }

    let bytes = rmp_serde::to_vec("Dimmed").unwrap();
    assert_eq!(Open::take(&mut Reader::new(&bytes)).unwrap(), Open::Other("Dimmed".into()));
    let error = Closed::take(&mut Reader::new(&bytes)).unwrap_err();
    assert_eq!(error.to_string(), "`Dimmed` is no variant; there are `On`, `Off` (at byte 0)");
    let mut out = Vec::new();
    Open::Other("Dimmed".into()).put(&mut out).unwrap();
    assert_eq!(out, bytes);
    assert_eq!((Open::On, Closed::Off), (Open::On, Closed::Off));
    assert_ne!(Closed::On, Closed::Off);
}

#[test]
fn a_foreign_type_goes_through_serde() {
    #[derive(Debug, PartialEq, serde::Serialize, serde::Deserialize)]
    struct Foreign {
        a: u8,
        b: Option<String>,
    }

    #[derive(Debug, PartialEq, Event)]
    struct Seen {
        #[event(serde)]
        what: Foreign,
        #[event(serde, default)]
        ip: Option<std::net::IpAddr>,
        #[event(text)]
        name: CompactString,
    }

    let event = Seen { what: Foreign { a: 1, b: None }, ip: Some([127, 0, 0, 1].into()), name: "n".into() };
    assert_eq!(take::<Seen>(&put(&event)), event);
    assert_eq!(Seen::INFO.shape_text(), "SEEN(what:serde<Foreign>,ip:serde<Option>,name:string)");
    // Deeper than the limit: refused before rmp-serde, which recurses, sees it.
    let deep = [&[0x91][..], &[0x91; 5_000], &[0xc0]].concat();
    assert!(matches!(Seen::take(&mut Reader::new(&deep)).unwrap_err().kind(), TakeErrorKind::Depth { .. }));
}

#[test]
fn a_newtype_is_what_it_holds() {
    #[derive(Debug, PartialEq, Field)]
    struct UserId(String);

    #[derive(Debug, PartialEq, Event)]
    struct Login {
        who: UserId,
        on: Vec<UserId>,
    }

    let event = Login { who: UserId("a".into()), on: vec![UserId("b".into())] };
    assert_eq!(take::<Login>(&put(&event)), event);
    assert_eq!(Login::INFO.shape_text(), "LOGIN(who:string,on:[string])");
}

#[test]
fn what_cannot_be_written_says_why() {
    struct Never;

    impl serde::Serialize for Never {
        fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
            Err(serde::ser::Error::custom("never"))
        }
    }

    impl<'de> serde::Deserialize<'de> for Never {
        fn deserialize<D: serde::Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
            Ok(Never)
        }
    }

    #[derive(Event)]
    struct Refusing {
        #[event(serde)]
        never: Never,
    }

    let error = Refusing { never: Never }.put(&mut Vec::new()).unwrap_err();
    assert!(matches!(error.kind(), PutErrorKind::Serde { .. }));
    assert!(error.to_string().contains("never"));
}
