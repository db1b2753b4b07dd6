//! Who waits for what comes of a revision, and what is known of how revisions relate?
//!
//! Waits are judged when something happens to their app, not by asking again and again: [`Agent::judge_waits`] follows every
//! step of an engine, and costs nothing where nobody waits.

mod relations;
mod requested;

use crate::agent::{Agent, Task};
use crate::http;
use crate::input::Input;
use crate::polling::{Polled, look_up};
use crate::sources::RepoId;
use api::{ApiError, Awaited, Body, Reply};
use engine::waiting::{self, Outcome, Verdict, Wanted, Word};
use model::{AppKey, ObjectKey, Revision, Timestamp};
use relations::{Knowledge, Question, Relations};
use requested::{Request, judge_request, outcome_of_request};
use serde_json::{Value, json};
use source::SourceError;
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// How long after a question that Git could not be asked its repository is looked at again, so that it can be.
const PAUSE: Duration = Duration::from_secs(5);

/// All that wait.
#[derive(Default)]
pub(crate) struct Waits {
    /// Number of the newest wait.
    newest: u64,
    by_app: BTreeMap<AppKey, Vec<Waiter>>,
    relations: Relations,
    /// What completes the beginnings of SHAs, by repository, with the number of the poll that it follows.
    completing: BTreeMap<RepoId, (u64, Task)>,
    /// How the syncs ended that somebody asked for last: a sync of the agent's own may follow at once, and whoever asked
    /// waits only then.
    requests: BTreeMap<AppKey, Request>,
}

/// One that waits.
struct Waiter {
    id: u64,
    /// Number of the last poll that began before it.
    since: u64,
    /// What the caller calls the revision; empty for whatever the app follows, and for a sync.
    name: String,
    /// Whether it waits for a sync that was asked for, and for no revision.
    is_for_request: bool,
    /// Whether the name may be the beginning of a SHA.
    is_short: bool,
    wanted: Wanted,
    /// What it waits for, in words.
    waits_for: String,
    answer: oneshot::Sender<Reply>,
}

/// What names were found to stand for.
type Names = Result<BTreeMap<String, Result<Revision, SourceError>>, SourceError>;

/// What a wait has to hear.
pub(crate) enum WaitNews {
    /// Its time is over, or nobody wants its answer any more.
    Over(AppKey, u64),
    /// What the beginnings of SHAs in a repository stand for, looked up after the poll with this number.
    Completed(RepoId, u64, Names),
    /// Whether the last revision is the one before it or comes after it.
    Related(Question, Result<bool, SourceError>),
}

impl Waits {
    /// Puts back those of an app's that go on.
    fn put_back(&mut self, key: &AppKey, waiters: Vec<Waiter>) {
        if waiters.is_empty() {
            self.by_app.remove(key);
        } else {
            self.by_app.insert(key.clone(), waiters);
        }
    }
}

impl Waiter {
    fn is_unnamed(&self) -> bool {
        self.wanted.revision.is_none() && !self.name.is_empty()
    }

    /// Takes in a look at the repository that began after the wait did; `target` is what the app follows.
    fn looked(&mut self, polled: &Polled, target: Option<&String>) {
        self.wanted.has_looked = true;
        if self.wanted.revision.is_some() {
            return;
        }
        let found = match polled {
            Ok(found) => found,
            Err(error) => return self.waits_for = error.to_string(),
        };
        if self.name.is_empty() {
            let followed = target.and_then(|target| found.targets.get(target));
            self.wanted.revision = followed.and_then(|found| found.as_ref().ok()).cloned();
            return;
        }
        self.is_short = false;
        match found.names.get(&self.name) {
            Some(Ok(Some(revision))) => self.wanted.revision = Some(revision.clone()),
            Some(Ok(None)) => self.is_short = true,
            Some(Err(error)) => self.waits_for = error.to_string(),
            None => {}
        }
    }
}

impl Agent {
    /// Begins a wait; returns its number. The answer is sent once it is known.
    pub(crate) fn begin_wait(
        &mut self,
        key: &AppKey,
        awaited: Awaited,
        answer: oneshot::Sender<Reply>,
    ) -> u64 {
        let is_for_request = awaited == Awaited::Sync;
        let name = match awaited {
            Awaited::Revision(name) => name,
            Awaited::Sync | Awaited::Followed => String::new(),
        };
        self.waits.newest += 1;
        let id = self.waits.newest;
        let is_whole = name.len() == 40 && name.bytes().all(|byte| byte.is_ascii_hexdigit());
        let repository = self.repos.of(key).map(|(id, _)| id.clone());
        let wanted = Wanted {
            revision: is_whole.then(|| Revision::new(name.to_ascii_lowercase())),
            // Where nothing is followed, nothing is going to be looked at.
            has_looked: repository.is_none(),
            ..Wanted::default()
        };
        // Whatever was pushed before the wait began is looked at now.
        let since = repository.map_or(0, |repository| self.repos.look(&repository, Instant::now()));
        let waits_for = "the repository to answer".to_owned();
        let waiter = Waiter { id, since, name, is_for_request, is_short: false, wanted, waits_for, answer };
        self.waits.by_app.entry(key.clone()).or_default().push(waiter);
        self.judge_waits(key);
        id
    }

    /// Takes in what waits have to hear.
    pub(crate) fn wait_news(&mut self, news: WaitNews) {
        match news {
            WaitNews::Over(key, id) => self.end_wait(&key, id),
            WaitNews::Completed(id, number, found) => {
                if self.waits.completing.get(&id).is_none_or(|(after, _)| *after != number) {
                    return;
                }
                self.waits.completing.remove(&id);
                for key in self.waiting_on(&id) {
                    for waiter in self.waits.by_app.get_mut(&key).into_iter().flatten() {
                        take_name(waiter, &found);
                    }
                }
                self.judge_waits_on(&id);
            }
            WaitNews::Related(question, holds) => {
                let id = &question.0;
                if self.waits.relations.answered(&question, holds) {
                    self.repos.look(id, Instant::now() + PAUSE);
                }
                self.judge_waits_on(id);
            }
        }
    }

    /// Returns the apps of a repository that somebody waits for.
    fn waiting_on(&self, id: &RepoId) -> Vec<AppKey> {
        let is_on = |key: &&AppKey| self.repos.of(key).is_some_and(|(of, _)| of == id);
        self.waits.by_app.keys().filter(is_on).cloned().collect()
    }

    /// Returns the names that are waited for in a repository: the next look at it finds out what they stand for.
    pub(crate) fn names_waited_for(&self, id: &RepoId) -> BTreeSet<String> {
        let keys = self.waiting_on(id);
        let waiters = keys.iter().filter_map(|key| self.waits.by_app.get(key)).flatten();
        waiters.filter(|waiter| waiter.is_unnamed()).map(|waiter| waiter.name.clone()).collect()
    }

    /// Takes in a look at a repository: it answers the waits that began before it did.
    pub(crate) fn waits_looked(&mut self, id: &RepoId, number: u64, polled: &Polled) {
        for key in self.waiting_on(id) {
            let target = self.repos.of(&key).and_then(|(_, repo)| repo.followers.get(&key));
            let waiters = self.waits.by_app.get_mut(&key).into_iter().flatten();
            for waiter in waiters.filter(|waiter| waiter.since < number) {
                waiter.looked(polled, target);
            }
        }
        if polled.is_ok() {
            self.waits.relations.retry(id);
            self.complete_names(id);
        }
    }

    /// Completes the beginnings of SHAs that are waited for in a repository: it takes a look at all that it holds, of which
    /// there is one at a time.
    fn complete_names(&mut self, id: &RepoId) {
        let keys = self.waiting_on(id);
        let waiters = keys.iter().filter_map(|key| self.waits.by_app.get(key)).flatten();
        let short = waiters.filter(|waiter| waiter.is_short && waiter.is_unnamed());
        let names: BTreeSet<String> = short.map(|waiter| waiter.name.clone()).collect();
        let Some(repo) = self.repos.get(id).filter(|_| !names.is_empty()) else { return };
        if self.waits.completing.contains_key(id) {
            return;
        }
        let (sources, repository, of) = (self.sources.clone(), repo.repository.clone(), id.clone());
        let (names, number) = (names.into_iter().collect::<Vec<_>>(), repo.number);
        let task = self.spawn_task(async move {
            let found = look_up(&sources, &repository, &names).await;
            Input::Waiting(WaitNews::Completed(of, number, found))
        });
        self.waits.completing.insert(id.clone(), (number, task));
    }

    /// Ends those waits for the apps of a repository that are decided by now.
    pub(crate) fn judge_waits_on(&mut self, id: &RepoId) {
        for key in self.waiting_on(id) {
            self.judge_waits(&key);
        }
    }

    /// Ends those waits for an app that are decided by what is known of it now.
    pub(crate) fn judge_waits(&mut self, key: &AppKey) {
        self.note_request(key);
        let Some(waiters) = self.waits.by_app.remove(key) else { return };
        let app = self.apps.get(key).and_then(|entry| Some((&entry.state, entry.app.as_deref()?)));
        let Some((state, app)) = app else { return self.waits.put_back(key, waiters) };
        let id = self.repos.of(key).map_or_else(RepoId::default, |(id, _)| id.clone());
        let (n_waiters, mut going_on, mut unknown) = (waiters.len(), Vec::new(), Vec::new());
        for mut waiter in waiters {
            if waiter.answer.is_closed() {
                continue;
            }
            if waiter.is_for_request {
                let outcome = outcome_of_request((state, app), || self.apps[key].stored.value());
                going_on.extend(judge_request(waiter, (key, state), outcome, self.waits.requests.get(key)));
                continue;
            }
            let related = self.waits.relations.relate(&mut waiter.wanted, state, &id, &mut unknown);
            let outcome = match related {
                Knowledge::Whole => Some(waiting::outcome(state, app, &waiter.wanted)),
                Knowledge::Lacking(why) => {
                    waiter.waits_for = why.unwrap_or(waiter.waits_for);
                    waiting::obstructed(state, app, &waiter.wanted)
                }
            };
            match outcome {
                Some(Outcome::Decided(verdict)) => {
                    let (status, body) = verdict_json(key, &verdict);
                    http::send(waiter.answer, Ok(Body::Verdict(status, body)));
                    continue;
                }
                // While its name stands for nothing, the look-up says it better.
                Some(Outcome::Waits(what)) if !waiter.is_unnamed() => waiter.waits_for = what,
                Some(Outcome::Waits(_)) | None => {}
            }
            going_on.push(waiter);
        }
        let has_ended = going_on.len() < n_waiters;
        self.waits.put_back(key, going_on);
        if has_ended {
            self.tidy_waits();
        }
        for question in unknown {
            self.ask_relation(key, question);
        }
    }

    /// Asks Git whether a revision is the wanted one or comes after it.
    fn ask_relation(&mut self, key: &AppKey, question: Question) {
        let repository = self.repos.of(key).map(|(_, repo)| repo.repository.clone());
        let (sources, asked) = (self.sources.clone(), question.clone());
        let task = self.spawn_task(async move {
            let (_, wanted, revision) = &question;
            let holds = match repository {
                Some(repository) => sources.is_ancestor(&repository, wanted, revision).await,
                None => Ok(false),
            };
            Input::Waiting(WaitNews::Related(question, holds))
        });
        self.waits.relations.asking(&asked, task);
    }

    /// Gives up what nobody waits for any more.
    fn tidy_waits(&mut self) {
        let waiters =
            || self.waits.by_app.iter().flat_map(|(key, waiters)| waiters.iter().map(move |w| (key, w)));
        let wanted = waiters().filter_map(|(_, waiter)| waiter.wanted.revision.as_ref()).collect();
        let short = waiters().filter(|(_, waiter)| waiter.is_short && waiter.is_unnamed());
        let needed: BTreeSet<&RepoId> = short.filter_map(|(key, _)| Some(self.repos.of(key)?.0)).collect();
        self.waits.relations.keep(&wanted);
        self.waits.completing.retain(|id, _| needed.contains(id));
    }

    /// Ends a wait whose time is over.
    fn end_wait(&mut self, key: &AppKey, id: u64) {
        self.judge_waits(key);
        let Some(waiters) = self.waits.by_app.remove(key) else { return };
        let (over, going_on) = waiters.into_iter().partition(|waiter| waiter.id == id);
        self.waits.put_back(key, going_on);
        self.tidy_waits();
        let sync = self.apps.get(key).and_then(|entry| waiting::sync_under_way(&entry.state));
        for Waiter { wanted, name, waits_for, answer, .. } in over {
            let revision = wanted.revision.as_ref().map_or(name.as_str(), Revision::as_str);
            let message =
                format!("no verdict yet: the application waits for {waits_for}; ask again to wait on");
            let mut body = ApiError::late(message).to_json();
            body["application"] = json!(key.to_string());
            body["revision"] = json!(revision);
            body["waitsFor"] = json!(waits_for);
            if let Some(sync) = sync {
                body["syncId"] = sync_id(sync);
            }
            http::send(answer, Ok(Body::Verdict(408, body)));
        }
    }

    /// Ends all waits for an app because it is gone.
    pub(crate) fn forget_waits(&mut self, key: &AppKey) {
        self.waits.requests.remove(key);
        for waiter in self.waits.by_app.remove(key).unwrap_or_default() {
            http::send(waiter.answer, Err(ApiError::not_found("the application is gone")));
        }
        self.tidy_waits();
    }

    /// Ends all waits because another replica decides from now on.
    pub(crate) fn leave_waits(&mut self) {
        let writing = self.writing();
        self.waits.requests.clear();
        for waiter in std::mem::take(&mut self.waits.by_app).into_values().flatten() {
            http::send(waiter.answer, Err(http::not_the_writer(writing)));
        }
        self.tidy_waits();
    }
}

/// Takes in what beginnings of SHAs stand for.
fn take_name(waiter: &mut Waiter, found: &Names) {
    if !waiter.is_unnamed() {
        return;
    }
    match found.as_ref().map(|found| found.get(&waiter.name)) {
        Ok(Some(Ok(revision))) => waiter.wanted.revision = Some(revision.clone()),
        Ok(Some(Err(error))) | Err(error) => waiter.waits_for = error.to_string(),
        Ok(None) => {}
    }
}

/// Writes a verdict, and its HTTP status: 200 where it is what was hoped for, and 409 with an error's fields where it is not,
/// so that `curl --fail` tells the two apart.
pub(crate) fn verdict_json(key: &AppKey, verdict: &Verdict) -> (u16, Value) {
    let Verdict { word, revision, sync, object, message } = verdict;
    let (status, mut body) = match word {
        Word::Deployed => (200, json!({"message": message})),
        Word::Superseded
        | Word::RolledBack
        | Word::Quarantined
        | Word::Inconclusive
        | Word::Held
        | Word::Failed
        | Word::NotRequested => (409, ApiError::ruled_out(message).to_json()),
    };
    body["verdict"] = json!(word.as_str());
    body["revision"] = json!(revision.as_str());
    body["application"] = json!(key.to_string());
    if let Some(sync) = sync {
        body["syncId"] = sync_id(*sync);
    }
    if let Some(object) = object {
        body["object"] = object_json(object);
    }
    (status, body)
}

/// Names a sync by the second in which it began, as its status does: so it has the same name after a restart.
fn sync_id(began: Timestamp) -> Value {
    json!(began.as_millis().div_euclid(1000))
}

fn object_json(key: &ObjectKey) -> Value {
    let ObjectKey { group, kind, namespace, name } = key;
    json!({"group": group, "kind": kind, "namespace": namespace, "name": name})
}

#[cfg(test)]
mod tests;
