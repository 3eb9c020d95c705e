//! What the server does with a frame: takes it if it is next, and notes it once it has been handed out.
//!
//! ```text
//!  collected ─┬─ one frame:  may it? is it next? ──▶ pending ─▶ (published) ─▶ handed_out
//!             ├─ several:    sort: all for the same connections? as they came, else taken apart
//!             └─ control:    controlled
//! ```

use super::Relay;
use super::answers::Answer;
use crate::delivery::Now;
use crate::delivery::intake::{Intake, Stream, Verdict};
use crate::delivery::interests::{Class, Interests};
use crate::delivery::retained::Kept;
use crate::delivery::ring::sequence_behind;
use crate::engine::Frame;
use crate::frame::bundle::{self, views};
use crate::frame::{self, Bundle, Content, Header, View, flags};

impl Relay {
    pub(super) fn collected(&mut self, message: Frame, now: Now) {
        let too_large = self.is_too_large(&message);
        match frame::parse(&message) {
            Ok(Content::Foreign { .. } | Content::Control) | Err(_) if too_large => self.figures.excess += 1,
            Ok(Content::Foreign { name }) if name.len() > self.limits.name => self.figures.excess += 1,
            Ok(Content::Foreign { name }) if self.withholds(name, None, now) => {}
            Ok(Content::Event(view)) => {
                if self.may_emit(&view.header)
                    && !self.withholds(view.name, Some(&view), now)
                    && !self.exceeds(&view, too_large, now)
                    && let Some(past) = self.admits(&view, &message, now)
                {
                    self.pending.push_back(as_past(message.clone(), &view.header, past));
                }
            }
            Ok(Content::Bundle(bundle)) => {
                if self.may_emit(&bundle.first) {
                    if too_large || self.looks_at_each() {
                        self.apart.extend(bundle.views().flatten().map(|view| Frame::new(view.to_bytes())));
                    } else {
                        self.sort(&bundle, &message, now);
                    }
                }
            }
            Ok(Content::Foreign { .. }) => {
                self.figures.foreign += 1;
                self.pending.push_back(message);
            }
            Ok(Content::Control) => {
                let sender = self.sender.clone();
                self.controlled(&message, &sender, now);
            }
            Err(_) => self.figures.malformed += 1,
        }
    }

    pub(super) fn is_too_large(&self, message: &Frame) -> bool {
        message.len() > self.limits.largest_frame.min(self.limits.bounds.message)
    }

    /// Whether the sender may emit under the id it gives.
    fn may_emit(&mut self, header: &Header) -> bool {
        let may = self.owners.may_use(header.publisher, self.sender.owner);
        self.figures.forged += u64::from(!may);
        may
    }

    /// Decides about several frames at once. As long as the same connections want them they go out as they came.
    fn sort(&mut self, bundle: &Bundle<'_>, message: &Frame, now: Now) {
        let frames = bundle.len() as u64;
        let Some(runs) = runs(&self.interests, bundle) else {
            self.figures.malformed += 1;
            return;
        };
        match self.intake.judge(&bundle.first, frames, now) {
            Verdict::Take { had, past } => {
                self.figures.duplicates += had;
                let messages = split(bundle, message, &runs, had as usize).into_iter();
                self.pending.extend(messages.map(|message| as_past(message, &bundle.first, past)));
            }
            Verdict::Duplicate => self.figures.duplicates += frames,
            Verdict::Early => self.figures.early += frames,
        }
    }

    /// Somebody may want more or less: what waits to go out together may not belong together any more. Before anything
    /// is answered, since from its answer on a registration gets everything.
    pub(super) fn sort_again(&mut self) {
        for message in std::mem::take(&mut self.pending) {
            match frame::parse(&message) {
                Ok(Content::Bundle(bundle)) => {
                    let runs = runs(&self.interests, &bundle).unwrap_or_default();
                    self.pending.extend(split(&bundle, &message, &runs, 0));
                }
                _ => self.pending.push_back(message),
            }
        }
    }

    /// Whether the frame is to go out, and before which position an earlier server has acknowledged everything.
    fn admits(&mut self, view: &View<'_>, frame: &Frame, now: Now) -> Option<u64> {
        if view.header.has(flags::TOLD_AGAIN) {
            self.retain(view, frame.clone());
            return None;
        }
        if view.header.position == 0 {
            return Some(0);
        }
        match self.intake.judge(&view.header, 1, now) {
            Verdict::Take { past, .. } => return Some(past),
            Verdict::Duplicate => self.figures.duplicates += 1,
            Verdict::Early => self.figures.early += 1,
        }
        None
    }

    /// Everybody who subscribed has been sent the message: from here on it counts.
    pub(super) fn handed_out(&mut self, message: &Frame, now: Now) {
        let (first, frames) = match frame::parse(message) {
            Ok(Content::Event(view)) => (view.header, 1),
            Ok(Content::Bundle(bundle)) => (bundle.first, bundle.len() as u64),
            _ => return,
        };
        self.figures.frames += frames;
        self.figures.bytes += message.len() as u64;
        if first.position != 0 {
            if Intake::is_resumed(&first) {
                self.begin_grace(now);
            }
            self.intake.take(first.publisher, first.position.saturating_add(frames - 1), message.len(), now);
            let index = self.ring.push(message.clone());
            // Of a frame alone, which may hold thousands of records, these are counted when somebody asks.
            let at = |view: &View<'_>| match frames {
                1 => Stream::InRing(index),
                _ => Stream::Next(sequence_behind(view)),
            };
            let notes = views(message).map(|view| (view, at(&view)));
            self.intake.note(first.publisher, notes);
        }
        for view in views(message).filter(|view| view.header.has(flags::RETAINED)) {
            self.retain(&view, if frames == 1 { message.clone() } else { Frame::new(view.to_bytes()) });
        }
    }

    fn retain(&mut self, view: &View<'_>, frame: Frame) {
        match self.retained.keep(view, frame) {
            Kept::Newest | Kept::Outdated => {}
            // Who registered here before its publisher came back was told that there is none.
            Kept::Recovered => self.push_answer(Answer::Retained(view.name.into())),
            Kept::NoRoom => self.figures.refused += 1,
        }
    }
}

/// Marks what lies before `past`. As a rule its publisher has; what was queued for another server cannot say it.
fn as_past(message: Frame, first: &Header, past: u64) -> Frame {
    let unmarked = |view: View<'_>| view.header.position < past && !view.header.has(flags::PAST);
    if first.position >= past || !views(&message).any(unmarked) {
        return message;
    }
    let positions: Vec<u64> = views(&message).map(|view| view.header.position).collect();
    let marks = |number: usize| if positions.get(number).is_some_and(|at| *at < past) { flags::PAST } else { 0 };
    Frame::new(bundle::with_flags(&message, marks))
}

/// Where the frames of a bundle change from those that the same connections want to others: the number of the first
/// of each run. `None` if it is not what a publisher puts together: numbered without holes, and nothing that must be alone.
fn runs(interests: &Interests, bundle: &Bundle<'_>) -> Option<Vec<usize>> {
    let mut runs = Vec::new();
    let mut last: Option<Class> = None;
    let mut expected = bundle.first.position;
    for (number, view) in bundle.views().enumerate() {
        let View { header, topic, .. } = view.ok()?;
        if header.position != expected || header.position == 0 || header.has(flags::ALONE) {
            return None;
        }
        expected = expected.wrapping_add(1);
        let class = interests.class(topic);
        if runs.is_empty() || class.is_none() || class != last {
            runs.push(number);
        }
        last = class;
    }
    Some(runs)
}

/// The messages in which the frames of a bundle go out, but for the first ones that were `had`. As a rule that is the
/// message as it came.
fn split(bundle: &Bundle<'_>, message: &Frame, runs: &[usize], had: usize) -> Vec<Frame> {
    if had == 0 && runs.len() == 1 {
        return vec![message.clone()];
    }
    let ends = runs.iter().skip(1).copied().chain([bundle.len()]);
    bundle.split(had, ends).into_iter().map(Frame::new).collect()
}
