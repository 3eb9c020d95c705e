//! The receiving side of a client: what it had of every publisher, what it still waits for, and how it
//! gets back what a broken connection lost.
//!
//! ```text
//!            hello                    hello                  answer of sync        end of replay
//!   Apart ──────────▶ Live    any ──────────▶ Syncing ──────────────────▶ Resuming ─────────────▶ Live
//!        (nothing to resume)      (frames are ignored until the replay has ended)
//! ```
//!
//! While it is live, every registration that is not active yet asks the server by a sync of its own.

use std::collections::VecDeque;

use rustc_hash::FxHashMap;

use super::{Limits, Now};
use crate::control::{self, About, Acked, Leaving, Replay, Resume, Synced, Topic};
use crate::engine::Frame;
use crate::frame::{self, Content};

/// What the client must do, in this order.
#[derive(Debug)]
pub enum Action {
    /// Subscribe to this topic.
    Subscribe(Vec<u8>),
    /// Take a subscription back.
    Unsubscribe(Vec<u8>),
    /// Send this control message to the server.
    Send(Frame),
    /// Hand this to the handlers.
    Step(Step),
    /// The server acknowledges frames of this client's publisher.
    Acked(Acked),
    /// A server greets: the first of this client, the same as before, or a new run.
    Greeted(Greeting),
    /// The text of a shape that was asked for, if the server knows it.
    Shape(u64, Option<String>),
    /// The server is leaving: send nothing more until another greets.
    Pause,
    /// The server has left, as far as this client is concerned.
    Bye,
}

/// How a connection's first message compares with what was before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Greeting {
    /// The first server of this client.
    First,
    /// The run of the server that it was before.
    Same,
    /// Another run.
    New,
}

/// What happens at the handlers, in order.
#[derive(Debug)]
pub enum Step {
    /// A frame to decode and hand to whoever registered.
    Frame(Frame),
    /// A message of another protocol.
    Foreign(Frame),
    /// Bytes that are neither.
    Malformed,
    /// A registration is active from here on.
    Activate {
        /// Which one.
        registration: u64,
        /// The retained frame of its event.
        retained: Option<Frame>,
        /// Where the sequences of its event stand: publisher and next sequence.
        sequences: Vec<(u64, u64)>,
    },
    /// A replay has ended: these sequences are reached, whatever arrived.
    Reached(Vec<(u64, String, u64)>),
}

/// Which events a registration is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Interest {
    /// One event, by name.
    Event(String),
    /// All events.
    Any,
}

/// The first bytes names can have: subscribed to for [`Interest::Any`].
const FIRST_BYTES: &[u8; 53] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Apart,
    Syncing { number: u64, since: Now },
    Resuming { number: u64, since: Now },
    Live,
}

#[derive(Debug)]
struct Registration {
    id: u64,
    interest: Interest,
    /// `None`: active. Otherwise the sync that was asked last, if one was.
    pending: Option<Option<(u64, Now)>>,
}

#[derive(Debug)]
struct Asked {
    number: u64,
    since: Now,
    fingerprint: u64,
}

/// The state machine of one client's downlink.
pub struct Subscriber {
    client: u64,
    limits: Limits,
    state: State,
    epoch: Option<u64>,
    number: u64,
    had: FxHashMap<u64, (u64, Now)>,
    registrations: Vec<Registration>,
    asked: Vec<Asked>,
    /// The replay may not be asked for yet: there is no room for what it would bring.
    held: bool,
    /// The subscription to replays was taken back, since the server said bye.
    parted: bool,
    ignored: u64,
    duplicates: u64,
}

impl Subscriber {
    /// A subscriber that has never been connected. Its first actions are the subscriptions every
    /// client has.
    pub fn new(client: u64, publisher: u64, limits: Limits, actions: &mut VecDeque<Action>) -> Subscriber {
        let own = [Topic::Ack { publisher }.bytes(), Topic::Rx { client }.bytes(), Topic::Bye.bytes()];
        actions.extend(own.into_iter().map(Action::Subscribe));
        actions.push_back(Action::Subscribe(control::HELLO.to_vec()));
        Subscriber {
            client,
            limits,
            state: State::Apart,
            epoch: None,
            number: 0,
            had: FxHashMap::default(),
            registrations: Vec::new(),
            asked: Vec::new(),
            held: false,
            parted: false,
            ignored: 0,
            duplicates: 0,
        }
    }

    /// Whether what is emitted now is received.
    #[must_use]
    pub fn is_live(&self) -> bool {
        self.state == State::Live
    }

    /// How many frames came that were had already.
    #[must_use]
    pub fn duplicates(&self) -> u64 {
        self.duplicates
    }

    /// Adds a registration; a [`Step::Activate`] tells when it is active.
    pub fn register(&mut self, id: u64, interest: Interest, now: Now, actions: &mut VecDeque<Action>) {
        if !self.registrations.iter().any(|other| other.interest == interest) {
            actions.extend(topics(&interest).map(Action::Subscribe));
        }
        self.registrations.push(Registration { id, interest, pending: Some(None) });
        self.ask(now, actions);
    }

    /// Registration `new` takes the place of `old`, active or not, in the middle of the stream.
    pub fn replace(&mut self, old: u64, new: u64) {
        for registration in self.registrations.iter_mut().filter(|registration| registration.id == old) {
            registration.id = new;
        }
    }

    /// Removes a registration.
    pub fn unregister(&mut self, id: u64, actions: &mut VecDeque<Action>) {
        let Some(index) = self.registrations.iter().position(|registration| registration.id == id) else { return };
        let gone = self.registrations.swap_remove(index);
        if let Some(Some((number, _))) = gone.pending {
            actions.push_back(Action::Unsubscribe(self.sync_topic(number, &gone.interest)));
        }
        if !self.registrations.iter().any(|other| other.interest == gone.interest) {
            actions.extend(topics(&gone.interest).map(Action::Unsubscribe));
        }
    }

    /// Asks the server for the text behind a fingerprint; an [`Action::Shape`] brings it.
    pub fn ask_shape(&mut self, fingerprint: u64, now: Now, actions: &mut VecDeque<Action>) {
        if self.asked.iter().any(|asked| asked.fingerprint == fingerprint) {
            return;
        }
        let number = self.fresh();
        let topic = Topic::Sync { client: self.client, number, about: About::Shape(fingerprint) };
        actions.push_back(Action::Subscribe(topic.bytes()));
        self.asked.push(Asked { number, since: now, fingerprint });
    }

    /// There is no room for more steps, or there is again: a replay is asked for only with room.
    pub fn hold(&mut self, held: bool, now: Now, actions: &mut VecDeque<Action>) {
        let was = std::mem::replace(&mut self.held, held);
        if was && !held && matches!(self.state, State::Syncing { .. }) {
            self.greeted(now, actions);
        }
    }

    /// What was received will not be handled: it is forgotten from the connection's point of view and
    /// fetched again by a replay, as far as the server still has it.
    pub fn fall_behind(&mut self, now: Now, actions: &mut VecDeque<Action>) {
        if self.state == State::Live {
            self.held = true;
            self.greeted(now, actions);
        }
    }

    /// The connection broke.
    pub fn disconnected(&mut self) {
        self.state = State::Apart;
    }

    /// Tells the server that this client lives and moves on, though it is slow.
    pub fn alive(&mut self, actions: &mut VecDeque<Action>) {
        let number = self.fresh();
        let topic = Topic::Sync { client: self.client, number, about: About::Nothing }.bytes();
        actions.push_back(Action::Subscribe(topic.clone()));
        actions.push_back(Action::Unsubscribe(topic));
    }

    /// When [`tick`](Subscriber::tick) has something to do at the latest.
    #[must_use]
    pub fn deadline(&self) -> Option<Now> {
        let state = match self.state {
            State::Syncing { since, .. } | State::Resuming { since, .. } => Some(since),
            State::Apart | State::Live => None,
        };
        let live = self.state == State::Live;
        let pending = self.registrations.iter().filter_map(|r| r.pending?.map(|(_, since)| since));
        let waiting = pending.filter(|_| live).chain(self.asked.iter().map(|asked| asked.since));
        Some(waiting.chain(state).min()? + self.limits.retry)
    }

    /// Asks again for what got no answer in time.
    pub fn tick(&mut self, now: Now, actions: &mut VecDeque<Action>) {
        let retry = self.limits.retry;
        let late = |since: Now| now.saturating_sub(since) >= retry;
        match self.state {
            State::Syncing { since, .. } | State::Resuming { since, .. } if late(since) => self.greeted(now, actions),
            _ => {}
        }
        let (unanswered, asked) = std::mem::take(&mut self.asked).into_iter().partition(|asked| late(asked.since));
        self.asked = asked;
        let unanswered: Vec<Asked> = unanswered;
        for asked in unanswered {
            let about = About::Shape(asked.fingerprint);
            let topic = Topic::Sync { client: self.client, number: asked.number, about };
            actions.push_back(Action::Unsubscribe(topic.bytes()));
            self.ask_shape(asked.fingerprint, now, actions);
        }
        self.ask(now, actions);
    }

    /// Takes a message of the server.
    pub fn message(&mut self, head: Frame, body: Option<Frame>, now: Now, actions: &mut VecDeque<Action>) {
        match frame::parse(&head) {
            Ok(Content::Event(view)) => {
                let (publisher, position) = (view.header.publisher, view.header.position);
                if self.state != State::Live {
                    self.ignored += 1;
                } else if position == 0 || self.advance(publisher, position, now) {
                    actions.push_back(Action::Step(Step::Frame(head)));
                }
            }
            Ok(Content::Foreign { .. }) => actions.push_back(Action::Step(Step::Foreign(head))),
            Ok(Content::Control) => {
                if let Some((topic, bytes)) = control::parse(&head) {
                    self.control(topic, bytes, body, now, actions);
                }
            }
            Err(_) => actions.push_back(Action::Step(Step::Malformed)),
        }
    }

    fn control(&mut self, topic: Topic, bytes: &[u8], second: Option<Frame>, now: Now, actions: &mut VecDeque<Action>) {
        match topic {
            Topic::Hello { epoch } => self.hello(epoch, now, actions),
            Topic::Sync { number, about, .. } => {
                if let Some(synced) = control::body::<Synced>(bytes) {
                    self.synced(number, &about, synced, second, now, actions);
                }
            }
            Topic::Ack { .. } => actions.extend(control::body(bytes).map(Action::Acked)),
            Topic::Rx { .. } => {
                if let Some(replay) = control::body::<Replay>(bytes) {
                    self.replayed(replay, second, now, actions);
                }
            }
            Topic::Bye => match control::body::<Leaving>(bytes) {
                Some(Leaving { last: true }) => self.bye(actions),
                Some(Leaving { last: false }) => actions.push_back(Action::Pause),
                None => {}
            },
            Topic::Resume { .. } | Topic::Shape { .. } | Topic::Stats => {}
        }
    }

    fn hello(&mut self, epoch: u64, now: Now, actions: &mut VecDeque<Action>) {
        let greeting = match self.epoch.replace(epoch) {
            None => Greeting::First,
            Some(before) if before == epoch => Greeting::Same,
            Some(_) => Greeting::New,
        };
        if std::mem::replace(&mut self.parted, false) {
            actions.push_back(Action::Subscribe(Topic::Rx { client: self.client }.bytes()));
        }
        actions.push_back(Action::Greeted(greeting));
        self.greeted(now, actions);
    }

    /// The server leaves: all that it had for this client came before this word, and it waits for the
    /// client to let go.
    fn bye(&mut self, actions: &mut VecDeque<Action>) {
        self.state = State::Apart;
        if !std::mem::replace(&mut self.parted, true) {
            actions.push_back(Action::Unsubscribe(Topic::Rx { client: self.client }.bytes()));
        }
        actions.push_back(Action::Bye);
    }

    /// Begins to resume, or to live if there is nothing to resume.
    fn greeted(&mut self, now: Now, actions: &mut VecDeque<Action>) {
        if let State::Syncing { number, .. } = self.state {
            actions.push_back(Action::Unsubscribe(self.barrier(number)));
        }
        for registration in &mut self.registrations {
            if let Some(Some((number, _))) = registration.pending {
                let topic = sync_topic(self.client, number, &registration.interest);
                actions.push_back(Action::Unsubscribe(topic));
                registration.pending = Some(None);
            }
        }
        if self.registrations.iter().all(|registration| registration.pending.is_some()) {
            self.state = State::Live;
            self.ask(now, actions);
        } else {
            let number = self.fresh();
            actions.push_back(Action::Subscribe(self.barrier(number)));
            self.state = State::Syncing { number, since: now };
        }
    }

    fn synced(
        &mut self,
        number: u64,
        about: &About,
        synced: Synced,
        retained: Option<Frame>,
        now: Now,
        actions: &mut VecDeque<Action>,
    ) {
        if let About::Shape(fingerprint) = about {
            if let Some(index) = self.asked.iter().position(|asked| asked.number == number) {
                self.asked.swap_remove(index);
                let topic = Topic::Sync { client: self.client, number, about: about.clone() };
                actions.push_back(Action::Unsubscribe(topic.bytes()));
                actions.push_back(Action::Shape(*fingerprint, synced.shape));
            }
            return;
        }
        match self.state {
            State::Syncing { number: awaited, .. } if awaited == number && !self.held => {
                actions.push_back(Action::Unsubscribe(self.barrier(number)));
                let topic = Topic::Resume { client: self.client, number };
                actions.push_back(Action::Send(topic.message(&self.resume())));
                self.state = State::Resuming { number, since: now };
            }
            State::Live => {
                let answers = |r: &Registration| matches!(r.pending, Some(Some((asked, _))) if asked == number);
                let Some(index) = self.registrations.iter().position(answers) else { return };
                // All frames of the events subscribed to before, up to here, came before this answer.
                for (publisher, position) in synced.baseline {
                    self.raise(publisher, position, now);
                }
                let registration = &mut self.registrations[index];
                registration.pending = None;
                let topic = sync_topic(self.client, number, &registration.interest);
                let registration = registration.id;
                actions.push_back(Action::Unsubscribe(topic));
                actions.push_back(Action::Step(Step::Activate {
                    registration,
                    retained,
                    sequences: synced.sequences,
                }));
            }
            _ => {}
        }
    }

    fn resume(&self) -> Resume {
        let mut names = Vec::new();
        let mut any = false;
        for registration in self.registrations.iter().filter(|registration| registration.pending.is_none()) {
            match &registration.interest {
                Interest::Any => any = true,
                Interest::Event(name) if !names.contains(name) => names.push(name.clone()),
                Interest::Event(_) => {}
            }
        }
        Resume { had: self.had.iter().map(|(&publisher, &(had, _))| (publisher, had)).collect(), names, any }
    }

    fn replayed(&mut self, replay: Replay, second: Option<Frame>, now: Now, actions: &mut VecDeque<Action>) {
        match &mut self.state {
            State::Resuming { number, since } if *number == replay.number => *since = now,
            _ => return,
        }
        if let Some(frame) = second
            && let Ok(Content::Event(view)) = frame::parse(&frame)
        {
            let (publisher, position) = (view.header.publisher, view.header.position);
            if self.advance(publisher, position, now) {
                actions.push_back(Action::Step(Step::Frame(frame)));
            }
        }
        if replay.end {
            for (publisher, position) in replay.baseline {
                self.raise(publisher, position, now);
            }
            actions.push_back(Action::Step(Step::Reached(replay.sequences)));
            self.state = State::Live;
            self.ask(now, actions);
        }
    }

    /// Asks for the registrations that are not active yet.
    fn ask(&mut self, now: Now, actions: &mut VecDeque<Action>) {
        if self.state != State::Live {
            return;
        }
        let (client, retry) = (self.client, self.limits.retry);
        for registration in &mut self.registrations {
            let Some(asked) = &mut registration.pending else { continue };
            if let Some((number, since)) = asked {
                if now.saturating_sub(*since) < retry {
                    continue;
                }
                actions.push_back(Action::Unsubscribe(sync_topic(client, *number, &registration.interest)));
            }
            self.number += 1;
            *asked = Some((self.number, now));
            actions.push_back(Action::Subscribe(sync_topic(client, self.number, &registration.interest)));
        }
    }

    /// Notes a frame's position; `false` if it was had before.
    fn advance(&mut self, publisher: u64, position: u64, now: Now) -> bool {
        if self.raise(publisher, position, now) {
            return true;
        }
        self.duplicates += 1;
        false
    }

    fn raise(&mut self, publisher: u64, position: u64, now: Now) -> bool {
        if let Some((had, seen)) = self.had.get_mut(&publisher) {
            if position <= *had {
                return false;
            }
            (*had, *seen) = (position, now);
            return true;
        }
        if self.had.len() >= self.limits.known
            && let Some(oldest) = self.had.iter().min_by_key(|(_, (_, seen))| *seen).map(|(&id, _)| id)
        {
            self.had.remove(&oldest);
        }
        self.had.insert(publisher, (position, now));
        true
    }

    fn fresh(&mut self) -> u64 {
        self.number += 1;
        self.number
    }

    fn barrier(&self, number: u64) -> Vec<u8> {
        Topic::Sync { client: self.client, number, about: About::Nothing }.bytes()
    }

    fn sync_topic(&self, number: u64, interest: &Interest) -> Vec<u8> {
        sync_topic(self.client, number, interest)
    }
}

fn sync_topic(client: u64, number: u64, interest: &Interest) -> Vec<u8> {
    let about = match interest {
        Interest::Event(name) => About::Event(name.clone()),
        Interest::Any => About::Nothing,
    };
    Topic::Sync { client, number, about }.bytes()
}

fn topics(interest: &Interest) -> impl Iterator<Item = Vec<u8>> + use<> {
    let topics = match interest {
        Interest::Event(name) => vec![frame::topic(name)],
        Interest::Any => FIRST_BYTES.iter().map(|&byte| vec![byte]).collect(),
    };
    topics.into_iter()
}
