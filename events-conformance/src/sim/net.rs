//! The simulated network: two connections per program, which are FIFO and lossless until they break.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use events_core::engine::{Addresses, EngineError, Frame, Hub, Peer, PublishError, Subscription, Waker};

/// The connection of the bare SUB.
const PLAIN: u64 = u64::MAX;

/// One message of the server to a program.
#[derive(Clone, Debug)]
pub struct Message {
    /// The first part.
    pub head: Frame,
    /// The second.
    pub body: Option<Frame>,
}

/// The connection over which the server publishes, as the server has it.
#[derive(Debug)]
pub struct Pipe {
    /// Its name at the hub.
    pub peer: u64,
    /// Whose it is.
    pub program: usize,
    /// What the program subscribed to, as far as the server has heard.
    topics: BTreeSet<Vec<u8>>,
    /// What is on its way to the program, queues included.
    pub queue: VecDeque<Message>,
    /// Subscriptions on their way to the server.
    pub orders: VecDeque<(bool, Vec<u8>)>,
    /// It broke, and the server has not noticed.
    pub broken: bool,
}

/// A program's ends of its two connections.
#[derive(Debug, Default)]
pub struct Wire {
    /// What the program has subscribed to, and how often.
    wanted: BTreeMap<Vec<u8>, usize>,
    /// The connection from the server, if it stands.
    pub down: Option<u64>,
    /// The program has not been told yet that the last one broke.
    pub news: bool,
    /// Whether the connection to the server stands.
    pub up: bool,
    /// What was sent and is still on this side.
    pub backlog: VecDeque<Frame>,
    /// What is on its way over connections that were given up.
    pub stray: VecDeque<Frame>,
    /// What has reached the server's queue.
    pub arrived: VecDeque<Frame>,
}

/// All connections, and the server's end of them.
#[derive(Debug)]
pub struct Net {
    /// By program.
    pub wires: Vec<Wire>,
    /// What the server has, broken ones included.
    pub pipes: Vec<Pipe>,
    /// The server's first word; `None` while there is no server.
    pub welcome: Option<Frame>,
    told: VecDeque<Subscription>,
    /// What a bare SUB has subscribed to.
    plain: BTreeSet<&'static str>,
    next_peer: u64,
    turn: usize,
    /// How many messages fit into a queue.
    pub room: usize,
}

impl Net {
    /// Nobody is connected.
    #[must_use]
    pub fn new(room: usize) -> Net {
        let (wires, pipes, told) = (Vec::new(), Vec::new(), VecDeque::new());
        Net { wires, pipes, welcome: None, told, plain: BTreeSet::new(), next_peer: 1, turn: 0, room }
    }

    /// Subscribes for a program; only the first of a topic goes out.
    pub fn subscribe(&mut self, program: usize, topic: &[u8]) {
        let count = self.wires[program].wanted.entry(topic.to_vec()).or_default();
        *count += 1;
        if *count == 1 {
            self.order(program, true, topic);
        }
    }

    /// How many topics a program subscribes to.
    #[must_use]
    pub fn topics(&self, program: usize) -> usize {
        self.wires[program].wanted.len()
    }

    /// Takes one subscription back; only the last of a topic goes out.
    pub fn unsubscribe(&mut self, program: usize, topic: &[u8]) {
        let Some(count) = self.wires[program].wanted.get_mut(topic) else { return };
        *count -= 1;
        if *count == 0 {
            self.wires[program].wanted.remove(topic);
            self.order(program, false, topic);
        }
    }

    fn order(&mut self, program: usize, on: bool, topic: &[u8]) {
        if let Some(pipe) = self.down(program) {
            pipe.orders.push_back((on, topic.to_vec()));
        }
    }

    /// The standing connection of a program from the server.
    pub fn down(&mut self, program: usize) -> Option<&mut Pipe> {
        let peer = self.wires[program].down?;
        self.pipes.iter_mut().find(|pipe| pipe.peer == peer)
    }

    /// A program's connection from the server stands again: it gets the welcome and tells again, in the
    /// order of their bytes, what it subscribes to.
    pub fn connect(&mut self, program: usize) {
        let Some(welcome) = self.welcome.clone() else { return };
        let orders = self.wires[program].wanted.keys().map(|topic| (true, topic.clone())).collect();
        let peer = self.next_peer;
        self.next_peer += 1;
        self.wires[program].down = Some(peer);
        self.wires[program].news = false;
        self.pipes.push(Pipe {
            peer,
            program,
            topics: BTreeSet::new(),
            queue: VecDeque::from([Message { head: welcome, body: None }]),
            orders,
            broken: false,
        });
    }

    /// Takes the next message out of a program's connection, as far as it still subscribes to it.
    pub fn receive(&mut self, program: usize) -> Option<Message> {
        let message = self.down(program)?.queue.pop_front()?;
        let wanted = &self.wires[program].wanted;
        wanted.keys().any(|topic| message.head.starts_with(topic)).then_some(message)
    }

    /// Moves a subscription on to the server.
    pub fn take_order(&mut self, peer: u64) {
        let Some(pipe) = self.pipes.iter_mut().find(|pipe| pipe.peer == peer) else { return };
        let Some((on, topic)) = pipe.orders.pop_front() else { return };
        if on {
            pipe.topics.insert(topic.clone());
        } else {
            pipe.topics.remove(&topic);
        }
        self.told.push_back(Subscription { on, topic, peer: Some(Peer(peer)), owner: None });
    }

    /// A bare SUB, which takes one frame at a time, subscribes to this, or takes it back. What it gets is nobody's business here.
    pub fn plain(&mut self, topic: &'static str) {
        let on = self.plain.insert(topic) || !self.plain.remove(topic);
        self.told.push_back(Subscription { on, topic: topic.into(), peer: Some(Peer(PLAIN)), owner: None });
    }

    /// The program's end of its connection from the server is gone; the server may not know.
    pub fn break_down(&mut self, program: usize) {
        if let Some(pipe) = self.down(program) {
            pipe.broken = true;
            pipe.orders.clear();
            self.wires[program].down = None;
            self.wires[program].news = true;
        }
    }

    /// The connection to the server breaks and takes the first `lost` messages with it.
    pub fn break_up(&mut self, program: usize, lost: usize) {
        let wire = &mut self.wires[program];
        wire.up = false;
        wire.backlog.drain(..lost.min(wire.backlog.len()));
    }

    /// The server finds that a connection is gone: all its subscriptions end.
    pub fn notice(&mut self, peer: u64) {
        let Some(at) = self.pipes.iter().position(|pipe| pipe.peer == peer) else { return };
        let pipe = self.pipes.remove(at);
        let wire = &mut self.wires[pipe.program];
        if wire.down == Some(peer) {
            (wire.down, wire.news) = (None, true);
        }
        let gone = |topic| Subscription { on: false, topic, peer: Some(Peer(peer)), owner: None };
        self.told.extend(pipe.topics.into_iter().map(gone));
    }

    /// The server is gone and everything that was in it.
    pub fn server_ends(&mut self) {
        self.welcome = None;
        self.told.clear();
        self.plain.clear();
        self.pipes.clear();
        for wire in &mut self.wires {
            wire.news |= wire.down.take().is_some();
            wire.up = false;
            wire.arrived.clear();
        }
    }
}

impl Hub for Net {
    fn collect(&mut self) -> Result<Option<Frame>, EngineError> {
        let count = self.wires.len();
        for step in 0..count {
            let at = (self.turn + step) % count;
            if let Some(frame) = self.wires[at].arrived.pop_front() {
                self.turn = at + 1;
                return Ok(Some(frame));
            }
        }
        Ok(None)
    }

    fn subscription(&mut self) -> Result<Option<Subscription>, EngineError> {
        Ok(self.told.pop_front())
    }

    fn publish(&mut self, head: &Frame, body: Option<&Frame>, _: Duration) -> Result<(), PublishError> {
        let meant = |pipe: &Pipe| pipe.topics.iter().any(|topic| head.starts_with(topic));
        if self.pipes.iter().any(|pipe| pipe.queue.len() >= self.room && meant(pipe)) {
            return Err(PublishError::Full);
        }
        for pipe in self.pipes.iter_mut().filter(|pipe| meant(pipe)) {
            pipe.queue.push_back(Message { head: head.clone(), body: body.cloned() });
        }
        Ok(())
    }

    fn wait(&mut self, _: Duration) -> Result<(), EngineError> {
        Ok(())
    }

    fn disconnect(&mut self, peer: Peer) {
        self.notice(peer.0);
    }

    fn waker(&self) -> Waker {
        Waker::new(|| {})
    }

    fn addresses(&self) -> Addresses {
        Addresses { emit: "sim://emit".into(), reg: "sim://reg".into() }
    }
}
