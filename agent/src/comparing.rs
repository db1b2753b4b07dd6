//! How does each app compare with the cluster, given what the watches showed?

use crate::agent::Agent;
use crate::apps::{AppEntry, Probe};
use crate::checking::Likely;
use crate::clock::now;
use crate::desired::DesiredSet;
use crate::judge::{self, Judgement};
use crate::live::Unjudged;
use crate::wanted::{Kept, Wanted};
use engine::{Event, Note, Tone};
use model::{App, AppKey, Comparison, LiveDigest, Match, Object, ObjectKey, Reason};
use plan::{DesiredObject, Side};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

impl Agent {
    /// Compares every app whose comparison may have changed, and tells its engine.
    pub(crate) fn compare_dirty(&mut self) {
        self.release_held_back();
        // What is compared first may be decided by what was deployed before.
        if self.may_write && !self.keeping.was_tried {
            return;
        }
        while let Some(key) = self.dirty.pop_first() {
            self.take_over(&key);
            let Some(entry) = self.apps.get(&key) else { continue };
            let Some(app) = entry.app.clone() else { continue };
            if app.deletion.is_some() {
                self.event(&key, Event::LiveChanged);
            }
            if let Some(set) = self.comparable(&key, AppEntry::enforced) {
                self.judge_all(&key, &app, &set);
                self.compared(&key, self.compare(&key, &app, &set));
            }
            if let Some(set) = self.comparable(&key, AppEntry::unenforced) {
                self.compared(&key, self.compare_unenforced(&key, &app, &set));
            }
            if let Some(set) = self.comparable(&key, AppEntry::chosen) {
                self.compared(&key, self.compare_chosen(&key, &app, &set));
            }
        }
        self.live.pack_unjudged();
        self.narrow();
    }

    /// Returns one of an app's rendered sets once all kinds that concern it have been listed.
    fn comparable(
        &self,
        key: &AppKey,
        which: impl FnOnce(&AppEntry) -> Option<&Arc<DesiredSet>>,
    ) -> Option<Arc<DesiredSet>> {
        let entry = self.apps.get(key)?;
        let set = which(entry)?;
        let is_listing = self.kinds_of(entry, Some(set)).iter().any(|kind| self.live.is_listing(kind));
        (!is_listing).then(|| Arc::clone(set))
    }

    fn compared(&mut self, key: &AppKey, comparison: Comparison) {
        if self.holds_back(key, &comparison) {
            return;
        }
        self.event(key, Event::Compared(Arc::new(comparison)));
        // What no sync is going to apply.
        self.take_over(key);
    }

    /// Judges every object that was not judged against what Git wants now.
    fn judge_all(&mut self, key: &AppKey, app: &Arc<App>, set: &Arc<DesiredSet>) {
        for (object, wanted) in set.objects.iter() {
            match self.live.get(object) {
                Some(_) => self.judge_one(key, app, object, wanted),
                None => self.probe(key, app, object, wanted),
            }
        }
    }

    fn judge_one(&mut self, key: &AppKey, app: &Arc<App>, object: &ObjectKey, kept: &Kept) {
        if self.owner_instead(key, object).is_some() {
            return;
        }
        let Some(entry) = self.live.get_mut(object) else { return };
        let Some(live) = entry.unjudged.take().map(Unjudged::open) else {
            return self.judge_unseen(key, app, object, kept);
        };
        let wanted = &kept.open();
        entry.judged_by = Some(judge::question(app, object, kept.digest));
        entry.takes_over = entry.has_other_managers.then(|| judge::takes_over(app, wanted, &live));
        let was_in_sync = entry.digest.matching == Match::InSync
            && entry.baseline.as_ref().is_some_and(|b| b.desired == wanted.digest);
        match judge::judge(app, wanted, &live, entry.baseline.as_ref()) {
            Judgement::Known(matching, baseline) => {
                if let Some(app) = self.apps.get_mut(key) {
                    app.undecided.decided(object);
                }
                entry.digest.matching = matching;
                if baseline.is_some() {
                    entry.baseline = baseline;
                }
                if matching == Match::Drifted && was_in_sync {
                    let heals = app.automated.is_some_and(|automated| automated.self_heal);
                    let now = now();
                    entry.heat = if heals { entry.heat.corrected(now) } else { entry.heat };
                    let is_fight = entry.heat.is_fight(now);
                    self.tell_drift(key, app, wanted, &live, is_fight);
                }
            }
            Judgement::Ask => {
                // What was in sync counts so until the answer is there: some objects are asked about on every event.
                if !was_in_sync {
                    entry.digest.matching = Match::Undecided;
                }
                if entry.is_checking {
                    // What is being asked may have been read before this.
                    entry.checks_again = true;
                } else {
                    self.check(key, app, object, kept, Likely::DryRun);
                }
            }
        }
    }

    /// Judges an object that is not at hand: Git may want something else than what it was judged by.
    fn judge_unseen(&mut self, key: &AppKey, app: &Arc<App>, object: &ObjectKey, kept: &Kept) {
        let applies = self.applies(key, app);
        let Some(entry) = self.live.get_mut(object).filter(|entry| !entry.is_checking) else { return };
        let is_stale = entry.judged_by != Some(judge::question(app, object, kept.digest));
        let is_new = entry.baseline.as_ref().is_none_or(|b| b.desired != kept.digest);
        let is_open = entry.digest.matching == Match::Undecided;
        if !is_open && is_stale && is_new && applies {
            entry.digest.matching = Match::Drifted;
        } else if is_open || is_stale {
            entry.digest.matching = Match::Undecided;
            self.check(key, app, object, kept, Likely::Known);
        }
    }

    /// Says what drifted, who changed it and when; and that somebody keeps changing it back, which corrections then wait
    /// longer and longer for.
    fn tell_drift(&mut self, key: &AppKey, app: &App, wanted: &Wanted, live: &Object, is_fight: bool) {
        let rules = judge::rules(app, &wanted.object.key());
        let report = drift::report(Some(&wanted.object), Some(live), &rules, None);
        let lines: Vec<String> = report.fields.iter().take(3).map(ToString::to_string).collect();
        let managers: BTreeSet<&str> = report.fields.iter().map(|field| field.manager.as_str()).collect();
        let object = wanted.object.key();
        // Only our own metadata is in no report.
        let what = if lines.is_empty() {
            "the labels or the annotation that mark it as ours were taken off".into()
        } else {
            lines.join("; ")
        };
        let message = format!("{object} drifted: {what}");
        self.tell(key, &Note { reason: Reason::Drift, message, tone: Tone::Warning });
        if is_fight {
            let others = managers.into_iter().filter(|name| !name.is_empty()).collect::<Vec<_>>().join(", ");
            let others = if others.is_empty() { "somebody" } else { &others };
            let message = format!(
                "{object} is changed back again and again by {others}: leave the field to one of them, or name it in \
                 spec.ignoreDifferences"
            );
            self.tell(key, &Note { reason: Reason::Fight, message, tone: Tone::Warning });
        }
    }

    /// Says that what Git wants was deleted. Somebody did that, or a controller, or it went with its namespace.
    pub(crate) fn tell_missing(&mut self, object: &ObjectKey) {
        if let Some(key) = self.misses(object).cloned() {
            let message = format!("{object} drifted: it was deleted");
            self.tell(&key, &Note { reason: Reason::Drift, message, tone: Tone::Warning });
        }
    }

    /// Returns the app that misses an object which is gone. What we delete ourselves Git does not want any more, or a person
    /// chose a revision that has it not.
    fn misses(&self, object: &ObjectKey) -> Option<&AppKey> {
        let live = self.live.get(object)?;
        let key = self.by_part_of.get(&live.digest.part_of)?;
        let entry = self.apps.get(key)?;
        let is_leaving = entry.app.as_ref().is_none_or(|app| app.deletion.is_some());
        let wanted = self.wants(key, object);
        let was_there = wanted.is_some() && live.baseline.as_ref().map(|baseline| baseline.desired) == wanted;
        // Who looks on leaves it to the one who writes to tell.
        let is_missed = self.may_write && was_there && !is_leaving && entry.chosen().is_none();
        is_missed.then_some(key)
    }

    /// Returns whether automated syncs apply for an app: they find out by themselves what is in the cluster.
    pub(crate) fn applies(&self, key: &AppKey, app: &App) -> bool {
        let is_read_only = |entry: &AppEntry| !engine::read_only(&entry.state, app).is_empty();
        app.automated.is_some() && !self.apps.get(key).is_some_and(|entry| is_read_only(entry))
    }

    /// Returns what an object of an app is judged by now.
    pub(crate) fn question(&self, key: &AppKey, object: &ObjectKey) -> Option<model::Digest> {
        let entry = self.apps.get(key)?;
        Some(judge::question(entry.app.as_ref()?, object, entry.enforced()?.objects.get(object)?.digest))
    }

    /// Returns the hash of what live is kept at of an object now.
    pub(crate) fn wants(&self, key: &AppKey, object: &ObjectKey) -> Option<model::Digest> {
        Some(self.apps.get(key)?.enforced()?.objects.get(object)?.digest)
    }

    /// Returns whether this very object is known to be gone, so that an answer from before does not bring it back.
    pub(crate) fn is_gone(&self, object: &ObjectKey, uid: &str) -> bool {
        self.live.gone.get(object).is_some_and(|gone| gone == uid)
    }

    /// Compares an app with the cluster as Git wants it.
    fn compare(&self, key: &AppKey, app: &App, set: &DesiredSet) -> Comparison {
        self.compare_with(key, app, set, &self.live_of(key, &self.apps[key], set))
    }

    /// Compares an app with the cluster as Git wants it, while live is kept at something else, which it is judged by: what is
    /// the same in both is as it is judged, the rest differs.
    fn compare_unenforced(&self, key: &AppKey, app: &App, set: &DesiredSet) -> Comparison {
        let entry = &self.apps[key];
        let mut live = self.live_of(key, entry, set);
        let enforced = entry.enforced();
        for (object, digest) in &mut live {
            let enforced = enforced.and_then(|set| set.objects.get(object)).map(|kept| kept.digest);
            if enforced != set.objects.get(object).map(|kept| kept.digest) {
                digest.matching = Match::Drifted;
            }
        }
        self.compare_with(key, app, set, &live)
    }

    /// Compares an app with the cluster as a sync of a chosen revision wants it. Live is judged by what Git wants: here
    /// each object counts as different, and such a sync applies them all.
    fn compare_chosen(&self, key: &AppKey, app: &App, set: &DesiredSet) -> Comparison {
        let mut live = self.live_of(key, &self.apps[key], set);
        for digest in live.values_mut() {
            digest.matching = Match::Drifted;
        }
        self.compare_with(key, app, set, &live)
    }

    fn compare_with(
        &self,
        key: &AppKey,
        app: &App,
        set: &DesiredSet,
        live: &BTreeMap<ObjectKey, LiveDigest>,
    ) -> Comparison {
        let entry = &self.apps[key];
        let desired = |(key, kept): (&ObjectKey, &Kept)| DesiredObject {
            key: key.clone(),
            version: kept.version().to_owned(),
        };
        let desired: Vec<DesiredObject> = set.objects.iter().map(desired).collect();
        let owner = |object| Some((object, self.owner_instead(key, object)?));
        let owners: BTreeMap<&ObjectKey, AppKey> = set.objects.keys().filter_map(owner).collect();
        let refusal = |(object, owner): (&&ObjectKey, &AppKey)| {
            ((*object).clone(), format!("belongs to application {owner}"))
        };
        let refused: BTreeMap<ObjectKey, String> = owners.iter().map(refusal).collect();
        let mut hidden = self.kinds_of(entry, Some(set));
        hidden.retain(|kind| !self.live.sees(kind));
        let is_hidden = |object: &&ObjectKey| !hidden.is_empty() && hidden.contains(&object.group_kind());
        // What is being looked for is neither there nor missing yet.
        let mut unclear = self.unclear(entry, set);
        unclear.retain(|object| !refused.contains_key(object));
        let mut inherited = self.inherited(key, app);
        inherited.extend(Self::asked_for(entry, &desired, &unclear));
        let mut unseen = self.unseen(hidden.iter().cloned());
        unseen.extend(crate::takeover::obstacles(&inherited, set));
        unseen.extend(entry.undecided.obstacle(unclear.iter()));
        let side = Side {
            hash: set.hash(),
            desired: &desired,
            live,
            refused: &refused,
            inherited: &inherited,
            blind: &set.objects.keys().filter(is_hidden).cloned().collect(),
            unclear: &unclear,
            is_complete: hidden.is_empty() && !self.is_inheriting(key),
            owner: (&entry.instance, &entry.part_of),
            own_key: &ObjectKey::new("argoproj.io", "Application", &app.key.namespace, &app.key.name),
            shared: &self.shared(key, &owners),
            unseen: &unseen,
        };
        let mut comparison = plan::compare(&side, health::aggregate);
        // Known in a moment, and worth no write of its own.
        comparison.is_settled &= !desired.iter().any(|d| entry.probed.get(&d.key) == Some(&Probe::Asked));
        comparison
    }

    /// Returns the objects that are being looked up, as what nobody sees.
    fn asked_for(
        entry: &AppEntry,
        desired: &[DesiredObject],
        unclear: &BTreeSet<ObjectKey>,
    ) -> Vec<(ObjectKey, plan::Inherited)> {
        let is_asked = |d: &&DesiredObject| {
            let probe = entry.probed.get(&d.key);
            matches!(probe, Some(Probe::Asked | Probe::Unanswered)) && !unclear.contains(&d.key)
        };
        let hidden = |d: &DesiredObject| {
            (d.key.clone(), plan::Inherited { version: d.version.clone(), obstacle: String::new() })
        };
        desired.iter().filter(is_asked).map(hidden).collect()
    }

    /// Returns the objects that the API server does not tell about, for long enough to be told of.
    fn unclear(&self, entry: &AppEntry, set: &DesiredSet) -> BTreeSet<ObjectKey> {
        let is_open = |object: &&ObjectKey| match self.live.get(object) {
            Some(live) => live.digest.matching == Match::Undecided,
            None => entry.probed.get(*object) == Some(&Probe::Unanswered),
        };
        let wanted = entry.undecided.told().filter(|object| set.objects.contains_key(object));
        wanted.filter(is_open).cloned().collect()
    }

    /// Returns whether the app's project permits an object.
    pub(crate) fn permits(entry: &AppEntry, object: &ObjectKey) -> bool {
        entry
            .project
            .permits(&object.group_kind(), !object.namespace.is_empty(), &object.name, &object.namespace)
            .is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::harness::{Harness, config_map, key, shop};

    #[tokio::test]
    async fn what_is_being_looked_for_is_waited_for() {
        let mut harness = Harness::new(&[config_map("web", "", 0, "one")]).await;
        let agent = &mut harness.agent;
        let mut told = |probe| {
            let entry = agent.apps.get_mut(&shop()).unwrap();
            entry.app = entry.app.take().map(|app| Arc::new(App { automated: None, ..(*app).clone() }));
            entry.probed.insert(key("web"), probe);
            agent.dirty.insert(shop());
            agent.compare_dirty();
            let comparison = agent.apps[&shop()].state.comparison.clone().unwrap();
            (comparison.is_settled, comparison.sync)
        };
        assert!(!told(Probe::Asked).0);
        assert_eq!(told(Probe::Absent), (true, model::SyncStatus::OutOfSync));
    }

    #[tokio::test]
    async fn who_may_not_write_leaves_it_to_the_one_who_may_to_tell_what_is_missing() {
        let mut harness = Harness::new(&[config_map("web", "", 0, "one")]).await;
        harness.agent.live_object(config_map("web", "first", 5, "one"));
        let agent = &mut harness.agent;
        let desired = agent.wants(&shop(), &key("web")).unwrap();
        let live = agent.live.get_mut(&key("web")).unwrap();
        live.baseline = Some(crate::live::Baseline { desired, fingerprint: None, values: None });
        agent.by_part_of.insert(live.digest.part_of.clone(), shop());
        assert_eq!(agent.misses(&key("web")), Some(&shop()));
        agent.may_write = false;
        assert_eq!(agent.misses(&key("web")), None);
    }
}
