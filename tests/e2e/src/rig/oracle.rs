//! Was anything wrong that must never be? The invariants that hold whatever fails.
//!
//! | Id | Always true |
//! |---|---|
//! | I1 | the end is that of the undisturbed run: objects, inventory, history, and which objects are still the same ones |
//! | I2 | nothing is deleted that the undisturbed run does not delete, and each deletion names uid and resourceVersion |
//! | I3 | a process writes nothing before it has written the Lease |
//! | I5 | a verdict comes in time, and silence after it |
//! | I6 | requests are in proportion to the undisturbed run; nothing is listed again and again |
//! | I7 | when the status says that all is well, it is |
//! | I8 | nothing panics; values of Secrets are nowhere to be seen, which each scene looks for when it ends |
//!
//! I4, that only evidence condemns, is part of I1: what the state remembers is compared.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::run::{Outcome, is_write};
use crate::proxy::{Asked, Entry, Verb};

/// How many requests a run may take for each of the undisturbed one.
const FACTOR: usize = 3;
/// How many requests a start of the agent may take beside them.
const START: usize = 80;
/// How often a kind may be listed more than in the undisturbed run: for its cause, and for what came of that.
const LISTS: usize = 3;

/// Returns what is wrong with a run.
pub(crate) fn violations(outcome: &Outcome, reference: &Outcome) -> Vec<String> {
    let mut wrong: Vec<String> = Vec::new();
    wrong.extend(outcome.after.differences(&reference.after).into_iter().map(|text| format!("I1: {text}")));
    let anew = |outcome: &Outcome| outcome.after.made_anew(&outcome.before);
    if anew(outcome) != anew(reference) {
        wrong.push(format!("I1: made anew: {:?}, not {:?}", anew(outcome), anew(reference)));
    }
    wrong.extend(deletions(&outcome.entries, &reference.entries));
    wrong.extend(unheld(&outcome.entries));
    if !outcome.is_quiet {
        wrong.push("I5: it does not come to rest".into());
    }
    wrong.extend(proportion(outcome, reference));
    let claimed = outcome.claimed.objects_unlike(&reference.after).into_iter();
    wrong.extend(claimed.map(|text| format!("I7: told to be well, but {text}")));
    if outcome.panicked {
        wrong.push("I8: it panicked".into());
    }
    wrong
}

fn deletions(entries: &[Entry], reference: &[Entry]) -> Vec<String> {
    let deletes = |entry: &&Entry| entry.asked.verb == Verb::Delete;
    let expected: BTreeSet<&Asked> = reference.iter().filter(deletes).map(|entry| &entry.asked).collect();
    let mut wrong = Vec::new();
    for entry in entries.iter().filter(deletes) {
        if !expected.contains(&entry.asked) {
            wrong.push(format!("I2: {}", entry.asked));
        }
        let options: Value = serde_json::from_slice(&entry.body).unwrap_or_default();
        let conditions = &options["preconditions"];
        if !conditions["uid"].is_string() || !conditions["resourceVersion"].is_string() {
            wrong.push(format!("I2: {} does not name which one: {options}", entry.asked));
        }
    }
    wrong
}

fn unheld(entries: &[Entry]) -> Vec<String> {
    let mut holders = BTreeSet::new();
    let mut wrong = Vec::new();
    for entry in entries {
        let is_lease = entry.asked.resource.starts_with("leases");
        if is_lease && entry.asked.verb.writes() {
            holders.insert(entry.life);
        } else if is_write(entry) && !holders.contains(&entry.life) {
            wrong.push(format!("I3: {} without the Lease, by process {}", entry.asked, entry.life));
        }
    }
    wrong
}

fn proportion(outcome: &Outcome, reference: &Outcome) -> Vec<String> {
    let counted = |outcome: &Outcome| {
        let story = outcome.entries[outcome.n_before..].iter();
        // Leases are renewed by the clock, and other scenes make kinds known.
        let counts = story.filter(|entry| {
            !entry.asked.resource.starts_with("leases") && entry.asked.verb != Verb::Discover
        });
        counts.fold(BTreeMap::<Asked, usize>::new(), |mut counts, entry| {
            *counts.entry(entry.asked.clone()).or_default() += 1;
            counts
        })
    };
    let (counts, expected) = (counted(outcome), counted(reference));
    let (total, most) = (counts.values().sum::<usize>(), expected.values().sum::<usize>());
    let most = FACTOR * most + START * (1 + outcome.n_restarts);
    let mut wrong = Vec::new();
    if total > most {
        wrong.push(format!("I6: {total} requests, {most} at most: {counts:?}"));
    }
    for (asked, count) in counts.iter().filter(|(asked, _)| asked.verb == Verb::List) {
        let most = expected.get(asked).copied().unwrap_or(0) + LISTS + 2 * outcome.n_restarts;
        if *count > most {
            wrong.push(format!("I6: {count} times {asked}, {most} at most"));
        }
    }
    wrong
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use serde_json::json;

    use super::super::picture::Picture;
    use super::*;

    fn entry(life: usize, asked: &str, body: &Value) -> Entry {
        let asked = Asked::parse(asked).expect("it is a request");
        let body = body.to_string().into_bytes();
        Entry { life, at: Instant::now(), asked, status: Some(200), fault: None, told: None, body }
    }

    fn quiet(entries: Vec<Entry>) -> Outcome {
        let picture = Picture {
            objects: [("ConfigMap/shop-0".to_owned(), json!({"data": "one"}))].into(),
            uids: [("ConfigMap/shop-0".to_owned(), "1".to_owned())].into(),
            apps: [("shop".to_owned(), json!({"history": ["commit 0"]}))].into(),
        };
        Outcome {
            entries,
            n_before: 0,
            n_fired: Vec::new(),
            n_restarts: 0,
            before: picture.clone(),
            claimed: picture.clone(),
            after: picture,
            is_quiet: true,
            panicked: false,
        }
    }

    fn good() -> Vec<Entry> {
        let which = json!({"preconditions": {"uid": "1", "resourceVersion": "2"}});
        let requests = [
            "create leases.coordination.k8s.io control/*",
            "list configmaps -/*",
            "apply configmaps app/shop-0",
            "delete configmaps app/shop-1",
        ];
        requests.map(|asked| entry(0, asked, &which)).into()
    }

    fn told(outcome: &Outcome) -> Vec<String> {
        let told = violations(outcome, &quiet(good()));
        told.iter().map(|text| text.split(':').next().unwrap_or_default().to_owned()).collect()
    }

    #[test]
    fn a_run_like_the_undisturbed_one_breaks_nothing() {
        assert_eq!(told(&quiet(good())), [""; 0]);
    }

    #[test]
    fn each_invariant_can_be_broken() {
        let which = json!({"preconditions": {"uid": "1", "resourceVersion": "2"}});
        let with = |asked: &str, body: &Value, life| [good(), vec![entry(life, asked, body)]].concat();
        let changed = |change: fn(&mut Outcome)| {
            let mut outcome = quiet(good());
            change(&mut outcome);
            outcome
        };
        for (outcome, expected) in [
            (changed(|o| o.after.objects.clear()), "I1"),
            (changed(|o| o.after.objects.extend([("Secret/shop-9".into(), json!({}))])), "I1"),
            (changed(|o| o.after.uids.extend([("ConfigMap/shop-0".into(), "2".into())])), "I1"),
            (changed(|o| o.after.apps.extend([("shop".into(), json!({"history": []}))])), "I1"),
            (quiet(with("delete configmaps app/bystander", &which, 0)), "I2"),
            (quiet(with("delete configmaps app/shop-1", &json!({"preconditions": {"uid": "1"}}), 0)), "I2"),
            (quiet(with("apply configmaps app/shop-0", &which, 1)), "I3"),
            (changed(|o| o.is_quiet = false), "I5"),
            (quiet([good(), vec![entry(0, "list configmaps -/*", &which); 4]].concat()), "I6"),
            (quiet([good(), vec![entry(0, "apply configmaps app/shop-0", &which); 100]].concat()), "I6"),
            (changed(|o| o.claimed.objects.clear()), "I7"),
            (changed(|o| o.panicked = true), "I8"),
        ] {
            assert_eq!(told(&outcome), [expected]);
        }
    }
}
