//! Whoever attacks a running server, the others keep their service: nothing of theirs is lost, and the server lives.
//!
//! The server is a process of its own. `EVENTS_FAULTS=full` attacks with larger numbers; `--nocapture` shows how much
//! service was left.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use events_core::control::{self, About, Figures, HELLO, STATS, Topic};
use events_core::delivery::Limits;
use events_core::engine::zmq::{Tcp, ZmqEngine};
use events_core::engine::{Addresses, Arrival, Bounds, Downlink, Engine, Frame, Uplink};
use events_core::frame::{self, Header, flags};
use events_core::security::{Access, Keys};
use events_core::server::Server;
use tempfile::TempDir;

const TURN: Duration = Duration::from_millis(5);
const WATCHDOG: Duration = Duration::from_secs(60);
/// Frames that are on their way at once.
const BATCH: u64 = 32;
const CONNECTIONS: usize = 200;

fn full() -> bool {
    std::env::var_os("EVENTS_FAULTS").is_some_and(|value| value == "full")
}

fn engine(folder: &std::path::Path) -> Arc<dyn Engine> {
    let access = Access::new(Keys::at(folder.join("keys")));
    Arc::new(ZmqEngine::isolated(Tcp::Curve(access)).expect("libzmq starts"))
}

/// The server's process, when a test asks for it.
#[test]
fn serve() {
    let Ok(at) = std::env::var("EVENTS_ATTACKED") else { return };
    let [folder, emit, reg, connections] = at.split(' ').collect::<Vec<_>>()[..] else { panic!("{at}") };
    let connections = connections.parse().expect("a number");
    let at = Addresses { emit: emit.to_owned(), reg: reg.to_owned() };
    let bounds = Bounds { connections, ..Bounds::default() };
    let limits = Limits { bounds, ..Limits::default() };
    let _server = Server::start_with(&engine(folder.as_ref()), &at, limits).expect("free");
    // Until the test ends it, or ends.
    let _ = std::io::stdin().read(&mut [0]);
}

/// A server, and one who emits and hears what it emits.
struct World {
    at: Addresses,
    folder: TempDir,
    server: Child,
    up: Box<dyn Uplink>,
    down: Box<dyn Downlink>,
    position: u64,
    size: usize,
    figures: Figures,
    /// One attack after the other: each takes all that the machine has, and what the others keep is measured.
    _alone: MutexGuard<'static, ()>,
}

static ALONE: Mutex<()> = Mutex::new(());

impl World {
    fn ipc() -> World {
        let folder = tempfile::tempdir().expect("a folder for the sockets");
        let at = |name| format!("ipc://{}/{name}", folder.path().display());
        let at = Addresses { emit: at("emit"), reg: at("reg") };
        World::new(folder, at, None)
    }

    fn tcp() -> World {
        static COUNT: AtomicU32 = AtomicU32::new(1);
        let (pid, count) = (std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let host = format!("127.{}.{}.{count}", pid >> 8 & 0xff, pid & 0xff);
        let at = Addresses { emit: format!("tcp://{host}:9400"), reg: format!("tcp://{host}:9401") };
        World::new(tempfile::tempdir().expect("a folder for the keys"), at, None)
    }

    fn new(folder: TempDir, at: Addresses, descriptors: Option<u32>) -> World {
        let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        let own = std::env::current_exe().expect("this program");
        let limit = descriptors.map(|most| format!("ulimit -n {most} && ")).unwrap_or_default();
        // With few descriptors these are the limit.
        let connections = if descriptors.is_some() { 1_000_000 } else { CONNECTIONS };
        let server = Command::new("sh")
            .args(["-c", &format!("{limit}exec \"$0\" \"$@\"")])
            .arg(own)
            .args(["serve", "--exact", "--quiet"])
            .env("EVENTS_ATTACKED", format!("{} {} {} {connections}", folder.path().display(), at.emit, at.reg))
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .expect("a shell");
        let (up, down) = engine(folder.path()).connect(&at).expect("usable");
        let figures = Figures::default();
        let mut world = World { at, folder, server, up, down, position: 0, size: 0, figures, _alone: alone };
        world.down.subscribe(HELLO).expect("open");
        world.hears(HELLO);
        let barrier = Topic::Sync { client: 1, number: 1, about: About::Nothing }.bytes();
        for topic in [&b"E\0"[..], STATS, &barrier] {
            world.down.subscribe(topic).expect("open");
        }
        world.hears(&barrier);
        world
    }

    fn hears(&mut self, topic: &[u8]) -> Frame {
        let begin = Instant::now();
        loop {
            match self.down.receive(TURN).expect("open") {
                Some(Arrival::Message { head, .. }) if head.starts_with(topic) => return head,
                Some(Arrival::Message { head, .. }) if head.starts_with(STATS) => {
                    let (_, body) = control::parse(&head).expect("a control message");
                    self.figures = control::body(body).expect("figures");
                }
                Some(Arrival::Disconnected) => panic!("thrown out"),
                _ => assert!(begin.elapsed() < WATCHDOG, "waited in vain for {topic:?}, {:?}", self.figures),
            }
        }
    }

    /// Each frame arrives, in order and as it was sent. Returns the longest wait for one.
    fn exchange(&mut self) -> Duration {
        let mut longest = Duration::ZERO;
        let sent: Vec<Vec<u8>> = (0..BATCH)
            .map(|_| {
                self.position += 1;
                let flags = if self.position == 1 { flags::OLDEST } else { 0 };
                let (position, sequence) = (self.position, self.position - 1);
                let header = Header { flags, publisher: 7, position, sequence, fingerprint: 0, sent_at: 0 };
                let mut bytes = Vec::new();
                frame::begin(&mut bytes, "E", &header);
                bytes.extend_from_slice(&[0x91, 0xC6]);
                bytes.extend_from_slice(&u32::try_from(self.size).expect("small").to_be_bytes());
                bytes.resize(bytes.len() + self.size, 7);
                self.up.send(&Frame::new(bytes.clone())).expect("open");
                bytes
            })
            .collect();
        for sent in sent {
            let begin = Instant::now();
            assert!(*self.hears(b"E\0\x97\x01") == *sent, "another frame than was sent");
            longest = longest.max(begin.elapsed());
        }
        longest
    }

    /// Exchanges until `done`, and says how much of the service there was.
    fn serves(&mut self, what: &str, mut done: impl FnMut(&Figures) -> bool) {
        let (begin, before) = (Instant::now(), self.position);
        let mut longest = Duration::ZERO;
        while !done(&self.figures) {
            longest = longest.max(self.exchange());
            assert!(begin.elapsed() < WATCHDOG, "{what}: {:?}", self.figures);
        }
        let rate = (self.position - before) as f64 / begin.elapsed().as_secs_f64();
        println!("{what}: {rate:.0} frames/s, longest wait {longest:?}, server {} MiB", self.memory() >> 20);
    }

    /// The same in peace, for two seconds.
    fn in_peace(&mut self) {
        let end = Instant::now() + Duration::from_secs(2);
        self.serves("in peace", |_| Instant::now() > end);
    }

    fn memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.server.id())).expect("it lives");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("its memory");
        line.trim_end_matches("kB").trim().parse::<u64>().expect("a number") << 10
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

/// Runs `attack` in a thread of its own while `meanwhile` runs.
fn attacked(attack: impl FnOnce(&AtomicBool) + Send, meanwhile: impl FnOnce()) {
    let over = AtomicBool::new(false);
    /// Ends the attack also when the test fails.
    struct End<'a>(&'a AtomicBool);
    impl Drop for End<'_> {
        fn drop(&mut self) {
            self.0.store(true, Ordering::Release);
        }
    }
    std::thread::scope(|scope| {
        let _end = End(&over);
        scope.spawn(|| attack(&over));
        meanwhile();
    });
}

#[test]
fn subscribing_to_a_million_topics() {
    let mut world = World::ipc();
    world.in_peace();
    let (reg, count) = (world.at.reg.clone(), if full() { 1_000_000 } else { 100_000_u64 });
    let attack = |over: &AtomicBool| {
        let socket = zmq::Context::new().socket(zmq::SUB).expect("a socket");
        socket.set_sndhwm(0).expect("open");
        socket.set_rcvtimeo(1).expect("open");
        socket.connect(&reg).expect("valid");
        for topic in 0..count {
            socket.set_subscribe(format!("T{topic:07}").as_bytes()).expect("open");
        }
        while !over.load(Ordering::Acquire) {
            let _ = socket.recv_bytes(0);
        }
    };
    attacked(attack, || {
        let end = Instant::now() + Duration::from_secs(if full() { 15 } else { 3 });
        world.serves("a million topics", |figures| figures.oversubscribed > 0 && Instant::now() > end);
    });
    assert!(world.memory() < 200 << 20, "{} bytes", world.memory());
}

/// A subscriber made by hand, which sends what libzmq's own never would. Without keys.
fn by_hand(path: &std::path::Path) -> UnixStream {
    let mut stream = UnixStream::connect(path).expect("it listens");
    let mut greeting = [0; 64];
    (greeting[0], greeting[9], greeting[10]) = (0xFF, 0x7F, 3);
    greeting[12..16].copy_from_slice(b"NULL");
    stream.write_all(&greeting).expect("it takes it");
    stream.read_exact(&mut greeting).expect("it answers");
    stream.write_all(b"\x04\x19\x05READY\x0BSocket-Type\0\0\0\x03SUB").expect("it takes it");
    stream
}

/// A message of at most 255 bytes: a subscription that is made or taken back.
fn subscription(on: bool, topic: &[u8]) -> Vec<u8> {
    let length = u8::try_from(1 + topic.len()).expect("a short topic");
    [&[0, length, u8::from(on)], topic].concat()
}

#[test]
fn taking_back_what_was_never_subscribed_to() {
    let mut world = World::ipc();
    let rx = Topic::Rx { client: 1 }.bytes();
    let barrier = Topic::Sync { client: 1, number: 2, about: About::Nothing }.bytes();
    world.down.subscribe(&rx).expect("open");
    world.down.subscribe(&barrier).expect("open");
    world.hears(&barrier);
    let mut liar = by_hand(&world.path("reg"));
    for _ in 0..4 {
        liar.write_all(&subscription(false, &rx)).expect("it takes it");
    }
    // Nor does it make room for more.
    let topics = (0..20_000).flat_map(|topic: u32| {
        let topic = format!("T{topic:05}");
        [subscription(false, topic.to_lowercase().as_bytes()), subscription(true, topic.as_bytes())].concat()
    });
    // It may be ended in the middle of it.
    let _ = liar.write_all(&topics.collect::<Vec<u8>>());
    world.serves("taking back what was never had", |figures| figures.oversubscribed > 0);
    // The client is still there.
    let body = control::Resume { had: Vec::new(), names: Vec::new(), any: false };
    world.up.send(&Topic::Resume { client: 1, number: 1 }.message(&body)).expect("open");
    world.hears(&rx);
}

/// Opens connections as fast as they are taken, and keeps the newest.
fn crowd(world: &World) -> impl FnOnce(&AtomicBool) + Send + use<> {
    let paths = [world.path("emit"), world.path("reg")];
    move |over| {
        let mut open = Vec::new();
        while !over.load(Ordering::Acquire) {
            for path in &paths {
                match UnixStream::connect(path) {
                    Ok(stream) => open.push(stream),
                    Err(_) => std::thread::yield_now(),
                }
            }
            if open.len() >= 1_000 {
                open.drain(..200);
            }
        }
    }
}

#[test]
fn opening_a_thousand_connections() {
    let mut world = World::ipc();
    world.in_peace();
    attacked(crowd(&world), || {
        world.serves("a thousand connections", |figures| figures.turned_away > 1_000);
    });
    // Others come in again.
    let (_up, mut down) = engine(world.folder.path()).connect(&world.at).expect("usable");
    down.subscribe(HELLO).expect("open");
    let begin = Instant::now();
    while !matches!(down.receive(TURN).expect("open"), Some(Arrival::Message { .. })) {
        assert!(begin.elapsed() < WATCHDOG);
        world.exchange();
    }
}

#[test]
fn using_up_the_descriptors() {
    let folder = tempfile::tempdir().expect("a folder for the sockets");
    let at = |name| format!("ipc://{}/{name}", folder.path().display());
    let at = Addresses { emit: at("emit"), reg: at("reg") };
    let mut world = World::new(folder, at, Some(1024));
    world.in_peace();
    attacked(crowd(&world), || {
        world.serves("out of descriptors", |figures| figures.turned_away > 1_000);
    });
    assert!(world.server.try_wait().expect("ours").is_none(), "the server has ended");
}

#[test]
fn sending_garbage_as_control_frames() {
    let mut world = World::ipc();
    world.in_peace();
    let emit = world.at.emit.clone();
    let attack = |over: &AtomicBool| {
        let socket = zmq::Context::new().socket(zmq::PUSH).expect("a socket");
        socket.set_linger(0).expect("open");
        socket.set_sndtimeo(1).expect("open");
        socket.connect(&emit).expect("valid");
        let mut message = Topic::Resume { client: 1, number: 1 }.bytes();
        message.extend_from_slice(b"\0\xDC\xFF\xFF garbage");
        while !over.load(Ordering::Acquire) {
            let _ = socket.send(&message, 0);
        }
    };
    let refused = if full() { 1_000_000 } else { 50_000 };
    attacked(attack, || world.serves("garbage control frames", |figures| figures.refused > refused));
    assert!(world.memory() < 200 << 20, "{} bytes", world.memory());
}

/// One that is no client of ours: it takes part in nothing but a subscription.
fn never_reads(address: &str) -> (zmq::Context, zmq::Socket) {
    let context = zmq::Context::new();
    let socket = context.socket(zmq::SUB).expect("a socket");
    socket.set_rcvhwm(1).expect("open");
    socket.set_subscribe(b"E\0").expect("open");
    socket.connect(address).expect("valid");
    (context, socket)
}

#[test]
fn never_reading() {
    let mut world = World::ipc();
    world.size = 60_000;
    world.in_peace();
    let reg = world.at.reg.clone();
    let stuck = never_reads(&reg);
    world.serves("one never reads", |figures| figures.stalled > 0);
    // It is gone; libzmq subscribes anew only for those who look.
    world.in_peace();
    drop(stuck);
    // And one after the other, without end. (What ended libzmq does not tell to those who do not read.)
    let attack = |over: &AtomicBool| {
        let mut stuck = Vec::new();
        while !over.load(Ordering::Acquire) {
            stuck.push(never_reads(&reg));
            for _ in 0..60 {
                if !over.load(Ordering::Acquire) {
                    std::thread::park_timeout(TURN);
                }
            }
        }
    };
    let stalled = world.figures.stalled;
    attacked(attack, || {
        world.serves("many never read", |figures| figures.stalled > stalled + 8);
    });
    assert!(world.memory() < 200 << 20, "{} bytes", world.memory());
}

#[test]
fn connecting_and_saying_nothing() {
    let mut world = World::tcp();
    world.in_peace();
    let addresses = [&world.at.emit, &world.at.reg].map(|at| at.trim_start_matches("tcp://").to_owned());
    let silent: Vec<TcpStream> = (0..100)
        .map(|count| {
            let stream = TcpStream::connect(&*addresses[count % 2]).expect("it listens");
            stream.set_nonblocking(true).expect("ours");
            stream
        })
        .collect();
    let begin = Instant::now();
    let ended = |mut stream: &TcpStream| loop {
        match stream.read(&mut [0; 64]) {
            Ok(0) => return true,
            Ok(_) => {}
            Err(error) => return error.kind() != std::io::ErrorKind::WouldBlock,
        }
    };
    world.serves("saying nothing", |figures| silent.iter().all(ended) && figures.failed_handshakes >= 100);
    println!("all were ended after {:?}", begin.elapsed());
}
