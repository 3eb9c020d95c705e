//! The types a field may have, and how each goes onto the wire.
//!
//! | catalog | Rust | MessagePack |
//! |---|---|---|
//! | `bool`, `i8` … `u64` | the same | bool, the shortest integer |
//! | `f32`, `f64` | the same | float 32, float 64 |
//! | `string` | `String`, or any [`Text`](crate::Text) at the top level of an event | str |
//! | `bytes` | `Vec<u8>`, or any [`Blob`](crate::Blob) at the top level of an event | bin |
//! | `timestamp` | [`Timestamp`] | the timestamp extension (−1) |
//! | `uuid` | [`Uuid`] | bin of 16 bytes |
//! | `T?` | `Option<T>` | nil or the value |
//! | `[T]` | `Vec<T>` | array |
//! | `{T}` | `BTreeMap<String, T>` | map |
//! | a struct type | a struct | array of its fields |
//! | an enum type | an enum | str, the name of the variant |

use std::collections::BTreeMap;

use uuid::Uuid;

use crate::event::PutError;
use crate::reader::Reader;
use crate::shape::Shape;
use crate::take::{TakeError, TakeErrorKind};
use crate::timestamp::Timestamp;
use crate::writer;

/// What a field of an event may be.
///
/// `#[derive(Field)]` writes it for structs and enums of your own; a type of another crate is used
/// with `#[event(serde)]` on the field.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be a field of an event",
    label = "not a type of a field",
    note = "fields may be bool, integers, floats, `String`, `Vec<u8>`, `Timestamp`, `Uuid`, `Option`, `Vec` and \
            `BTreeMap<String, _>` of these, and types with `#[derive(Field)]`",
    note = "a type of another crate goes through serde: mark the field `#[event(serde)]`"
)]
pub trait Field: Sized {
    /// The type, as the catalog knows it.
    const SHAPE: &'static Shape;

    /// Appends the value.
    ///
    /// # Errors
    /// [`PutError`] if it cannot be written; `out` may then hold a part of it.
    fn put(&self, out: &mut Vec<u8>) -> Result<(), PutError>;

    /// Takes a value.
    ///
    /// # Errors
    /// [`TakeError`] if something else comes next.
    fn take(input: &mut Reader<'_>) -> Result<Self, TakeError>;

    /// What the field is when a payload lacks it and it has no default.
    #[inline]
    #[must_use]
    fn missing() -> Option<Self> {
        None
    }

    /// What `Vec<Self>` is: `[T]`, but for `u8`, of which it is `bytes`.
    #[doc(hidden)]
    const LIST: &'static Shape = &Shape::List(Self::SHAPE);

    #[doc(hidden)]
    fn put_list(items: &[Self], out: &mut Vec<u8>) -> Result<(), PutError> {
        writer::put_array(out, items.len())?;
        items.iter().try_for_each(|item| item.put(out))
    }

    #[doc(hidden)]
    fn take_list(input: &mut Reader<'_>) -> Result<Vec<Self>, TakeError> {
        let length = input.enter_array()?;
        let mut items = Vec::with_capacity(input.allow::<Self>(length)?);
        for index in 0..length {
            items.push(Self::take(input).map_err(|error| error.at(index))?);
        }
        input.leave();
        Ok(items)
    }
}

macro_rules! integer {
    ($($type:ident $shape:ident $put:ident $wide:ident $a:literal;)*) => {$(
        impl Field for $type {
            const SHAPE: &'static Shape = &Shape::$shape;

            #[inline]
            fn put(&self, out: &mut Vec<u8>) -> Result<(), PutError> {
                writer::$put(out, $wide::from(*self));
                Ok(())
            }

            #[inline]
            fn take(input: &mut Reader<'_>) -> Result<Self, TakeError> {
                input.fit($a)
            }
        }
    )*};
}

integer! {
    i8 I8 put_i64 i64 "an i8";
    i16 I16 put_i64 i64 "an i16";
    i32 I32 put_i64 i64 "an i32";
    i64 I64 put_i64 i64 "an i64";
    u16 U16 put_u64 u64 "a u16";
    u32 U32 put_u64 u64 "a u32";
}

impl Field for u64 {
    const SHAPE: &'static Shape = &Shape::U64;

    #[inline]
    fn put(&self, out: &mut Vec<u8>) -> Result<(), PutError> {
        writer::put_u64(out, *self);
        Ok(())
    }

    #[inline]
    fn take(input: &mut Reader<'_>) -> Result<Self, TakeError> {
        input.u64()
    }
}

impl Field for u8 {
    const SHAPE: &'static Shape = &Shape::U8;
    const LIST: &'static Shape = &Shape::Bytes;

    #[inline]
    fn put(&self, out: &mut Vec<u8>) -> Result<(), PutError> {
        writer::put_u64(out, u64::from(*self));
        Ok(())
    }

    #[inline]
    fn take(input: &mut Reader<'_>) -> Result<Self, TakeError> {
        input.fit("a u8")
    }

    fn put_list(items: &[Self], out: &mut Vec<u8>) -> Result<(), PutError> {
        writer::put_bin(out, items)
    }

    fn take_list(input: &mut Reader<'_>) -> Result<Vec<Self>, TakeError> {
        input.bin().map(<[u8]>::to_vec)
    }
}

macro_rules! scalar {
    ($($type:ident $shape:ident $put:ident $take:ident;)*) => {$(
        impl Field for $type {
            const SHAPE: &'static Shape = &Shape::$shape;

            #[inline]
            fn put(&self, out: &mut Vec<u8>) -> Result<(), PutError> {
                writer::$put(out, *self);
                Ok(())
            }

            #[inline]
            fn take(input: &mut Reader<'_>) -> Result<Self, TakeError> {
                input.$take()
            }
        }
    )*};
}

scalar! {
    bool Bool put_bool bool;
    f32 F32 put_f32 f32;
    f64 F64 put_f64 f64;
}

impl Field for String {
    const SHAPE: &'static Shape = &Shape::String;

    #[inline]
    fn put(&self, out: &mut Vec<u8>) -> Result<(), PutError> {
        writer::put_str(out, self)
    }

    #[inline]
    fn take(input: &mut Reader<'_>) -> Result<Self, TakeError> {
        input.str().map(str::to_owned)
    }
}

impl Field for Timestamp {
    const SHAPE: &'static Shape = &Shape::Timestamp;

    fn put(&self, out: &mut Vec<u8>) -> Result<(), PutError> {
        self.put_ext(out);
        Ok(())
    }

    fn take(input: &mut Reader<'_>) -> Result<Self, TakeError> {
        const EXPECTED: &str = "a timestamp";
        let start = input.position();
        let (kind, value) = input.ext(EXPECTED)?;
        Timestamp::from_ext(kind, value).ok_or_else(|| {
            TakeError::new(TakeErrorKind::Type { expected: EXPECTED, found: "an extension value" }, start)
        })
    }
}

impl Field for Uuid {
    const SHAPE: &'static Shape = &Shape::Uuid;

    fn put(&self, out: &mut Vec<u8>) -> Result<(), PutError> {
        writer::put_bin(out, self.as_bytes())
    }

    fn take(input: &mut Reader<'_>) -> Result<Self, TakeError> {
        let start = input.position();
        Uuid::from_slice(input.bin()?).map_err(|_| {
            TakeError::new(
                TakeErrorKind::Type { expected: "a uuid (16 bytes)", found: "bytes of another length" },
                start,
            )
        })
    }
}

impl<T: Field> Field for Option<T> {
    const SHAPE: &'static Shape = &Shape::optional(T::SHAPE);

    #[inline]
    fn put(&self, out: &mut Vec<u8>) -> Result<(), PutError> {
        if let Some(value) = self {
            value.put(out)
        } else {
            writer::put_nil(out);
            Ok(())
        }
    }

    #[inline]
    fn take(input: &mut Reader<'_>) -> Result<Self, TakeError> {
        if input.nil() { Ok(None) } else { T::take(input).map(Some) }
    }

    #[inline]
    fn missing() -> Option<Self> {
        Some(None)
    }
}

impl<T: Field> Field for Vec<T> {
    const SHAPE: &'static Shape = T::LIST;

    fn put(&self, out: &mut Vec<u8>) -> Result<(), PutError> {
        T::put_list(self, out)
    }

    fn take(input: &mut Reader<'_>) -> Result<Self, TakeError> {
        T::take_list(input)
    }
}

impl<T: Field> Field for BTreeMap<String, T> {
    const SHAPE: &'static Shape = &Shape::Map(T::SHAPE);

    fn put(&self, out: &mut Vec<u8>) -> Result<(), PutError> {
        writer::put_map(out, self.len())?;
        for (key, value) in self {
            writer::put_str(out, key)?;
            value.put(out)?;
        }
        Ok(())
    }

    fn take(input: &mut Reader<'_>) -> Result<Self, TakeError> {
        let length = input.enter_map()?;
        // The nodes of the map are at least half full.
        input.allow::<[(String, T); 2]>(length)?;
        let mut map = BTreeMap::new();
        for _ in 0..length {
            let key = input.str()?;
            let value = T::take(input).map_err(|error| error.within(&format!("[{key:?}]")))?;
            map.insert(key.to_owned(), value);
        }
        input.leave();
        Ok(map)
    }
}
