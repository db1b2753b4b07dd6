//! What came out? Rows with our figure, the limit, and what neighbours were measured at, as a table and as JSON.

use serde_json::{Value, json};
use std::fmt::Write as _;
use std::process::Command;

/// One figure.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Row {
    /// Which bench, and its size.
    pub bench: String,
    /// What was measured.
    pub measure: &'static str,
    /// How much.
    pub value: f64,
    /// Of what; empty for counts.
    pub unit: &'static str,
    /// What it may be at most.
    pub limit: Option<f64>,
    /// Whether being off the limit is a failure.
    pub judged: Judged,
    /// What a reader should know beside the figure.
    pub note: String,
    /// Figures of neighbours on a machine like ours.
    pub neighbours: &'static str,
}

/// Whether a figure decides about the exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Judged {
    /// A count, the same on every machine; or a time far from its limit, or judged by another of the same run.
    Yes,
    /// A time: another on every machine.
    No,
}

/// All figures of a run.
#[derive(Debug, Default)]
pub(crate) struct Report {
    rows: Vec<Row>,
    command: String,
}

impl Report {
    /// Returns an empty report of a command.
    pub(crate) fn new(command: String) -> Self {
        Self { rows: Vec::new(), command }
    }

    /// Adds a count, which fails the run above its limit.
    pub(crate) fn count(&mut self, bench: &str, measure: &'static str, value: f64, limit: f64) -> &mut Row {
        self.add(bench, measure, value, "", Some(limit), Judged::Yes)
    }

    /// Adds a size in MiB, which fails the run above its limit.
    pub(crate) fn size(&mut self, bench: &str, measure: &'static str, value: f64, limit: f64) -> &mut Row {
        self.add(bench, measure, value, "MiB", Some(limit), Judged::Yes)
    }

    /// Adds what each of many things takes in KiB, which fails the run above its limit.
    pub(crate) fn share(&mut self, bench: &str, measure: &'static str, value: f64, limit: f64) -> &mut Row {
        self.add(bench, measure, value, "KiB", Some(limit), Judged::Yes)
    }

    /// Adds a figure that is only recorded.
    pub(crate) fn time(
        &mut self,
        bench: &str,
        measure: &'static str,
        value: f64,
        unit: &'static str,
        limit: Option<f64>,
    ) -> &mut Row {
        self.add(bench, measure, value, unit, limit, Judged::No)
    }

    /// Adds a time in milliseconds that callers are promised whatever goes on beside them; above its limit it fails the run.
    pub(crate) fn promise(&mut self, bench: &str, measure: &'static str, value: f64, limit: f64) -> &mut Row {
        self.add(bench, measure, value, "ms", Some(limit), Judged::Yes)
    }

    /// Adds a time in seconds that follows from what is configured; above its limit it fails the run.
    pub(crate) fn bound(&mut self, bench: &str, measure: &'static str, value: f64, limit: f64) -> &mut Row {
        self.add(bench, measure, value, "s", Some(limit), Judged::Yes)
    }

    fn add(
        &mut self,
        bench: &str,
        measure: &'static str,
        value: f64,
        unit: &'static str,
        limit: Option<f64>,
        judged: Judged,
    ) -> &mut Row {
        let row = Row {
            bench: bench.into(),
            measure,
            value,
            unit,
            limit,
            judged,
            note: String::new(),
            neighbours: "",
        };
        self.rows.push(row);
        self.rows.last_mut().expect("a row was just pushed")
    }

    /// Returns whether every count is within its limit.
    pub(crate) fn holds(&self) -> bool {
        self.rows.iter().all(|row| row.judged == Judged::No || row.is_within())
    }

    /// Writes the table to standard output.
    #[expect(clippy::print_stdout, reason = "the table is what the caller asked for")]
    pub(crate) fn print(&self) {
        println!("{}", self.table());
    }

    fn table(&self) -> String {
        let mut text = format!("{} ({}), {}\n\n", self.command, machine(), today());
        text.push_str("| bench | measure | figure | at most | | neighbours |\n|---|---|---|---|---|---|\n");
        for row in &self.rows {
            let limit = row.limit.map_or_else(String::new, |limit| number(limit, row.unit));
            let verdict = match (row.is_within(), row.judged) {
                _ if row.limit.is_none() => "",
                (true, _) => "ok",
                (false, Judged::Yes) => "**off**",
                (false, Judged::No) => "slower",
            };
            let note = if row.note.is_empty() { String::new() } else { format!(" ({})", row.note) };
            let _ = writeln!(
                text,
                "| {} | {} | {}{note} | {limit} | {verdict} | {} |",
                row.bench,
                row.measure,
                number(row.value, row.unit),
                row.neighbours,
            );
        }
        text
    }

    /// Returns the figures as JSON.
    pub(crate) fn to_json(&self) -> Value {
        let row = |row: &Row| {
            json!({
                "bench": row.bench, "measure": row.measure, "value": row.value, "unit": row.unit, "limit": row.limit,
                "judged": row.judged == Judged::Yes, "within": row.is_within(), "note": row.note,
            })
        };
        json!({
            "command": self.command, "machine": machine(), "date": today(), "commit": commit(), "holds": self.holds(),
            "rows": self.rows.iter().map(row).collect::<Vec<_>>(),
        })
    }
}

impl Row {
    fn is_within(&self) -> bool {
        self.limit.is_none_or(|limit| self.value <= limit + 1e-9)
    }

    /// Says what a reader should know.
    pub(crate) fn note(&mut self, note: impl Into<String>) -> &mut Self {
        self.note = note.into();
        self
    }

    /// Puts neighbours' figures beside ours.
    pub(crate) fn beside(&mut self, neighbours: &'static str) -> &mut Self {
        self.neighbours = neighbours;
        self
    }
}

fn number(value: f64, unit: &str) -> String {
    let is_whole = (value - value.round()).abs() < 1e-9;
    match unit {
        "" if is_whole => format!("{value:.0}"),
        "" => format!("{value:.2}"),
        "x" => format!("{value:.2}x"),
        "ms" => format!("{value:.1} ms"),
        "s" => format!("{value:.2} s"),
        other => format!("{value:.1} {other}"),
    }
}

fn machine() -> String {
    let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split(' ').next().unwrap_or_default().to_owned();
    format!("{cores} cores shared with the control plane, load average afterwards {load}")
}

fn today() -> String {
    said(Command::new("date").args(["-u", "+%F"]))
}

fn commit() -> String {
    said(Command::new("git").current_dir(env!("CARGO_MANIFEST_DIR")).args(["rev-parse", "--short", "HEAD"]))
}

fn said(command: &mut Command) -> String {
    let output = command.output().map(|output| output.stdout).unwrap_or_default();
    String::from_utf8_lossy(&output).trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_decide_and_times_do_not() {
        let mut report = Report::new("bench b1".into());
        report.time("b1", "all synced", 9.0, "s", Some(1.0));
        report.count("b1", "requests per app", 2.0, 2.0);
        assert!(report.holds());
        assert!(report.table().contains("| b1 | all synced | 9.00 s | 1.00 s | slower |"));
        report.size("b1", "memory", 61.0, 60.0).note("x").beside("Argo CD 757 MiB");
        assert!(!report.holds());
        report.share("grow", "memory per app", 65.0, 64.0);
        assert!(report.table().contains("| grow | memory per app | 65.0 KiB | 64.0 KiB | **off** |"));
        assert!(report.table().contains("| 61.0 MiB (x) | 60.0 MiB | **off** | Argo CD 757 MiB |"));
    }
}
