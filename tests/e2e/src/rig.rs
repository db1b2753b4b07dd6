//! Does anything break when anything fails? Stories that are told once undisturbed, and then with each fault at each of their own
//! requests.
//!
//! ```text
//! Scenario ──played undisturbed──▶ Reference ──its requests──▶ Case, Case, ...      (scenario, run, case)
//!     │                                │
//!     └──played with a Case────────▶ Outcome ──▶ violations of the invariants       (run, keeper, picture, oracle)
//! ```
//!
//! A sample runs in `tests/faults.rs`; `cargo run -p e2e --example faults -- all` runs them all.

mod case;
mod keeper;
mod objects;
mod oracle;
mod picture;
mod run;
mod scenario;
mod table;

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::proxy::{Asked, Verb};
pub use case::{Case, Nth};
pub use run::Outcome;
pub use scenario::Scenario;
pub use table::table;

/// An undisturbed run.
pub struct Reference {
    scenario: Scenario,
    outcome: Outcome,
}

/// How a case ended.
#[derive(Clone, Debug)]
pub struct Verdict {
    /// Which.
    pub case: Case,
    /// Whether the fault came: what a request list has may not come again in the same order.
    pub was_reached: bool,
    /// What is wrong, each beginning with the invariant's id.
    pub violations: Vec<String>,
    /// How long it took.
    pub took: Duration,
}

impl Reference {
    /// Plays a scenario undisturbed.
    ///
    /// # Panics
    /// When it does not come to its end, or breaks an invariant.
    pub fn play(scenario: Scenario) -> Self {
        let outcome = run::play(scenario, None, Duration::from_secs(3));
        let outcome = outcome.unwrap_or_else(|why| panic!("{scenario}, undisturbed: {why}"));
        let wrong = oracle::violations(&outcome, &outcome, (&[], false));
        assert!(wrong.is_empty(), "{scenario}, undisturbed: {wrong:#?}");
        Self { scenario, outcome }
    }

    /// Returns every case that follows from its requests.
    pub fn cases(&self) -> Vec<Case> {
        case::enumerate(self.scenario, &self.outcome.entries, self.outcome.n_before)
    }

    /// Plays the scenario with a fault; `quiet` is how long nothing may be written afterwards.
    pub fn play_with(&self, case: &Case, quiet: Duration) -> Verdict {
        let begun = Instant::now();
        let (was_reached, violations) = match run::play(self.scenario, Some(case), quiet) {
            Err(why) => {
                (true, vec![format!("{}: {why}", if why.starts_with("an agent told") { "I8" } else { "I5" })])
            }
            Ok(outcome) => {
                let left_out = self.scenario.left_out(case);
                let may_keep = self.scenario == Scenario::Rollback;
                let violations = oracle::violations(&outcome, &self.outcome, (left_out, may_keep));
                (outcome.n_fired.iter().all(|n| *n > 0), violations)
            }
        };
        Verdict { case: case.clone(), was_reached, violations, took: begun.elapsed() }
    }
}

/// Plays cases, some at a time, and returns the verdicts in the order of the cases. Tells each as it comes.
///
/// # Panics
/// When a case is of a scenario that was not played undisturbed.
pub fn play_all(
    references: &[Reference],
    cases: &[Case],
    quiet: Duration,
    at_a_time: usize,
    tell: impl Fn(&Verdict) + Sync,
) -> Vec<Verdict> {
    let (next, verdicts) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|threads| {
        for _ in 0..at_a_time {
            threads.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    let Some(case) = cases.get(number) else { break };
                    let reference = references.iter().find(|reference| reference.scenario == case.scenario);
                    let verdict = reference.expect("it was played").play_with(case, quiet);
                    tell(&verdict);
                    verdicts.lock().expect("nobody panics with it").push((number, verdict));
                }
            });
        }
    });
    let mut verdicts = verdicts.into_inner().expect("nobody panics with it");
    verdicts.sort_by_key(|(number, _)| *number);
    verdicts.into_iter().map(|(_, verdict)| verdict).collect()
}

/// Returns what a request is about, apart from names: verb, and the kind of object. What Git may hold is one, and so is what
/// comes of it.
pub fn request_kind(asked: &Asked) -> String {
    let is_own = asked.namespace == "control" || asked.resource.starts_with("customresourcedefinitions");
    let resource = match asked.resource.as_str() {
        own if is_own => own,
        _ if asked.verb == Verb::Discover => "kinds",
        _ if asked.verb.is_of_git() => "git",
        "pods" | "replicasets.apps" => "of workloads",
        _ => "of Git",
    };
    format!("{} {resource}", asked.verb)
}
