//! Inside the processes of the bench.

use std::time::Duration;

use anyhow::Context;
use events_core::client::Client;
use events_core::error::Error;
use events_core::server::Server;

use super::LIMIT;
use super::script::{Answer, Emitted, Order};
use super::tally::{self, Tally};
use super::types::KINDS;
use crate::Result;
use crate::args::{BenchPartArguments, BenchRole, Mode};
use crate::processes::{orders, say, say_failed};

pub(super) fn run(arguments: &BenchPartArguments) -> Result {
    let at = arguments.place.addresses();
    if let BenchRole::Server = arguments.role {
        let server = Server::start(&at.emit, &at.reg).context("the server cannot start")?;
        say(&Answer::Ready);
        orders().iter().for_each(drop);
        server.shutdown(Duration::from_secs(2));
        return Ok(());
    }
    let client = Client::connect(&at.emit, &at.reg).context("no client can be opened")?;
    say(&Answer::Ready);
    let (tally, finished) = Tally::new();
    for line in orders() {
        let done = match serde_json::from_str(&line)? {
            Order::Register { types } => subscribe(&client, types, &tally),
            Order::Count { expected } => {
                tally.count(expected, &finished);
                Ok(())
            }
            Order::Emit { events, size, types, mode } => publish(&client, events, size, types, mode),
        };
        if let Err(error) = done {
            say_failed(&error);
        }
    }
    Ok(client.close(Duration::from_secs(2))?)
}

fn publish(client: &Client, events: u64, size: usize, types: usize, mode: Mode) -> anyhow::Result<()> {
    let mut kinds = KINDS.get(..types).context("there are not so many types")?.iter().cycle();
    let began = tally::emit(events, size, mode, |data| {
        let Some(kind) = kinds.next() else { return Ok(()) };
        // Backpressure is no failure here: the bench emits as fast as it may.
        while let Err(error) = (kind.emit)(client, data) {
            if !matches!(error, Error::Backpressure { .. }) {
                return Err(error.into());
            }
        }
        Ok(())
    })?;
    client.flush(LIMIT)?;
    say(&Answer::Emitted(Emitted { events, began }));
    Ok(())
}

fn subscribe(client: &Client, types: usize, tally: &Tally) -> anyhow::Result<()> {
    for kind in KINDS.get(..types).context("there are not so many types")? {
        let tally = tally.clone();
        (kind.register)(client, Box::new(move |data| tally.take(data)))?;
    }
    say(&Answer::Registered);
    Ok(())
}
