//! Frames beyond the limits of this server are dropped and counted, also for what stands inside them.
//!
//! A server never has to look at a record: whoever receives one does, and is safe from it. Where a limit is set,
//! it looks.

use super::Relay;
use crate::delivery::intake::{Intake, Stream, Verdict};
use crate::delivery::{Contents, Now};
use crate::frame::{self, Bundle, View, flags};
use crate::reader::{MAX_DEPTH, Reader};

impl Relay {
    /// Whether this frame is more than this server takes. It counts as taken all the same, or its publisher would
    /// send it for ever.
    pub(super) fn exceeds(&mut self, view: &View<'_>, too_large: bool, now: Now) -> bool {
        if !too_large && self.fits(view) {
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

    fn fits(&self, view: &View<'_>) -> bool {
        view.key().len() <= self.limits.name && self.limits.contents.is_none_or(|contents| contents.hold(view.records))
    }

    /// Whether some of the frames in one message are to be dropped.
    pub(super) fn drops_some(&self, bundle: &Bundle<'_>) -> bool {
        let permission = self.sender.permission.as_ref();
        if permission.is_none() && self.limits.contents.is_none() && self.limits.name >= frame::MAX_NAME {
            return false;
        }
        let may = |name| permission.is_none_or(|permission| permission.emit.contain(name));
        !bundle.views().flatten().all(|view| may(view.name()) && self.fits(&view))
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
    use std::time::Duration;

    use proptest::prelude::*;

    use super::super::stub::Stub;
    use super::*;
    use crate::control::Topic;
    use crate::delivery::Limits;
    use crate::engine::Frame;
    use crate::frame::{Header, bundle};

    const LIMITS: Contents = Contents { records: 2, depth: 2, length: 4 };

    #[test]
    fn what_fits_stays_together_and_only_what_does_not_is_dropped() {
        let limits = Limits { contents: Some(LIMITS), ..Limits::default() };
        let (mut relay, mut hub) = (Relay::new(1, limits), Stub::default());
        hub.told(&Topic::Bundles, 1);
        hub.subscribed(frame::topic("A"), true, 1);
        hub.subscribed(frame::topic("B"), true, 1);
        (0..2).for_each(|now| _ = relay.turn(&mut hub, now, Duration::ZERO).expect("open"));
        let message = |from: u64, records: [&[u8]; 3]| {
            let frames = records.into_iter().zip(["A", "B", "A"]).zip(from..).map(|((records, name), position)| {
                let flags = if position == 1 { flags::OLDEST } else { 0 };
                let header = Header { flags, publisher: 9, position, sequence: position, fingerprint: 0, sent_at: 0 };
                View { topic: name.as_bytes(), header, records }
            });
            Frame::new(bundle::message(frames))
        };
        let long = [0x95, 1, 2, 3, 4, 5];
        hub.published.clear();
        hub.frames.extend([message(1, [&[0x90], &[0x90], &[0x90]]), message(4, [&[0x90], &long, &[0x90]])]);
        relay.turn(&mut hub, 2, Duration::ZERO).expect("open");
        let positions = |message: &Frame| bundle::views(message).map(|view| view.header.position).collect::<Vec<_>>();
        let published: Vec<_> = hub.published.iter().map(positions).filter(|positions| !positions.is_empty()).collect();
        assert_eq!(published, [vec![1, 2, 3], vec![4], vec![6]]);
        assert_eq!(relay.figures().excess, 1);
    }

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
            let whole = View { topic: b"A\0", header: crate::frame::Header {
                flags: 0, publisher: 1, position: 1, sequence: 0, fingerprint: 0, sent_at: 0,
            }, records: &bytes };
            prop_assert_eq!(Contents::default().hold(&bytes), whole.records().all(|record| record.is_ok()));
        }
    }
}
