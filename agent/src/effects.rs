//! How is each effect of the engine carried out? The only place where effects become I/O.

use crate::agent::Agent;
use crate::apply::{self, Job};
use crate::apps::{AppEntry, Probe};
use crate::desired::{self, DesiredSet, Rules};
use crate::input::{Input, RenderError};
use crate::parameters::parameters;
use crate::polling::look_up;
use crate::{cache, cascade};
use engine::{Effect, Event, Mode, Trust};
use futures::FutureExt as _;
use model::{App, AppKey, LiveDigest, ObjectKey, Revision, SyncId};
use plan::prune::Prune;
use plan::{InSync, Selection};
use source::{Folder, Repository, Sources};
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::OnceCell;
use tokio::sync::Semaphore;

impl Agent {
    /// Carries out one effect; its outcome comes back as an input.
    pub(crate) fn carry_out(&mut self, key: &AppKey, app: &Arc<App>, effect: Effect) {
        match effect {
            Effect::Resolve => self.resolve(key, app),
            Effect::Render { revision, trust } => self.render(key, app, revision, trust),
            Effect::Compare => {
                self.dirty.insert(key.clone());
            }
            Effect::Prepare { sync, target_revision } => self.prepare(key, app, sync, target_revision),
            Effect::Plan { sync, hash, selection, prune } => {
                self.end_stage(key);
                let plan = self.plan(key, app, hash, &selection, prune);
                self.event(key, Event::Planned { sync, plan });
            }
            Effect::Apply { sync, hash, keys, mode } => self.apply(key, app, sync, hash, keys, mode),
            Effect::Prune { sync, keys, mode } => self.prune(key, app, sync, keys, mode),
            Effect::Inquire(suspect) => self.inquire(key, app, *suspect),
            Effect::Recall { release, hash } => self.recall(key, release, hash),
            Effect::Differ { release, hash } => self.differ(key, release, hash),
            Effect::Revert(reversal) => self.revert(key, app, *reversal),
            Effect::Check(inspection) => self.inspect(key, *inspection),
            Effect::Release(outcome) => self.keep_outcome(key, app, *outcome),
            Effect::Cascade(policy) => cascade::start(self, key, app, policy),
            Effect::Finalize => cascade::finalize(self, key),
            Effect::WakeAt(at) => {
                let Some(entry) = self.apps.get_mut(key) else { return };
                if let Some(earlier) = entry.wake.replace(at) {
                    self.wakes.remove(&(earlier, key.clone()));
                }
                self.wakes.insert((at, key.clone()));
            }
            Effect::Report(report) => self.write_status(key, report),
            Effect::Note(note) => self.tell(key, &note),
        }
    }

    /// Returns what rendering and applying look at beside the manifests.
    pub(crate) fn rules_of(&self, entry: &AppEntry) -> Rules {
        Rules {
            identity: self.identity.clone(),
            project: Arc::clone(&entry.project),
            discovery: Arc::clone(&self.discovery),
        }
    }

    /// Prepares the rendering of a revision, which knows what the app wants now and no cache.
    pub(crate) fn render_of(&self, key: &AppKey, app: &Arc<App>, revision: Revision) -> Option<Render> {
        let ((_, repo), entry) = (self.repos.of(key)?, self.apps.get(key)?);
        Some(Render {
            sources: self.sources.clone(),
            repository: repo.repository.clone(),
            app: Arc::clone(app),
            revision,
            rules: self.rules_of(entry),
            known: entry.current().cloned(),
            cache: None,
            renders: Arc::clone(&self.renders),
            counter: self.metrics.renders.clone(),
        })
    }

    fn render(&mut self, key: &AppKey, app: &Arc<App>, revision: Revision, trust: Trust) {
        let Some(mut job) = self.render_of(key, app, revision.clone()) else { return };
        let Some(entry) = self.apps.get(key) else { return };
        if trust == Trust::Nothing {
            job.known = None;
        } else {
            job.cache = Some(self.cache.path(key));
        }
        let (of, serial) = (key.clone(), entry.spec_serial);
        let task = self.spawn_task(async move {
            let outcome = job.run().await;
            Input::Rendered(of, serial, revision, outcome)
        });
        if let Some(entry) = self.apps.get_mut(key) {
            entry.rendering = Some(task);
        }
    }

    fn prepare(&mut self, key: &AppKey, app: &Arc<App>, sync: SyncId, target_revision: String) {
        let Some(mut job) = self.render_of(key, app, Revision::new("")) else {
            let desired = Err("the repository cannot be used; the conditions say why".to_owned());
            self.event(key, Event::Prepared { sync, desired });
            return;
        };
        let (sources, repository) = (job.sources.clone(), job.repository.clone());
        let of = key.clone();
        let task = self.spawn_task(async move {
            let outcome = match look_up(&sources, &repository, std::slice::from_ref(&target_revision)).await {
                Err(error) => Err(error.to_string()),
                Ok(mut found) => match found.remove(&target_revision) {
                    None => Err(format!("revision {target_revision} could not be looked up")),
                    Some(Err(error)) => Err(error.to_string()),
                    Some(Ok(revision)) => {
                        job.revision = revision;
                        job.run().await.map_err(|error| error.to_string())
                    }
                },
            };
            Input::Prepared(of, sync, outcome)
        });
        if let Some(entry) = self.apps.get_mut(key) {
            entry.preparing = Some(task);
        }
    }

    fn plan(
        &self,
        key: &AppKey,
        app: &App,
        hash: model::DesiredHash,
        selection: &Selection,
        prune: Prune,
    ) -> plan::Plan {
        let Some(entry) = self.apps.get(key) else { return plan::Plan::default() };
        let Some(set) = entry.sets.get(&hash) else { return plan::Plan::default() };
        let view = entry.state.run().and_then(|run| entry.state.view_of(run));
        let comparison = view.filter(|comparison| comparison.hash == hash);
        let statuses: BTreeMap<_, _> =
            comparison.into_iter().flat_map(|c| c.objects.iter()).map(|o| (&o.key, o)).collect();
        let goes_back = entry.state.run().is_some_and(|run| run.cause == engine::Cause::Rollback);
        // A Job that is not there any more has run.
        let has_run = |object: &ObjectKey| {
            goes_back && object.group_kind().is("batch", "Job") && self.live.get(object).is_none()
        };
        let wanted = set.objects.keys().filter(|object| !has_run(object));
        let objects = wanted.filter_map(|object| match statuses.get(object) {
            Some(status) if !status.refused.is_empty() => None,
            Some(status) if status.sync == Some(model::SyncStatus::Synced) => {
                Some((object.clone(), InSync::Yes))
            }
            Some(_) | None => Some((object.clone(), InSync::No)),
        });
        let mut plan =
            plan::Plan { stages: plan::stages(&objects.collect(), selection), ..plan::Plan::default() };
        if let Some(comparison) = comparison {
            let live = self.live_of(key, entry, set);
            let permits = |object: &ObjectKey| Self::permits(entry, object);
            let created_since = entry.created_since();
            let was_created = |live: &LiveDigest| created_since(&live.key, &live.uid);
            plan::prune::add(&mut plan, app, comparison, &live, prune, (permits, was_created));
            plan.delete_only(selection);
        }
        plan
    }

    fn job(
        &self,
        entry: &AppEntry,
        app: &Arc<App>,
        set: Arc<DesiredSet>,
        keys: &[model::ObjectKey],
        mode: Mode,
    ) -> Job {
        let known = apply::known(&self.live, keys, app, &set);
        let was_deployed = entry.state.has_deployed(set.hash());
        Job {
            cluster: self.cluster.for_app(&app.key),
            app: Arc::clone(app),
            set,
            rules: self.rules_of(entry),
            known,
            gone: keys.iter().filter(|key| self.live.gone.contains_key(key)).cloned().collect(),
            sync: entry.state.run().map_or(0, |run| run.id.0),
            fence: Some(Arc::clone(&entry.fence)),
            gate: Arc::clone(&self.gate),
            is_dry_run: mode == Mode::DryRun,
            by_person: entry.state.run().is_some_and(|run| run.operation().is_some()),
            was_deployed,
            namespace: OnceCell::new(),
        }
    }

    fn apply(
        &mut self,
        key: &AppKey,
        app: &Arc<App>,
        sync: SyncId,
        hash: model::DesiredHash,
        keys: Vec<model::ObjectKey>,
        mode: Mode,
    ) {
        // An apply that waited for something may have been overtaken meanwhile.
        if self.apps.get(key).and_then(|entry| entry.state.run()).is_none_or(|run| run.id != sync) {
            self.answer_held(key, sync, keys, "a newer sync took over");
            return;
        }
        let set = self.apps.get(key).and_then(|entry| entry.sets.get(&hash)).cloned();
        let (Some(entry), Some(set)) = (self.apps.get(key), set) else {
            self.answer_held(key, sync, keys, "the rendered manifests are gone; they are rendered again");
            return;
        };
        if !self.kinds.covers(keys.iter().map(model::ObjectKey::group_kind)) && mode == Mode::Real {
            self.record_kinds(key, app, sync, hash, keys, mode);
            return;
        }
        if !self.has_room_for_stage(entry) {
            self.stages_due.push_back((
                key.clone(),
                Arc::clone(app),
                Effect::Apply { sync, hash, keys, mode },
            ));
            return;
        }
        let job = self.job(entry, app, set, &keys, mode);
        self.metrics.applies.add(keys.len());
        self.begin_stage(key, sync, keys.clone(), apply::stage(job, keys));
    }

    /// Writes which kinds we create before the first object of a new kind: after any crash the watches of those kinds
    /// show all that is ours.
    fn record_kinds(
        &mut self,
        key: &AppKey,
        app: &Arc<App>,
        sync: SyncId,
        hash: model::DesiredHash,
        keys: Vec<model::ObjectKey>,
        mode: Mode,
    ) {
        let gvks = self
            .apps
            .get(key)
            .and_then(|entry| entry.sets.get(&hash))
            .map(|set| keys.iter().filter_map(|key| set.objects.gvk(key)).collect::<Vec<_>>());
        self.kinds.want(gvks.into_iter().flatten());
        self.kinds.waiting.push((key.clone(), Arc::clone(app), Effect::Apply { sync, hash, keys, mode }));
        self.write_kinds();
    }

    fn prune(&mut self, key: &AppKey, app: &Arc<App>, sync: SyncId, keys: Vec<model::ObjectKey>, mode: Mode) {
        let Some(entry) = self.apps.get(key) else { return };
        let Some(set) = entry.chosen().or_else(|| entry.enforced()).cloned() else {
            self.answer_held(key, sync, keys, "what Git wants is not known");
            return;
        };
        let job = self.job(entry, app, set, &keys, mode);
        let deleted = apply::prune(job, keys.clone()).map(|results| (results, Vec::new()));
        self.begin_stage(key, sync, keys, deleted);
    }

    fn resolve(&mut self, key: &AppKey, app: &Arc<App>) {
        if let Err(error) = self.follow(key, app) {
            self.event(key, Event::SourceFailed(crate::take_in::failure(&error)));
            return;
        }
        if let Some(entry) = self.apps.get_mut(key) {
            // Somebody may have made what was not there.
            entry.probed.retain(|_, probe| *probe != Probe::Absent);
            if entry.undecided.ask_again() {
                self.dirty.insert(key.clone());
            }
        }
        self.repos.ask(key, std::time::Instant::now());
    }
}

/// Everything that one rendering needs.
#[derive(Clone)]
pub(crate) struct Render {
    sources: Sources,
    repository: Repository,
    app: Arc<App>,
    revision: Revision,
    rules: Rules,
    known: Option<Arc<DesiredSet>>,
    cache: Option<std::path::PathBuf>,
    renders: Arc<Semaphore>,
    counter: crate::metrics::Counter,
}

impl Render {
    /// Renders when its turn comes, unless the commit changed nothing that the app reads. Hundreds may wait: what it takes
    /// to render is not reserved before.
    pub(crate) async fn run(self) -> Result<Arc<DesiredSet>, RenderError> {
        let _permit = Arc::clone(&self.renders).acquire_owned().await;
        Box::pin(self.render()).await
    }

    async fn render(self) -> Result<Arc<DesiredSet>, RenderError> {
        let (path, recurse) = (self.app.source.path.clone(), self.app.source.directory.recurse);
        let folder = Folder { path, recurse };
        let ids = self.sources.inputs(&self.repository, &self.revision, std::slice::from_ref(&folder)).await;
        let ids = ids.map_err(RenderError::Source)?.into_iter().next();
        let ids = ids.unwrap_or_else(|| Ok(String::new())).map_err(RenderError::Source)?;
        let inputs = format!("{ids};{}", parameters(&self.app, &self.rules));
        let is_good = |set: &DesiredSet| set.inputs == inputs && set.fits(&self.rules.discovery);
        if let Some(known) = self.known.as_ref().filter(|known| is_good(known) && !known.has_unknown_kinds) {
            return Ok(Arc::new(known.at(&self.revision)));
        }
        if let Some(cached) = self.cache.as_ref().and_then(|path| cache::load(path)).filter(is_good) {
            return Ok(Arc::new(cached.at(&self.revision)));
        }
        self.counter.add(1);
        let directory = self.app.source.directory.clone();
        if let Err(problem) = manifest::selects("x.yaml", &directory) {
            return Err(RenderError::Content(desired::NotRendered::Invalid(vec![problem])));
        }
        let filter = move |relative: &str| desired::is_read(relative, &directory);
        let listing = self.sources.read(&self.repository, &self.revision, &folder, filter).await;
        let listing = listing.map_err(RenderError::Source)?;
        let work = tokio::task::spawn_blocking(move || {
            let mut set = desired::render(&self.app, &self.revision, &listing, &self.rules)
                .map_err(RenderError::Content)?;
            set.inputs = inputs;
            Ok(Arc::new(set))
        });
        work.await.unwrap_or_else(|_| {
            let message = "rendering ended unexpectedly";
            Err(RenderError::Source(source::SourceError::new(source::Kind::Unavailable, message)))
        })
    }
}

impl std::fmt::Display for RenderError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Source(error) => write!(f, "{error}"),
            Self::Content(desired::NotRendered::Invalid(problems)) => {
                let text: Vec<String> = problems.iter().map(ToString::to_string).collect();
                f.write_str(&text.join("; "))
            }
            Self::Content(desired::NotRendered::Unsupported(fields)) => {
                let text: Vec<&str> = fields.iter().map(|n| n.field.as_str()).collect();
                write!(f, "Tautline does not act on {} yet", text.join(", "))
            }
        }
    }
}
