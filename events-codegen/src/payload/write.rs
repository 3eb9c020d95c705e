//! Values → MessagePack, through rmp-serde.

use serde::ser::{Error as _, SerializeMap, SerializeTuple};
use serde::{Serialize, Serializer};

use crate::model::{Catalog, Event, Field, Scalar, Type, TypeKind, Value};

pub(super) fn event(catalog: &Catalog, event: &Event, values: &[Value]) -> Result<Vec<u8>, rmp_serde::encode::Error> {
    rmp_serde::to_vec(&Fields { catalog, fields: &event.fields, values })
}

struct Fields<'c> {
    catalog: &'c Catalog,
    fields: &'c [Field],
    values: &'c [Value],
}

impl Serialize for Fields<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut array = serializer.serialize_tuple(self.fields.len())?;
        for (field, value) in self.fields.iter().zip(self.values) {
            array.serialize_element(&Typed { catalog: self.catalog, ty: &field.ty, value })?;
        }
        array.end()
    }
}

struct Typed<'c> {
    catalog: &'c Catalog,
    ty: &'c Type,
    value: &'c Value,
}

impl Serialize for Typed<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Typed { catalog, ty, value } = *self;
        match (value, ty) {
            (Value::Bool(value), _) => serializer.serialize_bool(*value),
            (Value::Integer(value), _) => match (i64::try_from(*value), u64::try_from(*value)) {
                (_, Ok(value)) => serializer.serialize_u64(value),
                (Ok(value), _) => serializer.serialize_i64(value),
                _ => Err(S::Error::custom("the integer does not fit")),
            },
            #[expect(clippy::cast_possible_truncation, reason = "the nearest f32 is meant")]
            (Value::Float(value), Type::Scalar(Scalar::F32)) => serializer.serialize_f32(*value as f32),
            (Value::Float(value), _) => serializer.serialize_f64(*value),
            (Value::String(text), _) => serializer.serialize_str(text),
            (Value::Bytes(bytes), _) => serializer.serialize_bytes(bytes),
            (Value::Uuid(uuid), _) => serializer.serialize_bytes(&uuid.to_be_bytes()),
            (Value::Timestamp(seconds, nanoseconds), _) => timestamp(*seconds, *nanoseconds, serializer),
            (Value::None, _) => serializer.serialize_none(),
            (Value::Some(value), Type::Optional(of)) => Typed { catalog, ty: of, value }.serialize(serializer),
            (Value::List(items), Type::List(of)) => {
                serializer.collect_seq(items.iter().map(|value| Typed { catalog, ty: of, value }))
            }
            (Value::Map(entries), Type::Map(of)) => {
                let mut map = serializer.serialize_map(Some(entries.len()))?;
                for (key, value) in entries {
                    map.serialize_entry(key, &Typed { catalog, ty: of, value })?;
                }
                map.end()
            }
            (Value::Variant(place), Type::Named(index)) => match &catalog.types[*index].kind {
                TypeKind::Enum(variants) => serializer.serialize_str(&variants[*place].name),
                TypeKind::Struct(_) => Err(S::Error::custom("a variant of a struct type")),
            },
            (Value::Struct(values), Type::Named(index)) => match &catalog.types[*index].kind {
                TypeKind::Struct(fields) => Fields { catalog, fields, values }.serialize(serializer),
                TypeKind::Enum(_) => Err(S::Error::custom("fields of an enum type")),
            },
            _ => Err(S::Error::custom("a value of another type")),
        }
    }
}

/// The timestamp extension, in the shortest of its three forms.
fn timestamp<S: Serializer>(seconds: i64, nanoseconds: u32, serializer: S) -> Result<S::Ok, S::Error> {
    let mut bytes = Vec::with_capacity(12);
    match (u32::try_from(seconds), u64::try_from(seconds)) {
        (Ok(short), _) if nanoseconds == 0 => bytes.extend(short.to_be_bytes()),
        (_, Ok(medium)) if medium >> 34 == 0 => bytes.extend((u64::from(nanoseconds) << 34 | medium).to_be_bytes()),
        _ => {
            bytes.extend(nanoseconds.to_be_bytes());
            bytes.extend(seconds.to_be_bytes());
        }
    }
    serializer.serialize_newtype_struct(rmp_serde::MSGPACK_EXT_STRUCT_NAME, &(-1_i8, Raw(&bytes)))
}

struct Raw<'b>(&'b [u8]);

impl Serialize for Raw<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(self.0)
    }
}
