//! Was anything wrong that must never be? The invariants that hold whatever fails.
//!
//! | Id | Always true |
//! |---|---|
//! | I1 | the end is that of the undisturbed run: objects, inventory, history, and which objects are still the same ones |
//! | I2 | nothing is deleted that the undisturbed run does not delete, and each deletion names uid and resourceVersion |
//! | I3 | a process writes nothing before it was told that it holds the Lease, nor after others may take it |
//! | I5 | a verdict comes in time, and silence after it |
//! | I6 | requests are in proportion to the undisturbed run; nothing is listed again and again, nor asked for in a loop |
//! | I7 | when the status says that all is well, it is |
//! | I8 | the agent holds no more tasks and files at the end than the undisturbed one, and no children; nothing in its cache is half done |
//! | I8 | nothing panics; values of Secrets are nowhere to be seen, which each scene looks for when it ends |
//!
//! I4, that only evidence condemns, is part of I1: what the state remembers is compared.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::run::{Holdings, Outcome, is_write};
use crate::proxy::{Asked, Entry, Verb};

/// How many requests a run may take for each of the undisturbed one.
const FACTOR: usize = 3;
/// How many requests a start of the agent may take beside them.
const START: usize = 80;
/// How often a kind may be listed more than in the undisturbed run: for its cause, and for what came of that.
const LISTS: usize = 3;

/// How many requests for discovery there may be, per start of the agent and per minute. A kind that is made known is asked for
/// 21 times within 5 s at most, in two requests each; an API group that does not answer every 10 s.
const DISCOVERY: (usize, usize) = (50, 30);
/// The same for the Lease. It is renewed every 5 s; a try that failed is repeated after a second at least, and takes three
/// requests at most: patch, and look before and after. A fault befalls few of them.
const LEASES: (usize, usize) = (20, 60);
/// The same for a Git server, which is asked each second, in two requests where something is new.
const GIT: (usize, usize) = (20, 130);
/// How many tasks and files more there may be than after the undisturbed run: connections that idle.
const IDLE: usize = 24;
/// When others may take a Lease that is not renewed. Its holder stops 3 s before; that much a busy machine may take from
/// the decision to write to the proxy.
const LEASE: Duration = Duration::from_secs(15);

/// Returns what is wrong with a run; `left_out` are objects that may be there or not, and `may_keep` says whether what comes back in
/// the undisturbed one may never have gone.
pub(crate) fn violations(
    outcome: &Outcome,
    reference: &Outcome,
    (left_out, may_keep): (&[&str], bool),
) -> Vec<String> {
    let mut wrong: Vec<String> = Vec::new();
    let expected = reference.after.without(left_out);
    let unlike = outcome.after.without(left_out).differences(&expected);
    wrong.extend(unlike.into_iter().map(|text| format!("I1: {text}")));
    let anew = |outcome: &Outcome| outcome.after.without(left_out).made_anew(&outcome.before);
    // Whoever does not see all prunes less, and what was not pruned does not come back as another object.
    if !anew(outcome).is_subset(&anew(reference)) || anew(outcome).len() < anew(reference).len() && !may_keep
    {
        wrong.push(format!("I1: made anew: {:?}, not {:?}", anew(outcome), anew(reference)));
    }
    wrong.extend(deletions(&outcome.entries, &reference.entries));
    wrong.extend(unheld(&outcome.entries));
    if !outcome.is_quiet {
        wrong.push(format!("I5: it does not come to rest; last came {}", last_writes(&outcome.entries)));
    }
    wrong.extend(proportion(outcome, reference));
    wrong.extend(leaks(outcome.holds, reference.holds));
    let claimed = outcome.claimed.without(left_out).objects_unlike(&expected).into_iter();
    wrong.extend(claimed.map(|text| format!("I7: told to be well, but {text}")));
    if outcome.panicked {
        wrong.push("I8: it panicked".into());
    }
    wrong
}

/// Says what was written last, and how many seconds before the last request.
fn last_writes(entries: &[Entry]) -> String {
    let end = entries.last().map(|entry| entry.at);
    let ago = |entry: &Entry| end.map_or(0, |end| end.saturating_duration_since(entry.at).as_secs());
    let writes = entries.iter().rev().filter(|entry| is_write(entry)).take(5);
    writes.map(|entry| format!("{} {} s ago", entry.asked, ago(entry))).collect::<Vec<_>>().join(", ")
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

/// Says which writes came while their process did not hold the Lease. It holds it once it was told so, and until others may take
/// it, counted from when it asked. An answer that was lost on the way makes nobody a holder, and takes the Lease from nobody.
fn unheld(entries: &[Entry]) -> Vec<String> {
    let leases: Vec<&Entry> =
        entries.iter().filter(|entry| is_lease(entry) && entry.asked.verb.writes()).collect();
    let mut wrong = Vec::new();
    for entry in entries.iter().filter(|entry| is_write(entry)) {
        let since = |lease: &&&Entry| turned(lease).filter(|turned| *turned <= entry.at);
        let last = leases.iter().filter(|lease| since(lease).is_some()).max_by_key(since);
        let holds = |lease: &&Entry| {
            let lasts = entry.at <= lease.at + LEASE;
            lease.life == entry.life && lasts && !is_handed_back(lease)
        };
        if !last.is_some_and(holds) {
            wrong.push(format!("I3: {} without the Lease, by process {}", entry.asked, entry.life));
        }
    }
    wrong
}

/// Returns since when a write of the Lease decides who may write: since a success arrived, or since it was handed back.
fn turned(lease: &Entry) -> Option<Instant> {
    let is_success = lease.status.is_some_and(|status| (200..300).contains(&status));
    if is_handed_back(lease) { Some(lease.at) } else { lease.reached.filter(|_| is_success) }
}

fn is_handed_back(lease: &Entry) -> bool {
    let sent: Value = serde_json::from_slice(&lease.body).unwrap_or_default();
    sent["spec"]["holderIdentity"] == ""
}

fn is_lease(entry: &Entry) -> bool {
    entry.asked.resource.starts_with("leases")
}

fn proportion(outcome: &Outcome, reference: &Outcome) -> Vec<String> {
    let counted = |outcome: &Outcome| {
        let story = outcome.entries[outcome.n_before..].iter();
        // The clock counts for leases, and other scenes make kinds known: `looping` looks at those.
        let is_by_clock = |entry: &Entry| {
            is_lease(entry) || entry.asked.verb == Verb::Discover || entry.asked.verb.is_of_git()
        };
        let counts = story.filter(|entry| !is_by_clock(entry));
        counts.fold(BTreeMap::<Asked, usize>::new(), |mut counts, entry| {
            *counts.entry(entry.asked.clone()).or_default() += 1;
            counts
        })
    };
    let (counts, expected) = (counted(outcome), counted(reference));
    let (total, most) = (counts.values().sum::<usize>(), expected.values().sum::<usize>());
    let most = FACTOR * most + START * (1 + outcome.n_restarts);
    let mut wrong = looping(outcome);
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

/// Says what the agent goes on holding, or leaves lying.
fn leaks(holds: Holdings, reference: Holdings) -> Option<String> {
    let is_more = |n: usize, reference: usize| n > reference + IDLE;
    let leaks = is_more(holds.tasks, reference.tasks)
        || is_more(holds.files, reference.files)
        || holds.children > 0
        || holds.half_done > 0;
    leaks.then(|| format!("I8: it holds {holds:?}, beside {reference:?}"))
}

/// Says which of the requests that come by the clock came too often.
fn looping(outcome: &Outcome) -> Vec<String> {
    let (first, last) = (outcome.entries.first(), outcome.entries.last());
    let took = first.zip(last).map_or(0, |(first, last)| (last.at - first.at).as_secs());
    let took = usize::try_from(took).unwrap_or(usize::MAX);
    let mut wrong = Vec::new();
    let is_discovery = |entry: &&Entry| entry.asked.verb == Verb::Discover;
    let of_lease = |entry: &&Entry| is_lease(entry);
    let of_git = |entry: &&Entry| entry.asked.verb.is_of_git();
    for (what, count, (per_start, per_minute)) in [
        ("discovery", outcome.entries.iter().filter(is_discovery).count(), DISCOVERY),
        ("the Lease", outcome.entries.iter().filter(of_lease).count(), LEASES),
        ("Git", outcome.entries.iter().filter(of_git).count(), GIT),
    ] {
        let most = per_start * (1 + outcome.n_restarts) + took * per_minute / 60;
        if count > most {
            wrong.push(format!("I6: {count} requests for {what} in {took} s, {most} at most"));
        }
    }
    wrong
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::picture::Picture;
    use super::*;

    fn entry(life: usize, asked: &str, body: &Value) -> Entry {
        let asked = Asked::parse(asked).expect("it is a request");
        let body = body.to_string().into_bytes();
        let at = Instant::now();
        Entry { life, at, asked, status: Some(200), reached: Some(at), fault: None, told: None, body }
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
            holds: Holdings::default(),
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
        let told = violations(outcome, &quiet(good()), (&[], false));
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
            (changed(|o| o.holds.tasks = 25), "I8"),
            (changed(|o| o.holds.files = 25), "I8"),
            (changed(|o| o.holds.children = 1), "I8"),
            (changed(|o| o.holds.half_done = 1), "I8"),
        ] {
            assert_eq!(told(&outcome), [expected]);
        }
    }

    /// A log of one process: what was asked when (in seconds), what was answered, and after how many seconds that arrived.
    fn log(requests: &[(u64, &str, &str, u16, Option<u64>)]) -> Vec<Entry> {
        let begin = Instant::now();
        let moment = |seconds: u64| begin + Duration::from_secs(seconds);
        let entries = requests.iter().map(|(at, asked, holder, status, took)| Entry {
            at: moment(*at),
            status: Some(*status),
            reached: took.map(|took| moment(at + took)),
            ..entry(0, asked, &json!({"spec": {"holderIdentity": holder}}))
        });
        entries.collect()
    }

    const TAKE: &str = "create leases.coordination.k8s.io control/*";
    const RENEW: &str = "patch leases.coordination.k8s.io control/tautline";
    const WRITE: &str = "apply configmaps app/shop-0";

    #[test]
    fn who_was_told_to_hold_the_lease_may_write_until_others_may_take_it() {
        for requests in [
            vec![(0, TAKE, "a", 201, Some(0)), (15, WRITE, "", 200, None)],
            vec![(0, TAKE, "a", 201, Some(0)), (5, RENEW, "a", 200, Some(1)), (20, WRITE, "", 200, None)],
            // The answer to a renewal is lost: what was told before counts on.
            vec![(0, TAKE, "a", 201, Some(0)), (5, RENEW, "a", 200, None), (12, WRITE, "", 200, None)],
            vec![(0, TAKE, "a", 201, None), (2, RENEW, "a", 200, Some(0)), (3, WRITE, "", 200, None)],
        ] {
            assert_eq!(unheld(&log(&requests)), [""; 0], "{requests:?}");
        }
    }

    #[test]
    fn nobody_holds_the_lease_who_was_not_told_so() {
        for requests in [
            vec![(0, TAKE, "a", 409, Some(0)), (1, WRITE, "", 200, None)],
            vec![(0, RENEW, "a", 403, Some(0)), (1, WRITE, "", 200, None)],
            // Lost on the way, cut off in the middle, or never carried out.
            vec![(0, TAKE, "a", 201, None), (1, WRITE, "", 200, None)],
            // Written before the answer came.
            vec![(0, TAKE, "a", 201, Some(2)), (1, WRITE, "", 200, None)],
            // Told too long ago.
            vec![(0, TAKE, "a", 201, Some(0)), (16, WRITE, "", 200, None)],
            vec![(0, TAKE, "a", 201, Some(0)), (5, RENEW, "a", 200, None), (16, WRITE, "", 200, None)],
            vec![(0, TAKE, "a", 201, Some(9)), (16, WRITE, "", 200, None)],
            // Handed back, whether or not that was answered.
            vec![(0, TAKE, "a", 201, Some(0)), (1, RENEW, "", 200, Some(0)), (2, WRITE, "", 200, None)],
            vec![(0, TAKE, "a", 201, Some(0)), (1, RENEW, "", 200, None), (2, WRITE, "", 200, None)],
        ] {
            assert_eq!(unheld(&log(&requests)).len(), 1, "{requests:?}");
        }
    }

    #[test]
    fn whose_successor_holds_the_lease_may_not_write() {
        let mut entries = log(&[
            (0, TAKE, "a", 201, Some(0)),
            (3, RENEW, "b", 200, Some(0)),
            (4, WRITE, "", 200, None),
            (4, WRITE, "", 200, None),
        ]);
        entries[1].life = 1;
        entries[2].life = 1;
        assert_eq!(unheld(&entries), ["I3: apply configmaps app/shop-0 without the Lease, by process 0"]);
    }

    #[test]
    fn a_loop_of_discovery_or_for_the_lease_is_out_of_proportion() {
        let reference = quiet(good());
        for (asked, n_good, n_bad) in [("discover /apis -/*", 70, 90), (RENEW, 70, 90)] {
            let told = |n: u32, n_restarts: usize| {
                let asked = |number| Entry {
                    at: Instant::now() + Duration::from_mins(1) * number / n,
                    ..entry(0, asked, &json!({"spec": {"holderIdentity": "a"}}))
                };
                let outcome = Outcome { n_restarts, ..quiet((0..=n).map(asked).collect()) };
                proportion(&outcome, &reference)
            };
            assert_eq!(told(n_good, 0), [""; 0]);
            assert_eq!(told(n_bad, 0).len(), 1, "{:?}", told(n_bad, 0));
            assert_eq!(told(n_bad, 1), [""; 0], "a start asks, too");
        }
    }
}
