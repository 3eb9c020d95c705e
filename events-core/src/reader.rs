//! Reads MessagePack values that come from anywhere: strict about types, bounded in all it does.
//!
//! - What is asked for must be there: a string is no bytes, an integer no float, and it must fit.
//! - A length is checked against the bytes that are left before anything is allocated for it.
//! - Nothing recurses over the input. [`Reader::skip`] counts, with at most 64 lists and maps
//!   inside one another.
//! - One payload may take a fixed amount of memory and a multiple of its size, see
//!   [`Reader::allow`].

use std::mem::size_of;

use ascii::AsciiStr;
use bytes::Bytes;
use rmp::Marker;

use crate::engine::Frame;
use crate::take::{TakeError, TakeErrorKind};

/// How many lists and maps may stand inside one another.
pub const MAX_DEPTH: usize = 64;

/// What a payload may take in memory, however small it is.
const BASE_ALLOWANCE: usize = 1 << 20;
/// What it may take for each of its bytes. A short string takes 24 times its byte on the wire.
const ALLOWANCE_PER_BYTE: usize = 32;

/// From this length on bytes of a payload may share the message that they came in, if they are most of it. Below,
/// copying is quicker than counting references.
pub(crate) const SHARED: usize = 16 << 10;

/// Up to this length a string is looked at as ASCII first; longer ones the standard library reads in blocks itself.
const SHORT: usize = 64;

/// A place in a stream of MessagePack values.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
    length: usize,
    allowance: usize,
    /// How many lists and maps are open.
    depth: usize,
    message: Option<&'a Frame>,
}

impl<'a> Reader<'a> {
    /// Reads `input` from its beginning.
    #[inline]
    #[must_use]
    pub fn new(input: &'a [u8]) -> Reader<'a> {
        Reader::sharing(input, None)
    }

    /// Reads `input`, which is part of `message`.
    #[inline]
    pub(crate) fn sharing(input: &'a [u8], message: Option<&'a Frame>) -> Reader<'a> {
        Reader { rest: input, length: input.len(), allowance: allowance(input), depth: 0, message }
    }

    /// How many bytes have been read.
    #[inline]
    #[must_use]
    pub fn position(&self) -> usize {
        self.length - self.rest.len()
    }

    /// The bytes that are left.
    #[inline]
    #[must_use]
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// Whether no byte is left.
    #[inline]
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// Begins a payload: memory and depth are counted anew from here.
    #[inline]
    pub(crate) fn begin(&mut self) {
        self.allowance = allowance(self.rest);
        self.depth = 0;
    }

    /// Reads the header of an array, and counts what follows as inside it until [`leave`](Reader::leave).
    #[inline]
    pub(crate) fn enter_array(&mut self) -> Result<usize, TakeError> {
        let length = self.array()?;
        self.enter(length)
    }

    /// Reads the header of a map, and counts what follows as inside it until [`leave`](Reader::leave).
    pub(crate) fn enter_map(&mut self) -> Result<usize, TakeError> {
        let length = self.map()?;
        self.enter(length)
    }

    #[inline]
    fn enter(&mut self, length: usize) -> Result<usize, TakeError> {
        if self.depth == MAX_DEPTH {
            return Err(TakeError::new(TakeErrorKind::Depth { limit: MAX_DEPTH }, self.position()));
        }
        self.depth += 1;
        Ok(length)
    }

    /// Closes the list or map that was entered last. After an error nothing needs to be closed.
    #[inline]
    pub(crate) fn leave(&mut self) {
        self.depth = self.depth.saturating_sub(1);
    }

    /// Reads nil if that is what comes next.
    #[inline]
    pub fn nil(&mut self) -> bool {
        if let [first, rest @ ..] = self.rest
            && *first == Marker::Null.to_u8()
        {
            self.rest = rest;
            return true;
        }
        false
    }

    /// Reads a bool.
    ///
    /// # Errors
    /// [`TakeError`] if something else comes next.
    #[inline]
    pub fn bool(&mut self) -> Result<bool, TakeError> {
        let value = match self.marker("a bool")? {
            Marker::True => true,
            Marker::False => false,
            other => return Err(self.unexpected("a bool", other)),
        };
        self.rest = &self.rest[1..];
        Ok(value)
    }

    /// Reads an integer that is not negative, in any of its forms.
    ///
    /// # Errors
    /// [`TakeError`] if something else comes next, or an integer that is negative.
    #[inline]
    pub fn u64(&mut self) -> Result<u64, TakeError> {
        // The forms that are written for one, without the way over all integers.
        let (value, rest) = match *self.rest {
            [value @ 0..0x80, ref rest @ ..] => (u64::from(value), rest),
            [0xcc, value, ref rest @ ..] => (u64::from(value), rest),
            [0xcd, a, b, ref rest @ ..] => (u64::from(u16::from_be_bytes([a, b])), rest),
            [0xce, a, b, c, d, ref rest @ ..] => (u64::from(u32::from_be_bytes([a, b, c, d])), rest),
            [0xcf, a, b, c, d, e, f, g, h, ref rest @ ..] => (u64::from_be_bytes([a, b, c, d, e, f, g, h]), rest),
            _ => return self.u64_of_any(),
        };
        self.rest = rest;
        Ok(value)
    }

    #[cold]
    fn u64_of_any(&mut self) -> Result<u64, TakeError> {
        let start = self.clone();
        let value = self.integer("a u64")?;
        u64::try_from(value).map_err(|_| start.range("a u64", value.to_string()))
    }

    /// Reads an integer, in any of its forms.
    ///
    /// # Errors
    /// [`TakeError`] if something else comes next, or an integer beyond `i64`.
    #[inline]
    pub fn i64(&mut self) -> Result<i64, TakeError> {
        let start = self.clone();
        let value = self.integer("an i64")?;
        i64::try_from(value).map_err(|_| start.range("an i64", value.to_string()))
    }

    /// Reads an integer and makes it a `T`, which it must fit.
    #[inline]
    pub(crate) fn fit<T: TryFrom<i128>>(&mut self, expected: &'static str) -> Result<T, TakeError> {
        let start = self.clone();
        let value = self.integer(expected)?;
        T::try_from(value).map_err(|_| start.range(expected, value.to_string()))
    }

    #[inline]
    fn integer(&mut self, expected: &'static str) -> Result<i128, TakeError> {
        let marker = self.marker(expected)?;
        Ok(match marker {
            Marker::FixPos(value) => {
                self.rest = &self.rest[1..];
                i128::from(value)
            }
            Marker::FixNeg(value) => {
                self.rest = &self.rest[1..];
                i128::from(value)
            }
            Marker::U8 => i128::from(u8::from_be_bytes(self.after_marker(expected)?)),
            Marker::U16 => i128::from(u16::from_be_bytes(self.after_marker(expected)?)),
            Marker::U32 => i128::from(u32::from_be_bytes(self.after_marker(expected)?)),
            Marker::U64 => i128::from(u64::from_be_bytes(self.after_marker(expected)?)),
            Marker::I8 => i128::from(i8::from_be_bytes(self.after_marker(expected)?)),
            Marker::I16 => i128::from(i16::from_be_bytes(self.after_marker(expected)?)),
            Marker::I32 => i128::from(i32::from_be_bytes(self.after_marker(expected)?)),
            Marker::I64 => i128::from(i64::from_be_bytes(self.after_marker(expected)?)),
            other => return Err(self.unexpected(expected, other)),
        })
    }

    /// Reads a float of 32 bits; one of 64 bits only if nothing is lost.
    ///
    /// # Errors
    /// [`TakeError`] if something else comes next.
    pub fn f32(&mut self) -> Result<f32, TakeError> {
        match self.marker("an f32")? {
            Marker::F32 => Ok(f32::from_be_bytes(self.after_marker("an f32")?)),
            Marker::F64 => {
                let start = self.clone();
                let wide = f64::from_be_bytes(self.after_marker("an f32")?);
                #[expect(clippy::cast_possible_truncation, reason = "checked on the next line")]
                let narrow = wide as f32;
                if f64::from(narrow).to_bits() == wide.to_bits() {
                    Ok(narrow)
                } else {
                    Err(start.range("an f32", wide.to_string()))
                }
            }
            other => Err(self.unexpected("an f32", other)),
        }
    }

    /// Reads a float, of 64 or 32 bits.
    ///
    /// # Errors
    /// [`TakeError`] if something else comes next.
    pub fn f64(&mut self) -> Result<f64, TakeError> {
        match self.marker("an f64")? {
            Marker::F64 => Ok(f64::from_be_bytes(self.after_marker("an f64")?)),
            Marker::F32 => Ok(f64::from(f32::from_be_bytes(self.after_marker("an f64")?))),
            other => Err(self.unexpected("an f64", other)),
        }
    }

    /// Reads a string, in place.
    ///
    /// # Errors
    /// [`TakeError`] if something else comes next (bytes are no string), or it is not UTF-8.
    #[inline]
    pub fn str(&mut self) -> Result<&'a str, TakeError> {
        let start = self.position();
        let (length, rest) = match *self.rest {
            [short @ 0xa0..0xc0, ref rest @ ..] => (usize::from(short & 0x1f), rest),
            [0xd9, length, ref rest @ ..] => (usize::from(length), rest),
            [0xda, a, b, ref rest @ ..] => (usize::from(u16::from_be_bytes([a, b])), rest),
            [0xdb, a, b, c, d, ref rest @ ..] => (widen(u32::from_be_bytes([a, b, c, d])), rest),
            _ => return Err(self.unlike("a string")),
        };
        self.rest = rest;
        text(self.bytes(length)?).ok_or_else(|| TakeError::new(TakeErrorKind::Utf8, start))
    }

    /// Reads bytes (MessagePack bin), in place.
    ///
    /// # Errors
    /// [`TakeError`] if something else comes next (a string is no bytes).
    #[inline]
    pub fn bin(&mut self) -> Result<&'a [u8], TakeError> {
        let (length, rest) = match *self.rest {
            [0xc4, length, ref rest @ ..] => (usize::from(length), rest),
            [0xc5, a, b, ref rest @ ..] => (usize::from(u16::from_be_bytes([a, b])), rest),
            [0xc6, a, b, c, d, ref rest @ ..] => (widen(u32::from_be_bytes([a, b, c, d])), rest),
            _ => return Err(self.unlike("bytes")),
        };
        self.rest = rest;
        self.bytes(length)
    }

    /// `bytes`, which were read from here, without copying them. `None` if they are few, or not most of the message
    /// that they came in: who keeps them keeps all of it.
    #[inline]
    pub(crate) fn share(&self, bytes: &[u8]) -> Option<Bytes> {
        let message = self.message.filter(|_| bytes.len() >= SHARED)?;
        if bytes.len() < message.len() / 2 { None } else { message.part(bytes) }
    }

    /// Reads an extension value: its type and its bytes, in place.
    ///
    /// # Errors
    /// [`TakeError`] if something else comes next; it then names what was `expected`.
    pub fn ext(&mut self, expected: &'static str) -> Result<(i8, &'a [u8]), TakeError> {
        let marker = self.marker(expected)?;
        let length = match marker {
            Marker::FixExt1 => 1,
            Marker::FixExt2 => 2,
            Marker::FixExt4 => 4,
            Marker::FixExt8 => 8,
            Marker::FixExt16 => 16,
            Marker::Ext8 => usize::from(u8::from_be_bytes(self.after_marker(expected)?)),
            Marker::Ext16 => usize::from(u16::from_be_bytes(self.after_marker(expected)?)),
            Marker::Ext32 => widen(u32::from_be_bytes(self.after_marker(expected)?)),
            other => return Err(self.unexpected(expected, other)),
        };
        if !matches!(marker, Marker::Ext8 | Marker::Ext16 | Marker::Ext32) {
            self.rest = &self.rest[1..];
        }
        let kind = self.bytes(1)?[0];
        Ok((i8::from_be_bytes([kind]), self.bytes(length)?))
    }

    /// Reads the header of an array: how many items follow, never more than there are bytes left.
    ///
    /// # Errors
    /// [`TakeError`] if something else comes next.
    #[inline]
    pub fn array(&mut self) -> Result<usize, TakeError> {
        let (length, rest) = match *self.rest {
            [short @ 0x90..0xa0, ref rest @ ..] => (usize::from(short & 0x0f), rest),
            [0xdc, a, b, ref rest @ ..] => (usize::from(u16::from_be_bytes([a, b])), rest),
            [0xdd, a, b, c, d, ref rest @ ..] => (widen(u32::from_be_bytes([a, b, c, d])), rest),
            _ => return Err(self.unlike("a list")),
        };
        if length > rest.len() {
            return Err(TakeError::new(TakeErrorKind::Length { length }, self.position()));
        }
        self.rest = rest;
        Ok(length)
    }

    /// Reads the header of a map: how many entries follow, never more than there can be.
    ///
    /// # Errors
    /// [`TakeError`] if something else comes next.
    pub fn map(&mut self) -> Result<usize, TakeError> {
        let (length, rest) = match *self.rest {
            [short @ 0x80..0x90, ref rest @ ..] => (usize::from(short & 0x0f), rest),
            [0xde, a, b, ref rest @ ..] => (usize::from(u16::from_be_bytes([a, b])), rest),
            [0xdf, a, b, c, d, ref rest @ ..] => (widen(u32::from_be_bytes([a, b, c, d])), rest),
            _ => return Err(self.unlike("a map")),
        };
        if length > rest.len() / 2 {
            return Err(TakeError::new(TakeErrorKind::Length { length }, self.position()));
        }
        self.rest = rest;
        Ok(length)
    }

    /// Steps over one value, whatever it is and however deep, without recursion.
    ///
    /// # Errors
    /// [`TakeError`] if the bytes end inside it, or it is deeper than [`MAX_DEPTH`], together with what it stands in.
    pub fn skip(&mut self) -> Result<(), TakeError> {
        // How many values are still to come at each open level.
        let mut open = [0_usize; MAX_DEPTH];
        let outside = self.depth;
        let mut depth = outside;
        loop {
            let start = self.position();
            let inside = self.skip_one()?;
            if inside > self.rest.len() {
                return Err(TakeError::new(TakeErrorKind::Length { length: inside }, start));
            }
            if inside > 0 {
                if depth == MAX_DEPTH {
                    return Err(TakeError::new(TakeErrorKind::Depth { limit: MAX_DEPTH }, start));
                }
                open[depth] = inside;
                depth += 1;
                continue;
            }
            loop {
                if depth == outside {
                    return Ok(());
                }
                open[depth - 1] -= 1;
                if open[depth - 1] > 0 {
                    break;
                }
                depth -= 1;
            }
        }
    }

    /// Steps over one value and gives its bytes.
    ///
    /// # Errors
    /// [`TakeError`] as [`skip`](Reader::skip).
    pub fn raw(&mut self) -> Result<&'a [u8], TakeError> {
        let before = self.rest;
        self.skip()?;
        Ok(&before[..before.len() - self.rest.len()])
    }

    /// Asks to hold `count` values of type `T`, and gives the capacity to hold them.
    ///
    /// A list of a million empty items is a megabyte on the wire and could be a hundred in memory;
    /// so each payload has an allowance of 1 MiB and 32 times its bytes.
    ///
    /// # Errors
    /// [`TakeErrorKind::Memory`] when the allowance is used up.
    pub fn allow<T>(&mut self, count: usize) -> Result<usize, TakeError> {
        let wanted = count.saturating_mul(size_of::<T>());
        match self.allowance.checked_sub(wanted) {
            Some(left) => {
                self.allowance = left;
                Ok(count)
            }
            None => Err(TakeError::new(TakeErrorKind::Memory, self.position())),
        }
    }

    /// Steps over a scalar, or over the header of a list or map, and says how many values follow
    /// inside it.
    pub(crate) fn skip_one(&mut self) -> Result<usize, TakeError> {
        const ANY: &str = "a value";
        let marker = self.marker(ANY)?;
        let (length, inside) = match marker {
            Marker::FixPos(_) | Marker::FixNeg(_) | Marker::Null | Marker::True | Marker::False => (1, 0),
            Marker::Reserved => return Err(self.unexpected(ANY, marker)),
            Marker::U8 | Marker::I8 => (2, 0),
            Marker::U16 | Marker::I16 | Marker::FixExt1 => (3, 0),
            Marker::FixExt2 => (4, 0),
            Marker::U32 | Marker::I32 | Marker::F32 => (5, 0),
            Marker::FixExt4 => (6, 0),
            Marker::U64 | Marker::I64 | Marker::F64 => (9, 0),
            Marker::FixExt8 => (10, 0),
            Marker::FixExt16 => (18, 0),
            Marker::FixStr(length) => (1 + usize::from(length), 0),
            Marker::Str8 | Marker::Bin8 => (2 + self.peek_length::<1>(ANY)?, 0),
            Marker::Str16 | Marker::Bin16 => (3 + self.peek_length::<2>(ANY)?, 0),
            Marker::Str32 | Marker::Bin32 => (5 + self.peek_length::<4>(ANY)?, 0),
            Marker::Ext8 => (3 + self.peek_length::<1>(ANY)?, 0),
            Marker::Ext16 => (4 + self.peek_length::<2>(ANY)?, 0),
            Marker::Ext32 => (6 + self.peek_length::<4>(ANY)?, 0),
            Marker::FixArray(length) => (1, usize::from(length)),
            Marker::Array16 => (3, self.peek_length::<2>(ANY)?),
            Marker::Array32 => (5, self.peek_length::<4>(ANY)?),
            Marker::FixMap(length) => (1, 2 * usize::from(length)),
            Marker::Map16 => (3, 2 * self.peek_length::<2>(ANY)?),
            Marker::Map32 => (5, self.peek_length::<4>(ANY)?.saturating_mul(2)),
        };
        self.bytes(length)?;
        Ok(inside)
    }

    fn peek_length<const N: usize>(&self, expected: &'static str) -> Result<usize, TakeError> {
        let bytes = self.rest.get(1..=N).ok_or_else(|| self.end(expected))?;
        Ok(bytes.iter().fold(0, |length, byte| length << 8 | usize::from(*byte)))
    }

    #[inline]
    fn marker(&self, expected: &'static str) -> Result<Marker, TakeError> {
        match self.rest.first() {
            Some(first) => Ok(Marker::from_u8(*first)),
            None => Err(self.end(expected)),
        }
    }

    /// The `N` bytes after the marker.
    #[inline]
    fn after_marker<const N: usize>(&mut self, expected: &'static str) -> Result<[u8; N], TakeError> {
        let Some((value, rest)) = self.rest.get(1..).and_then(<[u8]>::split_first_chunk::<N>) else {
            return Err(self.end(expected));
        };
        self.rest = rest;
        Ok(*value)
    }

    #[inline]
    fn bytes(&mut self, length: usize) -> Result<&'a [u8], TakeError> {
        match self.rest.split_at_checked(length) {
            Some((bytes, rest)) => {
                self.rest = rest;
                Ok(bytes)
            }
            None => Err(TakeError::new(TakeErrorKind::Length { length }, self.position())),
        }
    }

    #[cold]
    fn end(&self, expected: &'static str) -> TakeError {
        TakeError::new(TakeErrorKind::End { expected }, self.position())
    }

    #[cold]
    fn range(&self, expected: &'static str, found: String) -> TakeError {
        TakeError::new(TakeErrorKind::Range { expected, found: found.into() }, self.position())
    }

    /// Why what comes next is not what was expected, which is a word of [`describe`].
    #[cold]
    fn unlike(&self, expected: &'static str) -> TakeError {
        match self.rest.first().map(|first| Marker::from_u8(*first)) {
            Some(marker) if describe(marker) != expected => self.unexpected(expected, marker),
            _ => self.end(expected),
        }
    }

    #[cold]
    fn unexpected(&self, expected: &'static str, marker: Marker) -> TakeError {
        TakeError::new(TakeErrorKind::Type { expected, found: describe(marker) }, self.position())
    }
}

/// `bytes` as text, if it is UTF-8. Most strings are short and ASCII, of which it is quick to be sure: a third of the
/// time it took to decode an event with two of them went into proving UTF-8 byte by byte.
#[inline]
fn text(bytes: &[u8]) -> Option<&str> {
    if bytes.len() <= SHORT
        && let Ok(ascii) = AsciiStr::from_ascii(bytes)
    {
        return Some(ascii.as_str());
    }
    std::str::from_utf8(bytes).ok()
}

#[inline]
fn allowance(input: &[u8]) -> usize {
    BASE_ALLOWANCE.saturating_add(input.len().saturating_mul(ALLOWANCE_PER_BYTE))
}

#[inline]
fn widen(length: u32) -> usize {
    usize::try_from(length).unwrap_or(usize::MAX)
}

fn describe(marker: Marker) -> &'static str {
    match marker {
        Marker::FixPos(_) | Marker::U8 | Marker::U16 | Marker::U32 | Marker::U64 => "an integer",
        Marker::FixNeg(_) | Marker::I8 | Marker::I16 | Marker::I32 | Marker::I64 => "an integer",
        Marker::Null => "nil",
        Marker::True | Marker::False => "a bool",
        Marker::F32 | Marker::F64 => "a float",
        Marker::FixStr(_) | Marker::Str8 | Marker::Str16 | Marker::Str32 => "a string",
        Marker::Bin8 | Marker::Bin16 | Marker::Bin32 => "bytes",
        Marker::FixArray(_) | Marker::Array16 | Marker::Array32 => "a list",
        Marker::FixMap(_) | Marker::Map16 | Marker::Map32 => "a map",
        Marker::Reserved => "a byte that MessagePack never uses",
        _ => "an extension value",
    }
}
