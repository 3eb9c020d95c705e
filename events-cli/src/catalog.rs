//! The catalog in use: the built-in one and one from a file go the same way, at run time.

use events_codegen::model::Event;
use events_codegen::{Catalog, Secrets, Source};
use events_core::dispatch::RawEvent;
use serde_json::Value;

use crate::Result;
use crate::args::CatalogArgument;
use crate::exit::Outcome;

/// The text of the built-in catalog.
const BUILT_IN: &str = include_str!("../../catalog.toml");

/// What stands for a payload of which it is not known what in it is secret.
const WITHHELD: &str = "<withheld>";

/// A catalog that was read.
pub(crate) struct Known(Catalog);

impl Known {
    /// The catalog that the arguments name.
    pub(crate) fn of(argument: &CatalogArgument) -> Result<Known> {
        match &argument.catalog {
            Some(file) => Ok(Known(Catalog::load(file)?)),
            None => Known::built_in(),
        }
    }

    pub(crate) fn built_in() -> Result<Known> {
        Ok(Known(Catalog::parse(&Source::new("catalog.toml", BUILT_IN))?))
    }

    pub(crate) fn catalog(&self) -> &Catalog {
        &self.0
    }

    /// The event of this name, or what is allowed and what was meant.
    pub(crate) fn event(&self, name: &str) -> Result<&Event> {
        self.0.find(name).map_err(Outcome::usage)
    }

    /// A payload from the command line: `name=value` each, or one JSON object.
    pub(crate) fn payload(&self, event: &Event, fields: &[String]) -> Result<Vec<u8>> {
        let encoded = match fields {
            [json] if json.trim_start().starts_with('{') => {
                let object = serde_json::from_str(json)
                    .map_err(|why| Outcome::usage(format_args!("the fields of `{}` are no JSON: {why}", event.name)))?;
                self.0.encode(event, &object)
            }
            pairs => self.0.encode_fields(event, pairs),
        };
        encoded.map_err(|mistakes| {
            let shape = self.0.shape_text(event);
            Outcome::usage(format_args!("`{}` was not emitted\n{mistakes}\nan event is {shape}", event.name))
        })
    }

    /// A payload from JSON that a program made.
    pub(crate) fn payload_of(&self, event: &Event, fields: &Value) -> anyhow::Result<Vec<u8>> {
        Ok(self.0.encode(event, fields)?)
    }

    /// An event that came, as JSON.
    pub(crate) fn read(&self, event: &RawEvent, show_secrets: bool) -> Reading {
        let secrets = if show_secrets { Secrets::Shown } else { Secrets::Hidden };
        let why = match self.0.event(&event.name) {
            None => "is not in the catalog".to_owned(),
            Some(known) if event.fingerprint != 0 && event.fingerprint != self.0.fingerprint(known) => {
                "comes with another shape than the catalog says".to_owned()
            }
            Some(known) => match self.0.decode(known, &event.payload, secrets) {
                Ok(payload) => return Reading { payload, warning: None },
                Err(why) => format!("cannot be read: {why}"),
            },
        };
        // Which of its fields are secret is not known here either.
        if !show_secrets {
            let warning = Some(format!("{why}; --catalog FILE or --show-secrets show its payload"));
            return Reading { payload: Value::from(WITHHELD), warning };
        }
        match plain(&event.payload) {
            Some(payload) => Reading { payload, warning: Some(why) },
            None => {
                Reading { payload: Value::from(hex(&event.payload)), warning: Some(format!("{why}, and is no JSON")) }
            }
        }
    }
}

/// A payload without the names of its fields.
fn plain(payload: &[u8]) -> Option<Value> {
    rmp_serde::from_slice(payload).ok()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What an event says, and what is to be said about it.
pub(crate) struct Reading {
    pub(crate) payload: Value,
    pub(crate) warning: Option<String>,
}
