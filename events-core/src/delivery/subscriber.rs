//! The receiving side of a client: what it had of every publisher, what it still waits for, and how it
//! gets back what a broken connection lost.
//!
//! ```text
//!            hello                    hello                  answer of sync        end of replay
//!   Apart ──────────▶ Live    any ──────────▶ Syncing ──────────────────▶ Resuming ─────────────▶ Live
//!        (nothing to resume)      (frames are ignored until the replay has ended)
//! ```
//!
//! While it is live, every registration that is not active yet asks the server by a sync of its own. And nothing is
//! taken back before the server has answered that it knows: see [`interests`](super::interests).

use std::collections::{BTreeMap, VecDeque};

use hashlink::LinkedHashMap;
use rustc_hash::FxBuildHasher;

use super::{Limits, Now};
use crate::control::{self, About, Hold, Leaving, Replay, Resume, Synced, Topic};
use crate::engine::Frame;
use crate::frame::bundle::views;
use crate::frame::{self, Bundle, Content, FIRST_BYTES, View, flags};

mod question;
mod step;
mod wanted;

pub use step::{Action, Greeting, Interest, Step};

use question::Question;
use wanted::Wanted;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Apart,
    Syncing(Question),
    Resuming(Question),
    Live,
}

#[derive(Debug)]
struct Registration {
    id: u64,
    interest: Interest,
    /// `None`: active. Otherwise the sync that was asked, if one was on this connection.
    pending: Option<Option<Question>>,
}

#[derive(Debug)]
struct Asked {
    question: Question,
    fingerprint: u64,
}

/// An interest that is given up.
#[derive(Debug)]
struct GivenUp {
    question: Question,
    interest: Interest,
}

/// The state machine of one client's downlink.
pub struct Subscriber {
    client: u64,
    limits: Limits,
    state: State,
    epoch: Option<u64>,
    number: u64,
    had: LinkedHashMap<u64, u64, FxBuildHasher>,
    registrations: Vec<Registration>,
    /// What the active ones want.
    wanted: Wanted,
    asked: Vec<Asked>,
    given_up: Vec<GivenUp>,
    /// The barrier subscribed to. It outlives a connection, since it must be taken back.
    barrier: Option<u64>,
    /// The replay may not be asked for yet: there is no room for what it would bring.
    held: bool,
    /// The subscription to replays was taken back, since the server said bye.
    parted: bool,
    /// Retained frames that the server got back during a replay, by event.
    told: BTreeMap<String, Frame>,
    duplicates: u64,
}

impl Subscriber {
    /// A subscriber that has never been connected. Its first actions are the subscriptions every
    /// client has.
    pub fn new(client: u64, publisher: u64, limits: Limits, actions: &mut VecDeque<Action>) -> Subscriber {
        // What is said of its frames reaches it before their acknowledgement, so the way for it is there before.
        let own =
            [Topic::Rx { client }, Topic::Ack { publisher }, Topic::Bye, Topic::Bundles].map(|topic| topic.bytes());
        actions.extend(own.into_iter().map(Action::Subscribe));
        actions.push_back(Action::Subscribe(control::HELLO.to_vec()));
        Subscriber {
            client,
            limits,
            state: State::Apart,
            epoch: None,
            number: 0,
            had: LinkedHashMap::with_hasher(FxBuildHasher),
            registrations: Vec::new(),
            wanted: Wanted::default(),
            asked: Vec::new(),
            given_up: Vec::new(),
            barrier: None,
            held: false,
            parted: false,
            told: BTreeMap::new(),
            duplicates: 0,
        }
    }

    /// Whether what is emitted now is received.
    #[must_use]
    pub fn is_live(&self) -> bool {
        self.state == State::Live
    }

    /// Whether frames that come now are ignored, so that they need no room.
    #[must_use]
    pub fn ignores_frames(&self) -> bool {
        matches!(self.state, State::Apart | State::Syncing(_))
    }

    /// How many frames came that were had already.
    #[must_use]
    pub fn duplicates(&self) -> u64 {
        self.duplicates
    }

    /// Adds a registration; a [`Step::Activate`] tells when it is active.
    pub fn register(&mut self, id: u64, interest: Interest, now: Now, actions: &mut VecDeque<Action>) {
        if let Some(at) = self.given_up.iter().position(|given_up| given_up.interest == interest) {
            // It is still subscribed, and the registration's own sync tells the server that it stays so.
            let GivenUp { question, .. } = self.given_up.swap_remove(at);
            actions.push_back(Action::Unsubscribe(self.leaving_topic(question.number, &interest)));
        } else if !self.registrations.iter().any(|other| other.interest == interest) {
            actions.extend(topics(&interest).map(Action::Subscribe));
        }
        self.registrations.push(Registration { id, interest, pending: Some(None) });
        self.ask(now, actions);
    }

    /// Registration `new` takes the place of `old` in the middle of the stream. Returns whether it is
    /// active; `None` if there is no `old`.
    pub fn replace(&mut self, old: u64, new: u64) -> Option<bool> {
        let registration = self.registrations.iter_mut().find(|registration| registration.id == old)?;
        registration.id = new;
        Some(registration.pending.is_none())
    }

    /// Removes a registration.
    pub fn unregister(&mut self, id: u64, now: Now, actions: &mut VecDeque<Action>) {
        let Some(index) = self.registrations.iter().position(|registration| registration.id == id) else { return };
        let gone = self.registrations.swap_remove(index);
        match gone.pending {
            None => self.wanted.less(&gone.interest),
            Some(None) => {}
            Some(Some(question)) => {
                actions.push_back(Action::Unsubscribe(self.sync_topic(question.number, &gone.interest)));
            }
        }
        if self.registrations.iter().any(|other| other.interest == gone.interest) {
            return;
        }
        if self.state == State::Apart {
            actions.extend(topics(&gone.interest).map(Action::Unsubscribe));
        } else {
            let question = Question::new(self.fresh(), now, &self.limits);
            actions.push_back(Action::Subscribe(self.leaving_topic(question.number, &gone.interest)));
            self.given_up.push(GivenUp { question, interest: gone.interest });
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
        self.asked.push(Asked { question: Question::new(number, now, &self.limits), fingerprint });
    }

    /// There is no room for more steps, or there is again: a replay is asked for only with room.
    pub fn hold(&mut self, held: bool, now: Now, actions: &mut VecDeque<Action>) {
        let was = std::mem::replace(&mut self.held, held);
        if was && !held && matches!(self.state, State::Syncing { .. }) {
            self.greeted(now, actions);
        }
    }

    /// What comes from now on will not be handled: it is ignored, and fetched by a replay once there is room, as far as
    /// the server still has it.
    pub fn fall_behind(&mut self, now: Now, actions: &mut VecDeque<Action>) {
        self.held = true;
        let brings_steps = matches!(self.state, State::Live | State::Resuming(_));
        if brings_steps && self.registrations.iter().any(|registration| registration.pending.is_none()) {
            self.greeted(now, actions);
        }
    }

    /// The connection broke.
    pub fn disconnected(&mut self) {
        self.told.clear();
        self.state = State::Apart;
    }

    /// Tells the server that this client lives and moves on, though it is slow.
    pub fn alive(&mut self, actions: &mut VecDeque<Action>) {
        let number = self.fresh();
        let topic = Topic::Sync { client: self.client, number, about: About::Nothing }.bytes();
        actions.push_back(Action::Subscribe(topic.clone()));
        actions.push_back(Action::Unsubscribe(topic));
    }

    /// Tells the server that a handler of this client waits for room, or that there is room again.
    pub fn full(&self, full: bool, actions: &mut VecDeque<Action>) {
        let topic = Topic::Full { client: self.client }.bytes();
        actions.push_back(if full { Action::Subscribe(topic) } else { Action::Unsubscribe(topic) });
    }

    /// When [`tick`](Subscriber::tick) has something to do at the latest.
    #[must_use]
    pub fn deadline(&self) -> Option<Now> {
        let state = match self.state {
            // It asks by itself once there is room.
            State::Syncing(_) if self.held => None,
            State::Syncing(question) | State::Resuming(question) => Some(question.again),
            State::Apart | State::Live => None,
        };
        let live = self.state == State::Live;
        let pending = self.registrations.iter().filter_map(|r| r.pending?.map(|question| question.again));
        let asked = self.asked.iter().map(|asked| asked.question.again);
        let given_up = self.given_up.iter().map(|given_up| given_up.question.again);
        let waiting = pending.filter(|_| live).chain(asked).chain(given_up);
        waiting.chain(state).min()
    }

    /// Asks again for what got no answer in time.
    pub fn tick(&mut self, now: Now, actions: &mut VecDeque<Action>) {
        match self.state {
            State::Syncing(mut question) if question.is_late(now) && !self.held => {
                question.repeated(now);
                self.state = State::Syncing(question);
                repeat(self.barrier(question.number), actions);
            }
            State::Resuming(mut question) if question.is_late(now) => {
                question.repeated(now);
                self.state = State::Resuming(question);
                let topic = Topic::Resume { client: self.client, number: question.number };
                actions.push_back(Action::Send(topic.message(&self.resume())));
            }
            _ => {}
        }
        for Asked { question, fingerprint } in &mut self.asked {
            if question.is_late(now) {
                question.repeated(now);
                let about = About::Shape(*fingerprint);
                repeat(Topic::Sync { client: self.client, number: question.number, about }.bytes(), actions);
            }
        }
        for GivenUp { question, interest } in &mut self.given_up {
            if question.is_late(now) {
                question.repeated(now);
                repeat(leaving_topic(self.client, question.number, interest), actions);
            }
        }
        self.ask(now, actions);
    }

    /// Takes a message of the server.
    pub fn message(&mut self, head: Frame, body: Option<Frame>, now: Now, actions: &mut VecDeque<Action>) {
        match frame::parse(&head) {
            Ok(Content::Event(_) | Content::Bundle(_)) => self.frames(head, actions),
            Ok(Content::Foreign { .. }) => actions.push_back(Action::Step(Step::Foreign(head))),
            Ok(Content::Control) => {
                if let Some((topic, bytes)) = control::parse(&head) {
                    self.control(topic, bytes, body, now, actions);
                }
            }
            Err(_) => actions.push_back(Action::Step(Step::Malformed)),
        }
    }

    /// Takes one frame or several. What comes of events that no active registration wants says nothing of how far a publisher
    /// has come: the server keeps the order only of what it knows to be wanted.
    fn frames(&mut self, message: Frame, actions: &mut VecDeque<Action>) {
        match frame::parse(&message) {
            Ok(Content::Event(view)) => {
                let (publisher, position) = (view.header.publisher, view.header.position);
                if view.header.has(flags::TOLD_AGAIN) {
                    let name = view.name().to_owned();
                    self.told_again(name, message, actions);
                } else if self.state != State::Live {
                    // The replay brings it.
                } else if position == 0 {
                    actions.push_back(Action::Step(Step::Frame(message)));
                } else if self.wanted.has(&view) {
                    let news = self.advance(publisher, position);
                    actions.push_back(Action::Step(if news { Step::Frame(message) } else { Step::Had(message) }));
                }
            }
            Ok(Content::Bundle(bundle)) => self.bundle(&bundle, &message, actions),
            _ => actions.push_back(Action::Step(Step::Malformed)),
        }
    }

    /// A retained frame that the server has got back. Told while frames are ignored it would come once more, as new,
    /// under the next server: it waits until the end of the replay has noted its position.
    fn told_again(&mut self, name: String, frame: Frame, actions: &mut VecDeque<Action>) {
        match self.state {
            State::Live => actions.push_back(Action::Step(Step::Retained(frame))),
            State::Syncing(_) | State::Resuming(_) => drop(self.told.insert(name, frame)),
            State::Apart => {}
        }
    }

    /// Several frames, whose positions rise: the server has seen to that.
    fn bundle(&mut self, bundle: &Bundle<'_>, message: &Frame, actions: &mut VecDeque<Action>) {
        let wanted = || bundle.views().flatten().any(|view| self.wanted.has(&view));
        if self.state != State::Live || !wanted() {
            return;
        }
        let (publisher, first) = (bundle.first.publisher, bundle.first.position);
        let last = bundle.last_position().unwrap_or(first);
        let had = self.had.get(&publisher).copied().unwrap_or(0);
        if had < first {
            self.raise(publisher, last);
            actions.push_back(Action::Step(Step::Frame(message.clone())));
            return;
        }
        if had >= last {
            self.duplicates += bundle.len() as u64;
            actions.push_back(Action::Step(Step::Had(message.clone())));
            return;
        }
        for view in bundle.views().flatten() {
            let frame = Frame::new(view.to_bytes());
            let news = self.advance(publisher, view.header.position);
            actions.push_back(Action::Step(if news { Step::Frame(frame) } else { Step::Had(frame) }));
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
            Topic::Rx { .. } => match (control::body::<Replay>(bytes), second) {
                // For this client by itself, and then with others.
                (Some(Replay { number: 0, .. }), Some(message)) => self.frames(message, actions),
                (Some(replay), second) => self.replayed(replay, second, now, actions),
                (None, _) => {}
            },
            Topic::Denied { .. } => actions.extend(control::body(bytes).map(Action::Denied)),
            Topic::Hold { .. } => actions.extend(control::body(bytes).map(|Hold { on }| Action::Hold(on))),
            Topic::Bye => match control::body::<Leaving>(bytes) {
                Some(Leaving { last: true }) => self.bye(actions),
                Some(Leaving { last: false }) => actions.push_back(Action::Pause),
                None => {}
            },
            Topic::Resume { .. }
            | Topic::Full { .. }
            | Topic::Shape { .. }
            | Topic::Begin { .. }
            | Topic::Stats
            | Topic::Bundles => {}
        }
    }

    fn hello(&mut self, epoch: u64, now: Now, actions: &mut VecDeque<Action>) {
        self.told.clear();
        let greeting = match self.epoch.replace(epoch) {
            None => Greeting::First,
            Some(before) if before == epoch => Greeting::Same,
            Some(_) => Greeting::New,
        };
        if std::mem::replace(&mut self.parted, false) {
            actions.push_back(Action::Subscribe(Topic::Rx { client: self.client }.bytes()));
        }
        if greeting == Greeting::New {
            actions.push_back(Action::Step(Step::NewServer));
        }
        actions.push_back(Action::Greeted { greeting, epoch });
        self.greeted(now, actions);
    }

    /// The server leaves: all that it had for this client came before this word, and it waits for the
    /// client to let go.
    fn bye(&mut self, actions: &mut VecDeque<Action>) {
        self.disconnected();
        if !std::mem::replace(&mut self.parted, true) {
            actions.push_back(Action::Unsubscribe(Topic::Rx { client: self.client }.bytes()));
        }
        actions.push_back(Action::Bye);
    }

    /// Begins to resume, or to live if there is nothing to resume.
    fn greeted(&mut self, now: Now, actions: &mut VecDeque<Action>) {
        // What comes before the barrier is ignored, so these need no word of the server.
        for given_up in std::mem::take(&mut self.given_up) {
            self.let_go(&given_up, actions);
        }
        if let Some(number) = self.barrier.take() {
            actions.push_back(Action::Unsubscribe(self.barrier(number)));
        }
        for registration in &mut self.registrations {
            if let Some(Some(question)) = registration.pending {
                let topic = sync_topic(self.client, question.number, &registration.interest);
                actions.push_back(Action::Unsubscribe(topic));
                registration.pending = Some(None);
            }
        }
        if self.registrations.iter().all(|registration| registration.pending.is_some()) {
            self.told.clear();
            self.state = State::Live;
            self.ask(now, actions);
        } else {
            let number = self.fresh();
            actions.push_back(Action::Subscribe(self.barrier(number)));
            self.barrier = Some(number);
            self.state = State::Syncing(Question::new(number, now, &self.limits));
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
            if let Some(index) = self.asked.iter().position(|asked| asked.question.number == number) {
                self.asked.swap_remove(index);
                let topic = Topic::Sync { client: self.client, number, about: about.clone() };
                actions.push_back(Action::Unsubscribe(topic.bytes()));
                actions.push_back(Action::Shape(*fingerprint, synced.shape));
            }
            return;
        }
        if let About::Leaving(_) = about {
            if let Some(at) = self.given_up.iter().position(|given_up| given_up.question.number == number) {
                let given_up = self.given_up.swap_remove(at);
                self.let_go(&given_up, actions);
            }
            return;
        }
        match self.state {
            State::Syncing(question) if question.number == number && !self.held => {
                self.barrier = None;
                actions.push_back(Action::Unsubscribe(self.barrier(number)));
                let topic = Topic::Resume { client: self.client, number };
                actions.push_back(Action::Send(topic.message(&self.resume())));
                self.state = State::Resuming(Question::new(number, now, &self.limits));
            }
            State::Live => {
                let answers = |r: &Registration| matches!(r.pending, Some(Some(asked)) if asked.number == number);
                let Some(index) = self.registrations.iter().position(answers) else { return };
                // All frames of the events subscribed to before, up to here, came before this answer.
                for (publisher, position) in synced.baseline {
                    self.raise(publisher, position);
                }
                let registration = &mut self.registrations[index];
                registration.pending = None;
                self.wanted.more(&registration.interest);
                let topic = sync_topic(self.client, number, &registration.interest);
                let registration = registration.id;
                actions.push_back(Action::Unsubscribe(topic));
                let Synced { sequences, streams, .. } = synced;
                actions.push_back(Action::Step(Step::Activate { registration, retained, sequences, streams }));
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
        Resume { had: self.had.iter().map(|(&publisher, &had)| (publisher, had)).collect(), names, any }
    }

    fn replayed(&mut self, replay: Replay, second: Option<Frame>, now: Now, actions: &mut VecDeque<Action>) {
        match &mut self.state {
            State::Resuming(question) if question.number == replay.number => question.moves(now),
            _ => return,
        }
        if let Some(message) = second {
            let single = matches!(frame::parse(&message), Ok(Content::Event(_)));
            let own = |view: &View<'_>| if single { message.clone() } else { Frame::new(view.to_bytes()) };
            for (view, base) in views(&message).zip(replay.bases.iter().copied().chain(std::iter::repeat(0))) {
                if self.advance(view.header.publisher, view.header.position) {
                    actions.push_back(Action::Step(Step::Replayed { frame: own(&view), base }));
                }
            }
        }
        if replay.end {
            for (publisher, position) in replay.baseline {
                self.raise(publisher, position);
            }
            actions.push_back(Action::Step(Step::Reached(replay.sequences)));
            let told = std::mem::take(&mut self.told).into_values();
            actions.extend(told.map(|frame| Action::Step(Step::Retained(frame))));
            self.state = State::Live;
            self.ask(now, actions);
        }
    }

    /// Asks for the registrations that are not active yet.
    fn ask(&mut self, now: Now, actions: &mut VecDeque<Action>) {
        if self.state != State::Live {
            return;
        }
        for registration in &mut self.registrations {
            match &mut registration.pending {
                None => {}
                Some(Some(question)) if !question.is_late(now) => {}
                Some(Some(question)) => {
                    question.repeated(now);
                    repeat(sync_topic(self.client, question.number, &registration.interest), actions);
                }
                Some(asked @ None) => {
                    self.number += 1;
                    *asked = Some(Question::new(self.number, now, &self.limits));
                    actions.push_back(Action::Subscribe(sync_topic(self.client, self.number, &registration.interest)));
                }
            }
        }
    }

    /// Notes a frame's position; `false` if it was had before.
    fn advance(&mut self, publisher: u64, position: u64) -> bool {
        if self.raise(publisher, position) {
            return true;
        }
        self.duplicates += 1;
        false
    }

    /// Notes that a publisher has come so far; `false` if it had before. One that was silent for longest makes room.
    fn raise(&mut self, publisher: u64, position: u64) -> bool {
        if let Some(had) = self.had.to_back(&publisher) {
            let news = position > *had;
            *had = position.max(*had);
            return news;
        }
        if self.had.len() >= self.limits.known {
            self.had.pop_front();
        }
        self.had.insert(publisher, position);
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

    fn leaving_topic(&self, number: u64, interest: &Interest) -> Vec<u8> {
        leaving_topic(self.client, number, interest)
    }

    fn let_go(&self, given_up: &GivenUp, actions: &mut VecDeque<Action>) {
        let topic = self.leaving_topic(given_up.question.number, &given_up.interest);
        actions.extend([topic].into_iter().chain(topics(&given_up.interest)).map(Action::Unsubscribe));
    }
}

/// Subscribes anew, which asks anew. The topic stays subscribed, so an earlier answer still arrives.
fn repeat(topic: Vec<u8>, actions: &mut VecDeque<Action>) {
    actions.push_back(Action::Unsubscribe(topic.clone()));
    actions.push_back(Action::Subscribe(topic));
}

fn sync_topic(client: u64, number: u64, interest: &Interest) -> Vec<u8> {
    let about = match interest {
        Interest::Event(name) => About::Event(name.clone()),
        Interest::Any => About::Events,
    };
    Topic::Sync { client, number, about }.bytes()
}

fn leaving_topic(client: u64, number: u64, interest: &Interest) -> Vec<u8> {
    let name = match interest {
        Interest::Event(name) => Some(name.clone()),
        Interest::Any => None,
    };
    Topic::Sync { client, number, about: About::Leaving(name) }.bytes()
}

fn topics(interest: &Interest) -> impl Iterator<Item = Vec<u8>> + use<> {
    let topics = match interest {
        Interest::Event(name) => vec![frame::topic(name)],
        Interest::Any => FIRST_BYTES.iter().map(|&byte| vec![byte]).collect(),
    };
    topics.into_iter()
}
