//! The events of the suite, written by hand so that the suite needs no macros.

use events_core::event::{Catalog, Event, EventInfo, FieldInfo, PutError, Receive};
use events_core::{Reader, Shape, TakeError, writer};

macro_rules! numbers {
    ($($(#[$doc:meta])* $name:ident = $wire:literal $(, $retained:ident)?;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub struct $name(pub u64);

        impl Event for $name {
            type Kind = $name;
            const INFO: &'static EventInfo =
                &EventInfo::new($wire, "A number.", &[FieldInfo::new("number", "", &Shape::U64)])$(.$retained())?;

            fn put(&self, out: &mut Vec<u8>) -> Result<(), PutError> {
                writer::put_array(out, 1)?;
                writer::put_u64(out, self.0);
                Ok(())
            }
        }

        impl Receive for $name {
            fn take(input: &mut Reader<'_>) -> Result<$name, TakeError> {
                Ok($name(first_number(input)?))
            }
        }
    )*};
}

numbers! {
    /// The shortest of three names that begin the same.
    Num = "SUITE";
    /// Begins with the name of [`Num`].
    NumX = "SUITE_X";
    /// Begins with both.
    NumXy = "SUITE_XY";
    /// The answer to a [`Num`].
    Pong = "PONG";
    /// Kept for late joiners.
    Kept = "KEPT", retained;
    /// One side of a shape that has two.
    Shaped = "SHAPED";
}

/// [`Num`], but 13 cannot be read and 14 cannot be written: both panic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Brittle(pub u64);

impl Event for Brittle {
    type Kind = Brittle;
    const INFO: &'static EventInfo = Num::INFO;

    fn put(&self, out: &mut Vec<u8>) -> Result<(), PutError> {
        writer::put_array(out, 1)?;
        assert!(self.0 != 14, "on purpose");
        writer::put_u64(out, self.0);
        Ok(())
    }
}

impl Receive for Brittle {
    fn take(input: &mut Reader<'_>) -> Result<Brittle, TakeError> {
        let number = first_number(input)?;
        assert!(number != 13, "on purpose");
        Ok(Brittle(number))
    }
}

fn first_number(input: &mut Reader<'_>) -> Result<u64, TakeError> {
    let count = input.array()?;
    let number = input.u64()?;
    for _ in 1..count {
        input.skip()?;
    }
    Ok(number)
}

/// [`Shaped`] with one optional field more: both can read each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShapedNewer {
    /// As before.
    pub number: u64,
    /// New.
    pub note: Option<String>,
}

impl Event for ShapedNewer {
    type Kind = ShapedNewer;
    const INFO: &'static EventInfo = &EventInfo::new(
        "SHAPED",
        "A number and a note.",
        &[FieldInfo::new("number", "", &Shape::U64), FieldInfo::new("note", "", &Shape::Optional(&Shape::String))],
    );

    fn put(&self, out: &mut Vec<u8>) -> Result<(), PutError> {
        writer::put_array(out, 2)?;
        writer::put_u64(out, self.number);
        match &self.note {
            Some(note) => writer::put_str(out, note)?,
            None => writer::put_nil(out),
        }
        Ok(())
    }
}

impl Receive for ShapedNewer {
    fn take(input: &mut Reader<'_>) -> Result<ShapedNewer, TakeError> {
        let count = input.array()?;
        let number = input.u64()?;
        let note = if count < 2 || input.nil() { None } else { Some(input.str()?.to_owned()) };
        Ok(ShapedNewer { number, note })
    }
}

/// [`Shaped`] with another type: neither can read the other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShapedOther(pub String);

impl Event for ShapedOther {
    type Kind = ShapedOther;
    const INFO: &'static EventInfo =
        &EventInfo::new("SHAPED", "A text.", &[FieldInfo::new("number", "", &Shape::String)]);

    fn put(&self, out: &mut Vec<u8>) -> Result<(), PutError> {
        writer::put_array(out, 1)?;
        writer::put_str(out, &self.0)
    }
}

impl Receive for ShapedOther {
    fn take(input: &mut Reader<'_>) -> Result<ShapedOther, TakeError> {
        input.array()?;
        Ok(ShapedOther(input.str()?.to_owned()))
    }
}

/// Some bytes, to fill queues with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Weight {
    /// Which one.
    pub number: u64,
    /// Of no meaning.
    pub bytes: Vec<u8>,
}

impl Weight {
    /// One of this many bytes.
    #[must_use]
    pub fn new(number: u64, weight: usize) -> Weight {
        Weight { number, bytes: vec![7; weight] }
    }
}

impl Event for Weight {
    type Kind = Weight;
    const INFO: &'static EventInfo = &EventInfo::new(
        "WEIGHT",
        "A number and bytes.",
        &[FieldInfo::new("number", "", &Shape::U64), FieldInfo::new("bytes", "", &Shape::Bytes)],
    );

    fn put(&self, out: &mut Vec<u8>) -> Result<(), PutError> {
        writer::put_array(out, 2)?;
        writer::put_u64(out, self.number);
        writer::put_bin(out, &self.bytes)
    }
}

impl Receive for Weight {
    fn take(input: &mut Reader<'_>) -> Result<Weight, TakeError> {
        input.array()?;
        Ok(Weight { number: input.u64()?, bytes: input.bin()?.to_vec() })
    }
}

/// A catalog of two of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AnySuite {
    /// [`Num`].
    Num(Num),
    /// [`NumX`].
    NumX(NumX),
    /// Another one.
    Unknown(String),
}

impl Catalog for AnySuite {
    const NAME: &'static str = "suite";
    const EVENTS: &'static [&'static EventInfo] = &[Num::INFO, NumX::INFO];
    const NAMES: &'static [&'static str] = &["SUITE", "SUITE_X"];

    fn take(name: &str, input: &mut Reader<'_>) -> Result<AnySuite, TakeError> {
        match name {
            "SUITE" => Num::take(input).map(AnySuite::Num),
            "SUITE_X" => NumX::take(input).map(AnySuite::NumX),
            other => {
                input.skip()?;
                Ok(AnySuite::Unknown(other.to_owned()))
            }
        }
    }

    fn put(&self, out: &mut Vec<u8>) -> Result<(), PutError> {
        match self {
            AnySuite::Num(event) => event.put(out),
            AnySuite::NumX(event) => event.put(out),
            AnySuite::Unknown(_) => writer::put_array(out, 0),
        }
    }

    fn name(&self) -> &str {
        match self {
            AnySuite::Num(_) => "SUITE",
            AnySuite::NumX(_) => "SUITE_X",
            AnySuite::Unknown(name) => name,
        }
    }
}
