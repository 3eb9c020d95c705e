//! The words inside `#[event(…)]`.

use syn::meta::ParseNestedMeta;
use syn::{Attribute, Expr, LitStr, Path, Token};

use super::input::{Codec, Mistakes};
use crate::names::{did_you_mean, list};

/// On the struct or enum.
#[derive(Default)]
pub(super) struct Container {
    pub(super) name: Option<LitStr>,
    pub(super) retain: bool,
    /// The type comes from a catalog: its `Debug` redacts secrets, it has `new` and so on.
    pub(super) generated: bool,
    pub(super) root: Option<Path>,
}

/// On a field.
#[derive(Default)]
pub(super) struct Field {
    pub(super) name: Option<LitStr>,
    /// `default` alone is `Some(None)`.
    pub(super) default: Option<Option<Expr>>,
    pub(super) secret: bool,
    pub(super) encoding: Option<Codec>,
}

/// On a variant.
#[derive(Default)]
pub(super) struct Variant {
    pub(super) name: Option<LitStr>,
    pub(super) unknown: bool,
}

pub(super) fn container(attributes: &[Attribute], mistakes: &mut Mistakes) -> Container {
    let mut read = Container::default();
    each(attributes, &["name", "retain", "crate"], mistakes, |word, meta| {
        match word {
            "name" => read.name = Some(meta.value()?.parse()?),
            "retain" => read.retain = true,
            "generated" => read.generated = true,
            "crate" => read.root = Some(meta.value()?.call(Path::parse_mod_style)?),
            _ => return Ok(false),
        }
        Ok(true)
    });
    read
}

pub(super) fn field(attributes: &[Attribute], mistakes: &mut Mistakes) -> Field {
    let mut read = Field::default();
    each(attributes, &["name", "default", "secret", "text", "blob", "serde"], mistakes, |word, meta| {
        match word {
            "name" => read.name = Some(meta.value()?.parse()?),
            "default" if meta.input.peek(Token![=]) => read.default = Some(Some(meta.value()?.parse()?)),
            "default" => read.default = Some(None),
            "secret" => read.secret = true,
            "text" | "blob" | "serde" if read.encoding.is_some() => {
                return Err(meta.error("only one of `text`, `blob` and `serde` can stand on a field"));
            }
            "text" => read.encoding = Some(Codec::Text),
            "blob" => read.encoding = Some(Codec::Blob),
            "serde" => read.encoding = Some(Codec::Serde),
            _ => return Ok(false),
        }
        Ok(true)
    });
    read
}

pub(super) fn variant(attributes: &[Attribute], mistakes: &mut Mistakes) -> Variant {
    let mut read = Variant::default();
    each(attributes, &["name", "unknown"], mistakes, |word, meta| {
        match word {
            "name" => read.name = Some(meta.value()?.parse()?),
            "unknown" => read.unknown = true,
            _ => return Ok(false),
        }
        Ok(true)
    });
    read
}

/// Why an event is deprecated: the note of Rust's own attribute.
pub(super) fn deprecated(attributes: &[Attribute]) -> Option<String> {
    let attribute = attributes.iter().find(|attribute| attribute.path().is_ident("deprecated"))?;
    let mut note = String::new();
    if let syn::Meta::NameValue(meta) = &attribute.meta {
        if let Expr::Lit(literal) = &meta.value
            && let syn::Lit::Str(text) = &literal.lit
        {
            note = text.value();
        }
        return Some(note);
    }
    // What is wrong with it is the compiler's to tell.
    let _ = attribute.parse_nested_meta(|meta| {
        let text: LitStr = meta.value()?.parse()?;
        if meta.path.is_ident("note") {
            note = text.value();
        }
        Ok(())
    });
    Some(note)
}

/// Calls `read` with each word; it says whether it knows it.
fn each(
    attributes: &[Attribute],
    allowed: &[&str],
    mistakes: &mut Mistakes,
    mut read: impl FnMut(&str, &ParseNestedMeta<'_>) -> syn::Result<bool>,
) {
    for attribute in attributes.iter().filter(|attribute| attribute.path().is_ident("event")) {
        let parsed = attribute.parse_nested_meta(|meta| {
            let word = meta.path.get_ident().map(ToString::to_string).unwrap_or_default();
            if read(&word, &meta)? {
                return Ok(());
            }
            let meant = did_you_mean(&word, allowed.iter().copied());
            let here = list(allowed.iter().copied());
            mistakes.add(meta.error(format!("unknown word `{word}`; here stands one of {here}{meant}")));
            // On to the next word.
            if meta.input.peek(Token![=]) {
                meta.value()?.parse::<Expr>()?;
            } else if !meta.input.is_empty() && !meta.input.peek(Token![,]) {
                meta.input.parse::<proc_macro2::Group>()?;
            }
            Ok(())
        });
        if let Err(error) = parsed {
            mistakes.add(error);
        }
    }
}
