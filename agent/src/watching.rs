//! What do the watches tell, and what follows from it?

use crate::agent::{Agent, Watched};
use crate::argo_cd::Runner;
use crate::clock::now;
use crate::input::Input;
use crate::judge;
use crate::known_hosts;
use crate::live::{KindWatch, Sight};
use cluster::{Endpoint, Origin, Priority, WatchEvent, WatchId, WatchSpec};
use model::{CallError, ErrorClass, GroupVersionKind, Object, ObjectKey, names};
use std::time::Duration;

/// How many objects that are gone are remembered.
const GONE: usize = 10_000;
/// How long to wait before a deletion that could not be confirmed is asked about again.
const CONFIRM_WAIT: Duration = Duration::from_secs(2);

/// Returns where Applications are served.
pub(crate) fn applications() -> Endpoint {
    Endpoint::new("argoproj.io/v1alpha1", "Application", "applications", true)
}

/// A watch of a kind's objects in the whole cluster.
pub(crate) fn spec(endpoint: Endpoint) -> WatchSpec {
    WatchSpec {
        endpoint,
        namespace: None,
        label_selector: String::new(),
        field_selector: String::new(),
        page: 500,
    }
}

impl Agent {
    /// Opens the watches that the agent itself lives by.
    pub(crate) fn open_own_watches(&mut self) {
        let namespace = Some(self.config.namespace.clone());
        let own = |endpoint| WatchSpec { namespace: namespace.clone(), ..spec(endpoint) };
        let core = |kind: &str, plural: &str| Endpoint::new("v1", kind, plural, true);
        let project = Endpoint::new("argoproj.io/v1alpha1", "AppProject", "appprojects", true);
        let crd = Endpoint::new(
            "apiextensions.k8s.io/v1",
            "CustomResourceDefinition",
            "customresourcedefinitions",
            false,
        );
        let secrets = "argocd.argoproj.io/secret-type in (repository,repo-creds)";
        self.open(Watched::Projects, own(project));
        self.open(
            Watched::Secrets,
            WatchSpec { label_selector: secrets.into(), ..own(core("Secret", "secrets")) },
        );
        // One watch each: what tells both from other ConfigMaps is a label, which not everybody writes.
        for (watched, name) in [(Watched::Settings, "argocd-cm"), (Watched::KnownHosts, known_hosts::MAP)] {
            let field_selector = format!("metadata.name={name}");
            self.open(watched, WatchSpec { field_selector, ..own(core("ConfigMap", "configmaps")) });
        }
        let (watched, spec_of_it) = self.own_webhook_watch();
        self.open(watched, spec_of_it);
        for runner in [Runner::StatefulSet, Runner::Deployment] {
            self.open(Watched::ArgoCd(runner), own(runner.endpoint()));
        }
        self.open(Watched::Definitions, spec(crd));
        self.open(Watched::Applications, own(applications()));
        self.tell_failed_groups();
    }

    fn open(&mut self, watched: Watched, spec: WatchSpec) {
        let (id, handle) = self.start_watch(spec);
        self.watches.insert(id, watched);
        self.own_handles.push(handle);
    }

    /// Starts a watch; its events come with the id.
    pub(crate) fn start_watch(&mut self, spec: WatchSpec) -> (WatchId, cluster::WatchHandle) {
        self.next_watch += 1;
        let id = WatchId(self.next_watch);
        let handle = self.cluster.watch(spec, self.watch_events.clone(), id);
        (id, handle)
    }

    /// Opens the watch of a kind's managed objects, unless it is open.
    pub(crate) fn watch_kind(&mut self, gvk: &GroupVersionKind) {
        let kind = gvk.group_kind();
        if let Some(watch) = self.live.kinds.get(&kind).filter(|watch| watch.handle.is_some()) {
            // Git may have moved on to another version.
            self.idle_kinds.is_due |= watch.gvk.version != gvk.version;
            return;
        }
        let Some(endpoint) = self.discovery.endpoint(gvk).or_else(|| self.discovery.preferred(&kind)) else {
            self.look_for_kind(gvk);
            return;
        };
        self.watch_objects(endpoint, Filter::Ours);
    }

    /// Watches a kind without the filter, because something of it that apps want carries no label of ours and gets none now:
    /// it was there before us, or lost its label. Strangers are dropped as they come.
    pub(crate) fn widen(&mut self, kind: &model::GroupKind) {
        let Some(watch) = self.live.kinds.get(kind).filter(|watch| watch.is_filtered) else { return };
        let Some(endpoint) = self.discovery.endpoint(&watch.gvk) else { return };
        tracing::debug!(%kind, "watched without a filter until everything carries our label");
        self.watch_objects(endpoint, Filter::None);
    }

    /// Forgets objects without our label that nobody wants any more: they were in view only because somebody did.
    pub(crate) fn release_unwanted(&mut self) {
        let wide = self.live.kinds.iter().filter(|(_, watch)| !watch.is_filtered);
        let keys: Vec<ObjectKey> = wide.flat_map(|(kind, _)| self.live.keys_of(kind)).collect();
        for key in keys {
            let is_labelled = self.live.get(&key).is_none_or(|entry| entry.digest.has_instance_label);
            if !is_labelled && self.claims.claimants(&key).next().is_none() {
                self.live.remove(&key);
                self.forget_workload(&key);
            }
        }
    }

    /// Watches kinds with the filter again of which everything that apps want or hold carries our label by now.
    pub(crate) fn narrow(&mut self) {
        let is_done = |(kind, watch): &(&model::GroupKind, &KindWatch)| {
            let is_seen = watch.sight == Sight::Clear && watch.seen.is_none();
            !watch.is_filtered && is_seen && !self.live.has_unlabelled(kind)
        };
        let kinds: Vec<GroupVersionKind> =
            self.live.kinds.iter().filter(is_done).map(|(_, watch)| watch.gvk.clone()).collect();
        for gvk in kinds {
            let Some(endpoint) = self.discovery.endpoint(&gvk) else { continue };
            tracing::debug!(%gvk, "watched by our label again");
            self.watch_objects(endpoint, Filter::Ours);
        }
    }

    /// Watches a kind at another version. What is known stays until the new watch has listed it.
    pub(crate) fn watch_at(&mut self, endpoint: Endpoint) {
        let watch = self.live.kinds.get(&endpoint.gvk.group_kind());
        let filter = if watch.is_none_or(|watch| watch.is_filtered) { Filter::Ours } else { Filter::None };
        tracing::debug!(gvk = %endpoint.gvk, "watched at another version");
        self.watch_objects(endpoint, filter);
    }

    /// Stops watching a kind of which nothing is left.
    pub(crate) fn unwatch(&mut self, kind: &model::GroupKind) {
        tracing::debug!(%kind, "not watched any more");
        self.watches.retain(|_, watched| *watched != Watched::Kind(kind.clone()));
        self.live.kinds.remove(kind);
    }

    fn watch_objects(&mut self, endpoint: Endpoint, filter: Filter) {
        let gvk = endpoint.gvk.clone();
        let kind = gvk.group_kind();
        let label_selector = match filter {
            Filter::Ours => format!("{}={}", names::INSTANCE_LABEL, self.identity.instance_label),
            Filter::None => String::new(),
        };
        // What an earlier watch of the kind still has to tell is told by this one, too.
        self.watches.retain(|_, watched| *watched != Watched::Kind(kind.clone()));
        let (id, handle) = self.start_watch(WatchSpec { label_selector, ..spec(endpoint) });
        self.watches.insert(id, Watched::Kind(kind.clone()));
        // A wider view begins: what was seen stays, so that nothing is decided anew meanwhile.
        let sight = self.live.kinds.get(&kind).map_or(Sight::Listing, |watch| watch.sight.clone());
        let sight =
            if matches!(sight, Sight::NoSuchKind | Sight::Blind(..)) { Sight::Listing } else { sight };
        let is_filtered = filter == Filter::Ours;
        self.live.kinds.insert(kind, KindWatch { gvk, handle: Some(handle), sight, is_filtered, seen: None });
    }

    /// Returns whether an object concerns us: it carries our label, or some app wants it.
    fn is_ours(&self, object: &Object, key: &ObjectKey) -> bool {
        object.label(names::INSTANCE_LABEL) == Some(self.identity.instance_label.as_str())
            || self.claims.claimants(key).next().is_some()
    }

    /// Takes in what a watch saw.
    pub(crate) fn watch_event(&mut self, id: WatchId, event: WatchEvent) {
        let Some(watched) = self.watches.get(&id).cloned() else { return };
        match watched {
            Watched::Kind(kind) => self.kind_event(&kind, event),
            Watched::Applications => self.application_event(event),
            Watched::Projects => self.project_event(event),
            Watched::Secrets => self.secret_event(event),
            Watched::WebhookSecret(name) => self.webhook_secret_event(&name, event),
            Watched::Settings => self.config_event(event),
            Watched::KnownHosts => self.known_hosts_event(event),
            Watched::Definitions => self.definition_event(&event),
            Watched::ArgoCd(runner) => self.argo_cd_event(runner, &event),
            Watched::Members(member, namespace) => self.member_event(member, &namespace, &event),
        }
    }

    fn kind_event(&mut self, kind: &model::GroupKind, event: WatchEvent) {
        match event {
            WatchEvent::Began => self.live.list_begins(kind),
            WatchEvent::Object(object, origin) => {
                let key = object.key();
                if origin == Origin::Listed && self.is_gone(&key, object.uid()) {
                    // It is back, as it was in a backup.
                    self.live.gone.remove(&key);
                }
                if !self.is_ours(&object, &key) && self.live.get(&key).is_none() {
                    return;
                }
                if let Some(seen) = self.live.kinds.get_mut(kind).and_then(|watch| watch.seen.as_mut()) {
                    seen.insert(key);
                }
                self.live_object(object);
            }
            WatchEvent::Deleted(key, _) => self.confirm(key, Duration::ZERO),
            WatchEvent::Listed(_) => self.kind_listed(kind),
            WatchEvent::Undecodable { namespace, name, sentence, .. } => {
                tracing::warn!(%kind, namespace, name, sentence, "object cannot be read; what is known of it stays");
                if let Some(seen) = self.live.kinds.get_mut(kind).and_then(|watch| watch.seen.as_mut()) {
                    seen.insert(ObjectKey {
                        group: kind.group.clone(),
                        kind: kind.kind.clone(),
                        namespace,
                        name,
                    });
                }
            }
            WatchEvent::Blind { why, .. } => {
                tracing::warn!(%kind, error = %why, "the watch does not see");
                if why.class == ErrorClass::NoSuchKind {
                    self.discover();
                }
                self.sight_changed(kind, Sight::Blind(now(), why));
            }
            WatchEvent::Seeing => self.sight_changed(kind, Sight::Clear),
        }
    }

    /// Takes in that a kind's list is complete. Who was blind sees only when the watch is open, too.
    fn kind_listed(&mut self, kind: &model::GroupKind) {
        let seen = self.live.list_ends(kind);
        let gone: Vec<ObjectKey> =
            self.live.keys_of(kind).into_iter().filter(|key| !seen.contains(key)).collect();
        for key in gone {
            self.confirm(key, Duration::ZERO);
        }
        if !self.live.is_blind(kind) {
            self.sight_changed(kind, Sight::Clear);
        }
    }

    /// Takes in a managed object as a watch showed it.
    pub(crate) fn live_object(&mut self, object: Object) {
        let key = object.key();
        if !self.is_ours(&object, &key) {
            // It lost our label and nobody wants it: it is released.
            self.touch(&key);
            self.live.remove(&key);
            self.forget_workload(&key);
            return;
        }
        let is_labelled = object.label(names::INSTANCE_LABEL) == Some(self.identity.instance_label.as_str());
        if !is_labelled && !self.offer(&object) {
            self.widen(&key.group_kind());
        }
        if self.live.is_old(&key, object.resource_version()) && !self.is_moved(&object, &key) {
            return;
        }
        let assessment = self.assess(&object);
        let old = self.live.remove(&key);
        if let Some(old) = &old {
            // Whoever lost the object has to hear of it.
            self.dirty.extend(self.by_part_of.get(&old.digest.part_of).cloned());
        }
        self.live.insert(judge::entry(object, &self.identity.instance_label, assessment, old));
        self.touch(&key);
    }

    /// Returns whether an object that is known is shown at the version at which its kind is watched by now.
    fn is_moved(&self, object: &Object, key: &ObjectKey) -> bool {
        let version = object.gvk().version;
        let is_watched_so =
            self.live.kinds.get(&key.group_kind()).is_some_and(|watch| watch.gvk.version == version);
        self.live.get(key).is_some_and(|entry| {
            entry.digest.resource_version == object.resource_version() && entry.digest.version != version
        }) && is_watched_so
    }

    /// Returns where the objects of a kind are read: as they are watched, or as they were last seen, or somehow.
    fn endpoint_of(&self, gvk: &GroupVersionKind) -> Option<Endpoint> {
        let kind = gvk.group_kind();
        let watched = self.live.kinds.get(&kind).and_then(|watch| self.discovery.endpoint(&watch.gvk));
        watched.or_else(|| self.discovery.endpoint(gvk)).or_else(|| self.discovery.preferred(&kind))
    }

    /// Asks whether an object is really gone: a lost label looks the same to a filtered watch.
    fn confirm(&mut self, key: ObjectKey, wait: Duration) {
        let Some(entry) = self.live.get(&key) else { return };
        let (gvk, uid) = (entry.digest.gvk(), entry.digest.uid.clone());
        let Some(endpoint) = self.endpoint_of(&gvk) else {
            if self.discovery.is_absent(&gvk.group_kind()) {
                self.confirmed(&key, &uid, Ok(None));
            } else {
                let why = CallError::new(ErrorClass::Unavailable, "its kind is not served just now");
                self.spawn(async move {
                    tokio::time::sleep(CONFIRM_WAIT).await;
                    Input::Confirmed(key, uid, Err(why))
                });
            }
            return;
        };
        let cluster = self.cluster.clone();
        self.spawn(async move {
            if !wait.is_zero() {
                tokio::time::sleep(wait).await;
            }
            // What is to be made again, or pruned, waits for it.
            let found = cluster.get_at(Priority::Apply, &endpoint, &key.namespace, &key.name).await;
            let found =
                found.map(|value| value.and_then(|value| Object::from_value(value).ok()).map(Box::new));
            Input::Confirmed(key, uid, found)
        });
    }

    /// Takes in whether the object with a uid is gone. Another one of its name may have been seen meanwhile.
    pub(crate) fn confirmed(
        &mut self,
        key: &ObjectKey,
        uid: &str,
        found: Result<Option<Box<Object>>, CallError>,
    ) {
        match found {
            Ok(None) => {
                if self.live.get(key).is_none_or(|entry| entry.digest.uid != uid) {
                    return;
                }
                self.tell_missing(key);
                self.touch(key);
                if self.live.gone.len() > GONE {
                    self.live.gone.clear();
                }
                self.live.remove(key);
                self.live.gone.insert(key.clone(), uid.to_owned());
                self.forget_workload(key);
            }
            Ok(Some(object)) => self.live_object(*object),
            // Not seen means not known: the object stays in view until somebody sees that it is gone.
            Err(error) => {
                tracing::debug!(%key, %error, "a deletion could not be confirmed");
                self.confirm(key.clone(), CONFIRM_WAIT);
            }
        }
    }
}

/// Which objects of a kind a watch shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Filter {
    /// Those with our instance label.
    Ours,
    /// All.
    None,
}

#[cfg(test)]
mod tests {
    use crate::harness::{Harness, config_map, key};

    fn version(harness: &Harness) -> Option<String> {
        harness.agent.live.get(&key("web")).map(|entry| entry.digest.resource_version.clone())
    }

    #[tokio::test]
    async fn a_late_answer_that_an_object_is_gone_does_not_hide_its_successor() {
        let mut harness = Harness::new(&[config_map("web", "", 0, "one")]).await;
        harness.agent.live_object(config_map("web", "first", 5, "one"));
        harness.agent.live_object(config_map("web", "second", 8, "one"));
        harness.agent.confirmed(&key("web"), "first", Ok(None));
        assert_eq!(version(&harness).as_deref(), Some("8"));
        harness.agent.confirmed(&key("web"), "second", Ok(None));
        assert_eq!(version(&harness), None);
        assert!(harness.agent.is_gone(&key("web"), "second"));
    }

    #[tokio::test]
    async fn a_list_is_believed_over_what_was_known_before_it_began_and_nothing_else_that_is_old() {
        let mut harness = Harness::new(&[config_map("web", "", 0, "one")]).await;
        harness.agent.live_object(config_map("web", "first", 500, "one"));
        harness.agent.live_object(config_map("web", "first", 400, "one"));
        assert_eq!(version(&harness).as_deref(), Some("500"), "an answer that was overtaken");
        harness.agent.live.list_begins(&key("web").group_kind());
        harness.agent.live_object(config_map("web", "first", 40, "one"));
        assert_eq!(version(&harness).as_deref(), Some("40"), "as after a restore");
        harness.agent.live_object(config_map("web", "first", 39, "one"));
        assert_eq!(version(&harness).as_deref(), Some("40"));
    }
}
