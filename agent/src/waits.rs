//! Who waits for what comes of a revision, and what is known of how revisions relate?
//!
//! Waits are judged when something happens to their app, not by asking again and again: [`Agent::judge_waits`] follows every
//! step of an engine, and costs nothing where nobody waits.

use crate::agent::Agent;
use crate::effects::look_up;
use crate::http;
use crate::input::Input;
use crate::sources::RepoId;
use api::{ApiError, Body, Reply};
use engine::State;
use engine::waiting::{self, Outcome, Verdict, Wanted, Word};
use model::{AppKey, ObjectKey, Revision, Timestamp};
use serde_json::{Value, json};
use source::SourceError;
use std::collections::BTreeMap;
use tokio::sync::oneshot;

/// All that wait.
#[derive(Default)]
pub(crate) struct Waits {
    /// Number of the newest wait.
    newest: u64,
    by_app: BTreeMap<AppKey, Vec<Waiter>>,
    relations: Relations,
}

/// Whether the second revision is the first or comes after it, in the repository with this normalised URL; `None` while Git
/// is being asked. Forgotten when nobody waits.
type Relations = BTreeMap<(String, Revision, Revision), Option<bool>>;

/// One that waits.
struct Waiter {
    id: u64,
    /// What the caller calls the revision; empty for whatever the app follows.
    name: String,
    wanted: Wanted,
    /// What it waits for, in words.
    waits_for: String,
    answer: oneshot::Sender<Reply>,
}

/// What a wait has to hear.
pub(crate) enum WaitNews {
    /// Its time is over, or nobody wants its answer any more.
    Over(AppKey, u64),
    /// What its revision's name stands for.
    Named(AppKey, u64, Result<Revision, SourceError>),
    /// Whether the last revision is the one before it or comes after it, in the repository with this URL.
    Related(String, Revision, Revision, Result<bool, SourceError>),
}

impl Waits {
    fn get_mut(&mut self, key: &AppKey, id: u64) -> Option<&mut Waiter> {
        self.by_app.get_mut(key)?.iter_mut().find(|waiter| waiter.id == id)
    }

    /// Puts back those of an app's that go on.
    fn put_back(&mut self, key: &AppKey, waiters: Vec<Waiter>) {
        if waiters.is_empty() {
            self.by_app.remove(key);
        } else {
            self.by_app.insert(key.clone(), waiters);
        }
        if self.by_app.is_empty() {
            self.relations.clear();
        }
    }
}

impl Agent {
    /// Begins a wait; returns its number. The answer is sent once it is known.
    pub(crate) fn begin_wait(&mut self, key: &AppKey, name: String, answer: oneshot::Sender<Reply>) -> u64 {
        self.waits.newest += 1;
        let id = self.waits.newest;
        let waits_for = "the repository to answer".to_owned();
        let waiter = Waiter { id, wanted: Wanted::default(), waits_for, answer, name };
        self.waits.by_app.entry(key.clone()).or_default().push(waiter);
        self.name_waiter(key, id);
        // Whatever was pushed before the wait began is looked at now.
        self.repos.ask(key, std::time::Instant::now());
        self.judge_waits(key);
        id
    }

    /// Finds out what a wait's revision is called, unless the next look at Git says it.
    fn name_waiter(&mut self, key: &AppKey, id: u64) {
        let Some(waiter) = self.waits.get_mut(key, id) else { return };
        if waiter.name.len() == 40 && waiter.name.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            waiter.wanted.revision = Some(Revision::new(waiter.name.to_ascii_lowercase()));
            return;
        }
        let name = waiter.name.clone();
        let Some((_, repo)) = self.repos.of(key).filter(|_| !name.is_empty()) else { return };
        let (sources, repository, key) = (self.sources.clone(), repo.repository.clone(), key.clone());
        self.spawn(async move {
            let found = look_up(&sources, &repository, std::slice::from_ref(&name)).await;
            let found = found.and_then(|mut found| found.remove(&name).expect("it was asked for"));
            Input::Waiting(WaitNews::Named(key, id, found))
        });
    }

    /// Takes in what waits have to hear.
    pub(crate) fn wait_news(&mut self, news: WaitNews) {
        match news {
            WaitNews::Over(key, id) => self.end_wait(&key, id),
            WaitNews::Named(key, id, found) => {
                let Some(waiter) = self.waits.get_mut(&key, id) else { return };
                match found {
                    Ok(revision) => waiter.wanted.revision = Some(revision),
                    Err(error) => waiter.waits_for = error.to_string(),
                }
                self.judge_waits(&key);
            }
            WaitNews::Related(url, wanted, revision, holds) => {
                let relation = (url, wanted, revision);
                match holds {
                    Ok(holds) => self.waits.relations.insert(relation, Some(holds)),
                    // Whatever happens next to an app asks again.
                    Err(error) if error.is_transient() => self.waits.relations.remove(&relation),
                    Err(_) => self.waits.relations.insert(relation, Some(false)),
                };
                for key in self.waits.by_app.keys().cloned().collect::<Vec<_>>() {
                    self.judge_waits(&key);
                }
            }
        }
    }

    /// Takes in that a repository was looked at: names may stand for something now.
    pub(crate) fn waits_polled(&mut self, id: &RepoId) {
        let of_it = |key: &AppKey| self.repos.of(key).is_some_and(|(of, _)| of == id);
        let waiters = self.waits.by_app.iter().filter(|(key, _)| of_it(key));
        let waiters = waiters.flat_map(|(key, waiters)| waiters.iter().map(move |waiter| (key, waiter)));
        let unnamed = waiters.filter(|(_, waiter)| waiter.wanted.revision.is_none());
        for (key, id) in unnamed.map(|(key, waiter)| (key.clone(), waiter.id)).collect::<Vec<_>>() {
            self.name_waiter(&key, id);
        }
    }

    /// Takes in what the app follows, by a look at Git that began after its waits did.
    pub(crate) fn waits_looked(&mut self, key: &AppKey, revision: &Revision) {
        for waiter in self.waits.by_app.get_mut(key).into_iter().flatten() {
            if waiter.name.is_empty() {
                waiter.wanted.revision.get_or_insert_with(|| revision.clone());
            }
        }
    }

    /// Ends those waits for an app that are decided by what is known of it now.
    pub(crate) fn judge_waits(&mut self, key: &AppKey) {
        let Some(waiters) = self.waits.by_app.remove(key) else { return };
        let app = self.apps.get(key).and_then(|entry| Some((&entry.state, entry.app.as_deref()?)));
        let Some((state, app)) = app else { return self.waits.put_back(key, waiters) };
        let url = self.repos.of(key).map_or(String::new(), |(id, _)| id.url.clone());
        let (mut going_on, mut unknown) = (Vec::new(), Vec::new());
        for mut waiter in waiters {
            if waiter.answer.is_closed() {
                continue;
            }
            if !relate(&mut waiter.wanted, state, &url, &mut self.waits.relations, &mut unknown) {
                going_on.push(waiter);
                continue;
            }
            match waiting::outcome(state, app, &waiter.wanted) {
                Outcome::Decided(verdict) => http::send(waiter.answer, Ok(decided(key, &verdict))),
                Outcome::Waits(what) => {
                    // While its name stands for nothing, the look-up says it better.
                    if waiter.wanted.revision.is_some() || waiter.name.is_empty() {
                        waiter.waits_for = what;
                    }
                    going_on.push(waiter);
                }
            }
        }
        self.waits.put_back(key, going_on);
        for (wanted, revision) in unknown {
            self.ask_relation(key, &url, wanted, revision);
        }
    }

    /// Asks Git whether a revision is the wanted one or comes after it.
    fn ask_relation(&self, key: &AppKey, url: &str, wanted: Revision, revision: Revision) {
        let repository = self.repos.of(key).map(|(_, repo)| repo.repository.clone());
        let (sources, url) = (self.sources.clone(), url.to_owned());
        self.spawn(async move {
            let holds = match repository {
                Some(repository) => sources.is_ancestor(&repository, &wanted, &revision).await,
                None => Ok(false),
            };
            Input::Waiting(WaitNews::Related(url, wanted, revision, holds))
        });
    }

    /// Ends a wait whose time is over.
    fn end_wait(&mut self, key: &AppKey, id: u64) {
        self.judge_waits(key);
        let Some(waiters) = self.waits.by_app.remove(key) else { return };
        let (over, going_on) = waiters.into_iter().partition(|waiter| waiter.id == id);
        self.waits.put_back(key, going_on);
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
        for waiter in self.waits.by_app.remove(key).unwrap_or_default() {
            http::send(waiter.answer, Err(ApiError::not_found("the application is gone")));
        }
    }

    /// Ends all waits because another replica decides from now on.
    pub(crate) fn leave_waits(&mut self) {
        let writing = self.writing();
        for waiter in std::mem::take(&mut self.waits.by_app).into_values().flatten() {
            http::send(waiter.answer, Err(http::not_the_writer(writing)));
        }
    }
}

/// Notes which of the app's revisions hold the wanted one; returns whether that is known of all. Those that Git has to be
/// asked about are added to `unknown`, once.
fn relate(
    wanted: &mut Wanted,
    state: &State,
    url: &str,
    relations: &mut Relations,
    unknown: &mut Vec<(Revision, Revision)>,
) -> bool {
    let Some(target) = &wanted.revision else { return true };
    wanted.reached.clear();
    let mut is_known = true;
    for revision in waiting::revisions(state) {
        let relation = || (url.to_owned(), target.clone(), revision.clone());
        let holds = if revision == target { Some(Some(true)) } else { relations.get(&relation()).copied() };
        match holds {
            Some(Some(true)) => {
                wanted.reached.insert(revision.clone());
            }
            Some(Some(false)) => {}
            Some(None) => is_known = false,
            None => {
                is_known = false;
                relations.insert(relation(), None);
                unknown.push((target.clone(), revision.clone()));
            }
        }
    }
    wanted.was_reached |= is_known && !wanted.reached.is_empty();
    is_known
}

/// Writes a verdict: with 200 where it is what was hoped for, and with 409 and an error's fields where it is not, so that
/// `curl --fail` tells the two apart.
fn decided(key: &AppKey, verdict: &Verdict) -> Body {
    let Verdict { word, revision, sync, object, message } = verdict;
    let (status, mut body) = match word {
        Word::Deployed => (200, json!({"message": message})),
        Word::Superseded | Word::Held | Word::Failed | Word::NotRequested => {
            (409, ApiError::ruled_out(message).to_json())
        }
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
    Body::Verdict(status, body)
}

/// Names a sync by the second in which it began, as its status does: so it has the same name after a restart.
fn sync_id(began: Timestamp) -> Value {
    json!(began.as_millis().div_euclid(1000))
}

fn object_json(key: &ObjectKey) -> Value {
    let ObjectKey { group, kind, namespace, name } = key;
    json!({"group": group, "kind": kind, "namespace": namespace, "name": name})
}
