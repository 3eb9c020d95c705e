//! The same processes with bare sockets of libzmq in place of events.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::Context;
use events_core::engine::zmq::bare::{self, Receiver, Sender};

use super::script::{Answer, Emitted, Order};
use super::tally::{self, Tally};
use crate::Result;
use crate::args::{BenchPartArguments, BenchRole};
use crate::processes::{orders, say, say_failed};

/// How long a subscriber waits before it looks whether it is told to end.
const LOOK: Duration = Duration::from_millis(100);

pub(super) fn run(arguments: &BenchPartArguments) -> Result {
    let at = arguments.place.addresses();
    if let BenchRole::Server = arguments.role {
        static END: AtomicBool = AtomicBool::new(false);
        thread::spawn(|| {
            orders().iter().for_each(drop);
            END.store(true, Ordering::Release);
        });
        bare::serve(&at.emit, &at.reg, &END, || say(&Answer::Ready)).context("the server of bare sockets ends")?;
        return Ok(());
    }
    let sender = Sender::connect(&at.emit).context("no PUSH can be opened")?;
    say(&Answer::Ready);
    let (tally, finished) = Tally::new();
    for line in orders() {
        let done = match serde_json::from_str(&line)? {
            Order::Register { types } => subscribe(&at.reg, types, tally.clone()),
            Order::Count { expected } => {
                tally.count(expected, &finished);
                Ok(())
            }
            Order::Emit { events, size, types, mode } => {
                let mut messages = topics(types);
                let emitted = tally::emit(events, size, mode, |data| {
                    // The topics take turns, each with its payload behind it.
                    let topic = messages.front_mut().context("there is a type")?;
                    let end = topic.iter().position(|byte| *byte == 0).map_or(0, |zero| zero + 1);
                    topic.truncate(end);
                    topic.extend_from_slice(data);
                    sender.send(topic)?;
                    messages.rotate_left(1);
                    Ok(())
                });
                emitted.map(|began| say(&Answer::Emitted(Emitted { events, began })))
            }
        };
        if let Err(error) = done {
            say_failed(&error);
        }
    }
    // Nobody needs what would come now.
    std::process::exit(0);
}

fn topics(types: usize) -> std::collections::VecDeque<Vec<u8>> {
    (0..types).map(|number| format!("BENCH_{number:02}\0").into_bytes()).collect()
}

fn subscribe(reg: &str, types: usize, tally: Tally) -> anyhow::Result<()> {
    let topics = topics(types);
    let receiver = Receiver::connect(reg, topics.iter().map(Vec::as_slice)).context("no SUB can be opened")?;
    say(&Answer::Registered);
    thread::spawn(move || {
        let header = "BENCH_00\0".len();
        while receiver.receive(LOOK, |message| tally.take(message.get(header..).unwrap_or_default())).is_ok() {}
    });
    Ok(())
}
