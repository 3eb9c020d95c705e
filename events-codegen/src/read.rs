//! TOML with spans → what the file says, key by key. What it means is [`resolve`](crate::resolve)'s.

use std::borrow::Cow;
use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::names::{did_you_mean, list};
use crate::source::Report;

pub(crate) type Text = Spanned<String>;
type Entry<'v, 'i> = (&'v Spanned<Cow<'i, str>>, &'v Spanned<DeValue<'i>>);

/// What the file says.
#[derive(Default)]
pub(crate) struct RawCatalog<'v, 'i> {
    pub(crate) name: Option<Text>,
    pub(crate) doc: Option<Text>,
    pub(crate) namespace: Option<Text>,
    pub(crate) serde: bool,
    pub(crate) types: Vec<RawType<'v, 'i>>,
    pub(crate) events: Vec<RawEvent<'v, 'i>>,
    /// What is missing may stand under a misspelled key; that has been reported.
    pub(crate) head_misread: bool,
    pub(crate) misread: bool,
}

pub(crate) struct RawType<'v, 'i> {
    pub(crate) name: Text,
    pub(crate) doc: Option<Text>,
    pub(crate) variants: Option<(Range<usize>, Vec<Text>)>,
    pub(crate) fields: Option<(Range<usize>, Vec<RawField<'v, 'i>>)>,
    /// As above.
    pub(crate) misread: bool,
}

pub(crate) struct RawEvent<'v, 'i> {
    pub(crate) name: Text,
    pub(crate) doc: Option<Text>,
    pub(crate) fields: Vec<RawField<'v, 'i>>,
    pub(crate) retain: bool,
    pub(crate) deprecated: Option<Text>,
}

pub(crate) struct RawField<'v, 'i> {
    pub(crate) name: Text,
    /// `None` if what stands there is no type; that has been reported.
    pub(crate) ty: Option<Text>,
    pub(crate) doc: Option<Text>,
    pub(crate) default: Option<&'v Spanned<DeValue<'i>>>,
    pub(crate) secret: bool,
}

/// Reads the tables of a catalog, reporting unknown keys and values of the wrong kind.
pub(crate) fn read<'v, 'i>(root: &'v DeTable<'i>, report: &mut Report<'_>) -> RawCatalog<'v, 'i> {
    let mut raw = RawCatalog { serde: true, ..RawCatalog::default() };
    for (key, value) in root {
        match key.get_ref().as_ref() {
            "catalog" => {
                let before = report.count();
                head(value, &mut raw, report);
                raw.head_misread = report.count() > before;
            }
            "types" => raw.types = entries(value, "types", report).map(|entry| ty(entry, report)).collect(),
            "events" => {
                let before = report.count();
                raw.events = entries(value, "events", report).map(|entry| event(entry, report)).collect();
                raw.misread |= report.count() > before;
            }
            _ => {
                raw.misread = true;
                unknown_key(key, "a catalog", &["catalog", "types", "events"], report);
            }
        }
    }
    raw
}

fn head<'v, 'i>(value: &'v Spanned<DeValue<'i>>, raw: &mut RawCatalog<'v, 'i>, report: &mut Report<'_>) {
    for (key, value) in entries(value, "catalog", report) {
        match key.get_ref().as_ref() {
            "name" => raw.name = string(value, "name", report),
            "doc" => raw.doc = string(value, "doc", report),
            "namespace" => raw.namespace = string(value, "namespace", report),
            "serde" => raw.serde = boolean(value, "serde", report),
            _ => unknown_key(key, "`[catalog]`", &["name", "doc", "namespace", "serde"], report),
        }
    }
}

fn ty<'v, 'i>((key, value): Entry<'v, 'i>, report: &mut Report<'_>) -> RawType<'v, 'i> {
    let mut raw = RawType { name: text(key), doc: None, variants: None, fields: None, misread: false };
    let before = report.count();
    for (key, value) in entries(value, key.get_ref(), report) {
        match key.get_ref().as_ref() {
            "doc" => raw.doc = string(value, "doc", report),
            "variants" => raw.variants = Some((value.span(), strings(value, "variants", report))),
            "fields" => raw.fields = Some((value.span(), fields(value, report))),
            _ => {
                unknown_key(key, &format!("the type `{}`", raw.name.get_ref()), &["doc", "variants", "fields"], report)
            }
        }
    }
    raw.misread = report.count() > before;
    raw
}

fn event<'v, 'i>((key, value): Entry<'v, 'i>, report: &mut Report<'_>) -> RawEvent<'v, 'i> {
    let mut raw = RawEvent { name: text(key), doc: None, fields: Vec::new(), retain: false, deprecated: None };
    for (key, value) in entries(value, key.get_ref(), report) {
        match key.get_ref().as_ref() {
            "doc" => raw.doc = string(value, "doc", report),
            "fields" => raw.fields = fields(value, report),
            "retain" => raw.retain = boolean(value, "retain", report),
            "deprecated" => raw.deprecated = string(value, "deprecated", report),
            _ => {
                let whose = format!("the event `{}`", raw.name.get_ref());
                unknown_key(key, &whose, &["doc", "fields", "retain", "deprecated"], report);
            }
        }
    }
    raw
}

fn fields<'v, 'i>(value: &'v Spanned<DeValue<'i>>, report: &mut Report<'_>) -> Vec<RawField<'v, 'i>> {
    entries(value, "fields", report).map(|entry| field(entry, report)).collect()
}

fn field<'v, 'i>((key, value): Entry<'v, 'i>, report: &mut Report<'_>) -> RawField<'v, 'i> {
    let mut raw = RawField { name: text(key), ty: None, doc: None, default: None, secret: false };
    let name = key.get_ref();
    match value.get_ref() {
        DeValue::String(ty) => raw.ty = Some(Spanned::new(value.span(), ty.clone().into_owned())),
        DeValue::Table(table) => {
            let mut typed = false;
            for (key, value) in table {
                match key.get_ref().as_ref() {
                    "type" => {
                        typed = true;
                        raw.ty = string(value, "type", report);
                    }
                    "doc" => raw.doc = string(value, "doc", report),
                    "default" => raw.default = Some(value),
                    "secret" => raw.secret = boolean(value, "secret", report),
                    _ => {
                        unknown_key(key, &format!("the field `{name}`"), &["type", "doc", "default", "secret"], report)
                    }
                }
            }
            if !typed {
                report.mistake(
                    &value.span(),
                    format!("the field `{name}` has no type; write `{name} = {{ type = \"string\" }}`"),
                );
            }
        }
        // A reader of TOML may well write a type as TOML has it.
        DeValue::Array(_) => report.mistake(
            &value.span(),
            format!("the type of the field `{name}` must be a string; a list is written `\"[string]\"`"),
        ),
        other => report.mistake(
            &value.span(),
            format!(
                "the field `{name}` must be a type, as in `\"string\"`, or a table with `type`, not {}",
                kind(other)
            ),
        ),
    }
    raw
}

/// The entries of what must be a table.
fn entries<'v, 'i>(
    value: &'v Spanned<DeValue<'i>>,
    what: &str,
    report: &mut Report<'_>,
) -> impl Iterator<Item = Entry<'v, 'i>> + use<'v, 'i> {
    let table = match value.get_ref() {
        DeValue::Table(table) => Some(table),
        other => {
            report.mistake(&value.span(), format!("`{what}` must be a table, not {}", kind(other)));
            None
        }
    };
    table.into_iter().flatten()
}

fn string(value: &Spanned<DeValue<'_>>, key: &str, report: &mut Report<'_>) -> Option<Text> {
    if let DeValue::String(text) = value.get_ref() {
        return Some(Spanned::new(value.span(), text.clone().into_owned()));
    }
    report.mistake(&value.span(), format!("`{key}` must be a string, not {}", kind(value.get_ref())));
    None
}

fn strings(value: &Spanned<DeValue<'_>>, key: &str, report: &mut Report<'_>) -> Vec<Text> {
    if let DeValue::Array(items) = value.get_ref() {
        return items.iter().filter_map(|item| string(item, key, report)).collect();
    }
    report.mistake(&value.span(), format!("`{key}` must be a list of strings, not {}", kind(value.get_ref())));
    Vec::new()
}

fn boolean(value: &Spanned<DeValue<'_>>, key: &str, report: &mut Report<'_>) -> bool {
    if let DeValue::Boolean(value) = value.get_ref() {
        return *value;
    }
    report.mistake(&value.span(), format!("`{key}` must be `true` or `false`, not {}", kind(value.get_ref())));
    false
}

fn unknown_key(key: &Spanned<Cow<'_, str>>, whose: &str, allowed: &[&str], report: &mut Report<'_>) {
    let name = key.get_ref();
    let meant = did_you_mean(name, allowed.iter().copied());
    report.mistake(&key.span(), format!("unknown key `{name}`; {whose} has {}{meant}", list(allowed.iter().copied())));
}

fn text(key: &Spanned<Cow<'_, str>>) -> Text {
    Spanned::new(key.span(), key.get_ref().clone().into_owned())
}

/// What a value is, for messages.
pub(crate) fn kind(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "an integer",
        DeValue::Float(_) => "a float",
        DeValue::Boolean(_) => "a bool",
        DeValue::Datetime(_) => "a time",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}
