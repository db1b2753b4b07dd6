//! Which commit does each app follow? One poll per repository, however many apps are on it.

use crate::agent::Task;
use crate::polling::Polled;
use crate::repo::{Due, News, Repo, Turn, wait};
use model::AppKey;
use source::Repository;
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

/// What the apps of one repository look at, by the repository's normalised URL and whose credentials are shown to it.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct RepoId {
    /// Normalised URL: one clone each.
    pub url: String,
    /// AppProject, which decides whose credentials are used.
    pub project: String,
    /// Mark of the credentials that the URL itself carries; empty for none. Those of one app serve no other.
    pub login: String,
}

/// All repositories that some app follows.
#[derive(Default)]
pub(crate) struct Repositories {
    repos: BTreeMap<RepoId, Repo>,
    by_app: BTreeMap<AppKey, RepoId>,
    /// Number of the poll that began last.
    newest: u64,
}

impl Repositories {
    /// Makes an app follow a revision of a repository; it asks for an answer at once.
    pub(crate) fn follow(
        &mut self,
        app: &AppKey,
        id: RepoId,
        repository: Repository,
        target: &str,
        now: Instant,
    ) {
        if self.by_app.get(app) != Some(&id) {
            self.forget(app);
        }
        let repo = self.repos.entry(id.clone()).or_insert_with(|| Repo::new(repository.clone(), now));
        repo.repository = repository;
        repo.followers.insert(app.clone(), target.into());
        self.by_app.insert(app.clone(), id);
    }

    /// Stops following for an app; a repository that nobody follows is dropped.
    pub(crate) fn forget(&mut self, app: &AppKey) {
        let Some(id) = self.by_app.remove(app) else { return };
        let Some(repo) = self.repos.get_mut(&id) else { return };
        repo.followers.remove(app);
        repo.asking.remove(app);
        repo.answering.remove(app);
        if repo.followers.is_empty() {
            self.repos.remove(&id);
        }
    }

    /// Asks for a poll whose answer goes to `app` even if nothing moved.
    pub(crate) fn ask(&mut self, app: &AppKey, at: Instant) {
        if let Some(repo) = self.by_app.get(app).and_then(|id| self.repos.get_mut(id)) {
            repo.asking.insert(app.clone());
            repo.asked(at);
        }
    }

    /// Asks for a poll; returns the number of the last one that began before. The answer of any with a higher number will do.
    pub(crate) fn look(&mut self, id: &RepoId, at: Instant) -> u64 {
        if let Some(repo) = self.repos.get_mut(id) {
            repo.asked(at);
        }
        self.newest
    }

    /// Asks for a poll of a repository by its normalised URL, because something hinted that it moved.
    pub(crate) fn hint(&mut self, url: &str, now: Instant) {
        for (_, repo) in self.repos.iter_mut().filter(|(id, _)| id.url == url) {
            repo.hurry(now);
        }
    }

    /// Asks for polls of repositories that webhooks told of, by [`api::repository_key`]; returns of how many.
    pub(crate) fn pushed(&mut self, keys: &BTreeSet<String>, now: Instant) -> usize {
        let is_told = |id: &RepoId| api::repository_key(&id.url).is_some_and(|key| keys.contains(&key));
        let told = self.repos.iter_mut().filter(|(id, _)| is_told(id));
        told.map(|(_, repo)| repo.asked(now)).count()
    }

    /// Begins the polls that are due.
    pub(crate) fn take_due(&mut self, now: Instant) -> Vec<Due> {
        let due = self.repos.iter_mut().filter(|(_, repo)| !repo.is_polling && repo.due() <= now);
        due.map(|(id, repo)| {
            self.newest += 1;
            repo.begin(id, self.newest, now)
        })
        .collect()
    }

    /// Takes in what carries a poll out.
    pub(crate) fn polling(&mut self, id: &RepoId, task: Task) {
        if let Some(repo) = self.repos.get_mut(id) {
            repo.carried_out_by(task);
        }
    }

    /// Returns when the next poll is due.
    pub(crate) fn next_due(&self) -> Option<Instant> {
        self.repos.values().filter(|repo| !repo.is_polling).map(Repo::due).min()
    }

    /// Takes in a poll's answer; returns what each app has to hear, or nothing where nobody waits for that poll any more.
    pub(crate) fn polled(
        &mut self,
        (id, number): (&RepoId, u64),
        polled: &Polled,
        interval: Duration,
        now: Instant,
    ) -> Option<(Vec<News>, Option<Turn>)> {
        let repo = self.repos.get_mut(id).filter(|repo| repo.is_polling && repo.number == number)?;
        repo.ended(polled, now, |n_failed| wait(interval, n_failed, &id.url));
        let news = repo.news(polled, now);
        repo.remember(polled);
        Some((news, repo.turn(polled)))
    }

    /// Returns how to reach the repository of an app.
    pub(crate) fn of(&self, app: &AppKey) -> Option<(&RepoId, &Repo)> {
        let id = self.by_app.get(app)?;
        Some((id, self.repos.get(id)?))
    }

    /// Returns a repository.
    pub(crate) fn get(&self, id: &RepoId) -> Option<&Repo> {
        self.repos.get(id)
    }

    /// Returns all repositories.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&RepoId, &Repo)> {
        self.repos.iter()
    }
}

#[cfg(test)]
mod tests;
