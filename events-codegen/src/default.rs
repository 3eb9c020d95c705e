//! The default of a field: a TOML value that must be of the field's type.

use toml::Spanned;
use toml::de::DeValue;

use crate::model::{Field, Scalar, Type, TypeDef, TypeKind, Value};
use crate::names::{did_you_mean, list};
use crate::read::kind;
use crate::source::Report;
use crate::time;

/// Checks `value` against `ty`; `None` after reporting what is wrong.
pub(crate) fn check(
    value: &Spanned<DeValue<'_>>,
    ty: &Type,
    types: &[TypeDef],
    report: &mut Report<'_>,
) -> Option<Value> {
    Checker { types, report }.value(value, ty)
}

struct Checker<'c, 's> {
    types: &'c [TypeDef],
    report: &'c mut Report<'s>,
}

impl Checker<'_, '_> {
    fn value(&mut self, value: &Spanned<DeValue<'_>>, ty: &Type) -> Option<Value> {
        match (ty, value.get_ref()) {
            (Type::Optional(of), _) => Some(Value::Some(Box::new(self.value(value, of)?))),
            (Type::List(of), DeValue::Array(items)) => {
                let values: Vec<_> = items.iter().map(|item| self.value(item, of)).collect();
                values.into_iter().collect::<Option<_>>().map(Value::List)
            }
            (Type::Map(of), DeValue::Table(table)) => {
                let entries: Vec<_> =
                    table.iter().map(|(key, item)| Some((key.get_ref().to_string(), self.value(item, of)?))).collect();
                entries.into_iter().collect::<Option<_>>().map(Value::Map)
            }
            (Type::Scalar(scalar), found) => {
                let checked = scalar_value(*scalar, found);
                if checked.is_none() {
                    self.wrong(value, &format!("`{}` takes {}", scalar.name(), takes(*scalar)));
                }
                checked
            }
            (Type::Named(index), found) => match (&self.types[*index].kind, found) {
                (TypeKind::Enum(variants), DeValue::String(name)) => {
                    let place = variants.iter().position(|variant| variant.name == **name);
                    if place.is_none() {
                        let names = || variants.iter().map(|variant| variant.name.as_str());
                        let message = format!(
                            "`{}` has no variant `{name}`; there are {}{}",
                            self.types[*index].name,
                            list(names()),
                            did_you_mean(name, names()),
                        );
                        self.report.mistake(&value.span(), message);
                    }
                    place.map(Value::Variant)
                }
                (TypeKind::Struct(fields), DeValue::Table(_)) => self.structure(value, *index, fields),
                (TypeKind::Enum(_), _) => self.wrong(value, "an enum type takes the name of a variant"),
                (TypeKind::Struct(_), _) => self.wrong(value, "a struct type takes a table with its fields"),
            },
            (Type::List(_), _) => self.wrong(value, "`[T]` takes a list"),
            (Type::Map(_), _) => self.wrong(value, "`{T}` takes a table"),
        }
    }

    fn structure(&mut self, value: &Spanned<DeValue<'_>>, index: usize, fields: &[Field]) -> Option<Value> {
        let DeValue::Table(table) = value.get_ref() else { return None };
        let name = &self.types[index].name;
        for key in table.keys() {
            if !fields.iter().any(|field| field.name == *key.get_ref()) {
                let names = || fields.iter().map(|field| field.name.as_str());
                let meant = did_you_mean(key.get_ref(), names());
                let message = format!("`{name}` has no field `{}`; there are {}{meant}", key.get_ref(), list(names()));
                self.report.mistake(&key.span(), message);
            }
        }
        let values: Vec<_> = fields
            .iter()
            .map(|field| match table.iter().find(|(key, _)| *key.get_ref() == field.name) {
                Some((_, item)) => self.value(item, &field.ty),
                None if field.default.is_some() => field.default.clone(),
                None if matches!(field.ty, Type::Optional(_)) => Some(Value::None),
                None => {
                    let message = format!("the default lacks the field `{}` of `{name}`", field.name);
                    self.report.mistake(&value.span(), message);
                    None
                }
            })
            .collect();
        values.into_iter().collect::<Option<_>>().map(Value::Struct)
    }

    fn wrong(&mut self, value: &Spanned<DeValue<'_>>, takes: &str) -> Option<Value> {
        let message = format!("a default of the wrong type: {takes}, not {}", shown(value.get_ref()));
        self.report.mistake(&value.span(), message);
        None
    }
}

fn shown(value: &DeValue<'_>) -> String {
    match value {
        DeValue::Integer(number) => format!("`{number}`"),
        DeValue::Float(number) => format!("`{number}`"),
        DeValue::Boolean(value) => format!("`{value}`"),
        DeValue::Datetime(time) => format!("`{time}`"),
        DeValue::String(text) if text.len() <= 40 => format!("{text:?}"),
        other => kind(other).to_owned(),
    }
}

fn takes(scalar: Scalar) -> String {
    match scalar {
        Scalar::Bool => "`true` or `false`".to_owned(),
        Scalar::F32 | Scalar::F64 => "a number".to_owned(),
        Scalar::String => "a string".to_owned(),
        Scalar::Bytes => "a list of numbers from 0 to 255".to_owned(),
        Scalar::Timestamp => "a time with an offset, as in `2026-05-04T03:02:01Z`".to_owned(),
        Scalar::Uuid => "a string as in `\"123e4567-e89b-12d3-a456-426614174000\"`".to_owned(),
        integer => {
            let (low, high) = integer_range(integer).unwrap_or_default();
            format!("an integer from {low} to {high}")
        }
    }
}

/// The least and the greatest value of an integer type.
pub(crate) fn integer_range(scalar: Scalar) -> Option<(i128, i128)> {
    Some(match scalar {
        Scalar::I8 => (i8::MIN.into(), i8::MAX.into()),
        Scalar::I16 => (i16::MIN.into(), i16::MAX.into()),
        Scalar::I32 => (i32::MIN.into(), i32::MAX.into()),
        Scalar::I64 => (i64::MIN.into(), i64::MAX.into()),
        Scalar::U8 => (0, u8::MAX.into()),
        Scalar::U16 => (0, u16::MAX.into()),
        Scalar::U32 => (0, u32::MAX.into()),
        Scalar::U64 => (0, u64::MAX.into()),
        _ => return None,
    })
}

fn scalar_value(scalar: Scalar, value: &DeValue<'_>) -> Option<Value> {
    match (scalar, value) {
        (Scalar::Bool, DeValue::Boolean(value)) => Some(Value::Bool(*value)),
        (Scalar::String, DeValue::String(text)) => Some(Value::String(text.to_string())),
        (Scalar::Uuid, DeValue::String(text)) => uuid(text).map(Value::Uuid),
        (Scalar::Timestamp, DeValue::Datetime(datetime)) => {
            time::of_datetime(datetime).map(|(seconds, nanoseconds)| Value::Timestamp(seconds, nanoseconds))
        }
        (Scalar::Bytes, DeValue::Array(items)) => {
            let bytes = items.iter().map(|item| u8::try_from(integer(item.get_ref())?).ok());
            bytes.collect::<Option<_>>().map(Value::Bytes)
        }
        (Scalar::F32 | Scalar::F64, DeValue::Float(number)) => float(number.as_str(), scalar),
        (Scalar::F32 | Scalar::F64, DeValue::Integer(number)) if number.radix() == 10 => float(number.as_str(), scalar),
        (_, DeValue::Integer(_)) => {
            let (low, high) = integer_range(scalar)?;
            integer(value).filter(|number| (low..=high).contains(number)).map(Value::Integer)
        }
        _ => None,
    }
}

fn integer(value: &DeValue<'_>) -> Option<i128> {
    let DeValue::Integer(number) = value else { return None };
    i128::from_str_radix(number.as_str(), number.radix()).ok()
}

fn float(text: &str, scalar: Scalar) -> Option<Value> {
    let number: f64 = text.parse().ok()?;
    // Neither type may turn a number that was written into infinity.
    #[expect(clippy::cast_possible_truncation, reason = "that is what is looked at")]
    let fits = match scalar {
        Scalar::F32 => (number as f32).is_finite(),
        _ => number.is_finite(),
    };
    (fits || text.contains("inf") || text.contains("nan")).then_some(Value::Float(number))
}

/// A uuid with its hyphens.
pub(crate) fn uuid(text: &str) -> Option<u128> {
    const HYPHENS: [usize; 4] = [8, 13, 18, 23];
    let right = text.len() == 36
        && text.bytes().enumerate().all(
            |(at, byte)| {
                if HYPHENS.contains(&at) { byte == b'-' } else { byte.is_ascii_hexdigit() }
            },
        );
    if !right {
        return None;
    }
    u128::from_str_radix(&text.replace('-', ""), 16).ok()
}
