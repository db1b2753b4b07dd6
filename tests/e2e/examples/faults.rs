//! Does anything break when anything fails? Plays every fault at every request of every scenario, and prints a table.
//!
//! ```text
//! cargo run --release -p e2e --example faults -- all [--every N] [--at-a-time N] [--quiet SECONDS] [--file FILE]
//! cargo run --release -p e2e --example faults -- list
//! cargo run --release -p e2e --example faults -- rollback
//! cargo run --release -p e2e --example faults -- 'deploy: apply configmaps app/shop-0 #1: killed-after: cache wiped'
//! ```
//!
//! `--every N` plays each N-th case only, the name of a scenario those of it. The exit code is 1 when an invariant was broken.
#![expect(clippy::print_stdout, reason = "it is a program for people")]

use std::process::ExitCode;
use std::time::Duration;

use e2e::rig::{self, Case, Reference, Scenario};

struct Wanted {
    what: Vec<String>,
    every: usize,
    at_a_time: usize,
    quiet: Duration,
    file: Option<String>,
}

fn wanted() -> Wanted {
    let mut wanted =
        Wanted { what: Vec::new(), every: 1, at_a_time: 4, quiet: Duration::from_mins(1), file: None };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let mut number =
            || words.next().and_then(|word| word.parse().ok()).expect("a number follows the option");
        match word.as_str() {
            "--every" => wanted.every = number(),
            "--at-a-time" => wanted.at_a_time = number(),
            "--quiet" => wanted.quiet = Duration::from_secs(number() as u64),
            "--file" => wanted.file = words.next(),
            _ => wanted.what.push(word),
        }
    }
    wanted
}

/// Returns each N-th of the cases whose text has all of the words.
fn chosen(wanted: &Wanted, references: &[Reference]) -> Vec<Case> {
    let all = references.iter().flat_map(Reference::cases);
    let has = |case: &Case, word: &str| {
        word == "all" || word == "list" || Scenario::named(word).is_some() || case.to_string().contains(word)
    };
    all.filter(|case| wanted.what.iter().all(|word| has(case, word))).step_by(wanted.every).collect()
}

fn main() -> ExitCode {
    let wanted = wanted();
    let named: Vec<Case> = wanted.what.iter().filter_map(|text| Case::parse(text)).collect();
    let asked: Vec<Scenario> = wanted.what.iter().filter_map(|word| Scenario::named(word)).collect();
    let is_needed = |scenario: Scenario| match named.as_slice() {
        [] => asked.is_empty() || asked.contains(&scenario),
        named => named.iter().any(|case| case.scenario == scenario),
    };
    let references: Vec<Reference> = std::thread::scope(|threads| {
        let needed = Scenario::ALL.into_iter().filter(|(scenario, _)| is_needed(*scenario));
        let played: Vec<_> =
            needed.map(|(scenario, _)| threads.spawn(move || Reference::play(scenario))).collect();
        played.into_iter().map(|played| played.join().expect("it comes to its end")).collect()
    });
    let cases = if named.is_empty() { chosen(&wanted, &references) } else { named };
    if wanted.what.iter().any(|word| word == "list") {
        for case in &cases {
            println!("{case}");
        }
        return ExitCode::SUCCESS;
    }
    println!("{} cases", cases.len());
    let verdicts = rig::play_all(&references, &cases, wanted.quiet, wanted.at_a_time, |verdict| {
        let reached = if verdict.was_reached { "" } else { " (not reached)" };
        println!("{:5.1} s  {}{reached}", verdict.took.as_secs_f32(), verdict.case);
        for violation in &verdict.violations {
            println!("         {violation}");
        }
    });
    let table = rig::table(&verdicts);
    println!("\n{table}");
    if let Some(file) = &wanted.file {
        std::fs::write(file, &table).expect("the file can be written");
    }
    let is_broken = verdicts.iter().any(|verdict| !verdict.violations.is_empty());
    if is_broken { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}
