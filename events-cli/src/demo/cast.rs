//! The processes of the demonstration.

use std::time::Instant;

use anyhow::ensure;
use events_core::engine::Addresses;

use super::script::{Answer, Got};
use crate::processes::Part;

/// All of them.
pub(super) struct Cast {
    pub(super) server: Part,
    pub(super) clients: [Part; 3],
}

impl Cast {
    pub(super) fn start(at: &Addresses, until: Instant) -> anyhow::Result<Cast> {
        let start = |name, role| Part::start(name, &["demo-part", role], at, until);
        let mut server = start("the server", "server")?;
        expect(&mut server, &Answer::Ready)?;
        let mut clients = [start("client 1", "client")?, start("client 2", "client")?, start("client 3", "client")?];
        for client in &mut clients {
            expect(client, &Answer::Ready)?;
        }
        Ok(Cast { server, clients })
    }

    pub(super) fn end(self) -> anyhow::Result<()> {
        // Clients first, so that the server has nobody to wait for.
        self.clients.into_iter().try_for_each(Part::end)?;
        self.server.end()
    }
}

/// The next answer, which has to be this one.
pub(super) fn expect(part: &mut Part, wanted: &Answer) -> anyhow::Result<()> {
    let answer: Answer = part.answer()?;
    ensure!(answer == *wanted, "{} was not to say {answer:?} now", part.name());
    Ok(())
}

/// The next event that the process got.
pub(super) fn next_event(part: &mut Part) -> anyhow::Result<Got> {
    part.answer()
}
