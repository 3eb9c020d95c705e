//! What was measured: written as JSON, and shown as tables and plots.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::measure::{Rounds, Row};
use crate::systems::System;
use crate::workload::{Mode, Workload};
use crate::{costs, machine, plot, report};

/// The name of the file with all of it.
const FILE: &str = "peers.json";

/// Everything that was measured.
#[derive(Default, Serialize, Deserialize)]
pub(crate) struct Results {
    pub(crate) command: String,
    pub(crate) machine: Value,
    pub(crate) versions: Value,
    /// How each system was used.
    systems: serde_json::Map<String, Value>,
    pub(crate) rounds: Rounds,
    pub(crate) quick: bool,
    pub(crate) seconds: f64,
    #[serde(rename = "results")]
    pub(crate) rows: Vec<Row>,
    pub(crate) usage: Vec<costs::Usage>,
    #[serde(rename = "emit")]
    pub(crate) emits: Option<costs::Emits>,
    pub(crate) scaling: Vec<Curve>,
    pub(crate) failed: Vec<String>,
}

/// How deliveries grow with the number of something.
#[derive(Serialize, Deserialize)]
pub(crate) struct Curve {
    pub(crate) of: String,
    pub(crate) points: Vec<Point>,
}

/// One step of a curve.
#[derive(Serialize, Deserialize)]
pub(crate) struct Point {
    pub(crate) count: usize,
    pub(crate) row: Row,
}

impl Results {
    /// Nothing yet, on this machine.
    pub(crate) fn begin() -> Results {
        let systems = System::ALL.iter().map(|system| (system.title().to_owned(), system.how().into())).collect();
        Results { machine: machine::machine(), versions: machine::versions(), systems, ..Results::default() }
    }

    /// What an earlier run has written to the folder `out`.
    pub(crate) fn read(out: &Path) -> Result<Results> {
        let path = out.join(FILE);
        let text = fs::read_to_string(&path).with_context(|| format!("{} cannot be read", path.display()))?;
        serde_json::from_str(&text).with_context(|| format!("{} is of another version of this program", path.display()))
    }

    /// Writes figures, tables and plots to the folder `out`, and the tables into the page beside it, if there is one.
    pub(crate) fn write(&self, out: &Path) -> Result<()> {
        fs::create_dir_all(out).with_context(|| format!("{} cannot be made", out.display()))?;
        let tables = report::markdown(self);
        let page = out.with_extension("md");
        if let Ok(text) = fs::read_to_string(&page)
            && let Some(text) = report::renewed(&text, &tables)
        {
            fs::write(&page, text).with_context(|| format!("{} cannot be written", page.display()))?;
        }
        let mut files = vec![(FILE.to_owned(), serde_json::to_string(self)? + "\n"), ("peers.md".to_owned(), tables)];
        files.extend(plot::all(self));
        for (name, text) in files {
            fs::write(out.join(&name), text).with_context(|| format!("{name} cannot be written"))?;
        }
        Ok(())
    }

    /// The workloads that were measured in one of these modes, in their order.
    pub(crate) fn workloads(&self, modes: &[Mode]) -> Vec<Workload> {
        let mut found: Vec<Workload> = Vec::new();
        for row in &self.rows {
            if let Ok(workload) = row.workload.parse::<Workload>()
                && modes.contains(&workload.mode)
                && !found.contains(&workload)
            {
                found.push(workload);
            }
        }
        found
    }

    pub(crate) fn row(&self, workload: &Workload, system: System) -> Option<&Row> {
        let name = workload.to_string();
        self.rows.iter().find(|row| row.system == system && row.workload == name)
    }

    /// The systems that have shown something in one of these, in their order.
    pub(crate) fn systems(&self, workloads: &[Workload]) -> Vec<System> {
        let shown = |system: &System| workloads.iter().any(|workload| self.row(workload, *system).is_some());
        System::ALL.iter().copied().filter(shown).collect()
    }
}
