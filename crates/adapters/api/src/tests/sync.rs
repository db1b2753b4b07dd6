//! What does a sync request's body become, and what is it told?

use super::routes::echo;
use serde_json::Value;

/// Posts a body and returns what the agent was asked, or status and refusal.
async fn sync(query: &str, body: &str) -> String {
    let response = warp::test::request()
        .method("POST")
        .path(&format!("/api/v1/applications/web/sync{query}"))
        .header("host", "localhost")
        .header("content-type", "application/json")
        .body(body)
        .reply(&echo())
        .await;
    let answer: Value = serde_json::from_slice(response.body()).unwrap();
    match response.status().as_u16() {
        200 => answer["asked"].as_str().unwrap().to_owned(),
        status => format!("{status} {}", answer["message"].as_str().unwrap()),
    }
}

const PLAIN: &str = r#"Sync AppRef { name: "web", namespace: None, project: None } SyncBody { revision: "", prune: false, dry_run: false, resources: [], retry_limit: None }"#;

#[tokio::test]
async fn what_says_nothing_asks_for_a_plain_sync() {
    for body in [
        "",
        " \n",
        "{}",
        r#"{"revision": "", "prune": false, "dryRun": null, "resources": [], "manifests": null, "infos": []}"#,
        r#"{"name": "web", "strategy": {"hook": {"force": false}}, "syncOptions": {"items": []}}"#,
        r#"{"strategy": {"apply": {}}, "syncOptions": {"items": ["ServerSideApply=true"]}, "retryStrategy": {}}"#,
    ] {
        assert_eq!(sync("", body).await, PLAIN, "{body}");
    }
}

#[tokio::test]
async fn everything_we_act_on_reaches_the_agent() {
    let body = r#"{"revision": "v2", "prune": true, "dryRun": true, "retryStrategy": {"limit": 3}, "project": "shop",
        "appNamespace": "tenant",
        "resources": [{"group": "apps", "kind": "Deployment", "name": "x", "namespace": "n"}, {"kind": "ConfigMap", "name": "y"}]}"#;
    let asked = sync("?appNamespace=tenant", body).await;
    assert_eq!(
        asked,
        "Sync AppRef { name: \"web\", namespace: Some(\"tenant\"), project: Some(\"shop\") } SyncBody { revision: \"v2\", \
         prune: true, dry_run: true, resources: [\
         ResourceSelector { group: \"apps\", kind: \"Deployment\", namespace: \"n\", name: \"x\" }, \
         ResourceSelector { group: \"\", kind: \"ConfigMap\", namespace: \"\", name: \"y\" }], retry_limit: Some(3) }"
    );
}

#[tokio::test]
async fn refusals_name_every_field() {
    for (body, expected) in [
        (
            "{\n  \"prune\" true }",
            "400 the request's body is not valid JSON: expected `:` at line 2 column 11",
        ),
        ("[]", "400 the request's body must be a JSON object, such as {\"prune\": true}"),
        (
            r#"{"prnue": false, "dryrun": true}"#,
            "400 `dryrun` is not a field of a sync request; `prnue` is not a field of a sync request",
        ),
        (
            r#"{"prune": "yes", "revision": 7}"#,
            "400 `prune` must be true or false, not \"yes\"; `revision` must be text, not 7",
        ),
        (
            r#"{"strategy": {"hook": {"force": true}}}"#,
            "501 not supported yet: strategy.hook.force; nothing was synced",
        ),
        (r#"{"strategy": {"replace": {}}}"#, "400 `strategy.replace` is neither `apply` nor `hook`"),
        (r#"{"strategy": "hook"}"#, "400 `strategy` must be an object such as {\"apply\": {}}, not \"hook\""),
        (
            r#"{"manifests": ["{}"], "infos": [{"name": "a"}]}"#,
            "501 not supported yet: infos, manifests; nothing was synced",
        ),
        (
            r#"{"revisions": ["a"], "sourcePositions": [1]}"#,
            "501 not supported yet: revisions, sourcePositions; nothing was synced",
        ),
        (
            r#"{"syncOptions": {"items": ["Replace=true"]}}"#,
            "501 not supported yet: syncOptions: Replace=true; nothing was synced",
        ),
        (
            r#"{"syncOptions": ["Replace=true"]}"#,
            "400 `syncOptions` must be {\"items\": [...]}, not [\"Replace=true\"]",
        ),
        (
            r#"{"retryStrategy": {"limit": 1, "backoff": {"duration": "5s"}}}"#,
            "501 not supported yet: retryStrategy.backoff; nothing was synced",
        ),
        (
            r#"{"retryStrategy": {"limit": "3"}}"#,
            "400 `retryStrategy.limit` must be a whole number, not \"3\"",
        ),
        (
            r#"{"x": 1, "manifests": ["{}"]}"#,
            "400 `x` is not a field of a sync request; not supported yet: manifests",
        ),
        (r#"{"resources": [{"kind": "A"}]}"#, "400 `resources[0]` needs `kind` and `name`"),
        (
            r#"{"resources": [{"kind": "A", "name": "b", "nmae": "c"}]}"#,
            "400 `resources[0].nmae` is none of group, kind, namespace, name",
        ),
        (
            r#"{"resources": ["A/b"]}"#,
            "400 `resources[0]` must be an object with `kind` and `name`, not \"A/b\"",
        ),
        (r#"{"name": "other"}"#, "400 `name` is `other` in the body and `web` in the URL"),
        (r#"{"appNamespace": "a/b"}"#, "400 no namespace can be called \"a/b\""),
    ] {
        assert_eq!(sync("", body).await, expected, "{body}");
    }
    let long = format!(r#"{{"revision": "{}"}}"#, "1".repeat(251));
    assert_eq!(sync("", &long).await, "400 `revision` is longer than 250 bytes");
}

#[tokio::test]
async fn body_and_url_must_agree() {
    assert_eq!(
        sync("?appNamespace=a&project=p", r#"{"appNamespace": "b", "project": "q"}"#).await,
        "400 `appNamespace` is `b` in the body and `a` in the URL; `project` is `q` in the body and `p` in the URL"
    );
    // A dry run asked for in the wrong place must not become a sync.
    assert!(sync("?dryRun=true", "{}").await.starts_with("400 unknown query parameter `dryRun`"));
}

// N48: a body of maps in maps
#[tokio::test]
async fn deep_nesting_is_refused() {
    let deep = format!("{{\"infos\": {}1{}}}", "[".repeat(100_000), "]".repeat(100_000));
    assert!(sync("", &deep).await.starts_with("400 the request's body is not valid JSON: recursion limit"));
}

#[test]
fn a_sync_becomes_an_operation() {
    let body = crate::SyncBody {
        revision: "v2".into(),
        prune: true,
        dry_run: true,
        resources: vec![model::ResourceSelector {
            group: "apps".into(),
            kind: "Deployment".into(),
            namespace: String::new(),
            name: "x".into(),
        }],
        retry_limit: Some(2),
    };
    assert_eq!(
        body.operation("ci").to_string(),
        r#"{"initiatedBy":{"username":"ci"},"retry":{"limit":2},"sync":{"dryRun":true,"prune":true,"resources":[{"group":"apps","kind":"Deployment","name":"x"}],"revision":"v2"}}"#
    );
    assert_eq!(crate::SyncBody::default().operation("").to_string(), r#"{"initiatedBy":{},"sync":{}}"#);
}
