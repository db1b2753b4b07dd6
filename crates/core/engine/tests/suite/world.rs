//! Does the cluster end as Git wants it, whatever was interrupted, edited or refused on the way? A small agent, a small
//! cluster and a small repository around the engine.

use crate::invariants::broken;
use crate::words::{app, culprit, effect, hash, revision};
use engine::{
    Attempt, Desired, Effect, Event, Hold, Inspection, Mode, OperationReport, Outcome, Report, SourceFailure,
    State, Word, Writes, step,
};
use model::{
    App, Available, Comparison, DesiredHash, ErrorClass, Evidence, Health, HealthStatus, HeldStage, Look,
    ObjectKey, ObjectOutcome, ObjectResult, ObjectStatus, OperationPhase, Reason, Revision, Seconds, Stable,
    SyncStatus, Timestamp, digest,
};
use plan::{InSync, Plan, Selection, prune::Prune, stages};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

mod troubles;

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

struct World {
    state: State,
    app: App,
    now: Timestamp,
    head: &'static str,
    live: Objects,
    /// What the status says, as a restarted agent reads it.
    status: Option<OperationReport>,
    said: Option<Box<Report>>,
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
    /// What ails `web`, and until when.
    sick: Option<(Evidence, Timestamp)>,
    wrong: Vec<String>,
    /// How often the app went back.
    n_back: usize,
}

impl World {
    fn new(words: &str) -> Self {
        let mut world = Self {
            state: State::new(None, true),
            app: app(words),
            now: Timestamp::from_millis(0),
            head: "a",
            live: Objects::new(),
            status: None,
            said: None,
            todo: VecDeque::new(),
            wake: None,
            flying: VecDeque::new(),
            n_slow: 0,
            n_failing: 0,
            releases: Vec::new(),
            fresh: BTreeSet::new(),
            sick: None,
            wrong: Vec::new(),
            n_back: 0,
        };
        world.tell(Event::AppChanged);
        world.tell(Event::Stable(None));
        world
    }

    fn tell(&mut self, event: Event) {
        let (state, effects) = step(self.state.clone(), event, self.now, &self.app);
        self.wrong.extend(broken(&self.state, &state, &effects, &self.app, self.now));
        self.state = state;
        self.todo.extend(effects);
    }

    /// Dies between two effects and starts again with what the status says.
    fn restart(&mut self) {
        self.todo.clear();
        self.flying.clear();
        self.wake = None;
        self.state = State::new(self.status.as_ref().map(remembered), true);
        if let Some(said) = &self.said {
            self.state.quarantine = said.quarantine.clone();
            self.state.hold = said.held.clone().map(|held| Box::new(Hold::new(held)));
        }
        self.tell(Event::AppChanged);
        self.tell(Event::Stable(self.releases.last().cloned()));
    }

    /// Carries out one effect, or lets time go by to the next wake-up; returns whether there was anything to do.
    fn go_on(&mut self) -> bool {
        let Some(effect) = self.todo.pop_front() else {
            if self.land() {
                return true;
            }
            if let Some((_, until)) = self.sick
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
                if let Some(operation) = &report.operation {
                    self.status = Some(operation.clone());
                }
                if report.clear_operation {
                    self.app.operation = None;
                }
                self.said = Some(report);
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

    /// Carries out an apply that was sent a while ago; returns whether there was one.
    fn land(&mut self) -> bool {
        let Some(Effect::Apply { sync, hash, keys, mode }) = self.flying.pop_front() else { return false };
        let wanted = commit(name_of(hash));
        let results = keys.into_iter().map(|key| self.apply(&wanted, key, mode)).collect();
        // A watch tells of it, whoever waits for the answer.
        self.compare();
        self.tell(Event::StageDone { sync, results });
        true
    }

    fn apply(&mut self, wanted: &Objects, key: ObjectKey, mode: Mode) -> ObjectResult {
        if self.n_failing > 0 {
            self.n_failing -= 1;
            return result(key, ObjectOutcome::Failed(ErrorClass::Unavailable, "timeout".into()));
        }
        let value = wanted[&key];
        let old = match mode {
            Mode::Real => self.live.insert(key.clone(), value),
            Mode::DryRun => self.live.get(&key).copied(),
        };
        if mode == Mode::Real && old.is_none() {
            self.fresh.insert(key.clone());
        }
        let outcome = match old {
            None => ObjectOutcome::Created,
            Some(old) if old == value => ObjectOutcome::Unchanged,
            Some(_) => ObjectOutcome::Configured,
        };
        result(key, outcome)
    }

    fn compare(&mut self) {
        let wanted = self.state.desired.as_ref().map(|desired| desired.hash);
        if let Some(hash) = wanted {
            self.tell(Event::Compared(Arc::new(self.comparison(hash))));
        }
        // A revision that somebody chose is compared as well.
        let running = self.state.run().and_then(|run| run.desired.as_ref()).map(|desired| desired.hash);
        if let Some(hash) = running.filter(|_| running != wanted) {
            self.tell(Event::Compared(Arc::new(self.comparison(hash))));
        }
        let held = self.state.hold.as_ref().map(|hold| hold.held.at.hash);
        if let Some(hash) = held.filter(|_| held != wanted && held != running) {
            self.tell(Event::Compared(Arc::new(self.comparison(hash))));
        }
    }

    fn comparison(&self, hash: DesiredHash) -> Comparison {
        let wanted = commit(name_of(hash));
        let keys: BTreeSet<&ObjectKey> = wanted.keys().chain(self.live.keys()).collect();
        let objects: Vec<ObjectStatus> = keys
            .into_iter()
            .map(|key| {
                let is_same = self.live.get(key) == wanted.get(key);
                let (health, evidence) = self.health(key);
                let serves = |health: &Health| health.status == HealthStatus::Healthy;
                let available =
                    health.as_ref().map(|health| Available { now: u32::from(serves(health)), wanted: 1 });
                ObjectStatus {
                    key: key.clone(),
                    version: "v1".into(),
                    sync: Some(if is_same { SyncStatus::Synced } else { SyncStatus::OutOfSync }),
                    health,
                    evidence,
                    available,
                    is_live: self.live.contains_key(key),
                    requires_pruning: !wanted.contains_key(key),
                    requires_confirmation: false,
                    refused: String::new(),
                }
            })
            .collect();
        let is_synced = objects.iter().all(|object| object.sync == Some(SyncStatus::Synced));
        let health = objects.iter().filter_map(|object| object.health.as_ref()).map(|h| h.status).max();
        Comparison {
            hash,
            objects,
            sync: if is_synced { SyncStatus::Synced } else { SyncStatus::OutOfSync },
            health: Health::new(health.unwrap_or(HealthStatus::Healthy), ""),
            is_complete: true,
            is_settled: true,
            progress: digest(format!("{:?}", self.live).as_bytes()),
            shared: Vec::new(),
            unseen: Vec::new(),
            images: Vec::new(),
            links: Vec::new(),
        }
    }

    fn health(&self, key: &ObjectKey) -> (Option<Health>, Evidence) {
        if key.name != "web" || !self.live.contains_key(key) {
            return (None, Evidence::None);
        }
        if self.live.get(key) == Some(&BAD) {
            return (Some(Health::new(HealthStatus::Degraded, "crashes")), Evidence::Condemns);
        }
        match self.sick.filter(|(_, until)| *until > self.now) {
            None => (Some(Health::healthy()), Evidence::None),
            Some((evidence, _)) => (Some(Health::new(HealthStatus::Progressing, "")), evidence),
        }
    }

    fn plan(&self, hash: DesiredHash, selection: &Selection, prune: Prune) -> Plan {
        let comparison = self.comparison(hash);
        let objects = comparison.objects.iter().filter(|object| !object.requires_pruning).map(|object| {
            let is_same = object.sync == Some(SyncStatus::Synced);
            (object.key.clone(), if is_same { InSync::Yes } else { InSync::No })
        });
        let mut plan = Plan { stages: stages(&objects.collect(), selection), ..Plan::default() };
        if prune != Prune::No {
            let is_fresh =
                |key: &&ObjectKey| !matches!(prune, Prune::Created(_)) || self.fresh.contains(*key);
            plan.prunes = plan::staged(comparison.to_prune().filter(is_fresh).cloned());
        }
        plan.delete_only(selection);
        plan
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

fn remembered(told: &OperationReport) -> Attempt {
    Attempt {
        hash: told.hash,
        revision: told.revision.clone().unwrap_or_else(|| Revision::new("")),
        phase: told.phase,
        reason: told.reason.unwrap_or(Reason::Synced),
        message: told.message.clone(),
        started_at: told.started_at,
        finished_at: told.finished_at.unwrap_or(told.started_at),
        retries: told.retries,
        results: Vec::new(),
        operation: told.operation.clone(),
        selective: told.selective.clone(),
        heals: told.heals,
        is_condemned: told.is_condemned,
        may_repeat: false,
        was_blind: false,
        is_old: true,
        headway: told.headway.clone(),
    }
}
