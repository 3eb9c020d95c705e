//! MessagePack → JSON, through rmp-serde, by the types that the catalog says.

use std::fmt;

use serde::de::{DeserializeSeed, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value as Json};

use super::Secrets;
use crate::default::integer_range;
use crate::model::{Catalog, Event, Field, Scalar, Type, TypeKind, Value};
use crate::time;

/// Lists and maps inside one another, as in generated code. rmp-serde's own limit of 1,024 is more
/// than a small stack holds.
const MAX_DEPTH: usize = 64;
/// Shown in the place of a secret.
const SECRET: &str = "<secret>";

pub(super) fn event(
    catalog: &Catalog,
    event: &Event,
    payload: &[u8],
    secrets: Secrets,
) -> Result<Json, rmp_serde::decode::Error> {
    let mut deserializer = rmp_serde::Deserializer::from_read_ref(payload);
    deserializer.set_max_depth(MAX_DEPTH + 1);
    Fields { catalog, fields: &event.fields, secrets }.deserialize(&mut deserializer)
}

#[derive(Clone, Copy)]
struct Fields<'c> {
    catalog: &'c Catalog,
    fields: &'c [Field],
    secrets: Secrets,
}

impl<'de> DeserializeSeed<'de> for Fields<'_> {
    type Value = Json;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Json, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Fields<'_> {
    type Value = Json;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of fields")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Json, A::Error> {
        let Fields { catalog, fields, secrets } = self;
        let mut object = Map::new();
        for field in fields {
            let typed = Typed { catalog, ty: &field.ty, secrets };
            let hidden = field.secret && secrets == Secrets::Hidden;
            let taken = sequence.next_element_seed(typed).map_err(|why| match hidden {
                // What is wrong with it would tell what it is.
                true => A::Error::custom(format_args!("field `{}` is not {}", field.name, typed.what())),
                false => A::Error::custom(format_args!("field `{}`: {why}", field.name)),
            })?;
            let value = match (taken, &field.default, &field.ty) {
                (Some(value), ..) => value,
                (None, Some(default), ty) => typed.default(default, ty),
                (None, None, Type::Optional(_)) => Json::Null,
                (None, None, _) => {
                    return Err(A::Error::custom(format_args!(
                        "field `{}`: missing, and it has no default",
                        field.name
                    )));
                }
            };
            object.insert(field.name.clone(), if hidden { Json::from(SECRET) } else { value });
        }
        while sequence.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Json::Object(object))
    }
}

#[derive(Clone, Copy)]
struct Typed<'c> {
    catalog: &'c Catalog,
    ty: &'c Type,
    secrets: Secrets,
}

impl<'c> Typed<'c> {
    fn of(self, ty: &'c Type) -> Typed<'c> {
        Typed { ty, ..self }
    }

    /// A default as JSON.
    fn default(self, value: &Value, ty: &Type) -> Json {
        match (value, ty) {
            (Value::Bool(value), _) => Json::from(*value),
            (Value::Integer(value), _) => integer(*value),
            (Value::Float(value), _) => float(*value),
            (Value::String(text), _) => Json::from(text.as_str()),
            (Value::Bytes(bytes), _) => Json::from(bytes.as_slice()),
            (Value::Timestamp(seconds, nanoseconds), _) => Json::from(time::format(*seconds, *nanoseconds)),
            (Value::Uuid(value), _) => Json::from(uuid(*value)),
            (Value::Some(value), Type::Optional(of)) => self.default(value, of),
            (Value::List(items), Type::List(of)) => items.iter().map(|item| self.default(item, of)).collect(),
            (Value::Map(entries), Type::Map(of)) => {
                entries.iter().map(|(key, item)| (key.clone(), self.default(item, of))).collect()
            }
            (Value::Variant(place), Type::Named(index)) => match &self.catalog.types[*index].kind {
                TypeKind::Enum(variants) => Json::from(variants[*place].name.as_str()),
                TypeKind::Struct(_) => Json::Null,
            },
            (Value::Struct(values), Type::Named(index)) => match &self.catalog.types[*index].kind {
                TypeKind::Struct(fields) => fields
                    .iter()
                    .zip(values)
                    .map(|(field, value)| {
                        let hidden = field.secret && self.secrets == Secrets::Hidden;
                        let value = if hidden { Json::from(SECRET) } else { self.default(value, &field.ty) };
                        (field.name.clone(), value)
                    })
                    .collect(),
                TypeKind::Enum(_) => Json::Null,
            },
            _ => Json::Null,
        }
    }

    fn number<E: Error>(self, value: i128) -> Result<Json, E> {
        let Type::Scalar(scalar) = self.ty else { return Err(E::custom(self.unexpected("an integer"))) };
        match integer_range(*scalar) {
            Some((low, high)) if (low..=high).contains(&value) => Ok(integer(value)),
            Some(_) => Err(E::custom(format_args!("{value} does not fit into {}", scalar.name()))),
            None => Err(E::custom(self.unexpected("an integer"))),
        }
    }

    fn unexpected(self, found: &str) -> String {
        format!("expected {}, found {found}", self.what())
    }

    fn what(self) -> &'static str {
        match self.ty {
            Type::Scalar(scalar) => scalar.name(),
            Type::Optional(of) => self.of(of).what(),
            Type::List(_) => "a list",
            Type::Map(_) => "a map",
            Type::Named(index) => match self.catalog.types[*index].kind {
                TypeKind::Enum(_) => "the name of a variant",
                TypeKind::Struct(_) => "an array of fields",
            },
        }
    }

    fn is(self, wanted: Scalar) -> bool {
        *self.ty == Type::Scalar(wanted)
    }
}

impl<'de> DeserializeSeed<'de> for Typed<'_> {
    type Value = Json;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Json, D::Error> {
        match self.ty {
            Type::Optional(of) => deserializer.deserialize_option(Maybe(self.of(of))),
            Type::Scalar(Scalar::Timestamp) => {
                deserializer.deserialize_newtype_struct(rmp_serde::MSGPACK_EXT_STRUCT_NAME, self)
            }
            _ => deserializer.deserialize_any(self),
        }
    }
}

struct Maybe<'c>(Typed<'c>);

impl<'de> Visitor<'de> for Maybe<'_> {
    type Value = Json;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.what())
    }

    fn visit_none<E: Error>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }

    fn visit_unit<E: Error>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Json, D::Error> {
        self.0.deserialize(deserializer)
    }
}

impl<'de> Visitor<'de> for Typed<'_> {
    type Value = Json;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.what())
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Json, E> {
        if self.is(Scalar::Bool) { Ok(Json::from(value)) } else { Err(E::custom(self.unexpected("a bool"))) }
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Json, E> {
        self.number(value.into())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Json, E> {
        self.number(value.into())
    }

    fn visit_f32<E: Error>(self, value: f32) -> Result<Json, E> {
        self.visit_f64(value.into())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Json, E> {
        #[expect(clippy::cast_possible_truncation, reason = "that is what is looked at")]
        let exact = f64::from(value as f32).to_bits() == value.to_bits();
        if self.is(Scalar::F64) || self.is(Scalar::F32) && exact {
            Ok(float(value))
        } else {
            Err(E::custom(self.unexpected("a float")))
        }
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Json, E> {
        let is_enum = match self.ty {
            Type::Named(index) => matches!(self.catalog.types[*index].kind, TypeKind::Enum(_)),
            _ => false,
        };
        if is_enum || self.is(Scalar::String) {
            Ok(Json::from(text))
        } else {
            Err(E::custom(self.unexpected("a string")))
        }
    }

    fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Json, E> {
        match (self.ty, <[u8; 16]>::try_from(bytes)) {
            (Type::Scalar(Scalar::Bytes), _) => Ok(Json::from(bytes)),
            (Type::Scalar(Scalar::Uuid), Ok(value)) => Ok(Json::from(uuid(u128::from_be_bytes(value)))),
            _ => Err(E::custom(self.unexpected("bytes"))),
        }
    }

    fn visit_unit<E: Error>(self) -> Result<Json, E> {
        Err(E::custom(self.unexpected("nil")))
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<Json, D::Error> {
        if !self.is(Scalar::Timestamp) {
            return Err(D::Error::custom(self.unexpected("an extension value")));
        }
        let (kind, value) = <(i8, Raw)>::deserialize(deserializer)?;
        timestamp(kind, &value.0)
            .map(|(seconds, nanoseconds)| Json::from(time::format(seconds, nanoseconds)))
            .ok_or_else(|| D::Error::custom(self.unexpected("an extension value")))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Json, A::Error> {
        let of = match self.ty {
            Type::List(of) => self.of(of),
            Type::Named(index) => match &self.catalog.types[*index].kind {
                TypeKind::Struct(fields) => {
                    return Fields { catalog: self.catalog, fields, secrets: self.secrets }.visit_seq(sequence);
                }
                TypeKind::Enum(_) => return Err(A::Error::custom(self.unexpected("a list"))),
            },
            _ => return Err(A::Error::custom(self.unexpected("a list"))),
        };
        let mut items = Vec::new();
        while let Some(item) = sequence.next_element_seed(of)? {
            items.push(item);
        }
        Ok(Json::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Json, A::Error> {
        let Type::Map(of) = self.ty else { return Err(A::Error::custom(self.unexpected("a map"))) };
        let mut object = Map::new();
        while let Some(key) = map.next_key::<String>()? {
            object.insert(key, map.next_value_seed(self.of(of))?);
        }
        Ok(Json::Object(object))
    }
}

/// The bytes of an extension value.
struct Raw(Vec<u8>);

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Raw, D::Error> {
        struct Bytes;

        impl Visitor<'_> for Bytes {
            type Value = Raw;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("bytes")
            }

            fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Raw, E> {
                Ok(Raw(bytes.to_vec()))
            }
        }

        deserializer.deserialize_bytes(Bytes)
    }
}

fn timestamp(kind: i8, value: &[u8]) -> Option<(i64, u32)> {
    let (seconds, nanoseconds) = match (kind, value.len()) {
        (-1, 4) => (u32::from_be_bytes(value.try_into().ok()?).into(), 0),
        (-1, 8) => {
            let packed = u64::from_be_bytes(value.try_into().ok()?);
            (i64::try_from(packed & ((1 << 34) - 1)).ok()?, u32::try_from(packed >> 34).ok()?)
        }
        (-1, 12) => {
            let (nanoseconds, seconds) = value.split_first_chunk::<4>()?;
            (i64::from_be_bytes(seconds.try_into().ok()?), u32::from_be_bytes(*nanoseconds))
        }
        _ => return None,
    };
    (nanoseconds < 1_000_000_000).then_some((seconds, nanoseconds))
}

fn integer(value: i128) -> Json {
    match (i64::try_from(value), u64::try_from(value)) {
        (_, Ok(value)) => Json::from(value),
        (Ok(value), _) => Json::from(value),
        _ => Json::Null,
    }
}

fn float(value: f64) -> Json {
    match serde_json::Number::from_f64(value) {
        Some(number) => Json::Number(number),
        None if value.is_nan() => Json::from("NaN"),
        None => Json::from(if value > 0.0 { "inf" } else { "-inf" }),
    }
}

fn uuid(value: u128) -> String {
    let digits = format!("{value:032x}");
    let parts = [&digits[..8], &digits[8..12], &digits[12..16], &digits[16..20], &digits[20..]];
    parts.join("-")
}
