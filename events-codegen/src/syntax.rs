//! Mistakes that are TOML's: told in its words, with what they mean for a catalog.

use toml::Spanned;
use toml::de::{DeTable, Error};

use crate::source::Report;

/// Reports the syntax errors; `false` if what was read is not worth looking at further, because
/// follow-on mistakes would hide the real ones.
pub(crate) fn report(errors: &[Error], _root: &Spanned<DeTable<'_>>, report: &mut Report<'_>) -> bool {
    let mut readable = true;
    for error in errors {
        let span = error.span().unwrap_or(0..0);
        let text = report.source().text().get(span.clone()).unwrap_or_default().trim();
        let message = if error.message().starts_with("duplicate key") {
            format!("`{text}` stands twice; every name is given once")
        } else {
            readable = false;
            format!("TOML: {}", error.message())
        };
        report.mistake(&span, message);
    }
    readable
}
