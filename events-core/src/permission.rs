//! What the holder of a key may do: the events it may emit, and those it may register for.

use std::fmt;
use std::str::FromStr;

/// What one key may do. Default: everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Permission {
    /// What it may emit.
    pub emit: Names,
    /// What it may register for.
    pub register: Names,
}

impl Permission {
    /// Whether nothing is restricted.
    #[must_use]
    pub fn is_everything(&self) -> bool {
        *self == Permission::default()
    }

    /// What both allow: a key that is filed twice may do what each of its files allows.
    #[must_use]
    pub fn and(&self, other: &Permission) -> Permission {
        Permission { emit: self.emit.and(&other.emit), register: self.register.and(&other.register) }
    }
}

/// Names of events.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Names {
    /// All.
    #[default]
    All,
    /// Those that match one of the patterns; none at all if there is no pattern.
    Only(Vec<Pattern>),
}

/// One name, or with a `*` at its end all names that begin so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    begin: String,
    open: bool,
}

/// A text is no pattern.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no pattern of event names; write a name, as in `CLIENT_UID`, or the beginning of one, as in `MAIL_*`; `*` \
     for all names stands alone"
)]
pub struct NotAPattern(String);

impl Names {
    /// Whether `name` is among them.
    #[must_use]
    pub fn contain(&self, name: &str) -> bool {
        match self {
            Names::All => true,
            Names::Only(patterns) => patterns.iter().any(|pattern| pattern.matches(name)),
        }
    }

    /// The names that are among one of them.
    #[must_use]
    pub fn or(&self, other: &Names) -> Names {
        match (self, other) {
            (Names::Only(some), Names::Only(others)) => Names::Only(some.iter().chain(others).cloned().collect()),
            _ => Names::All,
        }
    }

    /// The names that are among both.
    #[must_use]
    pub fn and(&self, other: &Names) -> Names {
        match (self, other) {
            (Names::All, names) | (names, Names::All) => names.clone(),
            (Names::Only(some), Names::Only(others)) => {
                let pairs = some.iter().flat_map(|one| others.iter().map(move |other| (one, other)));
                Names::Only(pairs.filter_map(|(one, other)| one.and(other)).collect())
            }
        }
    }
}

impl Pattern {
    fn matches(&self, name: &str) -> bool {
        if self.open { name.starts_with(&self.begin) } else { name == self.begin }
    }

    fn and(&self, other: &Pattern) -> Option<Pattern> {
        let (long, short) = if self.begin.len() >= other.begin.len() { (self, other) } else { (other, self) };
        // `AB*` and `AB`: only `AB`, which both match.
        short.matches(&long.begin).then(|| Pattern { begin: long.begin.clone(), open: self.open && other.open })
    }
}

/// Patterns with spaces or commas between them; an empty text is no name at all, `*` alone all names.
impl FromStr for Names {
    type Err = NotAPattern;

    fn from_str(text: &str) -> Result<Names, NotAPattern> {
        let patterns = text.split([' ', ',', '\t']).filter(|pattern| !pattern.is_empty());
        let patterns = patterns.map(Pattern::from_str).collect::<Result<Vec<_>, _>>()?;
        let all = patterns.iter().any(|pattern| pattern.open && pattern.begin.is_empty());
        match patterns.len() {
            1 if all => Ok(Names::All),
            // More likely a blank too much, as in `MAIL *`, than all names.
            _ if all => Err(NotAPattern(text.to_owned())),
            _ => Ok(Names::Only(patterns)),
        }
    }
}

impl FromStr for Pattern {
    type Err = NotAPattern;

    fn from_str(text: &str) -> Result<Pattern, NotAPattern> {
        let (begin, open) = text.strip_suffix('*').map_or((text, false), |begin| (begin, true));
        let first = begin.bytes().next().is_none_or(|byte| byte.is_ascii_alphabetic() || byte == b'_');
        let rest = begin.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte));
        if !first || !rest || (begin.is_empty() && !open) || begin.len() > crate::frame::MAX_NAME {
            return Err(NotAPattern(text.to_owned()));
        }
        Ok(Pattern { begin: begin.to_owned(), open })
    }
}

impl fmt::Display for Names {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Names::All => f.write_str("*"),
            Names::Only(patterns) => {
                for (index, pattern) in patterns.iter().enumerate() {
                    write!(f, "{}{pattern}", if index == 0 { "" } else { ", " })?;
                }
                Ok(())
            }
        }
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.begin, if self.open { "*" } else { "" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn names(text: &str) -> Names {
        text.parse().expect("patterns")
    }

    #[test]
    fn names_match_whole_or_by_their_beginning() {
        let some = names("MAIL_*, CLIENT_UID other.X");
        for (name, among) in [
            ("MAIL_UNREAD", true),
            ("MAIL_", true),
            ("MAIL", false),
            ("CLIENT_UID", true),
            ("CLIENT_UID_X", false),
            ("other.X", true),
            ("", false),
        ] {
            assert_eq!(some.contain(name), among, "{name}");
        }
        assert_eq!(names("*"), Names::All);
        assert!(!names("").contain("A"));
        assert_eq!(some.to_string().parse(), Ok(some));
    }

    #[test]
    fn what_is_no_pattern_is_refused() {
        for text in ["MA*L", "A *", "*, *", "**", "9A", "A;B", "\"A\"", "ä", "*_X", &"A".repeat(256)] {
            assert!(text.parse::<Names>().is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn both_are_what_each_has(one in "[*]|([AB]{1,3}[*]? ){0,3}", other in "[*]|([AB]{1,3}[*]? ){0,3}", name in "[AB]{1,4}") {
            let (one, other) = (names(&one), names(&other));
            prop_assert_eq!(one.and(&other).contain(&name), one.contain(&name) && other.contain(&name));
            prop_assert_eq!(one.or(&other).contain(&name), one.contain(&name) || other.contain(&name));
        }
    }
}
