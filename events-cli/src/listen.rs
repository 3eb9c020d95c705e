//! `events listen`: prints events as they come.
//!
//! ```text
//!  handler thread ─ Told ─▶ channel ─▶ this thread ─▶ stdout
//!  signal thread ──────────┘ bounded: whoever reads slowly slows the client down, and nothing is lost
//! ```

use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError, SyncSender};
use std::time::{Duration, Instant, SystemTime};
use std::{process, thread};

use anyhow::Context;
use events::Timestamp;
use events_core::client::{Client, ClientOptions};
use events_core::dispatch::RawEvent;
use events_core::engine::Addresses;
use events_core::error::{Error, Lagged};
use events_core::received::Received;
use events_core::registration::Registration;
use serde_json::{Value, json};

use crate::args::{Format, ListenArguments};
use crate::catalog::{Known, Reading};
use crate::exit::Outcome;
use crate::{Result, signals};

/// Events between the handler and the printer.
const CAPACITY: usize = 1024;
/// How long nothing is said while no server is there.
const PATIENCE: Duration = Duration::from_millis(500);

/// What to do, resolved.
pub(crate) struct Plan {
    known: Known,
    /// Empty: all.
    names: Vec<String>,
    count: Option<u64>,
    until: Option<Instant>,
    format: Format,
    show_secrets: bool,
    at: Addresses,
}

impl Plan {
    pub(crate) fn resolve(arguments: &ListenArguments) -> Result<Plan> {
        let known = Known::of(&arguments.catalog)?;
        let mut names = arguments.events.clone();
        names.sort();
        names.dedup();
        for name in &names {
            known.event(name)?;
        }
        Ok(Plan {
            known,
            names,
            count: arguments.count,
            // A time too long to be added has no end.
            until: arguments.timeout.and_then(|timeout| Instant::now().checked_add(timeout)),
            format: arguments.format,
            show_secrets: arguments.show_secrets,
            at: arguments.place.addresses(),
        })
    }

    fn left(&self) -> Duration {
        self.until.map_or(Duration::from_secs(3600), |until| until.saturating_duration_since(Instant::now()))
    }
}

/// What the printer is told.
enum Told {
    Event(Received<RawEvent>),
    /// The server does not hand on what was asked for.
    Refused(String),
    End,
}

/// It was told to end.
static ENDING: AtomicBool = AtomicBool::new(false);

pub(crate) fn run(plan: Plan) -> Result {
    let mut options = ClientOptions::default();
    options.register_limit = options.register_limit.min(plan.left());
    let client = Client::with_options(&plan.at.emit, &plan.at.reg, options).context("no client can be opened")?;
    let (tell, told) = mpsc::sync_channel(CAPACITY);
    let refused = tell.clone();
    client.on_problem(move |problem| match problem {
        Error::NoConnection(why) => eprintln!("events: {problem}: {why}"),
        Error::MayNotRegister { .. } => drop(refused.try_send(Told::Refused(problem.to_string()))),
        _ => {}
    });
    client.on_gap(|Lagged { event, publisher, missed, .. }| {
        eprintln!("events: missed {missed} of `{event}` from {publisher:016x}");
    });
    let (end, whole) = (tell.clone(), plan.count.is_none());
    signals::on_end(move || {
        ENDING.store(true, Ordering::Release);
        // Whoever does not read what is printed does not keep it from ending.
        let _ = end.try_send(Told::End);
        thread::sleep(PATIENCE);
        process::exit(i32::from(!whole));
    })?;
    for registration in register(&client, &plan.names, &tell)? {
        if !registration.wait_active(PATIENCE.min(plan.left())) {
            eprintln!("events: waiting for a server at {}", plan.at.reg);
        }
        while !registration.wait_active(PATIENCE) {
            if plan.left().is_zero() {
                return Err(anyhow::anyhow!("no server answered at {} in time", plan.at.reg).into());
            }
            match told.try_recv() {
                Ok(Told::End) => return missing(plan.count, "it was told to end"),
                Ok(Told::Refused(why)) => return Err(anyhow::anyhow!(why).into()),
                _ => {}
            }
        }
    }
    eprintln!("ready");
    let printed = print(&plan, &told);
    // The handler may wait in a full channel: it must see that nobody reads any more.
    drop(told);
    let missed = client.stats().missed;
    let closed = client.close(Duration::ZERO);
    if missed > 0 {
        eprintln!("events: missed {missed} in all");
    }
    printed?;
    Ok(closed?)
}

fn register(client: &Client, names: &[String], tell: &SyncSender<Told>) -> Result<Vec<Registration>> {
    let all = [None];
    let wanted: Vec<Option<&str>> = names.iter().map(|name| Some(name.as_str())).collect();
    let wanted = if wanted.is_empty() { &all[..] } else { &wanted[..] };
    let register = |name: &Option<&str>| {
        let tell = tell.clone();
        // Nobody reads any more once the printer has ended; the client is closed then.
        client.register_raw(*name, move |event| drop(tell.send(Told::Event(event.clone()))))
    };
    Ok(wanted.iter().map(register).collect::<std::result::Result<_, _>>()?)
}

fn print(plan: &Plan, told: &mpsc::Receiver<Told>) -> Result {
    let mut out = std::io::stdout().lock();
    let mut left = plan.count;
    let mut warned = Vec::new();
    while left != Some(0) {
        let event = match told.recv_timeout(plan.left()) {
            _ if ENDING.load(Ordering::Acquire) => return missing(left, "it was told to end"),
            Ok(Told::Event(event)) => event,
            Ok(Told::Refused(why)) => return Err(anyhow::anyhow!(why).into()),
            Ok(Told::End) => return missing(left, "it was told to end"),
            Err(RecvTimeoutError::Disconnected) => return missing(left, "the client ended"),
            Err(RecvTimeoutError::Timeout) if plan.until.is_none() => continue,
            Err(RecvTimeoutError::Timeout) => return missing(left, "the time passed"),
        };
        let reading = plan.known.read(&event, plan.show_secrets);
        if let Some(why) = &reading.warning
            && !warned.contains(&(event.name.clone(), event.fingerprint))
        {
            warned.push((event.name.clone(), event.fingerprint));
            eprintln!("events: `{}` {why}", event.name);
        }
        match plan.format {
            Format::Json => writeln!(out, "{}", line(&event, &reading))?,
            Format::Text => writeln!(out, "{}", text(&event, &reading))?,
        }
        // Whoever reads through a pipe reads each event when it comes.
        out.flush()?;
        left = left.map(|left| left - 1);
    }
    Ok(())
}

/// Without a count everything was done whenever it ends.
fn missing(left: Option<u64>, why: &str) -> Result {
    match left {
        None => Ok(()),
        Some(1) => Err(Outcome::Failed(anyhow::anyhow!("{why}, and one event had not come"))),
        Some(left) => Err(Outcome::Failed(anyhow::anyhow!("{why}, and {left} events had not come"))),
    }
}

fn line(event: &Received<RawEvent>, reading: &Reading) -> Value {
    json!({
        "event": event.name,
        "payload": reading.payload,
        // 64 bits: more than a number in JSON holds for most readers.
        "publisher": format!("{:016x}", event.publisher()),
        "sequence": event.sequence(),
        "sent_at": sent_at(event.sent_at()),
        "retained": event.is_retained(),
    })
}

fn text(event: &Received<RawEvent>, reading: &Reading) -> String {
    let retained =
        if event.is_retained() { format!("  (retained, {} s old)", event.age().as_secs()) } else { String::new() };
    let fields = match &reading.payload {
        Value::Object(fields) => fields.iter().map(|(name, value)| format!("  {name}={value}")).collect(),
        other => format!("  {other}"),
    };
    format!(
        "{}  {}{fields}  from {:016x} #{}{retained}",
        sent_at(event.sent_at()),
        event.name,
        event.publisher(),
        event.sequence()
    )
}

fn sent_at(time: SystemTime) -> String {
    Timestamp::from(time).to_string()
}
