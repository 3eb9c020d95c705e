//! `events bench`: how fast events travel between processes of this machine.
//!
//! ```text
//!  publisher × P ─▶ server ─▶ subscriber × S      each a process of its own, over ipc
//! ```
//!
//! Events are typed on both sides: what is measured is `emit` with its encoding, and the handler with its decoding. As many
//! bytes as a server keeps go before, so that memory is there, which the system hands out page by page.
//! With `--raw` the same is done with bare sockets of libzmq, one message per event and bytes as they are.

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use events_core::engine::Addresses;
use indicatif::{ProgressBar, ProgressStyle};

use crate::args::{BenchArguments, BenchPartArguments, Mode};
use crate::processes::Part;
use crate::{Result, signals};

mod part;
mod raw;
mod report;
mod script;
mod tally;
mod types;

use report::Report;
use script::{Answer, Counted, Emitted, Order};

/// One of the processes.
pub(crate) fn part(arguments: &BenchPartArguments) -> Result {
    if arguments.raw { raw::run(arguments) } else { part::run(arguments) }
}

pub(crate) fn run(arguments: &BenchArguments) -> Result {
    let folder = tempfile::Builder::new().prefix("events-bench-").tempdir().context("no folder for the sockets")?;
    let address = |file: &str| format!("ipc://{}", folder.path().join(file).display());
    let at = |name: &str| Addresses { emit: address(&format!("{name}-emit")), reg: address(&format!("{name}-reg")) };
    let path = folder.path().to_owned();
    signals::on_end(move || {
        // The other processes end by themselves when nobody holds their stdin any more.
        let _ = std::fs::remove_dir_all(&path);
        std::process::exit(1);
    })?;
    let report = measure(arguments, &at("events"), &[])?;
    let raw = if arguments.raw { Some(measure(arguments, &at("raw"), &["--raw"])?) } else { None };
    if arguments.json {
        println!("{}", report.json(raw.as_ref(), arguments.mode));
    } else {
        print!("{}", report.text(raw.as_ref(), arguments));
    }
    Ok(())
}

fn measure(arguments: &BenchArguments, at: &Addresses, how: &[&str]) -> anyhow::Result<Report> {
    let until = Instant::now() + arguments.timeout;
    let start = |name: String, role| Part::start(&name, &[&["bench-part", role], how].concat(), at, until);
    let mut server = start("the server".to_owned(), "server")?;
    ensure!(matches!(server.answer()?, Answer::Ready), "the server did not begin");
    let all = |role, count: u32| -> anyhow::Result<Vec<Part>> {
        (1..=count).map(|number| start(format!("{role} {number}"), role)).collect()
    };
    let mut subscribers = all("subscriber", arguments.subscribers)?;
    let mut publishers = all("publisher", arguments.publishers)?;
    for part in subscribers.iter_mut().chain(&mut publishers) {
        ensure!(matches!(part.answer()?, Answer::Ready), "{} did not begin", part.name());
    }

    for subscriber in &mut subscribers {
        subscriber.order(&Order::Register { types: arguments.types })?;
    }
    for subscriber in &mut subscribers {
        ensure!(matches!(subscriber.answer()?, Answer::Registered), "{} did not register", subscriber.name());
    }
    let load = Load::of(arguments);
    let mut go = |events, bar| go(&mut publishers, &mut subscribers, arguments, events, bar);
    let warm = go(load.before, ProgressBar::hidden())?;
    ensure!(warm.lost() == 0, "of the events that go before the measurement, {} were lost", warm.lost());
    // Hidden by itself where stderr is no terminal.
    let all = load.measured * u64::from(arguments.publishers) * u64::from(arguments.subscribers);
    let style = ProgressStyle::with_template("{wide_bar} {human_pos} of {human_len} delivered, {per_sec}")?;
    let report = go(load.measured, ProgressBar::new(all).with_style(style))?;
    // The server last: it waits for those who are connected.
    publishers.into_iter().chain(subscribers).try_for_each(Part::end)?;
    server.end()?;
    Ok(report)
}

/// How many events each publisher emits.
struct Load {
    before: u64,
    measured: u64,
}

impl Load {
    fn of(arguments: &BenchArguments) -> Load {
        let (size, publishers) = (arguments.size as u64, u64::from(arguments.publishers));
        let subscribers = u64::from(arguments.subscribers);
        let (before, measured) = match arguments.mode {
            Mode::Latency => (200, 10_000),
            Mode::Throughput => {
                // Not for ever where there are many subscribers.
                let before = KEPT.min(4 * KEPT / subscribers) / size;
                (before, (16 * KEPT / size / subscribers).clamp(1_000, 2_000_000))
            }
        };
        let each = |events: u64| events.div_ceil(publishers);
        Load { before: each(before), measured: arguments.events.unwrap_or(each(measured)) }
    }
}

/// Has every publisher emit so many events, and every subscriber count them.
fn go(
    publishers: &mut [Part],
    subscribers: &mut [Part],
    arguments: &BenchArguments,
    events: u64,
    bar: ProgressBar,
) -> anyhow::Result<Report> {
    let &BenchArguments { size, types, mode, .. } = arguments;
    for subscriber in &mut *subscribers {
        subscriber.order(&Order::Count { expected: events * publishers.len() as u64 })?;
        ensure!(matches!(subscriber.answer()?, Answer::Counting), "{} does not count", subscriber.name());
    }
    for publisher in &mut *publishers {
        publisher.order(&Order::Emit { events, size, types, mode })?;
    }
    let counted = count(subscribers, &bar)?;
    let emitted = publishers.iter_mut().map(|publisher| match publisher.answer()? {
        Answer::Emitted(emitted) => Ok(emitted),
        other => anyhow::bail!("{} was not to say {other:?} now", publisher.name()),
    });
    let emitted: Vec<Emitted> = emitted.collect::<anyhow::Result<_>>()?;
    Ok(Report::new(&emitted, counted, size))
}

/// Follows the subscribers until each has everything, or nothing comes any more.
fn count(subscribers: &mut [Part], bar: &ProgressBar) -> anyhow::Result<Vec<Counted>> {
    let mut counted = Vec::with_capacity(subscribers.len());
    let mut before = 0;
    for subscriber in subscribers {
        loop {
            match subscriber.answer()? {
                Answer::Progress(received) => bar.set_position(before + received),
                Answer::Counted(result) => {
                    before += result.received;
                    counted.push(result);
                    break;
                }
                other => anyhow::bail!("{} was not to say {other:?} now", subscriber.name()),
            }
        }
    }
    bar.finish_and_clear();
    Ok(counted)
}

/// Nanoseconds since 1970: a clock that all processes of this machine share.
fn now() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

/// What a server keeps, in bytes.
const KEPT: u64 = 16 << 20;
/// How long anything may take that is no measurement.
const LIMIT: Duration = Duration::from_secs(60);
