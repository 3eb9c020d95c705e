//! `events emit`: checks an event against the catalog, emits it, and waits until the server has it.

use std::time::Duration;

use anyhow::Context;
use events_codegen::Catalog;
use events_codegen::model::Event;
use events_core::client::Client;
use events_core::delivery::publisher::Kind;
use events_core::engine::Addresses;
use events_core::error::Error;

use crate::Result;
use crate::args::EmitArguments;
use crate::catalog::Known;

/// What to emit, resolved.
pub(crate) struct Plan {
    known: Known,
    name: String,
    payload: Vec<u8>,
    timeout: Duration,
    at: Addresses,
}

impl Plan {
    pub(crate) fn resolve(arguments: &EmitArguments) -> Result<Plan> {
        let known = Known::of(&arguments.catalog)?;
        let payload = known.payload(known.event(&arguments.event)?, &arguments.fields)?;
        Ok(Plan {
            known,
            name: arguments.event.clone(),
            payload,
            timeout: arguments.timeout,
            at: arguments.place.addresses(),
        })
    }
}

pub(crate) fn run(plan: &Plan) -> Result {
    let client = Client::connect(&plan.at.emit, &plan.at.reg).context("no client can be opened")?;
    emit(&client, plan.known.catalog(), plan.known.event(&plan.name)?, &plan.payload)?;
    let (flushed, trouble) = (client.flush(plan.timeout), client.trouble());
    // Nothing more to wait for, whether it went well or not.
    let _ = client.close(Duration::ZERO);
    if let Err(refused @ Error::MayNotEmit { .. }) = flushed {
        return Err(refused.into());
    }
    flushed.with_context(|| {
        // What is known is told by the error itself.
        let perhaps = if trouble.is_none() { "; is `events server` running?" } else { "" };
        format!("no server at {} has taken `{}` within {:?}{perhaps}", plan.at.emit, plan.name, plan.timeout)
    })?;
    Ok(())
}

/// Emits a payload that was made by the catalog.
pub(crate) fn emit(
    client: &Client,
    catalog: &Catalog,
    event: &Event,
    payload: &[u8],
) -> std::result::Result<(), Error> {
    let shape = || catalog.shape_text(event);
    let fingerprint = catalog.fingerprint(event);
    client.emit_raw(Kind { name: &event.name, fingerprint, retain: event.retain, shape: &shape }, payload)
}
