//! What a key may not do is dropped, counted, and told to whoever tried.
//!
//! Only keys with restrictions come here: for all others there is no permission to be asked.

use std::sync::Arc;

use hashlink::LinkedHashMap;
use rustc_hash::{FxBuildHasher, FxHashMap};

use super::{Answer, Relay};
use crate::control::{self, About, Denied, Resume, Topic};
use crate::delivery::Now;
use crate::engine::{Hub, Owner, Peer, Subscription};
use crate::frame::View;
use crate::permission::Permission;

/// Who tries the same again is told again after this long, in microseconds.
const AGAIN: Now = 1_000_000;
/// Who comes back after less than this is told once more.
const LATE: Now = 5_000_000;
/// How many words of refusal there are in that time, for all together.
const WORDS: u32 = 256;
/// How much is remembered of whom to tell what.
const MOST: usize = 4096;
/// How many refused events a connection is told of that has not said yet who it is.
const WAITING: usize = 16;

/// Who sent a message.
#[derive(Clone, Debug, Default)]
pub(super) struct Sender {
    pub(super) owner: Option<Owner>,
    /// What it may do, unless that is everything.
    pub(super) permission: Option<Arc<Permission>>,
}

/// Who may not do everything, and who was told so.
#[derive(Debug, Default)]
pub(super) struct Permits {
    /// The latest last.
    told: LinkedHashMap<(u64, Denied), Now, FxBuildHasher>,
    /// Since when words are counted, and how many there were.
    words: (Now, u32),
    listeners: FxHashMap<Peer, Listener>,
}

/// A connection of a client that may not register for everything.
#[derive(Debug, Default)]
struct Listener {
    client: Option<u64>,
    /// What it was refused before it said who it is: after a break names come first.
    refused: Vec<Denied>,
}

impl Sender {
    /// Of what the hub has collected last.
    pub(super) fn of(hub: &dyn Hub) -> Sender {
        let owner = hub.sender();
        Sender { owner, permission: owner.and_then(|owner| hub.permission(owner)) }
    }

    /// Takes out of a resume what its sender may not be given.
    pub(super) fn narrow(&self, resume: &mut Resume) {
        let Some(permission) = &self.permission else { return };
        resume.names.retain(|name| permission.register.contain(name));
        resume.any &= permission.register == crate::permission::Names::All;
    }
}

impl Permits {
    /// Whether now is the time to say this to `client`.
    fn is_due(&mut self, client: u64, denied: &Denied, now: Now) -> bool {
        if now.saturating_sub(self.words.0) >= AGAIN {
            self.words = (now, 0);
        }
        let key = (client, denied.clone());
        if self.words.1 >= WORDS || self.told.get(&key).is_some_and(|&at| now.saturating_sub(at) < AGAIN) {
            return false;
        }
        if self.told.len() >= MOST {
            self.told.pop_front();
        }
        self.words.1 += 1;
        self.told.insert(key, now);
        true
    }

    fn listener(&mut self, peer: Peer) -> &mut Listener {
        if self.listeners.len() >= MOST && !self.listeners.contains_key(&peer) {
            self.listeners.clear();
        }
        self.listeners.entry(peer).or_default()
    }
}

impl Relay {
    /// Whether the sender of this message may not emit `name`.
    pub(super) fn withholds(&mut self, name: &str, view: Option<&View<'_>>, now: Now) -> bool {
        let Some(permission) = &self.sender.permission else { return false };
        if permission.emit.contain(name) {
            return false;
        }
        let Some(view) = view else {
            self.figures.denied += 1;
            return true;
        };
        self.figures.denied += u64::from(self.withhold(view, now));
        self.deny(view.header.publisher, Denied { emitted: true, event: name.to_owned() }, now);
        true
    }

    /// Whether this subscription may count, as far as its key goes. One that may not is dropped.
    pub(super) fn lets_hear(
        &mut self,
        hub: &dyn Hub,
        subscription: &Subscription,
        topic: Option<&Topic>,
        now: Now,
    ) -> bool {
        let Some(permission) = subscription.owner.and_then(|owner| hub.permission(owner)) else { return true };
        if permission.register == crate::permission::Names::All {
            return true;
        }
        if let (Some(Topic::Rx { client }), Some(peer)) = (topic, subscription.peer) {
            // Over a new connection the client knows nothing of what was said before.
            self.permits.told.retain(|(told, denied), _| told != client || denied.emitted);
            let listener = self.permits.listener(peer);
            listener.client = Some(*client);
            for denied in std::mem::take(&mut listener.refused) {
                self.deny(*client, denied, now);
            }
        }
        let Err(event) = refused(&permission, &subscription.topic, topic) else { return true };
        self.figures.denied += 1;
        let denied = Denied { emitted: false, event };
        if let Some(Topic::Sync { client, .. }) = topic {
            self.deny(*client, denied, now);
        } else if let Some(peer) = subscription.peer {
            let listener = self.permits.listener(peer);
            match listener.client {
                Some(client) => self.deny(client, denied, now),
                None if listener.refused.len() < WAITING && !listener.refused.contains(&denied) => {
                    listener.refused.push(denied);
                }
                None => {}
            }
        }
        false
    }

    fn deny(&mut self, client: u64, denied: Denied, now: Now) {
        if self.permits.is_due(client, &denied, now) {
            self.push_answer(Answer::Message(Topic::Denied { client }.message(&denied)));
        }
    }

    /// `client` listens, over a connection that is new: what it was told of late may not have reached it.
    pub(super) fn deny_again(&mut self, client: u64, now: Now) {
        let of_late = |((told, denied), at): (&(u64, Denied), &Now)| {
            let missed = *told == client && denied.emitted && now.saturating_sub(*at) < LATE;
            missed.then(|| denied.clone())
        };
        for denied in self.permits.told.iter().filter_map(of_late).collect::<Vec<_>>() {
            self.push_answer(Answer::Message(Topic::Denied { client }.message(&denied)));
        }
    }
}

/// What is refused of a subscription: the name of the event, or `*` where it is not to one event. Whatever is neither
/// a word of the server's nor one whole name is refused: by a beginning one hears what has it.
fn refused(permission: &Permission, bytes: &[u8], topic: Option<&Topic>) -> Result<(), String> {
    let may = |name: &str| match permission.register.contain(name) {
        true => Ok(()),
        false => Err(name.to_owned()),
    };
    match topic {
        // Its answer brings the retained frame.
        Some(Topic::Sync { about: About::Event(name), .. }) => may(name),
        Some(Topic::Sync { about: About::Events, .. }) => Err("*".to_owned()),
        Some(_) => Ok(()),
        None if bytes == control::HELLO => Ok(()),
        None => match bytes.split_last().map(|(zero, name)| (zero, std::str::from_utf8(name))) {
            Some((0, Ok(name))) if !name.is_empty() && !name.contains('\0') => may(name),
            _ => Err("*".to_owned()),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_names_that_are_allowed_pass() {
        let permission = Permission { register: "MAIL_* A".parse().expect("patterns"), ..Permission::default() };
        let all = Topic::Sync { client: 1, number: 1, about: About::Events }.bytes();
        let sync = |name: &str| Topic::Sync { client: 1, number: 1, about: About::Event(name.to_owned()) }.bytes();
        for (topic, passes) in [
            (&b"MAIL_X\0"[..], true),
            (b"A\0", true),
            (b"A", false),
            (b"MAIL_", false),
            (b"MAIL_X", false),
            (b"B\0", false),
            (b"", false),
            (b"\0", false),
            (b"B\0A\0", false),
            (b"\xFFhello/", true),
            (b"\xFFhell", false),
            (b"\xFF", false),
            (b"\xFFbye", true),
            (b"\xFFstats", true),
            (&sync("A"), true),
            (&sync("B"), false),
            (&all, false),
        ] {
            assert_eq!(refused(&permission, topic, Topic::parse(topic).as_ref()).is_ok(), passes, "{topic:?}");
        }
    }

    #[test]
    fn who_tries_all_the_time_is_told_now_and_then() {
        let mut permits = Permits::default();
        let denied = |event: usize| Denied { emitted: true, event: event.to_string() };
        let told = (0..10_000).filter(|&step| permits.is_due(1, &denied(0), step * 1_000)).count();
        assert_eq!(told, 10);
        let told = (0..10_000).filter(|&event| permits.is_due(1, &denied(event), 20_000_000)).count();
        assert_eq!(told, WORDS as usize);
    }
}
