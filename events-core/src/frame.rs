//! How a frame is laid out: one event name, one header of fixed size, one or more records.
//!
//! ```text
//!  C L I E N T _ U I D 00  97 01 FLAGS  CF publisher  CF position  CF sequence  CF fingerprint  CF sent_at  RECORD…
//!  └────── NAME ─────┘     └────────────────────────── HEADER, 48 bytes ─────────────────────────────────┘
//! ```
//!
//! Everything behind the 0x00 is a MessagePack stream. Since the header has a fixed size, a server
//! checks it at fixed offsets and never looks at a record.

use crate::reader::Reader;
use crate::take::TakeError;

pub mod bundle;
pub mod name;

pub use bundle::Bundle;
pub use name::{FIRST_BYTES, MAX_NAME, is_name, topic};

/// The size of the header, in bytes.
pub const HEADER: usize = 48;
/// Where the flags stand in the header.
const FLAGS_AT: usize = 2;

/// Marks of a frame; each is one bit of the header's flags.
pub mod flags {
    /// The event is retained: the newest record is kept for late joiners.
    pub const RETAINED: u8 = 1;
    /// The oldest frame its publisher still has: nothing before it will come.
    pub const OLDEST: u8 = 2;
    /// A retained frame told again to a new server, which keeps it and forwards it to nobody.
    pub const TOLD_AGAIN: u8 = 4;
    /// An earlier server has acknowledged the frame: it is sent again for those who were registered
    /// there, and lies before every registration of the present server.
    pub const PAST: u8 = 8;
    /// No records, no position: the sequence of the event stands there. What comes before and has not
    /// arrived never will.
    pub const STANDS: u8 = 16;
    /// More frames follow in the same message: see [`Bundle`](super::Bundle).
    pub const MORE: u8 = 32;
    /// What a frame among several cannot be.
    pub const ALONE: u8 = TOLD_AGAIN | STANDS;
}

/// What stands before the records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// See [`flags`].
    pub flags: u8,
    /// The publisher's id, random per client.
    pub publisher: u64,
    /// The number of the frame among all frames of its publisher, from 1. 0: a light client, which
    /// does not number its frames.
    pub position: u64,
    /// The number of the first record among all records of this event by this publisher, from 0.
    pub sequence: u64,
    /// The fingerprint of the shape the records have; 0 where the publisher does not know it.
    pub fingerprint: u64,
    /// When the frame was begun, in microseconds since 1970.
    pub sent_at: u64,
}

impl Header {
    /// Whether the flag stands.
    #[must_use]
    pub fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }
}

/// A frame taken apart; everything borrows from its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct View<'a> {
    /// The event's name and the zero byte: what a subscription to exactly this event says.
    pub topic: &'a [u8],
    /// The header.
    pub header: Header,
    /// The records, as a MessagePack stream of arrays.
    pub records: &'a [u8],
}

impl<'a> View<'a> {
    /// The event's name as text. For every frame of many, [`key`](View::key) is quicker.
    #[must_use]
    pub fn name(&self) -> &'a str {
        name::text(self.key())
    }

    /// The bytes of the event's name: what [`Name`](name::Name) is found by.
    #[must_use]
    pub fn key(&self) -> &'a [u8] {
        self.topic.strip_suffix(&[0]).unwrap_or(self.topic)
    }

    /// The frame by itself, as it would be sent.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.topic.len() + HEADER + self.records.len());
        begin(&mut bytes, self.key(), &self.header);
        bytes.extend_from_slice(self.records);
        bytes
    }

    /// The records, one by one. After an `Err` there are no more.
    pub fn records(&self) -> impl Iterator<Item = Result<&'a [u8], TakeError>> + use<'a> {
        let mut rest = Some(self.records);
        std::iter::from_fn(move || {
            let bytes = rest.filter(|bytes| !bytes.is_empty())?;
            let mut reader = Reader::new(bytes);
            Some(match reader.skip() {
                Ok(()) => {
                    let (record, behind) = bytes.split_at(reader.position());
                    rest = Some(behind);
                    Ok(record)
                }
                Err(error) => {
                    rest = None;
                    Err(error)
                }
            })
        })
    }

    /// How many records can be told apart.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.records().take_while(Result::is_ok).count() as u64
    }
}

/// What a message turns out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content<'a> {
    /// A frame of this protocol.
    Event(View<'a>),
    /// Several frames of one publisher.
    Bundle(Bundle<'a>),
    /// `NAME 0x00` and something else: a program of another protocol.
    Foreign {
        /// The name it begins with.
        name: &'a str,
    },
    /// A control message: it begins with 0xFF.
    Control,
}

/// Why bytes are no frame.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FrameError {
    /// There is no `NAME 0x00` at the beginning.
    #[error("does not begin with an event name of at most {MAX_NAME} bytes and a zero byte")]
    Name,
    /// The header is cut off or not laid out as version 1 is.
    #[error("the header is cut off or not laid out as version 1 is")]
    Header,
    /// The table of a message of several frames does not fit what stands before it, or a part is no frame.
    #[error("the message holds several frames, and they cannot be told apart")]
    Bundle,
}

/// Begins a frame in `out`: the name, the zero byte and the header. Records follow.
pub fn begin(out: &mut Vec<u8>, name: impl AsRef<[u8]>, header: &Header) {
    let name = name.as_ref();
    out.reserve(name.len() + 1 + HEADER);
    out.extend_from_slice(name);
    out.push(0);
    let mut bytes = [0xCF; HEADER];
    bytes[0] = 0x97;
    bytes[1] = 0x01;
    bytes[FLAGS_AT] = header.flags & 0x7F;
    let numbers = [header.publisher, header.position, header.sequence, header.fingerprint, header.sent_at];
    for (slot, number) in bytes[FLAGS_AT + 1..].chunks_exact_mut(9).zip(numbers) {
        slot[1..].copy_from_slice(&number.to_be_bytes());
    }
    out.extend_from_slice(&bytes);
}

/// Takes a message apart.
///
/// # Errors
/// [`FrameError`] for whatever is neither a frame, nor several, nor foreign, nor control.
pub fn parse(bytes: &[u8]) -> Result<Content<'_>, FrameError> {
    if bytes.first() == Some(&0xFF) {
        return Ok(Content::Control);
    }
    match parse_event(bytes)? {
        Some(view) if view.header.has(flags::MORE) => {
            Bundle::parse(bytes, view.header).map(Content::Bundle).ok_or(FrameError::Bundle)
        }
        Some(view) => Ok(Content::Event(view)),
        None => Ok(Content::Foreign { name: name::text(name::first(bytes).unwrap_or_default()) }),
    }
}

/// Takes one frame apart; `None` if what follows its name is of another protocol.
fn parse_event(bytes: &[u8]) -> Result<Option<View<'_>>, FrameError> {
    let name = name::first(bytes).ok_or(FrameError::Name)?;
    let (topic, rest) = bytes.split_at(name.len() + 1);
    if !rest.starts_with(&[0x97, 0x01]) {
        return Ok(None);
    }
    let (header, records) = rest.split_first_chunk::<HEADER>().ok_or(FrameError::Header)?;
    let header = parse_header(header).ok_or(FrameError::Header)?;
    Ok(Some(View { topic, header, records }))
}

fn parse_header(bytes: &[u8; HEADER]) -> Option<Header> {
    let flags = bytes[FLAGS_AT];
    let mut numbers = [0; 5];
    for (number, slot) in numbers.iter_mut().zip(bytes[FLAGS_AT + 1..].chunks_exact(9)) {
        let (mark, digits) = slot.split_first()?;
        if *mark != 0xCF {
            return None;
        }
        *number = u64::from_be_bytes(digits.try_into().ok()?);
    }
    let [publisher, position, sequence, fingerprint, sent_at] = numbers;
    (flags < 0x80).then_some(Header { flags, publisher, position, sequence, fingerprint, sent_at })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn header() -> Header {
        Header { flags: flags::RETAINED, publisher: 1, position: 2, sequence: 3, fingerprint: 4, sent_at: 5 }
    }

    /// The bytes of version 1, written out by hand from the protocol document.
    #[test]
    fn golden_bytes() {
        let mut bytes = Vec::new();
        begin(&mut bytes, "CLIENT_UID", &header());
        bytes.extend_from_slice(&[0x91, 0xA3, b'a', b'b', b'c']);
        let expected = [
            &b"CLIENT_UID\0"[..],
            &[0x97, 0x01, 0x01],
            &[0xCF, 0, 0, 0, 0, 0, 0, 0, 1],
            &[0xCF, 0, 0, 0, 0, 0, 0, 0, 2],
            &[0xCF, 0, 0, 0, 0, 0, 0, 0, 3],
            &[0xCF, 0, 0, 0, 0, 0, 0, 0, 4],
            &[0xCF, 0, 0, 0, 0, 0, 0, 0, 5],
            &[0x91, 0xA3, b'a', b'b', b'c'],
        ]
        .concat();
        assert_eq!(bytes, expected);
    }

    #[test]
    fn foreign_and_control_and_neither() {
        assert_eq!(parse(b"CLIENT_UID\0\x80\x02."), Ok(Content::Foreign { name: "CLIENT_UID" }));
        assert_eq!(parse(b"CLIENT_UID\0"), Ok(Content::Foreign { name: "CLIENT_UID" }));
        assert_eq!(parse(b"\xFFbye"), Ok(Content::Control));
        for bytes in [&b""[..], b"\0", b"9A\0", b"A B\0", b"CLIENT_UID", &[b'A'; 300]] {
            assert_eq!(parse(bytes), Err(FrameError::Name), "{bytes:?}");
        }
        assert_eq!(parse(b"A\0\x97\x01"), Err(FrameError::Header));
    }

    #[test]
    fn records_are_found_one_by_one() {
        let mut bytes = Vec::new();
        begin(&mut bytes, "A", &header());
        bytes.extend_from_slice(&[0x90, 0x91, 0x01, 0x92, 0xC0]);
        let Ok(Content::Event(view)) = parse(&bytes) else { panic!("no frame") };
        let records: Vec<_> = view.records().collect();
        assert_eq!(records.len(), 3);
        assert_eq!(records[0].as_ref().ok().copied(), Some(&[0x90][..]));
        assert_eq!(records[1].as_ref().ok().copied(), Some(&[0x91, 0x01][..]));
        assert!(records[2].is_err());
        assert_eq!(view.count(), 2);
    }

    proptest! {
        #[test]
        fn what_is_begun_is_parsed(
            name in "[A-Za-z_][A-Za-z0-9_.-]{0,254}",
            numbers in any::<[u64; 5]>(),
            flags in 0u8..32,
            records in any::<Vec<u8>>(),
        ) {
            let [publisher, position, sequence, fingerprint, sent_at] = numbers;
            let header = Header { flags, publisher, position, sequence, fingerprint, sent_at };
            let mut bytes = Vec::new();
            begin(&mut bytes, &name, &header);
            bytes.extend_from_slice(&records);
            prop_assert_eq!(parse(&bytes), Ok(Content::Event(View { topic: &topic(&name), header, records: &records })));
            let Ok(Content::Event(view)) = parse(&bytes) else { unreachable!() };
            prop_assert_eq!(view.name(), name.as_str());
            prop_assert_eq!(view.to_bytes(), bytes.clone());
            prop_assert!(bytes.starts_with(&topic(&name)));
        }

        #[test]
        fn any_bytes_give_an_answer(bytes in any::<Vec<u8>>()) {
            if let Ok(Content::Event(view)) = parse(&bytes) {
                let _ = view.count();
            }
        }

        #[test]
        fn any_bytes_behind_a_header_give_an_answer(records in any::<Vec<u8>>(), cut in 0usize..200) {
            let mut bytes = Vec::new();
            begin(&mut bytes, "CLIENT_UID", &header());
            bytes.extend_from_slice(&records);
            bytes.truncate(cut);
            if let Ok(Content::Event(view)) = parse(&bytes) {
                let _ = view.count();
            }
        }
    }
}
