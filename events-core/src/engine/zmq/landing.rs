//! Where clients meet the server of their own process, so that neither waits for the other's thread.
//!
//! ```text
//!  emit     puts a frame, and turns the server itself, unless somebody is just at it
//!  receive  waits at the server's sockets, and turns the server for what comes
//!  server   waits there too, but stays aside while a client is there, and takes over when that is away for long
//! ```
//!
//! Whoever turns the server leaves nothing behind, or wakes the server's thread. So at worst that thread does what it
//! would have done anyway.

use std::collections::HashMap;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use super::spin;
use super::sys::{self, Socket};
use super::wake::Wake;
use super::{io_error, lock};
use crate::engine::{Addresses, EngineError, Rest, Seen, Turn, left};

/// How often the server's thread looks whether a client that is away has come back: what comes from elsewhere waits for
/// it up to twice as long.
const LOOK: Duration = Duration::from_micros(500);
/// After so many looks at which nothing had happened it stays aside until it is woken.
const QUIET_LOOKS: u32 = 20;

/// The landings of a context, by the addresses of their servers.
#[derive(Default)]
pub(super) struct Landings(Mutex<HashMap<String, Arc<Landing>>>);

impl Landings {
    pub(super) fn at(&self, address: &str) -> Option<Arc<Landing>> {
        lock(&self.0).get(address).cloned()
    }

    pub(super) fn open(&self, at: &Addresses, landing: &Arc<Landing>) {
        lock(&self.0).extend([&at.emit, &at.reg].map(|address| (address.clone(), Arc::clone(landing))));
    }

    pub(super) fn close(&self, at: &Addresses) {
        lock(&self.0).retain(|address, _| *address != at.emit && *address != at.reg);
    }
}

pub(super) struct Landing {
    /// Set once the server begins.
    begun: OnceLock<Begun>,
    sockets: [OwnedFd; 4],
    /// Wakes the server's thread.
    bell: Wake,
    watch: Mutex<Watch>,
}

/// How to turn the server, and how long to look before sleeping at its sockets.
struct Begun {
    turn: Turn,
    spin: Duration,
}

/// Who waits at the sockets.
struct Watch {
    by: By,
    /// Counts up whenever a client comes or goes.
    moves: u64,
    /// The server's thread is aside and looks now and then.
    looks: bool,
    /// How many names were given to clients.
    names: u64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum By {
    Server,
    Client(u64),
    /// That client has something else to do, and may be back soon.
    Away(u64),
}

/// What the server's thread saw at its last look.
#[derive(Default)]
struct Looked {
    moves: Option<u64>,
    quiet: u32,
}

/// What a client has done that waited at the sockets.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Turned {
    /// There was nothing to do.
    Nothing,
    /// All that there was to do.
    All,
    /// The server's thread was woken for the rest.
    NotAll,
}

impl Landing {
    /// Of a server with these sockets: PULL, XPUB, and where what happens to their connections is told, the XPUB's
    /// first.
    pub(super) fn new(sockets: [&Socket; 4], bell: Wake) -> std::io::Result<Landing> {
        let [pull, xpub, at_xpub, at_pull] = sockets;
        let sockets = [pull.descriptor()?, xpub.descriptor()?, at_xpub.descriptor()?, at_pull.descriptor()?];
        let watch = Mutex::new(Watch { by: By::Server, moves: 0, looks: false, names: 0 });
        Ok(Landing { begun: OnceLock::new(), sockets, bell, watch })
    }

    /// Lets clients turn the server.
    pub(super) fn begin(&self, turn: Turn, spin: Duration) {
        let _only_once = self.begun.set(Begun { turn, spin });
    }

    /// Has the server look at what was put there. `false`: its thread has to be woken for it.
    pub(super) fn visit(&self) -> bool {
        self.begun.get().is_some_and(|begun| begun.turn.turn(Seen::FRAMES))
    }

    /// A name for one more client.
    pub(super) fn name(&self) -> u64 {
        let mut watch = lock(&self.watch);
        watch.names += 1;
        watch.names
    }

    /// Whether `client` waits at the sockets from now on, since no other does.
    pub(super) fn come(&self, client: u64) -> bool {
        let mut watch = lock(&self.watch);
        let free = watch.by == By::Server || watch.by == By::Away(client);
        if free {
            watch.by = By::Client(client);
            watch.moves += 1;
        }
        free
    }

    /// The client that waited there has something else to do.
    pub(super) fn go(&self, client: u64) {
        let mut watch = lock(&self.watch);
        watch.by = By::Away(client);
        watch.moves += 1;
        if !std::mem::replace(&mut watch.looks, true) {
            drop(watch);
            self.bell.call();
        }
    }

    /// The server's thread is to wait there again.
    pub(super) fn leave(&self) {
        lock(&self.watch).by = By::Server;
        self.bell.call();
    }

    /// What a client does there: waits until something comes for the server, or somebody calls `wake`.
    pub(super) fn wait_for(&self, wake: &Wake, limit: Duration) -> Result<Seen, EngineError> {
        let seen = self.poll(wake.fd(), limit)?;
        if seen.bell() {
            wake.clear();
        }
        Ok(seen.but_bell())
    }

    /// And then turns the server for what has come.
    pub(super) fn turn(&self, seen: Seen) -> Turned {
        if seen.is_nothing() {
            Turned::Nothing
        } else if self.begun.get().is_some_and(|begun| begun.turn.turn(seen)) {
            Turned::All
        } else {
            self.bell.call();
            Turned::NotAll
        }
    }

    fn poll(&self, bell: BorrowedFd<'_>, limit: Duration) -> Result<Seen, EngineError> {
        let sockets = self.sockets.each_ref().map(AsFd::as_fd);
        let time = self.begun.get().map_or(Duration::ZERO, |begun| begun.spin);
        let look = |limit| sys::poll_descriptors(sockets, bell, limit).map(Seen::of);
        spin::wait(time, limit, look).map_err(io_error("waiting"))
    }

    /// How long the server's thread is to stay aside, if it is.
    fn aside(&self, looked: &mut Looked) -> Option<Duration> {
        let mut watch = lock(&self.watch);
        if watch.by == By::Server {
            return None;
        }
        let same = looked.moves.replace(watch.moves) == Some(watch.moves);
        let away = matches!(watch.by, By::Away(_));
        if same && away {
            watch.by = By::Server;
            return None;
        }
        looked.quiet = if same { looked.quiet + 1 } else { 0 };
        watch.looks = away || looked.quiet < QUIET_LOOKS;
        Some(if watch.looks { LOOK } else { Duration::MAX })
    }
}

impl Rest for Landing {
    fn wait(&self, limit: Duration) -> Result<Seen, EngineError> {
        let end = Instant::now().checked_add(limit);
        let mut looked = Looked::default();
        loop {
            let left = left(end);
            let aside = self.aside(&mut looked);
            let seen = match aside {
                None => self.poll(self.bell.fd(), left)?,
                Some(time) => {
                    let polled = sys::poll_descriptors([], self.bell.fd(), left.min(time));
                    let ([], bell) = polled.map_err(io_error("waiting"))?;
                    if bell { Seen::BELL } else { Seen::default() }
                }
            };
            if seen.bell() {
                self.bell.clear();
            }
            // A client that has come meanwhile was woken for it as well.
            let left_to_it = !seen.bell() && lock(&self.watch).by != By::Server;
            if left.is_zero() || !(seen.is_nothing() && aside.is_some() || left_to_it) {
                return Ok(seen);
            }
        }
    }
}

/// What was seen at the four sockets of a server, and at its bell.
impl Seen {
    /// That there are frames.
    const FRAMES: Seen = Seen(1 << 0);
    const SUBSCRIPTION: Seen = Seen(1 << 1);
    const AT_XPUB: Seen = Seen(1 << 2);
    const AT_PULL: Seen = Seen(1 << 3);
    const BELL: Seen = Seen(1 << 4);

    pub(super) fn of((sockets, bell): ([bool; 4], bool)) -> Seen {
        let bits = sockets.into_iter().chain([bell]).enumerate();
        Seen(bits.fold(0, |bits, (place, seen)| bits | u8::from(seen) << place))
    }

    fn has(self, any: Seen) -> bool {
        self.0 & any.0 != 0
    }

    pub(super) fn is_nothing(self) -> bool {
        self == Seen::default()
    }

    fn but_bell(self) -> Seen {
        Seen(self.0 & !Seen::BELL.0)
    }

    /// That there is something for the relay to do.
    pub(super) fn is_for_server(self) -> bool {
        self.has(Seen::FRAMES) || self.has(Seen::SUBSCRIPTION) || self.bell()
    }

    pub(super) fn subscription(self) -> bool {
        self.has(Seen::SUBSCRIPTION)
    }

    /// That something happened to connections of the XPUB.
    pub(super) fn at_xpub(self) -> bool {
        self.has(Seen::AT_XPUB)
    }

    /// And to those of the PULL.
    pub(super) fn at_pull(self) -> bool {
        self.has(Seen::AT_PULL)
    }

    /// That somebody has called.
    pub(super) fn bell(self) -> bool {
        self.has(Seen::BELL)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn landing() -> Landing {
        let context = sys::Context::new().expect("libzmq starts");
        let sockets: [Socket; 4] =
            std::array::from_fn(|_| context.socket(zmq_sys::ZMQ_PAIR).expect("a socket can be opened"));
        Landing::new(sockets.each_ref(), Wake::new().expect("an eventfd")).expect("descriptors")
    }

    #[test]
    fn the_thread_stays_aside_while_a_client_comes_and_goes() {
        let (landing, mut looked) = (landing(), Looked::default());
        assert_eq!(landing.aside(&mut looked), None);
        for _ in 0..10 {
            assert!(landing.come(1));
            assert_eq!(landing.aside(&mut looked), Some(LOOK));
            landing.go(1);
            assert_eq!(landing.aside(&mut looked), Some(LOOK));
        }
    }

    #[test]
    fn it_takes_the_place_of_a_client_that_is_away_for_two_looks() {
        let (landing, mut looked) = (landing(), Looked::default());
        assert!(landing.come(1));
        landing.go(1);
        assert_eq!(landing.aside(&mut looked), Some(LOOK));
        assert_eq!(landing.aside(&mut looked), None);
        assert!(landing.come(2), "the place is free");
    }

    #[test]
    fn it_stops_looking_at_a_client_that_only_waits_and_is_called_before_that_goes() {
        let (landing, mut looked) = (landing(), Looked::default());
        assert!(landing.come(1));
        for _ in 0..QUIET_LOOKS {
            assert_eq!(landing.aside(&mut looked), Some(LOOK));
        }
        assert_eq!(landing.aside(&mut looked), Some(Duration::MAX));
        landing.go(1);
        assert!(landing.wait(Duration::ZERO).expect("descriptors").bell());
    }

    #[test]
    fn one_client_waits_at_a_time() {
        let landing = landing();
        assert!(landing.come(1));
        assert!(!landing.come(2));
        landing.go(1);
        assert!(!landing.come(2), "the first may be back soon");
        assert!(landing.come(1));
        landing.leave();
        assert!(landing.come(2));
    }
}
