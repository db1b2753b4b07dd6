//! Who hears of which poll, and how many polls are there?

use super::*;
use crate::polling::Found;
use model::Revision;
use source::{Credentials, Kind, RepoUrl, SourceError};

const INTERVAL: Duration = Duration::from_secs(30);

/// Two apps on `main` and one on `v1` of one repository.
struct Shop {
    repos: Repositories,
    now: Instant,
    /// The poll under way.
    number: u64,
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
    let targets = BTreeMap::from([("main".to_owned(), revision(main)), ("v1".to_owned(), revision("one"))]);
    Ok(Found { targets, ..Found::default() })
}

fn away() -> Polled {
    Err(SourceError::new(Kind::Unavailable, "no answer"))
}

impl Shop {
    fn new() -> Self {
        let mut shop = Self { repos: Repositories::default(), now: Instant::now(), number: 0 };
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
        let due = self.repos.take_due(self.now);
        self.number = due.last().map_or(self.number, |due| due.number);
        due.len()
    }

    /// Answers a poll; returns who hears of it, whether it is good news, and whether it is no answer to what they asked.
    fn answer(&mut self, polled: &Polled) -> Vec<String> {
        let (news, _) = self.repos.polled((&id(), self.number), polled, INTERVAL, self.now).unwrap();
        let told = |news: News| {
            let answer = news.answer.map_or("fails".into(), |revision| revision.to_string());
            format!("{} {answer}{}", news.app.name, if news.is_overheard { " already" } else { "" })
        };
        news.into_iter().map(told).collect()
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
    assert_eq!(shop.begin(), 0);
    // The refs may have been read before it was hinted.
    assert!(shop.answer(&found("x")).is_empty());
    assert_eq!(shop.begin(), 1);
    shop.later(1);
    shop.repos.ask(&key("b"), shop.now);
    assert!(shop.answer(&found("x")).is_empty());
    assert_eq!(shop.begin(), 1);
    // Whoever asks hears an answer even where nothing moved.
    assert_eq!(shop.answer(&found("x")), ["b x"]);
    assert_eq!(shop.begin(), 0);
}

#[test]
fn who_asks_again_and_again_hears_what_moved_or_failed_all_the_same() {
    let mut shop = Shop::new();
    shop.begin();
    shop.answer(&found("x"));
    for (polled, told) in [
        (found("y"), &["a y", "b y already"][..]),
        (found("y"), &["b y already"]),
        (away(), &["a fails", "b fails already", "old fails"]),
        (found("y"), &["a y", "b y already", "old one"]),
        (found("z"), &["a z", "b z already"]),
    ] {
        shop.later(1);
        shop.repos.ask(&key("b"), shop.now);
        assert_eq!(shop.begin(), 1);
        shop.repos.ask(&key("b"), shop.now);
        assert_eq!(shop.answer(&polled), told);
    }
    // Once it is quiet, the last of them is answered.
    shop.later(1);
    assert_eq!(shop.begin(), 1);
    assert_eq!(shop.answer(&found("z")), ["b z"]);
    shop.later(5);
    assert_eq!(shop.begin(), 0);
}

#[test]
fn a_thousand_who_ask_are_two_polls_and_what_is_to_wait_holds_up_nobody() {
    let mut shop = Shop::new();
    shop.begin();
    shop.answer(&found("x"));
    shop.later(5);
    let mut n_polls = 0;
    for _ in 0..1_000 {
        shop.repos.ask(&key("a"), shop.now);
        shop.repos.look(&id(), shop.now);
        n_polls += shop.begin();
    }
    assert_eq!(n_polls, 1);
    shop.answer(&found("x"));
    assert_eq!(shop.begin(), 0, "it was asked just now");
    shop.repos.ask(&key("a"), shop.now + Duration::from_secs(5));
    shop.later(1);
    assert_eq!(shop.begin(), 1);
    shop.answer(&found("x"));
    // What is to be asked later is no reason for others to wait.
    shop.repos.ask(&key("a"), shop.now + Duration::from_secs(5));
    shop.repos.ask(&key("b"), shop.now);
    shop.later(1);
    assert_eq!(shop.begin(), 1);
    assert_eq!(shop.answer(&found("x")), ["a x", "b x"]);
    shop.later(5);
    assert_eq!(shop.begin(), 0);
}

#[test]
fn a_poll_of_a_repository_that_was_forgotten_meanwhile_says_nothing() {
    let mut shop = Shop::new();
    shop.begin();
    let forgotten = shop.number;
    for app in ["a", "b", "old"] {
        shop.repos.forget(&key(app));
    }
    shop.follow("a", "main");
    assert_eq!(shop.begin(), 1);
    let old = shop.repos.polled((&id(), forgotten), &found("x"), INTERVAL, shop.now);
    assert!(old.is_none());
    assert_eq!(shop.answer(&found("y")), ["a y"]);
}

// N46: replays
#[test]
fn a_thousand_webhooks_are_one_poll_at_once_and_one_later_and_none_when_it_is_over() {
    let mut shop = Shop::new();
    shop.begin();
    shop.answer(&found("x"));
    shop.later(1);
    let push = |shop: &mut Shop| shop.repos.pushed(&BTreeSet::from(["git.example/shop".into()]), shop.now);
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
    shop.later(1);
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
