//! What do people ask an Application for, and what do they get?

use e2e::{Scene, config_map, is_synced_to, operation_phase, result_of, settled, sync_status};
use serde_json::{Value, json};

/// Two objects in Git, one of them dropped by the newest commit; deployed by hand only.
fn shop(scene: &Scene) -> (e2e::Repo, String, String) {
    let repo = scene.repo("shop");
    repo.write("web.yaml", &config_map("web", "one")).write("old.yaml", &config_map("old", "one"));
    let first = repo.commit("first");
    scene.application("shop").repo(&repo).create();
    scene.wait_app("shop", |app| app["status"]["sync"]["revision"] == first);
    scene.sync("shop", &json!({}));
    scene.wait_app("shop", |app| is_synced_to(app, &first));
    let second = repo.write("web.yaml", &config_map("web", "two")).remove("old.yaml").commit("second");
    let app = scene.wait_app("shop", |app| app["status"]["sync"]["revision"] == second);
    assert_eq!(sync_status(&app), "OutOfSync");
    (repo, first, second)
}

fn value(scene: &Scene, name: &str) -> Option<String> {
    Some(scene.config_map(name)?["data"]["key"].as_str()?.to_owned())
}

#[test]
fn an_operation_syncs_what_it_names() {
    let scene = Scene::new("operation");
    let _agent = scene.agent();
    let (_repo, first, second) = shop(&scene);
    assert_eq!(value(&scene, "web").as_deref(), Some("one"), "it synced by itself");

    let app = scene.sync("shop", &json!({"dryRun": true, "prune": true}));
    assert_eq!(operation_phase(&app), "Succeeded");
    assert_eq!(result_of(&app, "ConfigMap", "web")["message"], "configmap/web configured");
    assert_eq!(result_of(&app, "ConfigMap", "old")["message"], "configmap/old pruned");
    assert_eq!(
        (value(&scene, "web").as_deref(), value(&scene, "old").as_deref()),
        (Some("one"), Some("one"))
    );

    let only_old = json!([{"kind": "ConfigMap", "name": "old"}]);
    scene.sync("shop", &json!({"resources": only_old, "prune": true}));
    assert_eq!((value(&scene, "web").as_deref(), value(&scene, "old")), (Some("one"), None));

    let app = scene.sync("shop", &json!({}));
    assert_eq!(value(&scene, "web").as_deref(), Some("two"));
    assert_eq!(app["status"]["operationState"]["operation"]["initiatedBy"]["username"], "ada");
    scene.wait_app("shop", |app| is_synced_to(app, &second));

    // Back to an older revision, by hand.
    let app = scene.sync("shop", &json!({"revision": first}));
    assert_eq!(app["status"]["operationState"]["syncResult"]["revision"], first);
    assert_eq!(
        (value(&scene, "web").as_deref(), value(&scene, "old").as_deref()),
        (Some("one"), Some("one"))
    );
    assert_eq!(sync_status(&scene.wait_app("shop", |app| sync_status(app) == "OutOfSync")), "OutOfSync");
}

#[test]
fn a_chosen_revision_prunes_what_it_does_not_have() {
    let scene = Scene::new("chosen");
    let _agent = scene.agent();
    let (repo, _first, _) = shop(&scene);
    scene.sync("shop", &json!({"prune": true}));
    // On a branch of its own, with an object of a kind that the app never had.
    let account = "apiVersion: v1\nkind: ServiceAccount\nmetadata: {name: shop}\n";
    let chosen = repo.branch("next").write("account.yaml", account).commit("account");
    repo.checkout("main");
    let keep = "name: kept\n  annotations: {argocd.argoproj.io/sync-options: Prune=false}";
    repo.write("new.yaml", &config_map("new", "one"));
    repo.write("kept.yaml", &config_map("kept", "one").replace("name: kept", keep));
    let third = repo.commit("third");
    scene.wait_app("shop", |app| app["status"]["sync"]["revision"] == third);
    scene.sync("shop", &json!({}));
    scene.wait_app("shop", |app| is_synced_to(app, &third));
    scene.kubectl_apply(&config_map("foreign", "one"));
    let live = || ["web", "new", "kept", "foreign"].map(|name| value(&scene, name));
    let (one, two) = (Some("one".to_owned()), Some("two".to_owned()));
    let all = [two.clone(), one.clone(), one.clone(), one.clone()];

    let app = scene.sync("shop", &json!({"revision": chosen, "prune": true, "dryRun": true}));
    assert_eq!(result_of(&app, "ConfigMap", "new")["status"], "Pruned", "{app}");
    assert_eq!(live(), all, "a dry run changed something");
    let app = scene.sync("shop", &json!({"revision": chosen}));
    assert_eq!(operation_phase(&app), "Succeeded", "{app}");
    assert_eq!(result_of(&app, "ConfigMap", "new")["message"], "ignored (requires pruning)");
    assert_eq!(live(), all, "nobody asked to prune");

    let app = scene.sync("shop", &json!({"revision": chosen, "prune": true}));
    assert_eq!(operation_phase(&app), "Succeeded", "{app}");
    assert_eq!(app["status"]["operationState"]["syncResult"]["revision"], chosen);
    assert_eq!(result_of(&app, "ConfigMap", "new")["status"], "Pruned", "{app}");
    assert_eq!(result_of(&app, "ConfigMap", "kept")["message"], "ignored (no prune)");
    assert_eq!(live(), [two, None, one.clone(), one]);
    let app = scene.wait_app("shop", |app| sync_status(app) == "OutOfSync");
    assert_eq!(app["status"]["sync"]["revision"], third);

    // What the branch has comes back with it.
    assert!(scene.get("v1", "ServiceAccount", &scene.namespace, "shop").is_some());
    scene.sync("shop", &json!({"prune": true}));
    scene.wait_app("shop", |app| is_synced_to(app, &third));
    assert_eq!(live(), all);
}

#[test]
fn a_sync_over_http_does_the_same() {
    let scene = Scene::new("http");
    let agent = scene.agent();
    let (_repo, first, second) = shop(&scene);
    let post = |body: &Value| {
        let answer = agent.post("/api/v1/applications/shop/sync", body);
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_eq!(answer.json()["metadata"]["name"], "shop");
        scene.wait_app("shop", |app| settled(app) && app["status"]["operationState"].is_object())
    };
    post(&json!({"dryRun": true}));
    assert_eq!(value(&scene, "web").as_deref(), Some("one"));
    post(&json!({"resources": [{"group": "", "kind": "ConfigMap", "name": "web"}]}));
    assert_eq!(
        (value(&scene, "web").as_deref(), value(&scene, "old").as_deref()),
        (Some("two"), Some("one"))
    );
    post(&json!({"prune": true}));
    assert_eq!(value(&scene, "old"), None);
    scene.wait_app("shop", |app| is_synced_to(app, &second));
    post(&json!({"revision": first}));
    assert_eq!(value(&scene, "web").as_deref(), Some("one"));
}

#[test]
fn a_sync_over_http_says_what_it_cannot_do() {
    let scene = Scene::new("httprefused");
    let agent = scene.agent();
    let (_repo, _first, _second) = shop(&scene);
    let sync = |body: &Value| agent.post("/api/v1/applications/shop/sync", body);
    for (body, status, expected) in [
        (json!({"prune": "yes"}), 400, "`prune` must be true or false"),
        (json!({"revisions": ["main"]}), 501, "not supported yet: revisions"),
        (json!({"wave": 1}), 400, "`wave` is not a field of a sync request"),
    ] {
        let answer = sync(&body);
        assert_eq!(answer.status, status, "{answer:?}");
        assert!(answer.json()["message"].as_str().unwrap().contains(expected), "{answer:?}");
    }
    assert_eq!(agent.post("/api/v1/applications/nothing/sync", &json!({})).status, 404);
    let is_seen = |pointer: &str| {
        agent.wait_probe("/metrics", |_| {
            agent.get("/api/v1/applications/shop").json().pointer(pointer).is_some_and(Value::is_string)
        });
    };
    let refused = |word: &str| {
        let answer = sync(&json!({}));
        assert_eq!(answer.status, 409, "{answer:?}");
        assert!(answer.json()["message"].as_str().unwrap().contains(word), "{answer:?}");
    };
    let skip =
        |value: Value| json!({"metadata": {"annotations": {"argocd.argoproj.io/skip-reconcile": value}}});
    scene.patch_app("shop", &skip("true".into()));
    is_seen("/metadata/annotations/argocd.argoproj.io~1skip-reconcile");
    refused("skip-reconcile");
    scene.patch_app("shop", &skip(Value::Null));
    // Somebody else's finalizer keeps it.
    scene.patch_app("shop", &json!({"metadata": {"finalizers": ["example.com/kept"]}}));
    scene.delete_app("shop");
    is_seen("/metadata/deletionTimestamp");
    refused("is being deleted");
    assert!(scene.app("shop")["operation"].is_null(), "one of them stands there unanswered");
    scene.patch_app("shop", &json!({"metadata": {"finalizers": null}}));
    scene.wait_app_gone("shop");
    assert_eq!(value(&scene, "web").as_deref(), Some("one"), "one of them was carried out");
}

#[test]
fn a_revision_that_does_not_exist_fails_the_operation_alone() {
    let scene = Scene::new("norevision");
    let _agent = scene.agent();
    let (_repo, _first, second) = shop(&scene);
    let app = scene.sync("shop", &json!({"revision": "no-such-branch"}));
    assert_eq!(operation_phase(&app), "Error");
    let message = app["status"]["operationState"]["message"].as_str().unwrap();
    assert!(message.contains("no-such-branch"), "{message}");
    assert_eq!(app["status"]["sync"]["revision"], second);
    assert_eq!(value(&scene, "web").as_deref(), Some("one"));
}

#[test]
fn a_refresh_is_answered_and_its_annotation_removed() {
    let scene = Scene::new("refresh");
    let agent = scene.agent();
    scene.deployed("shop", &[("web.yaml", &config_map("web", "one"))]);
    let renders = || agent.metric("tautline_renders_total");
    for (kind, rendered) in [("normal", 0), ("hard", 1)] {
        let before = renders();
        scene.patch_app("shop", &json!({"metadata": {"annotations": {"argocd.argoproj.io/refresh": kind}}}));
        scene.wait_app("shop", |app| app["metadata"]["annotations"]["argocd.argoproj.io/refresh"].is_null());
        assert_eq!(renders() - before, rendered, "renders of a {kind} refresh");
    }
}

/// `argocd app sync` and `argocd app wait --operation` go on until nothing is asked for and the app was compared since.
#[test]
fn what_argocd_app_sync_asks_for_comes_to_an_end_that_it_sees() {
    let scene = Scene::new("argocd-sync");
    let _agent = scene.agent();
    let (_repo, _first, second) = shop(&scene);
    let source = &scene.app("shop")["spec"]["source"];
    let sync = json!({"revision": second, "source": source, "prune": true, "syncStrategy": {"hook": {}}});
    let operation = json!({"initiatedBy": {}, "retry": {}, "sync": sync});
    scene.patch_app("shop", &json!({"operation": operation}));
    let app = scene.wait_app("shop", |app| app["operation"].is_null() && is_synced_to(app, &second));
    let state = &app["status"]["operationState"];
    assert_eq!((operation_phase(&app), &state["syncResult"]["revision"]), ("Succeeded", &json!(second)));
    let (compared, ended) = (app["status"]["reconciledAt"].as_str(), state["finishedAt"].as_str());
    assert!(ended.is_some() && compared >= ended, "compared {compared:?}, ended {ended:?}");
}

/// Asks for what `argocd app rollback --prune` writes: a sync to the revision and the source of an entry of the history.
fn ask_for_entry(scene: &Scene, index: usize) -> Value {
    let entry = &scene.app("shop")["status"]["history"][index];
    let (revision, source) = (&entry["revision"], &entry["source"]);
    let sync = json!({"revision": revision, "source": source, "prune": true, "syncStrategy": {"apply": {}}});
    let operation = json!({"initiatedBy": {"username": "ada"}, "retry": {}, "sync": sync});
    scene.patch_app("shop", &json!({"operation": operation}));
    revision.clone()
}

fn deployed_by_and_by(app: &Value) -> Vec<&str> {
    let history = app["status"]["history"].as_array().into_iter().flatten();
    history.filter_map(|entry| entry["revision"].as_str()).collect()
}

#[test]
fn what_argocd_app_rollback_asks_for_stays_where_nobody_syncs_by_himself() {
    let scene = Scene::new("argocd-rollback");
    let _agent = scene.agent();
    let (_repo, first, second) = shop(&scene);
    scene.sync("shop", &json!({"prune": true}));
    scene.wait_app("shop", |app| is_synced_to(app, &second));
    assert_eq!(value(&scene, "old"), None);
    assert_eq!(ask_for_entry(&scene, 0), json!(first));
    let is_back = |app: &Value| settled(app) && deployed_by_and_by(app) == [&first, &second, &first];
    let app = scene.wait_app("shop", is_back);
    let state = &app["status"]["operationState"];
    assert_eq!((operation_phase(&app), &state["syncResult"]["revision"]), ("Succeeded", &json!(first)));
    scene.let_pass("marker");
    let app = scene.app("shop");
    assert_eq!((sync_status(&app), &app["status"]["sync"]["revision"]), ("OutOfSync", &json!(second)));
    let live = ["web", "old"].map(|name| value(&scene, name));
    assert_eq!(live, [Some("one".to_owned()), Some("one".to_owned())], "it stays at what was asked for");
}

/// Argo CD's server refuses such a request while auto-sync is on; whoever writes it all the same gets what Argo CD's
/// controller does: that revision, and then the newest, for what was tried last is another one.
#[test]
fn what_argocd_app_rollback_asks_for_is_done_under_auto_sync_which_then_goes_on() {
    let scene = Scene::new("argocd-rollback-auto");
    let _agent = scene.agent();
    for (n, automated) in [json!({}), json!({"prune": true, "selfHeal": true})].into_iter().enumerate() {
        let name = format!("map-{n}");
        let repo = scene.repo(&name);
        let first = repo.write("web.yaml", &config_map(&name, "one")).commit("first");
        scene.application("shop").repo(&repo).set("/spec/syncPolicy/automated", automated).create();
        scene.wait_app("shop", |app| is_synced_to(app, &first));
        let second = repo.write("web.yaml", &config_map(&name, "two")).commit("second");
        scene.wait_app("shop", |app| is_synced_to(app, &second));
        ask_for_entry(&scene, 0);
        let revisions = [&first, &second, &first, &second];
        let app = scene.wait_app("shop", |app| {
            is_synced_to(app, &second) && deployed_by_and_by(app).len() >= revisions.len()
        });
        assert_eq!(deployed_by_and_by(&app), revisions);
        assert_eq!(value(&scene, &name).as_deref(), Some("two"));
        assert_eq!(app["status"]["operationState"]["operation"]["initiatedBy"]["automated"], true, "{app:#}");
        scene.let_pass(&format!("marker-{n}"));
        assert_eq!(deployed_by_and_by(&scene.app("shop")), revisions, "and no further");
        scene.delete_app("shop");
        scene.wait_app_gone("shop");
    }
}

#[test]
fn a_sync_can_be_terminated() {
    let scene = Scene::new("terminate");
    let _agent = scene.agent();
    let repo = scene.repo("shop");
    repo.write(
        "web.yaml",
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\nspec:\n  selector: {matchLabels: {app: web}}\n  \
         template:\n    metadata: {labels: {app: web}}\n    spec: {containers: [{name: web, image: 'web:never-ready'}]}\n",
    );
    repo.commit("first");
    scene.application("shop").repo(&repo).automated().create();
    scene.wait_app("shop", |app| operation_phase(app) == "Running");
    // What `argocd app terminate-op --core` does to a sync that somebody asked for.
    scene.patch_app("shop", &json!({"status": {"operationState": {"phase": "Terminating"}}}));
    let app = scene.wait_app("shop", |app| operation_phase(app) == "Failed");
    let message = app["status"]["operationState"]["message"].as_str().unwrap();
    assert_eq!(message, "Operation terminated");
}

#[test]
fn retries_end_at_their_limit() {
    let scene = Scene::new("retry");
    let _agent = scene.agent();
    let repo = scene.repo("shop");
    repo.write("web.yaml", &config_map("web", "one"));
    repo.commit("first");
    let retry = json!({"limit": 2, "backoff": {"duration": "1s", "factor": 1, "maxDuration": "1s"}});
    let missing = scene.unique("missing");
    scene
        .application("shop")
        .repo(&repo)
        .automated()
        .set("/spec/syncPolicy/retry", retry)
        .set("/spec/destination/namespace", missing)
        .create();
    let app = scene.wait_app("shop", |app| operation_phase(app) == "Failed");
    assert_eq!(app["status"]["operationState"]["retryCount"], 2);
    let message = app["status"]["operationState"]["message"].as_str().unwrap();
    assert!(
        message.starts_with("one or more objects failed to apply, reason: ")
            && message.ends_with("(retried 2 times)."),
        "{message}"
    );
}

#[test]
fn an_app_that_is_to_be_skipped_is_left_alone_until_it_is_not() {
    let scene = Scene::new("skip");
    let _agent = scene.agent();
    let repo = scene.repo("shop");
    repo.write("web.yaml", &config_map("web", "one"));
    let revision = repo.commit("first");
    let skip = "argocd.argoproj.io/skip-reconcile";
    scene.application("shop").repo(&repo).automated().annotation(skip, "true").create();
    scene.let_pass("other");
    assert!(scene.config_map("web").is_none());
    assert!(scene.app("shop")["status"].is_null(), "{}", scene.app("shop"));
    scene.patch_app("shop", &json!({"metadata": {"annotations": {skip: null}}}));
    scene.wait_app("shop", |app| is_synced_to(app, &revision));
}

#[test]
fn history_is_as_long_as_it_is_asked_for() {
    let scene = Scene::new("history");
    let _agent = scene.agent();
    let repo = scene.repo("shop");
    scene.application("shop").repo(&repo).automated().set("/spec/revisionHistoryLimit", 2).create();
    let mut revisions = Vec::new();
    for n in 0..4 {
        repo.write("web.yaml", &config_map("web", &format!("value {n}")));
        revisions.push(repo.commit("next"));
        scene.wait_app("shop", |app| is_synced_to(app, &revisions[n]));
    }
    let app = scene.app("shop");
    let history = app["status"]["history"].as_array().unwrap();
    let shown: Vec<(&Value, &Value)> =
        history.iter().map(|entry| (&entry["id"], &entry["revision"])).collect();
    assert_eq!(shown, [(&json!(2), &json!(revisions[2])), (&json!(3), &json!(revisions[3]))]);
}

#[test]
fn an_operation_that_cannot_begin_tries_nothing_and_forgets_nothing() {
    let scene = Scene::new("cannot");
    let mut agent = scene.agent();
    let repo = scene.repo("shop");
    let revision = repo.write("web.yaml", &config_map("web", "one")).commit("first");
    // Without self-heal: each desired state is tried once.
    scene.application("shop").repo(&repo).set("/spec/syncPolicy/automated", json!({"prune": true})).create();
    scene.wait_app("shop", |app| is_synced_to(app, &revision));
    scene.edit_as("ops", "configmap/web", &json!({"data": {"key": "by hand"}}));
    scene.wait_app("shop", |app| sync_status(app) == "OutOfSync");
    let stays = |scene: &Scene, marker: &str| {
        scene.let_pass(marker);
        assert_eq!(value(scene, "web").as_deref(), Some("by hand"), "{marker}");
    };

    let app = scene.sync("shop", &json!({"syncStrategy": {"apply": {"force": true}}}));
    assert_eq!(operation_phase(&app), "Failed");
    assert_eq!(
        app["status"]["operationState"]["message"],
        "Nothing was done: Tautline cannot act on what the operation asks for: operation.sync.syncStrategy. Ask for a sync without it"
    );
    stays(&scene, "after-force");
    let app = scene.sync("shop", &json!({"revision": "no-such-branch"}));
    assert_eq!(operation_phase(&app), "Error");
    stays(&scene, "after-branch");
    assert_eq!(agent.terminate().code(), Some(0));
    agent.restart();
    stays(&scene, "after-restart");
    // A person's sync brings it back.
    scene.sync("shop", &json!({}));
    assert_eq!(value(&scene, "web").as_deref(), Some("one"));
}
