//! Does every documented path answer, does no other exist, and who is let in?

use crate::access::Admission;
use crate::routes::{ROUTES, filter};
use crate::{Access, ApiError, Body, Limits, Request, Verb, Webhooks};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::mpsc;
use warp::filters::BoxedFilter;
use warp::reply::Response;

/// The API in front of an agent that answers with what it was asked.
pub(super) fn echo() -> BoxedFilter<(Response,)> {
    let (requests, mut asked) = mpsc::channel(8);
    tokio::spawn(async move {
        while let Some(request) = asked.recv().await {
            let (text, reply) = match request {
                Request::List { query, reply } => (format!("List {query:?}"), reply),
                // It tells one thing, and ends.
                Request::Stream { query, since, reply } => {
                    let feed = crate::Feed::default();
                    feed.listed(1);
                    let _sent =
                        reply.send(feed.subscribe(query, since, Vec::new).map(|s| Body::Stream(Box::new(s))));
                    continue;
                }
                Request::Get { app, refresh, reply } if app.name == "gone" => {
                    let _sent = reply.send(Err(ApiError::not_found(format!("no app `gone` {refresh:?}"))));
                    continue;
                }
                Request::Get { app, refresh, reply } => (format!("Get {app:?} {refresh:?}"), reply),
                Request::Sync { app, body, reply, .. } => (format!("Sync {app:?} {body:?}"), reply),
                Request::Managed { app, filter, reply } => (format!("Managed {app:?} {filter:?}"), reply),
                Request::Terminate { app, reply } => (format!("Terminate {app:?}"), reply),
                Request::Wait { app, awaited, timeout, reply } => {
                    (format!("Wait {app:?} {awaited:?} {timeout:?}"), reply)
                }
                Request::Drift { app, format, reply } => (format!("Drift {app:?} {format:?}"), reply),
                Request::Delivery { query, reply } => (format!("Delivery {query:?}"), reply),
                Request::OfReleases { app, what, reply, .. } => {
                    (format!("OfReleases {app:?} {what:?}"), reply)
                }
                Request::Releases { app, reply } => (format!("Releases {app:?}"), reply),
                Request::Release { app, number, reply } => (format!("Release {app:?} {number}"), reply),
            };
            let _sent = reply.send(Ok(Body::Json(json!({ "asked": text, "more": { "a": 1, "b": 2 } }))));
        }
    });
    let webhooks = Webhooks::default();
    webhooks.check_by(BTreeMap::new());
    filter(requests, Arc::new(webhooks), Limits::default(), Admission::Everyone)
}

/// Sends `METHOD path` with header lines (`name: value`) and returns status and what was answered.
async fn send(line: &str, headers: &[&str]) -> (u16, Value) {
    let (method, path) = line.split_once(' ').unwrap();
    let mut request = warp::test::request().method(method).path(path);
    if !headers.iter().any(|header| header.starts_with("host:")) {
        request = request.header("host", "localhost:8080");
    }
    for header in headers {
        let (name, value) = header.split_once(": ").unwrap();
        request = request.header(name, value);
    }
    let response = request.reply(&echo()).await;
    assert_eq!(response.headers()["x-content-type-options"], "nosniff", "{line}");
    assert_eq!(response.headers()["cache-control"], "no-store", "{line}");
    assert_eq!(response.headers()["content-type"], "application/json", "{line}");
    (response.status().as_u16(), serde_json::from_slice(response.body()).unwrap())
}

async fn asked(line: &str, headers: &[&str]) -> String {
    let (status, body) = send(line, headers).await;
    assert_eq!(status, 200, "{line}: {body}");
    body["asked"].as_str().unwrap().to_owned()
}

async fn refused(line: &str, headers: &[&str]) -> (u16, String) {
    let (status, body) = send(line, headers).await;
    assert_eq!(body["error"], body["message"], "{line}");
    assert!(body["code"].is_u64(), "{line}: {body}");
    (status, body["message"].as_str().unwrap().to_owned())
}

const POST: &[&str] = &["content-type: application/json"];

const METHODS: &[&str] = &["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "HEAD", "TRACE"];

#[tokio::test]
async fn every_row_answers_and_no_other_method_does() {
    for route in ROUTES {
        let path = route.path.replace("{name}", "web").replace("{id}", "3");
        for method in METHODS {
            let (status, body) = send(&format!("{method} {path}"), POST).await;
            let has_row = ROUTES.iter().any(|other| (other.method, other.path) == (*method, route.path));
            let expected = match (has_row, route.path) {
                (false, _) => 405,
                // It has no payload.
                (true, "/api/webhook") => 400,
                (true, _) => 200,
            };
            assert_eq!(status, expected, "{method} {path}: {body}");
        }
    }
}

#[test]
fn a_row_is_the_only_one_of_its_method_and_path_and_says_who_may() {
    let mut rows: Vec<_> = ROUTES.iter().map(|route| (route.path, route.method)).collect();
    rows.sort_unstable();
    rows.dedup();
    assert_eq!(rows.len(), ROUTES.len());
    for route in ROUTES {
        let names = route.path.matches("{name}").count();
        assert_eq!(route.path.matches('{').count() - names, route.path.matches("/{id}").count());
        let wanted = usize::from(matches!(route.access, Access::App(_)));
        assert_eq!(names, wanted, "{}: an Application's route names it, and no other does", route.path);
        let fits = match route.access {
            Access::Anyone => true,
            Access::List | Access::App(Verb::Get) => route.method == "GET",
            Access::App(_) => route.method != "GET",
        };
        assert!(fits, "{} {} is not for {:?}", route.method, route.path, route.access);
    }
}

/// Every word that stands in a path of the table.
fn words() -> Vec<&'static str> {
    let all = ROUTES.iter().flat_map(|route| route.path.split('/'));
    let mut words: Vec<_> = all.filter(|word| !word.is_empty() && !word.starts_with('{')).collect();
    words.sort_unstable();
    words.dedup();
    words
}

/// All paths of up to four words that stand in any route, and those of five that begin as routes do.
fn paths() -> Vec<String> {
    let words = words();
    let mut all = vec![String::new()];
    let mut longest = all.clone();
    for n_words in 1..=5 {
        let begun = longest.iter().filter(|path| n_words < 5 || path.starts_with("/api/v1/"));
        longest = begun.flat_map(|path| words.iter().map(move |word| format!("{path}/{word}"))).collect();
        all.extend(longest.clone());
    }
    all
}

#[tokio::test]
async fn no_other_path_answers() {
    let documented: Vec<String> = ROUTES
        .iter()
        .flat_map(|route| words().into_iter().map(|word| route.path.replace("{name}", word)))
        .collect();
    let api = echo();
    for path in paths() {
        let path = if path.is_empty() { "/".to_owned() } else { path };
        let expected = if documented.contains(&path) { [200, 405] } else { [404, 404] };
        let response = warp::test::request().path(&path).header("host", "localhost").reply(&api).await;
        assert!(expected.contains(&response.status().as_u16()), "{path}: {}", response.status());
    }
    // One slash at the end changes nothing.
    assert_eq!(send("GET /api/v1/applications/web/", &[]).await.0, 200);
    assert_eq!(refused("POST /api/v1/applications/web/", POST).await.0, 405);
    assert_eq!(refused("GET /api/v1/applications/web//", &[]).await.0, 404);
    for path in
        ["/healthz", "/metrics", "/api/v1/applications/web/resource-tree", "//api/version", "/API/version"]
    {
        assert_eq!(refused(&format!("GET {path}"), &[]).await.0, 404, "{path}");
    }
}

#[tokio::test]
async fn a_wrong_method_is_told_the_right_one() {
    let (status, message) = refused("DELETE /api/v1/applications/web", &[]).await;
    assert_eq!((status, message.as_str()), (405, "DELETE is not answered here, GET is"));
    let response = warp::test::request()
        .path("/api/v1/applications/web/sync")
        .header("host", "localhost")
        .reply(&echo())
        .await;
    assert_eq!(response.headers()["allow"], "POST");
}

#[tokio::test]
async fn queries_reach_the_agent_as_asked() {
    let list = asked(
        "GET /api/v1/applications?projects=shop&projects=a%20b&project=x&name=web&appNamespace=tenant&repo=https%3A%2F%2Fg\
         &refresh=hard&resourceVersion=5&selector=team%3Dshop",
        &[],
    )
    .await;
    for part in [
        r#"projects: ["shop", "a b", "x"]"#,
        r#"name: Some("web")"#,
        r#"app_namespace: Some("tenant")"#,
        r#"repo: Some("https://g")"#,
        r#"key: "team""#,
    ] {
        assert!(list.contains(part), "{part} in {list}");
    }
    assert_eq!(
        asked("GET /api/v1/applications/web?appNamespace=tenant&project=shop&refresh=hard", &[]).await,
        r#"Get AppRef { name: "web", namespace: Some("tenant"), project: Some("shop") } Some("hard")"#
    );
    assert_eq!(
        asked("GET /api/v1/applications/web?appNamespace=&refresh=", &[]).await,
        r#"Get AppRef { name: "web", namespace: None, project: None } None"#
    );
}

#[tokio::test]
async fn fields_narrow_the_answer() {
    for path in ["/api/v1/applications", "/api/v1/applications/web"] {
        let (_, body) = send(&format!("GET {path}?fields=more.b"), &[]).await;
        assert_eq!(body, json!({ "more": { "b": 2 } }));
        let (_, body) = send(&format!("GET {path}?fields=-asked,more.b"), &[]).await;
        assert_eq!(body, json!({ "more": { "a": 1 } }));
    }
}

#[tokio::test]
async fn bad_queries_and_names_are_refused() {
    for (path, sentence) in [
        ("?selektor=a", "unknown query parameter `selektor`; known are name, projects"),
        ("?selector=a=b=c", "`selector`: "),
        ("?fields=a..b", "`fields`: "),
        ("?name=a&name=b", "the query parameter `name` stands several times"),
        ("?name=a/b", "no application can be called \"a/b\""),
        ("?appNamespace=a.b", "no namespace can be called \"a.b\""),
        ("/web?refresh=now", "`refresh` is `normal` or `hard`, not `now`"),
        ("/web?appNamespace=a/b", "no namespace can be called \"a/b\""),
        ("/web?appNamespace=a.b", "no namespace can be called"),
        ("/Web", "no application can be called \"Web\""),
        ("/..%2fx", "no application can be called"),
        ("/-a", "no application can be called"),
        ("/web/releases?limit=3", "unknown query parameter `limit`; known are appNamespace, project"),
        ("/web/releases/latest", "the id of a release is a number, not \"latest\""),
        ("/web/releases/-1", "the id of a release is a number"),
        ("/web/releases/03", "the id of a release is a number"),
        ("/web/releases/99999999999999999999", "the id of a release is a number"),
        ("/Web/releases/3", "no application can be called \"Web\""),
        ("/web/drift?refresh=hard", "unknown query parameter `refresh`; known are appNamespace, project"),
    ] {
        let (status, message) = refused(&format!("GET /api/v1/applications{path}"), &[]).await;
        assert!(status == 400 && message.starts_with(sentence), "{path}: {status} {message}");
    }
}

#[tokio::test]
async fn delivery_is_asked_for_of_chosen_applications() {
    let chosen =
        asked("GET /api/v1/delivery?projects=shop&appNamespace=tenant&selector=team%3Dshop", &[]).await;
    for part in [r#"projects: ["shop"]"#, r#"app_namespace: Some("tenant")"#, r#"key: "team""#] {
        assert!(chosen.contains(part), "{part} in {chosen}");
    }
    let (status, message) = refused("GET /api/v1/delivery?limit=3", &[]).await;
    assert!(status == 400 && message.starts_with("unknown query parameter `limit`"), "{message}");
}

#[tokio::test]
async fn a_release_is_asked_for_by_its_number() {
    assert_eq!(
        asked("GET /api/v1/applications/web/releases?appNamespace=tenant", &[]).await,
        r#"Releases AppRef { name: "web", namespace: Some("tenant"), project: None }"#
    );
    assert_eq!(
        asked("GET /api/v1/applications/web/releases/12/?project=shop", &[]).await,
        r#"Release AppRef { name: "web", namespace: None, project: Some("shop") } 12"#
    );
}

#[tokio::test]
async fn drift_comes_as_the_caller_likes() {
    for (accept, format) in [
        ("text/plain", "Text"),
        ("text/*;q=0.9, application/json;q=0.5", "Text"),
        ("text/plain, application/json", "Json"),
        ("application/json, text/plain;q=0.5", "Json"),
        ("text/html, */*", "Json"),
        ("garbage;;q=x,", "Json"),
    ] {
        let asked = asked("GET /api/v1/applications/web/drift", &[&format!("accept: {accept}")]).await;
        assert!(asked.ends_with(format), "{accept}: {asked}");
    }
    assert!(asked("GET /api/v1/applications/web/drift", &[]).await.ends_with("Json"));
}

#[tokio::test]
async fn only_loopback_hosts_are_answered() {
    for host in ["localhost", "LOCALHOST:80", "127.0.0.1:8080", "[::1]:8080", "127.8.8.8"] {
        assert_eq!(send("GET /api/version", &[&format!("host: {host}")]).await.0, 200, "{host}");
    }
    for host in [
        "evil.example",
        "localhost.evil.example",
        "127.0.0.1.nip.io",
        "10.0.0.1",
        "0.0.0.0",
        "[::]",
        "localhost@evil",
    ] {
        let (status, message) = refused("GET /api/version", &[&format!("host: {host}")]).await;
        assert!(status == 403 && message.starts_with("without authentication"), "{host}: {status} {message}");
    }
    assert_eq!(refused("GET /api/version", &["host: not a host"]).await.0, 400);
    // The request line may name a host of its own.
    assert_eq!(refused("GET http://evil.example/api/version", &["host: localhost"]).await.0, 400);
    let nameless = warp::test::request().path("/api/version").reply(&echo()).await;
    assert_eq!(nameless.status(), 403);
}

#[tokio::test]
async fn pages_of_other_sites_are_refused() {
    let sync = "POST /api/v1/applications/web/sync";
    for origin in ["http://localhost:3000", "http://127.0.0.1", "http://[::1]:1"] {
        assert_eq!(send(sync, &[POST[0], &format!("origin: {origin}")]).await.0, 200, "{origin}");
    }
    for origin in ["https://evil.example", "null", "http://localhost.evil.example", "localhost", ""] {
        let (status, message) = refused(sync, &[POST[0], &format!("origin: {origin}")]).await;
        assert!(status == 403 && message.contains("other sites"), "{origin}: {status} {message}");
    }
    assert_eq!(refused("GET /api/version", &["origin: https://evil.example"]).await.0, 403);
    for plain in
        [&[][..], &["content-type: text/plain"], &["content-type: application/x-www-form-urlencoded"]]
    {
        assert_eq!(refused(sync, plain).await.0, 415, "{plain:?}");
    }
    assert_eq!(send(sync, &["content-type: Application/JSON; charset=utf-8"]).await.0, 200);
}

// N55: errors are JSON and nothing else
#[tokio::test]
async fn refusals_have_the_shape_of_argo_cd() {
    let (status, body) = send("GET /api/v1/applications/gone", &[]).await;
    assert_eq!(status, 404);
    assert_eq!(body, json!({ "error": "no app `gone` None", "code": 5, "message": "no app `gone` None" }));
}

#[tokio::test]
async fn an_agent_that_stops_is_unavailable() {
    let (requests, asked) = mpsc::channel(1);
    drop(asked);
    let api = filter(requests, Arc::default(), Limits::default(), Admission::Everyone);
    let response =
        warp::test::request().path("/api/v1/applications").header("host", "localhost").reply(&api).await;
    assert_eq!((response.status().as_u16(), response.headers()["retry-after"].as_bytes()), (503, &b"1"[..]));

    let (requests, mut asked) = mpsc::channel::<Request>(1);
    tokio::spawn(async move { drop(asked.recv().await) });
    let api = filter(requests, Arc::default(), Limits::default(), Admission::Everyone);
    let response =
        warp::test::request().path("/api/v1/applications").header("host", "localhost").reply(&api).await;
    assert_eq!(response.status(), 503);
}

#[tokio::test]
async fn text_is_answered_as_text() {
    let (requests, mut asked) = mpsc::channel(1);
    tokio::spawn(async move {
        let Some(Request::Drift { reply, .. }) = asked.recv().await else { panic!("no drift asked") };
        reply.send(Ok(Body::Text("--- live\n+++ desired\n".to_owned()))).unwrap();
    });
    let response = warp::test::request()
        .path("/api/v1/applications/web/drift")
        .header("host", "localhost")
        .header("accept", "text/plain")
        .reply(&filter(requests, Arc::default(), Limits::default(), Admission::Everyone))
        .await;
    assert_eq!(response.headers()["content-type"], "text/plain; charset=utf-8");
    assert_eq!(response.headers()["x-content-type-options"], "nosniff");
    assert_eq!(response.body(), "--- live\n+++ desired\n");
}

#[tokio::test]
async fn waits_say_for_what_and_how_long() {
    let wait = "GET /api/v1/applications/web/wait";
    for (query, expected) in [
        ("", "Followed 600s"),
        ("?sync=true", "Sync 600s"),
        ("?sync=false&revision=v1", "Revision(\"v1\") 600s"),
        ("?revision=v1%2E2&timeout=90s", "Revision(\"v1.2\") 90s"),
        ("?revision=feature%2Fx&timeout=15m", "Revision(\"feature/x\") 900s"),
        ("?timeout=1h&revision=", "Followed 3600s"),
    ] {
        let asked = asked(&format!("{wait}{query}"), &[]).await;
        assert!(asked.ends_with(expected), "{query}: {asked}");
    }
    for query in [
        "timeout=61m",
        "timeout=1",
        "timeout=m",
        "timeout=-1m",
        "timeout=99999999999999999999h",
        "revision=a%0Ab",
        "sync=yes",
        "sync=true&revision=main",
    ] {
        assert_eq!(refused(&format!("{wait}?{query}"), &[]).await.0, 400, "{query}");
    }
    let too_long = "a".repeat(251);
    assert_eq!(refused(&format!("{wait}?revision={too_long}"), &[]).await.0, 400);
}
