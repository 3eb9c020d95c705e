//! The shape of an event: its canonical text, its fingerprint, and whether two shapes go together.
//!
//! ```text
//!  MAIL_MOVED(userid:string,from:(box:string,state:<idle|busy>),ids:[u64],notes:{string?})
//!             a struct type ┘    an enum type ┘       a list ┘   a map ┘       └ T?
//! ```
//!
//! Struct and enum types stand inline and without their names, so renaming one changes nothing. A
//! foreign type, which goes through serde, is `serde<Name>`.

use std::fmt;

use crate::event::{EventInfo, FieldInfo};
use crate::reader::MAX_DEPTH;

/// The type of a field.
#[derive(Debug)]
#[non_exhaustive]
pub enum Shape {
    /// `bool`
    Bool,
    /// `i8`
    I8,
    /// `i16`
    I16,
    /// `i32`
    I32,
    /// `i64`
    I64,
    /// `u8`
    U8,
    /// `u16`
    U16,
    /// `u32`
    U32,
    /// `u64`
    U64,
    /// `f32`
    F32,
    /// `f64`
    F64,
    /// `string`
    String,
    /// `bytes`
    Bytes,
    /// `timestamp`
    Timestamp,
    /// `uuid`
    Uuid,
    /// `T?`
    Optional(&'static Shape),
    /// `[T]`
    List(&'static Shape),
    /// `{T}`
    Map(&'static Shape),
    /// An enum type: its variants.
    Enum(&'static [&'static str]),
    /// A struct type: its fields.
    Struct(&'static [FieldInfo]),
    /// A foreign type, through serde: its name.
    Serde(&'static str),
}

impl Shape {
    /// `T?`. Evaluated in `const`, so that `T??`, which the wire cannot tell from `T?`, does not
    /// compile.
    #[doc(hidden)]
    #[must_use]
    pub const fn optional(of: &'static Shape) -> Shape {
        assert!(
            !matches!(of, Shape::Optional(_)),
            "an optional value cannot be optional again: on the wire both are nil"
        );
        Shape::Optional(of)
    }

    const fn scalar(&self) -> &'static str {
        match self {
            Shape::Bool => "bool",
            Shape::I8 => "i8",
            Shape::I16 => "i16",
            Shape::I32 => "i32",
            Shape::I64 => "i64",
            Shape::U8 => "u8",
            Shape::U16 => "u16",
            Shape::U32 => "u32",
            Shape::U64 => "u64",
            Shape::F32 => "f32",
            Shape::F64 => "f64",
            Shape::String => "string",
            Shape::Bytes => "bytes",
            Shape::Timestamp => "timestamp",
            Shape::Uuid => "uuid",
            Shape::Optional(_) | Shape::List(_) | Shape::Map(_) => "",
            Shape::Enum(_) | Shape::Struct(_) | Shape::Serde(_) => "",
        }
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Shape::Optional(of) => write!(f, "{of}?"),
            Shape::List(of) => write!(f, "[{of}]"),
            Shape::Map(of) => write!(f, "{{{of}}}"),
            Shape::Enum(variants) => write!(f, "<{}>", variants.join("|")),
            Shape::Struct(fields) => write_fields(f, fields),
            Shape::Serde(name) => write!(f, "serde<{name}>"),
            scalar => f.write_str(scalar.scalar()),
        }
    }
}

fn write_fields(f: &mut impl fmt::Write, fields: &[FieldInfo]) -> fmt::Result {
    f.write_char('(')?;
    for (index, field) in fields.iter().enumerate() {
        let comma = if index == 0 { "" } else { "," };
        write!(f, "{comma}{}:{}", field.name, field.shape)?;
    }
    f.write_char(')')
}

/// The canonical text of an event's shape.
pub(crate) fn text(name: &str, fields: &[FieldInfo]) -> String {
    let mut text = name.to_owned();
    // Writing to a String cannot fail.
    let _ = write_fields(&mut text, fields);
    text
}

/// FNV-1a 64 over the canonical text, in `const`.
pub(crate) const fn fingerprint(name: &str, fields: &[FieldInfo]) -> u64 {
    hash_fields(hash(OFFSET_BASIS, name), fields)
}

const OFFSET_BASIS: u64 = 0xcbf2_9ce4_8422_2325;

/// The fingerprint of a canonical text.
#[must_use]
pub fn fingerprint_of(text: &str) -> u64 {
    hash(OFFSET_BASIS, text)
}

const fn hash(mut state: u64, text: &str) -> u64 {
    const PRIME: u64 = 0x0000_0100_0000_01b3;
    let bytes = text.as_bytes();
    let mut index = 0;
    while index < bytes.len() {
        state = (state ^ bytes[index] as u64).wrapping_mul(PRIME);
        index += 1;
    }
    state
}

const fn hash_fields(mut state: u64, fields: &[FieldInfo]) -> u64 {
    state = hash(state, "(");
    let mut index = 0;
    while index < fields.len() {
        if index > 0 {
            state = hash(state, ",");
        }
        state = hash(hash(state, fields[index].name), ":");
        state = hash_shape(state, fields[index].shape);
        index += 1;
    }
    hash(state, ")")
}

const fn hash_shape(state: u64, shape: &Shape) -> u64 {
    match shape {
        Shape::Optional(of) => hash(hash_shape(state, of), "?"),
        Shape::List(of) => hash(hash_shape(hash(state, "["), of), "]"),
        Shape::Map(of) => hash(hash_shape(hash(state, "{"), of), "}"),
        Shape::Enum(variants) => {
            let mut state = hash(state, "<");
            let mut index = 0;
            while index < variants.len() {
                if index > 0 {
                    state = hash(state, "|");
                }
                state = hash(state, variants[index]);
                index += 1;
            }
            hash(state, ">")
        }
        Shape::Struct(fields) => hash_fields(state, fields),
        Shape::Serde(name) => hash(hash(hash(state, "serde<"), name), ">"),
        scalar => hash(state, scalar.scalar()),
    }
}

/// The first difference between the shape an event has here and the one its publisher has.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}{why}", if field.is_empty() { String::new() } else { format!("field `{field}`: ") })]
pub struct ShapeMismatch {
    /// The field, as in `from.state`; empty if it is the event as a whole.
    pub field: String,
    /// What differs.
    pub why: String,
}

impl ShapeMismatch {
    fn new(field: &str, why: String) -> ShapeMismatch {
        ShapeMismatch { field: field.to_owned(), why }
    }
}

/// Texts of shapes longer than this are refused. The largest sensible event has some kilobytes.
const MAX_TEXT: usize = 1 << 16;

/// The verdict on a shape that came from a publisher. Recurses over the shape known here only.
pub(crate) fn check(mine: &EventInfo, theirs: &str) -> Result<(), ShapeMismatch> {
    if theirs.len() > MAX_TEXT {
        return Err(ShapeMismatch::new("", format!("the publisher's shape is longer than {MAX_TEXT} bytes")));
    }
    match theirs.find('(').map(|at| theirs.split_at(at)) {
        Some((name, fields)) if name == mine.name => check_fields("", mine.fields, fields),
        _ => {
            Err(ShapeMismatch::new("", format!("the publisher's shape `{}` is not one of this event", shorten(theirs))))
        }
    }
}

fn check_fields(path: &str, mine: &[FieldInfo], theirs: &str) -> Result<(), ShapeMismatch> {
    let not_fields = || ShapeMismatch::new(path, format!("a list of fields here, `{}` there", shorten(theirs)));
    let mut rest = theirs.strip_prefix('(').and_then(|rest| rest.strip_suffix(')')).ok_or_else(not_fields)?;
    for (index, field) in mine.iter().enumerate() {
        let path = if path.is_empty() { field.name.to_owned() } else { format!("{path}.{}", field.name) };
        if rest.is_empty() {
            if field.optional {
                continue;
            }
            return Err(ShapeMismatch::new(&path, "the publisher does not have it, and it has no default".to_owned()));
        }
        let (item, after) = split_item(rest).ok_or_else(not_fields)?;
        rest = after;
        let (name, shape) = item.split_once(':').ok_or_else(not_fields)?;
        if name != field.name {
            return Err(ShapeMismatch::new(&path, format!("field {} is called `{}` there", index + 1, shorten(name))));
        }
        check_shape(&path, field.shape, shape)?;
    }
    // What they have more is skipped when it comes, but it has to be fields.
    while !rest.is_empty() {
        let (item, after) = split_item(rest).ok_or_else(not_fields)?;
        item.split_once(':').filter(|(name, shape)| !name.is_empty() && !shape.is_empty()).ok_or_else(not_fields)?;
        rest = after;
    }
    Ok(())
}

fn check_shape(path: &str, mine: &Shape, theirs: &str) -> Result<(), ShapeMismatch> {
    let differs =
        || ShapeMismatch::new(path, format!("`{}` here, `{}` there", shorten(&mine.to_string()), shorten(theirs)));
    let within = |open: char, close: char| {
        theirs.strip_prefix(open).and_then(|rest| rest.strip_suffix(close)).ok_or_else(differs)
    };
    match mine {
        Shape::Optional(of) => check_shape(path, of, theirs.strip_suffix('?').ok_or_else(differs)?),
        Shape::List(of) => check_shape(path, of, within('[', ']')?),
        Shape::Map(of) => check_shape(path, of, within('{', '}')?),
        // Variants travel by name, and one that is not known here comes as `Unknown`: whatever
        // they have, it decodes.
        Shape::Enum(_) => within('<', '>').map(drop),
        Shape::Struct(fields) if theirs.starts_with('(') => check_fields(path, fields, theirs),
        Shape::Struct(_) => Err(differs()),
        Shape::Serde(name) if within_serde(theirs) == Some(name) => Ok(()),
        Shape::Serde(_) => Err(differs()),
        scalar if scalar.scalar() == theirs => Ok(()),
        _ => Err(differs()),
    }
}

fn within_serde(theirs: &str) -> Option<&str> {
    theirs.strip_prefix("serde<")?.strip_suffix('>')
}

/// The first of the items between commas, and what follows its comma; `None` if the brackets do
/// not close, or are deeper than the limit.
fn split_item(text: &str) -> Option<(&str, &str)> {
    let mut open = [0_u8; MAX_DEPTH];
    let mut depth = 0;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'(' | b'[' | b'{' | b'<' => {
                *open.get_mut(depth)? = byte;
                depth += 1;
            }
            b')' | b']' | b'}' | b'>' => {
                depth = depth.checked_sub(1)?;
                // The closing bracket of ( is the next character, that of the others the one after.
                if !matches!(byte.wrapping_sub(open[depth]), 1 | 2) {
                    return None;
                }
            }
            // A comma at the end promises an item that is not there.
            b',' if depth == 0 => {
                return (at + 1 < text.len()).then(|| (&text[..at], &text[at + 1..]));
            }
            _ => {}
        }
    }
    (depth == 0).then_some((text, ""))
}

fn shorten(text: &str) -> String {
    const LONGEST: usize = 80;
    let mut short: String = text.chars().take(LONGEST).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short.escape_debug().to_string()
}
