//! Several frames in one message: events of different types that come faster than messages can be sent.
//!
//! ```text
//!  FRAME FRAME … FRAME  END END … END  COUNT
//!  └ the first one is marked MORE      └ where each frame ends, and how many there are: u32 each, big-endian
//! ```
//!
//! The message begins as its first frame does, so it is matched like it. Who gets one wants all that is in it: the
//! server sees to that.

use super::{Content, FrameError, Header, View, flags, flags_at, parse};

/// The size of one number of the table.
const NUMBER: usize = size_of::<u32>();

/// A message of several frames, taken apart as far as its table goes. Whether each part is a frame shows when it is
/// looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bundle<'a> {
    /// The header of the first frame, without its mark.
    pub first: Header,
    frames: &'a [u8],
    ends: &'a [u8],
}

impl<'a> Bundle<'a> {
    /// Finds the table of a message whose first header is `first`.
    pub(super) fn parse(bytes: &'a [u8], first: Header) -> Option<Bundle<'a>> {
        let (rest, count) = bytes.split_last_chunk::<NUMBER>()?;
        let table = (u32::from_be_bytes(*count) as usize).checked_mul(NUMBER)?;
        let (frames, ends) = rest.split_at_checked(rest.len().checked_sub(table)?)?;
        let first = Header { flags: first.flags & !flags::MORE, ..first };
        let bundle = Bundle { first, frames, ends };
        let mut before = 0;
        let rising = bundle.ends().all(|end| std::mem::replace(&mut before, end) < end);
        (bundle.len() > 1 && rising && before == frames.len()).then_some(bundle)
    }

    /// How many frames there are: at least two.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ends.len() / NUMBER
    }

    /// Never.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The frames, one by one; of whatever is none, what is wrong.
    pub fn views(&self) -> impl Iterator<Item = Result<View<'a>, FrameError>> + use<'a> {
        let mut first = true;
        self.parts().map(move |part| {
            let mine = std::mem::take(&mut first);
            match parse_part(part)? {
                view if !mine && view.header.has(flags::MORE) => Err(FrameError::Bundle),
                view => Ok(View { header: Header { flags: view.header.flags & !flags::MORE, ..view.header }, ..view }),
            }
        })
    }

    /// The bytes of each frame as they stand; the first one is still marked.
    fn parts(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let (frames, mut start) = (self.frames, 0);
        self.ends().map(move |end| &frames[std::mem::replace(&mut start, end)..end])
    }

    /// Those frames whose number, from 0, is `wanted`, as a message of their own; `None` if none is.
    #[must_use]
    pub fn only(&self, mut wanted: impl FnMut(usize) -> bool) -> Option<Vec<u8>> {
        let mut writer = Writer::default();
        let mut bytes = Vec::new();
        for (_, part) in self.parts().enumerate().filter(|(number, _)| wanted(*number)) {
            let start = bytes.len();
            bytes.extend_from_slice(part);
            set_flag(&mut bytes[start..], flags::MORE, false);
            writer.ends(bytes.len());
        }
        writer.finish(&mut bytes);
        (!bytes.is_empty()).then_some(bytes)
    }

    fn ends(&self) -> impl Iterator<Item = usize> + use<'a> {
        let (ends, _) = self.ends.as_chunks::<NUMBER>();
        ends.iter().map(|end| u32::from_be_bytes(*end) as usize)
    }
}

/// A part of a bundle is a frame, and none that holds others.
fn parse_part(part: &[u8]) -> Result<View<'_>, FrameError> {
    match super::parse_event(part)? {
        Some(view) => Ok(view),
        None => Err(FrameError::Bundle),
    }
}

/// Puts frames that were written one behind the other into one message.
#[derive(Debug, Default)]
pub struct Writer(Vec<u32>);

impl Writer {
    /// A frame ends where the message is `at` bytes long.
    pub fn ends(&mut self, at: usize) {
        self.0.push(u32::try_from(at).unwrap_or(u32::MAX));
    }

    /// How many frames have ended.
    #[must_use]
    pub fn frames(&self) -> usize {
        self.0.len()
    }

    /// The frames that have ended in `bytes`, one by one.
    pub fn parts<'a>(&'a self, bytes: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
        let mut start = 0;
        self.0.iter().filter_map(move |&end| bytes.get(std::mem::replace(&mut start, end as usize)..end as usize))
    }

    /// Completes the message. One frame alone stays as it is.
    pub fn finish(self, bytes: &mut Vec<u8>) {
        let Ok(count @ 2..) = u32::try_from(self.0.len()) else { return };
        set_flag(bytes, flags::MORE, true);
        bytes.extend(self.0.iter().chain([&count]).flat_map(|number| number.to_be_bytes()));
    }
}

/// A copy of the message `bytes` in which each frame, by its number, has the flags that `marks` says beside its own.
#[must_use]
pub fn with_flags(bytes: &[u8], marks: impl Fn(usize) -> u8) -> Vec<u8> {
    let mut copy = bytes.to_vec();
    let ends: Vec<usize> = match parse(bytes) {
        Ok(Content::Bundle(bundle)) => bundle.ends().collect(),
        _ => vec![copy.len()],
    };
    let mut start = 0;
    for (number, end) in ends.into_iter().enumerate() {
        set_flag(&mut copy[start..end], marks(number) & 0x7F, true);
        start = end;
    }
    copy
}

fn set_flag(frame: &mut [u8], flag: u8, on: bool) {
    if let Some(slot) = flags_at(frame).and_then(|at| frame.get_mut(at)) {
        *slot = if on { *slot | flag } else { *slot & !flag };
    }
}

/// The frames of a message, whether it holds one or several. What cannot be read is left out.
pub fn views(bytes: &[u8]) -> impl Iterator<Item = View<'_>> {
    let (one, several) = match parse(bytes) {
        Ok(Content::Event(view)) => (Some(view), None),
        Ok(Content::Bundle(bundle)) => (None, Some(bundle.views())),
        _ => (None, None),
    };
    one.into_iter().chain(several.into_iter().flatten().flatten())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::begin;
    use proptest::prelude::*;

    fn bundle(names: &[&str]) -> Vec<u8> {
        let (mut bytes, mut writer) = (Vec::new(), Writer::default());
        for (position, name) in (1..).zip(names) {
            let header = Header { flags: 0, publisher: 7, position, sequence: 0, fingerprint: 0, sent_at: 0 };
            begin(&mut bytes, name, &header);
            bytes.extend_from_slice(&[0x91, 0x05]);
            writer.ends(bytes.len());
        }
        writer.finish(&mut bytes);
        bytes
    }

    fn names(bytes: &[u8]) -> Vec<(&str, u64, u8)> {
        views(bytes).map(|view| (view.name, view.header.position, view.header.flags)).collect()
    }

    #[test]
    fn what_is_put_together_comes_apart() {
        let bytes = bundle(&["A", "BB", "A"]);
        assert!(bytes.starts_with(b"A\0"));
        assert_eq!(&bytes[bytes.len() - 4..], [0, 0, 0, 3]);
        assert_eq!(names(&bytes), [("A", 1, 0), ("BB", 2, 0), ("A", 3, 0)]);
        assert!(matches!(parse(&bytes), Ok(Content::Bundle(bundle)) if bundle.len() == 3));
    }

    #[test]
    fn one_frame_alone_stays_one() {
        let bytes = bundle(&["A"]);
        assert!(matches!(parse(&bytes), Ok(Content::Event(_))));
    }

    #[test]
    fn some_of_it_is_a_message_of_its_own() {
        let bytes = bundle(&["A", "B", "C"]);
        let Ok(Content::Bundle(bundle)) = parse(&bytes) else { panic!("no bundle") };
        assert_eq!(names(&bundle.only(|number| number != 1).unwrap()), [("A", 1, 0), ("C", 3, 0)]);
        let alone = bundle.only(|number| number == 0).unwrap();
        assert!(matches!(parse(&alone), Ok(Content::Event(view)) if view.header.flags == 0));
        assert_eq!(bundle.only(|_| false), None);
    }

    #[test]
    fn each_frame_gets_its_marks() {
        let bytes = bundle(&["A", "B"]);
        let marked = with_flags(&bytes, |number| if number == 0 { flags::OLDEST | flags::PAST } else { flags::PAST });
        assert_eq!(names(&marked), [("A", 1, flags::OLDEST | flags::PAST), ("B", 2, flags::PAST)]);
    }

    #[test]
    fn a_bundle_in_a_bundle_is_refused() {
        let inner = bundle(&["A", "B"]);
        let mut bytes = inner.clone();
        let mut writer = Writer::default();
        writer.ends(bytes.len());
        bytes.extend_from_slice(&inner);
        writer.ends(bytes.len());
        writer.finish(&mut bytes);
        let Ok(Content::Bundle(bundle)) = parse(&bytes) else { panic!("no bundle") };
        assert_eq!(bundle.views().nth(1), Some(Err(FrameError::Bundle)));
    }

    proptest! {
        #[test]
        fn any_change_of_a_bundle_gives_an_answer(at in any::<prop::sample::Index>(), byte in any::<u8>(), cut in 0usize..400) {
            let mut bytes = bundle(&["A", "BB", "CLIENT_UID", "A"]);
            let at = at.index(bytes.len());
            bytes[at] = byte;
            bytes.truncate(cut);
            let _ = views(&bytes).map(|view| view.count()).sum::<u64>();
        }
    }
}
