//! Are requests what the API server expects, and answers what callers expect?

use super::*;
use crate::fake::{Asked, Reply, cluster, server};
use model::{AppKey, Seconds};
use std::time::Duration;
use tokio::sync::oneshot;

const CONFIG_MAP: &str = r#"{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"x","namespace":"a"}}"#;

fn config_maps() -> Endpoint {
    Endpoint::new("v1", "ConfigMap", "configmaps", true)
}

fn config_map() -> Object {
    Object::from_value(serde_json::from_str(CONFIG_MAP).unwrap()).unwrap()
}

fn options() -> ApplyOptions {
    ApplyOptions { manager: "m".into(), force: true, dry_run: false, priority: Priority::Apply }
}

fn only(asked: &Asked) -> String {
    let asked = asked.lock().unwrap();
    assert_eq!(asked.len(), 1, "{asked:?}");
    asked[0].clone()
}

#[tokio::test]
async fn apply_tells_created_from_changed() {
    let (cluster, asked) =
        cluster(vec![Reply::Full(201, CONFIG_MAP.into()), Reply::Full(200, CONFIG_MAP.into())]);
    for created in [true, false] {
        let applied = cluster.apply(&config_maps(), &config_map(), &options()).await.unwrap();
        assert_eq!(applied, Applied { object: config_map(), created });
    }
    assert_eq!(
        asked.lock().unwrap()[0],
        format!(
            "PATCH /api/v1/namespaces/a/configmaps/x?fieldManager=m&force=true application/apply-patch+yaml {CONFIG_MAP}"
        )
    );
}

#[tokio::test]
async fn dry_runs_say_so_and_are_counted_apart() {
    let (cluster, asked) =
        cluster(vec![Reply::Full(200, CONFIG_MAP.into()), Reply::Full(200, CONFIG_MAP.into())]);
    let dry_run = ApplyOptions { dry_run: true, force: false, ..options() };
    cluster.apply(&config_maps(), &config_map(), &dry_run).await.unwrap();
    cluster.apply(&config_maps(), &config_map(), &options()).await.unwrap();
    assert!(asked.lock().unwrap()[0].contains("x?fieldManager=m&dryRun=All "));
    assert_eq!(cluster.requests(), [("apply", "ConfigMap".into(), 1), ("dry-run", "ConfigMap".into(), 1)]);
}

#[tokio::test]
async fn get_of_nothing_is_none_but_no_kind_is_an_error() {
    let missing = r#"{"kind":"Status","details":{"name":"x","kind":"configmaps"}}"#;
    let (cluster, _) = cluster(vec![
        Reply::Full(200, CONFIG_MAP.into()),
        Reply::Full(404, missing.into()),
        Reply::Full(404, "404 page not found".into()),
    ]);
    assert_eq!(cluster.get(&config_maps(), "a", "x").await.unwrap(), Some(config_map().into_value()));
    assert_eq!(cluster.get(&config_maps(), "a", "x").await.unwrap(), None);
    let error = cluster.get(&config_maps(), "a", "x").await.unwrap_err();
    assert_eq!(error.class, ErrorClass::NoSuchKind);
}

#[tokio::test]
async fn patches_name_their_kind_and_manager() {
    let (cluster, asked) =
        cluster(vec![Reply::Full(200, CONFIG_MAP.into()), Reply::Full(200, CONFIG_MAP.into())]);
    cluster.merge_patch(&config_maps(), "a", "x", &json!({"data": {"k": "v"}}), "m").await.unwrap();
    cluster.json_patch(Priority::Apply, &config_maps(), ("a", "x"), &json!([]), "m").await.unwrap();
    assert_eq!(
        *asked.lock().unwrap(),
        [
            r#"PATCH /api/v1/namespaces/a/configmaps/x?fieldManager=m application/merge-patch+json {"data":{"k":"v"}}"#,
            "PATCH /api/v1/namespaces/a/configmaps/x?fieldManager=m application/json-patch+json []",
        ]
    );
}

#[tokio::test]
async fn create_goes_to_the_collection() {
    let (cluster, asked) = cluster(vec![Reply::Full(201, CONFIG_MAP.into())]);
    cluster.create(&config_maps(), &config_map(), "m").await.unwrap();
    assert!(
        only(&asked).starts_with("POST /api/v1/namespaces/a/configmaps?fieldManager=m application/json {")
    );
}

#[tokio::test]
async fn deletion_is_guarded_and_says_whether_it_is_done() {
    let waiting = r#"{"kind":"ConfigMap","metadata":{"deletionTimestamp":"2026-01-01T00:00:00Z"}}"#;
    let missing = r#"{"kind":"Status","details":{"kind":"configmaps"}}"#;
    let (cluster, asked) = cluster(vec![
        Reply::Full(200, r#"{"kind":"Status","status":"Success"}"#.into()),
        // Services and others answer with the object that is gone.
        Reply::Full(200, r#"{"kind":"Service","metadata":{}}"#.into()),
        Reply::Full(202, waiting.into()),
        Reply::Full(404, missing.into()),
        Reply::Full(409, r#"{"kind":"Status"}"#.into()),
    ]);
    let guarded = DeleteOptions {
        uid: "u".into(),
        resource_version: "7".into(),
        propagation: Propagation::Foreground,
        priority: Priority::Apply,
    };
    let key = config_map().key();
    for gone in [true, true, false, true] {
        assert_eq!(cluster.delete(&config_maps(), &key, &guarded).await, Ok(Deleted { gone }));
    }
    let error = cluster.delete(&config_maps(), &key, &guarded).await.unwrap_err();
    assert_eq!(error.class, ErrorClass::Conflict);
    assert_eq!(
        asked.lock().unwrap()[0],
        "DELETE /api/v1/namespaces/a/configmaps/x application/json {\"apiVersion\":\"v1\",\"kind\":\"DeleteOptions\",\
         \"preconditions\":{\"resourceVersion\":\"7\",\"uid\":\"u\"},\"propagationPolicy\":\"Foreground\"}"
    );
}

/// What a person waits for is not behind what nobody waits for.
#[tokio::test(start_paused = true)]
async fn a_read_goes_in_the_turn_of_what_waits_for_it() {
    let (senders, held): (Vec<_>, Vec<_>) = (0..3).map(|_| oneshot::channel()).unzip();
    let found = [Reply::Full(200, CONFIG_MAP.into()), Reply::Full(200, CONFIG_MAP.into())];
    let (cluster, asked) = cluster(held.into_iter().map(Reply::Held).chain(found).collect());
    let read = |priority: Priority, name: &'static str| {
        let cluster = cluster.clone();
        tokio::spawn(async move { cluster.get_at(priority, &config_maps(), "a", name).await })
    };
    for _ in 0..3 {
        read(Priority::Background, "first");
    }
    tokio::time::sleep(Duration::from_millis(1)).await;
    let nobody = read(Priority::Background, "nobody");
    tokio::time::sleep(Duration::from_millis(1)).await;
    let person = read(Priority::User, "person");
    tokio::time::sleep(Duration::from_millis(1)).await;
    for sender in senders {
        sender.send((200, CONFIG_MAP.into())).expect("it is waited for");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    nobody.await.unwrap().unwrap();
    person.await.unwrap().unwrap();
    let asked = asked.lock().unwrap();
    assert!(asked[3].ends_with("/person") && asked[4].ends_with("/nobody"), "{asked:?}");
}

#[tokio::test(start_paused = true)]
async fn an_app_whose_requests_hang_leaves_places_to_others() {
    let (cluster, asked) = server(|request| {
        if request.url.contains("hangs") { Reply::Silence } else { Reply::Full(200, CONFIG_MAP.into()) }
    });
    let hanging = cluster.for_app(&AppKey::new("argocd", "hanging"));
    for _ in 0..8 {
        let hanging = hanging.clone();
        tokio::spawn(async move { hanging.get(&config_maps(), "a", "hangs").await });
    }
    tokio::time::sleep(Duration::from_millis(1)).await;
    let begun = tokio::time::Instant::now();
    for _ in 0..8 {
        let other = cluster.for_app(&AppKey::new("argocd", "other"));
        other.get(&config_maps(), "a", "x").await.unwrap();
        cluster.get(&config_maps(), "a", "x").await.unwrap();
    }
    assert!(begun.elapsed().is_zero(), "{:?}", begun.elapsed());
    assert_eq!(asked.lock().unwrap().iter().filter(|line| line.contains("hangs")).count(), 3);
}

#[tokio::test]
async fn nothing_is_sent_without_a_name() {
    let (cluster, asked) = cluster(vec![]);
    let key = ObjectKey::new("", "ConfigMap", "", "x");
    let any = DeleteOptions {
        uid: String::new(),
        resource_version: String::new(),
        propagation: Propagation::Background,
        priority: Priority::Apply,
    };
    assert_eq!(cluster.delete(&config_maps(), &key, &any).await.unwrap_err().class, ErrorClass::Invalid);
    assert!(cluster.get(&config_maps(), "a", "").await.is_err());
    assert!(asked.lock().unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_server_that_says_nothing_is_unavailable_in_time() {
    let (cluster, _) = cluster(vec![Reply::Silence, Reply::Refused]);
    let started = tokio::time::Instant::now();
    let error = cluster.get(&config_maps(), "a", "x").await.unwrap_err();
    assert_eq!((error.class, error.status), (ErrorClass::Unavailable, None));
    assert_eq!(error.message, "no answer from http://fake within 10 s");
    assert_eq!(started.elapsed(), Duration::from_secs(10));
    let error = cluster.get(&config_maps(), "a", "x").await.unwrap_err();
    assert_eq!(error.message, "failed to reach http://fake: connection refused");
}

#[tokio::test(start_paused = true)]
async fn a_full_gate_does_not_eat_the_deadline() {
    let mut script: Vec<Reply> = (0..4).map(|_| Reply::Silence).collect();
    script.push(Reply::Full(200, CONFIG_MAP.into()));
    let (cluster, asked) = cluster(script);
    let endpoint = config_maps();
    let calls: Vec<_> = (0..5).map(|_| cluster.get(&endpoint, "a", "x")).collect();
    let results = futures::future::join_all(calls).await;
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1);
    assert_eq!(asked.lock().unwrap().len(), 5);
}

#[tokio::test]
async fn throttling_is_told_and_shrinks_the_gate_and_nothing_is_repeated() {
    let (cluster, asked) = cluster(vec![
        Reply::Header(429, "retry-after", "86400", String::new()),
        Reply::Header(503, "retry-after", "3", String::new()),
    ]);
    let error = cluster.get(&config_maps(), "a", "x").await.unwrap_err();
    assert_eq!((error.class, error.retry_after), (ErrorClass::Throttled, Some(Seconds::new(30))));
    assert_eq!(cluster.in_flight_limit(), 2);
    let error = cluster.get(&config_maps(), "a", "x").await.unwrap_err();
    assert_eq!((error.class, error.retry_after), (ErrorClass::Unavailable, Some(Seconds::new(3))));
    assert_eq!(asked.lock().unwrap().len(), 2);
}

#[tokio::test]
async fn answers_that_cannot_be_read_are_unavailable_and_not_quoted() {
    let deep = format!("{{\"a\":{}\"hush\"{}}}", "[".repeat(200), "]".repeat(200));
    for body in ["", "{\"hush", "<hush>", "[\"hush\"]", "{\"kind\":\"hush\"}", &deep] {
        let (cluster, _) = cluster(vec![Reply::Full(200, body.into())]);
        let error = cluster.apply(&config_maps(), &config_map(), &options()).await.unwrap_err();
        assert_eq!(error.class, ErrorClass::Unavailable);
        assert!(!error.message.contains("hush"), "{}", error.message);
    }
}

// N21: the same by way of an apply
#[tokio::test]
async fn what_the_server_says_of_a_secret_is_hidden() {
    let refused = r#"{"kind":"Status","message":"data[k]: Invalid value: \"hush\"","reason":"Invalid"}"#;
    let (cluster, _) = cluster(vec![Reply::Full(422, refused.into())]);
    let secret = Object::from_value(json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "x", "namespace": "a"}
    }));
    let endpoint = Endpoint::new("v1", "Secret", "secrets", true);
    let error = cluster.apply(&endpoint, &secret.unwrap(), &options()).await.unwrap_err();
    assert_eq!(
        error.message,
        "Secret was refused (Invalid); the server's own text is hidden because it may quote values"
    );
}

#[tokio::test]
async fn users_go_before_background() {
    let (sender, receiver) = oneshot::channel();
    let mut script = vec![Reply::Held(receiver)];
    script.extend((0..2).map(|_| Reply::Full(200, CONFIG_MAP.into())));
    let (cluster, asked) = cluster(script);
    // One in flight.
    for _ in 0..2 {
        cluster.inner.gate.throttled();
    }
    let endpoint = config_maps();
    let user = ApplyOptions { priority: Priority::User, ..options() };
    let object = config_map();
    let (first, second, third, ()) = tokio::join!(
        cluster.get(&endpoint, "a", "first"),
        cluster.get(&endpoint, "a", "background"),
        cluster.apply(&endpoint, &object, &user),
        // No success, which would widen the gate.
        async { sender.send((429, String::new())).unwrap() },
    );
    assert!(first.is_err() && second.is_ok() && third.is_ok());
    let asked = asked.lock().unwrap();
    assert!(asked[1].starts_with("PATCH"), "{asked:?}");
    assert!(asked[2].contains("background"), "{asked:?}");
}
