// Made from tests/without_serde.toml by events-codegen. Do not edit: change the catalog.

#[allow(unused_imports)]
use ::events as __events;

/// The type `State`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, __events::Field)]
#[event(generated, crate = __events)]
pub enum State {
    /// `on`
    #[event(name = "on")]
    On,
    /// `off`
    #[event(name = "off")]
    Off,
    /// A variant that is not in this catalog: the sender has a newer one.
    #[event(unknown)]
    Unknown(::std::string::String),
}

/// Something was switched.
#[derive(Clone, __events::Event)]
#[event(generated, crate = __events, name = "plain.SWITCHED")]
pub struct PlainSwitched<What = ::std::string::String, Raw = ::std::vec::Vec<u8>> {
    /// The field `what`.
    #[event(text)]
    pub what: What,
    /// The field `state`.
    #[event(default = State::Off)]
    pub state: State,
    /// The field `raw`.
    #[event(blob)]
    pub raw: Raw,
}

/// Any event of the catalog `without_serde`: Events that only ever go over the wire.
///
/// A `match` on it without `_` is complete: it does not compile any more once the catalog has an event that it misses. Whoever wants to be told of new events in this way leaves `_` out and names [`AnyEvent::Unknown`], which only ever holds events of a newer catalog; whoever does not, writes `_ => {}`.
#[allow(deprecated, clippy::large_enum_variant)]
#[derive(Clone, PartialEq)]
pub enum AnyEvent {
    /// Something was switched.
    PlainSwitched(PlainSwitched),
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
            Self::PlainSwitched(event) => ("PlainSwitched", event),
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
            Self::PlainSwitched(_) => "plain.SWITCHED",
            Self::Unknown { name, .. } => name,
        }
    }
}

#[allow(deprecated)]
impl __events::__private::Catalog for AnyEvent {
    const NAME: &'static str = "without_serde";
    const EVENTS: &'static [&'static __events::__private::EventInfo] = &[
        <PlainSwitched as __events::__private::Event>::INFO,
    ];
    const NAMES: &'static [&'static str] = &["plain.SWITCHED"];
    #[inline]
    fn take(
        name: &str,
        input: &mut __events::__private::Reader<'_>,
    ) -> ::std::result::Result<Self, __events::__private::TakeError> {
        const ROWS: &[__events::__private::Row<AnyEvent>] = &[
            ("plain.SWITCHED", __events::__private::take_as::<PlainSwitched, AnyEvent>),
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
            Self::PlainSwitched(event) => __events::__private::Event::put(event, out),
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
impl<
    T0: ::std::convert::Into<::std::string::String>,
    T1: ::std::convert::Into<::std::vec::Vec<u8>>,
> ::std::convert::From<PlainSwitched<T0, T1>> for AnyEvent {
    fn from(event: PlainSwitched<T0, T1>) -> Self {
        Self::PlainSwitched(event.into_owned())
    }
}
