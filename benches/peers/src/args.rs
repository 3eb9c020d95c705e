//! What is said on the command line.

use std::path::PathBuf;

use clap::{Parser, Subcommand};

use crate::measure::Rounds;
use crate::run::Times;
use crate::systems::System;
use crate::workload::Workload;

/// Measures events beside other ways to send messages between programs.
#[derive(Parser)]
#[command(about)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) part: Option<Hidden>,

    /// Only these workloads, as in `64B_1x8`, `64B_1x1_48types`, `steady_64B_1x1`, `latency_64B`, and of `costs` and
    /// `scaling` none unless named here.
    #[arg(long, num_args = 1.., value_name = "WORKLOAD")]
    pub(crate) only: Vec<Choice>,

    /// Only these systems.
    #[arg(long, num_args = 1.., value_enum, default_values_t = System::ALL.to_vec())]
    pub(crate) systems: Vec<System>,

    /// How often each figure is taken, three times as often where one event in a hundred counts; what is shown is the median.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=101))]
    pub(crate) rounds: u32,

    /// Short runs, two rounds, coarse plots: whether it works, not how fast it is.
    #[arg(long)]
    pub(crate) quick: bool,

    /// Measures nothing, and draws the tables and plots of the figures in `--out` again.
    #[arg(long)]
    pub(crate) again: bool,

    /// Where the figures go. A page of the same name beside it, as in `docs/performance.md`, gets the tables between its
    /// marks.
    #[arg(long, default_value = "docs/performance")]
    pub(crate) out: PathBuf,
}

#[derive(Subcommand)]
pub(crate) enum Hidden {
    /// One of the processes.
    #[command(hide = true)]
    Part { cast: String },
}

/// Something that can be measured.
#[derive(Clone, Debug)]
pub(crate) enum Choice {
    Workload(Workload),
    Costs,
    Scaling,
}

impl std::str::FromStr for Choice {
    type Err = anyhow::Error;

    fn from_str(name: &str) -> anyhow::Result<Choice> {
        Ok(match name {
            "costs" => Choice::Costs,
            "scaling" => Choice::Scaling,
            name => Choice::Workload(name.parse()?),
        })
    }
}

impl Arguments {
    pub(crate) fn rounds(&self) -> Rounds {
        let (bursts, times) = if self.quick { (self.rounds.min(2), 1) } else { (self.rounds, 3) };
        Rounds { bursts, timed: bursts * times }
    }

    pub(crate) fn times(&self) -> Times {
        if self.quick {
            Times { burst: 0.1, steady: 0.3, latency: 0.3 }
        } else {
            Times { burst: 0.7, steady: 1.5, latency: 2.0 }
        }
    }
}
