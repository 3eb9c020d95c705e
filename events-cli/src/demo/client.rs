//! Inside the processes of the demonstration: does what the director says, until it says nothing more.

use std::thread;
use std::time::Duration;

use anyhow::Context;
use events::catalog::{AnyEvent, ClientUid, MailUnreadMessages};
use events_core::client::Client;
use events_core::received::Received;
use events_core::server::Server;
use serde::Serialize;
use serde_json::json;

use super::script::{Answer, Got, Order, UID};
use super::{EVENT_1, EVENT_2};
use crate::Result;
use crate::args::{PartArguments, Role};
use crate::catalog::Known;
use crate::processes::{orders, say, say_failed};

/// Between two events: each travels alone, as events mostly do, and its time is its own.
const PAUSE: Duration = Duration::from_micros(400);
/// How long the server may take for its word.
const LIMIT: Duration = Duration::from_secs(20);

pub(super) fn run(arguments: &PartArguments) -> Result {
    let at = arguments.place.addresses();
    match arguments.role {
        Role::Server => {
            let server = Server::start(&at.emit, &at.reg).context("the server cannot start")?;
            say(&Answer::Ready);
            // Nothing is said to the server; its stdin ends with the demonstration.
            orders().iter().for_each(drop);
            server.shutdown(Duration::from_secs(2));
            Ok(())
        }
        Role::Client => {
            let mut part = ClientPart {
                client: Client::connect(&at.emit, &at.reg).context("no client can be opened")?,
                known: Known::built_in()?,
            };
            say(&Answer::Ready);
            for line in orders() {
                let order = serde_json::from_str(&line)?;
                if let Err(error) = part.follow(order) {
                    say_failed(&error);
                }
            }
            Ok(part.client.close(Duration::from_secs(2))?)
        }
    }
}

fn got<E: Serialize>(name: &str, event: &Received<E>) {
    let microseconds = u64::try_from(event.age().as_micros()).unwrap_or(u64::MAX);
    match serde_json::to_value(event.payload()) {
        Ok(payload) => {
            // An event without fields is a unit struct, and that is null in JSON.
            let payload = if payload.is_null() { json!({}) } else { payload };
            say(&Got { event: name.to_owned(), payload, microseconds });
        }
        Err(error) => say_failed(&anyhow::Error::new(error).context(format!("{name} cannot be shown"))),
    }
}

struct ClientPart {
    client: Client,
    known: Known,
}

impl ClientPart {
    fn follow(&mut self, order: Order) -> anyhow::Result<()> {
        match order {
            Order::Register(name) => self.register(&name)?,
            Order::RegisterAll => {
                self.client.unregister::<ClientUid>();
                self.client.unregister::<MailUnreadMessages>();
                self.client.register_any::<AnyEvent>(|event| got(event.name(), event))?;
                say(&Answer::Registered);
            }
            Order::EmitPair => {
                self.client.emit(ClientUid { uid: UID })?;
                self.client.emit(MailUnreadMessages { userid: UID, number: 3 })?;
                self.client.flush(LIMIT)?;
                say(&Answer::Emitted);
            }
            Order::Emit(events) => {
                for (name, payload) in events {
                    let event = self.known.catalog().event(&name).context("an event that is not in the catalog")?;
                    let payload = self.known.payload_of(event, &payload)?;
                    crate::emit::emit(&self.client, self.known.catalog(), event, &payload)?;
                    thread::sleep(PAUSE);
                }
                self.client.flush(LIMIT)?;
                say(&Answer::Emitted);
            }
            Order::Count => say(&Answer::Missed(self.client.stats().missed)),
        }
        Ok(())
    }

    fn register(&self, name: &str) -> anyhow::Result<()> {
        let registration = match name {
            EVENT_1 => self.client.register::<ClientUid>(|event| got(EVENT_1, event))?,
            EVENT_2 => self.client.register::<MailUnreadMessages>(|event| got(EVENT_2, event))?,
            other => anyhow::bail!("`{other}` is not in the pictures"),
        };
        anyhow::ensure!(registration.wait_active(LIMIT), "the server does not answer");
        say(&Answer::Registered);
        Ok(())
    }
}
