//! Other processes of this program: started, waited for with a watchdog, and ended in every case.
//!
//! ```text
//!  director ─ orders, one JSON value per line, on stdin ─▶ process
//!           ◀─ answers, likewise, on stdout ───────────────
//! ```

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow, bail};
use events_core::engine::Addresses;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// How long a process may take to end once it was told to.
const END: Duration = Duration::from_secs(10);
/// How long a process may go on after its director is gone.
const GRACE: Duration = Duration::from_secs(3);

/// How often whoever waits for one looks whether another has died.
const LOOK: Duration = Duration::from_millis(100);

/// The first process that ended without being told to: what any other does then is of no use.
static DIED: Mutex<Option<String>> = Mutex::new(None);

/// What a process says when it cannot go on.
const FAILED: &str = "Failed";

/// One process, as its director sees it.
pub(crate) struct Part {
    name: String,
    child: Child,
    /// `None` once it was told to end.
    orders: Option<ChildStdin>,
    answers: Receiver<String>,
    /// It is to end, or has said why it does.
    ending: Arc<AtomicBool>,
    until: Instant,
}

impl Part {
    /// Starts this program in another role, which has the addresses as its last arguments.
    pub(crate) fn start(name: &str, role: &[&str], at: &Addresses, until: Instant) -> anyhow::Result<Part> {
        let program = std::env::current_exe().context("the path of this program is not known")?;
        let mut child = Command::new(program)
            .args(role)
            .args(["--emit-addr", &at.emit, "--reg-addr", &at.reg])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("{name} cannot be started"))?;
        let (orders, stdout) = (child.stdin.take(), child.stdout.take());
        let (tell, answers) = mpsc::channel();
        let ending = Arc::new(AtomicBool::new(false));
        let (is_ending, who) = (ending.clone(), name.to_owned());
        thread::spawn(move || {
            let lines = stdout.into_iter().flat_map(|stdout| BufReader::new(stdout).lines());
            for line in lines.map_while(Result::ok) {
                is_ending.fetch_or(line.contains(FAILED), Ordering::AcqRel);
                if tell.send(line).is_err() {
                    return;
                }
            }
            if !is_ending.load(Ordering::Acquire) {
                DIED.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(who);
            }
        });
        Ok(Part { name: name.to_owned(), child, orders, answers, ending, until })
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Has the process do something.
    pub(crate) fn order(&mut self, order: &impl Serialize) -> anyhow::Result<()> {
        let line = serde_json::to_string(order)?;
        let orders = self.orders.as_mut().context("it was told to end")?;
        // Not as an error of a pipe: that is how a run ends whose own output nobody reads.
        let written = writeln!(orders, "{line}").and_then(|()| orders.flush());
        written.map_err(|why| anyhow!("{} has ended: {why}", self.name))
    }

    /// The next answer; waits for it as long as the whole may take.
    pub(crate) fn answer<A: DeserializeOwned>(&mut self) -> anyhow::Result<A> {
        let line = loop {
            let left = self.until.saturating_duration_since(Instant::now());
            match self.answers.recv_timeout(left.min(LOOK)) {
                Ok(line) => break line,
                Err(RecvTimeoutError::Disconnected) => bail!("{} ended", self.name),
                Err(RecvTimeoutError::Timeout) if left.is_zero() => bail!("{} did not answer in time", self.name),
                Err(RecvTimeoutError::Timeout) => {}
            }
            if let Some(name) = &*DIED.lock().unwrap_or_else(PoisonError::into_inner) {
                bail!("{name} ended");
            }
        };
        let value: Value = serde_json::from_str(&line).with_context(|| format!("{} said `{line}`", self.name))?;
        if let Some(why) = value.get(FAILED) {
            bail!("{}: {}", self.name, why.as_str().unwrap_or_default());
        }
        serde_json::from_value(value).with_context(|| format!("{} was not to say `{line}` now", self.name))
    }

    /// Ends it. One that does not end well is a failure.
    pub(crate) fn end(mut self) -> anyhow::Result<()> {
        self.ending.store(true, Ordering::Release);
        self.orders = None;
        let until = Instant::now() + END;
        loop {
            match self.child.try_wait()? {
                Some(status) if status.success() => return Ok(()),
                Some(status) => bail!("{} ended with {status}", self.name),
                None if Instant::now() >= until => bail!("{} did not end", self.name),
                None => thread::sleep(Duration::from_millis(2)),
            }
        }
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        self.ending.store(true, Ordering::Release);
        self.orders = None;
        // Does nothing to one that has ended; the others must not outlive this process.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// In a process: the orders, until the director ends or says no more. A process that is still busy then does not
/// outlive it for long.
pub(crate) fn orders() -> Receiver<String> {
    let (tell, orders) = mpsc::channel();
    thread::spawn(move || {
        for line in std::io::stdin().lines().map_while(Result::ok) {
            let _ = tell.send(line);
        }
        drop(tell);
        thread::sleep(GRACE);
        std::process::exit(1);
    });
    orders
}

/// In a process: says something. Nobody listens only if the director is gone, and then the orders end as well.
pub(crate) fn say(answer: &impl Serialize) {
    if let Ok(line) = serde_json::to_string(answer) {
        let mut out = std::io::stdout().lock();
        let _ = writeln!(out, "{line}").and_then(|()| out.flush());
    }
}

/// In a process: says that it cannot go on, and why.
pub(crate) fn say_failed(error: &anyhow::Error) {
    say(&json!({ FAILED: format!("{error:#}") }));
}
