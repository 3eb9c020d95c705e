//! Names: what is one, what it becomes in Rust, and what was meant by a misspelling.

/// Characters of an event's name on the wire, its namespace included.
pub(crate) const MAX_EVENT: usize = 128;

/// Keywords that may stand as `r#…`.
const KEYWORDS: &[&str] = &[
    "abstract", "as", "async", "await", "become", "box", "break", "const", "continue", "do", "dyn", "else", "enum",
    "extern", "false", "final", "fn", "for", "gen", "if", "impl", "in", "let", "loop", "macro", "match", "mod", "move",
    "mut", "override", "priv", "pub", "ref", "return", "static", "struct", "trait", "true", "try", "type", "typeof",
    "unsafe", "unsized", "use", "virtual", "where", "while", "yield",
];

/// Keywords that may not, not even as `r#…`.
const UNESCAPABLE: &[&str] = &["self", "Self", "super", "crate"];

/// Names every Rust file has, which a type parameter must not hide.
const PRELUDE: &[&str] = &[
    "AsMut",
    "AsRef",
    "Box",
    "Clone",
    "Copy",
    "Default",
    "DoubleEndedIterator",
    "Drop",
    "Eq",
    "Err",
    "ExactSizeIterator",
    "Extend",
    "Fn",
    "FnMut",
    "FnOnce",
    "From",
    "FromIterator",
    "Future",
    "Into",
    "IntoFuture",
    "IntoIterator",
    "Iterator",
    "None",
    "Ok",
    "Option",
    "Ord",
    "PartialEq",
    "PartialOrd",
    "Result",
    "Send",
    "Sized",
    "Some",
    "String",
    "Sync",
    "ToOwned",
    "ToString",
    "TryFrom",
    "TryInto",
    "Unpin",
    "Vec",
    "Self",
];

/// Whether `name` is letters, digits and `_`, not beginning with a digit, and with a letter or
/// digit in it.
pub(crate) fn is_identifier(name: &str) -> bool {
    let starts = name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_');
    let rest = name.chars().all(|char| char.is_ascii_alphanumeric() || char == '_');
    starts && rest && name.contains(|char: char| char.is_ascii_alphanumeric())
}

/// `CLIENT_UID`, `client_uid`, `mail.CLIENT_UID` and `ClientUid` in UpperCamelCase.
pub(crate) fn upper_camel(name: &str) -> String {
    let mut camel = String::with_capacity(name.len());
    for word in name.split(['_', '.']) {
        let shouted = !word.contains(|char: char| char.is_ascii_lowercase());
        for (index, char) in word.chars().enumerate() {
            camel.push(match index {
                0 => char.to_ascii_uppercase(),
                _ if shouted => char.to_ascii_lowercase(),
                _ => char,
            });
        }
    }
    camel
}

/// `ClientUid` in snake_case.
pub(crate) fn snake(name: &str) -> String {
    let mut snake = String::with_capacity(name.len() + 4);
    let mut previous = '_';
    for char in name.chars() {
        if char.is_ascii_uppercase() && previous != '_' && !previous.is_ascii_uppercase() {
            snake.push('_');
        }
        snake.push(char.to_ascii_lowercase());
        previous = char;
    }
    snake
}

/// The Rust identifier of a field, without `r#`.
pub(crate) fn field(name: &str) -> String {
    if UNESCAPABLE.contains(&name) { format!("{name}_") } else { name.to_owned() }
}

/// The identifier as a token, with `r#` where it is needed.
pub(crate) fn ident(name: &str) -> proc_macro2::Ident {
    let span = proc_macro2::Span::call_site();
    if KEYWORDS.contains(&name) { proc_macro2::Ident::new_raw(name, span) } else { proc_macro2::Ident::new(name, span) }
}

/// The type parameter of a field: its UpperCamelCase, and `_` until it is free.
pub(crate) fn parameter(field: &str, taken: impl Fn(&str) -> bool) -> String {
    let mut name = upper_camel(field);
    // A field such as `_1` has no letter to begin with.
    if !name.starts_with(|first: char| first.is_ascii_alphabetic()) {
        name.insert(0, 'T');
    }
    while PRELUDE.contains(&name.as_str()) || taken(&name) {
        name.push('_');
    }
    name
}

/// `; did you mean …?` with the name most like `name`, or nothing.
pub(crate) fn did_you_mean<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    let lower = name.to_lowercase();
    known
        .into_iter()
        .map(|candidate| {
            let other = candidate.to_lowercase();
            // Of a short name one slip of the finger is much.
            let slip = lower.len() > 2 && strsim::osa_distance(&lower, &other) == 1;
            (strsim::jaro_winkler(&lower, &other).max(if slip { 0.85 } else { 0.0 }), candidate)
        })
        .filter(|(likeness, _)| *likeness > 0.8)
        .max_by(|(one, _), (other, _)| one.total_cmp(other))
        .map_or_else(String::new, |(_, candidate)| format!("; did you mean `{candidate}`?"))
}

/// The names as "`a`, `b` and `c`"; at most twelve of them.
pub(crate) fn list<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    const LONGEST: usize = 12;
    let mut names: Vec<String> = names.into_iter().map(|name| format!("`{name}`")).collect();
    if names.len() > LONGEST {
        let more = names.len() - LONGEST;
        names.truncate(LONGEST);
        names.push(format!("{more} more"));
    }
    match names.split_last() {
        None => "none".to_owned(),
        Some((only, [])) => only.clone(),
        Some((last, rest)) => format!("{} and {last}", rest.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn camel_case_of_what_catalogs_write() {
        for (name, camel) in [
            ("CLIENT_UID", "ClientUid"),
            ("mail.UNREAD", "MailUnread"),
            ("client_uid", "ClientUid"),
            ("ClientUid", "ClientUid"),
            ("V2_DONE", "V2Done"),
            ("_PRIVATE", "Private"),
        ] {
            assert_eq!(upper_camel(name), camel);
        }
    }

    #[test]
    fn snake_case_of_what_programs_write() {
        for (name, snaked) in
            [("ClientUid", "client_uid"), ("userId", "user_id"), ("USER", "user"), ("V2Done", "v2_done")]
        {
            assert_eq!(snake(name), snaked);
        }
    }

    #[test]
    fn a_parameter_never_hides_a_name() {
        assert_eq!(parameter("uid", |name| name == "Uid"), "Uid_");
        assert_eq!(parameter("string", |_| false), "String_");
        assert_eq!(parameter("self_", |_| false), "Self_");
    }

    #[test]
    fn a_misspelling_gets_a_suggestion_and_nonsense_does_not() {
        assert_eq!(did_you_mean("strng", ["string", "bytes"]), "; did you mean `string`?");
        assert_eq!(did_you_mean("u46", ["u32", "u64", "i64"]), "; did you mean `u64`?");
        assert_eq!(did_you_mean("xyzzy", ["string", "bytes"]), "");
    }
}
