//! Payloads of events that are known only at run time: JSON and `field=value` in, JSON out.
//!
//! ```text
//!  {"uid": "abc"} ┐                              rmp-serde
//!  uid=abc        ┴ check ─▶ values of the types ─ write ─▶ payload ─ read ─▶ {"uid": "abc"}
//! ```
//!
//! In JSON a timestamp is RFC 3339, a uuid has its hyphens, bytes are a list of numbers (going in also
//! `"hex:0a0b"`), an enum is the name of the variant, and a float that is no number is `"NaN"`, `"inf"` or
//! `"-inf"`.

use std::fmt;

use serde_json::Value as Json;

use crate::model::{Catalog, Event};
use crate::names::{did_you_mean, list};

mod check;
mod read;
mod write;

/// Whether fields marked `secret` are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Secrets {
    /// As `<secret>`.
    Hidden,
    /// As they are.
    Shown,
}

/// One thing that is wrong with a payload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PayloadMistake {
    /// The field, as in `contacts[3].address`; empty if the payload as a whole is meant.
    pub field: String,
    /// What is wrong, and what is allowed.
    pub message: String,
}

impl fmt::Display for PayloadMistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.field.is_empty() {
            f.write_str(&self.message)
        } else {
            write!(f, "field `{}`: {}", self.field, self.message)
        }
    }
}

/// Everything that is wrong with a payload; never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PayloadMistakes(Vec<PayloadMistake>);

impl PayloadMistakes {
    /// The mistakes.
    pub fn iter(&self) -> impl Iterator<Item = &PayloadMistake> {
        self.0.iter()
    }
}

impl fmt::Display for PayloadMistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, mistake) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            mistake.fmt(f)?;
        }
        Ok(())
    }
}

impl std::error::Error for PayloadMistakes {}

/// A payload is not one of the event it is said to be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the payload does not decode: {why}")]
pub struct UndecodablePayload {
    /// What is wrong with it.
    pub why: String,
}

/// A name is not in the catalog.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no event `{name}` in the catalog `{catalog}`{meant}")]
pub struct UnknownEvent {
    name: String,
    catalog: String,
    meant: String,
}

impl Catalog {
    /// The event called `name` on the wire, or a message with what was meant.
    ///
    /// # Errors
    /// [`UnknownEvent`] if there is none.
    pub fn find(&self, name: &str) -> Result<&Event, UnknownEvent> {
        self.event(name).ok_or_else(|| {
            let known = || self.events.iter().map(|event| event.name.as_str());
            let meant = match did_you_mean(name, known()) {
                meant if meant.is_empty() => format!("; there are {}", list(known())),
                meant => meant,
            };
            UnknownEvent { name: name.to_owned(), catalog: self.name.clone(), meant }
        })
    }

    /// The payload of `event` with the fields of a JSON object. Fields that are left out take their
    /// default, or nothing if they are optional.
    ///
    /// # Errors
    /// All mistakes there are in it: unknown and missing fields, values of the wrong type.
    pub fn encode(&self, event: &Event, fields: &Json) -> Result<Vec<u8>, PayloadMistakes> {
        let mut checker = check::Checker::new(self);
        let values = checker.event(event, fields);
        self.write(event, values, checker)
    }

    /// The payload of `event` with fields given as `name=value`. Text stands as it is; lists, maps and
    /// struct types are JSON.
    ///
    /// # Errors
    /// All mistakes there are in it: unknown, repeated and missing fields, values of the wrong type.
    pub fn encode_fields<S: AsRef<str>>(&self, event: &Event, fields: &[S]) -> Result<Vec<u8>, PayloadMistakes> {
        let mut checker = check::Checker::new(self);
        let object = checker.pairs(event, fields);
        let values = checker.event(event, &Json::Object(object));
        self.write(event, values, checker)
    }

    fn write(
        &self,
        event: &Event,
        values: Vec<crate::model::Value>,
        checker: check::Checker<'_>,
    ) -> Result<Vec<u8>, PayloadMistakes> {
        let mistakes = checker.finish();
        if !mistakes.is_empty() {
            return Err(PayloadMistakes(mistakes));
        }
        write::event(self, event, &values)
            .map_err(|why| PayloadMistakes(vec![PayloadMistake { field: String::new(), message: why.to_string() }]))
    }

    /// The fields of a payload of `event` as a JSON object. It is as tolerant and as strict as what
    /// the derive writes: missing fields take their default, more are skipped, types are exact.
    ///
    /// # Errors
    /// [`UndecodablePayload`] if the bytes are not a payload of this event.
    pub fn decode(&self, event: &Event, payload: &[u8], secrets: Secrets) -> Result<Json, UndecodablePayload> {
        read::event(self, event, payload, secrets).map_err(|why| UndecodablePayload { why: why.to_string() })
    }
}
