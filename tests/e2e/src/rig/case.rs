//! Which faults are there to a list of requests?

use std::collections::BTreeMap;
use std::fmt;

use super::scenario::Scenario;
use crate::proxy::{Asked, Entry, Fault, Refusal, Rule, Verb};

/// A scenario with a fault: `deploy: apply configmaps app/shop-0 #1: killed-after`, followed by `: cache wiped` where what is
/// killed finds its cache folder empty.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Case {
    /// Which scenario.
    pub scenario: Scenario,
    /// Which request.
    pub asked: Asked,
    /// Which of those that want the same, from one.
    pub nth: usize,
    /// What befalls it.
    pub fault: Fault,
    /// Whether an agent that was killed finds its cache folder again.
    pub keeps_cache: bool,
}

/// How a case says that the agent finds its cache folder empty after it was killed.
const WIPED: &str = "cache wiped";

/// What else befalls writes, one after the other: three faults befall each.
const OF_WRITES: [Fault; 14] = [
    Fault::Drop,
    Fault::Refuse(Refusal::Etcd),
    Fault::Refuse(Refusal::Conflict),
    Fault::Truncate,
    Fault::Refuse(Refusal::Throttled),
    Fault::Delay,
    Fault::Refuse(Refusal::Forbidden),
    Fault::Refuse(Refusal::Bare),
    Fault::Hold,
    Fault::Refuse(Refusal::Unauthorized),
    Fault::Refuse(Refusal::ThrottledForADay),
    Fault::Refuse(Refusal::Unavailable),
    Fault::HoldAnswer,
    Fault::Refuse(Refusal::Timeout),
];

/// What befalls reads, one after the other, beside being held: that is what a timeout is.
const OF_READS: [Fault; 11] = [
    Fault::Refuse(Refusal::Etcd),
    Fault::Truncate,
    Fault::Refuse(Refusal::Unavailable),
    Fault::Drop,
    Fault::Refuse(Refusal::Bare),
    Fault::Refuse(Refusal::Throttled),
    Fault::Refuse(Refusal::Timeout),
    Fault::Refuse(Refusal::Unauthorized),
    Fault::Delay,
    Fault::Refuse(Refusal::Forbidden),
    Fault::KillBefore,
];

/// What befalls each watch.
const OF_WATCHES: [Fault; 8] = [
    Fault::Freeze,
    Fault::Duplicate,
    Fault::Swallow,
    Fault::Cut,
    Fault::ExpireByStatus,
    Fault::ExpireByEvent,
    Fault::Refuse(Refusal::Etcd),
    Fault::Refuse(Refusal::Forbidden),
];

impl Case {
    /// Reads what `Display` writes.
    pub fn parse(text: &str) -> Option<Self> {
        let parts: Vec<&str> = text.split(": ").collect();
        let (scenario, request, fault, keeps_cache) = match parts.as_slice() {
            [scenario, request, fault] => (scenario, request, Fault::named(fault)?, true),
            [scenario, request, fault, WIPED] => {
                (scenario, request, Fault::named(fault).filter(|fault| fault.kills())?, false)
            }
            _ => return None,
        };
        let (asked, nth) = request.rsplit_once(" #")?;
        let (scenario, asked) = (Scenario::named(scenario)?, Asked::parse(asked)?);
        Some(Self { scenario, asked, nth: nth.parse().ok()?, fault, keeps_cache })
    }

    /// Says what befalls, and what is found afterwards.
    pub(crate) fn what_befalls(&self) -> String {
        if self.keeps_cache { self.fault.to_string() } else { format!("{}: {WIPED}", self.fault) }
    }

    /// Returns the rules that make it.
    pub(crate) fn rules(&self) -> Vec<Rule> {
        let (target, fault, skip) = (self.asked.clone(), self.fault, self.nth - 1);
        let times = match fault {
            // Each befalls one process after the other what it opens and what it is told.
            Fault::Duplicate => usize::MAX,
            // What is told and what is opened again.
            Fault::ExpireByStatus => 2,
            _ => 1,
        };
        if fault == Fault::Stale && self.asked.verb == Verb::List {
            // Nobody lists twice without a cause.
            let watch = Asked { verb: Verb::Watch, ..self.asked.clone() };
            let expired = Rule { target: watch, skip: 0, fault: Fault::ExpireByEvent, times: 1 };
            return vec![expired, Rule { target, skip: skip + 1, fault, times }];
        }
        vec![Rule { target, skip, fault, times }]
    }
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} #{}: {}", self.scenario, self.asked, self.nth, self.what_befalls())
    }
}

/// Returns every case that follows from a scenario's own requests.
pub(crate) fn enumerate(scenario: Scenario, entries: &[Entry], n_before: usize) -> Vec<Case> {
    let mut counts: BTreeMap<&Asked, usize> = BTreeMap::new();
    let mut cases: Vec<Case> = Vec::new();
    let (mut n_writes, mut n_reads) = (0, 0);
    let begin = entries.get(n_before).map(|entry| entry.at);
    for (number, entry) in entries.iter().enumerate() {
        let is_open = entry.asked.verb == Verb::Watch;
        if number < n_before && !is_open {
            continue;
        }
        let count = counts.entry(&entry.asked).or_default();
        *count += 1;
        // A watch that is opened again is the same watch.
        if is_open && *count > 1 {
            continue;
        }
        // What is never told anything cannot be told it in a wrong way.
        let is_told = entry.told.is_some_and(|told| begin.is_none_or(|begin| told >= begin));
        let is_touched = |fault: &Fault| is_told || !fault.is_of_stream();
        let faults = faults(&entry.asked, number < n_before, &mut n_writes, &mut n_reads);
        for fault in faults.into_iter().filter(is_touched) {
            let caches: &[bool] = if fault.kills() { &[true, false] } else { &[true] };
            cases.extend(caches.iter().map(|keeps_cache| Case {
                scenario,
                asked: entry.asked.clone(),
                nth: *count,
                fault,
                keeps_cache: *keeps_cache,
            }));
        }
    }
    cases
}

fn faults(asked: &Asked, is_open: bool, n_writes: &mut usize, n_reads: &mut usize) -> Vec<Fault> {
    if asked.verb.writes() {
        *n_writes += 1;
        return vec![
            Fault::KillBefore,
            Fault::KillAfter,
            Fault::Lose,
            OF_WRITES[(*n_writes - 1) % OF_WRITES.len()],
        ];
    }
    if asked.verb == Verb::Watch {
        // One that is open already cannot be refused.
        return OF_WATCHES.into_iter().filter(|fault| !is_open || fault.is_of_stream()).collect();
    }
    *n_reads += 1;
    let mut faults = vec![Fault::Hold, OF_READS[(*n_reads - 1) % OF_READS.len()]];
    if asked.verb == Verb::Discover {
        faults.push(Fault::Partial);
    }
    if asked.verb == Verb::List {
        faults.push(Fault::Stale);
    }
    faults
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    fn cases(requests: &[&str]) -> Vec<String> {
        let entries = requests.iter().map(|asked| Entry {
            life: 0,
            at: Instant::now(),
            asked: Asked::parse(asked).expect("it is a request"),
            status: Some(200),
            reached: Some(Instant::now()),
            fault: None,
            told: None,
            body: Vec::new(),
        });
        let cases = enumerate(Scenario::Deploy, &entries.collect::<Vec<_>>(), 0);
        for case in &cases {
            assert_eq!(Case::parse(&case.to_string()).as_ref(), Some(case));
        }
        cases.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn each_kill_finds_the_cache_folder_kept_and_wiped() {
        assert_eq!(
            cases(&["apply configmaps app/a"]),
            [
                "deploy: apply configmaps app/a #1: killed-before",
                "deploy: apply configmaps app/a #1: killed-before: cache wiped",
                "deploy: apply configmaps app/a #1: killed-after",
                "deploy: apply configmaps app/a #1: killed-after: cache wiped",
                "deploy: apply configmaps app/a #1: answer-lost",
                "deploy: apply configmaps app/a #1: dropped",
            ]
        );
    }

    #[test]
    fn what_is_no_case_is_not_read() {
        for text in [
            "",
            "deploy: apply configmaps app/a #1",
            "deploy: apply configmaps app/a #1: nothing",
            "deploy: apply configmaps app/a #1: killed-after: ",
            "deploy: apply configmaps app/a #1: killed-after: cache wiped: twice",
            "deploy: apply configmaps app/a #1: dropped: cache wiped",
        ] {
            assert_eq!(Case::parse(text), None, "{text}");
        }
    }
}
