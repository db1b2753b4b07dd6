//! Who writes, and what is never deleted? One agent at a time, and only what proves to be its own.
#![expect(clippy::unwrap_used, reason = "what cannot be done is a failed test")]

use std::time::{Duration, Instant};

use application::State;
use e2e::{Agent, Scene, config_map, is_synced_to, operation_phase, settled};
use model::ObjectKey;
use serde_json::{Value, json};

const LEASE: (&str, &str) = ("coordination.k8s.io/v1", "Lease");

fn holder(scene: &Scene) -> String {
    let lease = scene.get(LEASE.0, LEASE.1, &scene.control, "tautline").unwrap_or_default();
    lease["spec"]["holderIdentity"].as_str().unwrap_or_default().to_owned()
}

fn wait_holder(scene: &Scene, agent: &Agent) {
    let pid = format!("_{}_", agent.pid());
    scene.wait_object(LEASE.0, LEASE.1, &scene.control, "tautline", |lease| {
        lease.is_some_and(|lease| lease["spec"]["holderIdentity"].as_str().unwrap_or_default().contains(&pid))
    });
}

/// Returns the metric that says whether an agent writes.
fn writer(agent: &Agent) -> String {
    let metrics = agent.probe("/metrics").body;
    let lines: Vec<&str> = metrics.lines().filter(|line| line.starts_with("tautline_writer{")).collect();
    lines.join("\n")
}

#[test]
fn of_two_agents_one_writes_and_the_other_takes_over() {
    let scene = Scene::new("two-agents");
    let repo = scene.repo("shop");
    repo.write("app/web.yaml", &config_map("web", "one"));
    let first = repo.commit("first");
    scene.application("shop").repo(&repo).path("app").automated().create();
    let mut active = scene.agent();
    scene.wait_app("shop", |app| is_synced_to(app, &first));
    wait_holder(&scene, &active);
    let mut settings = scene.settings();
    settings.cache = scene.folder().join("cache-of-the-standby");
    let standby = scene.start(settings);
    standby.wait_ready();
    repo.write("app/web.yaml", &config_map("web", "two"));
    let second = repo.commit("second");
    scene.wait_app("shop", |app| is_synced_to(app, &second));
    // Warm: it has seen the commit, too.
    standby.wait_probe("/metrics", |_| standby.metric("tautline_renders_total") >= 2);
    for counter in ["tautline_applies_total", "tautline_status_writes_total"] {
        assert_eq!(standby.metric(counter), 0, "{counter}\n{}", standby.log_text());
    }
    assert_eq!(active.metric("tautline_applies_total"), 2);
    assert_eq!(writer(&standby), "tautline_writer{reason=\"LeaseNotHeld\"} 0");
    assert_eq!(writer(&active), "tautline_writer{reason=\"Writing\"} 1");

    // It answers what is only read, and says what it cannot do.
    assert_eq!(standby.get("/api/v1/applications/shop").status, 200);
    for refused in [
        standby.post("/api/v1/applications/shop/sync", &json!({})),
        standby.get("/api/v1/applications/shop?refresh=hard"),
        standby.get("/api/v1/applications/shop/wait?timeout=1s"),
        standby.delete("/api/v1/applications/shop/operation"),
    ] {
        assert_eq!(refused.status, 503, "{refused:?}");
        let message = refused.json()["message"].clone();
        assert_eq!(
            message,
            "this replica does not write now (LeaseNotHeld); ask the one that does, or again in a moment"
        );
    }
    assert!(scene.app("shop")["operation"].is_null());

    let killed = Instant::now();
    active.kill();
    repo.write("app/web.yaml", &config_map("web", "three"));
    let third = repo.commit("third");
    scene.wait_app("shop", |app| is_synced_to(app, &third));
    // Renewed every 5 s and good for 15 s: whoever takes over earlier may write beside one that still lives.
    assert!(killed.elapsed() > Duration::from_secs(9), "taken over after {:?}", killed.elapsed());
    wait_holder(&scene, &standby);
    assert_eq!(writer(&standby), "tautline_writer{reason=\"Writing\"} 1");
    assert_eq!(standby.metric("tautline_applies_total"), 1);

    // The one that was killed comes back and finds the lease taken.
    active.restart();
    active.wait_ready();
    repo.write("app/web.yaml", &config_map("web", "four"));
    let fourth = repo.commit("fourth");
    scene.wait_app("shop", |app| is_synced_to(app, &fourth));
    assert_eq!(active.metric("tautline_applies_total"), 0, "{}", holder(&scene));
    assert_eq!(active.metric("tautline_status_writes_total"), 0);
}

#[test]
fn who_takes_over_finishes_the_sync_that_was_under_way() {
    let scene = Scene::new("unfinished");
    let mut active = scene.agent();
    let repo = scene.deployed("shop", &[("web.yaml", &config_map("web", "one"))]);
    wait_holder(&scene, &active);
    let mut settings = scene.settings();
    settings.cache = scene.folder().join("cache-of-the-standby");
    let standby = scene.start(settings);
    // What it remembers of the app is from before the sync that it has to finish.
    standby.wait_probe("/metrics", |_| standby.metric("tautline_renders_total") >= 1);
    repo.write(
        "app/claim.yaml",
        "apiVersion: v1\nkind: PersistentVolumeClaim\nmetadata: {name: data}\n\
         spec: {accessModes: [ReadWriteOnce], storageClassName: none, resources: {requests: {storage: 1Gi}}}\n",
    );
    let second = repo.commit("second");
    scene.wait_app("shop", |app| operation_phase(app) == "Running");
    active.kill();
    let bound = ["patch", "pvc", "data", "--subresource=status", "--type=merge"];
    scene.kubectl(&[&bound[..], &["-p", r#"{"status": {"phase": "Bound"}}"#]].concat());
    let app = scene.wait_app("shop", |app| is_synced_to(app, &second));
    assert_eq!(operation_phase(&app), "Succeeded", "{app}");
    assert_eq!(app["status"]["history"][1]["revision"], second);
}

fn controller(scene: &Scene, replicas: u32) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "StatefulSet",
        "metadata": {"name": "argocd-application-controller", "namespace": scene.control},
        "spec": {
            "serviceName": "argocd", "replicas": replicas,
            "selector": {"matchLabels": {"app": "argocd"}},
            "template": {
                "metadata": {"labels": {"app": "argocd"}},
                "spec": {"containers": [{"name": "controller", "image": "argocd:3"}]},
            },
        },
    })
}

fn scale(scene: &Scene, replicas: u32) {
    let patch = json!({"spec": {"replicas": replicas}});
    scene.patch("apps/v1", "StatefulSet", &scene.control, "argocd-application-controller", &patch);
}

#[test]
fn while_argo_cd_controls_the_namespace_nothing_is_written() {
    let scene = Scene::new("argo-runs");
    let repo = scene.repo("shop");
    repo.write("app/web.yaml", &config_map("web", "one"));
    let first = repo.commit("first");
    scene.create(&controller(&scene, 1)).unwrap();
    let created = scene.application("shop").repo(&repo).path("app").automated().create();
    let agent = scene.agent();
    agent.wait_ready();
    wait_holder(&scene, &agent);
    agent.wait_log(|line| {
        line["message"].as_str().unwrap_or_default().contains("argocd-application-controller runs")
    });
    // Reads and renders run without the right to write.
    agent.wait_probe("/metrics", |_| agent.metric("tautline_renders_total") == 1);
    assert_eq!(agent.metric("tautline_status_writes_total"), 0, "{}", agent.log_text());
    assert_eq!(agent.metric("tautline_applies_total"), 0);
    assert_eq!(scene.config_map("web"), None);
    assert_eq!(writer(&agent), "tautline_writer{reason=\"ArgoCdRuns\"} 0");
    assert_eq!(scene.app("shop")["metadata"]["resourceVersion"], created["metadata"]["resourceVersion"]);

    scale(&scene, 0);
    scene.wait_app("shop", |app| is_synced_to(app, &first));
    assert_eq!(writer(&agent), "tautline_writer{reason=\"Writing\"} 1");

    scale(&scene, 1);
    let runs = |agent: &Agent| {
        let lines = agent.log();
        let is_it = |line: &&Value| {
            line["message"].as_str().unwrap_or_default().contains("argocd-application-controller runs")
        };
        lines.iter().filter(is_it).count()
    };
    agent.wait_probe("/metrics", |_| runs(&agent) == 2);
    let at_rest = scene.app("shop");
    repo.write("app/web.yaml", &config_map("web", "two"));
    let second = repo.commit("second");
    agent.wait_probe("/metrics", |_| agent.metric("tautline_renders_total") == 2);
    assert_eq!(scene.config_map("web").unwrap()["data"]["key"], "one");
    assert_eq!(scene.app("shop")["metadata"]["resourceVersion"], at_rest["metadata"]["resourceVersion"]);

    scene.delete("apps/v1", "StatefulSet", &scene.control, "argocd-application-controller");
    scene.wait_app("shop", |app| is_synced_to(app, &second));
}

#[test]
fn an_app_that_holds_argo_cd_s_controller_never_scales_it_up() {
    let scene = Scene::new("argo-itself");
    let repo = scene.repo("argocd");
    let mut wanted = controller(&scene, 1);
    wanted["metadata"] = json!({"name": "argocd-application-controller"});
    repo.write("app/controller.yaml", &wanted.to_string());
    let first = repo.commit("first");
    scene.create(&controller(&scene, 0)).unwrap();
    let app = scene.application("argocd").repo(&repo).path("app").automated();
    app.set("/spec/destination/namespace", scene.control.as_str()).create();
    let agent = scene.agent();
    scene.wait_app("argocd", |app| is_synced_to(app, &first));
    let replicas = |object: Option<&Value>| object.map(|object| object["spec"]["replicas"].clone());
    let name = "argocd-application-controller";
    let now = || replicas(scene.get("apps/v1", "StatefulSet", &scene.control, name).as_ref());
    assert_eq!(now(), Some(json!(0)));

    // What else Git says of it is put back, and it is made again if it goes.
    wanted["spec"]["template"]["spec"]["containers"][0]["image"] = "argocd:4".into();
    repo.write("app/controller.yaml", &wanted.to_string());
    let second = repo.commit("second");
    scene.wait_app("argocd", |app| is_synced_to(app, &second));
    let edited = json!([{"name": "controller", "image": "argocd:5"}]);
    let edit = json!({"spec": {"template": {"spec": {"containers": edited}}}});
    scene.patch("apps/v1", "StatefulSet", &scene.control, name, &edit);
    let image = |object: &Value| object["spec"]["template"]["spec"]["containers"][0]["image"].clone();
    let healed = scene.wait_object("apps/v1", "StatefulSet", &scene.control, name, |object| {
        object.is_some_and(|object| image(object) == "argocd:4")
    });
    assert_eq!(replicas(healed.as_ref()), Some(json!(0)));
    let found = scene.get("apps/v1", "StatefulSet", &scene.control, name).unwrap();
    let uid = found["metadata"]["uid"].clone();
    scene.delete("apps/v1", "StatefulSet", &scene.control, name);
    let again = scene.wait_object("apps/v1", "StatefulSet", &scene.control, name, |object| {
        object.is_some_and(|object| object["metadata"]["uid"] != uid)
    });
    assert_eq!(replicas(again.as_ref()), Some(json!(0)));
    scene.wait_app("argocd", |app| is_synced_to(app, &second));
    let told = |text: &str| {
        let is_it = |line: &&Value| line["message"].as_str().unwrap_or_default().contains(text);
        agent.log().iter().filter(is_it).count()
    };
    agent.wait_probe("/metrics", |_| told("is applied with 0 replicas") >= 2);
    assert_eq!(told("is applied with 0 replicas"), 2, "once per content\n{}", agent.log_text());

    // A person scales it up, and we yield.
    scale(&scene, 1);
    agent.wait_log(|line| {
        line["message"].as_str().unwrap_or_default().contains("argocd-application-controller runs")
    });
    repo.write("app/more.yaml", &config_map("more", "one")).commit("third");
    agent.wait_probe("/metrics", |_| agent.metric("tautline_renders_total") == 3);
    assert_eq!(now(), Some(json!(1)), "{}", agent.log_text());
}

/// Strangers that look like the app's own in one way or another, by name.
fn strangers(scene: &Scene) -> Vec<&'static str> {
    let web = scene.config_map("web").expect("it is deployed");
    let create = |name: &str, change: &dyn Fn(&mut Value)| {
        let labels = web["metadata"]["labels"].clone();
        let tracking = &web["metadata"]["annotations"]["argocd.argoproj.io/tracking-id"];
        let own = tracking.as_str().expect("it is tracked").replace("/web", &format!("/{name}"));
        let mut object = json!({
            "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {
                "name": name, "namespace": scene.namespace, "labels": labels,
                "annotations": {"argocd.argoproj.io/tracking-id": own},
            },
            "data": {"key": "precious"},
        });
        change(&mut object);
        scene.create(&object).unwrap();
    };
    // In nothing but the forged inventory.
    create("bare", &|object| {
        object["metadata"]
            .as_object_mut()
            .unwrap()
            .retain(|field, _| field == "name" || field == "namespace");
    });
    // All labels and annotations of an object that is ours, as `kubectl get -o yaml | sed | kubectl apply` makes it.
    create("copied", &|object| {
        object["metadata"]["annotations"] = web["metadata"]["annotations"].clone();
    });
    // Tracked by itself, but never labelled by us.
    create("unlabelled", &|object| object["metadata"]["labels"] = json!({}));
    create("other-instance", &|object| {
        object["metadata"]["labels"]["tautline.dev/instance"] = "0123456789abcdef".into();
    });
    create("other-app", &|object| {
        object["metadata"]["labels"]["tautline.dev/part-of"] = "0123456789abcdef".into();
    });
    // Another kind's id, another app's id.
    create("other-kind", &|object| {
        let id = tracking_of(object).replace("ConfigMap", "Secret");
        object["metadata"]["annotations"]["argocd.argoproj.io/tracking-id"] = id.into();
    });
    create("other-owner", &|object| {
        let id = tracking_of(object).replacen("shop:", "shop-2:", 1);
        object["metadata"]["annotations"]["argocd.argoproj.io/tracking-id"] = id.into();
    });
    vec!["bare", "copied", "unlabelled", "other-instance", "other-app", "other-kind", "other-owner"]
}

fn tracking_of(object: &Value) -> String {
    object["metadata"]["annotations"]["argocd.argoproj.io/tracking-id"]
        .as_str()
        .unwrap_or_default()
        .to_owned()
}

/// Says in the Application's status that objects are the app's, as whoever may edit Applications could.
fn forge(scene: &Scene, names: &[&str]) {
    let entry = |name: &&str| {
        json!({
            "version": "v1", "kind": "ConfigMap", "namespace": scene.namespace, "name": name,
            "status": "OutOfSync", "requiresPruning": true,
        })
    };
    let mut resources = scene.app("shop")["status"]["resources"].as_array().cloned().unwrap_or_default();
    resources.extend(names.iter().map(entry));
    scene.patch_app("shop", &json!({"status": {"resources": resources}}));
}

// N39: entries and labels that somebody else wrote
#[test]
fn nothing_is_deleted_on_the_word_of_a_status_or_of_a_copied_label() {
    let scene = Scene::new("witnesses");
    let repo = scene.repo("shop");
    repo.write("app/web.yaml", &config_map("web", "one")).write("app/gone.yaml", &config_map("gone", "one"));
    let first = repo.commit("first");
    let app = scene.application("shop").repo(&repo).path("app").automated();
    app.finalizer("resources-finalizer.argocd.argoproj.io").create();
    let mut agent = scene.agent();
    scene.wait_app("shop", |app| is_synced_to(app, &first));
    let strangers = strangers(&scene);
    forge(&scene, &strangers);

    // Auto-sync prunes what is its own, and only that.
    repo.remove("app/gone.yaml");
    let second = repo.commit("second");
    scene.wait_app("shop", |app| is_synced_to(app, &second));
    scene.wait_config_map("gone", |map| map.is_none());

    // An agent that finds the forged status when it starts believes it no more.
    agent.kill();
    scene.lab.kubectl(&["-n", &scene.control, "delete", "lease", "tautline"]).unwrap();
    forge(&scene, &strangers);
    agent.restart();
    agent.wait_ready();

    // A person's prune neither.
    scene.patch_app("shop", &json!({"operation": {"sync": {"prune": true}}}));
    scene.wait_app("shop", |app| {
        settled(app)
            && app["status"]["operationState"]["operation"]["sync"]["prune"] == true
            && app["status"]["operationState"]["phase"] == "Succeeded"
            && app["status"]["operationState"]["operation"]["initiatedBy"]["automated"] != true
    });
    forge(&scene, &strangers);

    // Nor the deletion of the Application.
    scene.delete_app("shop");
    scene.wait_app_gone("shop");
    scene.wait_config_map("web", |map| map.is_none());
    for name in strangers {
        let map = scene.config_map(name);
        let map = map.unwrap_or_else(|| panic!("{name} was deleted\n{}", agent.log_text()));
        assert_eq!(map["data"]["key"], "precious", "{name}");
        assert!(map["metadata"]["deletionTimestamp"].is_null(), "{name} is being deleted");
    }
}

#[test]
fn what_a_sync_created_is_told_from_what_it_adopted() {
    let scene = Scene::new("created");
    let repo = scene.repo("shop");
    repo.write("app/new.yaml", &config_map("new", "one")).write("app/old.yaml", &config_map("old", "one"));
    let first = repo.commit("first");
    scene.kubectl_apply(&config_map("old", "before"));
    scene.application("shop").repo(&repo).path("app").automated().create();
    let mut agent = scene.agent();
    let app = scene.wait_app("shop", |app| is_synced_to(app, &first));
    let (new, old) = (scene.config_map("new").unwrap(), scene.config_map("old").unwrap());
    assert!(was_created(&app, &new), "{app:#}");
    assert!(!was_created(&app, &old), "{app:#}");

    // It is still so after a restart and another sync, in which both are only changed.
    assert_eq!(agent.terminate().code(), Some(0));
    repo.write("app/new.yaml", &config_map("new", "two")).write("app/old.yaml", &config_map("old", "two"));
    let second = repo.commit("second");
    agent.restart();
    let app = scene.wait_app("shop", |app| is_synced_to(app, &second));
    assert!(was_created(&app, &new), "{app:#}");
    assert!(!was_created(&app, &old), "{app:#}");

    // An object that somebody deletes and we make again is another object.
    let uid = &old["metadata"]["uid"];
    scene.delete("v1", "ConfigMap", &scene.namespace, "old");
    let again = scene.wait_config_map("old", |map| map.is_some_and(|map| map["metadata"]["uid"] != *uid));
    let again = again.expect("it was there");
    scene.wait_app("shop", |app| is_synced_to(app, &second) && was_created(app, &again));
    scene.delete("v1", "ConfigMap", &scene.namespace, "new");
    let uid = &new["metadata"]["uid"];
    let newest = scene.wait_config_map("new", |map| map.is_some_and(|map| map["metadata"]["uid"] != *uid));
    let newest = newest.expect("it was there");
    let app = scene.wait_app("shop", |app| is_synced_to(app, &second) && was_created(app, &newest));
    // What is gone is forgotten.
    assert!(was_created(&app, &again) && !was_created(&app, &new));
    assert_eq!(own_state(&app).n_created(), 2);
}

/// Returns whether the Application's own state says that a sync created an object.
fn was_created(app: &Value, object: &Value) -> bool {
    let text = |field: &str| object["metadata"][field].as_str().unwrap();
    own_state(app).was_created(&ObjectKey::new("", "ConfigMap", text("namespace"), text("name")), text("uid"))
}

fn own_state(app: &Value) -> State {
    let annotation = app["metadata"]["annotations"]["tautline.dev/state"].as_str().unwrap_or_default();
    let (state, note) = State::read(annotation);
    assert_eq!(note, None);
    state
}
