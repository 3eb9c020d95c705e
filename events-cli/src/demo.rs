//! `events demo`: a server and three clients, each a process of its own, and what they do.
//!
//! ```text
//!            orders on stdin             events
//!  demo ─┬──────────────────▶ client 1 ──────────▶ server ─┬─▶ client 2
//!        ├──────────────────▶ client 2                     └─▶ client 3
//!        └──────────────────▶ client 3
//!        ◀── answers on stdout ── all of them
//! ```
//!
//! The director, here, knows what was emitted and is told by the clients what they got; it compares.

use std::time::Instant;

use anyhow::{Context, bail, ensure};
use events_core::engine::Addresses;
use serde_json::{Value, json};

use crate::args::{DemoArguments, PartArguments};
use crate::catalog::Known;
use crate::processes::Part;
use crate::{Result, signals};

mod cast;
mod client;
mod fill;
mod report;
mod script;

use cast::{Cast, expect, next_event};
use report::Report;
use script::{Answer, Got, Order};

/// The two events of the pictures.
pub(crate) const EVENT_1: &str = "CLIENT_UID";
pub(crate) const EVENT_2: &str = "MAIL_UNREAD_MESSAGES";

/// One of the processes of the demonstration.
pub(crate) fn part(arguments: &PartArguments) -> Result {
    client::run(arguments)
}

/// The demonstration.
pub(crate) fn run(arguments: &DemoArguments) -> Result {
    let known = Known::built_in()?;
    let until = Instant::now() + arguments.timeout;
    // The sockets are in a folder of this demonstration: it disturbs nobody and nobody disturbs it.
    let folder = tempfile::Builder::new().prefix("events-demo-").tempdir().context("no folder for the sockets")?;
    let address = |file: &str| format!("ipc://{}", folder.path().join(file).display());
    let at = Addresses { emit: address("emit"), reg: address("reg") };
    let path = folder.path().to_owned();
    signals::on_end(move || {
        // The other processes end by themselves when nobody holds their stdin any more.
        let _ = std::fs::remove_dir_all(&path);
        std::process::exit(1);
    })?;

    let report = Report::begin();
    let mut cast = Cast::start(&at, until)?;
    report.cast(&cast, &at);
    pictures(&mut cast, &report)?;
    catalog(&mut cast, &known, arguments.rounds, &report)?;
    cast.end()?;
    report.end();
    Ok(())
}

/// Both pictures of the original: who registers what, and who gets what.
fn pictures(cast: &mut Cast, report: &Report) -> anyhow::Result<()> {
    let [client_1, client_2, client_3] = &mut cast.clients;
    client_2.order(&Order::Register(EVENT_1.to_owned()))?;
    client_3.order(&Order::Register(EVENT_2.to_owned()))?;
    for client in [&mut *client_2, &mut *client_3] {
        expect(client, &Answer::Registered)?;
    }
    report.registered();

    client_1.order(&Order::EmitPair)?;
    expect(client_1, &Answer::Emitted)?;
    let got = [next_event(client_2)?, next_event(client_3)?];
    let wanted = [(EVENT_1, json!({ "uid": script::UID })), (EVENT_2, json!({ "userid": script::UID, "number": 3 }))];
    for (client, (got, (name, payload))) in [2, 3].into_iter().zip(got.iter().zip(&wanted)) {
        ensure!(
            got.event == *name && got.payload == *payload,
            "client {client} got {} {} instead of {name} {payload}",
            got.event,
            got.payload
        );
    }
    report.pair(&got);
    Ok(())
}

/// Every event of the catalog, in rounds, to two clients.
fn catalog(cast: &mut Cast, known: &Known, rounds: u32, report: &Report) -> anyhow::Result<()> {
    let [client_1, client_2, client_3] = &mut cast.clients;
    let wanted: Vec<(String, Value)> = (0..rounds)
        .flat_map(|round| {
            let events = known.catalog().events.iter();
            events.map(move |event| (event.name.clone(), fill::payload(known.catalog(), event, round)))
        })
        .collect();
    for client in [&mut *client_2, &mut *client_3] {
        client.order(&Order::RegisterAll)?;
        expect(client, &Answer::Registered)?;
    }
    report.catalog_begins(known.catalog().events.len(), rounds);
    let began = Instant::now();
    client_1.order(&Order::Emit(wanted.clone()))?;
    let mut microseconds = Vec::with_capacity(wanted.len() * 2);
    let mut delivered = 0;
    for client in [client_2, client_3] {
        let got = follow(client, &wanted)?;
        delivered += got.len();
        microseconds.extend(got);
    }
    expect(client_1, &Answer::Emitted)?;
    let lost = cast.clients[1..].iter_mut().map(missed).sum::<anyhow::Result<u64>>()?;
    ensure!(lost == 0, "{lost} events were lost");
    report.catalog(wanted.len(), delivered, lost, began.elapsed(), microseconds);
    Ok(())
}

/// What one client gets, compared with what was emitted, in order. Something that was meant for another
/// in the pictures would show here as well: it would have come before.
fn follow(client: &mut Part, wanted: &[(String, Value)]) -> anyhow::Result<Vec<u64>> {
    let mut microseconds = Vec::with_capacity(wanted.len());
    for (place, (name, payload)) in wanted.iter().enumerate() {
        let Got { event, payload: got, microseconds: took } =
            next_event(client).with_context(|| format!("{} got {place} of {} events", client.name(), wanted.len()))?;
        if event != *name || got != *payload {
            bail!("{} got {event} {got} instead of {name} {payload}", client.name());
        }
        microseconds.push(took);
    }
    Ok(microseconds)
}

/// How many events a client has missed. Nothing else may have come.
fn missed(client: &mut Part) -> anyhow::Result<u64> {
    client.order(&Order::Count)?;
    match client.answer()? {
        Answer::Missed(missed) => Ok(missed),
        other => bail!("{} was not to say {other:?} now", client.name()),
    }
}
