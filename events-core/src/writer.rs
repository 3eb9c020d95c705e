//! Writes MessagePack values, each in its shortest form: byte for byte what rmp-serde writes.
//!
//! rmp's own functions go through `io::Write`, two calls a value; one `extend_from_slice` of a
//! small array is what the optimizer turns into a single store.

use rmp::Marker;

use crate::event::{PutError, PutErrorKind};

/// Appends nil.
#[inline]
pub fn put_nil(out: &mut Vec<u8>) {
    out.push(Marker::Null.to_u8());
}

/// Appends a bool.
#[inline]
pub fn put_bool(out: &mut Vec<u8>, value: bool) {
    out.push(if value { Marker::True } else { Marker::False }.to_u8());
}

/// Appends an integer that is not negative.
#[inline]
pub fn put_u64(out: &mut Vec<u8>, value: u64) {
    if let Ok(small) = u8::try_from(value) {
        if small < 0x80 {
            out.push(small);
        } else {
            out.extend_from_slice(&[Marker::U8.to_u8(), small]);
        }
    } else if let Ok(value) = u16::try_from(value) {
        marked(out, Marker::U16, value.to_be_bytes());
    } else if let Ok(value) = u32::try_from(value) {
        marked(out, Marker::U32, value.to_be_bytes());
    } else {
        marked(out, Marker::U64, value.to_be_bytes());
    }
}

/// Appends an integer.
#[inline]
pub fn put_i64(out: &mut Vec<u8>, value: i64) {
    if let Ok(value) = u64::try_from(value) {
        put_u64(out, value);
    } else if let Ok(small) = i8::try_from(value) {
        if small >= -32 {
            out.extend_from_slice(&small.to_be_bytes());
        } else {
            marked(out, Marker::I8, small.to_be_bytes());
        }
    } else if let Ok(value) = i16::try_from(value) {
        marked(out, Marker::I16, value.to_be_bytes());
    } else if let Ok(value) = i32::try_from(value) {
        marked(out, Marker::I32, value.to_be_bytes());
    } else {
        marked(out, Marker::I64, value.to_be_bytes());
    }
}

/// Appends a float of 32 bits.
#[inline]
pub fn put_f32(out: &mut Vec<u8>, value: f32) {
    marked(out, Marker::F32, value.to_be_bytes());
}

/// Appends a float of 64 bits.
#[inline]
pub fn put_f64(out: &mut Vec<u8>, value: f64) {
    marked(out, Marker::F64, value.to_be_bytes());
}

/// Appends a string.
///
/// # Errors
/// [`PutErrorKind::TooLong`] beyond 32 bits of length.
#[inline]
pub fn put_str(out: &mut Vec<u8>, value: &str) -> Result<(), PutError> {
    let length = value.len();
    if length < 32 {
        out.reserve(1 + length);
        #[expect(clippy::cast_possible_truncation, reason = "below 32")]
        out.push(0xa0 | length as u8);
    } else if let Ok(short) = u8::try_from(length) {
        out.reserve(2 + length);
        out.extend_from_slice(&[Marker::Str8.to_u8(), short]);
    } else {
        wide(out, length, "a string", Marker::Str16, Marker::Str32)?;
    }
    out.extend_from_slice(value.as_bytes());
    Ok(())
}

/// Appends bytes, always as MessagePack bin.
///
/// # Errors
/// [`PutErrorKind::TooLong`] beyond 32 bits of length.
#[inline]
pub fn put_bin(out: &mut Vec<u8>, value: &[u8]) -> Result<(), PutError> {
    if let Ok(short) = u8::try_from(value.len()) {
        marked(out, Marker::Bin8, [short]);
    } else {
        wide(out, value.len(), "bytes", Marker::Bin16, Marker::Bin32)?;
    }
    out.extend_from_slice(value);
    Ok(())
}

/// Appends the header of an array of `length` items.
///
/// # Errors
/// [`PutErrorKind::TooLong`] beyond 32 bits of length.
#[inline]
pub fn put_array(out: &mut Vec<u8>, length: usize) -> Result<(), PutError> {
    if length < 16 {
        #[expect(clippy::cast_possible_truncation, reason = "below 16")]
        out.push(0x90 | length as u8);
        return Ok(());
    }
    wide(out, length, "a list", Marker::Array16, Marker::Array32)
}

/// Appends the header of a map of `length` entries.
///
/// # Errors
/// [`PutErrorKind::TooLong`] beyond 32 bits of length.
#[inline]
pub fn put_map(out: &mut Vec<u8>, length: usize) -> Result<(), PutError> {
    if length < 16 {
        #[expect(clippy::cast_possible_truncation, reason = "below 16")]
        out.push(0x80 | length as u8);
        return Ok(());
    }
    wide(out, length, "a map", Marker::Map16, Marker::Map32)
}

/// Appends an extension value of 4, 8 or 12 bytes, the sizes of a timestamp.
#[inline]
pub(crate) fn put_ext<const N: usize>(out: &mut Vec<u8>, kind: i8, value: [u8; N]) {
    match N {
        4 => out.push(Marker::FixExt4.to_u8()),
        8 => out.push(Marker::FixExt8.to_u8()),
        #[expect(clippy::cast_possible_truncation, reason = "12")]
        _ => out.extend_from_slice(&[Marker::Ext8.to_u8(), N as u8]),
    }
    out.extend_from_slice(&kind.to_be_bytes());
    out.extend_from_slice(&value);
}

#[inline]
fn marked<const N: usize>(out: &mut Vec<u8>, marker: Marker, value: [u8; N]) {
    out.reserve(1 + N);
    out.push(marker.to_u8());
    out.extend_from_slice(&value);
}

fn wide(
    out: &mut Vec<u8>,
    length: usize,
    what: &'static str,
    marker16: Marker,
    marker32: Marker,
) -> Result<(), PutError> {
    if let Ok(length) = u16::try_from(length) {
        marked(out, marker16, length.to_be_bytes());
    } else if let Ok(length) = u32::try_from(length) {
        marked(out, marker32, length.to_be_bytes());
    } else {
        return Err(PutErrorKind::TooLong { what, length }.into());
    }
    Ok(())
}
