//! What follows from webhooks, as providers send them and as nobody should?

use crate::webhook::{Check, Provider, Webhooks};
use crate::{ApiError, Body, Limits};
use proptest::prelude::*;
use ring::hmac;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::Arc;
use warp::http::{HeaderMap, HeaderName};

pub(super) const SECRET: &[u8] = b"canary-of-the-webhook";

/// Headers that tell who sends a fixture, the fixture, and the repositories that it is about; none where nothing follows.
type Case = (Provider, &'static [(&'static str, &'static str)], &'static str, &'static [&'static str]);

const GITHUB: &[(&str, &str)] =
    &[("x-github-event", "push"), ("x-github-delivery", "72d3162e-cc78-11e3-81ab-4c9367dc0958")];
const GITLAB: &[(&str, &str)] = &[("x-gitlab-event", "Push Hook")];
const SYSTEM: &[(&str, &str)] = &[("x-gitlab-event", "System Hook")];
/// Gitea says GitHub's event as well.
const GITEA: &[(&str, &str)] = &[
    ("x-github-event", "push"),
    ("x-gogs-event", "push"),
    ("x-gitea-event", "push"),
    ("x-gitea-event-type", "push"),
];
const CLOUD: &[(&str, &str)] = &[("x-event-key", "repo:push"), ("x-attempt-number", "1")];
const SERVER: &[(&str, &str)] = &[("x-event-key", "repo:refs_changed"), ("x-request-id", "1")];

const CASES: &[Case] = &[
    (Provider::GitHub, GITHUB, "github_push", &["github.com/team/shop"]),
    (Provider::GitHub, &[("x-github-event", "ping")], "github_ping", &[]),
    (Provider::GitHub, &[("x-github-event", "pull_request")], "github_push", &[]),
    (
        Provider::GitLab,
        GITLAB,
        "gitlab_push",
        &["gitlab-ssh.example.com/team/shop", "gitlab.example.com/team/shop"],
    ),
    (
        Provider::GitLab,
        &[("x-gitlab-event", "Tag Push Hook")],
        "gitlab_tag_push",
        &["gitlab.example.com/team/shop"],
    ),
    (Provider::GitLab, SYSTEM, "gitlab_system_push", &["gitlab.example.com/team/shop"]),
    (Provider::GitLab, SYSTEM, "gitlab_system_user", &[]),
    (Provider::Gitea, GITEA, "gitea_push", &["gitea.example.com/team/shop"]),
    (Provider::Gitea, &[("x-gogs-event", "push")], "gogs_push", &["gogs.example.com/team/shop"]),
    (Provider::Gitea, &[("x-gogs-event", "issues")], "gogs_push", &[]),
    (Provider::BitbucketCloud, CLOUD, "bitbucket_cloud_push", &["bitbucket.org/team/shop"]),
    (
        Provider::BitbucketServer,
        SERVER,
        "bitbucket_server_push",
        &["bitbucket.example.com/scm/team/shop", "bitbucket.example.com/team/shop"],
    ),
    (Provider::BitbucketServer, &[("x-event-key", "diagnostics:ping")], "bitbucket_server_ping", &[]),
    (Provider::Generic, &[], "generic", &["git.example.com/team/shop"]),
];

pub(super) fn fixture(name: &str) -> Vec<u8> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../fixtures/webhooks");
    std::fs::read(format!("{folder}/{name}.json")).unwrap()
}

fn headers(lines: &[(&str, &str)]) -> HeaderMap {
    let line =
        |(name, value): &(&str, &str)| -> (HeaderName, _) { (name.parse().unwrap(), value.parse().unwrap()) };
    lines.iter().map(line).collect()
}

pub(super) fn sign(secret: &[u8], body: &[u8]) -> String {
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), body);
    tag.as_ref().iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

/// Returns the header by which a provider proves that it knows a secret.
fn proof(provider: Provider, secret: &[u8], body: &[u8]) -> (&'static str, String) {
    let plain = || String::from_utf8(secret.to_vec()).unwrap();
    match provider {
        Provider::GitHub => ("x-hub-signature-256", format!("sha256={}", sign(secret, body))),
        Provider::GitLab => ("x-gitlab-token", plain()),
        Provider::Gitea => ("x-gitea-signature", sign(secret, body)),
        Provider::BitbucketCloud => ("x-hook-uuid", plain()),
        Provider::BitbucketServer => ("x-hub-signature", format!("sha256={}", sign(secret, body))),
        Provider::Generic => ("x-tautline-signature-256", format!("sha256={}", sign(secret, body))),
    }
}

/// Webhooks of all providers that are checked in the same way.
pub(super) fn checked_by(check: &Check) -> Webhooks {
    let webhooks = Webhooks::default();
    webhooks.check_by(Provider::ALL.iter().map(|provider| (*provider, check.clone())).collect());
    webhooks
}

fn message(reply: crate::Reply) -> String {
    match reply {
        Ok(Body::Json(value)) => value["message"].as_str().unwrap().to_owned(),
        other => panic!("{other:?}"),
    }
}

fn refused(reply: crate::Reply) -> ApiError {
    reply.expect_err("it is refused")
}

// N47: signatures that are missing, wrong, or of another body or secret
#[test]
fn a_push_of_every_provider_hints_at_its_repository_and_at_nothing_else() {
    for (provider, lines, name, repositories) in CASES {
        let body = fixture(name);
        let (header, value) = proof(*provider, SECRET, &body);
        let mut signed = lines.to_vec();
        signed.push((header, &value));
        let webhooks = checked_by(&Check::Secret(SECRET.into()));
        let told = message(webhooks.receive(&headers(&signed), &body));
        let expected =
            if repositories.is_empty() { "nothing follows from" } else { "the repository is asked" };
        assert!(told.starts_with(expected), "{name}: {told}");
        assert_eq!(webhooks.take().iter().collect::<Vec<_>>(), *repositories, "{name}");

        for wrong in [
            sign(SECRET, b"other"),
            format!("sha256={}", sign(b"other", &body)),
            "other".into(),
            String::new(),
        ] {
            let mut signed = lines.to_vec();
            signed.push((header, &wrong));
            let error = refused(webhooks.receive(&headers(&signed), &body));
            assert_eq!((error.status, error.code), (401, 16), "{name}: {error}");
            assert!(
                error.message.contains(provider.secret_key()) && !error.message.contains("canary"),
                "{error}"
            );
        }
        // Bitbucket Cloud is known by what proves it.
        if *provider != Provider::BitbucketCloud {
            assert_eq!(refused(webhooks.receive(&headers(lines), &body)).status, 401, "{name}");
        }
        assert!(webhooks.take().is_empty(), "{name}");
    }
}

#[test]
fn without_secrets_a_webhook_needs_no_signature_and_with_an_unreadable_one_it_is_refused() {
    for (provider, lines, name, repositories) in CASES {
        let body = fixture(name);
        let mut lines = lines.to_vec();
        if *provider == Provider::BitbucketCloud {
            lines.push(("x-hook-uuid", "any"));
        }
        let open = checked_by(&Check::Open);
        message(open.receive(&headers(&lines), &body));
        assert_eq!(open.take().len(), repositories.len(), "{name}");
        let unreadable = checked_by(&Check::Unreadable);
        assert_eq!(refused(unreadable.receive(&headers(&lines), &body)).status, 503, "{name}");
        let unknown = Webhooks::default();
        assert_eq!(refused(unknown.receive(&headers(&lines), &body)).status, 503, "{name}");
        assert!(unreadable.take().is_empty() && unknown.take().is_empty());
    }
}

#[test]
fn one_providers_secret_is_not_asked_of_another() {
    let webhooks = Webhooks::default();
    webhooks.check_by(BTreeMap::from([(Provider::GitHub, Check::Secret(SECRET.into()))]));
    assert_eq!(refused(webhooks.receive(&headers(GITHUB), &fixture("github_push"))).status, 401);
    message(webhooks.receive(&headers(GITLAB), &fixture("gitlab_push")));
}

// N45, N46: odd payloads; URLs that are patterns
#[test]
fn what_no_provider_sends_is_refused_with_a_sentence() {
    let webhooks = checked_by(&Check::Open);
    for (lines, body, says) in [
        (&[][..], "{}", "no header tells whose webhook this is"),
        (&[], r#"{"repository": {"html_url": "https://git.ex/a"}}"#, "no header tells whose webhook this is"),
        (&[], r#"{"repository": ".*"}"#, "names no URL"),
        (&[], r#"{"repository": "(a+)+$"}"#, "names no URL"),
        (&[("x-vss-activityid", "1")], "{}", "Azure DevOps"),
        (GITHUB, "", "not a JSON object"),
        (GITHUB, "payload=%7B%7D", "not a JSON object"),
        (GITHUB, r#"[{"html_url": "https://git.ex/a"}]"#, "not a JSON object"),
        (GITHUB, "{", "line 1, column 1"),
        (GITHUB, "{}", "names no URL"),
        (GITHUB, r#"{"repository": null}"#, "names no URL"),
        (GITHUB, r#"{"repository": "canary"}"#, "cannot be read"),
        (GITHUB, r#"{"repository": {"html_url": 7}}"#, "cannot be read"),
        (GITHUB, r#"{"repository": {"html_url": null, "clone_url": ""}}"#, "names no URL"),
        (GITLAB, r#"{"project": {}}"#, "names no URL"),
        (SERVER, r#"{"repository": {"links": {"clone": []}}}"#, "names no URL"),
        (SERVER, r#"{"repository": {"links": {"clone": [null]}}}"#, "cannot be read"),
        (&[("x-github-event", "")], "{}", "names the event"),
        (&[("x-github-event", "push"), ("x-github-event", "push")], "{}", "names the event"),
    ] {
        let error = refused(webhooks.receive(&headers(lines), body.as_bytes()));
        assert_eq!((error.status, error.code), (400, 3), "{body}: {error}");
        assert!(error.message.contains(says) && !error.message.contains("canary"), "{body}: {error}");
    }
    let deep = format!("{{\"repository\": {}", "[".repeat(100_000));
    assert_eq!(refused(webhooks.receive(&headers(GITHUB), deep.as_bytes())).status, 400);
    assert!(webhooks.take().is_empty());
}

#[test]
fn an_events_name_is_said_again_without_what_a_terminal_obeys_and_not_at_any_length() {
    let mut lines = HeaderMap::new();
    lines.insert("x-github-event", format!("a\tb{}", "c".repeat(5_000)).parse().unwrap());
    let told = message(checked_by(&Check::Open).receive(&lines, b"{}"));
    assert!(told.contains("`abcc") && told.len() < 150, "{told}");
}

// N46: replays
#[tokio::test]
async fn a_thousand_replays_wait_as_one_repository_and_are_told_once() {
    let webhooks = checked_by(&Check::Open);
    let body = fixture("github_push");
    for _ in 0..1_000 {
        message(webhooks.receive(&headers(GITHUB), &body));
    }
    webhooks.wait().await;
    assert_eq!(webhooks.take().len(), 1);
    let nothing_more = tokio::time::timeout(std::time::Duration::from_millis(20), webhooks.wait()).await;
    assert!(nothing_more.is_err());
    message(webhooks.receive(&headers(GITHUB), &body));
    webhooks.wait().await;
    assert_eq!(webhooks.take().len(), 1);
}

// N46: a flood of repositories
#[test]
fn only_so_many_repositories_may_wait_and_those_that_do_may_be_told_of_again() {
    let webhooks = checked_by(&Check::Open);
    let tell = |n: usize| {
        let body = json!({ "repository": format!("https://git.ex/{n}") }).to_string();
        webhooks.receive(&HeaderMap::new(), body.as_bytes())
    };
    for n in 0..1_000 {
        message(tell(n));
    }
    assert_eq!(refused(tell(1_000)).status, 503);
    message(tell(999));
    assert_eq!(webhooks.take().len(), 1_000);
    message(tell(1_000));
    assert_eq!(webhooks.take(), BTreeSet::from(["git.ex/1000".to_owned()]));
}

/// Any JSON, more often of the names that payloads have.
fn anything() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        ".{0,20}".prop_map(Value::from),
        Just(json!("https://git.ex/team/shop")),
        Just(json!("push")),
    ];
    let name = prop::sample::select(vec![
        "repository",
        "project",
        "links",
        "clone",
        "html",
        "href",
        "html_url",
        "clone_url",
        "ssh_url",
        "web_url",
        "event_name",
        "object_kind",
        "ref",
    ]);
    leaf.prop_recursive(6, 64, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(name.clone().prop_map(str::to_owned), inner, 0..6)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

/// Replaces the value at a place of a payload, counted through.
fn replace(value: &mut Value, place: &mut usize, by: &Value) {
    if *place == 0 {
        *value = by.clone();
    }
    *place = place.wrapping_sub(1);
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| replace(item, place, by)),
        Value::Object(map) => map.values_mut().for_each(|item| replace(item, place, by)),
        _ => {}
    }
}

/// Receives a body as every provider's; whatever comes of it, it is an answer.
fn is_answered(body: &[u8]) {
    for (provider, lines, ..) in CASES {
        let mut lines = lines.to_vec();
        if *provider == Provider::BitbucketCloud {
            lines.push(("x-hook-uuid", "any"));
        }
        let webhooks = checked_by(&Check::Open);
        match webhooks.receive(&headers(&lines), body) {
            Ok(_) => {}
            Err(error) => assert!(error.status == 400 && error.message.len() < 400, "{error}"),
        }
        assert!(webhooks.take().iter().all(|key| key.starts_with('/') || key.contains('/')));
    }
}

/// Sends a webhook to the route; returns the status and what was answered.
async fn post(lines: &[(&str, &str)], body: &[u8]) -> (u16, Value) {
    let webhooks = Webhooks::default();
    webhooks.check_by(BTreeMap::from([(Provider::GitHub, Check::Secret(SECRET.into()))]));
    let (requests, _asked) = tokio::sync::mpsc::channel(1);
    let api = crate::routes::filter(
        requests,
        Arc::new(webhooks),
        Limits::default(),
        crate::access::Admission::Everyone,
    );
    let mut request = warp::test::request().method("POST").path("/api/webhook").header("host", "localhost");
    for (name, value) in lines {
        request = request.header(*name, *value);
    }
    let response = request.body(body).reply(&api).await;
    (response.status().as_u16(), serde_json::from_slice(response.body()).unwrap())
}

#[tokio::test]
async fn the_route_answers_202_or_says_what_is_wrong_in_the_shape_of_argo_cd() {
    let json = ("content-type", "application/json; charset=utf-8");
    let (status, body) = post(&[json], &fixture("generic")).await;
    assert_eq!((status, body), (202, json!({"message": "the repository is asked for what moved"})));
    let form = ("content-type", "application/x-www-form-urlencoded");
    for (lines, expected, says) in [
        (&[json, GITHUB[0]][..], 401, "x-hub-signature-256 is missing"),
        (&[form, GITHUB[0]], 415, "choose the content type application/json"),
        (&[json, ("x-gitlab-event", "Push Hook")], 400, "names no URL"),
    ] {
        let (status, body) = post(lines, b"{}").await;
        assert_eq!(status, expected, "{body}");
        assert!(
            body["message"].as_str().unwrap().contains(says) && body["error"] == body["message"],
            "{body}"
        );
    }
}

proptest! {
    // N45: any JSON
    #[test]
    fn any_json_is_answered(value in anything()) {
        is_answered(value.to_string().as_bytes());
    }

    // N45: real payloads, one value of which is another
    #[test]
    fn a_payload_in_which_anything_stands_at_one_place_is_answered(
        case in prop::sample::select(CASES),
        place in 0_usize..60,
        by in anything(),
    ) {
        let mut value: Value = serde_json::from_slice(&fixture(case.2)).unwrap();
        replace(&mut value, &mut { place }, &by);
        is_answered(value.to_string().as_bytes());
    }

    // N45: no JSON
    #[test]
    fn any_bytes_are_answered(body in prop::collection::vec(any::<u8>(), 0..200)) {
        is_answered(&body);
    }
}
