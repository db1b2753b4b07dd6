//! What follows when an Application, or what it rests on, changes?

use crate::agent::Agent;
use crate::apps::AppEntry;
use crate::sources::RepoId;
use crate::stored::Stored;
use crate::unread::Unread;
use api::Listed;
use api::feed::{By, Kind};
use cluster::{Cluster, Priority, WatchEvent};
use engine::{Event, State};
use model::{AppKey, CallError, Digest, Object, Problem, Reason};
use serde_json::Value;
use source::{Repository, RepositorySecret, SourceError};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

/// Changes an Application by a JSON merge patch, in the turn of that priority and as that field manager; returns what it is
/// like then.
pub(crate) async fn patch_application(
    cluster: &Cluster,
    (priority, manager): (Priority, &str),
    key: &AppKey,
    patch: &Value,
) -> Result<Object, CallError> {
    let place = (key.namespace.as_str(), key.name.as_str());
    cluster.merge_patch_at(priority, &crate::watching::applications(), place, patch, manager).await
}

/// Reads an Application as it is now, in the turn of that priority; `None` where there is none.
pub(crate) async fn get_application(
    cluster: &Cluster,
    priority: Priority,
    key: &AppKey,
) -> Result<Option<Object>, CallError> {
    let endpoint = crate::watching::applications();
    let found = cluster.get_at(priority, &endpoint, &key.namespace, &key.name).await?;
    Ok(found.and_then(|value| Object::from_value(value).ok()))
}

impl Agent {
    /// Takes in what the watch of Applications saw.
    pub(crate) fn application_event(&mut self, event: WatchEvent) {
        match event {
            WatchEvent::Began => {
                self.feed.list_begins();
                self.seen_apps = Some(BTreeSet::new());
                for entry in self.apps.values_mut() {
                    entry.is_listed_anew = true;
                }
            }
            WatchEvent::Object(object, _) => {
                let key = AppKey::new(object.namespace(), object.name());
                if let Some(seen) = &mut self.seen_apps {
                    seen.insert(key.clone());
                }
                let was_unread = self.unread.remove(&key).is_some();
                let version = object.resource_version().parse().unwrap_or(0);
                self.application_told(&key, object, By::Watch);
                // Also where it shows what we wrote and know.
                self.feed.watched(version);
                if was_unread {
                    // Its status says so, and nothing of what happened meanwhile.
                    self.rewrite_status(&key);
                }
            }
            WatchEvent::Deleted(key, last) => {
                let key = AppKey::new(key.namespace, key.name);
                self.unread.remove(&key);
                let version = last.resource_version().parse().unwrap_or(0);
                self.forget_app(&key, (By::Watch, version));
                self.feed.watched(version);
            }
            WatchEvent::Listed(version) => {
                self.has_listed_apps = true;
                let version = version.parse().unwrap_or(0);
                let seen = self.seen_apps.take().unwrap_or_default();
                self.unread.retain(|key, _| seen.contains(key));
                let gone: Vec<AppKey> =
                    self.apps.keys().filter(|key| !seen.contains(*key)).cloned().collect();
                for key in gone {
                    self.forget_app(&key, (By::Other, version));
                }
                self.feed.listed(version);
            }
            WatchEvent::Undecodable { namespace, name, sentence, head } => {
                let key = AppKey::new(namespace, name);
                // It exists, so it is not gone.
                if let Some(seen) = &mut self.seen_apps {
                    seen.insert(key.clone());
                }
                self.application_unread(&key, Unread { sentence, head });
            }
            WatchEvent::Blind { why, .. } => tracing::warn!(error = %why, "Applications are not seen"),
            WatchEvent::Seeing => {}
        }
    }

    /// Takes in an Application as somebody wrote it, from an answer to a call.
    pub(crate) fn application_seen(&mut self, key: &AppKey, object: Object) {
        self.application_told(key, object, By::Other);
    }

    fn application_told(&mut self, key: &AppKey, object: Object, by: By) {
        if let Some(raw) = self.keep(key, object, by)
            && !self.read_if_changed(key, &raw)
        {
            // Somebody else wrote the status: ours is put back.
            self.rewrite_status(key);
        }
    }

    /// Takes in the answer to a write of ours: the status says what we wrote.
    pub(crate) fn application_written(&mut self, key: &AppKey, object: Object) {
        if let Some(raw) = self.keep(key, object, By::Other) {
            self.read_if_changed(key, &raw);
        }
    }

    /// Keeps an Application; returns it unless a newer one is known.
    fn keep(&mut self, key: &AppKey, mut object: Object, by: By) -> Option<Value> {
        let managed_fields = object.metadata_mut().remove("managedFields").unwrap_or_default();
        if let Some(entry) = self.apps.get_mut(key) {
            let is_listed_anew = std::mem::take(&mut entry.is_listed_anew);
            let is_news = if is_listed_anew {
                *entry.stored.resource_version != *object.resource_version()
            } else {
                entry.stored.is_older_than(object.resource_version())
            };
            if !is_news {
                return None;
            }
        }
        let raw = object.into_value();
        let told = |listed: &Listed| (by, listed.head.version);
        if let Some(entry) = self.apps.get_mut(key) {
            let before = std::mem::replace(&mut entry.stored, Stored::new(&raw));
            let listed = &entry.stored.listed;
            self.feed.tell(Kind::Modified, listed, Some(&before.listed), told(listed));
        } else {
            let mut state = State::new(crate::status::remembered(&raw), self.may_write);
            state.is_new = raw.pointer("/status/sync/status").is_none();
            state.was_untold = state.is_new;
            state.remembered = crate::status::remembered_not_yet(&raw);
            crate::status::remember_held(&mut state, &raw);
            let project = self.settings.built_in_project();
            let entry = AppEntry::new(key, Stored::new(&raw), &self.config.namespace, state, project);
            self.by_part_of.insert(entry.part_of.clone(), key.clone());
            let listed = &entry.stored.listed;
            self.feed.tell(Kind::Added, listed, None, told(listed));
            self.apps.insert(key.clone(), Box::new(entry));
        }
        if let Some(entry) = self.apps.get_mut(key) {
            entry.state.told = crate::status::told(&raw);
            entry.is_listed_by_argo_cd = application::status::is_listed_by_argo_cd(&managed_fields);
            let is_whole = entry.state.comparison.as_ref().is_none_or(|comparison| comparison.is_complete);
            if entry.lists(&raw) && !is_whole {
                self.dirty.insert(key.clone());
            }
        }
        Some(raw)
    }

    /// Reads an Application that may ask for something else than before; returns whether it may.
    fn read_if_changed(&mut self, key: &AppKey, raw: &Value) -> bool {
        let asked = application::asked(raw);
        let is_known = |entry: &AppEntry| entry.read.as_ref() == Some(&asked) && entry.problems.is_empty();
        let may_be_news = !self.apps.get(key).is_some_and(|entry| is_known(entry));
        if may_be_news {
            self.read_raw(key, raw, asked);
        }
        self.answer_waiters(key, raw);
        may_be_news
    }

    /// Reads an Application again, because something that it depends on changed.
    pub(crate) fn read_app(&mut self, key: &AppKey) {
        // What is kept of it does not know that it is being deleted.
        if self.unread.get(key).is_some_and(Unread::holds_its_deletion_up) {
            return;
        }
        let Some(entry) = self.apps.get(key) else { return };
        let raw = entry.stored.value();
        self.read_raw(key, &raw, application::asked(&raw));
    }

    fn read_raw(&mut self, key: &AppKey, raw: &Value, asked: Digest) {
        if !self.settings.is_ready() {
            return;
        }
        let Some(entry) = self.apps.get_mut(key) else { return };
        entry.read = Some(asked);
        let mut app = match application::read(raw) {
            Ok(app) => app,
            Err(problems) => {
                // The engine needs a subject to report about, and whoever asks for something gets an answer.
                let last = entry.app.as_deref().cloned();
                let last = last.unwrap_or_else(|| crate::apps::placeholder(key, raw));
                entry.app = Some(Arc::new(application::requests(raw, last)));
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
        app.ignore_differences.extend(drift::controller::rules(&self.config.namespace, self.argo_cd.names()));
        app.rollback.agent = self.config.rollback;
        let mut refused = project.settle_rollback(&mut app);
        refused.extend(project.check_app(&app, &self.config.namespace));
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
        self.tell_unreadable(key);
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
        self.tell_releases(key);
        if project_changed && !is_first {
            self.rerender(key);
        }
    }

    /// Takes in why nothing may be done for an app.
    pub(crate) fn refuse(&mut self, key: &AppKey, problems: Vec<Problem>) {
        let Some(entry) = self.apps.get_mut(key) else { return };
        entry.problems.clone_from(&problems);
        // Whatever comes of it is not wanted any more.
        (entry.rendering, entry.preparing) = (None, None);
        self.repos.forget(key);
        self.event(key, Event::Refused(problems));
    }

    /// Follows what the app's spec names.
    pub(crate) fn follow(&mut self, key: &AppKey, app: &model::App) -> Result<(), SourceError> {
        self.follow_by(&self.settings.secrets(), key, app)
    }

    /// Follows what the app's spec names, by these repository Secrets.
    pub(crate) fn follow_by(
        &mut self,
        secrets: &[RepositorySecret],
        key: &AppKey,
        app: &model::App,
    ) -> Result<(), SourceError> {
        let url = source::RepoUrl::parse(&app.source.repo_url)?;
        let access = source::pick(secrets, &url, &app.project)?;
        let id = RepoId { url: url.normalised(), project: app.project.clone(), login: url.login() };
        // Looked for on disk once and not for each of its apps; while it is not there, with every one that names it.
        let is_unfollowed =
            url.local_path().is_some() && self.watcher.as_ref().is_some_and(|watcher| !watcher.follows(&url));
        let repository = Repository::new(url, access);
        self.repos.follow(key, id, repository, &app.source.target_revision, Instant::now());
        if is_unfollowed {
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
        // What was wrong with the revision may be right now.
        entry.state.forget_desired();
        self.event(key, Event::AppChanged);
        self.repos.ask(key, Instant::now());
    }

    /// Forgets an Application that is gone, as is known since a resourceVersion.
    fn forget_app(&mut self, key: &AppKey, known: (By, u64)) {
        let Some(entry) = self.apps.remove(key) else { return };
        let listed = &entry.stored.listed;
        self.feed.tell(Kind::Deleted, listed, Some(listed), known);
        let revision = entry.state.desired.as_ref().map_or("", |desired| desired.revision.short());
        tracing::info!(app = %key, revision, reason = %Reason::Deleted, "the Application is gone");
        self.by_part_of.remove(&entry.part_of);
        self.repos.forget(key);
        if let Some(at) = entry.wake {
            self.wakes.remove(&(at, key.clone()));
        }
        let affected = self.claims.forget(key);
        self.dirty.extend(affected);
        self.touch_held(&entry.part_of);
        self.release_unwanted();
        self.cache.remove(key);
        self.forget_waits(key);
    }
}

#[cfg(test)]
mod tests {
    use crate::agent::Task;
    use crate::harness::{Harness, shop};
    use model::{Object, ObjectKey};

    #[tokio::test]
    async fn what_is_rendered_for_an_app_ends_with_it() {
        let mut harness = Harness::new(&[]).await;
        let [rendering, preparing] = [(); 2].map(|()| tokio::spawn(std::future::pending::<()>()));
        let entry = harness.agent.apps.get_mut(&shop()).unwrap();
        entry.rendering = Some(Task::new(rendering.abort_handle()));
        entry.preparing = Some(Task::new(preparing.abort_handle()));
        let last = Object::from_value(entry.stored.value()).unwrap();
        let key = ObjectKey::new("argoproj.io", "Application", "argocd", "shop");
        harness.agent.application_event(cluster::WatchEvent::Deleted(key, last));
        assert!(harness.agent.apps.is_empty());
        for task in [rendering, preparing] {
            assert!(task.await.unwrap_err().is_cancelled());
        }
    }

    #[tokio::test]
    async fn what_a_list_misses_is_told_before_its_number_is_a_place_to_come_back_to() {
        let mut harness = Harness::new(&[]).await;
        let agent = &mut harness.agent;
        agent.feed.listed(5);
        agent.application_event(cluster::WatchEvent::Began);
        assert_eq!(agent.feed.version(), 5);
        agent.application_event(cluster::WatchEvent::Listed("9".into()));
        assert!(agent.apps.is_empty() && agent.feed.version() == 9);
        // What we wrote ourselves is no news of the watch.
        let raw = |version: &str| {
            let mut object = Object::from_value(crate::harness::application()).unwrap();
            object.metadata_mut()["resourceVersion"] = version.into();
            object
        };
        agent.application_written(&shop(), raw("12"));
        assert_eq!((agent.apps.len(), agent.feed.version()), (1, 9));
        agent.application_event(cluster::WatchEvent::Object(raw("12"), cluster::Origin::Modified));
        assert_eq!(agent.feed.version(), 12);
    }
}
