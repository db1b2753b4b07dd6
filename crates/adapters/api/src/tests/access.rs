//! Who gets what, when the cluster is asked? Every route of the table, and everybody who should get nothing.

use super::cluster::{FakeCluster, Mood};
use crate::access::Admission;
use crate::routes::{ROUTES, Route, filter};
use crate::{Access, ApiError, Body, Limits, Verb};
use http_body_util::BodyExt as _;
use hyper_util::service::TowerToHyperService;
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};
use tokio::sync::mpsc;
use warp::filters::BoxedFilter;
use warp::http::Request;
use warp::hyper::service::Service as _;
use warp::reply::Response;

/// The API before an agent that remembers what it was asked, and knows no app `gone`.
struct Api {
    filter: BoxedFilter<(Response,)>,
    asked: Arc<Mutex<Vec<String>>>,
}

const ADA: &[&str] = &["authorization: Bearer ada"];

fn api(cluster: &FakeCluster) -> Api {
    let (requests, mut received) = mpsc::channel(8);
    let asked = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&asked);
    tokio::spawn(async move {
        while let Some(request) = received.recv().await {
            let said = format!("{request:?}");
            let answer = if said.contains(r#"name: "gone""#) {
                Err(ApiError::not_found("there is no application `gone`"))
            } else {
                Ok(Body::Json(json!({})))
            };
            log.lock().unwrap().push(said);
            let (crate::Request::List { reply, .. }
            | crate::Request::Stream { reply, .. }
            | crate::Request::Get { reply, .. }
            | crate::Request::Sync { reply, .. }
            | crate::Request::Managed { reply, .. }
            | crate::Request::Delivery { reply, .. }
            | crate::Request::Releases { reply, .. }
            | crate::Request::OfReleases { reply, .. }
            | crate::Request::Release { reply, .. }
            | crate::Request::Terminate { reply, .. }
            | crate::Request::Wait { reply, .. }
            | crate::Request::Drift { reply, .. }) = request;
            let _sent = reply.send(answer);
        }
    });
    let admission = Admission::new(Some(cluster.reviews()));
    Api { filter: filter(requests, Arc::default(), Limits::default(), admission), asked }
}

impl Api {
    /// Sends `METHOD path` and returns status and body.
    async fn send(&self, line: &str, headers: &[&str], body: &str) -> (u16, Value) {
        let (method, path) = line.split_once(' ').unwrap();
        let mut request = Request::builder().method(method).uri(path).header("host", "tautline.example");
        request = request.header("content-type", "application/json");
        for header in headers {
            let (name, value) = header.split_once(": ").unwrap_or((header.trim_end_matches(':'), ""));
            request = request.header(name, value);
        }
        let service = TowerToHyperService::new(warp::service(self.filter.clone()));
        let response = service.call(request.body(body.to_owned()).unwrap()).await.unwrap();
        let challenge =
            response.headers().get("www-authenticate").map(|value| value.to_str().unwrap().to_owned());
        let status = response.status().as_u16();
        assert_eq!(challenge.as_deref(), (status == 401).then_some("Bearer"), "{line}");
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (status, serde_json::from_slice(&body).unwrap())
    }

    async fn call(&self, route: &Route, headers: &[&str]) -> (u16, Value) {
        let path = route.path.replace("{name}", "shop").replace("{id}", "3");
        self.send(&format!("{} {path}", route.method), headers, "").await
    }

    fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.asked.lock().unwrap())
    }
}

/// All routes that want a token.
fn closed() -> impl Iterator<Item = &'static Route> {
    ROUTES.iter().filter(|route| route.access != Access::Anyone)
}

/// What the caller of a route needs.
fn right(route: &Route) -> String {
    match route.access {
        Access::Anyone => String::new(),
        Access::List => "ada may list argocd/".into(),
        Access::App(verb) => format!("ada may {} argocd/shop", verb.as_str()),
    }
}

fn all_rights() -> Vec<String> {
    closed().map(right).chain(["ada may get argocd/shop".into(), "ada may get argocd/gone".into()]).collect()
}

fn rich() -> FakeCluster {
    let rights = all_rights();
    FakeCluster::with(&rights.iter().map(String::as_str).collect::<Vec<_>>())
}

fn unauthenticated() -> (u16, Value) {
    let error = ApiError::stranger();
    assert_eq!((error.status, error.code), (401, 16));
    (401, error.to_json())
}

fn forbidden() -> (u16, Value) {
    let error = ApiError::forbidden();
    assert_eq!((error.status, error.code), (403, 7));
    (403, error.to_json())
}

// N25: no token, half a token, another scheme, two, a name in a header; on every route
#[tokio::test]
async fn who_shows_no_good_token_gets_one_answer_from_every_route_and_does_nothing() {
    let cluster = rich();
    let api = api(&cluster);
    for route in ROUTES {
        for headers in [
            &[][..],
            &["authorization: Bearer"],
            &["authorization: Bearer "],
            &["authorization: Bearer nothing"],
            &["authorization: Basic YWRhOmFkYQ=="],
            &["authorization: ada"],
            &["authorization: Bearer ada", "authorization: Bearer ada"],
            &["authorization: Bearer ada", "authorization: Basic YWRhOmFkYQ=="],
            &["x-remote-user: ada"],
            &["x-remote-user: ada", "x-remote-group: system:masters", "authorization: Bearer nothing"],
            &["cookie: argocd.token=ada"],
            &["proxy-authorization: Bearer ada"],
        ] {
            let answer = api.call(route, headers).await;
            let is_refused = answer == unauthenticated();
            let wants_token = route.access != Access::Anyone;
            assert_eq!(is_refused, wants_token, "{} {} {headers:?}: {answer:?}", route.method, route.path);
        }
    }
    assert_eq!(api.asked(), [""; 0]);
    // What is no token at all is not even reviewed, and what was reviewed is not asked for again.
    cluster.edit(|state| {
        assert_eq!(state.reviewed, ["nothing"]);
        assert_eq!(state.asked, [""; 0]);
    });
    // A wrong query or name does not come before the question who asks.
    let (status, _) = api.send("GET /api/v1/applications/No%20name?x=y&x=z", &[], "").await;
    assert_eq!(status, 401);
}

// N27: the review fails or never ends
#[tokio::test(start_paused = true)]
async fn a_cluster_that_does_not_tell_who_asks_lets_nobody_in() {
    for mood in [Mood::Badly, Mood::NotAtAll] {
        let cluster = rich();
        cluster.edit(|state| state.on_tokens = mood);
        let api = api(&cluster);
        for route in closed() {
            assert_eq!(api.call(route, ADA).await, unauthenticated(), "{mood:?} {}", route.path);
        }
        assert_eq!(api.asked(), [""; 0]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_cluster_that_does_not_tell_what_a_caller_may_permits_nothing() {
    for mood in [Mood::Badly, Mood::NotAtAll] {
        let cluster = rich();
        cluster.edit(|state| state.on_rights = mood);
        let api = api(&cluster);
        for route in closed() {
            assert_eq!(api.call(route, ADA).await, forbidden(), "{mood:?} {}", route.path);
        }
        assert_eq!(api.asked(), [""; 0]);
    }
}

// N26: each row of the table, with its right and with all others
#[tokio::test]
async fn every_route_needs_its_own_right_and_no_other() {
    for route in closed() {
        let cluster = rich();
        cluster.edit(|state| state.rights = [right(route)].into());
        let allowed = api(&cluster);
        let (status, body) = allowed.call(route, ADA).await;
        assert_eq!(status, 200, "{}: {body}", route.path);
        assert_eq!(allowed.asked().len(), 1);
        cluster.edit(|state| assert_eq!(state.asked, [right(route)]));

        // All but this one.
        let cluster = rich();
        cluster.edit(|state| state.rights.remove(&right(route)));
        let denied = api(&cluster);
        assert_eq!(denied.call(route, ADA).await, forbidden(), "{}", route.path);
        assert_eq!(denied.asked(), [""; 0]);
    }
}

// N29: on every route that names an Application
#[tokio::test]
async fn who_may_not_read_an_application_does_not_learn_whether_it_exists() {
    for route in closed().filter(|route| matches!(route.access, Access::App(_))) {
        let of_gone = |route: &Route| {
            format!("{} {}", route.method, route.path.replace("{name}", "gone").replace("{id}", "3"))
        };
        // No right at all: the answer is that of an app that exists.
        let cluster = FakeCluster::with(&[]);
        let api_of_none = api(&cluster);
        assert_eq!(api_of_none.send(&of_gone(route), ADA, "").await, forbidden());
        assert_eq!(api_of_none.call(route, ADA).await, forbidden());
        assert_eq!(api_of_none.asked(), [""; 0]);
        // And the cluster is asked the same for both, so that neither takes longer.
        let asked = cluster.edit(|state| std::mem::take(&mut state.asked));
        assert_eq!(asked.len(), 2, "{asked:?}");
        assert_eq!(asked[0].replace("argocd/gone", "argocd/shop"), asked[1]);
        // May change it, if it were there, and may not read it.
        let Access::App(verb) = route.access else { continue };
        let right = format!("ada may {} argocd/gone", verb.as_str());
        let (status, body) = api(&FakeCluster::with(&[&right])).send(&of_gone(route), ADA, "").await;
        let expected = if verb == Verb::Get { 404 } else { 403 };
        assert_eq!(status, expected, "{}", route.path);
        if status == 403 {
            assert_eq!((status, body), forbidden());
        }
        // May do both.
        let both = FakeCluster::with(&[&right, "ada may get argocd/gone"]);
        assert_eq!(api(&both).send(&of_gone(route), ADA, "").await.0, 404);
    }
}

#[tokio::test]
async fn a_list_holds_what_the_caller_may_list() {
    let cluster = FakeCluster::with(&["ada may list argocd/", "ada may list argocd/shop"]);
    let api = api(&cluster);
    assert_eq!(api.send("GET /api/v1/applications", ADA, "").await.0, 200);
    let asked = api.asked();
    assert!(asked[0].contains(r#"app_namespace: Some("argocd")"#), "{asked:?}");
    assert_eq!(api.send("GET /api/v1/applications?name=shop", ADA, "").await.0, 200);
    let asked = api.asked();
    assert!(
        asked[0].contains(r#"name: Some("shop")"#) && asked[0].contains(r#"Some("argocd")"#),
        "{asked:?}"
    );
    for query in ["?name=other", "?appNamespace=tenant", "?appNamespace=tenant&name=shop"] {
        assert_eq!(
            api.send(&format!("GET /api/v1/applications{query}"), ADA, "").await,
            forbidden(),
            "{query}"
        );
    }
    // Which of two namespaces is meant is not for us to choose.
    let twice = "GET /api/v1/applications?appNamespace=argocd&appNamespace=tenant";
    assert_eq!(api.send(twice, ADA, "").await.0, 400);
    assert_eq!(api.asked(), [""; 0]);
}

#[tokio::test]
async fn a_body_cannot_name_what_the_caller_may_not_change() {
    let cluster = FakeCluster::with(&["ada may update argocd/shop", "ada may update mine/shop"]);
    let api = api(&cluster);
    let sync = "POST /api/v1/applications/shop/sync";
    assert_eq!(api.send(sync, ADA, r#"{"appNamespace": "tenant"}"#).await, forbidden());
    assert_eq!(api.send(sync, ADA, r#"{"name": "other"}"#).await.0, 400);
    assert_eq!(api.send(&format!("{sync}?appNamespace=tenant"), ADA, "").await, forbidden());
    assert_eq!(api.asked(), [""; 0]);
    assert_eq!(api.send(sync, ADA, r#"{"appNamespace": "mine"}"#).await.0, 200);
    assert!(api.asked()[0].contains(r#"namespace: Some("mine")"#));
}

#[tokio::test]
async fn the_agent_hears_who_asks() {
    let api = api(&FakeCluster::with(&["ada may update argocd/shop"]));
    assert_eq!(api.send("POST /api/v1/applications/shop/sync", ADA, "{}").await.0, 200);
    assert!(api.asked()[0].contains(r#"username: "ada""#));
}

#[tokio::test]
async fn with_tokens_any_host_is_answered_and_pages_of_others_are_not() {
    let api = api(&FakeCluster::with(&["ada may list argocd/"]));
    let list = "GET /api/v1/applications";
    for origin in ["http://tautline.example", "https://TAUTLINE.example"] {
        assert_eq!(api.send(list, &[ADA[0], &format!("origin: {origin}")], "").await.0, 200, "{origin}");
    }
    api.asked();
    for origin in ["https://evil.example", "null", "http://localhost", "https://tautline.example:8443", ""] {
        let (status, body) = api.send(list, &[ADA[0], &format!("origin: {origin}")], "").await;
        assert!(
            status == 403 && body["message"].as_str().unwrap().contains("other sites"),
            "{origin}: {body}"
        );
    }
    assert_eq!(api.asked(), [""; 0]);
}
