//! The parts of a run: processes of this program or of a peer, or threads, and in every case ended.
//!
//! ```text
//!  director ─ orders, one JSON value per line ─▶ part
//!           ◀─ answers, likewise ───────────────
//! ```

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use crate::part;
use crate::script::{Answer, Cast, Order};

/// How long a part may take to end once it was told to.
const END: Duration = Duration::from_secs(5);
/// How long a process may go on after its director is gone.
const GRACE: Duration = Duration::from_secs(3);
/// How long any answer may take.
const LIMIT: Duration = Duration::from_secs(60);

/// One part, as its director sees it.
pub(crate) struct Part {
    name: String,
    /// `None` once it was told to end.
    orders: Option<Sender<String>>,
    answers: Receiver<String>,
    pid: u32,
    running: Running,
}

enum Running {
    Process(Child),
    Thread(Option<JoinHandle<()>>),
}

impl Part {
    /// Starts a part and waits until it is ready.
    pub(crate) fn start(cast: &Cast) -> Result<Part> {
        let mut part = Part::begin(cast)?;
        part.ready()?;
        Ok(part)
    }

    /// Starts a part.
    pub(crate) fn begin(cast: &Cast) -> Result<Part> {
        let name = format!("{:?} {}", cast.role, cast.number);
        if cast.system.in_one_process() { Part::thread(name, cast) } else { Part::process(name, cast) }
    }

    /// Waits until it is ready.
    pub(crate) fn ready(&mut self) -> Result<()> {
        match self.answer()? {
            Answer::Ready(pid) => self.pid = pid,
            other => bail!("{} did not begin: {other:?}", self.name),
        }
        Ok(())
    }

    fn thread(name: String, cast: &Cast) -> Result<Part> {
        let (orders, told) = mpsc::channel();
        let (tell, answers) = mpsc::channel();
        // As with a process, so that both cost the same.
        let say: part::Say = Arc::new(move |answer| {
            if let Ok(line) = serde_json::to_string(answer) {
                let _ = tell.send(line);
            }
        });
        let cast = cast.clone();
        let thread = thread::Builder::new().name(name.clone()).spawn(move || part::run(&cast, &told, &say))?;
        Ok(Part { name, orders: Some(orders), answers, pid: 0, running: Running::Thread(Some(thread)) })
    }

    fn process(name: String, cast: &Cast) -> Result<Part> {
        let program = std::env::current_exe().context("the path of this program is not known")?;
        let mut command = Command::new(program);
        command.arg("part").arg(serde_json::to_string(cast)?);
        // Keys of this run alone.
        command.env("EVENTS_CONFIG_DIR", cast.place.folder.join("keys"));
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().context("no process")?;
        let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
        let (tell, answers) = mpsc::channel();
        thread::spawn(move || {
            let lines = stdout.into_iter().flat_map(|stdout| BufReader::new(stdout).lines());
            lines.map_while(Result::ok).try_for_each(|line| tell.send(line))
        });
        let (orders, told) = mpsc::channel::<String>();
        thread::spawn(move || {
            let mut stdin = stdin?;
            told.iter().try_for_each(|line| writeln!(stdin, "{line}")).ok()
        });
        Ok(Part { name, orders: Some(orders), answers, pid: 0, running: Running::Process(child) })
    }

    /// The process that does the work: this one, if it is a thread; of a peer's server its program.
    pub(crate) fn pid(&self) -> u32 {
        self.pid
    }

    pub(crate) fn order(&self, order: &Order) -> Result<()> {
        let orders = self.orders.as_ref().context("it was told to end")?;
        orders.send(serde_json::to_string(order)?).with_context(|| format!("{} has ended", self.name))
    }

    pub(crate) fn answer(&self) -> Result<Answer> {
        let line = self.answers.recv_timeout(LIMIT).with_context(|| format!("{} does not answer", self.name))?;
        match serde_json::from_str(&line).with_context(|| format!("{} said `{line}`", self.name))? {
            Answer::Failed(why) => bail!(why),
            answer => Ok(answer),
        }
    }

    /// An order, and that it was done.
    pub(crate) fn ask(&self, order: &Order) -> Result<Answer> {
        self.order(order)?;
        self.answer()
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        self.orders = None;
        match &mut self.running {
            Running::Process(child) => end(child),
            // A thread that does not end is left alone: it holds nothing but memory.
            Running::Thread(thread) => {
                let until = Instant::now() + END;
                while Instant::now() < until && thread.as_ref().is_some_and(|thread| !thread.is_finished()) {
                    thread::sleep(Duration::from_millis(2));
                }
                if thread.as_ref().is_some_and(JoinHandle::is_finished) {
                    let _ = thread.take().map(JoinHandle::join);
                }
            }
        }
    }
}

/// Waits for a process that knows it is to end, and ends it if it does not.
fn end(child: &mut Child) {
    let until = Instant::now() + END;
    while Instant::now() < until {
        if !matches!(child.try_wait(), Ok(None)) {
            return;
        }
        thread::sleep(Duration::from_millis(2));
    }
    let _ = child.kill();
    let _ = child.wait();
}

/// A server that is a program of its own.
pub(crate) struct Program(Child);

impl Program {
    pub(crate) fn start(mut command: Command, ready: impl Fn() -> bool) -> Result<Program> {
        let name = command.get_program().display().to_string();
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut program = Program(command.spawn().with_context(|| format!("{name} is not on PATH"))?);
        let until = Instant::now() + Duration::from_secs(10);
        while !ready() {
            ensure!(program.0.try_wait()?.is_none(), "{name} ended at once");
            ensure!(Instant::now() < until, "{name} is not ready");
            thread::sleep(Duration::from_millis(5));
        }
        Ok(program)
    }

    pub(crate) fn pid(&self) -> u32 {
        self.0.id()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// In a process of this program: does what its director says on stdin, and does not outlive it for long.
pub(crate) fn perform(cast: &Cast) {
    let (tell, orders) = mpsc::channel();
    thread::spawn(move || {
        for line in std::io::stdin().lines().map_while(Result::ok) {
            let _ = tell.send(line);
        }
        drop(tell);
        thread::sleep(GRACE);
        std::process::exit(1);
    });
    let say: part::Say = Arc::new(|answer| {
        if let Ok(line) = serde_json::to_string(answer) {
            let mut out = std::io::stdout().lock();
            // Nobody listens only if the director is gone, and then the orders end as well.
            let _ = writeln!(out, "{line}").and_then(|()| out.flush());
        }
    });
    part::run(cast, &orders, &say);
    // Nobody needs what threads of a peer still do.
    std::process::exit(0);
}
