//! Several frames in one message: events of different types that come faster than messages can be sent.
//!
//! ```text
//!  FRAME  NAME 00 FLAGS OFFSET SEQUENCE FINGERPRINT RECORD…  NAME 00 …  END END … END  COUNT
//!  └ the first, whole, marked MORE                                      └ where each ends, and how many there are
//! ```
//!
//! The others have what differs from the first: FLAGS is one byte, OFFSET how far the position is from the first's
//! (u32), SEQUENCE and FINGERPRINT u64, END and COUNT u32, all big-endian. Publisher and time are those of the first.
//!
//! The message begins as its first frame does, so it is matched like it. Who gets one wants all that is in it: the
//! server sees to that.

use super::{Content, FLAGS_AT, FrameError, Header, View, begin, flags, name, parse, parse_event};

/// The size of one number of the table.
const NUMBER: usize = size_of::<u32>();
/// The size of what stands between the name and the records of a frame that is not the first.
const SHORT_HEADER: usize = 1 + 4 + 8 + 8;

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
        let (first, frames, mut start) = (self.first, self.frames, 0);
        self.ends().map(move |end| {
            let begins = start == 0;
            let part = &frames[std::mem::replace(&mut start, end)..end];
            if begins { whole(part, first) } else { short(part, &first) }
        })
    }

    /// Those frames whose number, from 0, is `wanted`, as a message of their own; `None` if none is.
    #[must_use]
    pub fn only(&self, mut wanted: impl FnMut(usize) -> bool) -> Option<Vec<u8>> {
        let views = self.views().flatten().enumerate().filter(|(number, _)| wanted(*number));
        let bytes = message(views.map(|(_, view)| view));
        (!bytes.is_empty()).then_some(bytes)
    }

    /// The position of the last frame, which is the highest.
    #[must_use]
    pub fn last_position(&self) -> Option<u64> {
        let start = self.ends().rev().nth(1)?;
        short(self.frames.get(start..)?, &self.first).ok().map(|view| view.header.position)
    }

    fn ends(&self) -> impl DoubleEndedIterator<Item = usize> + use<'a> {
        let (ends, _) = self.ends.as_chunks::<NUMBER>();
        ends.iter().map(|end| u32::from_be_bytes(*end) as usize)
    }
}

/// A message of frames of one publisher, whose positions rise.
pub fn message<'a>(views: impl Iterator<Item = View<'a>>) -> Vec<u8> {
    let (mut bytes, mut writer) = (Vec::new(), Writer::default());
    for view in views {
        writer.begin(&mut bytes, view.key(), &view.header);
        bytes.extend_from_slice(view.records);
        writer.ends(bytes.len());
    }
    writer.finish(&mut bytes);
    bytes
}

/// The first part, whose header is known already.
fn whole(part: &[u8], first: Header) -> Result<View<'_>, FrameError> {
    let view = parse_event(part)?.ok_or(FrameError::Bundle)?;
    Ok(View { header: first, ..view })
}

/// Any other part.
fn short<'a>(part: &'a [u8], first: &Header) -> Result<View<'a>, FrameError> {
    let name = name::first(part).ok_or(FrameError::Name)?;
    let (topic, rest) = part.split_at(name.len() + 1);
    let (header, records) = rest.split_first_chunk::<SHORT_HEADER>().ok_or(FrameError::Header)?;
    let [flags, numbers @ ..] = header;
    let (offset, numbers) = numbers.split_first_chunk().ok_or(FrameError::Header)?;
    let (sequence, fingerprint) = numbers.split_first_chunk().ok_or(FrameError::Header)?;
    let fingerprint = fingerprint.first_chunk().ok_or(FrameError::Header)?;
    let header = Header {
        flags: *flags,
        position: first.position.saturating_add(u32::from_be_bytes(*offset).into()),
        sequence: u64::from_be_bytes(*sequence),
        fingerprint: u64::from_be_bytes(*fingerprint),
        ..*first
    };
    if *flags >= flags::MORE { Err(FrameError::Bundle) } else { Ok(View { topic, header, records }) }
}

/// Writes frames one behind the other into one message.
#[derive(Debug, Default)]
pub struct Writer {
    ends: Vec<u32>,
    first: u64,
}

impl Writer {
    /// Begins a frame of the same publisher and time as the first; its records follow.
    pub fn begin(&mut self, out: &mut Vec<u8>, name: impl AsRef<[u8]>, header: &Header) {
        let name = name.as_ref();
        if self.ends.is_empty() {
            self.first = header.position;
            return begin(out, name, header);
        }
        let offset = u32::try_from(header.position - self.first).unwrap_or(u32::MAX);
        let mut short = [header.flags & !flags::MORE; SHORT_HEADER];
        short[1..5].copy_from_slice(&offset.to_be_bytes());
        short[5..13].copy_from_slice(&header.sequence.to_be_bytes());
        short[13..].copy_from_slice(&header.fingerprint.to_be_bytes());
        out.reserve(name.len() + 1 + SHORT_HEADER);
        out.extend_from_slice(name);
        out.push(0);
        out.extend_from_slice(&short);
    }

    /// The frame that was begun ends where the message is `at` bytes long.
    pub fn ends(&mut self, at: usize) {
        self.ends.push(u32::try_from(at).unwrap_or(u32::MAX));
    }

    /// How many frames have ended.
    #[must_use]
    pub fn frames(&self) -> usize {
        self.ends.len()
    }

    /// How many bytes completing the message adds if one more frame has ended by then.
    #[must_use]
    pub fn table(&self) -> usize {
        if self.ends.is_empty() { 0 } else { (self.ends.len() + 2) * NUMBER }
    }

    /// Completes the message. One frame alone stays as it is.
    pub fn finish(self, bytes: &mut Vec<u8>) {
        let Ok(count @ 2..) = u32::try_from(self.ends.len()) else { return };
        set_flags(bytes, 1 + FLAGS_AT, flags::MORE);
        bytes.extend(self.ends.iter().chain([&count]).flat_map(|number| number.to_be_bytes()));
    }
}

/// A copy of the message `bytes` in which each frame, by its number, has the flags that `marks` says beside its own.
#[must_use]
pub fn with_flags(bytes: &[u8], marks: impl Fn(usize) -> u8) -> Vec<u8> {
    let mut copy = bytes.to_vec();
    set_flags(&mut copy, 1 + FLAGS_AT, marks(0) & 0x7F);
    if let Ok(Content::Bundle(bundle)) = parse(bytes) {
        let starts = bundle.ends().take(bundle.len() - 1);
        starts.zip(1..).for_each(|(start, number)| set_flags(&mut copy[start..], 1, marks(number) & 0x7F));
    }
    copy
}

/// Sets flags of the frame that begins here, so far behind the zero byte of its name.
fn set_flags(frame: &mut [u8], behind: usize, flags: u8) {
    let zero = frame.iter().take(name::MAX_NAME + 1).position(|&byte| byte == 0);
    if let Some(slot) = zero.and_then(|zero| frame.get_mut(zero + behind)) {
        *slot |= flags;
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
    use proptest::prelude::*;

    fn bundle(names: &[&str]) -> Vec<u8> {
        let (mut bytes, mut writer) = (Vec::new(), Writer::default());
        for (position, name) in (1..).zip(names) {
            let header = Header { flags: 0, publisher: 7, position, sequence: 0, fingerprint: 0, sent_at: 0 };
            writer.begin(&mut bytes, name, &header);
            bytes.extend_from_slice(&[0x91, 0x05]);
            writer.ends(bytes.len());
        }
        writer.finish(&mut bytes);
        bytes
    }

    fn names(bytes: &[u8]) -> Vec<(&str, u64, u8)> {
        views(bytes).map(|view| (view.name(), view.header.position, view.header.flags)).collect()
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
        assert_eq!(names(&bundle.only(|number| number != 1).expect("two")), [("A", 1, 0), ("C", 3, 0)]);
        let alone = bundle.only(|number| number == 0).expect("one");
        assert!(matches!(parse(&alone), Ok(Content::Event(view)) if view.header.flags == 0));
        assert_eq!(bundle.only(|_| false), None);
    }

    #[test]
    fn the_last_position_is_found_with_holes_and_without() {
        let bytes = bundle(&["A", "B", "C", "D"]);
        let Ok(Content::Bundle(all)) = parse(&bytes) else { panic!("no bundle") };
        assert_eq!(all.last_position(), Some(4));
        let bytes = all.only(|number| number % 2 == 0).expect("two");
        let Ok(Content::Bundle(some)) = parse(&bytes) else { panic!("no bundle") };
        assert_eq!((some.first.position, some.last_position()), (1, Some(3)));
    }

    #[test]
    fn each_frame_gets_its_marks() {
        let bytes = bundle(&["A", "B"]);
        let marked = with_flags(&bytes, |number| if number == 0 { flags::OLDEST | flags::PAST } else { flags::PAST });
        assert_eq!(names(&marked), [("A", 1, flags::OLDEST | flags::PAST), ("B", 2, flags::PAST)]);
    }

    #[test]
    fn a_frame_among_others_cannot_hold_more() {
        let mut bytes = bundle(&["A", "BB"]);
        let at = bytes.iter().rposition(|&byte| byte == b'B').expect("a name") + 2;
        bytes[at] |= flags::MORE;
        let Ok(Content::Bundle(bundle)) = parse(&bytes) else { panic!("no bundle") };
        assert_eq!(bundle.views().nth(1), Some(Err(FrameError::Bundle)));
    }

    /// Written out by hand from the protocol document.
    #[test]
    fn golden_bytes() {
        let bytes = bundle(&["A", "BB"]);
        let expected = [
            &b"A\0\x97\x01\x20"[..],
            &[0xCF, 0, 0, 0, 0, 0, 0, 0, 7],
            &[0xCF, 0, 0, 0, 0, 0, 0, 0, 1],
            &[0xCF, 0, 0, 0, 0, 0, 0, 0, 0],
            &[0xCF, 0, 0, 0, 0, 0, 0, 0, 0],
            &[0xCF, 0, 0, 0, 0, 0, 0, 0, 0],
            &[0x91, 0x05],
            b"BB\0",
            &[0, 0, 0, 0, 1],
            &[0; 16],
            &[0x91, 0x05],
            &[0, 0, 0, 52, 0, 0, 0, 78, 0, 0, 0, 2],
        ]
        .concat();
        assert_eq!(bytes, expected);
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
