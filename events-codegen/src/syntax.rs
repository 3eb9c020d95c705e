//! Mistakes that are TOML's: told in its words, with what they mean for a catalog.

use std::ops::Range;

use toml::de::{DeTable, DeValue, Error};

use crate::source::Report;

/// Reports the syntax errors; `false` if what was read is not worth looking at further, because
/// follow-on mistakes would hide the real ones.
pub(crate) fn report(errors: &[Error], root: &DeTable<'_>, report: &mut Report<'_>) -> bool {
    let mut readable = true;
    // A table that stands twice repeats its keys as well; that is one mistake.
    let mut repeated = 0..0;
    for error in errors {
        let span = error.span().unwrap_or(0..0);
        if !error.message().starts_with("duplicate key") {
            readable = false;
            report.mistake(&span, format!("TOML: {}", error.message()));
        } else if !repeated.contains(&span.start) {
            let text = report.source().text();
            let name = text.get(span.clone()).unwrap_or_default().trim_matches(['"', '\'', ' ']);
            let what = match header(text, &span) {
                Some("events") => "the event ",
                Some("types") => "the type ",
                _ => "",
            };
            if let Some(end) = header(text, &span).map(|_| next_header(text, span.end)) {
                repeated = span.end..end;
            }
            let first = first_header(text, &span).or_else(|| first(root, name, span.start));
            let first = first.map_or_else(String::new, |at| {
                let (line, _) = report.source().position(at);
                format!(", first in line {line}")
            });
            report.mistake(&span, format!("{what}`{name}` stands twice{first}; every name is given once"));
        }
    }
    readable
}

/// The first key of the header `[events.NAME]` that the span stands in.
fn header<'t>(text: &'t str, span: &Range<usize>) -> Option<&'t str> {
    let start = text.get(..span.start)?.rfind('\n').map_or(0, |at| at + 1);
    let inside = text.get(start..span.start)?.trim_start().strip_prefix('[')?;
    Some(inside.trim_start_matches('[').split('.').next().unwrap_or_default().trim())
}

fn next_header(text: &str, from: usize) -> usize {
    text.get(from..).and_then(|rest| rest.find("\n[")).map_or(text.len(), |at| from + at + 1)
}

/// Where the header of the line that the span stands in stood before.
fn first_header(text: &str, span: &Range<usize>) -> Option<usize> {
    header(text, span)?;
    let header = |line: &str| line.trim().split(']').next().unwrap_or_default().to_owned();
    let before = text.get(..span.start)?;
    let start = before.rfind('\n').map_or(0, |at| at + 1);
    let this = header(text.get(start..)?.lines().next()?);
    let mut at = 0;
    for line in text.get(..start)?.split_inclusive('\n') {
        if header(line) == this {
            return Some(at);
        }
        at += line.len();
    }
    None
}

/// Where the key stood before, in whichever table; the one nearest before `end`.
fn first(root: &DeTable<'_>, name: &str, end: usize) -> Option<usize> {
    let mut nearest = None;
    let mut tables = vec![root];
    while let Some(table) = tables.pop() {
        for (key, value) in table {
            let at = key.span().start;
            if key.get_ref() == name && at < end {
                nearest = nearest.max(Some(at));
            }
            if let DeValue::Table(inner) = value.get_ref() {
                tables.push(inner);
            }
        }
    }
    nearest
}
