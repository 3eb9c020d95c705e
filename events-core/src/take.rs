//! Why a payload does not decode: what was expected, what was found, in which field, at which byte.

use std::borrow::Cow;
use std::fmt;

/// Stands in for what came in a secret field.
const SECRET: &str = "<secret>";

/// Why a payload cannot be taken.
///
/// One pointer wide, so that the way without errors stays quick.
#[derive(Debug)]
pub struct TakeError(Box<Fault>);

#[derive(Debug)]
struct Fault {
    kind: TakeErrorKind,
    path: String,
    offset: usize,
}

/// What is wrong with a payload.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TakeErrorKind {
    /// The bytes end inside a value.
    #[error("the payload ends where {expected} should be")]
    End {
        /// What should be there.
        expected: &'static str,
    },
    /// A value of another type.
    #[error("expected {expected}, found {found}")]
    Type {
        /// What should be there.
        expected: &'static str,
        /// What is there.
        found: &'static str,
    },
    /// A number that the field's type cannot hold.
    #[error("{found} does not fit into {expected}")]
    Range {
        /// The field's type.
        expected: &'static str,
        /// The number.
        found: Cow<'static, str>,
    },
    /// A length that the bytes left cannot hold.
    #[error("{length} is more than the bytes that are left can hold")]
    Length {
        /// The length that was claimed.
        length: usize,
    },
    /// Lists and maps inside one another beyond the limit.
    #[error("more than {limit} lists and maps inside one another")]
    Depth {
        /// How many are allowed.
        limit: usize,
    },
    /// A payload that would take much more memory than it has bytes.
    #[error("the payload would take more memory than is allowed for its size")]
    Memory,
    /// A string that is not UTF-8.
    #[error("the string is not UTF-8")]
    Utf8,
    /// The payload is shorter than the event, and the field has no default.
    #[error("missing, and it has no default")]
    Missing,
    /// A name that is not a variant of an enum without an unknown one.
    #[error("`{found}` is no variant; there are {allowed}")]
    Variant {
        /// The name that came.
        found: String,
        /// The names there are.
        allowed: String,
    },
    /// The `Deserialize` of a field marked `#[event(serde)]` refused.
    #[error("{why}")]
    Serde {
        /// What it said.
        why: String,
    },
}

impl TakeError {
    /// An error of this kind at a byte of the input.
    #[cold]
    #[must_use]
    pub fn new(kind: TakeErrorKind, offset: usize) -> TakeError {
        TakeError(Box::new(Fault { kind, path: String::new(), offset }))
    }

    /// What is wrong.
    #[must_use]
    pub fn kind(&self) -> &TakeErrorKind {
        &self.0.kind
    }

    /// The field it is in, as in `contacts[3].address`; empty if it is the payload as a whole.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.0.path
    }

    /// The byte of the [`Reader`](crate::Reader)'s input at which it is.
    #[must_use]
    pub fn offset(&self) -> usize {
        self.0.offset
    }

    /// The same error, known to be inside the field `name`.
    #[cold]
    #[must_use]
    pub fn within(mut self, name: &str) -> TakeError {
        let dot = if self.0.path.is_empty() || self.0.path.starts_with('[') { "" } else { "." };
        self.0.path = format!("{name}{dot}{}", self.0.path);
        self
    }

    /// The same error; if it is inside one of the fields `secrets`, without anything of what came.
    #[cold]
    #[must_use]
    pub fn hiding(mut self, secrets: &[&str]) -> TakeError {
        let Fault { kind, path, .. } = &mut *self.0;
        let field = path.split(['.', '[']).next().unwrap_or_default();
        let Some(secret) = secrets.iter().find(|secret| **secret == field) else { return self };
        // The keys of a map stand in the path.
        *path = (*secret).to_owned();
        match kind {
            TakeErrorKind::Range { found, .. } => *found = Cow::Borrowed(SECRET),
            TakeErrorKind::Variant { found, .. } => SECRET.clone_into(found),
            TakeErrorKind::Serde { why } => SECRET.clone_into(why),
            _ => {}
        }
        self
    }

    /// The same error, known to be inside the item `index` of a list.
    #[cold]
    #[must_use]
    pub fn at(self, index: usize) -> TakeError {
        self.within(&format!("[{index}]"))
    }
}

impl fmt::Display for TakeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Fault { kind, path, offset } = &*self.0;
        if path.is_empty() {
            write!(f, "{kind} (at byte {offset})")
        } else {
            write!(f, "field `{path}`: {kind} (at byte {offset})")
        }
    }
}

impl std::error::Error for TakeError {}
