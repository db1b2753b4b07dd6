//! What came of many cases, for people?

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::Verdict;

/// Returns a Markdown table: for each scenario and fault how many cases there were, how many were reached, how many broke an
/// invariant, and the longest; then what was broken.
pub fn table(verdicts: &[Verdict]) -> String {
    let mut rows: BTreeMap<(String, String), [u64; 4]> = BTreeMap::new();
    for verdict in verdicts {
        let key = (verdict.case.scenario.to_string(), verdict.case.what_befalls());
        let row = rows.entry(key).or_default();
        row[0] += 1;
        row[1] += u64::from(verdict.was_reached);
        row[2] += u64::from(!verdict.violations.is_empty());
        row[3] = row[3].max(verdict.took.as_secs());
    }
    let mut text = String::from(
        "| Scenario | Fault | Cases | Reached | Broken | Longest, s |\n|---|---|---|---|---|---|\n",
    );
    for ((scenario, fault), [cases, reached, broken, longest]) in &rows {
        writeln!(text, "| {scenario} | {fault} | {cases} | {reached} | {broken} | {longest} |")
            .expect("text takes all");
    }
    for verdict in verdicts.iter().filter(|verdict| !verdict.violations.is_empty()) {
        writeln!(text, "\n`{}`", verdict.case).expect("text takes all");
        for violation in &verdict.violations {
            let short: String = violation.chars().take(400).collect();
            writeln!(text, "- {}", short.replace('\n', " ")).expect("text takes all");
        }
    }
    text
}
