//! How a run ends: the exit codes, and what is said on stderr.

use std::fmt::Display;
use std::process::ExitCode;

/// Why a run did not do what it was asked for.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// It was tried and did not succeed: exit code 1.
    Failed(anyhow::Error),
    /// What was asked for makes no sense: exit code 2, as for arguments that cannot be read.
    Usage(String),
    /// Nobody reads what is printed any more. That is no failure: `events listen | head -1`.
    BrokenPipe,
}

impl Outcome {
    /// Wrong usage, with what is allowed.
    pub(crate) fn usage(message: impl Display) -> Outcome {
        Outcome::Usage(message.to_string())
    }
}

impl<E: Into<anyhow::Error>> From<E> for Outcome {
    fn from(error: E) -> Outcome {
        let error = error.into();
        let pipe = error.downcast_ref::<std::io::Error>().map(std::io::Error::kind);
        if pipe == Some(std::io::ErrorKind::BrokenPipe) {
            return Outcome::BrokenPipe;
        }
        Outcome::Failed(error)
    }
}

/// The exit code of a run, after saying why it is not 0.
pub(crate) fn report(outcome: Result<(), Outcome>) -> ExitCode {
    match outcome {
        Ok(()) | Err(Outcome::BrokenPipe) => ExitCode::SUCCESS,
        Err(Outcome::Failed(error)) => {
            eprintln!("events: {error:#}");
            ExitCode::from(1)
        }
        Err(Outcome::Usage(message)) => {
            eprintln!("events: {message}");
            ExitCode::from(2)
        }
    }
}
