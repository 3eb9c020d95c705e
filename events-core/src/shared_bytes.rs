//! Bytes of an event that is received, without what a `Vec` costs.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::Deref;

use bytes::Bytes;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::__private::bytes::Bytes as _;
use crate::event::PutError;
use crate::field::Field;
use crate::reader::Reader;
use crate::shape::Shape;
use crate::take::TakeError;
use crate::writer;

/// So many bytes are kept in place: identifiers, keys, digests up to SHA-512 and Ed25519 signatures.
const INLINE: usize = 64;
const INLINE_LENGTH: u8 = 64;

/// What a `bytes` field may be in a handler that need not change it: `register::<Upload<SharedBytes>>(…)`.
///
/// Up to 64 bytes are kept in place, and nothing is allocated for them. From 16 KiB on, bytes that are most of
/// the message that they came in are not copied but share it; it stays in memory as long as they do, which is at most
/// twice their size. Cloning copies no more than 64 bytes.
#[derive(Clone)]
pub struct SharedBytes(Kept);

#[derive(Clone)]
enum Kept {
    Inline { length: u8, room: Room },
    Shared(Bytes),
}

/// Aligned, so that it is copied word by word.
#[derive(Clone)]
#[repr(align(8))]
struct Room([u8; INLINE]);

impl SharedBytes {
    /// Takes bytes, and shares what they stand in where that is worth it.
    #[inline]
    pub(crate) fn take(input: &mut Reader<'_>) -> Result<SharedBytes, TakeError> {
        let before = input.rest();
        let bytes = input.bin()?;
        // With enough behind them the same number is copied always, which is quicker; what is beyond is never looked at.
        if let Ok(length @ ..=INLINE_LENGTH) = u8::try_from(bytes.len()) {
            let at = before.len() - input.rest().len() - bytes.len();
            if let Some(bytes) = before.get(at..).and_then(<[u8]>::first_chunk) {
                return Ok(SharedBytes(Kept::Inline { length, room: Room(*bytes) }));
            }
        }
        match SharedBytes::inline(bytes) {
            Some(inline) => Ok(inline),
            None => Ok(SharedBytes(Kept::Shared(input.share(bytes).unwrap_or_else(|| Bytes::copy_from_slice(bytes))))),
        }
    }

    #[inline]
    fn inline(from: &[u8]) -> Option<SharedBytes> {
        let mut bytes = [0; INLINE];
        bytes.get_mut(..from.len())?.copy_from_slice(from);
        let length = u8::try_from(from.len()).ok()?;
        Some(SharedBytes(Kept::Inline { length, room: Room(bytes) }))
    }
}

impl Deref for SharedBytes {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        match &self.0 {
            Kept::Inline { length, room } => room.0.get(..usize::from(*length)).unwrap_or_default(),
            Kept::Shared(bytes) => bytes,
        }
    }
}

impl AsRef<[u8]> for SharedBytes {
    #[inline]
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl From<&[u8]> for SharedBytes {
    fn from(bytes: &[u8]) -> SharedBytes {
        SharedBytes::inline(bytes).unwrap_or_else(|| SharedBytes(Kept::Shared(Bytes::copy_from_slice(bytes))))
    }
}

impl From<Vec<u8>> for SharedBytes {
    fn from(bytes: Vec<u8>) -> SharedBytes {
        SharedBytes::inline(&bytes).unwrap_or_else(|| SharedBytes(Kept::Shared(bytes.into())))
    }
}

impl From<Bytes> for SharedBytes {
    fn from(bytes: Bytes) -> SharedBytes {
        SharedBytes(Kept::Shared(bytes))
    }
}

impl Default for SharedBytes {
    fn default() -> SharedBytes {
        SharedBytes(Kept::Inline { length: 0, room: Room([0; INLINE]) })
    }
}

impl PartialEq for SharedBytes {
    fn eq(&self, other: &SharedBytes) -> bool {
        **self == **other
    }
}

impl Eq for SharedBytes {}

impl Hash for SharedBytes {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (**self).hash(state);
    }
}

impl fmt::Debug for SharedBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl Field for SharedBytes {
    const SHAPE: &'static Shape = &Shape::Bytes;

    #[inline]
    fn put(&self, out: &mut Vec<u8>) -> Result<(), PutError> {
        writer::put_bin(out, self)
    }

    #[inline]
    fn take(input: &mut Reader<'_>) -> Result<SharedBytes, TakeError> {
        SharedBytes::take(input)
    }
}

impl Serialize for SharedBytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(self)
    }
}

impl<'de> Deserialize<'de> for SharedBytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<SharedBytes, D::Error> {
        Vec::<u8>::deserialize_bytes(deserializer).map(SharedBytes::from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::Frame;
    use crate::reader::SHARED;

    fn taken(length: usize, beside: usize) -> (Frame, SharedBytes) {
        let mut payload = Vec::new();
        writer::put_bin(&mut payload, &vec![7; length]).expect("it is short enough");
        payload.resize(payload.len() + beside, 0);
        let frame = Frame::new(payload);
        let bytes = SharedBytes::take(&mut Reader::sharing(&frame, Some(&frame))).expect("bytes");
        (frame, bytes)
    }

    fn shares(length: usize, beside: usize) -> bool {
        let (frame, bytes) = taken(length, beside);
        assert_eq!(*bytes, vec![7; length]);
        frame.as_ptr_range().contains(&bytes.as_ptr())
    }

    #[test]
    fn it_is_one_word_larger_than_what_it_keeps_in_place() {
        assert_eq!(size_of::<SharedBytes>(), INLINE + 8);
    }

    #[test]
    fn many_bytes_are_shared_and_few_are_not() {
        assert!([0, 1, INLINE, INLINE + 1, SHARED - 1].iter().all(|&length| !shares(length, 0)));
        assert!([0, 1, INLINE].iter().all(|&length| !shares(length, INLINE)), "with others behind them");
        assert!(shares(SHARED, 0));
        assert!(shares(1 << 20, 1 << 19));
        assert!(!shares(SHARED, 2 * SHARED), "little of a message would keep all of it");
    }

    #[test]
    fn what_is_shared_outlives_its_message() {
        let (frame, bytes) = taken(1 << 20, 0);
        drop(frame);
        assert_eq!(*bytes, vec![7; 1 << 20]);
    }

    #[test]
    fn without_a_message_it_is_a_copy() {
        let (frame, _) = taken(1 << 20, 0);
        let bytes = SharedBytes::take(&mut Reader::new(&frame)).expect("bytes");
        assert!(!frame.as_ptr_range().contains(&bytes.as_ptr()));
        assert_eq!(bytes, SharedBytes::from(vec![7; 1 << 20]));
    }
}
