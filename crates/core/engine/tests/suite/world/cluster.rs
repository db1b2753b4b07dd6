//! What is in the small cluster, how does it compare, how well is it?

use super::*;

impl World {
    /// Carries out an apply that was sent a while ago; returns whether there was one.
    pub(super) fn land(&mut self) -> bool {
        let Some(Effect::Apply { sync, hash, keys, mode }) = self.flying.pop_front() else { return false };
        let wanted = commit(name_of(hash));
        let results = keys.into_iter().map(|key| self.apply(&wanted, key, mode)).collect();
        // A watch tells of it, whoever waits for the answer.
        self.compare();
        self.tell(Event::StageDone { sync, results });
        true
    }

    pub(super) fn apply(&mut self, wanted: &Objects, key: ObjectKey, mode: Mode) -> ObjectResult {
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

    pub(super) fn compare(&mut self) {
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

    pub(super) fn comparison(&self, hash: DesiredHash) -> Comparison {
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
        let ails = |sick: &Sick| sick.until > self.now && sick.only.is_none_or(|only| self.live[key] == only);
        match self.sick.filter(ails) {
            None => (Some(Health::healthy()), Evidence::None),
            Some(sick) => (Some(Health::new(HealthStatus::Progressing, "")), sick.evidence),
        }
    }

    pub(super) fn plan(&self, hash: DesiredHash, selection: &Selection, prune: Prune) -> Plan {
        let comparison = self.comparison(hash);
        let objects = comparison.objects.iter().filter(|object| !object.requires_pruning).map(|object| {
            let is_same = object.sync == Some(SyncStatus::Synced);
            (object.key.clone(), if is_same { InSync::Yes } else { InSync::No })
        });
        let mut plan = Plan { stages: stages(&objects.collect(), selection), ..Plan::default() };
        if prune != Prune::No {
            let is_fresh =
                |key: &&ObjectKey| !matches!(prune, Prune::Created(_)) || self.fresh.contains(*key);
            let (fresh, old): (Vec<_>, Vec<_>) = comparison.to_prune().partition(is_fresh);
            plan.prunes = plan::staged(fresh.into_iter().cloned());
            let left = |key: &ObjectKey| {
                result(key.clone(), ObjectOutcome::PruneSkipped("it was there before".into()))
            };
            plan.skipped = old.into_iter().map(left).collect();
        }
        plan.delete_only(selection);
        plan
    }
}
