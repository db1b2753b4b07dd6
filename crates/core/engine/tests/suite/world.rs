//! Does the cluster end as Git wants it, whatever was interrupted, edited or refused on the way? A small agent, a small
//! cluster and a small repository around the engine.

use crate::invariants::broken;
use crate::words::{app, culprit, effect, hash, revision};
use engine::{
    Attempt, Desired, Effect, Event, Hold, Inspection, Mode, OperationReport, Outcome, Report, SourceFailure,
    State, Word, Writes, step,
};
use model::{
    App, Asked, Available, Comparison, DesiredHash, ErrorClass, Evidence, Headway, Health, HealthStatus,
    HeldStage, Look, ObjectKey, ObjectOutcome, ObjectResult, ObjectStatus, Operation, OperationPhase, Reason,
    Revision, Seconds, Stable, SyncStatus, Timestamp, digest,
};
use plan::{InSync, Plan, Selection, prune::Prune, stages};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

mod cluster;
mod endings;
mod ledger;
mod persisted;
mod restarts;
mod troubles;

use ledger::Ledger;
use persisted::Persisted;

type Objects = BTreeMap<ObjectKey, u8>;

/// What each commit holds: names with their values.
const COMMITS: &[(&str, &[(&str, u8)])] = &[
    ("a", &[("web", 1), ("api", 1), ("old", 1)]),
    ("b", &[("web", 2), ("api", 1)]),
    ("c", &[("web", 2), ("new", 1)]),
    // `web` crashes with this.
    ("d", &[("web", BAD), ("api", 1), ("more", 1)]),
];

/// What `web` crashes with.
const BAD: u8 = 7;

fn commit(name: &str) -> Objects {
    let (_, objects) = COMMITS.iter().find(|(known, _)| *known == name).expect("a commit");
    objects.iter().map(|(name, value)| (ObjectKey::new("", "ConfigMap", "ns", name), *value)).collect()
}

/// What ails `web`.
#[derive(Clone, Copy)]
struct Sick {
    evidence: Evidence,
    until: Timestamp,
    /// With which value; with any where that is open.
    only: Option<u8>,
}

struct World {
    state: State,
    app: App,
    now: Timestamp,
    head: &'static str,
    live: Objects,
    /// What stands in the cluster, as a restarted agent reads it.
    kept: Persisted,
    todo: VecDeque<Effect>,
    wake: Option<Timestamp>,
    /// Applies that were sent and are done later.
    flying: VecDeque<Effect>,
    /// How many applies are done later.
    n_slow: u8,
    n_failing: u8,
    /// What settled, the newest last.
    releases: Vec<Stable>,
    /// What was created since.
    fresh: BTreeSet<ObjectKey>,
    /// What ails `web`.
    sick: Option<Sick>,
    wrong: Vec<String>,
    /// What was decided of each content.
    ledger: Ledger,
    /// How often the app went back.
    n_back: usize,
    /// How often somebody asked for something beside a sync.
    n_asked: usize,
}

impl World {
    fn new(words: &str) -> Self {
        let mut world = Self {
            state: State::new(None, true),
            app: app(words),
            now: Timestamp::from_millis(0),
            head: "a",
            live: Objects::new(),
            kept: Persisted::default(),
            todo: VecDeque::new(),
            wake: None,
            flying: VecDeque::new(),
            n_slow: 0,
            n_failing: 0,
            releases: Vec::new(),
            fresh: BTreeSet::new(),
            sick: None,
            wrong: Vec::new(),
            ledger: Ledger::default(),
            n_back: 0,
            n_asked: 0,
        };
        (world.state.is_new, world.state.was_untold) = (true, true);
        world.tell(Event::AppChanged);
        world.tell(Event::Stable(None));
        world
    }

    fn tell(&mut self, event: Event) {
        let (state, effects) = step(self.state.clone(), event, self.now, &self.app);
        self.wrong.extend(broken(&self.state, &state, &effects, &self.app, self.now));
        let settled = self.releases.last();
        self.wrong.extend(self.ledger.take_in((&self.state, &state), &effects, settled));
        self.state = state;
        self.todo.extend(effects);
    }

    /// Carries out one effect, or lets time go by to the next wake-up; returns whether there was anything to do.
    fn go_on(&mut self) -> bool {
        let Some(effect) = self.todo.pop_front() else {
            if self.land() {
                return true;
            }
            if let Some(Sick { until, .. }) = self.sick
                && self.wake.is_none_or(|at| until <= at)
            {
                self.now = self.now.max(until);
                self.sick = None;
                self.compare();
                return true;
            }
            let Some(at) = self.wake.take() else { return false };
            self.now = self.now.max(at);
            self.tell(Event::Woke);
            return true;
        };
        // Nothing takes no time: two syncs that begin in the same moment would look the same.
        self.now = self.now + Seconds::from_millis(1);
        match effect {
            Effect::Resolve => self.tell(Event::Resolved(revision(self.head))),
            Effect::Render { revision, .. } => self.tell(Event::Rendered(desired(revision.as_str()))),
            Effect::Compare => self.compare(),
            Effect::Prepare { sync, target_revision } => {
                let name = if target_revision == "main" { self.head } else { &target_revision };
                self.tell(Event::Prepared { sync, desired: Ok(desired(name)) });
            }
            Effect::Inquire(suspect) => {
                let (hash, reason, culprit) =
                    (suspect.hash, suspect.reason, Box::new(culprit("no such file")));
                self.tell(Event::Culprit { hash, reason, culprit });
            }
            Effect::Plan { sync, hash, selection, prune } => {
                let plan = self.plan(hash, &selection, prune);
                self.tell(Event::Planned { sync, plan });
            }
            effect @ Effect::Apply { .. } if self.n_slow > 0 => {
                self.n_slow -= 1;
                self.flying.push_back(effect);
            }
            Effect::Apply { sync, hash, keys, mode } => {
                let wanted = commit(name_of(hash));
                let results = keys.into_iter().map(|key| self.apply(&wanted, key, mode)).collect();
                self.compare();
                self.tell(Event::StageDone { sync, results });
            }
            Effect::Prune { sync, keys, mode } => {
                let results = keys
                    .into_iter()
                    .map(|key| {
                        if mode == Mode::Real {
                            self.live.remove(&key);
                        }
                        result(key, ObjectOutcome::Pruned)
                    })
                    .collect();
                self.compare();
                self.tell(Event::StageDone { sync, results });
            }
            Effect::Revert(reversal) => {
                self.tell(Event::Reverted { hash: reversal.bad.hash, outcome: Ok("pushed".into()) });
            }
            Effect::WakeAt(at) => self.wake = Some(at),
            Effect::Report(report) => {
                if report.clear_operation {
                    self.app.operation = None;
                }
                if report.clear_request {
                    self.app.request = None;
                }
                self.kept.write(report);
                self.ledger.told();
                self.tell(Event::AppChanged);
            }
            Effect::Note(note) => self.n_back += usize::from(note.reason == Reason::RollingBack),
            Effect::Recall { release, hash } => {
                self.tell(Event::Recalled { release, desired: Ok(desired(name_of(hash))) });
            }
            Effect::Differ { hash, .. } => {
                let (new, old) = (commit(name_of(hash)), self.releases.last());
                let old = old.map(|release| commit(name_of(release.hash))).unwrap_or_default();
                let keys = new.into_iter().filter(|(key, value)| old.get(key) != Some(value));
                self.tell(Event::Differs { hash, keys: keys.map(|(key, _)| key).collect() });
            }
            Effect::Check(inspection) => {
                let Inspection { hash, since, checks } = *inspection;
                let look = self.look(hash);
                let looks = checks.into_iter().map(|check| (check, look.clone())).collect();
                self.tell(Event::Checked { hash, since, looks });
            }
            Effect::Release(outcome) => self.release(&outcome),
            other @ (Effect::Cascade(_) | Effect::Finalize) => self.wrong.push(self::effect(&other)),
        }
        true
    }

    /// What `c` holds is healthy and does not do what it should; now and then that cannot be found out.
    fn look(&self, hash: DesiredHash) -> Look {
        match name_of(hash) {
            "c" => Look::Failed("500".into()),
            _ if self.now.as_millis() % 7 == 0 => Look::Unknown("away".into()),
            _ => Look::Passed,
        }
    }

    /// Keeps what settled.
    fn release(&mut self, outcome: &Outcome) {
        if !matches!(outcome.word, Word::Stable | Word::Found) {
            return;
        }
        self.releases.push(Stable {
            number: self.releases.len() as u64 + 1,
            hash: outcome.hash,
            revision: outcome.revision.clone(),
            is_baseline: outcome.word == Word::Found,
        });
        self.fresh.clear();
        self.tell(Event::Stable(self.releases.last().cloned()));
    }
}

fn name_of(of: DesiredHash) -> &'static str {
    COMMITS.iter().find(|(name, _)| hash(name) == of).map(|(name, _)| *name).expect("a commit")
}

fn desired(name: &str) -> Arc<Desired> {
    Arc::new(Desired {
        revision: Revision::new(name),
        hash: hash(name),
        n_objects: commit(name).len(),
        source_type: "Directory".into(),
        progress_deadline: Seconds::ZERO,
        not_yet: Vec::new(),
        repeated: Vec::new(),
        overruled: Vec::new(),
        lasting: Vec::new(),
    })
}

fn result(key: ObjectKey, outcome: ObjectOutcome) -> ObjectResult {
    ObjectResult { key, version: "v1".into(), outcome, images: Vec::new() }
}
