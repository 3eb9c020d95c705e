//! One simulated program: the three state machines of a client, and around them what its threads do.

use std::cell::Cell;
use std::collections::VecDeque;

use events_core::delivery::publisher::{Kind, Publisher, Refused};
use events_core::delivery::subscriber::{Action, Greeting, Interest, Step, Subscriber};
use events_core::delivery::{Limits, Now};
use events_core::dispatch::handling::{Handling, Seen};

use super::ANY;
use super::net::Net;

thread_local! {
    /// Virtual time, for the publishers' time stamps.
    static TIME: Cell<u64> = const { Cell::new(0) };
}

fn time() -> u64 {
    TIME.get()
}

/// A program.
pub struct Program {
    at: usize,
    /// Its id as publisher and client.
    pub id: u64,
    /// What it emits.
    pub publisher: Publisher,
    /// What it receives.
    pub subscriber: Subscriber,
    handling: Handling,
    actions: VecDeque<Action>,
    paused: bool,
    last_acked: u64,
    next_tick: Now,
    tick: Now,
    /// Until when it is stopped.
    pub stopped: Now,
    /// Until when its handlers are busy.
    pub busy: Now,
    /// How long its handlers take.
    pub slow: Now,
    /// It fell behind and waits for its handlers.
    pub behind: bool,
    /// The highest acknowledgement it ever got.
    pub acked: u64,
}

/// What a program noticed, for the ledger.
#[derive(Debug)]
pub enum Noticed {
    /// A registration is active now.
    Stands(u64),
    /// The present server has greeted.
    Greeted,
    /// What handlers saw.
    Seen(Seen),
}

impl Program {
    /// A program that connects as soon as it can.
    pub fn new(at: usize, id: u64, limits: Limits, net: &mut Net) -> Program {
        let mut actions = VecDeque::new();
        let subscriber = Subscriber::new(id, id, limits, &mut actions);
        let mut program = Program {
            at,
            id,
            publisher: Publisher::new(id, limits),
            subscriber,
            handling: Handling::default(),
            actions,
            paused: true,
            last_acked: 0,
            next_tick: limits.retry,
            tick: limits.retry,
            stopped: 0,
            busy: 0,
            slow: 0,
            behind: false,
            acked: 1,
        };
        program.perform(net);
        program
    }

    /// Emits a record. `open` leaves the frame open for more.
    ///
    /// # Errors
    /// [`Refused`].
    pub fn emit(&mut self, name: &str, payload: &[u8], open: bool, now: Now, net: &mut Net) -> Result<(), Refused> {
        TIME.set(now);
        let shape = || name.to_owned();
        let kind = Kind { name, fingerprint: fingerprint(name), retain: name.starts_with('R'), shape: &shape };
        self.publisher.record(&kind, time, &mut |out| {
            out.extend_from_slice(payload);
            Ok(())
        })?;
        if !open {
            self.publisher.seal();
        }
        self.send(net);
        Ok(())
    }

    /// What the uplink thread does when it passes by.
    pub fn pass(&mut self, net: &mut Net) {
        self.publisher.seal();
        self.send(net);
    }

    /// Whether the uplink thread has something to do.
    pub fn may_pass(&self) -> bool {
        self.publisher.open_bytes() > 0 || (!self.paused && self.publisher.can_send())
    }

    /// When [`Program::tick`] is due.
    pub fn due(&self) -> Now {
        self.subscriber.deadline().unwrap_or(Now::MAX).min(self.next_tick)
    }

    /// What the downlink thread does now and then.
    pub fn tick(&mut self, now: Now, net: &mut Net) -> Vec<Noticed> {
        if self.subscriber.deadline().is_some_and(|due| due <= now) {
            self.subscriber.tick(now, &mut self.actions);
        }
        if now >= self.next_tick {
            self.next_tick = now + self.tick;
            let acked = self.publisher.acked_position();
            if acked == std::mem::replace(&mut self.last_acked, acked)
                && let Some(frame) = self.publisher.probe()
                && !self.paused
            {
                net.wires[self.at].backlog.push_back(frame);
            }
        }
        self.perform(net)
    }

    /// Takes the next message of the server.
    pub fn receive(&mut self, now: Now, net: &mut Net) -> Vec<Noticed> {
        if let Some(message) = net.receive(self.at) {
            self.subscriber.message(message.head, message.body, now, &mut self.actions);
        }
        self.perform(net)
    }

    /// Learns that its connection broke.
    pub fn lost(&mut self, net: &mut Net) {
        net.wires[self.at].news = false;
        self.subscriber.disconnected();
        self.paused = true;
        self.perform(net);
    }

    /// Registers a handler.
    pub fn register(&mut self, id: u64, name: &str, now: Now, net: &mut Net) -> Vec<Noticed> {
        let event = (name != ANY).then_some(name);
        self.handling.add(id, event);
        let interest = event.map_or(Interest::Any, |event| Interest::Event(event.to_owned()));
        self.subscriber.register(id, interest, now, &mut self.actions);
        self.perform(net)
    }

    /// Takes a handler back.
    pub fn unregister(&mut self, id: u64, now: Now, net: &mut Net) {
        self.handling.remove(id);
        self.subscriber.unregister(id, now, &mut self.actions);
        self.perform(net);
    }

    /// Handlers are stuck, or move on again.
    pub fn set_behind(&mut self, behind: bool, now: Now, net: &mut Net) -> Vec<Noticed> {
        self.behind = behind;
        if behind {
            self.subscriber.fall_behind(now, &mut self.actions);
        } else {
            self.subscriber.hold(false, now, &mut self.actions);
        }
        self.perform(net)
    }

    /// Everything emitted is safe, and everything registered stands.
    pub fn is_settled(&self) -> bool {
        self.publisher.acked_position() >= self.publisher.end()
            && self.subscriber.is_live()
            && self.subscriber.deadline().is_none()
    }

    fn send(&mut self, net: &mut Net) {
        while !self.paused
            && let Some(frame) = self.publisher.send()
        {
            net.wires[self.at].backlog.push_back(frame);
        }
    }

    fn perform(&mut self, net: &mut Net) -> Vec<Noticed> {
        let mut noticed = Vec::new();
        while let Some(action) = self.actions.pop_front() {
            match action {
                Action::Subscribe(topic) => net.subscribe(self.at, &topic),
                Action::Unsubscribe(topic) => net.unsubscribe(self.at, &topic),
                Action::Denied(_) | Action::Hold(_) => {}
                Action::Send(message) => net.wires[self.at].backlog.push_back(message),
                Action::Step(step) => {
                    if let Step::Activate { registration, .. } = &step {
                        noticed.push(Noticed::Stands(*registration));
                    }
                    noticed.extend(self.handling.step(step).into_iter().map(Noticed::Seen));
                }
                Action::Acked(acked) => {
                    self.publisher.acked(acked);
                    self.acked = self.acked.max(self.publisher.acked_position());
                    self.send(net);
                }
                Action::Greeted { greeting, epoch } => {
                    self.paused = false;
                    noticed.push(Noticed::Greeted);
                    if greeting != Greeting::First {
                        // A new socket: what was queued in the old one is gone.
                        net.wires[self.at].backlog.clear();
                        net.wires[self.at].up = false;
                    }
                    self.publisher.greeted(greeting, epoch);
                    self.send(net);
                }
                Action::Shape(..) => {}
                Action::Pause | Action::Bye => self.paused = true,
            }
        }
        noticed
    }
}

fn fingerprint(text: &str) -> u64 {
    events_core::shape::fingerprint_of(text)
}
