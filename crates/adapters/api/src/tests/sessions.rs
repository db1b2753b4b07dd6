//! How long does what was permitted stay so, and what do floods of tokens cost?

use super::cluster::{FakeCluster, Mood, State};
use crate::access::{Admission, Session};
use crate::lines::Lines;
use crate::{Access, Feed, ListQuery, answer};
use futures::StreamExt as _;
use futures::future::join_all;
use serde_json::Value;
use std::time::Duration;
use tokio::time::Instant;
use warp::Reply as _;
use warp::http::header::{AUTHORIZATION, HeaderMap, HeaderValue};

/// What the README promises.
const HALF_A_MINUTE: Duration = Duration::from_secs(30);
const RIGHT: &str = "ada may list argocd/";

async fn show(admission: &Admission, token: &str) -> Result<Session, u16> {
    let mut headers = HeaderMap::new();
    headers.insert(AUTHORIZATION, HeaderValue::from_str(&format!("Bearer {token}")).unwrap());
    admission.admit(Access::List, &headers, ("", &Vec::new())).await.map_err(|error| error.status)
}

/// Begins a session, lets some time pass, changes the cluster, and returns how the session ends and how long after.
async fn ends(after: Duration, change: impl FnOnce(&FakeCluster)) -> (u16, Duration) {
    let cluster = FakeCluster::with(&[RIGHT]);
    let admission = Admission::new(Some(cluster.reviews()));
    let session = show(&admission, "ada").await.unwrap();
    let mut revoked = std::pin::pin!(session.revoked());
    assert!(tokio::time::timeout(after, &mut revoked).await.is_err(), "nothing was taken away");
    change(&cluster);
    let changed = Instant::now();
    let error = tokio::time::timeout(Duration::from_mins(5), revoked).await.expect("it ends");
    (error.status, changed.elapsed())
}

// N28: the right, the token, or the cluster's answers
#[tokio::test(start_paused = true)]
async fn a_right_that_is_taken_away_ends_what_lasts_within_half_a_minute() {
    for after in [0, 1, 7, 9, 11, 19, 601].map(Duration::from_secs) {
        let right = |cluster: &FakeCluster| cluster.edit(|state| state.rights.clear());
        let token = |cluster: &FakeCluster| cluster.edit(|state| state.tokens.clear());
        let badly = |cluster: &FakeCluster| {
            cluster.edit(|state| (state.on_tokens, state.on_rights) = (Mood::Badly, Mood::Badly));
        };
        let silent = |cluster: &FakeCluster| cluster.edit(|state| state.on_rights = Mood::NotAtAll);
        let mute = |cluster: &FakeCluster| cluster.edit(|state| state.on_tokens = Mood::NotAtAll);
        for (expected, (status, took)) in [
            (403, ends(after, right).await),
            (401, ends(after, token).await),
            (403, ends(after, badly).await),
            (403, ends(after, silent).await),
            (403, ends(after, mute).await),
        ] {
            assert_eq!(status, expected);
            assert!(took <= HALF_A_MINUTE, "{took:?}");
        }
    }
}

// N28: whoever is taken out of the group that had the right, and whoever got the name of one who is gone
#[tokio::test(start_paused = true)]
async fn who_one_was_when_it_began_does_not_count_later() {
    for (expected, change) in
        [(403, (|state| state.groups.clear()) as fn(&mut State)), (401, |state| state.uid = "another".into())]
    {
        let cluster = FakeCluster::with(&["deployers may list argocd/"]);
        cluster.edit(|state| state.groups = vec!["deployers".into()]);
        let admission = Admission::new(Some(cluster.reviews()));
        let session = show(&admission, "ada").await.unwrap();
        let mut revoked = std::pin::pin!(session.revoked());
        assert!(tokio::time::timeout(Duration::from_mins(1), &mut revoked).await.is_err());
        cluster.edit(change);
        let changed = Instant::now();
        let error = tokio::time::timeout(Duration::from_mins(5), revoked).await.expect("it ends");
        assert_eq!(error.status, expected);
        assert!(changed.elapsed() <= HALF_A_MINUTE, "{:?}", changed.elapsed());
    }
}

// N30: what no Application or namespace is called is not asked about, nor kept
#[tokio::test]
async fn names_that_cannot_be_are_no_questions() {
    let cluster = FakeCluster::with(&[RIGHT]);
    let admission = Admission::new(Some(cluster.reviews()));
    let mut headers = HeaderMap::new();
    headers.insert(AUTHORIZATION, HeaderValue::from_static("Bearer ada"));
    for parameter in ["name", "appNamespace"] {
        let pairs = vec![(parameter.to_owned(), "a".repeat(60_000))];
        let refused =
            admission.admit(Access::List, &headers, ("", &pairs)).await.map_err(|error| error.status);
        assert_eq!(refused.err(), Some(400), "{parameter}");
    }
    assert_eq!(cluster.edit(|state| state.asked.len()), 0);
}

// N28: what others hear of the same right makes nobody's session longer
#[tokio::test(start_paused = true)]
async fn who_asks_beside_makes_no_session_longer() {
    for (phase, after) in (0..10).flat_map(|phase| (0..20).map(move |after| (phase, after))) {
        let cluster = FakeCluster::with(&[RIGHT]);
        let admission = Admission::new(Some(cluster.reviews()));
        // What they hear is remembered for the session, and their questions without an answer end at any time between its own.
        let asking = admission.clone();
        let others = tokio::spawn(async move {
            loop {
                drop(show(&asking, "ada").await);
                tokio::time::sleep(Duration::from_millis(90)).await;
            }
        });
        tokio::time::sleep(Duration::from_millis(1_010 * phase)).await;
        let session = show(&admission, "ada").await.unwrap();
        let mut revoked = std::pin::pin!(session.revoked());
        let after = Duration::from_millis(10_040 + 500 * after);
        assert!(tokio::time::timeout(after, &mut revoked).await.is_err());
        cluster.edit(|state| state.on_rights = Mood::NotAtAll);
        let changed = Instant::now();
        let error = tokio::time::timeout(Duration::from_mins(5), revoked).await.expect("it ends");
        assert_eq!(error.status, 403);
        assert!(changed.elapsed() <= HALF_A_MINUTE, "{phase} s, {after:?}: {:?}", changed.elapsed());
        others.abort();
    }
}

#[tokio::test(start_paused = true)]
async fn what_lasts_outlives_a_cluster_that_is_away_for_a_moment() {
    let cluster = FakeCluster::with(&[RIGHT]);
    let admission = Admission::new(Some(cluster.reviews()));
    let session = show(&admission, "ada").await.unwrap();
    let mut revoked = std::pin::pin!(session.revoked());
    for mood in [Mood::Badly, Mood::Well].repeat(20) {
        cluster.edit(|state| (state.on_tokens, state.on_rights) = (mood, mood));
        let pause = if mood == Mood::Well { 25 } else { 7 };
        assert!(tokio::time::timeout(Duration::from_secs(pause), &mut revoked).await.is_err(), "it goes on");
    }
    // And costs two questions in ten seconds, whoever shares it.
    cluster.edit(|state| (state.reviewed.clear(), state.asked.clear()));
    let many = join_all((0..200).map(|_| async {
        let session = show(&admission, "ada").await.unwrap();
        tokio::time::timeout(Duration::from_secs(100), async move { session.revoked().await }).await.is_err()
    }));
    assert!(many.await.iter().all(|goes_on| *goes_on));
    let cost = cluster.edit(|state| (state.reviewed.len(), state.asked.len()));
    assert!(cost.0 <= 11 && cost.1 <= 11, "{cost:?}");
}

// N28: a body that is written bit by bit
#[tokio::test(start_paused = true)]
async fn a_stream_ends_with_the_right_to_it() {
    let cluster = FakeCluster::with(&[RIGHT]);
    let admission = Admission::new(Some(cluster.reviews()));
    let session = show(&admission, "ada").await.unwrap();
    let endless = || {
        let ticks = futures::stream::unfold((), |()| async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            Some((Ok::<_, std::io::Error>("tick\n"), ()))
        });
        warp::reply::stream(ticks.map(|tick| tick)).into_response()
    };
    let text = |response: warp::reply::Response| async {
        let body = http_body_util::BodyExt::into_data_stream(response.into_body());
        tokio::time::timeout(Duration::from_mins(2), body.collect::<Vec<_>>()).await.map(|parts| parts.len())
    };
    let mut reading = std::pin::pin!(text(session.bind(endless())));
    assert!(tokio::time::timeout(Duration::from_mins(1), &mut reading).await.is_err(), "it goes on");
    cluster.edit(|state| state.rights.clear());
    let n_ticks = reading.await.expect("it ends");
    assert!((60..=91).contains(&n_ticks), "{n_ticks}");
    // Without authentication nothing is taken away; and what is whole already is left as it is.
    assert!(text(Session::of_everyone().bind(endless())).await.is_err());
    assert_eq!(text(session.bind("all".into_response())).await, Ok(1));
}

// N28: the last line of a stream, in both of its forms
#[tokio::test(start_paused = true)]
async fn a_stream_whose_right_or_token_ends_says_why_in_its_last_line() {
    let right = |state: &mut State| state.rights.clear();
    let token = |state: &mut State| state.tokens.clear();
    for (lines, before) in [(Lines::Json, ""), (Lines::Events, "data: ")] {
        for (taken, code) in [(right as fn(&mut State), 403), (token, 401)] {
            let cluster = FakeCluster::with(&[RIGHT]);
            let admission = Admission::new(Some(cluster.reviews()));
            let session = show(&admission, "ada").await.unwrap();
            let feed = Feed::default();
            feed.listed(1);
            let subscription = feed.subscribe(ListQuery::default(), None, Vec::new).unwrap();
            let response = session.bind(answer::lines(subscription, lines, None));
            cluster.edit(taken);
            let begun = Instant::now();
            let body = http_body_util::BodyExt::collect(response.into_body()).await.unwrap().to_bytes();
            assert!(begun.elapsed() <= HALF_A_MINUTE, "{:?}", begun.elapsed());
            let text = String::from_utf8(body.to_vec()).unwrap();
            let last = text.lines().rfind(|line| !line.is_empty()).unwrap();
            let last: Value = serde_json::from_str(last.strip_prefix(before).unwrap()).unwrap();
            assert_eq!(last["error"]["http_code"], code, "{text}");
            assert_eq!(text.matches("http_code").count(), 1, "{text}");
        }
    }
}

// N30: ten thousand in ten seconds
#[tokio::test(start_paused = true)]
async fn ten_thousand_bad_tokens_cost_few_reviews_and_hold_no_good_one_up() {
    let cluster = FakeCluster::with(&[RIGHT]);
    let admission = Admission::new(Some(cluster.reviews()));
    show(&admission, "ada").await.unwrap();
    // What was said of her token does not count any more by then.
    tokio::time::advance(Duration::from_mins(1)).await;
    cluster.edit(|state| state.reviewed.clear());
    let flood = join_all((0..10_000).map(|n| {
        let admission = admission.clone();
        async move {
            tokio::time::sleep(Duration::from_millis(n)).await;
            show(&admission, &format!("bad-{n}")).await.err()
        }
    }));
    let start = Instant::now();
    let good = async {
        tokio::time::sleep(Duration::from_secs(5)).await;
        show(&admission, "ada").await.unwrap();
        start.elapsed()
    };
    let (bad, good) = tokio::join!(flood, good);
    assert!(bad.iter().all(|status| *status == Some(401)));
    assert!(good < Duration::from_millis(5_100), "{good:?}");
    let reviews = cluster.edit(|state| state.reviewed.len());
    // 40 a second, while they come and while those in the queue have their turn.
    assert!((400..=700).contains(&reviews), "{reviews} reviews in {:?}", start.elapsed());
    assert!(admission.n_remembered() <= 1_024);
}

#[tokio::test]
async fn callers_with_one_token_cost_one_review() {
    let cluster = FakeCluster::with(&[RIGHT]);
    let admission = Admission::new(Some(cluster.reviews()));
    let all = join_all((0..100).map(|_| show(&admission, "ada"))).await;
    assert!(all.iter().all(Result::is_ok));
    cluster.edit(|state| assert_eq!((state.reviewed.len(), state.asked.len()), (1, 1)));
}
