//! What the server does with a frame that comes: takes it if it is next.
//!
//! ```text
//!  collected ─┬─ one frame:  may it? is it next? ──▶ pending (outgoing.rs)
//!             ├─ several:    in order? who wants it? ──▶ pending, as it came or taken apart
//!             └─ control:    controlled
//! ```

use super::Relay;
use super::outgoing::{Outgoing, are_for_the_same, client_of};
use crate::delivery::Now;
use crate::delivery::intake::Verdict;
use crate::engine::Frame;
use crate::frame::bundle::{self, views};
use crate::frame::{self, Bundle, Content, Header, View, flags};

impl Relay {
    /// Returns whether there is more to do for it.
    pub(super) fn collected(&mut self, message: Frame, now: Now) -> bool {
        let too_large = self.is_too_large(&message);
        match frame::parse(&message) {
            Ok(Content::Foreign { .. } | Content::Control) | Err(_) if too_large => self.figures.excess += 1,
            Ok(Content::Foreign { name }) if name.len() > self.limits.name => self.figures.excess += 1,
            Ok(Content::Foreign { name }) if self.withholds(name, None, now) => {}
            Ok(Content::Event(view)) => {
                if self.may_emit(&view.header)
                    && !self.withholds(view.name(), Some(&view), now)
                    && !self.exceeds(&view, too_large, now)
                    && let Some(past) = self.admits(&view, &message, now)
                {
                    self.pending = Some(Outgoing::whole(as_past(message.clone(), &view.header, past)));
                }
            }
            Ok(Content::Bundle(bundle)) => {
                if self.may_emit(&bundle.first) {
                    if too_large || self.drops_some(&bundle) {
                        self.apart.extend(bundle.views().flatten().map(|view| Frame::new(view.to_bytes())));
                    } else {
                        self.sort(&bundle, &message, now);
                    }
                }
            }
            Ok(Content::Foreign { .. }) => {
                self.figures.foreign += 1;
                self.pending = Some(Outgoing::whole(message));
            }
            Ok(Content::Control) => {
                let sender = self.sender.clone();
                self.controlled(&message, &sender, now);
                return true;
            }
            Err(_) => self.figures.malformed += 1,
        }
        false
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

    /// Decides about several frames at once.
    fn sort(&mut self, bundle: &Bundle<'_>, message: &Frame, now: Now) {
        let frames = bundle.len() as u64;
        let Some(same) = are_for_the_same(&self.interests, bundle) else {
            self.figures.malformed += 1;
            return;
        };
        match self.intake.judge(&bundle.first, frames, now) {
            Verdict::Take { had, past } => {
                self.figures.duplicates += had;
                let rest = if had == 0 { None } else { bundle.only(|number| number as u64 >= had).map(Frame::new) };
                let message = as_past(rest.unwrap_or_else(|| message.clone()), &bundle.first, past);
                self.pending = Some(match same {
                    true => Outgoing::whole(message),
                    false => {
                        let client_of = |peer| client_of(&self.clients, peer);
                        Outgoing::apart(message, &mut self.interests, &client_of)
                    }
                });
            }
            Verdict::Duplicate => self.figures.duplicates += frames,
            Verdict::Early => self.figures.early += frames,
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::stub::Stub;
    use super::super::{Pace, SLICE};
    use super::*;
    use crate::control::{Resume, Topic};
    use crate::delivery::Limits;

    #[test]
    fn a_turn_that_has_taken_all_there_was_asks_for_no_other() {
        let (mut relay, mut hub) = (Relay::new(1, Limits::default()), Stub::default());
        let mut turn = |hub: &mut Stub| relay.turn(hub, 0, Duration::ZERO).expect("open");
        hub.told(&Topic::Rx { client: 5 }, 1);
        hub.emit(9, 1);
        assert!(matches!(turn(&mut hub), Pace::Idle(_)));

        let more = 2..=SLICE as u64 + 2;
        more.for_each(|position| hub.emit(9, position));
        assert_eq!(turn(&mut hub), Pace::Busy, "one is left");
        assert!(matches!(turn(&mut hub), Pace::Idle(_)));

        // What a replay has to say begins with the next turn.
        let asks = Resume { had: vec![(9, 1)], names: vec!["E".to_owned()], any: false };
        hub.frames.push_back(Topic::Resume { client: 5, number: 1 }.message(&asks));
        assert_eq!(turn(&mut hub), Pace::Busy);
    }
}
