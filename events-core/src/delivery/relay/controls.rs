//! What clients say to the server beside their frames.

use super::Relay;
use super::permits::Sender;
use crate::control::{self, Announced, Begins, Resume, Topic};
use crate::delivery::Now;
use crate::delivery::replay::Replay;
use crate::engine::Frame;
use crate::frame;

impl Relay {
    pub(super) fn controlled(&mut self, message: &Frame, sender: &Sender, now: Now) {
        match control::parse(message) {
            Some((Topic::Shape { fingerprint }, body)) => {
                if let Some(announced) = control::body::<Announced>(body)
                    && announced.name.len() <= frame::MAX_NAME
                    && crate::shape::fingerprint_of(&announced.shape) == fingerprint
                {
                    if !self.owners.may_use(announced.publisher, sender.owner) {
                        self.figures.forged += 1;
                        return;
                    }
                    self.intake.announced(&announced);
                    let bytes = self.shape_bytes + announced.shape.len();
                    if self.shapes.len() < self.limits.known
                        && bytes <= self.limits.window
                        && !self.shapes.contains_key(&fingerprint)
                    {
                        self.shape_bytes = bytes;
                        self.shapes.insert(fingerprint, announced.shape);
                    }
                    return;
                }
            }
            Some((Topic::Begin { publisher }, _)) if !self.owners.may_use(publisher, sender.owner) => {
                self.figures.forged += 1;
                return;
            }
            Some((Topic::Begin { publisher }, body)) => {
                if let Some(begins) = control::body::<Begins>(body) {
                    // What was meant for another run says nothing about this one.
                    if begins.epoch == self.epoch {
                        self.intake.begins(publisher, &begins);
                        if begins.past > 1 {
                            self.begin_grace(now);
                        }
                    }
                    return;
                }
            }
            Some((Topic::Resume { client, .. }, _)) if !self.owners.may_use(client, sender.owner) => {
                self.figures.forged += 1;
                return;
            }
            Some((Topic::Resume { client, number }, body)) => {
                if let Some(mut resume) = control::body::<Resume>(body)
                    && let Some(entry) = self.clients.get_mut(&client)
                {
                    entry.seen = now;
                    sender.narrow(&mut resume);
                    if entry.served != Some(number) {
                        entry.served = Some(number);
                        entry.replay = Some(Replay::new(number, resume, &self.ring, now));
                        self.figures.replays += 1;
                    }
                    return;
                }
            }
            _ => {}
        }
        self.figures.refused += 1;
    }
}
