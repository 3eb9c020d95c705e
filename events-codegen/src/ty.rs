//! The type of a field as the catalog writes it: `u64`, `string?`, `[Contact]`, `{[bytes]}`.

use std::collections::HashMap;

use crate::model::{Scalar, Type};
use crate::names::{did_you_mean, list};

/// Lists and maps inside one another; the wire has room for 64 in a whole payload.
const MAX_DEPTH: usize = 16;

/// What is wrong with the text of a type, and at which byte of it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct BadType {
    pub(crate) at: usize,
    pub(crate) message: String,
}

/// Parses `text`; `named` has the types that the catalog declares.
pub(crate) fn parse(text: &str, named: &HashMap<&str, usize>) -> Result<Type, BadType> {
    let mut parser = Parser { text, at: 0, named };
    let ty = parser.ty(0)?;
    match parser.rest() {
        "" => Ok(ty),
        rest => {
            let message =
                format!("`{}` after the type `{}`; a type is one of {}", rest.trim(), text[..parser.at].trim(), FORMS);
            Err(parser.bad(message))
        }
    }
}

const FORMS: &str = "a name, `T?`, `[T]` and `{T}`";

struct Parser<'t> {
    text: &'t str,
    at: usize,
    named: &'t HashMap<&'t str, usize>,
}

impl<'t> Parser<'t> {
    fn rest(&mut self) -> &'t str {
        let text: &'t str = self.text;
        self.at = text.len() - text[self.at..].trim_start().len();
        &text[self.at..]
    }

    fn bad(&self, message: impl Into<String>) -> BadType {
        BadType { at: self.at, message: message.into() }
    }

    fn eat(&mut self, char: char) -> bool {
        let found = self.rest().starts_with(char);
        self.at += if found { char.len_utf8() } else { 0 };
        found
    }

    fn ty(&mut self, depth: usize) -> Result<Type, BadType> {
        if depth > MAX_DEPTH {
            return Err(self.bad(format!("more than {MAX_DEPTH} lists and maps inside one another")));
        }
        let start = self.at;
        let mut ty = if self.eat('[') {
            Type::List(Box::new(self.closed(']', depth)?))
        } else if self.eat('{') {
            Type::Map(Box::new(self.closed('}', depth)?))
        } else {
            self.name()?
        };
        if ty == Type::List(Box::new(Type::Scalar(Scalar::U8))) {
            return Err(BadType { at: start, message: "`[u8]` would be a list of numbers; use `bytes`".to_owned() });
        }
        if self.eat('?') {
            ty = Type::Optional(Box::new(ty));
            if self.rest().starts_with('?') {
                let message = "a type can be optional once: on the wire `T??` could not be told from `T?`";
                return Err(self.bad(message));
            }
        }
        Ok(ty)
    }

    fn closed(&mut self, bracket: char, depth: usize) -> Result<Type, BadType> {
        let ty = self.ty(depth + 1)?;
        if self.eat(bracket) {
            return Ok(ty);
        }
        Err(self.bad(format!("expected `{bracket}`; a type is one of {FORMS}")))
    }

    fn name(&mut self) -> Result<Type, BadType> {
        let rest = self.rest();
        let end = rest.find(|char: char| "[]{}?, ".contains(char)).unwrap_or(rest.len());
        let name = &rest[..end];
        if let Some(scalar) = Scalar::ALL.iter().find(|scalar| scalar.name() == name) {
            self.at += end;
            return Ok(Type::Scalar(*scalar));
        }
        if let Some(index) = self.named.get(name) {
            self.at += end;
            return Ok(Type::Named(*index));
        }
        Err(self.bad(if name.is_empty() {
            format!("expected a type; a type is one of {FORMS}")
        } else {
            self.unknown(name)
        }))
    }

    fn unknown(&self, name: &str) -> String {
        let scalars = Scalar::ALL.iter().map(|scalar| scalar.name());
        let mut declared: Vec<&str> = self.named.keys().copied().collect();
        declared.sort_unstable();
        // What people write who come from Rust, Python, JSON or SQL.
        let meant = match name.to_lowercase().as_str() {
            "str" | "&str" | "text" | "varchar" => "; did you mean `string`?".to_owned(),
            "int" | "integer" | "long" | "isize" => "; did you mean `i64`?".to_owned(),
            "uint" | "usize" | "unsigned" | "number" => "; did you mean `u64`?".to_owned(),
            "float" | "double" | "real" => "; did you mean `f64`?".to_owned(),
            "boolean" => "; did you mean `bool`?".to_owned(),
            "byte" => "; did you mean `u8`?".to_owned(),
            "blob" | "binary" | "buffer" => "; did you mean `bytes`?".to_owned(),
            "datetime" | "date" | "time" => "; did you mean `timestamp`?".to_owned(),
            "guid" => "; did you mean `uuid`?".to_owned(),
            _ => did_you_mean(name, scalars.clone().chain(declared.iter().copied())),
        };
        let scalars = scalars.map(|name| format!("`{name}`")).collect::<Vec<_>>().join(" ");
        let declared = if declared.is_empty() { String::new() } else { format!(", of `[types]` {}", list(declared)) };
        format!("unknown type `{name}`{meant} There are {scalars}{declared}, and `T?`, `[T]`, `{{T}}`")
            .replace("` There", "`. There")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<Type, BadType> {
        parse(text, &HashMap::from([("Contact", 0)]))
    }

    #[test]
    fn types_nest() {
        let string = || Box::new(Type::Scalar(Scalar::String));
        assert_eq!(parsed("string?"), Ok(Type::Optional(string())));
        assert_eq!(parsed("[ { string } ]?"), Ok(Type::Optional(Box::new(Type::List(Box::new(Type::Map(string())))))));
        assert_eq!(parsed("{Contact}"), Ok(Type::Map(Box::new(Type::Named(0)))));
    }

    #[test]
    fn the_place_is_that_of_the_culprit() {
        for (text, at) in [("[strng]", 1), ("string??", 7), ("{[u8]}", 1), ("[string", 7), ("string u8", 7), ("", 0)] {
            assert_eq!(parsed(text).map_err(|bad| bad.at), Err(at), "{text}");
        }
    }

    #[test]
    fn depth_is_bounded() {
        assert!(parsed(&"[".repeat(100_000)).is_err());
    }
}
