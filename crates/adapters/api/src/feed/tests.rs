//! Does everybody hear of every change, once, and in order?

use super::*;
use crate::Selector;

fn app(name: &str, version: u64, team: &str) -> Arc<Listed> {
    Arc::new(Listed::new(&json!({
        "metadata": {
            "name": name, "namespace": "argocd", "resourceVersion": version.to_string(), "labels": { "team": team },
        },
        "spec": { "source": { "repoURL": "https://bot:s3cret@git/shop" } },
    })))
}

/// A feed whose list found these.
fn feed(listed: u64) -> Feed {
    let feed = Feed::default();
    feed.listed(listed);
    feed
}

fn subscribe(feed: &Feed, since: u64) -> Subscription {
    feed.subscribe(ListQuery::default(), Some(since), Vec::new).unwrap()
}

fn of(said: Said) -> String {
    match said {
        Said::Ended(error) => format!("{}: {}", error.status, error.message),
        Said::Message(text, version) => {
            let value: Value = serde_json::from_str(&text).unwrap();
            let word =
                |pointer: &str| value.pointer(pointer).and_then(Value::as_str).unwrap_or("-").to_owned();
            let name = word("/result/application/metadata/name");
            format!("{} {name} {}", word("/result/type"), version.map_or("-".into(), |v| v.to_string()))
        }
    }
}

fn all(stream: &mut Subscription) -> Vec<String> {
    std::iter::from_fn(|| stream.poll()).map(of).collect()
}

#[test]
fn a_stream_begins_with_what_there_is_and_goes_on_with_what_changes() {
    let feed = feed(20);
    let now = || vec![app("web", 7, "a"), app("api", 12, "a")];
    let mut stream = feed.subscribe(ListQuery::default(), None, now).unwrap();
    stream.begin();
    // To come back before all were told would leave some out.
    assert_eq!(all(&mut stream), ["ADDED api -", "ADDED web 20"]);
    feed.tell(Kind::Modified, &app("web", 21, "a"), Some(&app("web", 7, "a")), (By::Watch, 21));
    feed.tell(Kind::Deleted, &app("api", 12, "a"), Some(&app("api", 12, "a")), (By::Watch, 22));
    let Some(Said::Message(text, Some(21))) = stream.poll() else { panic!("web was changed") };
    assert!(text.contains(r#""type":"MODIFIED""#), "{text}");
    let Some(Said::Message(text, Some(22))) = stream.poll() else { panic!("api is gone") };
    assert!(text.contains(r#""type":"DELETED""#) && text.contains(r#""resourceVersion":"22""#), "{text}");
    assert_eq!((all(&mut stream).len(), stream.version()), (0, 22));
}

#[test]
fn who_comes_back_hears_what_was_missed_and_nothing_twice() {
    let feed = feed(20);
    for version in 21..=24 {
        feed.tell(
            Kind::Modified,
            &app("web", version, "a"),
            Some(&app("web", 20, "a")),
            (By::Watch, version),
        );
    }
    assert_eq!(all(&mut subscribe(&feed, 22)), ["MODIFIED web 23", "MODIFIED web 24"]);
    assert!(all(&mut subscribe(&feed, 24)).is_empty());
    // From a list of this life, or of the life before: what was known then is known now.
    assert_eq!(all(&mut subscribe(&feed, 20)).len(), 4);
    // Something may have gone between that and the list.
    let error = feed.subscribe(ListQuery::default(), Some(19), Vec::new).unwrap_err();
    assert_eq!((error.status, error.message.contains("begin anew")), (410, true));
}

#[test]
fn what_overtakes_the_watch_is_told_at_once_and_is_no_place_to_come_back_to() {
    let feed = feed(100);
    feed.tell(Kind::Modified, &app("web", 102, "a"), None, (By::Watch, 102));
    let mut stream = subscribe(&feed, 100);
    assert_eq!(all(&mut stream), ["ADDED web 102"]);
    // The answer to a write of ours comes before the watch tells what is older.
    feed.tell(Kind::Modified, &app("web", 105, "a"), None, (By::Other, 105));
    assert_eq!(all(&mut stream), ["ADDED web -"]);
    // A list and a stream begun now have the older one of what comes next.
    let begun = feed.subscribe(ListQuery::default(), None, Vec::new).unwrap();
    assert_eq!((stream.version(), begun.version(), feed.version()), (102, 102, 102));
    feed.tell(Kind::Modified, &app("api", 103, "a"), None, (By::Watch, 103));
    assert_eq!(all(&mut subscribe(&feed, 102)), ["ADDED web -", "ADDED api 103"]);
    // Whoever comes back with the number of what it heard, as with Kubernetes, misses nothing either.
    assert_eq!(all(&mut subscribe(&feed, 105)), ["ADDED api 103"]);
    assert!(all(&mut subscribe(&feed, 103)).is_empty());
    // The watch shows the write as well.
    feed.watched(105);
    assert_eq!((all(&mut stream), stream.version()), (vec!["ADDED api 103".to_owned()], 105));
    feed.tell(Kind::Modified, &app("api", 106, "a"), None, (By::Watch, 106));
    assert_eq!(all(&mut subscribe(&feed, 103)), ["ADDED api 106"]);
}

#[test]
fn whoever_heard_last_what_is_forgotten_and_was_no_place_begins_anew() {
    let feed = feed(1);
    feed.tell(Kind::Modified, &app("web", 5_000, "a"), None, (By::Other, 5_000));
    let change =
        |version: u64| feed.tell(Kind::Modified, &app("api", version, "a"), None, (By::Watch, version));
    (2..=LONGEST as u64).for_each(change);
    assert_eq!(all(&mut subscribe(&feed, 5_000)).len(), LONGEST - 1);
    (LONGEST as u64 + 1..=LONGEST as u64 + 5).for_each(change);
    assert!(feed.subscribe(ListQuery::default(), Some(5_000), Vec::new).is_err());
    assert_eq!(all(&mut subscribe(&feed, LONGEST as u64)).len(), 5);
}

#[test]
fn what_a_list_shows_comes_in_no_order_and_its_number_is_known_at_its_end() {
    let feed = feed(100);
    let mut stream = subscribe(&feed, 100);
    feed.list_begins();
    for (name, version) in [("api", 150), ("old", 120), ("web", 190)] {
        feed.tell(Kind::Modified, &app(name, version, "a"), None, (By::Watch, version));
        feed.watched(version);
    }
    assert_eq!(all(&mut stream), ["ADDED api -", "ADDED old -", "ADDED web -"]);
    assert_eq!((stream.version(), feed.version()), (100, 100));
    assert_eq!(all(&mut subscribe(&feed, 100)).len(), 3);
    // What is no place leads back to the one before it.
    assert_eq!(all(&mut subscribe(&feed, 150)).len(), 3);
    feed.listed(200);
    assert!(all(&mut subscribe(&feed, 200)).is_empty());
    assert_eq!((all(&mut stream).len(), stream.version()), (0, 200));
}

#[test]
fn what_a_later_list_finds_missing_is_told_to_who_knew_less_than_the_list() {
    let feed = feed(20);
    feed.list_begins();
    for name in ["web", "api", "old"] {
        feed.tell(Kind::Deleted, &app(name, 12, "a"), None, (By::Other, 30));
    }
    feed.listed(30);
    let mut stream = subscribe(&feed, 20);
    // To come back with the list's number after the first of them would leave the others out.
    assert_eq!(all(&mut stream), ["DELETED web -", "DELETED api -", "DELETED old -"]);
    assert_eq!(stream.version(), 30);
    // Some come back with the number of what they heard.
    assert_eq!(all(&mut subscribe(&feed, 30)), ["DELETED api -", "DELETED old -"]);
    feed.tell(Kind::Added, &app("api", 31, "a"), None, (By::Watch, 31));
    assert_eq!(all(&mut stream), ["ADDED api 31"]);
    assert_eq!(all(&mut subscribe(&feed, 31)).len(), 0);
}

#[test]
fn the_ring_is_bounded_and_who_is_slower_is_cut_off() {
    let feed = feed(1);
    let mut slow = subscribe(&feed, 1);
    for version in 2..(LONGEST as u64 + 10) {
        feed.tell(Kind::Modified, &app("web", version, "a"), None, (By::Watch, version));
    }
    assert!(all_but_endless(&mut slow).starts_with("410: too old resource version"));
    let (n_changes, n_bytes) = feed.kept();
    assert_eq!(
        (n_changes, n_bytes),
        (LONGEST, feed.0.ring().changes.iter().map(|change| change.size()).sum())
    );
    assert!(feed.subscribe(ListQuery::default(), Some(2), Vec::new).is_err());
    // Its name stands in its text, and is kept apart for who chooses by it.
    let large = Arc::new(Listed::new(&json!({ "metadata": { "name": "x".repeat(LARGEST / 8) } })));
    for _ in 0..8 {
        feed.tell(Kind::Modified, &large, None, (By::Watch, 5_000));
    }
    assert!(feed.kept().1 <= LARGEST && feed.kept().0 == 3);
}

#[test]
fn few_applications_that_change_all_the_time_take_little() {
    let feed = feed(1);
    let large = |name: &str| {
        Arc::new(Listed::new(
            &json!({"metadata": {"name": name, "annotations": {"a": "x".repeat(LEAST / 100)}}}),
        ))
    };
    let apps: Vec<_> = (0..100).map(|n| large(&format!("app-{n}"))).collect();
    for app in &apps {
        feed.tell(Kind::Added, app, None, (By::Watch, 2));
    }
    let change_all = || {
        for app in apps.iter().cycle().take(1_000) {
            feed.tell(Kind::Modified, app, Some(app), (By::Watch, 3));
        }
        feed.kept().1
    };
    let all: usize = apps.iter().map(|app| app.size()).sum();
    let kept = change_all();
    assert!(kept <= TIMES * all && kept > (TIMES - 1) * all, "{kept} of {all}");
    for app in &apps[1..] {
        feed.tell(Kind::Deleted, app, Some(app), (By::Watch, 4));
    }
    assert!(feed.kept().1 <= LEAST, "{}", feed.kept().1);
}

/// What ended streams say is said again and again; the first time counts.
fn all_but_endless(stream: &mut Subscription) -> String {
    of(stream.poll().unwrap())
}

#[test]
fn a_cluster_that_was_restored_has_other_numbers_and_streams_begin_anew() {
    let feed = feed(100);
    feed.tell(Kind::Added, &app("web", 101, "a"), None, (By::Watch, 101));
    let mut stream = subscribe(&feed, 100);
    feed.list_begins();
    // A list that is told late says less than what was written meanwhile, and that is no reason.
    feed.tell(Kind::Modified, &app("web", 103, "a"), Some(&app("web", 101, "a")), (By::Other, 103));
    feed.listed(102);
    assert_eq!(all(&mut stream), ["ADDED web 101", "MODIFIED web -"]);
    feed.list_begins();
    feed.listed(50);
    assert!(all_but_endless(&mut stream).starts_with("410"));
    assert_eq!(feed.version(), 50);
    assert!(all(&mut subscribe(&feed, 50)).is_empty());
}

#[test]
fn an_app_that_begins_or_ceases_to_fit_comes_and_goes() {
    let feed = feed(1);
    let selector = Selector::parse("team=shop").unwrap();
    let query = ListQuery { selector, ..ListQuery::default() };
    let mut stream = feed.subscribe(query, Some(1), Vec::new).unwrap();
    let (other, ours) = (|version| app("web", version, "other"), |version| app("web", version, "shop"));
    feed.tell(Kind::Added, &other(2), None, (By::Watch, 2));
    feed.tell(Kind::Modified, &ours(3), Some(&other(2)), (By::Watch, 3));
    feed.tell(Kind::Modified, &ours(4), Some(&ours(3)), (By::Watch, 4));
    feed.tell(Kind::Modified, &other(5), Some(&ours(4)), (By::Watch, 5));
    feed.tell(Kind::Deleted, &other(5), Some(&other(5)), (By::Watch, 6));
    assert_eq!(all(&mut stream), ["ADDED web 3", "MODIFIED web 4", "DELETED web 5"]);
}

#[test]
fn messages_are_written_once_and_hold_no_password() {
    let feed = feed(1);
    feed.tell(Kind::Added, &app("web", 2, "a"), None, (By::Watch, 2));
    let texts: Vec<Arc<str>> = (0..3)
        .map(|_| match subscribe(&feed, 1).poll() {
            Some(Said::Message(text, _)) => text,
            other => panic!("{other:?}"),
        })
        .collect();
    assert!(Arc::ptr_eq(&texts[0], &texts[2]));
    assert!(!texts[0].contains("s3cret") && texts[0].contains("https://bot:***@git/shop"), "{}", texts[0]);
    let fields = Projection::parse("result.type,result.application.metadata.name").unwrap();
    let query = ListQuery { fields, ..ListQuery::default() };
    let mut narrow = feed.subscribe(query, Some(1), Vec::new).unwrap();
    let Some(Said::Message(text, _)) = narrow.poll() else { panic!("nothing was said") };
    assert_eq!(&*text, r#"{"result":{"application":{"metadata":{"name":"web"}},"type":"ADDED"}}"#);
}

#[tokio::test]
async fn streams_wake_when_something_is_told_and_end_with_the_agent() {
    let feed = feed(1);
    tokio::spawn(feed.pump());
    let mut stream = subscribe(&feed, 1);
    let waiting = tokio::spawn(async move {
        let mut said = Vec::new();
        while said.last().is_none_or(|last: &String| !last.starts_with("503")) {
            match stream.poll() {
                Some(one) => said.push(of(one)),
                None => stream.changed().await,
            }
        }
        said
    });
    feed.tell(Kind::Added, &app("web", 2, "a"), None, (By::Watch, 2));
    // The stream may have to be woken for it.
    tokio::task::yield_now().await;
    drop(feed);
    let said = waiting.await.unwrap();
    assert!(said.last().unwrap().contains("the agent is stopping"), "{said:?}");
}
