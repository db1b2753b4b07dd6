//! What do the watches tell, and what follows from it?

use crate::agent::{Agent, Watched, now};
use crate::apps::AppEntry;
use crate::input::Input;
use crate::judge;
use crate::live::{KindWatch, Sight};
use crate::sources::RepoId;
use application::Project;
use cluster::{Endpoint, Origin, WatchEvent, WatchId, WatchSpec};
use engine::{Event, State};
use model::{AppKey, CallError, GroupVersionKind, Object, ObjectKey, Problem, names};
use serde_json::Value;
use source::{Repository, SourceError};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long to wait before an API group that does not answer is asked again.
const DISCOVERY_WAIT: Duration = Duration::from_secs(10);

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
        let controller = Endpoint::new("apps/v1", "StatefulSet", "statefulsets", true);
        let secrets = "argocd.argoproj.io/secret-type in (repository,repo-creds)";
        self.open(Watched::Projects, own(project));
        self.open(
            Watched::Secrets,
            WatchSpec { label_selector: secrets.into(), ..own(core("Secret", "secrets")) },
        );
        let config = "metadata.name=argocd-cm".to_owned();
        self.open(
            Watched::Settings,
            WatchSpec { field_selector: config, ..own(core("ConfigMap", "configmaps")) },
        );
        let name = "metadata.name=argocd-application-controller".to_owned();
        self.open(Watched::OtherController, WatchSpec { field_selector: name, ..own(controller) });
        self.open(Watched::Definitions, spec(crd));
        self.open(Watched::Applications, own(applications()));
        self.discover_later();
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
        let is_open = self.live.kinds.get(&kind).is_some_and(|watch| watch.handle.is_some());
        if is_open {
            return;
        }
        let Some(endpoint) = self.discovery.endpoint(gvk).or_else(|| self.discovery.preferred(&kind)) else {
            // Unknown while discovery is whole: the API server has no such objects.
            let sight = if self.discovery.is_absent(&kind) {
                Sight::NoSuchKind
            } else {
                let why = format!("its API group {} does not answer", kind.group);
                Sight::Blind(now(), CallError::new(model::ErrorClass::Unavailable, why))
            };
            self.live.kinds.insert(
                kind,
                KindWatch { gvk: gvk.clone(), handle: None, sight, is_filtered: true, seen: None },
            );
            return;
        };
        self.watch_objects(endpoint, Filter::Ours);
    }

    /// Watches a kind without the filter, because something of it that apps want carries no label of ours: it was there
    /// before us, or lost its label. Strangers are dropped as they come.
    pub(crate) fn widen(&mut self, kind: &model::GroupKind) {
        let Some(watch) = self.live.kinds.get(kind).filter(|watch| watch.is_filtered) else { return };
        let Some(endpoint) = self.discovery.endpoint(&watch.gvk) else { return };
        tracing::debug!(%kind, "watched without a filter until everything carries our label");
        self.watch_objects(endpoint, Filter::None);
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
            Watched::Settings => self.config_event(event),
            Watched::Definitions => self.definition_event(&event),
            Watched::OtherController => self.controller_event(event),
            Watched::Pods(_) | Watched::ReplicaSets(_) => self.pod_event(&watched, event),
        }
    }

    fn kind_event(&mut self, kind: &model::GroupKind, event: WatchEvent) {
        match event {
            WatchEvent::Began => {
                if let Some(watch) = self.live.kinds.get_mut(kind) {
                    watch.seen = Some(BTreeSet::new());
                }
            }
            WatchEvent::Object(object, _) => {
                let key = object.key();
                if !self.is_ours(&object, &key) && self.live.get(&key).is_none() {
                    return;
                }
                if let Some(seen) = self.live.kinds.get_mut(kind).and_then(|watch| watch.seen.as_mut()) {
                    seen.insert(key);
                }
                self.live_object(object);
            }
            WatchEvent::Deleted(key, _) => self.confirm(key),
            WatchEvent::Listed => {
                let seen =
                    self.live.kinds.get_mut(kind).and_then(|watch| watch.seen.take()).unwrap_or_default();
                let gone: Vec<ObjectKey> =
                    self.live.keys_of(kind).into_iter().filter(|key| !seen.contains(key)).collect();
                for key in gone {
                    self.confirm(key);
                }
                self.sight_changed(kind, Sight::Clear);
            }
            WatchEvent::Undecodable { namespace, name, sentence } => {
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
                self.sight_changed(kind, Sight::Blind(now(), why));
            }
            WatchEvent::Seeing => self.sight_changed(kind, Sight::Clear),
        }
    }

    /// Takes in a managed object as a watch showed it.
    pub(crate) fn live_object(&mut self, object: Object) {
        let key = object.key();
        if object.label(names::INSTANCE_LABEL) != Some(self.identity.instance_label.as_str()) {
            self.widen(&key.group_kind());
        }
        let is_old = self
            .live
            .get(&key)
            .is_some_and(|entry| !is_newer(object.resource_version(), &entry.digest.resource_version));
        if is_old {
            return;
        }
        let health = self.assess(&object);
        let old = self.live.remove(&key);
        if let Some(old) = &old {
            // Whoever lost the object has to hear of it.
            self.dirty.extend(self.by_part_of.get(&old.digest.part_of).cloned());
        }
        self.live.insert(judge::entry(object, &self.identity.instance_label, health, old));
        self.touch(&key);
    }

    /// Asks whether an object is really gone: a lost label looks the same to a filtered watch.
    fn confirm(&mut self, key: ObjectKey) {
        let Some(entry) = self.live.get(&key) else { return };
        let gvk = entry.digest.gvk();
        let Some(endpoint) = self.discovery.endpoint(&gvk) else {
            self.confirmed(&key, Ok(None));
            return;
        };
        let cluster = self.cluster.clone();
        self.spawn(async move {
            let found = cluster.get(&endpoint, &key.namespace, &key.name).await;
            let found =
                found.map(|value| value.and_then(|value| Object::from_value(value).ok()).map(Box::new));
            Input::Confirmed(key, found)
        });
    }

    /// Takes in whether an object is gone.
    pub(crate) fn confirmed(&mut self, key: &ObjectKey, found: Result<Option<Box<Object>>, CallError>) {
        match found {
            Ok(None) => {
                self.touch(key);
                self.live.remove(key);
                self.forget_workload(key);
            }
            Ok(Some(object)) => self.live_object(*object),
            // Not seen means not known: the object stays in view until somebody sees that it is gone.
            Err(error) => {
                tracing::debug!(%key, %error, "a deletion could not be confirmed");
                if error.class != model::ErrorClass::Forbidden {
                    self.confirm(key.clone());
                }
            }
        }
    }

    fn application_event(&mut self, event: WatchEvent) {
        match event {
            WatchEvent::Began => self.seen_apps = Some(BTreeSet::new()),
            WatchEvent::Object(object, _) => {
                let key = AppKey::new(object.namespace(), object.name());
                if let Some(seen) = &mut self.seen_apps {
                    seen.insert(key.clone());
                }
                self.application_seen(&key, object);
            }
            WatchEvent::Deleted(key, _) => self.forget_app(&AppKey::new(key.namespace, key.name)),
            WatchEvent::Listed => {
                self.has_listed_apps = true;
                let seen = self.seen_apps.take().unwrap_or_default();
                let gone: Vec<AppKey> =
                    self.apps.keys().filter(|key| !seen.contains(*key)).cloned().collect();
                for key in gone {
                    self.forget_app(&key);
                }
            }
            WatchEvent::Undecodable { namespace, name, sentence } => {
                tracing::warn!(
                    namespace,
                    name,
                    sentence,
                    "Application cannot be read; what is known of it stays"
                );
                // It exists, so it is not gone.
                if let Some(seen) = &mut self.seen_apps {
                    seen.insert(AppKey::new(namespace, name));
                }
            }
            WatchEvent::Blind { why, .. } => tracing::warn!(error = %why, "Applications are not seen"),
            WatchEvent::Seeing => {}
        }
    }

    /// Takes in an Application, as a watch or a write of ours showed it.
    pub(crate) fn application_seen(&mut self, key: &AppKey, object: Object) {
        let mut object = object;
        object.metadata_mut().remove("managedFields");
        if let Some(entry) = self.apps.get(key)
            && !is_newer(object.resource_version(), entry.resource_version())
        {
            return;
        }
        let raw = object.into_value();
        if let Some(entry) = self.apps.get_mut(key) {
            entry.raw = raw;
        } else {
            let state = State::new(crate::status::remembered(&raw), self.may_write);
            let project = Arc::new(Project::built_in_default());
            let entry = AppEntry::new(key, raw, &self.config.namespace, state, project);
            self.by_part_of.insert(entry.part_of.clone(), key.clone());
            self.apps.insert(key.clone(), entry);
        }
        self.read_app(key);
    }

    /// Reads an Application again, because it or something that it depends on changed.
    pub(crate) fn read_app(&mut self, key: &AppKey) {
        if !self.settings.is_ready() {
            return;
        }
        let Some(entry) = self.apps.get_mut(key) else { return };
        let mut app = match application::read(&entry.raw) {
            Ok(app) => app,
            Err(problems) => {
                self.refuse(key, problems);
                return;
            }
        };
        let project = match self.settings.project(&app.project) {
            Ok(project) => project,
            Err(problems) => {
                entry.app = Some(Arc::new(app));
                self.refuse(key, problems);
                return;
            }
        };
        app.not_yet.extend(application::project_not_yet(&project));
        let refused = project.check_app(&app, &self.config.namespace);
        let is_first = entry.app.is_none();
        let project_changed = *entry.project != *project;
        let is_same = entry.app.as_deref() == Some(&app) && !project_changed;
        let was_fine = entry.problems.is_empty();
        let spec_changed = entry
            .app
            .as_ref()
            .is_none_or(|old| old.source != app.source || old.destination != app.destination)
            || project_changed;
        entry.project = project;
        entry.app = Some(Arc::new(app));
        entry.problems.clear();
        if spec_changed {
            entry.spec_serial += 1;
        }
        if !refused.is_empty() {
            self.refuse(key, refused);
            return;
        }
        if is_same && was_fine && !is_first {
            // Somebody else wrote the status: ours is put back.
            self.rewrite_status(key);
            return;
        }
        self.event(key, Event::AppChanged);
        if project_changed && !is_first {
            self.rerender(key);
        }
    }

    fn refuse(&mut self, key: &AppKey, problems: Vec<Problem>) {
        let Some(entry) = self.apps.get_mut(key) else { return };
        entry.problems.clone_from(&problems);
        if entry.app.is_none() {
            // Never valid so far: the engine needs a subject to report about.
            entry.app = Some(Arc::new(crate::apps::placeholder(key, &entry.raw)));
        }
        self.repos.forget(key);
        self.event(key, Event::Refused(problems));
    }

    /// Follows what the app's spec names.
    pub(crate) fn follow(&mut self, key: &AppKey, app: &model::App) -> Result<(), SourceError> {
        let url = source::RepoUrl::parse(&app.source.repo_url)?;
        let credentials = source::pick(&self.settings.secrets(), &url, &app.project)?;
        let id = RepoId { url: url.normalised(), project: app.project.clone() };
        let is_local = url.local_path().is_some();
        let repository = Repository::new(url, credentials);
        self.repos.follow(key, id, repository, &app.source.target_revision, Instant::now());
        if is_local {
            self.follow_hints();
        }
        Ok(())
    }

    /// Lets the watch of local repositories follow those that apps are on now.
    fn follow_hints(&mut self) {
        if let Some(watcher) = &mut self.watcher {
            watcher.follow(&self.sources, self.repos.iter().map(|(_, repo)| &repo.repository.url));
        }
    }

    /// Renders again, whatever is cached: what rendering looks at beside the files changed.
    pub(crate) fn rerender(&mut self, key: &AppKey) {
        let Some(entry) = self.apps.get_mut(key) else { return };
        entry.state.desired = None;
        entry.state.rendering = None;
        self.event(key, Event::AppChanged);
        self.repos.ask(key, Instant::now());
    }

    fn forget_app(&mut self, key: &AppKey) {
        let Some(entry) = self.apps.remove(key) else { return };
        tracing::info!(app = %key, reason = "Deleted", "the Application is gone");
        self.by_part_of.remove(&entry.part_of);
        self.repos.forget(key);
        self.wakes.retain(|(_, other)| other != key);
        let affected = self.claims.set(key, BTreeSet::new());
        self.dirty.extend(affected);
        let _absent = std::fs::remove_file(crate::cache::path(&self.config.cache_dir, key));
    }

    fn project_event(&mut self, event: WatchEvent) {
        let changed = match event {
            WatchEvent::Object(object, _) => {
                for problem in self.settings.put_project(&object) {
                    tracing::warn!(project = object.name(), %problem, "the AppProject cannot be read");
                }
                true
            }
            WatchEvent::Deleted(key, _) => {
                self.settings.drop_project(&key.name);
                true
            }
            WatchEvent::Listed => {
                self.settings_listed(|settings| &mut settings.has_projects);
                false
            }
            WatchEvent::Undecodable { name, sentence, .. } => {
                tracing::warn!(
                    project = name,
                    sentence,
                    "the AppProject cannot be read; the previous one stays"
                );
                false
            }
            WatchEvent::Blind { why, .. } => {
                tracing::warn!(error = %why, "AppProjects are not seen");
                false
            }
            WatchEvent::Began | WatchEvent::Seeing => false,
        };
        if changed {
            self.read_all_apps();
        }
    }

    fn secret_event(&mut self, event: WatchEvent) {
        let changed = match event {
            WatchEvent::Object(object, _) => match self.settings.put_secret(&object) {
                Ok(()) => true,
                Err(sentence) => {
                    tracing::warn!(sentence, "the repository Secret cannot be read; the previous one stays");
                    false
                }
            },
            WatchEvent::Deleted(key, _) => {
                self.settings.drop_secret(&key);
                true
            }
            WatchEvent::Listed => {
                self.settings_listed(|settings| &mut settings.has_secrets);
                false
            }
            WatchEvent::Undecodable { name, .. } => {
                tracing::warn!(secret = name, "the repository Secret cannot be read; the previous one stays");
                false
            }
            WatchEvent::Blind { why, .. } => {
                tracing::warn!(error = %why, "repository Secrets are not seen");
                false
            }
            WatchEvent::Began | WatchEvent::Seeing => false,
        };
        if changed && self.settings.is_ready() {
            self.refollow_all();
        }
    }

    fn config_event(&mut self, event: WatchEvent) {
        let sentences = match event {
            WatchEvent::Object(object, _) => self.settings.put_config(Some(&object)),
            WatchEvent::Deleted(..) => self.settings.put_config(None),
            WatchEvent::Listed => {
                self.settings_listed(|settings| &mut settings.has_config);
                Vec::new()
            }
            WatchEvent::Undecodable { sentence, .. } => vec![sentence.to_owned()],
            WatchEvent::Blind { why, .. } => vec![format!("ConfigMap argocd-cm is not seen: {why}")],
            WatchEvent::Began | WatchEvent::Seeing => Vec::new(),
        };
        for sentence in sentences {
            tracing::warn!("{sentence}");
        }
    }

    /// Marks a list of settings as read; with the last of them the Applications are read.
    fn settings_listed(&mut self, which: impl Fn(&mut crate::settings::Settings) -> &mut bool) {
        let was_ready = self.settings.is_ready();
        *which(&mut self.settings) = true;
        if !was_ready && self.settings.is_ready() {
            self.read_all_apps();
        }
    }

    fn read_all_apps(&mut self) {
        let keys: Vec<AppKey> = self.apps.keys().cloned().collect();
        for key in keys {
            self.read_app(&key);
        }
    }

    fn refollow_all(&mut self) {
        let apps: Vec<(AppKey, Arc<model::App>)> =
            self.apps.iter().filter_map(|(key, entry)| Some((key.clone(), entry.app.clone()?))).collect();
        for (key, app) in apps {
            let before = self.repos.of(&key).map(|(_, repo)| repo.repository.credentials.clone());
            let followed = self.follow(&key, &app);
            let after = self.repos.of(&key).map(|(_, repo)| repo.repository.credentials.clone());
            if followed.is_ok() && before != after {
                self.repos.ask(&key, Instant::now());
            }
        }
    }

    /// A kind may have come or gone: discovery is asked again, once for a burst.
    fn definition_event(&mut self, event: &WatchEvent) {
        let concerns = match event {
            WatchEvent::Object(object, Origin::Modified | Origin::Added) => {
                // Only what is established is served; other changes of a CRD do not matter here.
                is_served(object)
            }
            WatchEvent::Deleted(..) => true,
            WatchEvent::Object(_, Origin::Listed)
            | WatchEvent::Began
            | WatchEvent::Listed
            | WatchEvent::Undecodable { .. }
            | WatchEvent::Blind { .. }
            | WatchEvent::Seeing => false,
        };
        if concerns {
            self.discover();
        }
    }

    /// Asks which kinds there are.
    pub(crate) fn discover(&mut self) {
        if self.is_discovering {
            self.discovers_again = true;
            return;
        }
        self.is_discovering = true;
        let cluster = self.cluster.clone();
        self.spawn(async move { Input::Discovered(cluster.discover().await.map(Box::new)) });
    }

    /// Asks again in a while if some API group did not answer: nothing tells when it does.
    fn discover_later(&mut self) {
        let failed = self.discovery.failed_groups();
        if failed.is_empty() || std::mem::replace(&mut self.is_discovering, true) {
            return;
        }
        tracing::warn!(groups = failed.join(", "), "API groups do not answer; their kinds wait");
        let cluster = self.cluster.clone();
        self.spawn(async move {
            tokio::time::sleep(DISCOVERY_WAIT).await;
            Input::Discovered(cluster.discover().await.map(Box::new))
        });
    }

    /// Takes in which kinds there are.
    pub(crate) fn discovered(&mut self, outcome: Result<Box<cluster::Discovery>, CallError>) {
        self.is_discovering = false;
        if std::mem::take(&mut self.discovers_again) {
            self.discover();
        }
        match outcome {
            Err(error) => {
                tracing::warn!(%error, "the API server's kinds could not be read; those known stay");
                self.discover_later();
            }
            Ok(discovery) if *discovery == *self.discovery => self.discover_later(),
            Ok(discovery) => {
                self.discovery = Arc::new(*discovery);
                self.kinds_changed();
                self.discover_later();
            }
        }
    }

    fn kinds_changed(&mut self) {
        let unserved: Vec<GroupVersionKind> = self
            .live
            .kinds
            .values()
            .filter(|watch| watch.handle.is_none())
            .map(|watch| watch.gvk.clone())
            .collect();
        for gvk in unserved {
            self.watch_kind(&gvk);
        }
        let gone: Vec<model::GroupKind> = self
            .live
            .kinds
            .iter()
            .filter(|(kind, watch)| watch.handle.is_some() && self.discovery.is_absent(kind))
            .map(|(kind, _)| kind.clone())
            .collect();
        for kind in gone {
            self.kind_gone(&kind);
        }
        let guessed: Vec<AppKey> = self
            .apps
            .iter()
            .filter(|(_, entry)| entry.current().is_some_and(|set| set.has_unknown_kinds))
            .map(|(key, _)| key.clone())
            .collect();
        for key in guessed {
            self.rerender(&key);
        }
        self.event_for_all(&Event::GroundChanged);
    }

    /// The API server does not serve a kind any more: its objects went with it.
    fn kind_gone(&mut self, kind: &model::GroupKind) {
        self.watches.retain(|_, watched| *watched != Watched::Kind(kind.clone()));
        for key in self.live.keys_of(kind) {
            self.touch(&key);
            self.live.remove(&key);
        }
        if let Some(watch) = self.live.kinds.get_mut(kind) {
            watch.handle = None;
        }
        self.sight_changed(kind, Sight::NoSuchKind);
    }

    fn controller_event(&mut self, event: WatchEvent) {
        let replicas = match event {
            WatchEvent::Object(object, _) => {
                object.get("spec").and_then(|spec| spec.get("replicas")).and_then(Value::as_i64).unwrap_or(1)
            }
            WatchEvent::Deleted(..) => 0,
            WatchEvent::Listed => {
                self.has_looked_for_other = true;
                self.update_writes();
                return;
            }
            WatchEvent::Blind { why, .. } => {
                // Without the right to look there is no telling; the lease still keeps us apart from our own kind.
                tracing::warn!(error = %why, "whether Argo CD's controller runs here is not known");
                self.has_looked_for_other = true;
                self.update_writes();
                return;
            }
            WatchEvent::Began | WatchEvent::Undecodable { .. } | WatchEvent::Seeing => return,
        };
        let runs = replicas > 0;
        if runs != self.other_controller_runs {
            self.other_controller_runs = runs;
            if runs {
                tracing::warn!(
                    "argocd-application-controller runs in this namespace: only looking until it is scaled to zero"
                );
            } else {
                tracing::info!("argocd-application-controller is gone: writing from now on");
            }
        }
        self.update_writes();
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

fn is_served(crd: &Object) -> bool {
    let conditions = crd.get("status").and_then(|status| status.get("conditions")).and_then(Value::as_array);
    conditions.into_iter().flatten().any(|c| c["type"] == "Established" && c["status"] == "True")
}

/// Returns whether one resourceVersion is newer than another. They are numbers in every API server in use, and comparing
/// them is documented since Kubernetes 1.35; where one is no number, whatever comes later counts as newer.
pub(crate) fn is_newer(new: &str, old: &str) -> bool {
    match (new.parse::<u64>(), old.parse::<u64>()) {
        (Ok(new), Ok(old)) => new > old,
        (Ok(_) | Err(_), _) => new != old,
    }
}
