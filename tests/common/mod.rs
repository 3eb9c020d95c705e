//! Other processes for tests: started, listened to with a watchdog, and ended in every case.
#![allow(dead_code, reason = "each test takes what it needs")]

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

/// How long anything may take.
pub(crate) const LIMIT: Duration = Duration::from_secs(60);

/// A process whose lines are read.
pub(crate) struct Process {
    child: Child,
    stdin: Option<ChildStdin>,
    lines: Receiver<String>,
    errors: Option<Receiver<String>>,
}

fn lines_of(stream: impl Read + Send + 'static) -> Receiver<String> {
    let (tell, lines) = mpsc::channel();
    std::thread::spawn(move || {
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            if tell.send(line).is_err() {
                return;
            }
        }
    });
    lines
}

impl Process {
    /// Starts it.
    pub(crate) fn start(command: &mut Command) -> Process {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("the process starts");
        let stdin = child.stdin.take();
        let lines = lines_of(child.stdout.take().expect("its stdout"));
        let errors = child.stderr.take().map(lines_of);
        Process { child, stdin, lines, errors }
    }

    /// Starts it, and reads what it says on stderr as well.
    pub(crate) fn start_with_errors(command: &mut Command) -> Process {
        Process::start(command.stderr(Stdio::piped()))
    }

    /// The next line that it prints.
    pub(crate) fn line(&self) -> String {
        self.line_within(LIMIT)
    }

    /// The next line that it prints, where that may take longer.
    pub(crate) fn line_within(&self, limit: Duration) -> String {
        self.lines.recv_timeout(limit).expect("a line in time")
    }

    /// A line that it has printed and nobody has read, if there is one.
    pub(crate) fn heard(&self) -> Option<String> {
        self.lines.try_recv().ok()
    }

    /// The next line that it says on stderr.
    pub(crate) fn error(&self) -> String {
        self.errors.as_ref().expect("its stderr").recv_timeout(LIMIT).expect("a line in time")
    }

    /// The next line that it has said on stderr, until it has ended and there are no more.
    pub(crate) fn last_error(&self) -> Option<String> {
        self.errors.as_ref()?.recv_timeout(LIMIT).ok()
    }

    /// Nobody reads what it prints any more.
    pub(crate) fn ignore(&mut self) {
        self.lines = mpsc::channel().1;
    }

    /// Reads on to this line.
    pub(crate) fn until(&self, wanted: &str) {
        while self.line() != wanted {}
    }

    /// Tells it something.
    pub(crate) fn say(&mut self, line: &str) {
        writeln!(self.stdin.as_mut().expect("its stdin"), "{line}").expect("it listens");
    }

    /// Its id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Kills it as the system would.
    pub(crate) fn kill(&mut self) {
        self.child.kill().expect("it can be killed");
        self.child.wait().expect("it ends");
    }

    /// Waits until it has ended, and returns its exit code.
    pub(crate) fn end(&mut self) -> Option<i32> {
        self.stdin = None;
        let until = Instant::now() + LIMIT;
        loop {
            if let Some(status) = self.child.try_wait().expect("it can be waited for") {
                return status.code();
            }
            assert!(Instant::now() < until, "the process does not end");
            std::thread::park_timeout(Duration::from_millis(5));
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
