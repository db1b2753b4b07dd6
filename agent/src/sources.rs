//! Which commit does each app follow? One poll per repository, however many apps are on it.

use crate::agent::Task;
use crate::repo::{Polled, Repo, wait};
use model::{AppKey, Revision};
use source::{Repository, SourceError};
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

/// What the apps of one repository look at, by the repository's normalised URL and whose credentials are shown to it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
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

    /// Asks for a poll at once, whose answer goes to `app` even if nothing moved.
    pub(crate) fn ask(&mut self, app: &AppKey, now: Instant) {
        if let Some(repo) = self.by_app.get(app).and_then(|id| self.repos.get_mut(id)) {
            repo.asking.insert(app.clone());
            repo.hurry(now);
        }
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
        told.map(|(_, repo)| repo.pushed(now)).count()
    }

    /// Returns the repositories whose poll is due and marks them as being polled.
    pub(crate) fn take_due(&mut self, now: Instant) -> Vec<(RepoId, Repository, Vec<String>)> {
        let due = self.repos.iter_mut().filter(|(_, repo)| !repo.is_polling && repo.due() <= now);
        due.map(|(id, repo)| {
            let targets = repo.begin(now);
            (id.clone(), repo.repository.clone(), targets)
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

    /// Takes in a poll's answer; returns what each app has to hear.
    pub(crate) fn polled(
        &mut self,
        id: &RepoId,
        polled: &Polled,
        interval: Duration,
        now: Instant,
    ) -> Vec<(AppKey, Result<Revision, SourceError>)> {
        let Some(repo) = self.repos.get_mut(id) else { return Vec::new() };
        repo.ended(polled, now, |n_failed| wait(interval, n_failed, &id.url));
        let news = repo.news(polled, now);
        repo.remember(polled);
        news
    }

    /// Returns how to reach the repository of an app.
    pub(crate) fn of(&self, app: &AppKey) -> Option<(&RepoId, &Repo)> {
        let id = self.by_app.get(app)?;
        Some((id, self.repos.get(id)?))
    }

    /// Returns all repositories.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&RepoId, &Repo)> {
        self.repos.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use source::{Credentials, Kind, RepoUrl};

    const INTERVAL: Duration = Duration::from_secs(30);

    /// Two apps on `main` and one on `v1` of one repository.
    struct Shop {
        repos: Repositories,
        now: Instant,
    }

    fn key(name: &str) -> AppKey {
        AppKey::new("argocd", name)
    }

    fn id() -> RepoId {
        RepoId { url: "https://git.example/shop".into(), project: "default".into(), login: String::new() }
    }

    #[expect(clippy::unnecessary_wraps, reason = "it is what a poll answers")]
    fn found(main: &str) -> Polled {
        let revision = |text: &str| Ok(Revision::new(text));
        Ok(BTreeMap::from([("main".to_owned(), revision(main)), ("v1".to_owned(), revision("one"))]))
    }

    fn away() -> Polled {
        Err(SourceError::new(Kind::Unavailable, "no answer"))
    }

    impl Shop {
        fn new() -> Self {
            let mut shop = Self { repos: Repositories::default(), now: Instant::now() };
            for (app, target) in [("a", "main"), ("b", "main"), ("old", "v1")] {
                shop.follow(app, target);
            }
            shop
        }

        fn follow(&mut self, app: &str, target: &str) {
            let url = RepoUrl::parse("https://git.example/shop").unwrap();
            let repository = Repository::new(url, Credentials::None);
            self.repos.follow(&key(app), id(), repository, target, self.now);
            self.repos.ask(&key(app), self.now);
        }

        /// Starts the polls that are due; returns how many there are.
        fn begin(&mut self) -> usize {
            self.repos.take_due(self.now).len()
        }

        /// Answers a poll; returns who hears of it, and whether it is good news.
        fn answer(&mut self, polled: &Polled) -> Vec<String> {
            let news = self.repos.polled(&id(), polled, INTERVAL, self.now);
            news.into_iter()
                .map(|(app, answer)| {
                    format!("{} {}", app.name, answer.map_or("fails".into(), |r| r.to_string()))
                })
                .collect()
        }

        fn later(&mut self, seconds: u64) {
            self.now += Duration::from_secs(seconds);
        }
    }

    #[test]
    fn one_poll_answers_all_apps_of_a_repository_and_then_only_those_whose_target_moved() {
        let mut shop = Shop::new();
        assert_eq!((shop.begin(), shop.begin()), (1, 0));
        assert_eq!(shop.answer(&found("x")), ["a x", "b x", "old one"]);
        assert_eq!(shop.begin(), 0);
        shop.later(34);
        assert_eq!(shop.begin(), 1);
        assert!(shop.answer(&found("x")).is_empty());
        shop.later(34);
        assert_eq!(shop.begin(), 1);
        assert_eq!(shop.answer(&found("y")), ["a y", "b y"]);
    }

    #[test]
    fn what_is_asked_or_hinted_during_a_poll_is_polled_once_more() {
        let mut shop = Shop::new();
        shop.begin();
        shop.answer(&found("x"));
        shop.repos.hint(&id().url, shop.now);
        assert_eq!(shop.begin(), 1);
        shop.repos.hint(&id().url, shop.now);
        shop.repos.ask(&key("b"), shop.now);
        assert_eq!(shop.begin(), 0);
        // The refs may have been read before it was asked.
        assert!(shop.answer(&found("x")).is_empty());
        assert_eq!(shop.begin(), 1);
        // Whoever asks hears an answer even where nothing moved.
        assert_eq!(shop.answer(&found("x")), ["b x"]);
        // What moved is not told to who asked during the poll, but by the next one.
        shop.repos.hint(&id().url, shop.now);
        assert_eq!(shop.begin(), 1);
        shop.repos.ask(&key("b"), shop.now);
        assert_eq!(shop.answer(&found("y")), ["a y"]);
        assert_eq!(shop.begin(), 1);
        assert_eq!(shop.answer(&found("y")), ["b y"]);
        assert_eq!(shop.begin(), 0);
    }

    // N46: replays
    #[test]
    fn a_thousand_webhooks_are_one_poll_at_once_and_one_later_and_none_when_it_is_over() {
        let mut shop = Shop::new();
        shop.begin();
        shop.answer(&found("x"));
        let push =
            |shop: &mut Shop| shop.repos.pushed(&BTreeSet::from(["git.example/shop".into()]), shop.now);
        let flood = |shop: &mut Shop| {
            let pushes = (0..1_000).map(|_| {
                assert_eq!(push(shop), 1);
                shop.begin()
            });
            pushes.sum::<usize>()
        };
        assert_eq!(flood(&mut shop), 1);
        shop.answer(&found("x"));
        assert_eq!(flood(&mut shop), 0, "it was asked just now");
        shop.later(1);
        assert_eq!(shop.begin(), 1);
        shop.answer(&found("x"));
        shop.later(5);
        assert_eq!(shop.begin(), 0);
        push(&mut shop);
        assert_eq!(shop.begin(), 1);
    }

    #[test]
    fn a_webhook_during_a_poll_is_answered_by_the_next_one_and_any_poll_after_it_will_do() {
        let mut shop = Shop::new();
        shop.begin();
        let keys = BTreeSet::from(["git.example/shop".to_owned(), "git.example/other".to_owned()]);
        assert_eq!(shop.repos.pushed(&keys, shop.now), 1);
        assert_eq!(shop.begin(), 0);
        // The refs may have been read before the push.
        shop.answer(&found("x"));
        assert_eq!(shop.begin(), 1);
        shop.answer(&found("x"));
        shop.repos.pushed(&keys, shop.now);
        shop.repos.hint(&id().url, shop.now);
        assert_eq!(shop.begin(), 1);
        shop.answer(&found("x"));
        shop.later(5);
        assert_eq!(shop.begin(), 0);
        assert_eq!(shop.repos.pushed(&BTreeSet::from(["git.example/shop-evil".into()]), shop.now), 0);
        assert_eq!(shop.begin(), 0);
    }

    #[test]
    fn who_follows_during_a_poll_is_answered_by_the_next() {
        let mut shop = Shop::new();
        shop.begin();
        shop.follow("new", "v2");
        shop.answer(&found("x"));
        assert_eq!(shop.begin(), 1);
    }

    #[test]
    fn failures_are_told_to_all_and_so_is_their_end() {
        let mut shop = Shop::new();
        shop.begin();
        shop.answer(&found("x"));
        shop.later(34);
        shop.begin();
        assert_eq!(shop.answer(&away()), ["a fails", "b fails", "old fails"]);
        shop.later(34);
        shop.begin();
        assert_eq!(shop.answer(&found("x")), ["a x", "b x", "old one"]);
    }

    #[tokio::test]
    async fn a_poll_ends_when_nobody_follows_any_more_and_not_before() {
        let mut shop = Shop::new();
        shop.begin();
        let (polls, mut end) = tokio::sync::oneshot::channel::<()>();
        let poll = tokio::spawn(async move {
            std::future::pending::<()>().await;
            drop(polls);
        });
        shop.repos.polling(&id(), Task::new(poll.abort_handle()));
        for app in ["a", "b"] {
            shop.repos.forget(&key(app));
        }
        assert!(end.try_recv() == Err(tokio::sync::oneshot::error::TryRecvError::Empty), "one still waits");
        shop.repos.forget(&key("old"));
        assert!(poll.await.unwrap_err().is_cancelled());
        assert!(end.await.is_err());
    }

    #[test]
    fn a_repository_that_nobody_follows_is_dropped() {
        let mut shop = Shop::new();
        for app in ["a", "b", "old"] {
            shop.repos.forget(&key(app));
        }
        assert_eq!((shop.repos.iter().count(), shop.repos.next_due()), (0, None));
    }
}
