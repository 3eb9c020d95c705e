//! What the demonstration tells a newcomer, step by step.

use std::time::Duration;

use events_core::engine::Addresses;

use super::cast::Cast;
use super::script::Got;
use super::{EVENT_1, EVENT_2};

pub(super) struct Report;

impl Report {
    pub(super) fn begin() -> Report {
        println!("Programs send each other events. Each program here is a process of its own.\n");
        Report
    }

    pub(super) fn cast(&self, cast: &Cast, at: &Addresses) {
        println!("  server    pid {:<8} takes events in at {}", cast.server.pid(), at.emit);
        println!("  {:<22} hands them out at  {}", "", at.reg);
        for client in &cast.clients {
            println!("  {}  pid {}", client.name(), client.pid());
        }
    }

    pub(super) fn registered(&self) {
        println!("\n1. Two clients register, each for one event\n");
        for (client, event) in [(2, EVENT_1), (3, EVENT_2)] {
            println!("  client {client} {} server", arrow(&format!("register {event}")));
        }
    }

    pub(super) fn pair(&self, got: &[Got; 2]) {
        println!("\n2. Client 1 emits both; each of them gets exactly its own\n");
        for (client, got) in [2, 3].into_iter().zip(got) {
            let emit = arrow(&format!("emit {}", got.event));
            println!("  client 1 {emit} server ──▶ client {client}   {}", got.payload);
        }
    }

    pub(super) fn catalog_begins(&self, events: usize, rounds: u32) {
        println!("\n3. All {events} events of the catalog, {rounds} times, from client 1 to clients 2 and 3\n");
    }

    pub(super) fn catalog(&self, emitted: usize, delivered: usize, lost: u64, took: Duration, mut times: Vec<u64>) {
        times.sort_unstable();
        let at = |share: f64| {
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)]
            let index = ((times.len() as f64 * share) as usize).min(times.len().saturating_sub(1));
            time(times.get(index).copied().unwrap_or_default())
        };
        println!("  emitted        {emitted:>6}   by client 1, one after the other, in {:.1} s", took.as_secs_f64());
        println!("  delivered      {delivered:>6}   half of them to client 2, half to client 3");
        println!("  lost           {lost:>6}");
        println!("  payloads       every one as it was sent, in the order in which it was sent");
        println!(
            "  delivery time  from `emit` in one process to the handler in another:\n                 \
             min {}, median {}, 99 % within {}, max {}",
            at(0.0),
            at(0.5),
            at(0.99),
            at(1.0)
        );
    }

    pub(super) fn end(&self) {
        let program = std::env::args().next().unwrap_or_else(|| "events".to_owned());
        println!("\nAll of it happened. Now you, in three terminals:\n");
        for arguments in ["server".to_owned(), format!("listen {EVENT_1}"), format!("emit {EVENT_1} uid=me")] {
            println!("  {program} {arguments}");
        }
    }
}

/// An arrow with something written on it; all are of one length.
fn arrow(text: &str) -> String {
    format!("── {text} {:─<1$}▶", "", 32_usize.saturating_sub(text.chars().count()))
}

fn time(microseconds: u64) -> String {
    if microseconds < 10_000 { format!("{microseconds} µs") } else { format!("{:.1} ms", microseconds as f64 / 1e3) }
}
