//! The processes of the demonstration: started, waited for with a watchdog, and ended in every case.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow, bail};
use events_core::engine::Addresses;

use super::script::{Answer, Got, Order};

/// How long a process may take to end once it was told to.
const END: Duration = Duration::from_secs(5);

/// All of them.
pub(super) struct Cast {
    pub(super) server: Part,
    pub(super) clients: [Part; 3],
}

impl Cast {
    pub(super) fn start(at: &Addresses, until: Instant) -> anyhow::Result<Cast> {
        let start = |name, role| Part::start(name, role, at, until);
        let mut server = start("the server", "server")?;
        server.expect(|answer| matches!(answer, Answer::Ready))?;
        let mut clients = [start("client 1", "client")?, start("client 2", "client")?, start("client 3", "client")?];
        for client in &mut clients {
            client.expect(|answer| matches!(answer, Answer::Ready))?;
        }
        Ok(Cast { server, clients })
    }

    /// Ends all; a process that does not end well is a failure.
    pub(super) fn end(self) -> anyhow::Result<()> {
        // Clients first, so that the server has nobody to wait for.
        self.clients.into_iter().try_for_each(Part::end)?;
        self.server.end()
    }
}

/// One process.
pub(super) struct Part {
    name: &'static str,
    child: Child,
    /// `None` once it was told to end.
    orders: Option<ChildStdin>,
    answers: Receiver<String>,
    until: Instant,
}

impl Part {
    fn start(name: &'static str, role: &str, at: &Addresses, until: Instant) -> anyhow::Result<Part> {
        let program = std::env::current_exe().context("the path of this program is not known")?;
        let mut child = Command::new(program)
            .args(["demo-part", role, "--emit-addr", &at.emit, "--reg-addr", &at.reg])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("{name} cannot be started"))?;
        let (orders, stdout) = (child.stdin.take(), child.stdout.take());
        let (tell, answers) = mpsc::channel();
        thread::spawn(move || {
            let lines = stdout.into_iter().flat_map(|stdout| BufReader::new(stdout).lines());
            for line in lines.map_while(Result::ok) {
                if tell.send(line).is_err() {
                    return;
                }
            }
        });
        Ok(Part { name, child, orders, answers, until })
    }

    pub(super) fn name(&self) -> &str {
        self.name
    }

    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Has the process do something.
    pub(super) fn order(&mut self, order: &Order) -> anyhow::Result<()> {
        let line = serde_json::to_string(order)?;
        let orders = self.orders.as_mut().context("it was told to end")?;
        writeln!(orders, "{line}").and_then(|()| orders.flush()).with_context(|| format!("{} has ended", self.name))
    }

    /// The next answer; waits for it as long as the demonstration may take.
    fn answer(&mut self) -> anyhow::Result<Answer> {
        let left = self.until.saturating_duration_since(Instant::now());
        let line = self.answers.recv_timeout(left).map_err(|error| match error {
            mpsc::RecvTimeoutError::Timeout => anyhow!("{} did not answer in time", self.name),
            mpsc::RecvTimeoutError::Disconnected => anyhow!("{} ended", self.name),
        })?;
        match serde_json::from_str(&line).with_context(|| format!("{} said `{line}`", self.name))? {
            Answer::Failed(why) => Err(anyhow!("{}: {why}", self.name)),
            answer => Ok(answer),
        }
    }

    /// The next answer, which has to be this one.
    pub(super) fn expect(&mut self, wanted: impl Fn(&Answer) -> bool) -> anyhow::Result<()> {
        match self.answer()? {
            answer if wanted(&answer) => Ok(()),
            other => bail!("{} was not to say {other:?} now", self.name),
        }
    }

    /// The next event that the process got.
    pub(super) fn next_event(&mut self) -> anyhow::Result<Got> {
        match self.answer()? {
            Answer::Got(got) => Ok(got),
            other => bail!("{} was not to say {other:?} now", self.name),
        }
    }

    /// How many events it has missed. Nothing else may have come.
    pub(super) fn missed(&mut self) -> anyhow::Result<u64> {
        self.order(&Order::Count)?;
        match self.answer()? {
            Answer::Missed(missed) => Ok(missed),
            other => bail!("{} was not to say {other:?} now", self.name),
        }
    }

    fn end(mut self) -> anyhow::Result<()> {
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
        self.orders = None;
        // Does nothing to one that has ended; the others must not outlive this process.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
