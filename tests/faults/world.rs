//! Addresses, the processes around them, and the line of figures at the end of a row.

use std::fmt::{Display, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use events::Client;

use crate::common::Process;

/// The environment of a process that plays a role.
pub(crate) const ROLE: &str = "EVENTS_FAULTS_ROLE";
/// Begins each line that is meant for the test; the test program has lines of its own.
pub(crate) const MARK: &str = "=> ";

/// Whether the rows have their full size.
pub(crate) fn is_full() -> bool {
    std::env::var("EVENTS_FAULTS").is_ok_and(|size| size == "full")
}

/// A size: the usual one, or the full one.
pub(crate) fn size(usual: u64, full: u64) -> u64 {
    if is_full() { full } else { usual }
}

/// How long anything may take before something is taken to hang.
pub(crate) fn patience() -> Duration {
    Duration::from_secs(size(120, 900))
}

/// Looks again and again until `find` finds something.
pub(crate) fn wait_for<T>(what: &str, mut find: impl FnMut() -> Option<T>) -> T {
    let until = Instant::now() + patience();
    loop {
        if let Some(found) = find() {
            return found;
        }
        assert!(Instant::now() < until, "it takes too long: {what}");
        std::thread::park_timeout(Duration::from_millis(5));
    }
}

/// Two addresses that nobody else has, for one row at a time, so that its figures are its own.
pub(crate) struct World {
    emit: String,
    reg: String,
    folder: tempfile::TempDir,
    /// A library that every process loads before all others.
    preload: Option<PathBuf>,
    _alone: MutexGuard<'static, ()>,
}

impl World {
    /// Over ipc.
    pub(crate) fn new() -> World {
        let mut world = World::anywhere();
        let file = |name| format!("ipc://{}", world.folder.path().join(name).display());
        (world.emit, world.reg) = (file("emit"), file("reg"));
        world
    }

    /// Over tcp, encrypted.
    pub(crate) fn tcp() -> World {
        let mut world = World::anywhere();
        // Both at once, so that they differ.
        let ports = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").expect("a port"));
        let [emit, reg] = ports.map(|port| format!("tcp://{}", port.local_addr().expect("its address")));
        (world.emit, world.reg) = (emit, reg);
        world
    }

    fn anywhere() -> World {
        static ALONE: Mutex<()> = Mutex::new(());
        // A row that failed is over as well.
        let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        let folder = tempfile::tempdir().expect("a folder");
        World { emit: String::new(), reg: String::new(), folder, preload: None, _alone: alone }
    }

    /// A folder that goes with it.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Has every process that starts from now on load this library first.
    pub(crate) fn preload(&mut self, library: PathBuf) {
        self.preload = Some(library);
    }

    /// A client in this process: over ipc, since keys are looked for where the environment says.
    pub(crate) fn client(&self) -> Client {
        Client::connect(&self.emit, &self.reg).expect("a client")
    }

    /// Starts a process in a role, and waits until it is ready.
    pub(crate) fn start(&self, role: &str) -> Player {
        let player = self.begin(role);
        assert_eq!(player.answer(), "ready", "{role}");
        player
    }

    /// Starts a process in a role.
    pub(crate) fn begin(&self, role: &str) -> Player {
        let program = std::env::current_exe().expect("the path of this program");
        let mut command = Command::new(program);
        command
            .args(["--exact", "plays_its_role", "--nocapture"])
            .env(ROLE, role)
            .env("EVENTS_EMIT_ADDR", &self.emit)
            .env("EVENTS_REG_ADDR", &self.reg)
            .env("XDG_CONFIG_HOME", self.folder.path())
            .env("XDG_RUNTIME_DIR", self.folder.path());
        if let Some(library) = &self.preload {
            command.env("LD_PRELOAD", library);
        }
        Player(Process::start(&mut command))
    }

    /// Several at once.
    pub(crate) fn start_all(&self, role: &str, count: usize) -> Vec<Player> {
        let players: Vec<_> = (0..count).map(|_| self.begin(role)).collect();
        for player in &players {
            assert_eq!(player.answer(), "ready", "{role}");
        }
        players
    }
}

/// A process in its role. It is killed when this is dropped.
pub(crate) struct Player(Process);

impl Player {
    /// The next thing that it has to say.
    pub(crate) fn answer(&self) -> String {
        loop {
            let line = self.0.line_within(patience());
            if let Some((_, said)) = line.split_once(MARK) {
                return said.to_owned();
            }
        }
    }

    /// What it has said and nobody has read, if anything.
    pub(crate) fn heard(&self) -> Option<String> {
        std::iter::from_fn(|| self.0.heard()).find_map(|line| line.split_once(MARK).map(|(_, said)| said.to_owned()))
    }

    /// The next numbers that it has to say.
    pub(crate) fn numbers<const N: usize>(&self) -> [u64; N] {
        let answer = self.answer();
        let numbers: Vec<u64> = answer.split_whitespace().map(|number| number.parse().expect("a number")).collect();
        numbers.try_into().unwrap_or_else(|_| panic!("{N} numbers are expected, not `{answer}`"))
    }

    /// Tells it to do something.
    pub(crate) fn tell(&mut self, what: &str) {
        self.0.say(what);
    }

    /// Asks it for numbers.
    pub(crate) fn ask<const N: usize>(&mut self, what: &str) -> [u64; N] {
        self.tell(what);
        self.numbers()
    }

    /// Waits until a subscriber has got so many.
    pub(crate) fn reaches(&mut self, count: u64) -> u64 {
        wait_for("all events", || {
            let [now] = self.ask("so far");
            (now >= count).then_some(now)
        })
    }

    /// Waits until a subscriber has got so many more, and returns how many it has.
    pub(crate) fn moves_on(&mut self, more: u64) -> u64 {
        let [before] = self.ask("so far");
        wait_for("more events", || {
            let [now] = self.ask("so far");
            (now >= before + more).then_some(now - before)
        })
    }

    pub(crate) fn pid(&self) -> u32 {
        self.0.pid()
    }

    pub(crate) fn kill(&mut self) {
        self.0.kill();
    }

    /// Closes its stdin and waits until it has ended; returns its exit code.
    pub(crate) fn end(&mut self) -> Option<i32> {
        self.0.end()
    }
}

/// Stops publishers, and returns what each has emitted when the server has it.
pub(crate) fn stop_all(publishers: &mut [Player]) -> Vec<(u64, u64)> {
    publishers.iter_mut().for_each(|publisher| publisher.tell("stop"));
    publishers
        .iter_mut()
        .map(|publisher| {
            publisher.numbers::<3>();
            let [id, emitted, _] = publisher.ask("flush");
            (id, emitted)
        })
        .collect()
}

/// The sums of a row.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sums {
    pub(crate) received: u64,
    pub(crate) missed: u64,
    pub(crate) repeated: u64,
}

impl Sums {
    /// Asks a subscriber for its accounts of what these publishers emitted, and checks them: whatever was
    /// emitted was received or reported as missed, and nothing came twice or out of order.
    pub(crate) fn of(subscriber: &mut Player, emitted: &[(u64, u64)]) -> Sums {
        let mut question = String::from("settle");
        for (publisher, emitted) in emitted {
            write!(question, " {publisher}:{emitted}").expect("a string grows");
        }
        subscriber.tell(&question);
        Sums::next(subscriber, emitted)
    }

    /// The same for the next of several in one process.
    pub(crate) fn next(subscriber: &Player, emitted: &[(u64, u64)]) -> Sums {
        let mut sums = Sums::default();
        for &(publisher, emitted) in emitted {
            let [received, missed, repeated] = subscriber.numbers();
            assert_eq!(repeated, 0, "of {publisher:016x} something came twice or out of order: {received} received");
            assert_eq!(received + missed, emitted, "of {publisher:016x}: {received} received, {missed} missed");
            sums.received += received;
            sums.missed += missed;
            sums.repeated += repeated;
        }
        sums
    }

    pub(crate) fn add(&mut self, other: Sums) {
        self.received += other.received;
        self.missed += other.missed;
        self.repeated += other.repeated;
    }
}

/// Prints a row: what was done, the five figures, and what else was measured.
pub(crate) fn print_row(row: &str, emitted: u64, replayed: u64, sums: Sums, more: impl Display) {
    let Sums { received, missed, repeated } = sums;
    println!(
        "row | {row} | emitted {emitted} | received {received} | replayed {replayed} | missed {missed} | duplicated \
         {repeated} | {more}"
    );
}
