//! Which kinds did we ever create? One small record per cluster, written before the first object of a new kind.

use crate::agent::Agent;
use crate::apps::AppEntry;
use crate::input::Input;
use cluster::Endpoint;
use engine::Effect;
use model::{App, AppKey, CallError, GroupKind, GroupVersionKind, names};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

/// Name of the `ConfigMap` in the control namespace.
const NAME: &str = "tautline-kinds";
/// First and longest wait before a write that failed is tried again.
const FIRST_WAIT: Duration = Duration::from_secs(5);
const LONGEST_WAIT: Duration = Duration::from_mins(5);

/// The record, and what waits for it.
#[derive(Default)]
pub(crate) struct KindsRecord {
    stored: BTreeMap<GroupKind, GroupVersionKind>,
    wanted: BTreeMap<GroupKind, GroupVersionKind>,
    /// Kinds of which nothing is left, to be taken out.
    dropped: BTreeSet<GroupKind>,
    /// What the write under way records.
    writing: Option<BTreeMap<GroupKind, GroupVersionKind>>,
    /// What it takes out.
    dropping: BTreeSet<GroupKind>,
    /// Whether it is as stored: nobody else has been the writer since it was read.
    is_current: bool,
    /// Reads under way; only the last of them counts.
    n_reads: u32,
    /// Writes that failed in a row, and why the last one did.
    n_failed: u32,
    failure: Option<String>,
    /// Whether the next try waits for its time.
    is_resting: bool,
    /// Applies that wait until their kinds are recorded.
    pub waiting: Vec<(AppKey, Arc<App>, Effect)>,
}

impl KindsRecord {
    /// Reads the record from the `ConfigMap`'s data: one entry per kind, `Kind.group: apiVersion`.
    pub(crate) fn load(&mut self, config_map: Option<&Value>) {
        self.is_current = true;
        let data = config_map.and_then(|map| map.get("data")).and_then(Value::as_object);
        for (name, version) in data.into_iter().flatten() {
            let (kind, _) = name.split_once('.').unwrap_or((name, ""));
            if let Some(version) = version.as_str() {
                let gvk = GroupVersionKind::from_api_version(version, kind);
                self.stored.insert(gvk.group_kind(), gvk);
            }
        }
    }

    /// Returns the recorded kinds.
    pub(crate) fn known(&self) -> impl Iterator<Item = &GroupVersionKind> {
        self.stored.values()
    }

    /// Returns whether all of these are certainly recorded.
    pub(crate) fn covers(&self, mut kinds: impl Iterator<Item = GroupKind>) -> bool {
        self.is_current && kinds.all(|kind| self.stored.contains_key(&kind))
    }

    /// Returns the version that a kind is recorded at; `None` where it is not.
    pub(crate) fn version(&self, kind: &GroupKind) -> Option<&str> {
        self.stored.get(kind).map(|gvk| gvk.version.as_str())
    }

    /// Returns whether kinds may be taken out now: the record is as stored, and nobody waits for it.
    pub(crate) fn is_at_rest(&self) -> bool {
        self.is_current && self.writing.is_none() && self.waiting.is_empty() && self.wanted.is_empty()
    }

    /// Returns why a kind is not recorded, once that was tried.
    pub(crate) fn obstacle(&self, kind: &GroupKind) -> Option<&str> {
        self.failure.as_deref().filter(|_| !self.stored.contains_key(kind))
    }

    /// Notes that another is the writer.
    pub(crate) fn doubt(&mut self) {
        self.is_current = false;
    }

    /// Says that another may have recorded kinds that we do not know of.
    pub(crate) fn doubts(&self) -> Option<String> {
        (!self.is_current).then(|| format!("the record of kinds (ConfigMap {NAME}) is being read anew"))
    }

    /// Wants kinds recorded.
    pub(crate) fn want(&mut self, gvks: impl Iterator<Item = GroupVersionKind>) {
        for gvk in gvks {
            let kind = gvk.group_kind();
            let is_written = self.writing.as_ref().is_some_and(|writing| writing.contains_key(&kind));
            if !is_written && !self.stored.contains_key(&kind) {
                self.wanted.insert(kind, gvk);
            }
        }
    }

    /// Has a recorded kind recorded at another version, so that a restart watches it at that one.
    pub(crate) fn move_to(&mut self, gvk: &GroupVersionKind) {
        let kind = gvk.group_kind();
        let is_written = self.writing.as_ref().is_some_and(|writing| writing.get(&kind) == Some(gvk));
        if !is_written && self.stored.get(&kind).is_some_and(|stored| stored != gvk) {
            self.wanted.insert(kind, gvk.clone());
        }
    }

    /// Takes a kind out of which nothing is left. From now on it counts as never recorded: an object of it that comes now
    /// waits until it is recorded again.
    pub(crate) fn drop_kind(&mut self, kind: &GroupKind) {
        if self.stored.remove(kind).is_some() {
            self.dropped.insert(kind.clone());
        }
    }

    /// Returns whether something is wanted that is neither recorded nor being recorded, or is to be taken out.
    fn lacks(&self) -> bool {
        self.writing.is_none() && self.is_current && !(self.wanted.is_empty() && self.dropped.is_empty())
    }

    /// Returns what the data of the `ConfigMap` has to become for what is wanted and dropped by now, and marks it as being
    /// written.
    fn take_changes(&mut self) -> serde_json::Map<String, Value> {
        let writing = std::mem::take(&mut self.wanted);
        let dropped = std::mem::take(&mut self.dropped);
        let gone = dropped.iter().map(|kind| (kind.to_string(), Value::Null));
        let kept = writing.values().map(|gvk| (gvk.group_kind().to_string(), json!(gvk.api_version())));
        let data = gone.chain(kept).collect();
        self.writing = Some(writing);
        self.dropping = dropped;
        data
    }

    /// Notes that a read or a write went well: nothing has to be waited out any more.
    fn answered(&mut self) {
        self.n_failed = 0;
        self.is_resting = false;
    }

    /// Takes back what a write that failed was to do: it is to be done still, save what is wanted otherwise by now.
    fn put_back(&mut self, written: BTreeMap<GroupKind, GroupVersionKind>) {
        for (kind, gvk) in written {
            self.wanted.entry(kind).or_insert(gvk);
        }
        let dropping = std::mem::take(&mut self.dropping);
        self.dropped.extend(dropping.into_iter().filter(|kind| !self.wanted.contains_key(kind)));
    }
}

/// Returns where `ConfigMaps` are served.
fn endpoint() -> Endpoint {
    Endpoint::new("v1", "ConfigMap", "configmaps", true)
}

/// Reads the record.
pub(crate) async fn read(cluster: &cluster::Cluster, namespace: &str) -> Result<Option<Value>, CallError> {
    cluster.get(&endpoint(), namespace, NAME).await
}

impl Agent {
    /// Has kinds recorded that apps hold objects of. No apply waits for these, so after a failure they wait for their time.
    pub(crate) fn record(&mut self, gvks: impl Iterator<Item = GroupVersionKind>) {
        self.kinds.want(gvks);
        if self.kinds.lacks() && !self.kinds.is_resting {
            self.write_kinds();
        }
    }

    /// Tries again to write the record.
    pub(crate) fn kinds_due(&mut self) {
        self.kinds.is_resting = false;
        if !self.may_write {
            return;
        }
        if !self.kinds.is_current {
            self.reread_kinds();
        } else if self.kinds.lacks() {
            self.write_kinds();
        }
    }

    /// Reads the record anew if another has been the writer since we read it.
    pub(crate) fn reread_kinds(&mut self) {
        if self.kinds.is_current {
            return;
        }
        self.kinds.n_reads += 1;
        let (cluster, namespace) = (self.cluster.clone(), self.config.namespace.clone());
        self.spawn(async move { Input::KindsRead(read(&cluster, &namespace).await) });
    }

    /// Takes in what the record says; what waits for it goes on.
    pub(crate) fn kinds_read(&mut self, outcome: Result<Option<Value>, CallError>) {
        self.kinds.n_reads -= 1;
        if self.kinds.n_reads > 0 {
            return;
        }
        match outcome {
            Ok(found) => {
                self.kinds.stored.clear();
                // Somebody else may hold objects of these by now.
                self.kinds.dropped.clear();
                self.kinds.load(found.as_ref());
                self.kinds.answered();
                self.watch_recorded();
                self.write_kinds();
            }
            Err(error) => {
                self.kinds_failed(&format!(
                    "the record of kinds (ConfigMap {NAME}) could not be read: {error}"
                ));
            }
        }
    }

    fn watch_recorded(&mut self) {
        let gvks: Vec<GroupVersionKind> = self.kinds.known().cloned().collect();
        for gvk in gvks {
            self.watch_kind(&gvk);
        }
    }

    /// Writes the record; applies that wait for it go on when it is stored.
    pub(crate) fn write_kinds(&mut self) {
        if self.kinds.writing.is_some() || !self.kinds.is_current {
            return;
        }
        if !self.kinds.lacks() {
            self.kinds_recorded(Ok(()));
            return;
        }
        let data = self.kinds.take_changes();
        let body = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": NAME,
            "labels": {"app.kubernetes.io/part-of": "tautline"}}, "data": data});
        let (cluster, namespace) = (self.cluster.clone(), self.config.namespace.clone());
        self.spawn(async move {
            let patched =
                cluster.merge_patch(&endpoint(), &namespace, NAME, &body, names::FIELD_MANAGER).await;
            let outcome = match patched {
                Err(error) if error.class == model::ErrorClass::NotFound => {
                    let mut body = body;
                    body["metadata"]["namespace"] = namespace.into();
                    if let Some(data) = body["data"].as_object_mut() {
                        data.retain(|_, version| !version.is_null());
                    }
                    match model::Object::from_value(body) {
                        Ok(object) => {
                            cluster.create(&endpoint(), &object, names::FIELD_MANAGER).await.map(drop)
                        }
                        Err(_) => Err(error),
                    }
                }
                other => other.map(drop),
            };
            Input::KindsRecorded(outcome)
        });
    }

    /// Takes in whether the record was written.
    pub(crate) fn kinds_recorded(&mut self, outcome: Result<(), CallError>) {
        // What was wanted since is not stored: the applies that wait for it find that out.
        let written = self.kinds.writing.take().unwrap_or_default();
        let waiting = std::mem::take(&mut self.kinds.waiting);
        match outcome {
            Ok(()) => {
                self.kinds.answered();
                self.kinds.failure = None;
                self.kinds.dropping.clear();
                self.kinds.stored.extend(written);
                self.watch_recorded();
                for (key, app, effect) in waiting {
                    self.carry_out(&key, &app, effect);
                }
                self.touch_heirs();
                self.record(std::iter::empty());
            }
            Err(error) => {
                self.kinds.put_back(written);
                self.kinds.waiting = waiting;
                self.kinds_failed(&format!(
                    "the record of kinds (ConfigMap {NAME}) could not be written: {error}"
                ));
            }
        }
    }

    /// Whoever waits for the record hears why it goes without, and asks again.
    fn kinds_failed(&mut self, why: &str) {
        self.kinds.failure = Some(why.to_owned());
        self.touch_heirs();
        self.try_kinds_later();
        for (key, _, effect) in std::mem::take(&mut self.kinds.waiting) {
            if let Effect::Apply { sync, keys, .. } = effect {
                self.answer_held(&key, sync, keys, why);
            }
        }
    }

    /// Marks the apps that have yet to take something over: that waits for the record.
    fn touch_heirs(&mut self) {
        let is_heir = |entry: &AppEntry| entry.inheritance.iter().any(|i| !i.objects().is_empty());
        let heirs = self.apps.iter().filter(|(_, entry)| is_heir(entry)).map(|(key, _)| key.clone());
        self.dirty.extend(heirs);
    }

    fn try_kinds_later(&mut self) {
        if std::mem::replace(&mut self.kinds.is_resting, true) {
            return;
        }
        let why = self.kinds.failure.as_deref().unwrap_or_default();
        tracing::warn!("{why}; trying again");
        let wait = FIRST_WAIT.saturating_mul(1 << self.kinds.n_failed.min(6)).min(LONGEST_WAIT);
        self.kinds.n_failed = self.kinds.n_failed.saturating_add(1);
        self.spawn(async move {
            tokio::time::sleep(wait).await;
            Input::KindsDue
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::harness::{Harness, shop};
    use model::{ErrorClass, SyncId};

    fn gvk(kind: &str) -> GroupVersionKind {
        GroupVersionKind::from_api_version("v1", kind)
    }

    /// An agent whose write of the record has just failed.
    async fn refused() -> Harness {
        let mut harness = Harness::new(&[]).await;
        let agent = &mut harness.agent;
        agent.kinds.load(None);
        agent.record(std::iter::once(gvk("Secret")));
        assert!(agent.kinds.writing.is_some());
        agent.kinds_recorded(Err(CallError::new(ErrorClass::Forbidden, "no")));
        harness
    }

    #[tokio::test]
    async fn what_nobody_waits_for_is_written_again_when_its_time_has_come() {
        let mut harness = refused().await;
        let agent = &mut harness.agent;
        agent.has_listed_apps = true;
        agent.idle_kinds.is_due = true;
        agent.tend_kinds();
        agent.record(std::iter::once(gvk("Service")));
        assert!(
            agent.kinds.writing.is_none(),
            "it is looked at every 10 s, and tried again after 5 s, 10 s ... 5 min"
        );
        agent.kinds_due();
        let writing = agent.kinds.writing.as_ref().expect("its time has come");
        assert_eq!(writing.len(), 2);
        agent.kinds_recorded(Ok(()));
        agent.record(std::iter::once(gvk("Pod")));
        assert!(agent.kinds.writing.is_some(), "nothing failed since");
    }

    #[tokio::test]
    async fn what_an_apply_waits_for_is_written_at_once_and_ends_the_rest() {
        let mut harness = refused().await;
        let agent = &mut harness.agent;
        let effect = Effect::Apply {
            sync: SyncId::default(),
            hash: crate::desired::DesiredSet::empty().hash(),
            keys: Vec::new(),
            mode: engine::Mode::Real,
        };
        let app = agent.apps[&shop()].app.clone().unwrap();
        agent.kinds.waiting.push((shop(), app, effect));
        agent.write_kinds();
        assert!(agent.kinds.writing.is_some());
        agent.kinds_recorded(Ok(()));
        agent.record(std::iter::once(gvk("Pod")));
        assert!(agent.kinds.writing.is_some());
    }
}
