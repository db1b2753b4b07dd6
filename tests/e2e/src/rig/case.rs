//! Which faults are there to a list of requests?

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::scenario::Scenario;
use crate::proxy::{Asked, Entry, Fault, Refusal, Rule, Verb};

/// A scenario with a fault: `deploy: apply configmaps app/shop-0 #1: killed-after`, followed by `: cache wiped` where what is
/// killed finds its cache folder empty. `list configmaps -/* #again` is what follows when the watch expires.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Case {
    /// Which scenario.
    pub scenario: Scenario,
    /// Which request.
    pub asked: Asked,
    /// Which of those that want the same.
    pub nth: Nth,
    /// What befalls it.
    pub fault: Fault,
    /// Whether an agent that was killed finds its cache folder again.
    pub keeps_cache: bool,
}

/// Which of many requests that want the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Nth {
    /// That which an undisturbed run makes, counted from zero.
    Own(usize),
    /// The list that follows when a watch expires, which an undisturbed run does not make.
    Again,
}

impl Nth {
    const AGAIN: &str = "again";

    fn parse(text: &str) -> Option<Self> {
        if text == Self::AGAIN {
            return Some(Self::Again);
        }
        Some(Self::Own(text.parse::<usize>().ok()?.checked_sub(1)?))
    }
}

impl fmt::Display for Nth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Own(n) => write!(f, "{}", n + 1),
            Self::Again => f.write_str(Self::AGAIN),
        }
    }
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

/// What befalls the list that follows when a watch expires, one after the other, beside being stale.
const OF_LISTS_AGAIN: [Fault; 6] = [
    Fault::Truncate,
    Fault::Hold,
    Fault::Refuse(Refusal::Etcd),
    Fault::Refuse(Refusal::Forbidden),
    Fault::KillBefore,
    Fault::Drop,
];

/// What befalls each request to a Git server.
const OF_GIT: [Fault; 12] = [
    Fault::KillBefore,
    Fault::KillAfter,
    Fault::Lose,
    Fault::Drop,
    Fault::Hold,
    Fault::HoldAnswer,
    Fault::Truncate,
    Fault::Delay,
    Fault::Refuse(Refusal::Bare),
    Fault::Refuse(Refusal::Unauthorized),
    Fault::Refuse(Refusal::Unavailable),
    Fault::Refuse(Refusal::ThrottledForADay),
];

/// How many of the requests that want the same are cases in [`Scenario::Fetch`]: a Git server is asked again and again.
const N_ALIKE: usize = 3;

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
        Some(Self { scenario, asked, nth: Nth::parse(nth)?, fault, keeps_cache })
    }

    /// Says what befalls, and what is found afterwards.
    pub(crate) fn what_befalls(&self) -> String {
        if self.keeps_cache { self.fault.to_string() } else { format!("{}: {WIPED}", self.fault) }
    }

    /// Returns the rules that make it.
    pub(crate) fn rules(&self) -> Vec<Rule> {
        let (target, fault) = (self.asked.clone(), self.fault);
        let times = match fault {
            // Each befalls one process after the other what it opens and what it is told.
            Fault::Duplicate => usize::MAX,
            // What is told and what is opened again.
            Fault::ExpireByStatus => 2,
            _ => 1,
        };
        // Nobody lists twice without a cause.
        let watch = Asked { verb: Verb::Watch, ..self.asked.clone() };
        let expired = Rule { target: watch, skip: 0, fault: Fault::ExpireByEvent, times: 1 };
        match self.nth {
            Nth::Again => vec![expired, Rule { target, skip: 0, fault, times }],
            Nth::Own(skip) if fault == Fault::Stale && self.asked.verb == Verb::List => {
                vec![expired, Rule { target, skip: skip + 1, fault, times }]
            }
            Nth::Own(skip) => vec![Rule { target, skip, fault, times }],
        }
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
    let mut turns = Turns {
        is_read_before: entries[..n_before].iter().map(|entry| &entry.asked).collect(),
        ..Turns::default()
    };
    let mut cases: Vec<Case> = Vec::new();
    let begin = entries.get(n_before).map(|entry| entry.at);
    for (number, entry) in entries.iter().enumerate().filter(|(_, entry)| scenario.is_about(&entry.asked)) {
        let is_before = number < n_before;
        if is_before && entry.asked.verb != Verb::Watch {
            continue;
        }
        let nth = counts.entry(&entry.asked).or_default();
        *nth += 1;
        // What is never told anything cannot be told it in a wrong way.
        let is_told = entry.told.is_some_and(|told| begin.is_none_or(|begin| told >= begin));
        let mut add = |asked: &Asked, nth: Nth, faults: Vec<Fault>| {
            for fault in faults {
                let caches: &[bool] = if fault.kills() { &[true, false] } else { &[true] };
                let case = |keeps_cache: &bool| Case {
                    scenario,
                    asked: asked.clone(),
                    nth,
                    fault,
                    keeps_cache: *keeps_cache,
                };
                cases.extend(caches.iter().map(case));
            }
        };
        match entry.asked.verb {
            // A watch that is opened again is the same watch.
            Verb::Watch if *nth > 1 => {}
            Verb::Watch => {
                let befalls = |fault: &Fault| if fault.is_of_stream() { is_told } else { !is_before };
                add(&entry.asked, Nth::Own(0), OF_WATCHES.into_iter().filter(befalls).collect());
                if is_told && is_before {
                    let list = Asked { verb: Verb::List, ..entry.asked.clone() };
                    add(&list, Nth::Again, vec![Fault::Stale, turns.of_list_again()]);
                }
            }
            _ if scenario == Scenario::Fetch && *nth > N_ALIKE => {}
            _ => add(&entry.asked, Nth::Own(*nth - 1), turns.faults(&entry.asked)),
        }
    }
    cases
}

/// Which faults are next, where requests take turns.
#[derive(Default)]
struct Turns<'a> {
    n_writes: usize,
    n_reads: usize,
    n_lists_again: usize,
    /// What was asked before: only that can be answered as it was then.
    is_read_before: BTreeSet<&'a Asked>,
}

impl<'a> Turns<'a> {
    fn faults(&mut self, asked: &'a Asked) -> Vec<Fault> {
        if asked.verb.is_of_git() {
            return OF_GIT.into();
        }
        if asked.verb.writes() {
            let other = OF_WRITES[self.n_writes % OF_WRITES.len()];
            self.n_writes += 1;
            return vec![Fault::KillBefore, Fault::KillAfter, Fault::Lose, other];
        }
        if asked.verb == Verb::DryRun {
            return [&OF_READS[..], &[Fault::Hold, Fault::Lose, Fault::KillAfter]].concat();
        }
        let mut faults = vec![Fault::Hold, OF_READS[self.n_reads % OF_READS.len()]];
        self.n_reads += 1;
        let is_new = self.is_read_before.insert(asked);
        match asked.verb {
            Verb::Discover => faults.push(Fault::Partial),
            Verb::List => faults.push(Fault::Stale),
            Verb::Get if !is_new => faults.push(Fault::Stale),
            _ => {}
        }
        faults
    }

    fn of_list_again(&mut self) -> Fault {
        self.n_lists_again += 1;
        OF_LISTS_AGAIN[(self.n_lists_again - 1) % OF_LISTS_AGAIN.len()]
    }
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
            "deploy: apply configmaps app/a #0: dropped",
        ] {
            assert_eq!(Case::parse(text), None, "{text}");
        }
    }
}
