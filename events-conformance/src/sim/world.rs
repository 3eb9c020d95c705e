//! Programs, the network and a server, and everything that can happen next.

use std::time::Duration;

use events_core::delivery::relay::{Pace, Relay};
use events_core::delivery::{Limits, Now};

use events_core::dispatch::handling::Seen;

use super::ledger::{Ledger, payload};
use super::net::{Net, Wire};
use super::program::{Noticed, Program};

/// One thing that happens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Choice {
    /// The oldest message of a program reaches the server's queue.
    Up(usize),
    /// A program's connection to the server stands.
    ConnectUp(usize),
    /// A program's connection from the server stands.
    Connect(usize),
    /// A program takes the next message of the server.
    Down(usize),
    /// A program learns that its connection broke.
    Lost(usize),
    /// A subscription reaches the server.
    Order(u64),
    /// The server notices that a connection is gone.
    Notice(u64),
    /// The server does a slice of work.
    Turn,
    /// The uplink thread of a program passes by.
    Pass(usize),
    /// A program's timer is due.
    Tick(usize),
    /// A program emits.
    Emit {
        /// Which program.
        program: usize,
        /// Which event.
        event: &'static str,
        /// Bytes of payload.
        weight: usize,
        /// The frame stays open for more.
        open: bool,
    },
    /// A program registers a handler.
    Register(usize, &'static str),
    /// A handler is taken back.
    Unregister(usize, u64),
    /// The connection from the server breaks.
    BreakDown(usize),
    /// The connection to the server breaks; so many messages are lost.
    BreakUp(usize, usize),
    /// The server is killed.
    Kill,
    /// The server is told to leave.
    Leave,
    /// A new server begins.
    Start,
    /// A program comes.
    Join,
    /// A program goes, if everything it emitted is safe.
    Part(usize),
    /// A program is stopped until then.
    Stop(usize, Now),
    /// A program's handlers are stuck, or move on.
    Behind(usize, bool),
    /// A bare SUB subscribes to this beginning of frames, or takes it back.
    Plain(&'static str),
    /// A message on its way to the server is lost, comes twice, or is overtaken.
    Mangle(usize, Mangle),
}

/// What happens to single messages on a transport that is worse than any of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mangle {
    /// It is lost.
    Drop,
    /// It comes twice.
    Twice,
    /// The next one overtakes it.
    Swap,
    /// A copy goes over a connection that was given up, and arrives much later, perhaps at another server.
    Stray,
    /// What strayed arrives.
    Arrive,
}

/// The id of a program, as publisher and client.
fn id_of(at: usize) -> u64 {
    0x100 + at as u64
}

/// How long a server that leaves waits for silence.
const SILENCE: Now = 2_000;

struct Server {
    relay: Relay,
    leaving: Option<Leave>,
    /// What the relay kept after its last turn, in bytes.
    kept: usize,
}

struct Leave {
    until: Now,
    silent: Now,
    said: bool,
}

/// Everything.
pub struct World {
    /// Virtual time, in microseconds.
    pub now: Now,
    /// The limits of all.
    pub limits: Limits,
    /// The connections.
    pub net: Net,
    /// By index; `None` once it left.
    pub programs: Vec<Option<Program>>,
    /// What must hold.
    pub ledger: Ledger,
    server: Option<Server>,
    epoch: u64,
    registered: Vec<(usize, u64)>,
    next_registration: u64,
    /// Prints what happens.
    pub trace: bool,
}

impl World {
    /// Nobody is there yet.
    #[must_use]
    pub fn new(limits: Limits, room: usize) -> World {
        World {
            now: 0,
            limits,
            net: Net::new(room),
            programs: Vec::new(),
            ledger: Ledger::default(),
            server: None,
            epoch: 0,
            registered: Vec::new(),
            next_registration: 1,
            trace: false,
        }
    }

    /// Whether a server is there.
    #[must_use]
    pub fn has_server(&self) -> bool {
        self.server.is_some()
    }

    /// The handlers that are registered: program and id.
    #[must_use]
    pub fn registered(&self) -> &[(usize, u64)] {
        &self.registered
    }

    /// The programs that are there.
    pub fn present(&self) -> impl Iterator<Item = (usize, &Program)> {
        self.programs.iter().enumerate().filter_map(|(at, program)| Some((at, program.as_ref()?)))
    }

    /// What the network, the server and the programs' threads can do next by themselves.
    #[must_use]
    pub fn enabled(&self) -> Vec<Choice> {
        let mut choices = Vec::new();
        for (at, program) in self.present() {
            let wire = &self.net.wires[at];
            let running = self.now >= program.stopped;
            if self.server.is_some() {
                if !wire.up {
                    choices.push(Choice::ConnectUp(at));
                } else if running && !wire.backlog.is_empty() && wire.arrived.len() < self.net.room {
                    choices.push(Choice::Up(at));
                }
                if wire.down.is_none() {
                    choices.push(Choice::Connect(at));
                }
            }
            if !running {
                continue;
            }
            if wire.news {
                choices.push(Choice::Lost(at));
            }
            let reads = self.now >= program.busy || program.behind || program.subscriber.ignores_frames();
            if reads
                && wire.down.is_some_and(|peer| self.net.pipes.iter().any(|p| p.peer == peer && !p.queue.is_empty()))
            {
                choices.push(Choice::Down(at));
            }
            if program.may_pass() {
                choices.push(Choice::Pass(at));
            }
            if program.due() <= self.now {
                choices.push(Choice::Tick(at));
            }
        }
        for pipe in &self.net.pipes {
            if pipe.broken {
                choices.push(Choice::Notice(pipe.peer));
            } else if !pipe.orders.is_empty() {
                choices.push(Choice::Order(pipe.peer));
            }
        }
        choices
    }

    /// When something happens by itself at the latest.
    #[must_use]
    pub fn next_due(&self) -> Now {
        let of = |(_, program): (usize, &Program)| program.due().max(program.stopped);
        self.present().map(of).min().unwrap_or(self.now + 1_000)
    }

    /// Lets it happen. What cannot happen does not.
    ///
    /// # Errors
    /// The promise that was broken.
    pub fn apply(&mut self, choice: &Choice) -> Result<(), String> {
        if self.trace {
            println!("{:>9} {choice:?}", self.now);
        }
        let now = self.now;
        match *choice {
            Choice::Up(at) => {
                let wire = &mut self.net.wires[at];
                if let Some(frame) = wire.backlog.pop_front() {
                    wire.arrived.push_back(frame);
                }
            }
            Choice::ConnectUp(at) => self.net.wires[at].up = self.server.is_some(),
            Choice::Connect(at) => self.net.connect(at),
            Choice::Order(peer) => self.net.take_order(peer),
            Choice::Notice(peer) => self.net.notice(peer),
            Choice::BreakDown(at) => self.net.break_down(at),
            Choice::BreakUp(at, lost) => self.net.break_up(at, lost),
            Choice::Plain(topic) if self.server.is_some() => self.net.plain(topic),
            Choice::Plain(_) => {}
            Choice::Turn => return self.turn(),
            Choice::Kill => self.lose_server(),
            Choice::Leave => self.leave(),
            Choice::Start if self.server.is_none() => {
                self.epoch += 1;
                let relay = Relay::new(self.epoch, self.limits);
                self.net.welcome = Some(relay.welcome());
                self.server = Some(Server { relay, leaving: None, kept: 0 });
            }
            Choice::Start => {}
            Choice::Join => {
                let at = self.programs.len();
                let id = id_of(at);
                self.net.wires.push(Default::default());
                self.programs.push(Some(Program::new(at, id, self.limits, &mut self.net)));
                self.ledger.joins(id);
            }
            Choice::Mangle(at, mangle) => self.mangle(at, mangle),
            Choice::Down(at)
            | Choice::Lost(at)
            | Choice::Pass(at)
            | Choice::Tick(at)
            | Choice::Emit { program: at, .. }
            | Choice::Register(at, _)
            | Choice::Unregister(at, _)
            | Choice::Part(at)
            | Choice::Stop(at, _)
            | Choice::Behind(at, _) => {
                let Some(mut program) = self.programs[at].take() else { return Ok(()) };
                let noticed = self.inside(&mut program, at, choice, now);
                if matches!(choice, Choice::Part(_)) && program.publisher.acked_position() >= program.publisher.end() {
                    self.ledger.leaves(at, program.id);
                    self.registered.retain(|(of, _)| *of != at);
                    self.net.break_down(at);
                    self.net.wires[at] = Default::default();
                } else {
                    self.programs[at] = Some(program);
                }
                return self.heard(at, noticed);
            }
        }
        Ok(())
    }

    /// What happens inside one program.
    fn inside(&mut self, program: &mut Program, at: usize, choice: &Choice, now: Now) -> Vec<Noticed> {
        match *choice {
            Choice::Down(_) => {
                if program.slow > 0 && !program.subscriber.ignores_frames() {
                    program.busy = now + program.slow;
                }
                return program.receive(now, &mut self.net);
            }
            Choice::Lost(_) => program.lost(&mut self.net),
            Choice::Pass(_) => program.pass(&mut self.net),
            Choice::Tick(_) => return program.tick(now, &mut self.net),
            Choice::Emit { event, weight, open, .. } => {
                let bytes = payload(self.ledger.next_number(program.id), weight);
                if program.emit(event, &bytes, open, now, &mut self.net).is_ok() {
                    self.ledger.emitted(program.id, event, program.publisher.end() - 1);
                }
            }
            Choice::Register(_, event) => {
                let id = self.next_registration;
                self.next_registration += 1;
                let mut acked: Vec<_> = self.present().map(|(_, other)| (other.id, other.acked)).collect();
                acked.push((program.id, program.acked));
                self.ledger.registered(at, id, event, &acked);
                self.registered.push((at, id));
                return program.register(id, event, now, &mut self.net);
            }
            Choice::Unregister(_, id) => {
                self.ledger.unregistered(id);
                self.registered.retain(|(_, other)| *other != id);
                program.unregister(id, now, &mut self.net);
            }
            Choice::Stop(_, until) => program.stopped = until,
            Choice::Behind(_, behind) => return program.set_behind(behind, now, &mut self.net),
            _ => {}
        }
        Vec::new()
    }

    fn heard(&mut self, at: usize, noticed: Vec<Noticed>) -> Result<(), String> {
        for noticed in noticed {
            if self.trace {
                match &noticed {
                    Noticed::Seen(Seen::Called { registration, event, publisher, sequence, retained, .. }) => {
                        let mark = if *retained { " retained" } else { "" };
                        println!(
                            "          program {at}: handler {registration} {event} {publisher:x}#{sequence}{mark}"
                        );
                    }
                    Noticed::Greeted => {}
                    other => println!("          program {at}: {other:?}"),
                }
            }
            match noticed {
                Noticed::Stands(id) => self.ledger.stands(id),
                Noticed::Greeted => self.ledger.greeted(id_of(at)),
                Noticed::Seen(seen) => self.ledger.saw(at, &seen)?,
            }
        }
        Ok(())
    }

    fn turn(&mut self) -> Result<(), String> {
        let now = self.now;
        let Some(server) = &mut self.server else { return Ok(()) };
        let turned = server.relay.turn(&mut self.net, now, Duration::from_millis(5));
        let pace = turned.map_err(|error| error.to_string())?;
        // One window, the frames on their way besides, and one; four while subscribers of an older server may come. What is
        // more than one after that may stay for a replay, but does not grow.
        let (kept, before) = (server.relay.kept_bytes(), server.kept);
        let window = self.limits.window.max(self.limits.window_frames * (self.limits.frame + 2048));
        let most = if server.relay.is_in_grace(now) { 4 * window } else { window } + self.limits.frame + 4096;
        if kept > most.max(before) {
            return Err(format!("the server keeps {kept} bytes, {most} at most, and {before} before"));
        }
        server.kept = kept;
        // Whatever the server owes to somebody its successor must get.
        for program in self.programs.iter().flatten() {
            let oldest = program.publisher.first_position();
            if let Some(owed) = server.relay.oldest_of(program.id).filter(|owed| *owed < oldest) {
                return Err(format!(
                    "the server keeps frame {owed} of {:x}, which has forgotten all before {oldest}",
                    program.id
                ));
            }
        }
        let Some(leaving) = &mut server.leaving else { return Ok(()) };
        if server.relay.is_alone() || now >= leaving.until {
            self.lose_server();
        } else if !matches!(pace, Pace::Idle(_)) || server.relay.heard() == now {
            leaving.silent = now;
        } else if now - leaving.silent >= SILENCE && !leaving.said {
            leaving.said = true;
            server.relay.leave(true);
        }
        Ok(())
    }

    fn leave(&mut self) {
        if let Some(server) = self.server.as_mut().filter(|server| server.leaving.is_none()) {
            server.relay.leave(false);
            let until = self.now + 20 * SILENCE;
            server.leaving = Some(Leave { until, silent: self.now, said: false });
        }
    }

    fn lose_server(&mut self) {
        if self.server.take().is_some() {
            self.net.server_ends();
            self.ledger.servers_lost += 1;
        }
    }

    fn mangle(&mut self, at: usize, mangle: Mangle) {
        let Wire { backlog, stray, arrived, .. } = &mut self.net.wires[at];
        match mangle {
            Mangle::Drop => drop(backlog.pop_front()),
            Mangle::Twice => {
                if let Some(frame) = backlog.front().cloned() {
                    backlog.push_front(frame);
                }
            }
            Mangle::Swap if backlog.len() > 1 => backlog.swap(0, 1),
            Mangle::Swap => {}
            Mangle::Stray => stray.extend(backlog.front().cloned()),
            Mangle::Arrive if self.server.is_some() => arrived.extend(stray.pop_front()),
            Mangle::Arrive => {}
        }
    }

    /// Whether nothing is on its way any more.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        let wires = self.present().all(|(at, program)| {
            let wire = &self.net.wires[at];
            wire.down.is_some() && wire.backlog.is_empty() && wire.arrived.is_empty() && program.is_settled()
        });
        let pipes = self.net.pipes.iter().all(|pipe| !pipe.broken && pipe.queue.is_empty() && pipe.orders.is_empty());
        self.server.as_ref().is_some_and(|server| server.leaving.is_none()) && wires && pipes
    }

    /// At rest a program subscribes to its own five topics and to what it has handlers for.
    ///
    /// # Errors
    /// The program that left a subscription behind.
    pub fn check_topics(&self) -> Result<(), String> {
        for (at, _) in self.present() {
            let (topics, wanted) = (self.net.topics(at), self.ledger.topics(at));
            if topics != 5 + wanted {
                return Err(format!("program {at} subscribes to {topics} topics, and its handlers need {wanted}"));
            }
        }
        Ok(())
    }

    /// What the publishers keep is bounded too.
    ///
    /// # Errors
    /// The bound that was broken.
    pub fn check_windows(&self) -> Result<(), String> {
        let limits = &self.limits;
        let most =
            limits.grown().max(limits.window_frames * (limits.frame + 2048)) + limits.queue + 3 * (limits.frame + 4096);
        for (at, program) in self.present() {
            if program.publisher.kept_bytes() > most {
                return Err(format!("program {at} keeps {} bytes, {most} at most", program.publisher.kept_bytes()));
            }
        }
        Ok(())
    }
}
