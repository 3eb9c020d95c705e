//! serde for fields with bytes in them: as bytes, where serde's own would make lists of numbers.
//!
//! Used as `#[serde(with = "…::bytes")]`, or `bytes::blob` for a type that the user chooses.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{Error, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Bytes, and lists, maps and options of them.
pub trait Bytes: Sized {
    /// As `Serialize::serialize`.
    fn serialize_bytes<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error>;
    /// As `Deserialize::deserialize`.
    fn deserialize_bytes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error>;
}

/// Gives what holds bytes the impls of serde.
pub struct Wrap<T>(pub T);

struct WrapRef<'a, T>(&'a T);

impl<T: Bytes> Serialize for WrapRef<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize_bytes(serializer)
    }
}

impl<'de, T: Bytes> Deserialize<'de> for Wrap<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        T::deserialize_bytes(deserializer).map(Wrap)
    }
}

/// For `#[serde(with)]`.
pub fn serialize<T: Bytes, S: Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
    value.serialize_bytes(serializer)
}

/// For `#[serde(with)]`.
pub fn deserialize<'de, T: Bytes, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
    T::deserialize_bytes(deserializer)
}

/// For `#[serde(with)]` on a field whose type is a parameter.
pub mod blob {
    use serde::{Deserializer, Serializer};

    use super::Bytes;
    use crate::text::{Blob, OwnedBlob};

    /// For `#[serde(with)]`.
    pub fn serialize<T: Blob, S: Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(value.as_blob())
    }

    /// For `#[serde(with)]`.
    pub fn deserialize<'de, T: OwnedBlob, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
        Vec::<u8>::deserialize_bytes(deserializer).map(|bytes| T::from_blob(&bytes))
    }
}

impl Bytes for Vec<u8> {
    fn serialize_bytes<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(self)
    }

    fn deserialize_bytes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_byte_buf(BytesVisitor)
    }
}

struct BytesVisitor;

impl<'de> Visitor<'de> for BytesVisitor {
    type Value = Vec<u8>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("bytes")
    }

    fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Vec<u8>, E> {
        Ok(bytes.to_vec())
    }

    fn visit_byte_buf<E: Error>(self, bytes: Vec<u8>) -> Result<Vec<u8>, E> {
        Ok(bytes)
    }

    // JSON and its like have no bytes; there they are a list of numbers.
    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Vec<u8>, A::Error> {
        let mut bytes = Vec::new();
        while let Some(byte) = sequence.next_element()? {
            bytes.push(byte);
        }
        Ok(bytes)
    }
}

impl<T: Bytes> Bytes for Option<T> {
    fn serialize_bytes<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.as_ref().map(WrapRef).serialize(serializer)
    }

    fn deserialize_bytes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Option::<Wrap<T>>::deserialize(deserializer)?.map(|wrap| wrap.0))
    }
}

impl<T: Bytes> Bytes for Vec<T> {
    fn serialize_bytes<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter().map(WrapRef))
    }

    fn deserialize_bytes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ListVisitor<T>(PhantomData<T>);

        impl<'de, T: Bytes> Visitor<'de> for ListVisitor<T> {
            type Value = Vec<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Vec<T>, A::Error> {
                let mut items = Vec::new();
                while let Some(Wrap(item)) = sequence.next_element()? {
                    items.push(item);
                }
                Ok(items)
            }
        }

        deserializer.deserialize_seq(ListVisitor(PhantomData))
    }
}

impl<T: Bytes> Bytes for BTreeMap<String, T> {
    fn serialize_bytes<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter().map(|(key, value)| (key, WrapRef(value))))
    }

    fn deserialize_bytes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let map = BTreeMap::<String, Wrap<T>>::deserialize(deserializer)?;
        Ok(map.into_iter().map(|(key, wrap)| (key, wrap.0)).collect())
    }
}
