//! Who owns all state? One task: it takes in what happened, steps the engine, and lets effects be carried out.
//!
//! ```text
//! watches, polls, effects, people ──Input──▶ Agent::take_in ──Event──▶ engine::step ──Effect──▶ effects.rs ──▶ I/O
//!        ▲                                                                                              │
//!        └──────────────────────────────────────────────────────────────────────────────────────────────┘
//! ```

use crate::apps::AppEntry;
use crate::argo_cd::{ArgoCd, Runner};
use crate::cache::Cache;
use crate::clock::now;
use crate::config::Config;
use crate::desired::Identity;
use crate::discovering::Discovering;
use crate::dry_runs::DryRuns;
use crate::idle_kinds::IdleKinds;
use crate::input::Input;
use crate::keeping::Keeping;
use crate::kinds::KindsRecord;
use crate::live::LiveView;
use crate::metrics::Metrics;
use crate::reverting::Reverting;
use crate::settings::Settings;
use crate::sources::Repositories;
use crate::unread::Unread;
use crate::webhooks::WebhookSecrets;
use crate::workloads::Workloads;
use crate::writing::Writing;
use cluster::{Cluster, Discovery, WatchId};
use engine::claims::Claims;
use engine::{Activity, Effect, Event, State, Writes, step};
use futures::FutureExt;
use health::Member;
use model::{App, AppKey, GroupKind, Timestamp};
use source::Sources;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::AbortHandle;

/// How many inputs are taken in before apps are compared: bursts of watch events cost one comparison per app.
const BATCH: usize = 256;

/// Everything that the agent knows.
pub(crate) struct Agent {
    pub config: Config,
    pub cluster: Cluster,
    pub sources: Sources,
    pub identity: Identity,
    pub discovery: Arc<Discovery>,
    pub settings: Settings,
    /// What callers say that moved in Git.
    pub webhooks: Arc<api::Webhooks>,
    /// By what they are checked.
    pub webhook_secrets: WebhookSecrets,
    pub repos: Repositories,
    /// Which change of the repository Secrets it is that apps follow their repositories by.
    pub followed_by: u64,
    pub apps: BTreeMap<AppKey, Box<AppEntry>>,
    /// Applications that cannot be read, and why.
    pub unread: BTreeMap<AppKey, Unread>,
    pub by_part_of: BTreeMap<String, AppKey>,
    pub live: LiveView,
    pub workloads: Workloads,
    pub claims: Claims,
    pub kinds: KindsRecord,
    /// Where releases are written and read.
    pub releases: crate::releases::Store,
    pub watches: BTreeMap<WatchId, Watched>,
    pub watch_events: mpsc::Sender<(WatchId, cluster::WatchEvent)>,
    pub inputs: mpsc::UnboundedSender<Input>,
    /// When apps asked to be woken.
    pub wakes: BTreeSet<(Timestamp, AppKey)>,
    /// What survives a restart.
    pub cache: Arc<Cache>,
    /// Apps whose comparison may have changed.
    pub dirty: BTreeSet<AppKey>,
    /// Apps whose comparison waits until their neighbours are rendered.
    pub held_back: BTreeSet<AppKey>,
    pub may_write: bool,
    /// The same for tasks that are under way.
    pub gate: Arc<AtomicBool>,
    /// What is being asked about kinds, and which are defined.
    pub discovering: Discovering,
    pub metrics: Metrics,
    /// Limits what renders at the same time.
    pub renders: Arc<Semaphore>,
    /// Limits what asks the API server about single objects.
    pub checks: Arc<Semaphore>,
    /// Limits what such questions cost while much is looked at for the first time.
    pub dry_runs: DryRuns,
    pub watcher: Option<source::Watch>,
    pub next_watch: u64,
    /// Keeps the agent's own watches going.
    pub own_handles: Vec<cluster::WatchHandle>,
    /// Applications seen since the list under way began.
    pub seen_apps: Option<BTreeSet<AppKey>>,
    pub has_listed_apps: bool,
    /// What we are called where the lease is held.
    pub holder: String,
    pub holds_lease: bool,
    /// What is seen of Argo CD's own controller.
    pub argo_cd: ArgoCd,
    /// Effects that were decided and are to be carried out.
    pub effects: VecDeque<(AppKey, Arc<App>, Effect)>,
    pub is_draining: bool,
    /// Stages that wait for their turn.
    pub stages_due: VecDeque<(AppKey, Arc<App>, Effect)>,
    /// Limits events that wait or are under way.
    pub event_room: Arc<Semaphore>,
    /// Limits events under way.
    pub event_turns: Arc<Semaphore>,
    /// Limits long lists that are being made.
    pub list_turns: Arc<Semaphore>,
    /// When the cache folder was last looked through for what nobody needs.
    pub swept: Option<Instant>,
    /// Which kinds are not used any more.
    pub idle_kinds: IdleKinds,
    /// Whose status is written when.
    pub turns: crate::writer::Turns,
    /// What changed lately of Applications, for all who watch them.
    pub feed: api::Feed,
    /// Which commits are to be taken back in Git.
    pub reverting: Reverting,
    /// How releases are kept.
    pub keeping: Keeping,
    /// Who waits for what comes of a revision.
    pub waits: crate::waits::Waits,
}

/// What a watch is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Watched {
    /// Applications.
    Applications,
    /// `AppProjects`.
    Projects,
    /// Repository Secrets.
    Secrets,
    /// A Secret by its name, that webhooks are checked by.
    WebhookSecret(String),
    /// `argocd-cm`.
    Settings,
    /// `argocd-ssh-known-hosts-cm`.
    KnownHosts,
    /// Kinds that come and go.
    Definitions,
    /// What runs Argo CD's own controller: while it does we only look.
    ArgoCd(Runner),
    /// Pods or `ReplicaSets` of a namespace with a workload that is not healthy; empty for the whole cluster.
    Members(Member, String),
    /// Managed objects of a kind.
    Kind(GroupKind),
}

impl Watched {
    /// Returns the kind that is watched, as metrics name it.
    pub(crate) fn kind(&self) -> String {
        let kind = match self {
            Self::Applications => "Application.argoproj.io",
            Self::Projects => "AppProject.argoproj.io",
            Self::Secrets | Self::WebhookSecret(_) => "Secret",
            Self::Settings | Self::KnownHosts => "ConfigMap",
            Self::Definitions => "CustomResourceDefinition.apiextensions.k8s.io",
            Self::ArgoCd(Runner::StatefulSet) => "StatefulSet.apps",
            Self::ArgoCd(Runner::Deployment) => "Deployment.apps",
            Self::Members(Member::Pod, _) => "Pod",
            Self::Members(Member::ReplicaSet, _) => "ReplicaSet.apps",
            Self::Kind(kind) => return kind.to_string(),
        };
        kind.to_owned()
    }
}

impl Agent {
    /// Runs until `shutdown` is done. Inputs are taken in one by one; apps are compared after each batch.
    pub(crate) async fn run(
        mut self,
        mut inputs: mpsc::UnboundedReceiver<Input>,
        mut watched: mpsc::Receiver<(WatchId, cluster::WatchEvent)>,
        mut pulse: crate::probes::Pulse,
        shutdown: impl Future<Output = ()>,
    ) {
        tokio::pin!(shutdown);
        loop {
            let due = self.next_due();
            let timer = tokio::time::sleep_until(due.into());
            tokio::select! {
                biased;
                () = &mut shutdown => {
                    // Nothing begins any more once the lease is handed back.
                    self.gate.store(false, Ordering::Release);
                    return;
                }
                Some(input) = inputs.recv() => self.take_in(input),
                Some((id, event)) = watched.recv() => self.take_in(Input::Watch(id, event)),
                () = timer => {}
            }
            for _ in 0..BATCH {
                let input = match inputs.try_recv() {
                    Ok(input) => input,
                    Err(_) => match watched.try_recv() {
                        Ok((id, event)) => Input::Watch(id, event),
                        Err(_) => break,
                    },
                };
                self.take_in(input);
            }
            self.take_in_secrets();
            self.poll_due();
            self.follow_clock();
            self.wake_due();
            self.explain_workloads();
            self.compare_dirty();
            self.unblock();
            self.push_reverts();
            self.tend_kinds();
            self.sweep_cache();
            pulse.beat(&self);
        }
    }

    fn next_due(&self) -> Instant {
        let far = Instant::now() + std::time::Duration::from_secs(5);
        let wake = self.wakes.first().map(|(at, _)| {
            let wait = at.since(now()).as_millis();
            Instant::now() + std::time::Duration::from_millis(u64::try_from(wait).unwrap_or(0))
        });
        let poll = self.repos.next_due().filter(|_| self.has_listed_apps);
        [poll, wake, self.reverting.next_due()].into_iter().flatten().fold(far, Instant::min)
    }

    /// Has all look at the time again if it is another one: what they wait for was reckoned by the old one.
    fn follow_clock(&mut self) {
        let is_calm = |state: &State| matches!(state.activity, Activity::Idle | Activity::Waiting(..));
        if !crate::clock::follow(|| self.apps.values().all(|entry| is_calm(&entry.state))) {
            return;
        }
        for (_, key) in std::mem::take(&mut self.wakes) {
            if let Some(entry) = self.apps.get_mut(&key) {
                entry.wake = None;
            }
            self.event(&key, Event::Woke);
        }
    }

    fn wake_due(&mut self) {
        let now = now();
        while let Some((at, _)) = self.wakes.first()
            && *at <= now
        {
            let Some((_, key)) = self.wakes.pop_first() else { return };
            if let Some(entry) = self.apps.get_mut(&key) {
                entry.wake = None;
            }
            self.event(&key, Event::Woke);
        }
    }

    /// Steps an app's engine and has its effects carried out.
    pub(crate) fn event(&mut self, key: &AppKey, event: Event) {
        let Some(entry) = self.apps.get_mut(key) else { return };
        let Some(app) = entry.app.clone() else { return };
        let state = std::mem::replace(&mut entry.state, State::new(None, false));
        let before = state.last.as_ref().map(|last| (last.started_at, last.finished_at));
        let (state, effects) = step(state, event, now(), &app);
        if let Some(last) = state.last.as_ref().filter(|last| !last.is_old)
            && before != Some((last.started_at, last.finished_at))
        {
            let is_dry_run = last.operation.as_ref().is_some_and(|operation| operation.dry_run);
            *entry.syncs.entry((last.phase.as_str(), is_dry_run)).or_default() += 1;
        }
        entry.fence.store(state.run().map_or(0, |run| run.id.0), Ordering::Release);
        if state.run().is_none() && state.unanswered.is_none() {
            // What it has sent was waited for: nothing of it may come later.
            entry.stage = None;
        }
        entry.state = state;
        self.inherit(key);
        self.effects.extend(effects.into_iter().map(|effect| (key.clone(), Arc::clone(&app), effect)));
        self.answer_waiting(key);
        self.judge_waits(key);
        self.drain_effects();
    }

    /// Has effects carried out in the order in which they were decided: some answer at once, and what follows from the
    /// answer comes after what was decided before.
    fn drain_effects(&mut self) {
        if std::mem::replace(&mut self.is_draining, true) {
            return;
        }
        while let Some((key, app, effect)) = self.effects.pop_front() {
            self.carry_out(&key, &app, effect);
        }
        self.is_draining = false;
    }

    /// Steps the engines of all apps.
    pub(crate) fn event_for_all(&mut self, event: &Event) {
        let keys: Vec<AppKey> = self.apps.keys().cloned().collect();
        for key in keys {
            self.event(&key, event.clone());
        }
    }

    /// Takes in whether we hold the lease.
    pub(crate) fn lease_changed(&mut self, held: &cluster::Holding) {
        if let cluster::Holding::NotHeld { holder } = held
            && *holder != self.holder
            // Nobody holds it: one may have come and gone since we lost it.
            && (!holder.is_empty() || self.holds_lease)
        {
            self.kinds.doubt();
        }
        self.holds_lease = held.permits_writes();
        self.update_writes();
    }

    /// Notices by the clock that the lease ran out. A process that was stopped for a while has other things to take in before
    /// it is told, and what its writes came to is not to be read as an answer of the cluster's.
    pub(crate) fn notice_lapse(&mut self) {
        if self.holds_lease && !self.cluster.may_write() {
            self.holds_lease = false;
            self.kinds.doubt();
            self.update_writes();
        }
    }

    /// Returns whether we write, and why not.
    pub(crate) fn writing(&self) -> Writing {
        Writing::of(self.holds_lease, self.argo_cd.presence())
    }

    /// Writes only while we hold the lease and Argo CD's own controller does not run.
    pub(crate) fn update_writes(&mut self) {
        let writing = self.writing();
        let may_write = writing.is_allowed();
        if self.may_write == may_write {
            return;
        }
        let reason = writing.as_str();
        if may_write {
            tracing::info!(reason, "this replica writes from now on");
        } else {
            tracing::warn!(reason, "this replica writes nothing from now on, and looks on");
        }
        self.may_write = may_write;
        self.gate.store(may_write, Ordering::Release);
        for entry in self.apps.values_mut() {
            if may_write {
                entry.take_in_told();
                // Whoever wrote meanwhile may have rolled back, or a person may have resumed.
                crate::status::remember_held(&mut entry.state, &entry.stored.value());
            } else {
                // Whoever writes instead may deploy, too.
                entry.inheritance = None;
                entry.leave();
            }
            if entry.app.is_none() {
                // It has not been read yet, and has no engine that an event could step.
                entry.state.may_write = may_write;
            }
        }
        if may_write {
            self.reread_kinds();
            self.keeping.was_tried = false;
            self.list_releases();
        }
        let writes = if may_write { Writes::Allowed } else { Writes::Forbidden };
        self.event_for_all(&Event::Writes(writes));
        self.start_writes();
        self.tell_all_unread();
        if !may_write {
            self.leave_waits();
        }
    }

    /// Sends an answer that is known already.
    pub(crate) fn spawn_ready(&self, input: Input) {
        // The loop owns the receiver and outlives this call.
        let _unheard = self.inputs.send(input);
    }

    /// Starts something that answers with an input.
    pub(crate) fn spawn(&self, work: impl Future<Output = Input> + Send + 'static) {
        // It goes on without the handle.
        drop(self.start(work));
    }

    /// Starts something that answers with an input, and ends with what is returned: nobody else waits for the answer.
    #[must_use]
    pub(crate) fn spawn_task(&self, work: impl Future<Output = Input> + Send + 'static) -> Task {
        Task(self.start(work))
    }

    fn start(&self, work: impl Future<Output = Input> + Send + 'static) -> AbortHandle {
        let inputs = self.inputs.clone();
        // Boxed, because what moves from one state machine into another takes its room in both.
        let work = AssertUnwindSafe(Box::pin(work)).catch_unwind();
        let task = tokio::spawn(async move {
            let outcome = tokio::select! {
                outcome = work => outcome,
                // The loop has ended: what is under way stops before the lease is handed back.
                () = inputs.closed() => return,
            };
            let Ok(input) = outcome else {
                // Whoever waits for the answer would wait for ever; a new process starts from what is stored.
                tracing::error!("an effect panicked; the process ends so that it is started afresh");
                let _is_written = crate::logs::flush();
                std::process::abort();
            };
            // The loop ends before its effects do; then nobody wants the answer.
            let _unheard = inputs.send(input);
        });
        task.abort_handle()
    }
}

/// Something under way, which is given up when this is dropped.
#[derive(Debug)]
pub(crate) struct Task(AbortHandle);

impl Task {
    /// Takes a task over.
    #[cfg(test)]
    pub(crate) fn new(handle: AbortHandle) -> Self {
        Self(handle)
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}
