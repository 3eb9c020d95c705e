//! Names of events: which there can be, and tables by name.
//!
//! A frame is looked up by the bytes of its name. Whether these are text is known by then, since they were looked at one
//! by one; `str` would have them looked at again, which for a small event costs as much as all the rest.

use std::borrow::Borrow;
use std::hash::{Hash, Hasher};
use std::ops::Deref;

/// The longest name of an event, in bytes.
pub const MAX_NAME: usize = 255;
/// The bytes that names can begin with: subscribed to by who wants all events.
pub const FIRST_BYTES: &[u8; 53] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz";

/// An event's name in a table, where its bytes find it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name(Box<str>);

impl From<&str> for Name {
    fn from(name: &str) -> Name {
        Name(name.into())
    }
}

impl Deref for Name {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl Borrow<[u8]> for Name {
    fn borrow(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl Hash for Name {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.as_bytes().hash(state);
    }
}

/// The subscription that matches exactly the frames of event `name`.
#[must_use]
pub fn topic(name: &str) -> Vec<u8> {
    let mut topic = Vec::with_capacity(name.len() + 1);
    topic.extend_from_slice(name.as_bytes());
    topic.push(0);
    topic
}

/// Whether an event can have this name.
#[must_use]
pub fn is_name(text: &str) -> bool {
    first(&topic(text)) == Some(text.as_bytes())
}

/// The name that `bytes` begin with, up to its zero byte. Names begin with a letter or `_` and hold letters, digits,
/// `_`, `.` and `-`.
pub(super) fn first(bytes: &[u8]) -> Option<&[u8]> {
    let most = &bytes[..bytes.len().min(MAX_NAME + 1)];
    let (name, rest) = most.split_at(most.iter().position(|&byte| !IN_NAME[usize::from(byte)])?);
    let begins = name.first().is_some_and(|first| first.is_ascii_alphabetic() || *first == b'_');
    (begins && rest.first() == Some(&0)).then_some(name)
}

/// The text of a name that [`first`] found.
pub(super) fn text(name: &[u8]) -> &str {
    std::str::from_utf8(name).unwrap_or_default()
}

/// By byte: whether it may stand in a name.
static IN_NAME: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        let at = byte as u8;
        table[byte] = at.is_ascii_alphanumeric() || matches!(at, b'_' | b'.' | b'-');
        byte += 1;
    }
    table
};
