//! What this process has open, for what has to end in order: clients hand over what they hold before the server that takes it
//! leaves, and when the process exits all clients end before all servers.
//!
//! Neither `std::process::exit` nor the end of `main` drops what is in a static or held by another thread, so a client or a
//! server there would end without a word, with all that it holds.

use std::sync::{Arc, Once, Weak};
use std::time::{Duration, Instant};

use crate::client::{Client, WeakClient};
use crate::engine::{Addresses, Engine};
use crate::process::{self, Own};
use crate::server;

static OPEN: Own<Open> = Own::new();

#[derive(Default)]
struct Open {
    clients: Vec<(Place, WeakClient)>,
    servers: Vec<Weak<server::Shared>>,
    exiting: bool,
}

/// Where a server serves and clients find it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Place {
    engine: usize,
    at: Addresses,
}

impl Place {
    pub(crate) fn new(engine: &Arc<dyn Engine>, at: &Addresses) -> Place {
        Place { engine: Arc::as_ptr(engine).cast::<()>() as usize, at: at.clone() }
    }
}

/// Has a client hand over what it holds before the server of this process there leaves, and when the process exits.
pub(crate) fn has_client(client: &Client, to: Place) {
    note(|open| {
        open.clients.retain(|(_, client)| client.is_open());
        open.clients.push((to, client.downgrade()));
    });
}

/// Has a server leave when the process exits.
pub(crate) fn has_server(server: &Arc<server::Shared>) {
    note(|open| {
        open.servers.retain(|server| server.strong_count() > 0);
        open.servers.push(Arc::downgrade(server));
    });
}

/// Whether the process exits: whatever begins now would end at once.
pub(crate) fn has_begun() -> bool {
    OPEN.lock().as_ref().is_some_and(|open| open.exiting)
}

/// Waits until the server there has taken what the clients of this process have emitted, at most `limit`. What it does not
/// take they keep for the next one.
pub(crate) fn hand_over(to: &Place, limit: Duration) {
    let began = Instant::now();
    let theirs = |open: &Open| {
        let clients = open.clients.iter().filter(|(place, _)| place == to);
        clients.filter_map(|(_, client)| client.upgrade()).collect()
    };
    let clients: Vec<Client> = OPEN.lock().as_ref().map(theirs).unwrap_or_default();
    for client in clients {
        if let Err(error) = client.hand_over(limit.saturating_sub(began.elapsed())) {
            tracing::debug!(
                error = &error as &dyn std::error::Error,
                "the server leaves before it has taken everything"
            );
        }
    }
}

fn note(what: impl FnOnce(&mut Open)) {
    static ONCE: Once = Once::new();
    what(OPEN.lock().get_or_insert_default());
    ONCE.call_once(|| process::at_exit(exit));
}

extern "C" fn exit() {
    let open = {
        let mut open = OPEN.lock();
        open.replace(Open { exiting: true, ..Open::default() }).unwrap_or_default()
    };
    let began = Instant::now();
    for client in open.clients.iter().filter_map(|(_, client)| client.upgrade()) {
        // Nobody can be given this error any more.
        if let Err(error) = client.end_at_exit(began) {
            eprintln!("events: {error}");
        }
    }
    let servers: Vec<_> = open.servers.iter().filter_map(Weak::upgrade).collect();
    servers.iter().for_each(|server| server.leave_within(server::LEAVE));
    servers.iter().for_each(|server| server.wait_end_within(2 * server::LEAVE));
}
