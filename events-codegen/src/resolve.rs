//! What the file says → what it means: types found, names checked, defaults checked.
//!
//! ```text
//!  RawCatalog ─▶ names of types ─▶ types and their fields ─▶ cycles ─▶ defaults of types
//!                                                        └▶ events ─▶ collisions of names
//! ```

use std::collections::HashMap;
use std::ops::Range;

use toml::Spanned;
use toml::de::DeValue;

use crate::cycle;
use crate::default;
use crate::model::{Catalog, Event, Field, Type, TypeDef, TypeKind, Value, Variant};
use crate::names;
use crate::read::{RawCatalog, RawEvent, RawField, RawType, Text};
use crate::source::Report;
use crate::ty;

/// Longer names are refused: a name stands in every frame.
const MAX_NAME: usize = names::MAX_EVENT;

/// A default that is checked once all types are known.
struct Pending<'v, 'i> {
    value: &'v Spanned<DeValue<'i>>,
    field: usize,
}

struct Resolver<'r, 's> {
    report: &'r mut Report<'s>,
    named: HashMap<&'r str, usize>,
    /// Rust names of types and events, with where they stand and what they are.
    taken: HashMap<String, (String, Range<usize>)>,
}

/// Makes a catalog of what the file says, reporting whatever is wrong with it.
pub(crate) fn resolve(raw: &RawCatalog<'_, '_>, report: &mut Report<'_>) -> Catalog {
    let mut named = HashMap::new();
    for (index, ty) in raw.types.iter().enumerate() {
        named.insert(ty.name.get_ref().as_str(), index);
    }
    let mut resolver = Resolver { report, named, taken: HashMap::new() };
    resolver.head(raw);

    let mut pending = Vec::new();
    let mut types: Vec<TypeDef> = raw.types.iter().map(|raw| resolver.type_def(raw, &mut pending)).collect();
    cycle::check(raw, &types, resolver.report);
    let namespace = raw.namespace.as_ref().map(|name| name.get_ref().as_str());
    let mut events: Vec<Event> = Vec::with_capacity(raw.events.len());
    let mut event_defaults = Vec::new();
    for raw in &raw.events {
        let (event, pending) = resolver.event(raw, namespace);
        events.push(event);
        event_defaults.push(pending);
    }

    // The default of a struct may leave out fields that have a default of their own, so types come
    // before the types that use them.
    for index in cycle::inner_first(&types) {
        let TypeKind::Struct(fields) = &mut types[index].kind else { continue };
        let mut fields = std::mem::take(fields);
        set_defaults(&mut fields, std::mem::take(&mut pending[index]), &types, resolver.report);
        types[index].kind = TypeKind::Struct(fields);
    }
    for (event, pending) in events.iter_mut().zip(event_defaults) {
        set_defaults(&mut event.fields, pending, &types, resolver.report);
    }
    Catalog {
        name: raw.name.as_ref().map_or_else(String::new, |name| name.get_ref().clone()),
        doc: doc(raw.doc.as_ref(), || "Events.".to_owned()),
        serde: raw.serde,
        types,
        events,
    }
}

fn set_defaults(fields: &mut [Field], pending: Vec<Pending<'_, '_>>, types: &[TypeDef], report: &mut Report<'_>) {
    for Pending { value, field } in pending {
        let checked: Option<Value> = default::check(value, &fields[field].ty, types, report);
        fields[field].default = checked;
    }
}

fn doc(text: Option<&Text>, otherwise: impl FnOnce() -> String) -> String {
    match text.map(|text| text.get_ref().trim()) {
        Some(doc) if !doc.is_empty() => doc.to_owned(),
        _ => otherwise(),
    }
}

impl Resolver<'_, '_> {
    fn head(&mut self, raw: &RawCatalog<'_, '_>) {
        if self.report.source().text().trim().is_empty() {
            let begin = "begin with `[catalog]` and `name = \"…\"`, and add events, as in `[events.CLIENT_UID]`";
            self.report.mistake(&(0..0), format!("the catalog is empty; {begin}"));
            return;
        }
        match &raw.name {
            None if raw.head_misread || raw.misread => {}
            None => self.report.mistake(&(0..0), "the catalog has no name; begin with `[catalog]` and `name = \"…\"`"),
            Some(name) if name.get_ref().trim().is_empty() => {
                self.report.mistake(&name.span(), "the name of the catalog is empty");
            }
            Some(_) => {}
        }
        if let Some(namespace) = &raw.namespace
            && (!namespace.get_ref().split('.').all(names::is_identifier) || namespace.get_ref().len() > MAX_NAME)
        {
            let message = format!(
                "`{}` is no namespace; it is letters, digits and `_`, not beginning with a digit, with dots between",
                namespace.get_ref()
            );
            self.report.mistake(&namespace.span(), message);
        }
        if raw.events.is_empty() && !raw.misread {
            self.report.mistake(
                &(0..0),
                "the catalog has no events; add one, as in `[events.CLIENT_UID]` with `fields = { uid = \"string\" }`",
            );
        }
    }

    fn type_def<'v, 'i>(&mut self, raw: &RawType<'v, 'i>, pending: &mut Vec<Vec<Pending<'v, 'i>>>) -> TypeDef {
        let name = raw.name.get_ref();
        let capital = name.starts_with(|first: char| first.is_ascii_uppercase());
        if !names::is_identifier(name) || !capital || name.contains('_') {
            let camel = names::upper_camel(&names::snake(name));
            let meant = if names::is_identifier(&camel) { format!("; did you mean `{camel}`?") } else { String::new() };
            let message =
                format!("`{name}` is no name of a type; it is an upper case letter, then letters and digits{meant}");
            self.report.mistake(&raw.name.span(), message);
        } else {
            self.take_name(name.clone(), format!("the type `{name}`"), &raw.name);
        }
        let mut defaults = Vec::new();
        let kind = match (&raw.variants, &raw.fields) {
            (Some((span, variants)), None) => {
                if variants.is_empty() && !raw.misread {
                    self.report.mistake(span, format!("the enum type `{name}` has no variants"));
                }
                TypeKind::Enum(self.variants(name, variants))
            }
            (None, Some((span, fields))) => {
                if fields.is_empty() && !raw.misread {
                    self.report.mistake(span, format!("the struct type `{name}` has no fields"));
                }
                let whose = format!("the type `{name}`");
                TypeKind::Struct(self.fields(&whose, fields, &mut defaults))
            }
            (Some(_), Some((span, _))) => {
                let message = format!(
                    "`{name}` has `variants` and `fields`; an enum type has variants, a struct type has fields"
                );
                self.report.mistake(span, message);
                TypeKind::Enum(Vec::new())
            }
            (None, None) if raw.misread => TypeKind::Enum(Vec::new()),
            (None, None) => {
                let message =
                    format!("the type `{name}` has neither `variants` (an enum type) nor `fields` (a struct type)");
                self.report.mistake(&raw.name.span(), message);
                TypeKind::Enum(Vec::new())
            }
        };
        pending.push(defaults);
        TypeDef { name: name.clone(), doc: doc(raw.doc.as_ref(), || format!("The type `{name}`.")), kind }
    }

    fn variants(&mut self, ty: &str, raw: &[Text]) -> Vec<Variant> {
        let mut taken: HashMap<String, &str> = HashMap::new();
        let mut variants = Vec::with_capacity(raw.len());
        for text in raw {
            let name = text.get_ref();
            let rust_name = names::upper_camel(name);
            if !names::is_identifier(name) || !names::is_identifier(&rust_name) {
                self.bad_identifier("variant", text);
            } else if rust_name == "Unknown" || rust_name == "Self" {
                let why = if rust_name == "Self" {
                    "a word of Rust"
                } else {
                    "the variant for names that a newer catalog has"
                };
                self.report.mistake(&text.span(), format!("the variant `{name}` is reserved: `{rust_name}` is {why}"));
            } else if let Some(first) = taken.insert(rust_name.clone(), name) {
                let message = if first == name {
                    format!("the variant `{name}` stands twice in `{ty}`")
                } else {
                    format!("the variants `{first}` and `{name}` of `{ty}` are both `{rust_name}` in Rust")
                };
                self.report.mistake(&text.span(), message);
            }
            variants.push(Variant { name: name.clone(), rust_name });
        }
        variants
    }

    fn event<'v, 'i>(&mut self, raw: &RawEvent<'v, 'i>, namespace: Option<&str>) -> (Event, Vec<Pending<'v, 'i>>) {
        let written = raw.name.get_ref();
        let name = namespace.map_or_else(|| written.clone(), |namespace| format!("{namespace}.{written}"));
        let rust_name = names::upper_camel(&name);
        if !names::is_identifier(written) || !names::is_identifier(&rust_name) {
            self.bad_identifier("event", &raw.name);
        } else if name.len() > MAX_NAME {
            let message =
                format!("the name of the event has {} characters; at most {MAX_NAME} are allowed", name.len());
            self.report.mistake(&raw.name.span(), message);
        } else if let Some(why) = reserved(&rust_name) {
            self.report
                .mistake(&raw.name.span(), format!("the event name `{written}` is reserved: `{rust_name}` is {why}"));
        } else {
            self.take_name(rust_name.clone(), format!("the event `{written}`"), &raw.name);
        }
        let mut pending = Vec::new();
        let fields = self.fields(&format!("the event `{written}`"), &raw.fields, &mut pending);
        let event = Event {
            doc: doc(raw.doc.as_ref(), || format!("The event `{name}`.")),
            name,
            rust_name,
            fields,
            retain: raw.retain,
            deprecated: raw.deprecated.as_ref().map(|why| why.get_ref().clone()),
        };
        (event, pending)
    }

    fn fields<'v, 'i>(
        &mut self,
        whose: &str,
        raw: &[RawField<'v, 'i>],
        pending: &mut Vec<Pending<'v, 'i>>,
    ) -> Vec<Field> {
        let mut taken: HashMap<String, &str> = HashMap::new();
        let mut fields = Vec::with_capacity(raw.len());
        for raw in raw {
            let name = raw.name.get_ref();
            let rust_name = names::field(name);
            let lower = !name.contains(|char: char| char.is_ascii_uppercase());
            if !names::is_identifier(name) || (!lower && rust_name == *name) {
                self.bad_field(&raw.name);
            } else if let Some(first) = taken.insert(rust_name.clone(), name) {
                let message = format!("the fields `{first}` and `{name}` of {whose} are both `{rust_name}` in Rust");
                self.report.mistake(&raw.name.span(), message);
            }
            // A mistake in the type has been reported; the field stays, so that nothing follows
            // from it.
            let Some(ty) = raw.ty.as_ref().and_then(|text| self.ty(text)) else { continue };
            if let Some(value) = raw.default {
                pending.push(Pending { value, field: fields.len() });
            }
            fields.push(Field {
                name: name.clone(),
                rust_name,
                doc: doc(raw.doc.as_ref(), || format!("The field `{name}`.")),
                ty,
                default: None,
                secret: raw.secret,
            });
        }
        fields
    }

    fn ty(&mut self, text: &Text) -> Option<Type> {
        match ty::parse(text.get_ref(), &self.named) {
            Ok(ty) => Some(ty),
            Err(bad) => {
                let span = text.span();
                // Inside a plain string the culprit itself can be pointed at.
                let inside = self.report.source().text().get(span.start + 1..).unwrap_or_default();
                let start = if inside.starts_with(text.get_ref()) { span.start + 1 + bad.at } else { span.start };
                self.report.mistake(&(start..span.end), bad.message);
                None
            }
        }
    }

    fn take_name(&mut self, rust_name: String, what: String, at: &Text) {
        if let Some(why) = reserved(&rust_name).filter(|_| rust_name != "Unknown") {
            self.report.mistake(&at.span(), format!("{what} is reserved: `{rust_name}` is {why}"));
            return;
        }
        if let Some((first, span)) = self.taken.get(&rust_name) {
            let (line, _) = self.report.source().position(span.start);
            let message = format!("{what} and {first} (line {line}) are both `{rust_name}` in Rust");
            self.report.mistake(&at.span(), message);
            return;
        }
        self.taken.insert(rust_name, (what, at.span()));
    }

    fn bad_identifier(&mut self, what: &str, name: &Text) {
        let message = format!(
            "`{}` is no name of {} {what}; it is letters, digits and `_`, not beginning with a digit, and not `_` alone",
            name.get_ref(),
            if what == "event" { "an" } else { "a" },
        );
        self.report.mistake(&name.span(), message);
    }

    fn bad_field(&mut self, name: &Text) {
        let snake = names::snake(&name.get_ref().replace(['-', ' '], "_"));
        let meant = if names::is_identifier(&snake) { format!("; did you mean `{snake}`?") } else { String::new() };
        let message = format!(
            "`{}` is no name of a field; it is lower case letters, digits and `_`, not beginning with a digit{meant}",
            name.get_ref()
        );
        self.report.mistake(&name.span(), message);
    }
}

/// Why a Rust name cannot be given to an event or a type.
fn reserved(rust_name: &str) -> Option<&'static str> {
    match rust_name {
        "Unknown" => Some("the variant of `AnyEvent` for events that are not in the catalog"),
        "AnyEvent" => Some("the enum of all events"),
        "Self" => Some("a word of Rust"),
        _ => None,
    }
}
