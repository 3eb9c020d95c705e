//! Frames beyond the limits of this server are dropped and counted, also for what stands inside them.
//!
//! A server never has to look at a record: whoever receives one does, and is safe from it. Where a limit is set,
//! it looks.

use super::Relay;
use crate::delivery::intake::{Intake, Stream, Verdict};
use crate::delivery::{Contents, Now};
use crate::frame::{self, View, flags};
use crate::reader::{MAX_DEPTH, Reader};

impl Relay {
    /// Whether this frame is more than this server takes. It counts as taken all the same, or its publisher would
    /// send it for ever.
    pub(super) fn exceeds(&mut self, view: &View<'_>, too_large: bool, now: Now) -> bool {
        let fits = !too_large
            && view.name.len() <= self.limits.name
            && self.limits.contents.is_none_or(|contents| contents.hold(view.records));
        if fits {
            return false;
        }
        self.figures.excess += u64::from(self.withhold(view, now));
        true
    }

    /// Goes on behind a frame that is given to nobody. The sequence tells those who listen what they did not get.
    /// `false`: it came before, or too early, and was seen or will be.
    pub(super) fn withhold(&mut self, view: &View<'_>, now: Now) -> bool {
        let header = &view.header;
        if header.position == 0 || header.has(flags::TOLD_AGAIN) {
            return true;
        }
        if !matches!(self.intake.judge(header, 1, now), Verdict::Take { .. }) {
            return false;
        }
        if Intake::is_resumed(header) {
            self.begin_grace(now);
        }
        self.intake.take(header.publisher, header.position, 0, now);
        let next = header.sequence.saturating_add(view.count());
        self.intake.note(header.publisher, std::iter::once((*view, Stream::Next(next))));
        true
    }

    /// Whether of several frames in one message each has to be looked at, since some may be dropped.
    pub(super) fn looks_at_each(&self) -> bool {
        self.sender.permission.is_some() || self.limits.contents.is_some() || self.limits.name < frame::MAX_NAME
    }
}

impl Contents {
    /// Whether `records` are within these limits. What cannot be read is not: nothing is known of what is behind.
    fn hold(self, records: &[u8]) -> bool {
        let mut reader = Reader::new(records);
        let mut count = 0;
        while !reader.is_empty() {
            count += 1;
            if count > self.records || !self.holds_one(&mut reader) {
                return false;
            }
        }
        true
    }

    fn holds_one(self, reader: &mut Reader<'_>) -> bool {
        // How many values are still to come at each open level.
        let mut open = [0_usize; MAX_DEPTH];
        let mut depth = 0;
        loop {
            let (start, head) = (reader.position(), head_of_text(reader.rest()));
            let Ok(inside) = reader.skip_one() else { return false };
            let text = head.map_or(0, |head| reader.position() - start - head);
            if inside > reader.rest().len() || inside > self.length || text > self.length {
                return false;
            }
            if inside > 0 {
                if depth >= self.depth.min(MAX_DEPTH) {
                    return false;
                }
                open[depth] = inside;
                depth += 1;
                continue;
            }
            loop {
                if depth == 0 {
                    return true;
                }
                open[depth - 1] -= 1;
                if open[depth - 1] > 0 {
                    break;
                }
                depth -= 1;
            }
        }
    }
}

/// How many bytes come before those of a text, if one begins here.
fn head_of_text(bytes: &[u8]) -> Option<usize> {
    match bytes.first()? {
        0xA0..=0xBF => Some(1),
        0xC4 | 0xD9 => Some(2),
        0xC5 | 0xDA | 0xC7 => Some(3),
        0xC8 => Some(4),
        0xC6 | 0xDB => Some(5),
        0xC9 => Some(6),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LIMITS: Contents = Contents { records: 2, depth: 2, length: 4 };

    #[test]
    fn each_limit_holds() {
        for (records, fits) in [
            (&[][..], true),
            (&[0x90, 0x90], true),
            (&[0x90, 0x90, 0x90], false),
            (&[0x91, 0x91, 0x01], true),
            (&[0x91, 0x91, 0x91, 0x01], false),
            (&[0x94, 1, 2, 3, 4], true),
            (&[0x95, 1, 2, 3, 4, 5], false),
            (&[0x91, 0xC4, 4, 1, 2, 3, 4], true),
            (&[0x91, 0xA4, 1, 2, 3, 4], true),
            (&[0x91, 0xA5, 1, 2, 3, 4, 5], false),
            (&[0x91, 0xC6, 0, 0, 0, 5, 1, 2, 3, 4, 5], false),
            (&[0x91], false),
            (&[0xDD, 0xFF, 0xFF, 0xFF, 0xFF], false),
        ] {
            assert_eq!(LIMITS.hold(records), fits, "{records:?}");
        }
        assert!(!Contents::default().hold(&[0x91; 100_000]));
    }

    proptest! {
        #[test]
        fn any_bytes_give_an_answer(bytes in any::<Vec<u8>>()) {
            let whole = View { name: "A", topic: b"A\0", header: crate::frame::Header {
                flags: 0, publisher: 1, position: 1, sequence: 0, fingerprint: 0, sent_at: 0,
            }, records: &bytes };
            prop_assert_eq!(Contents::default().hold(&bytes), whole.records().all(|record| record.is_ok()));
        }
    }
}
