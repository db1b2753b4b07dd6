//! How does each app compare with the cluster, given what the watches showed?

use crate::agent::{Agent, now};
use crate::apps::{AppEntry, Probe};
use crate::desired::DesiredSet;
use crate::input::{Checked, Input};
use crate::judge::{self, Judgement};
use crate::live::is_newer;
use crate::wanted::{Kept, Wanted};
use cluster::{ApplyOptions, Priority};
use engine::{Event, Note, Tone};
use model::{App, AppKey, Comparison, LiveDigest, Match, Object, ObjectKey, Reason, names};
use plan::{DesiredObject, Side};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// How long to wait before the API server is asked about an object again.
const CHECK_WAIT: std::time::Duration = std::time::Duration::from_secs(5);

impl Agent {
    /// Compares every app whose comparison may have changed, and tells its engine.
    pub(crate) fn compare_dirty(&mut self) {
        self.release_held_back();
        while let Some(key) = self.dirty.pop_first() {
            self.take_over(&key);
            let Some(entry) = self.apps.get(&key) else { continue };
            let Some(app) = entry.app.clone() else { continue };
            if app.deletion.is_some() {
                self.event(&key, Event::LiveChanged);
            }
            if let Some(set) = self.comparable(&key, AppEntry::current) {
                self.judge_all(&key, &app, &set);
                self.compared(&key, self.compare(&key, &app, &set));
            }
            if let Some(set) = self.comparable(&key, AppEntry::chosen) {
                self.compared(&key, self.compare_chosen(&key, &app, &set));
            }
        }
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
        let applies = self.applies(key, app);
        let Some(entry) = self.live.get_mut(object) else { return };
        let Some(live) = entry.unjudged.take() else {
            // Git wants something else than what live was judged by, and the object itself is not at hand.
            let is_stale = entry.judged_by != Some(judge::question(app, object, kept.digest));
            if entry.digest.matching == Match::Undecided && !entry.is_checking {
                self.check(key, app, object, kept);
            } else if is_stale && !entry.is_checking {
                let is_new = entry.baseline.as_ref().is_none_or(|b| b.desired != kept.digest);
                if applies && is_new {
                    entry.digest.matching = Match::Drifted;
                } else {
                    entry.digest.matching = Match::Undecided;
                    self.check(key, app, object, kept);
                }
            }
            return;
        };
        let wanted = &kept.open();
        entry.judged_by = Some(judge::question(app, object, kept.digest));
        entry.takes_over = entry.has_other_managers.then(|| judge::takes_over(app, wanted, &live));
        match judge::judge(app, wanted, &live, entry.baseline.as_ref()) {
            Judgement::Known(matching, baseline) => {
                let was_in_sync = entry.digest.matching == Match::InSync
                    && entry.baseline.as_ref().is_some_and(|b| b.desired == wanted.digest);
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
                let was_in_sync = entry.digest.matching == Match::InSync
                    && entry.baseline.as_ref().is_some_and(|b| b.desired == wanted.digest);
                if !was_in_sync {
                    entry.digest.matching = Match::Undecided;
                }
                if !entry.is_checking {
                    self.check(key, app, object, kept);
                }
            }
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

    /// Asks the API server whether an object is in sync: reads it, and asks for a dry-run where it has to.
    fn check(&mut self, key: &AppKey, app: &Arc<App>, object: &ObjectKey, kept: &Kept) {
        let Some(endpoint) = self.discovery.endpoint(&kept.gvk(object)) else { return };
        let wanted = kept.open();
        if let Some(entry) = self.live.get_mut(object) {
            entry.is_checking = true;
        }
        let baseline = self.live.get(object).and_then(|entry| entry.baseline.clone());
        let (cluster, app, checks) = (self.cluster.clone(), Arc::clone(app), Arc::clone(&self.checks));
        let (key, object) = (key.clone(), object.clone());
        self.metrics.checks.add(1);
        self.spawn(async move {
            let permit = checks.acquire().await;
            let checked =
                ask(&cluster, &endpoint, &app, &wanted, baseline).await.unwrap_or_else(Checked::Failed);
            drop(permit);
            if let Checked::Failed(_) = &checked {
                tokio::time::sleep(CHECK_WAIT).await;
            }
            Input::Checked(key, object, checked)
        });
    }

    /// Returns whether automated syncs apply for an app: they find out by themselves what is in the cluster.
    pub(crate) fn applies(&self, key: &AppKey, app: &App) -> bool {
        let is_read_only = |entry: &AppEntry| !engine::read_only(&entry.state, app).is_empty();
        app.automated.is_some() && !self.apps.get(key).is_some_and(|entry| is_read_only(entry))
    }

    /// Looks for an object that no watch shows: it may be there without our labels. An automated sync finds that out by
    /// applying, so only apps that merely look ask.
    fn probe(&mut self, key: &AppKey, app: &Arc<App>, object: &ObjectKey, kept: &Kept) {
        let applies = self.applies(key, app);
        let is_known = self.apps.get(key).is_some_and(|entry| {
            let is_looked_up = entry.inheritance.as_ref().is_some_and(|i| i.is_pending(object));
            let is_probed =
                entry.probed.get(object).is_some_and(|probe| *probe != Probe::Unanswered { is_asked: false });
            is_probed || is_looked_up
        });
        if applies || is_known || self.discovery.endpoint(&kept.gvk(object)).is_none() {
            return;
        }
        if let Some(entry) = self.apps.get_mut(key) {
            let probe = match entry.probed.get(object) {
                Some(Probe::Unanswered { .. }) => Probe::Unanswered { is_asked: true },
                Some(Probe::Asked | Probe::Absent) | None => Probe::Asked,
            };
            entry.probed.insert(object.clone(), probe);
        }
        self.check(key, app, object, kept);
    }

    /// Takes in what the API server said about an object.
    pub(crate) fn checked(&mut self, key: &AppKey, object: &ObjectKey, checked: Checked) {
        if let Some(entry) = self.live.get_mut(object) {
            entry.is_checking = false;
        }
        if let (Checked::Judged(..), Some(entry)) = (&checked, self.apps.get_mut(key)) {
            entry.probed.remove(object);
        }
        match checked {
            Checked::Missing => {
                if let Some(entry) = self.apps.get_mut(key) {
                    entry.probed.insert(object.clone(), Probe::Absent);
                }
            }
            // A watch was quicker: what it showed was judged by itself.
            Checked::Judged(live, ..) if self.has_newer(object, live.resource_version()) => {}
            Checked::Judged(live, matching, baseline) => {
                let label = live.label(names::INSTANCE_LABEL);
                if label != Some(self.identity.instance_label.as_str()) && !self.offer(&live) {
                    self.widen(&object.group_kind());
                }
                if self.is_gone(object, live.uid()) {
                    return;
                }
                let judged_by = self.question(key, object);
                let assessment = self.assess(&live);
                let old = self.live.remove(object);
                let mut entry = judge::entry(*live, &self.identity.instance_label, assessment, old);
                entry.unjudged = None;
                entry.judged_by = judged_by;
                entry.digest.matching = matching;
                if baseline.is_some() {
                    entry.baseline = baseline;
                }
                self.live.insert(entry);
            }
            // Asked again: the failure was waited out before it came here.
            Checked::Failed(error) => {
                tracing::debug!(%object, %error, "comparison could not be decided");
                if let Some(probe) = self.apps.get_mut(key).and_then(|entry| entry.probed.get_mut(object)) {
                    *probe = Probe::Unanswered { is_asked: false };
                }
            }
        }
        self.dirty.insert(key.clone());
    }

    /// Returns what an object of an app is judged by now.
    pub(crate) fn question(&self, key: &AppKey, object: &ObjectKey) -> Option<model::Digest> {
        let entry = self.apps.get(key)?;
        Some(judge::question(entry.app.as_ref()?, object, entry.current()?.objects.get(object)?.digest))
    }

    /// Returns the hash of what Git wants of an object now.
    pub(crate) fn wants(&self, key: &AppKey, object: &ObjectKey) -> Option<model::Digest> {
        Some(self.apps.get(key)?.current()?.objects.get(object)?.digest)
    }

    /// Returns whether this very object is known to be gone, so that an answer from before does not bring it back.
    pub(crate) fn is_gone(&self, object: &ObjectKey, uid: &str) -> bool {
        self.live.gone.get(object).is_some_and(|gone| gone == uid)
    }

    fn has_newer(&self, object: &ObjectKey, resource_version: &str) -> bool {
        self.live.get(object).is_some_and(|entry| {
            !entry.is_listed_anew && is_newer(&entry.digest.resource_version, resource_version)
        })
    }

    /// Compares an app with the cluster as Git wants it.
    fn compare(&self, key: &AppKey, app: &App, set: &DesiredSet) -> Comparison {
        self.compare_with(key, app, set, &self.live_of(key, &self.apps[key], set))
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
        let desired: Vec<DesiredObject> = set
            .objects
            .iter()
            .map(|(key, kept)| DesiredObject { key: key.clone(), version: kept.version().to_owned() })
            .collect();
        let owners: BTreeMap<&ObjectKey, AppKey> = set
            .objects
            .keys()
            .filter_map(|object| Some((object, self.owner_instead(key, object)?)))
            .collect();
        let refused: BTreeMap<ObjectKey, String> = owners
            .iter()
            .map(|(object, owner)| ((*object).clone(), format!("belongs to application {owner}")))
            .collect();
        let mut hidden = self.kinds_of(entry, Some(set));
        hidden.retain(|kind| !self.live.sees(kind));
        let is_hidden = |object: &&ObjectKey| !hidden.is_empty() && hidden.contains(&object.group_kind());
        let blind = set.objects.keys().filter(is_hidden);
        let mut unseen = self.unseen(hidden.iter().cloned());
        let mut inherited = self.inherited(key, app);
        // What is being looked for is neither there nor missing yet.
        let asked = desired.iter().filter(|d| entry.probed.get(&d.key) == Some(&Probe::Asked));
        let hidden_object =
            |d: &DesiredObject| plan::Inherited { version: d.version.clone(), obstacle: String::new() };
        inherited.extend(asked.map(|d| (d.key.clone(), hidden_object(d))));
        unseen.extend(crate::takeover::obstacles(&inherited, set));
        let side = Side {
            hash: set.hash(),
            desired: &desired,
            live,
            refused: &refused,
            inherited: &inherited,
            blind: &blind.cloned().collect(),
            is_complete: hidden.is_empty() && !self.is_inheriting(key),
            owner: (&entry.instance, &entry.part_of),
            own_key: &ObjectKey::new("argoproj.io", "Application", &app.key.namespace, &app.key.name),
            shared: &self.shared(key, &owners),
            unseen: &unseen,
        };
        plan::compare(&side, health::aggregate)
    }

    /// Returns whether the app's project permits an object.
    pub(crate) fn permits(entry: &AppEntry, object: &ObjectKey) -> bool {
        entry
            .project
            .permits(&object.group_kind(), !object.namespace.is_empty(), &object.name, &object.namespace)
            .is_ok()
    }
}

async fn ask(
    cluster: &cluster::Cluster,
    endpoint: &cluster::Endpoint,
    app: &App,
    wanted: &Wanted,
    baseline: Option<crate::live::Baseline>,
) -> Result<Checked, model::CallError> {
    let object = &wanted.object;
    let Some(live) = cluster.get(endpoint, object.namespace(), object.name()).await? else {
        return Ok(Checked::Missing);
    };
    let Ok(live) = Object::from_value(live) else { return Ok(Checked::Missing) };
    match judge::judge(app, wanted, &live, baseline.as_ref()) {
        Judgement::Known(matching, baseline) => Ok(Checked::Judged(Box::new(live), matching, baseline)),
        Judgement::Ask => {
            let options = ApplyOptions {
                manager: names::FIELD_MANAGER.into(),
                force: true,
                dry_run: true,
                priority: Priority::Background,
            };
            let applied = match cluster.apply(endpoint, object, &options).await {
                // What Git wants cannot be applied to what is there: it differs, whatever else is wrong with it.
                Err(error) if error.class.condemns() => {
                    return Ok(Checked::Judged(Box::new(live), Match::Drifted, None));
                }
                other => other?,
            };
            let (matching, baseline) = judge::judge_dry_run(app, wanted, &live, &applied.object);
            Ok(Checked::Judged(Box::new(live), matching, baseline))
        }
    }
}
