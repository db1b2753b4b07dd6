//! What came of many cases, for people?

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::Verdict;

/// How many cases there were, how many were reached, how many broke an invariant, and the longest in seconds.
#[derive(Default)]
struct Row([u64; 4]);

impl Row {
    fn add(&mut self, verdict: &Verdict) {
        let Self([cases, reached, broken, longest]) = self;
        *cases += 1;
        *reached += u64::from(verdict.was_reached);
        *broken += u64::from(!verdict.violations.is_empty());
        *longest = verdict.took.as_secs().max(*longest);
    }
}

/// Returns two Markdown tables, by scenario and by fault; then what was broken.
pub fn table(verdicts: &[Verdict]) -> String {
    let mut text = String::new();
    write_rows(&mut text, "Scenario", verdicts, |verdict| verdict.case.scenario.to_string());
    text.push('\n');
    write_rows(&mut text, "Fault", verdicts, |verdict| verdict.case.what_befalls());
    for verdict in verdicts.iter().filter(|verdict| !verdict.violations.is_empty()) {
        writeln!(text, "\n`{}`", verdict.case).expect("text takes all");
        for violation in &verdict.violations {
            let short: String = violation.chars().take(400).collect();
            writeln!(text, "- {}", short.replace('\n', " ")).expect("text takes all");
        }
    }
    text
}

fn write_rows(text: &mut String, what: &str, verdicts: &[Verdict], name: impl Fn(&Verdict) -> String) {
    let mut rows: BTreeMap<String, Row> = BTreeMap::new();
    let mut total = Row::default();
    for verdict in verdicts {
        rows.entry(name(verdict)).or_default().add(verdict);
        total.add(verdict);
    }
    let head = "| Cases | Reached | Broken | Longest, s |\n|---|---|---|---|---|\n";
    write!(text, "| {what} {head}").expect("text takes all");
    let rows = rows.iter().map(|(name, row)| (name.as_str(), row)).chain([("all", &total)]);
    for (name, Row([cases, reached, broken, longest])) in rows {
        writeln!(text, "| {name} | {cases} | {reached} | {broken} | {longest} |").expect("text takes all");
    }
}
