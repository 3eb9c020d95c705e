//! JSON → values of the types that the catalog says, with every mistake.

use serde_json::{Map, Value as Json};

use super::PayloadMistake;
use crate::default::{integer_range, uuid};
use crate::model::{Catalog, Event, Field, Scalar, Type, TypeKind, Value};
use crate::names::{did_you_mean, list};
use crate::time;

pub(super) struct Checker<'c> {
    catalog: &'c Catalog,
    path: Vec<String>,
    /// So many of the fields in the path are secret: then nothing that was given is told.
    secret: usize,
    mistakes: Vec<PayloadMistake>,
}

impl<'c> Checker<'c> {
    pub(super) fn new(catalog: &'c Catalog) -> Checker<'c> {
        Checker { catalog, path: Vec::new(), secret: 0, mistakes: Vec::new() }
    }

    pub(super) fn finish(self) -> Vec<PayloadMistake> {
        self.mistakes
    }

    /// The values of the fields; those with mistakes are nothing.
    pub(super) fn event(&mut self, event: &Event, given: &Json) -> Vec<Value> {
        match given {
            Json::Object(object) => self.fields(&format!("`{}`", event.name), &event.fields, object),
            other => {
                self.mistake(format!("`{}` takes an object with its fields, not {}", event.name, kind(other)));
                Vec::new()
            }
        }
    }

    /// What `name=value` says, as JSON.
    pub(super) fn pairs<S: AsRef<str>>(&mut self, event: &Event, given: &[S]) -> Map<String, Json> {
        let mut object = Map::new();
        let any_secret = event.fields.iter().any(|field| field.secret);
        for (number, pair) in (1..).zip(given) {
            let pair = pair.as_ref();
            let Some((name, value)) = pair.split_once('=') else {
                // It may be what was meant for a secret field.
                let what = if any_secret { format!("number {number} of the fields") } else { format!("`{pair}`") };
                self.mistake(format!("{what} is no `field=value`"));
                continue;
            };
            let field = event.fields.iter().find(|field| field.name == name);
            let value = match field {
                Some(field) => self.within(name, |checker| checker.plain(&field.ty, value)),
                // Told below with what is allowed.
                None => Some(Json::Null),
            };
            if object.contains_key(name) {
                self.mistake(format!("the field `{name}` is given twice"));
            }
            // A field with a mistake must not be missing as well.
            object.insert(name.to_owned(), value.unwrap_or(Json::Object(Map::new())));
        }
        object
    }

    /// The text after `=`.
    fn plain(&mut self, ty: &Type, text: &str) -> Option<Json> {
        let ty = match ty {
            Type::Optional(_) if text == "null" => return Some(Json::Null),
            Type::Optional(of) => of,
            other => other,
        };
        let json = match ty {
            Type::Scalar(Scalar::String | Scalar::Uuid | Scalar::Timestamp) => return Some(Json::from(text)),
            Type::Scalar(Scalar::Bytes) if !text.starts_with('[') => return Some(Json::from(text)),
            Type::Named(index) if matches!(self.catalog.types[*index].kind, TypeKind::Enum(_)) => {
                return Some(Json::from(text));
            }
            Type::Scalar(Scalar::F32 | Scalar::F64) if is_no_number(text).is_some() => return Some(Json::from(text)),
            _ => serde_json::from_str(text),
        };
        match (json, ty) {
            (Ok(json), _) => Some(json),
            // What it should be is told with the type.
            (Err(_), Type::Scalar(_)) => Some(Json::from(text)),
            (Err(why), _) => {
                self.mistake(format!("lists, maps and struct types are written as JSON: {why}"));
                None
            }
        }
    }

    fn fields(&mut self, whose: &str, fields: &[Field], given: &Map<String, Json>) -> Vec<Value> {
        for name in given.keys() {
            if !fields.iter().any(|field| field.name == *name) {
                if self.secret > 0 {
                    self.mistake(format!("unknown field; {whose} does not have it"));
                    continue;
                }
                let names = || fields.iter().map(|field| field.name.as_str());
                let has = if fields.is_empty() { "no fields".to_owned() } else { list(names()) };
                self.mistake(format!("unknown field `{name}`; {whose} has {has}{}", did_you_mean(name, names())));
            }
        }
        let mut values = Vec::with_capacity(fields.len());
        for field in fields {
            let value = match given.get(&field.name) {
                Some(json) => {
                    self.secret += usize::from(field.secret);
                    let value = self.within(&field.name, |checker| checker.value(&field.ty, json));
                    self.secret -= usize::from(field.secret);
                    value
                }
                None => match (&field.default, &field.ty) {
                    (Some(default), _) => Some(default.clone()),
                    (None, Type::Optional(_)) => Some(Value::None),
                    (None, _) => self.within(&field.name, |checker| {
                        checker.mistake(format!("missing; {whose} needs it"));
                        None
                    }),
                },
            };
            values.push(value.unwrap_or(Value::None));
        }
        values
    }

    fn value(&mut self, ty: &Type, json: &Json) -> Option<Value> {
        match (ty, json) {
            (Type::Optional(_), Json::Null) => Some(Value::None),
            (Type::Optional(of), json) => Some(Value::Some(Box::new(self.value(of, json)?))),
            (Type::Scalar(scalar), json) => scalar_value(*scalar, json).or_else(|| {
                self.mistake(format!("expected {}, found {}", takes(*scalar), self.shown(json)));
                None
            }),
            (Type::List(of), Json::Array(items)) => {
                let values: Vec<_> = items
                    .iter()
                    .enumerate()
                    .map(|(index, item)| self.within(&format!("[{index}]"), |checker| checker.value(of, item)))
                    .collect();
                values.into_iter().collect::<Option<_>>().map(Value::List)
            }
            (Type::Map(of), Json::Object(object)) => {
                let entries: Vec<_> = object
                    .iter()
                    .map(|(key, item)| {
                        let place = if self.secret > 0 { "[..]".to_owned() } else { format!("[{key:?}]") };
                        let value = self.within(&place, |checker| checker.value(of, item));
                        Some((key.clone(), value?))
                    })
                    .collect();
                let mut entries: Vec<(String, Value)> = entries.into_iter().collect::<Option<_>>()?;
                // As the map of generated code has them.
                entries.sort_by(|(one, _), (other, _)| one.cmp(other));
                Some(Value::Map(entries))
            }
            (Type::Named(index), json) => self.named(*index, json),
            (Type::List(_), json) => self.wrong("a list", json),
            (Type::Map(_), json) => self.wrong("an object", json),
        }
    }

    fn named(&mut self, index: usize, json: &Json) -> Option<Value> {
        let catalog = self.catalog;
        let ty = &catalog.types[index];
        match (&ty.kind, json) {
            (TypeKind::Struct(fields), Json::Object(object)) => {
                let before = self.mistakes.len();
                let values = self.fields(&format!("`{}`", ty.name), fields, object);
                (self.mistakes.len() == before).then_some(Value::Struct(values))
            }
            (TypeKind::Enum(variants), Json::String(name)) => {
                let place = variants.iter().position(|variant| variant.name == *name);
                if place.is_none() {
                    let names = || variants.iter().map(|variant| variant.name.as_str());
                    let (named, meant) = match self.secret {
                        0 => (format!(" `{name}`"), did_you_mean(name, names())),
                        _ => (" of this name".to_owned(), String::new()),
                    };
                    self.mistake(format!("`{}` has no variant{named}; there are {}{meant}", ty.name, list(names())));
                }
                place.map(Value::Variant)
            }
            (TypeKind::Struct(_), json) => self.wrong("an object", json),
            (TypeKind::Enum(_), json) => self.wrong("the name of a variant", json),
        }
    }

    fn within<T>(&mut self, segment: &str, check: impl FnOnce(&mut Self) -> T) -> T {
        self.path.push(segment.to_owned());
        let checked = check(self);
        self.path.pop();
        checked
    }

    fn wrong(&mut self, expected: &str, json: &Json) -> Option<Value> {
        self.mistake(format!("expected {expected}, found {}", self.shown(json)));
        None
    }

    /// What was given, or what kind of thing it is.
    fn shown(&self, json: &Json) -> String {
        match json {
            Json::Bool(_) | Json::Number(_) if self.secret == 0 => format!("`{json}`"),
            Json::String(text) if self.secret == 0 && text.len() <= 40 => format!("{text:?}"),
            other => kind(other).to_owned(),
        }
    }

    fn mistake(&mut self, message: String) {
        let mut field = String::new();
        for segment in &self.path {
            if !field.is_empty() && !segment.starts_with('[') {
                field.push('.');
            }
            field.push_str(segment);
        }
        self.mistakes.push(PayloadMistake { field, message });
    }
}

fn scalar_value(scalar: Scalar, json: &Json) -> Option<Value> {
    match (scalar, json) {
        (Scalar::Bool, Json::Bool(value)) => Some(Value::Bool(*value)),
        (Scalar::String, Json::String(text)) => Some(Value::String(text.clone())),
        (Scalar::Uuid, Json::String(text)) => uuid(text).map(Value::Uuid),
        (Scalar::Timestamp, Json::String(text)) => {
            time::parse(text).map(|(seconds, nanoseconds)| Value::Timestamp(seconds, nanoseconds))
        }
        (Scalar::Bytes, Json::Array(items)) => {
            let bytes = items.iter().map(|item| u8::try_from(item.as_u64()?).ok());
            bytes.collect::<Option<_>>().map(Value::Bytes)
        }
        (Scalar::Bytes, Json::String(text)) => hex(text.strip_prefix("hex:")?).map(Value::Bytes),
        (Scalar::F32 | Scalar::F64, Json::String(text)) => is_no_number(text).map(Value::Float),
        (Scalar::F32 | Scalar::F64, Json::Number(number)) => {
            let number = number.as_f64()?;
            #[expect(clippy::cast_possible_truncation, reason = "that is what is looked at")]
            let fits = scalar == Scalar::F64 || (number as f32).is_finite();
            fits.then_some(Value::Float(number))
        }
        (_, Json::Number(number)) => {
            let (low, high) = integer_range(scalar)?;
            let integer = number.as_i64().map(i128::from).or_else(|| number.as_u64().map(i128::from))?;
            (low..=high).contains(&integer).then_some(Value::Integer(integer))
        }
        _ => None,
    }
}

/// The floats that JSON has no numbers for.
fn is_no_number(text: &str) -> Option<f64> {
    match text {
        "NaN" => Some(f64::NAN),
        "inf" => Some(f64::INFINITY),
        "-inf" => Some(f64::NEG_INFINITY),
        _ => None,
    }
}

fn hex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: &u8| char::from(*byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let pairs = text.as_bytes().chunks(2).map(|pair| match pair {
        [high, low] => Some(digit(high)? << 4 | digit(low)?),
        _ => None,
    });
    pairs.collect()
}

fn takes(scalar: Scalar) -> String {
    match scalar {
        Scalar::Bool => "`true` or `false`".to_owned(),
        Scalar::F32 | Scalar::F64 => format!("a number ({})", scalar.name()),
        Scalar::String => "a string".to_owned(),
        Scalar::Bytes => "bytes, as `[10, 11]` or `hex:0a0b`".to_owned(),
        Scalar::Timestamp => "a time as in `2026-05-04T03:02:01Z`".to_owned(),
        Scalar::Uuid => "a uuid as in `123e4567-e89b-12d3-a456-426614174000`".to_owned(),
        integer => {
            let (low, high) = integer_range(integer).unwrap_or_default();
            format!("an integer from {low} to {high}")
        }
    }
}

fn kind(json: &Json) -> &'static str {
    match json {
        Json::Null => "null",
        Json::Bool(_) => "a bool",
        Json::Number(_) => "a number",
        Json::String(_) => "a string",
        Json::Array(_) => "a list",
        Json::Object(_) => "an object",
    }
}
