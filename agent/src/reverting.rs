//! When is a commit that was bad taken back in Git?
//!
//! ```text
//! Effect::Revert of each app ─▶ queue: one entry per repository, branch and commit
//!                                 │ once nobody else is still finding out about that commit
//!                                 ▼
//!      does Git hold the release? ─▶ Sources::revert ─▶ Event::Reverted for each of them, and a poll
//! ```

mod message;

use crate::agent::Agent;
use crate::effects::Render;
use crate::input::{Input, RenderError};
use crate::repo::wait;
use crate::sources::RepoId;
use engine::{Event, Reversal};
use message::message;
use model::{App, AppKey, HeldStage, Reason, Revision};
use source::{Part, Repository, Revert, RevertPolicy, RevertTo, Reverted, SourceError, Sources};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long the apps that are rolled back wait for others that still find out about the same commit: one commit that breaks
/// several is taken back once.
const GATHERS: Duration = Duration::from_mins(1);
/// How often it is looked at whether they still do.
const LOOKS: Duration = Duration::from_secs(1);
/// After a failure that may pass, it is tried again as if that many looks at the repository had failed before: after some 15
/// seconds, and up to five minutes.
const PATIENCE: u32 = 3;

/// What is taken back by one commit: a repository as one project reaches it, what the apps follow, and the commit that was bad.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Wrong {
    id: RepoId,
    branch: String,
    commit: String,
}

/// What waits to be taken back.
#[derive(Default)]
pub(crate) struct Reverting(BTreeMap<Wrong, Waiting>);

struct Waiting {
    /// What was rolled back because of it.
    apps: BTreeMap<AppKey, (Arc<App>, Reversal)>,
    /// When it is looked at again whether others still find out.
    next_look: Instant,
    /// Until when others are waited for, and after a failure until when nothing is tried.
    until: Instant,
    n_failed: u32,
    is_pushing: bool,
}

/// What came of it.
pub(crate) struct Pushed {
    outcome: Result<Reverted, SourceError>,
    /// Apps that it leaves out, and why.
    left: BTreeMap<AppKey, String>,
}

impl Reverting {
    /// Returns when something is to be looked at although nothing happens.
    pub(crate) fn next_due(&self) -> Option<Instant> {
        let waiting = self.0.values().filter(|waiting| !waiting.is_pushing);
        waiting.map(|waiting| waiting.until.min(waiting.next_look)).min()
    }
}

impl Agent {
    /// Has a commit taken back, where that is wanted of its repository.
    pub(crate) fn revert(&mut self, key: &AppKey, app: &Arc<App>, reversal: Reversal) {
        let (Some((id, _)), true) = (self.repos.of(key), self.revert_policy(key).is_some()) else { return };
        let wrong = Wrong {
            id: id.clone(),
            branch: app.source.target_revision.clone(),
            commit: reversal.bad.revision.as_str().into(),
        };
        let now = Instant::now();
        let waiting = self.reverting.0.entry(wrong).or_insert_with(|| Waiting {
            apps: BTreeMap::new(),
            next_look: now,
            until: now + GATHERS,
            n_failed: 0,
            is_pushing: false,
        });
        waiting.apps.insert(key.clone(), (Arc::clone(app), reversal));
    }

    /// Returns what the Secret of an app's repository says about reverts now.
    fn revert_policy(&self, key: &AppKey) -> Option<RevertPolicy> {
        let (id, repo) = self.repos.of(key)?;
        source::reverts(&self.settings.secrets(), &repo.repository.url, &id.project).cloned()
    }

    /// Takes back what is ripe for it.
    pub(crate) fn push_reverts(&mut self) {
        if self.reverting.0.is_empty() {
            return;
        }
        if !self.may_write {
            // Whoever writes next is asked anew.
            self.reverting.0.clear();
            return;
        }
        let now = Instant::now();
        let mut queue = std::mem::take(&mut self.reverting.0);
        queue.retain(|wrong, waiting| {
            if waiting.is_pushing || now < waiting.next_look.min(waiting.until) {
                return true;
            }
            waiting.next_look = now + LOOKS;
            waiting.apps.retain(|key, (_, reversal)| self.is_to_be_reverted(key, reversal));
            let is_over = waiting.n_failed == 0 && !self.is_undecided(wrong, waiting);
            let is_ripe = is_over || waiting.until <= now;
            if is_ripe {
                waiting.is_pushing = self.push_revert(wrong, waiting);
            }
            waiting.is_pushing || !(is_ripe || waiting.apps.is_empty())
        });
        self.reverting.0 = queue;
    }

    /// Returns whether what an app was taken back from is still to be taken back: Git may have moved on, or people.
    fn is_to_be_reverted(&self, key: &AppKey, reversal: &Reversal) -> bool {
        let Some(entry) = self.apps.get(key) else { return false };
        let is_same = entry.state.hold.as_ref().is_some_and(|hold| hold.held.bad.hash == reversal.bad.hash);
        let is_going = entry.app.as_ref().is_none_or(|app| app.deletion.is_some() || app.skip_reconcile);
        is_same && !is_going && entry.state.wants_to_revert()
    }

    /// Returns whether some other app of the branch is still finding out about the commit.
    fn is_undecided(&self, wrong: &Wrong, waiting: &Waiting) -> bool {
        let is_of = |revision: &Revision| revision.as_str() == wrong.commit;
        let followers = self.repos.get(&wrong.id).into_iter().flat_map(|repo| &repo.followers);
        let others =
            followers.filter(|(key, target)| **target == wrong.branch && !waiting.apps.contains_key(*key));
        others.filter_map(|(key, _)| self.apps.get(key)).any(|entry| {
            let state = &entry.state;
            let soaking = state.soak.as_ref().map(|soak| &soak.run);
            let runs = state.run().into_iter().chain(soaking).filter_map(|run| run.desired.as_ref());
            let is_restoring = state.hold.as_ref().is_some_and(|hold| {
                hold.held.stage == HeldStage::Restoring && is_of(&hold.held.bad.revision)
            });
            is_restoring
                || state.rendering.as_ref().is_some_and(is_of)
                || runs.map(|desired| &desired.revision).any(is_of)
        })
    }

    /// Pushes a revert; returns whether it is on its way.
    fn push_revert(&self, wrong: &Wrong, waiting: &Waiting) -> bool {
        let Some(first) = waiting.apps.keys().next() else { return false };
        let (Some((_, repo)), Some(policy)) = (self.repos.of(first), self.revert_policy(first)) else {
            return false;
        };
        let of_app = |(key, (app, reversal)): (&AppKey, &(Arc<App>, Reversal))| {
            let render = self.render_of(key, app, reversal.at.revision.clone())?;
            Some((key.clone(), Asked { app: Arc::clone(app), reversal: reversal.clone(), render }))
        };
        let push = Push {
            sources: self.sources.clone(),
            repository: repo.repository.clone(),
            wrong: wrong.clone(),
            policy,
            url: self.settings.url.clone(),
            apps: waiting.apps.iter().filter_map(of_app).collect(),
        };
        let wrong = wrong.clone();
        self.spawn(async move { Input::Reverted(wrong, push.run().await) });
        true
    }

    /// Takes in what came of a revert.
    pub(crate) fn reverted(&mut self, wrong: &Wrong, pushed: Pushed) {
        let Some(waiting) = self.reverting.0.get_mut(wrong) else { return };
        let commit = Revision::new(wrong.commit.as_str());
        let not_back = |why: &str| Err(format!("{} is not taken back in Git: {why}", commit.short()));
        let outcome = match pushed.outcome {
            Ok(Reverted::Pushed { revision, branch, .. }) => {
                Ok(format!("pushed {} to {branch}, which takes {} back", revision.short(), commit.short()))
            }
            Ok(Reverted::Nothing(why)) => not_back(&why),
            Err(error) if error.is_transient() => {
                waiting.is_pushing = false;
                waiting.n_failed += 1;
                waiting.until =
                    Instant::now() + wait(Duration::ZERO, waiting.n_failed + PATIENCE, &wrong.id.url);
                waiting.next_look = waiting.until;
                tracing::warn!(
                    repository = wrong.id.url,
                    reason = Reason::RevertFailed.as_str(),
                    "{} cannot be taken back in Git, and that is tried again: {error}",
                    commit.short()
                );
                return;
            }
            Err(error) => Err(format!("{} cannot be taken back in Git: {error}", commit.short())),
        };
        let Some(waiting) = self.reverting.0.remove(wrong) else { return };
        for (key, (_, reversal)) in waiting.apps {
            let own = pushed.left.get(&key).map(|why| not_back(why));
            let outcome = own.unwrap_or_else(|| outcome.clone());
            self.event(&key, Event::Reverted { hash: reversal.bad.hash, outcome });
        }
        self.repos.hint(&wrong.id.url, Instant::now());
    }
}

/// Everything that one push needs.
struct Push {
    sources: Sources,
    repository: Repository,
    wrong: Wrong,
    policy: RevertPolicy,
    /// Where people see Applications.
    url: Option<String>,
    apps: BTreeMap<AppKey, Asked>,
}

struct Asked {
    app: Arc<App>,
    reversal: Reversal,
    /// What the commit of the release gives for the app as it is now.
    render: Render,
}

impl Push {
    async fn run(mut self) -> Pushed {
        let mut left = BTreeMap::new();
        for (key, asked) in std::mem::take(&mut self.apps) {
            let stable = &asked.reversal.at;
            match asked.render.clone().run().await {
                Ok(set) if set.hash() == stable.hash => {
                    self.apps.insert(key, asked);
                }
                Err(RenderError::Source(error)) if error.is_transient() => {
                    return Pushed { outcome: Err(error), left };
                }
                // The spec is another one since, and with it what the release was made of.
                Ok(_) | Err(_) => {
                    let (release, short) = (stable.number, stable.revision.short());
                    left.insert(key, format!("{short} does not hold what release {release} does"));
                }
            }
        }
        if self.apps.is_empty() {
            let why = left.values().next().cloned().unwrap_or_default();
            return Pushed { outcome: Ok(Reverted::Nothing(why)), left };
        }
        let outcome = self.sources.revert(&self.repository, &self.revert()).await;
        if let Ok(Reverted::Pushed { left: places, .. }) = &outcome {
            let keys: Vec<&AppKey> = self.apps.keys().collect();
            let named =
                places.iter().filter_map(|(place, why)| Some(((*keys.get(*place)?).clone(), why.clone())));
            left.extend(named);
        }
        Pushed { outcome, left }
    }

    /// Makes what is pushed.
    fn revert(&self) -> Revert {
        let bad = Revision::new(self.wrong.commit.as_str());
        let told = self.apps.iter().map(|(key, asked)| (key, &asked.reversal)).collect();
        Revert {
            branch: self.wrong.branch.clone(),
            own_branch: (self.policy.to == RevertTo::Own).then(|| format!("tautline/revert-{}", bad.short())),
            parts: self.apps.values().map(Asked::part).collect(),
            message: message(&bad, &told, self.url.as_deref()),
            author: self.policy.author.clone(),
            at: crate::clock::now(),
            bad,
        }
    }
}

impl Asked {
    fn part(&self) -> Part {
        let source = &self.app.source;
        let directory = source.directory.clone();
        Part {
            folder: source::Folder { path: source.path.clone(), recurse: directory.recurse },
            filter: Arc::new(move |relative: &str| crate::desired::is_read(relative, &directory)),
            good: self.reversal.at.revision.clone(),
        }
    }
}
