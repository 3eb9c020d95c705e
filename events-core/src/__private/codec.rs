//! How a field is encoded: by its type, or by what its attribute says.

use std::any::{Any, TypeId};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::event::{PutError, PutErrorKind};
use crate::field::Field;
use crate::reader::Reader;
use crate::shared_bytes::SharedBytes;
use crate::take::{TakeError, TakeErrorKind};
use crate::text::{Blob, OwnedBlob, OwnedText, Text};
use crate::writer;

/// One way to encode values of type `T`.
pub trait Codec<T> {
    /// Appends the value.
    fn put(value: &T, out: &mut Vec<u8>) -> Result<(), PutError>;
}

/// The same way back.
pub trait Decode<T>: Codec<T> {
    /// Takes a value.
    fn take(input: &mut Reader<'_>) -> Result<T, TakeError>;

    /// What the field is when a payload lacks it.
    #[inline]
    fn missing() -> Option<T> {
        None
    }
}

/// A field by its type.
pub enum AsField {}

impl<T: Field> Codec<T> for AsField {
    #[inline]
    fn put(value: &T, out: &mut Vec<u8>) -> Result<(), PutError> {
        value.put(out)
    }
}

impl<T: Field> Decode<T> for AsField {
    #[inline]
    fn take(input: &mut Reader<'_>) -> Result<T, TakeError> {
        T::take(input)
    }

    #[inline]
    fn missing() -> Option<T> {
        T::missing()
    }
}

/// A string whose type the user chooses.
pub enum AsText {}

impl<T: Text> Codec<T> for AsText {
    #[inline]
    fn put(value: &T, out: &mut Vec<u8>) -> Result<(), PutError> {
        writer::put_str(out, value.as_text())
    }
}

impl<T: OwnedText> Decode<T> for AsText {
    #[inline]
    fn take(input: &mut Reader<'_>) -> Result<T, TakeError> {
        input.str().map(T::from_text)
    }
}

/// Bytes whose type the user chooses.
pub enum AsBlob {}

impl<T: Blob> Codec<T> for AsBlob {
    #[inline]
    fn put(value: &T, out: &mut Vec<u8>) -> Result<(), PutError> {
        writer::put_bin(out, value.as_blob())
    }
}

impl<T: OwnedBlob> Decode<T> for AsBlob {
    #[inline]
    fn take(input: &mut Reader<'_>) -> Result<T, TakeError> {
        // The one type that makes more of what it stands in than a copy.
        if TypeId::of::<T>() == TypeId::of::<SharedBytes>() {
            let mut bytes = Some(SharedBytes::take(input)?);
            if let Some(same) = (&mut bytes as &mut dyn Any).downcast_mut::<Option<T>>().and_then(Option::take) {
                return Ok(same);
            }
        }
        input.bin().map(T::from_blob)
    }
}

/// A type of another crate, through rmp-serde.
pub enum AsSerde {}

impl<T: Serialize> Codec<T> for AsSerde {
    fn put(value: &T, out: &mut Vec<u8>) -> Result<(), PutError> {
        rmp_serde::encode::write(out, value).map_err(|error| PutErrorKind::Serde { why: error.to_string() }.into())
    }
}

impl<T: Serialize + DeserializeOwned> Decode<T> for AsSerde {
    fn take(input: &mut Reader<'_>) -> Result<T, TakeError> {
        let start = input.position();
        // The value is measured first, so rmp-serde, which recurses, gets nothing deeper than the
        // limit.
        let value = input.raw()?;
        rmp_serde::from_slice(value)
            .map_err(|error| TakeError::new(TakeErrorKind::Serde { why: error.to_string() }, start))
    }
}

/// Puts the fields of one array, in a chain without `?`: each `?` in generated code takes the compiler
/// longer than the field itself.
pub struct Puts<'o> {
    out: &'o mut Vec<u8>,
    done: Result<(), PutError>,
}

impl<'o> Puts<'o> {
    /// Begins an array of `count` fields.
    #[inline]
    pub fn new(out: &'o mut Vec<u8>, count: usize) -> Self {
        let done = writer::put_array(out, count);
        Puts { out, done }
    }

    /// Puts the next field, unless one before it failed.
    #[inline]
    #[must_use]
    pub fn field<C: Codec<T>, T>(mut self, value: &T) -> Self {
        if self.done.is_ok() {
            self.done = C::put(value, self.out);
        }
        self
    }

    /// Whether all went well.
    #[inline]
    pub fn finish(self) -> Result<(), PutError> {
        self.done
    }
}

/// Takes the fields of one array, tolerant of their number. What goes wrong first is kept until the end, so
/// that generated code needs no `?`, for the reason [`Puts`] has.
pub struct Fields<'r, 'a> {
    input: &'r mut Reader<'a>,
    left: usize,
    failed: Option<TakeError>,
}

impl<'r, 'a> Fields<'r, 'a> {
    /// Begins the payload of an event.
    #[inline]
    pub fn of_event(input: &'r mut Reader<'a>) -> Self {
        input.begin();
        Self::of_struct(input)
    }

    /// Begins a struct inside a payload.
    #[inline]
    pub fn of_struct(input: &'r mut Reader<'a>) -> Self {
        match input.enter_array() {
            Ok(left) => Fields { input, left, failed: None },
            Err(error) => Fields { input, left: 0, failed: Some(error) },
        }
    }

    /// The next field; what is missing is an error unless it is optional. `None` says that the payload
    /// cannot be taken.
    #[inline]
    pub fn take<C: Decode<T>, T>(&mut self, name: &'static str) -> Option<T> {
        if self.left == 0 {
            return C::missing().or_else(|| self.missing(name));
        }
        self.left -= 1;
        match C::take(self.input) {
            Ok(value) => Some(value),
            Err(error) => self.fail(error, name),
        }
    }

    /// The next field, or its default.
    #[inline]
    pub fn take_or<C: Decode<T>, T>(&mut self, name: &'static str, default: impl FnOnce() -> T) -> Option<T> {
        if self.left == 0 {
            return Some(default());
        }
        self.left -= 1;
        match C::take(self.input) {
            Ok(value) => Some(value),
            Err(error) => self.fail(error, name),
        }
    }

    /// Steps over what a newer publisher has more.
    #[inline]
    pub fn finish<T>(self, value: T) -> Result<T, TakeError> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        for _ in 0..self.left {
            self.input.skip()?;
        }
        self.input.leave();
        Ok(value)
    }

    /// Why a field was `None`.
    #[cold]
    pub fn failure<T>(self) -> Result<T, TakeError> {
        Err(self.failed.unwrap_or_else(|| TakeError::new(TakeErrorKind::Missing, self.input.position())))
    }

    /// The same of a struct with fields that are secret.
    #[cold]
    pub fn failure_hiding<T>(self, secrets: &[&str]) -> Result<T, TakeError> {
        self.failure().map_err(|error| error.hiding(secrets))
    }

    #[cold]
    fn missing<T>(&mut self, name: &'static str) -> Option<T> {
        self.fail(TakeError::new(TakeErrorKind::Missing, self.input.position()), name)
    }

    /// Nothing more is taken once something failed.
    #[cold]
    fn fail<T>(&mut self, error: TakeError, name: &'static str) -> Option<T> {
        self.left = 0;
        self.failed.get_or_insert_with(|| error.within(name));
        None
    }
}
