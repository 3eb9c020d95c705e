// Made from tests/everything.toml by events-codegen. Do not edit: change the catalog.

#[allow(unused_imports)]
use ::events as __events;

use __events::__private::serde as __serde;

/// How far a sync has come.
#[derive(
    Clone,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    __events::Field,
    __serde::Serialize,
    __serde::Deserialize
)]
#[event(generated, crate = __events)]
#[serde(
    crate = "__serde",
    from = "::std::string::String",
    into = "::std::string::String"
)]
pub enum SyncState {
    /// `idle`
    #[event(name = "idle")]
    Idle,
    /// `syncing`
    #[event(name = "syncing")]
    Syncing,
    /// `FAILED`
    #[event(name = "FAILED")]
    Failed,
    /// `type`
    #[event(name = "type")]
    Type,
    /// A variant that is not in this catalog: the sender has a newer one.
    #[event(unknown)]
    Unknown(::std::string::String),
}

/// Somebody to write to.
#[derive(Clone, __events::Field, __serde::Serialize, __serde::Deserialize)]
#[event(generated, crate = __events)]
#[serde(crate = "__serde")]
pub struct Contact {
    /// Where mail goes.
    #[event(secret)]
    pub address: ::std::string::String,
    /// The field `state`.
    #[event(default = SyncState::Idle)]
    #[serde(default = "default_Contact_state")]
    pub state: SyncState,
    /// The field `key`.
    #[serde(default, with = "__events::__private::bytes")]
    pub key: ::std::option::Option<::std::vec::Vec<u8>>,
    /// The field `weight`.
    #[event(default = 0.5)]
    #[serde(default = "default_Contact_weight")]
    pub weight: f32,
}

#[allow(non_snake_case)]
fn default_Contact_state() -> SyncState {
    SyncState::Idle
}

#[allow(non_snake_case)]
fn default_Contact_weight() -> f32 {
    0.5
}

/// The type `Group`.
#[derive(Clone, __events::Field, __serde::Serialize, __serde::Deserialize)]
#[event(generated, crate = __events)]
#[serde(crate = "__serde")]
pub struct Group {
    /// The field `name`.
    pub name: ::std::string::String,
    /// The field `members`.
    pub members: ::std::vec::Vec<Contact>,
    /// The field `by_role`.
    pub by_role: ::std::collections::BTreeMap<
        ::std::string::String,
        ::std::option::Option<Contact>,
    >,
}

/// An event without fields.
#[derive(Clone, __events::Event, __serde::Serialize, __serde::Deserialize)]
#[event(generated, crate = __events, name = "NOTHING")]
#[serde(crate = "__serde")]
pub struct Nothing;

/// An event whose field would be called as itself.
///
/// With a second paragraph.
#[derive(Clone, __events::Event, __serde::Serialize, __serde::Deserialize)]
#[event(generated, crate = __events, name = "UID")]
#[serde(crate = "__serde")]
pub struct Uid<Uid_ = ::std::string::String> {
    /// The field `uid`.
    #[event(text)]
    pub uid: Uid_,
}

/// Every type there always is.
#[derive(Clone, __events::Event, __serde::Serialize, __serde::Deserialize)]
#[event(generated, crate = __events, name = "SCALARS")]
#[serde(crate = "__serde")]
pub struct Scalars<Text = ::std::string::String, Blob = ::std::vec::Vec<u8>> {
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
    #[event(blob)]
    #[serde(
        with = "__events::__private::bytes::blob",
        bound(
            serialize = "Blob: __events::__private::Blob",
            deserialize = "Blob: __events::__private::OwnedBlob"
        )
    )]
    pub blob: Blob,
    /// The field `time`.
    pub time: __events::Timestamp,
    /// The field `id`.
    pub id: __events::Uuid,
}

/// Every type made of others.
#[derive(Clone, __events::Event, __serde::Serialize, __serde::Deserialize)]
#[event(generated, crate = __events, name = "NESTED", retain)]
#[serde(crate = "__serde")]
pub struct Nested {
    /// The field `maybe`.
    #[serde(default)]
    pub maybe: ::std::option::Option<u64>,
    /// The field `maybe_text`.
    #[serde(default)]
    pub maybe_text: ::std::option::Option<::std::string::String>,
    /// The field `maybe_blob`.
    #[serde(default, with = "__events::__private::bytes")]
    pub maybe_blob: ::std::option::Option<::std::vec::Vec<u8>>,
    /// The field `list`.
    pub list: ::std::vec::Vec<::std::string::String>,
    /// The field `lists`.
    pub lists: ::std::vec::Vec<::std::vec::Vec<::std::option::Option<i32>>>,
    /// The field `blobs`.
    #[serde(with = "__events::__private::bytes")]
    pub blobs: ::std::vec::Vec<::std::vec::Vec<u8>>,
    /// The field `map`.
    pub map: ::std::collections::BTreeMap<::std::string::String, u64>,
    /// The field `maps`.
    pub maps: ::std::collections::BTreeMap<
        ::std::string::String,
        ::std::vec::Vec<::std::collections::BTreeMap<::std::string::String, bool>>,
    >,
    /// The field `blob_map`.
    #[serde(with = "__events::__private::bytes")]
    pub blob_map: ::std::collections::BTreeMap<
        ::std::string::String,
        ::std::option::Option<::std::vec::Vec<::std::vec::Vec<u8>>>,
    >,
    /// The field `state`.
    pub state: SyncState,
    /// The field `states`.
    pub states: ::std::vec::Vec<SyncState>,
    /// The field `contact`.
    pub contact: Contact,
    /// The field `group`.
    #[event(secret)]
    pub group: Group,
    /// The field `times`.
    pub times: ::std::vec::Vec<__events::Timestamp>,
    /// The field `ids`.
    pub ids: ::std::collections::BTreeMap<::std::string::String, __events::Uuid>,
    /// The field `no_lists`.
    #[serde(default)]
    pub no_lists: ::std::option::Option<
        ::std::vec::Vec<::std::option::Option<::std::vec::Vec<u16>>>,
    >,
}

/// Names that Rust keeps for itself.
#[derive(Clone, __events::Event, __serde::Serialize, __serde::Deserialize)]
#[event(generated, crate = __events, name = "KEYWORDS")]
#[serde(crate = "__serde")]
pub struct Keywords<Type = ::std::string::String, Super = ::std::vec::Vec<u8>> {
    /// The field `type`.
    #[event(text)]
    pub r#type: Type,
    /// The field `self`.
    #[event(name = "self")]
    #[serde(rename = "self")]
    pub self_: u64,
    /// The field `super`.
    #[event(blob, name = "super")]
    #[serde(
        rename = "super",
        with = "__events::__private::bytes::blob",
        bound(
            serialize = "Super: __events::__private::Blob",
            deserialize = "Super: __events::__private::OwnedBlob"
        )
    )]
    pub super_: Super,
    /// The field `crate`.
    #[event(name = "crate")]
    #[serde(rename = "crate")]
    pub crate_: bool,
    /// The field `match`.
    pub r#match: u8,
    /// The field `async`.
    #[serde(default)]
    pub r#async: ::std::option::Option<::std::string::String>,
}

/// A default for every type.
#[derive(Clone, __events::Event, __serde::Serialize, __serde::Deserialize)]
#[event(generated, crate = __events, name = "DEFAULTS")]
#[serde(crate = "__serde")]
pub struct Defaults<Text = ::std::string::String, Blob = ::std::vec::Vec<u8>> {
    /// The field `flag`.
    #[event(default = true)]
    #[serde(default = "default_Defaults_flag")]
    pub flag: bool,
    /// The field `small`.
    #[event(default = -128)]
    #[serde(default = "default_Defaults_small")]
    pub small: i8,
    /// The field `big`.
    #[event(default = 9223372036854775807)]
    #[serde(default = "default_Defaults_big")]
    pub big: u64,
    /// The field `single`.
    #[event(default = 1.5)]
    #[serde(default = "default_Defaults_single")]
    pub single: f32,
    /// The field `double`.
    #[event(default = ::std::primitive::f64::NEG_INFINITY)]
    #[serde(default = "default_Defaults_double")]
    pub double: f64,
    /// The field `text`.
    #[event(text, default = "a \"quoted\" text")]
    #[serde(
        default = "default_Defaults_text",
        bound(
            deserialize = "Text: __serde::Deserialize<'de> + __events::__private::OwnedText"
        )
    )]
    pub text: Text,
    /// The field `blob`.
    #[event(blob, default = b"\0\n\xFF")]
    #[serde(
        default = "default_Defaults_blob",
        with = "__events::__private::bytes::blob",
        bound(
            serialize = "Blob: __events::__private::Blob",
            deserialize = "Blob: __events::__private::OwnedBlob"
        )
    )]
    pub blob: Blob,
    /// The field `time`.
    #[event(
        default = __events::Timestamp::new(1777856521, 500000000).unwrap_or_default()
    )]
    #[serde(default = "default_Defaults_time")]
    pub time: __events::Timestamp,
    /// The field `id`.
    #[event(default = __events::Uuid::from_u128(0x123e4567e89b12d3a456426614174000))]
    #[serde(default = "default_Defaults_id")]
    pub id: __events::Uuid,
    /// The field `maybe`.
    #[event(default = ::std::option::Option::Some(7))]
    #[serde(default = "default_Defaults_maybe")]
    pub maybe: ::std::option::Option<u8>,
    /// The field `list`.
    #[event(
        default = ::std::vec![::std::string::String::from("a"),
        ::std::string::String::from("b")]
    )]
    #[serde(default = "default_Defaults_list")]
    pub list: ::std::vec::Vec<::std::string::String>,
    /// The field `map`.
    #[event(
        default = ::std::collections::BTreeMap::from(
            [(::std::string::String::from("one"), 1),
            (::std::string::String::from("two"), 2)]
        )
    )]
    #[serde(default = "default_Defaults_map")]
    pub map: ::std::collections::BTreeMap<::std::string::String, u16>,
    /// The field `state`.
    #[event(default = SyncState::Syncing)]
    #[serde(default = "default_Defaults_state")]
    pub state: SyncState,
    /// The field `contact`.
    #[event(
        default = Contact{address:::std::string::String::from("a@b"),
        state:SyncState::Idle,
        key:::std::option::Option::None,
        weight:0.5}
    )]
    #[serde(default = "default_Defaults_contact")]
    pub contact: Contact,
}

#[allow(non_snake_case)]
fn default_Defaults_flag() -> bool {
    true
}

#[allow(non_snake_case)]
fn default_Defaults_small() -> i8 {
    -128
}

#[allow(non_snake_case)]
fn default_Defaults_big() -> u64 {
    9223372036854775807
}

#[allow(non_snake_case)]
fn default_Defaults_single() -> f32 {
    1.5
}

#[allow(non_snake_case)]
fn default_Defaults_double() -> f64 {
    ::std::primitive::f64::NEG_INFINITY
}

#[allow(non_snake_case)]
fn default_Defaults_text<T: __events::__private::OwnedText>() -> T {
    T::from_text("a \"quoted\" text")
}

#[allow(non_snake_case)]
fn default_Defaults_blob<T: __events::__private::OwnedBlob>() -> T {
    T::from_blob(b"\0\n\xFF")
}

#[allow(non_snake_case)]
fn default_Defaults_time() -> __events::Timestamp {
    __events::Timestamp::new(1777856521, 500000000).unwrap_or_default()
}

#[allow(non_snake_case)]
fn default_Defaults_id() -> __events::Uuid {
    __events::Uuid::from_u128(0x123e4567e89b12d3a456426614174000)
}

#[allow(non_snake_case)]
fn default_Defaults_maybe() -> ::std::option::Option<u8> {
    ::std::option::Option::Some(7)
}

#[allow(non_snake_case)]
fn default_Defaults_list() -> ::std::vec::Vec<::std::string::String> {
    ::std::vec![::std::string::String::from("a"), ::std::string::String::from("b")]
}

#[allow(non_snake_case)]
fn default_Defaults_map() -> ::std::collections::BTreeMap<::std::string::String, u16> {
    ::std::collections::BTreeMap::from([
        (::std::string::String::from("one"), 1),
        (::std::string::String::from("two"), 2),
    ])
}

#[allow(non_snake_case)]
fn default_Defaults_state() -> SyncState {
    SyncState::Syncing
}

#[allow(non_snake_case)]
fn default_Defaults_contact() -> Contact {
    Contact {
        address: ::std::string::String::from("a@b"),
        state: SyncState::Idle,
        key: ::std::option::Option::None,
        weight: 0.5,
    }
}

/// What nobody should see in a log.
#[derive(Clone, __events::Event, __serde::Serialize, __serde::Deserialize)]
#[event(generated, crate = __events, name = "SECRETS")]
#[serde(crate = "__serde")]
pub struct Secrets<Account = ::std::string::String, Password = ::std::string::String> {
    /// The field `account`.
    #[event(text)]
    pub account: Account,
    /// The field `password`.
    #[event(text, secret)]
    pub password: Password,
    /// The field `pin`.
    #[event(secret)]
    #[serde(default)]
    pub pin: ::std::option::Option<u64>,
}

/// Names that parameters must not take.
#[derive(Clone, __events::Event, __serde::Serialize, __serde::Deserialize)]
#[event(generated, crate = __events, name = "PARAMETERS")]
#[serde(crate = "__serde")]
pub struct Parameters<
    String_ = ::std::string::String,
    Contact_ = ::std::string::String,
    Uid_ = ::std::vec::Vec<u8>,
    Vec_ = ::std::vec::Vec<u8>,
    AnyEvent_ = ::std::string::String,
> {
    /// The field `string`.
    #[event(text)]
    pub string: String_,
    /// The field `contact`.
    #[event(text)]
    pub contact: Contact_,
    /// The field `uid`.
    #[event(blob)]
    #[serde(
        with = "__events::__private::bytes::blob",
        bound(
            serialize = "Uid_: __events::__private::Blob",
            deserialize = "Uid_: __events::__private::OwnedBlob"
        )
    )]
    pub uid: Uid_,
    /// The field `vec`.
    #[event(blob)]
    #[serde(
        with = "__events::__private::bytes::blob",
        bound(
            serialize = "Vec_: __events::__private::Blob",
            deserialize = "Vec_: __events::__private::OwnedBlob"
        )
    )]
    pub vec: Vec_,
    /// The field `any_event`.
    #[event(text)]
    pub any_event: AnyEvent_,
}

/// An event that nobody should use any more.
#[deprecated(note = "use `UID`")]
#[derive(Clone, __events::Event, __serde::Serialize, __serde::Deserialize)]
#[event(generated, crate = __events, name = "OLD")]
#[serde(crate = "__serde")]
pub struct Old<Uid_ = ::std::string::String> {
    /// The field `uid`.
    #[event(text)]
    pub uid: Uid_,
    /// The field `count`.
    pub count: u64,
}

/// Any event of the catalog `everything`: Everything that a catalog can say.
///
/// A `match` on it without `_` is complete: it does not compile any more once the catalog has an event that it misses. Whoever wants to be told of new events in this way leaves `_` out and names [`AnyEvent::Unknown`], which only ever holds events of a newer catalog; whoever does not, writes `_ => {}`.
#[allow(deprecated, clippy::large_enum_variant)]
#[derive(Clone, PartialEq)]
pub enum AnyEvent {
    /// An event without fields.
    Nothing(Nothing),
    /// An event whose field would be called as itself.
    ///
    /// With a second paragraph.
    Uid(Uid),
    /// Every type there always is.
    Scalars(Scalars),
    /// Every type made of others.
    Nested(Nested),
    /// Names that Rust keeps for itself.
    Keywords(Keywords),
    /// A default for every type.
    Defaults(Defaults),
    /// What nobody should see in a log.
    Secrets(Secrets),
    /// Names that parameters must not take.
    Parameters(Parameters),
    /// An event that nobody should use any more.
    Old(Old),
    /// An event that is not in this catalog: its sender has a newer one.
    Unknown {
        /// Its name.
        name: ::std::string::String,
        /// Its payload as it came, one MessagePack array.
        bytes: ::std::vec::Vec<u8>,
    },
}

#[allow(deprecated)]
impl ::std::fmt::Debug for AnyEvent {
    fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
        let (name, event): (&str, &dyn ::std::fmt::Debug) = match self {
            Self::Nothing(event) => ("Nothing", event),
            Self::Uid(event) => ("Uid", event),
            Self::Scalars(event) => ("Scalars", event),
            Self::Nested(event) => ("Nested", event),
            Self::Keywords(event) => ("Keywords", event),
            Self::Defaults(event) => ("Defaults", event),
            Self::Secrets(event) => ("Secrets", event),
            Self::Parameters(event) => ("Parameters", event),
            Self::Old(event) => ("Old", event),
            Self::Unknown { name, bytes } => {
                let bytes = __events::__private::Withheld(bytes.len());
                return f
                    .debug_struct("Unknown")
                    .field("name", name)
                    .field("bytes", &bytes)
                    .finish();
            }
        };
        f.debug_tuple(name).field(event).finish()
    }
}

#[allow(deprecated)]
impl AnyEvent {
    /// The name of the event on the wire.
    #[inline]
    pub fn name(&self) -> &str {
        match self {
            Self::Nothing(_) => "NOTHING",
            Self::Uid(_) => "UID",
            Self::Scalars(_) => "SCALARS",
            Self::Nested(_) => "NESTED",
            Self::Keywords(_) => "KEYWORDS",
            Self::Defaults(_) => "DEFAULTS",
            Self::Secrets(_) => "SECRETS",
            Self::Parameters(_) => "PARAMETERS",
            Self::Old(_) => "OLD",
            Self::Unknown { name, .. } => name,
        }
    }
}

#[allow(deprecated)]
impl __events::__private::Catalog for AnyEvent {
    const NAME: &'static str = "everything";
    const EVENTS: &'static [&'static __events::__private::EventInfo] = &[
        <Nothing as __events::__private::Event>::INFO,
        <Uid as __events::__private::Event>::INFO,
        <Scalars as __events::__private::Event>::INFO,
        <Nested as __events::__private::Event>::INFO,
        <Keywords as __events::__private::Event>::INFO,
        <Defaults as __events::__private::Event>::INFO,
        <Secrets as __events::__private::Event>::INFO,
        <Parameters as __events::__private::Event>::INFO,
        <Old as __events::__private::Event>::INFO,
    ];
    const NAMES: &'static [&'static str] = &[
        "DEFAULTS",
        "KEYWORDS",
        "NESTED",
        "NOTHING",
        "OLD",
        "PARAMETERS",
        "SCALARS",
        "SECRETS",
        "UID",
    ];
    #[inline]
    fn take(
        name: &str,
        input: &mut __events::__private::Reader<'_>,
    ) -> ::std::result::Result<Self, __events::__private::TakeError> {
        const ROWS: &[__events::__private::Row<AnyEvent>] = &[
            ("DEFAULTS", __events::__private::take_as::<Defaults, AnyEvent>),
            ("KEYWORDS", __events::__private::take_as::<Keywords, AnyEvent>),
            ("NESTED", __events::__private::take_as::<Nested, AnyEvent>),
            ("NOTHING", __events::__private::take_as::<Nothing, AnyEvent>),
            ("OLD", __events::__private::take_as::<Old, AnyEvent>),
            ("PARAMETERS", __events::__private::take_as::<Parameters, AnyEvent>),
            ("SCALARS", __events::__private::take_as::<Scalars, AnyEvent>),
            ("SECRETS", __events::__private::take_as::<Secrets, AnyEvent>),
            ("UID", __events::__private::take_as::<Uid, AnyEvent>),
        ];
        match __events::__private::take_by_name(ROWS, name, input) {
            ::std::option::Option::Some(taken) => taken,
            ::std::option::Option::None => {
                ::std::result::Result::Ok(Self::Unknown {
                    name: name.to_owned(),
                    bytes: input.raw()?.to_owned(),
                })
            }
        }
    }
    #[inline]
    fn put(
        &self,
        out: &mut ::std::vec::Vec<u8>,
    ) -> ::std::result::Result<(), __events::__private::PutError> {
        match self {
            Self::Nothing(event) => __events::__private::Event::put(event, out),
            Self::Uid(event) => __events::__private::Event::put(event, out),
            Self::Scalars(event) => __events::__private::Event::put(event, out),
            Self::Nested(event) => __events::__private::Event::put(event, out),
            Self::Keywords(event) => __events::__private::Event::put(event, out),
            Self::Defaults(event) => __events::__private::Event::put(event, out),
            Self::Secrets(event) => __events::__private::Event::put(event, out),
            Self::Parameters(event) => __events::__private::Event::put(event, out),
            Self::Old(event) => __events::__private::Event::put(event, out),
            Self::Unknown { bytes, .. } => {
                out.extend_from_slice(bytes);
                ::std::result::Result::Ok(())
            }
        }
    }
    #[inline]
    fn name(&self) -> &str {
        AnyEvent::name(self)
    }
}

#[allow(deprecated)]
impl __serde::Serialize for AnyEvent {
    #[inline]
    fn serialize<S: __serde::Serializer>(
        &self,
        serializer: S,
    ) -> ::std::result::Result<S::Ok, S::Error> {
        match self {
            Self::Nothing(event) => event.serialize(serializer),
            Self::Uid(event) => event.serialize(serializer),
            Self::Scalars(event) => event.serialize(serializer),
            Self::Nested(event) => event.serialize(serializer),
            Self::Keywords(event) => event.serialize(serializer),
            Self::Defaults(event) => event.serialize(serializer),
            Self::Secrets(event) => event.serialize(serializer),
            Self::Parameters(event) => event.serialize(serializer),
            Self::Old(event) => event.serialize(serializer),
            Self::Unknown { bytes, .. } => serializer.serialize_bytes(bytes),
        }
    }
}

#[allow(deprecated)]
impl ::std::convert::From<Nothing> for AnyEvent {
    #[inline]
    fn from(event: Nothing) -> Self {
        Self::Nothing(event)
    }
}

#[allow(deprecated)]
impl<T0: ::std::convert::Into<::std::string::String>> ::std::convert::From<Uid<T0>>
for AnyEvent {
    fn from(event: Uid<T0>) -> Self {
        Self::Uid(event.into_owned())
    }
}

#[allow(deprecated)]
impl<
    T0: ::std::convert::Into<::std::string::String>,
    T1: ::std::convert::Into<::std::vec::Vec<u8>>,
> ::std::convert::From<Scalars<T0, T1>> for AnyEvent {
    fn from(event: Scalars<T0, T1>) -> Self {
        Self::Scalars(event.into_owned())
    }
}

#[allow(deprecated)]
impl ::std::convert::From<Nested> for AnyEvent {
    #[inline]
    fn from(event: Nested) -> Self {
        Self::Nested(event)
    }
}

#[allow(deprecated)]
impl<
    T0: ::std::convert::Into<::std::string::String>,
    T1: ::std::convert::Into<::std::vec::Vec<u8>>,
> ::std::convert::From<Keywords<T0, T1>> for AnyEvent {
    fn from(event: Keywords<T0, T1>) -> Self {
        Self::Keywords(event.into_owned())
    }
}

#[allow(deprecated)]
impl<
    T0: ::std::convert::Into<::std::string::String>,
    T1: ::std::convert::Into<::std::vec::Vec<u8>>,
> ::std::convert::From<Defaults<T0, T1>> for AnyEvent {
    fn from(event: Defaults<T0, T1>) -> Self {
        Self::Defaults(event.into_owned())
    }
}

#[allow(deprecated)]
impl<
    T0: ::std::convert::Into<::std::string::String>,
    T1: ::std::convert::Into<::std::string::String>,
> ::std::convert::From<Secrets<T0, T1>> for AnyEvent {
    fn from(event: Secrets<T0, T1>) -> Self {
        Self::Secrets(event.into_owned())
    }
}

#[allow(deprecated)]
impl<
    T0: ::std::convert::Into<::std::string::String>,
    T1: ::std::convert::Into<::std::string::String>,
    T2: ::std::convert::Into<::std::vec::Vec<u8>>,
    T3: ::std::convert::Into<::std::vec::Vec<u8>>,
    T4: ::std::convert::Into<::std::string::String>,
> ::std::convert::From<Parameters<T0, T1, T2, T3, T4>> for AnyEvent {
    fn from(event: Parameters<T0, T1, T2, T3, T4>) -> Self {
        Self::Parameters(event.into_owned())
    }
}

#[allow(deprecated)]
impl<T0: ::std::convert::Into<::std::string::String>> ::std::convert::From<Old<T0>>
for AnyEvent {
    fn from(event: Old<T0>) -> Self {
        Self::Old(event.into_owned())
    }
}
