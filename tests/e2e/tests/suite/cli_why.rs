//! Does `tautline why` find out where an object comes from, and who changed it since?

use e2e::{Scene, config_map, is_synced_to};
use serde_json::{Value, json};

/// The sample repository of `lab try`.
const SAMPLE: &[(&str, &str)] = &[
    ("shop/greeting.yaml", include_str!("../../../../fixtures/repos/sample/shop/greeting.yaml")),
    ("shop/service.yaml", include_str!("../../../../fixtures/repos/sample/shop/service.yaml")),
    ("shop/web.yaml", include_str!("../../../../fixtures/repos/sample/shop/web.yaml")),
];

/// Deploys the sample repository, self-heal switched off so that edits stay.
fn sample(name: &str) -> (Scene, e2e::Agent, e2e::Repo) {
    let scene = Scene::new(name);
    let agent = scene.agent();
    let repo = scene.repo("shop");
    for (path, text) in SAMPLE {
        repo.write(path, text);
    }
    repo.commit("the shop opens");
    let newest = repo.write("README.md", "a shop").commit("says what it is");
    let app = scene.application("shop").repo(&repo).path("shop").revision("main").automated();
    app.set("/spec/syncPolicy/automated/selfHeal", false).create();
    scene.wait_app("shop", |app| is_synced_to(app, &newest));
    (scene, agent, repo)
}

fn why(scene: &Scene, object: &str) -> e2e::Told {
    scene.tautline(&["why", object, "-n", &scene.namespace, "--control-namespace", &scene.control])
}

fn why_json(scene: &Scene, object: &str) -> Value {
    let told = scene.tautline(&[
        "why",
        object,
        "-n",
        &scene.namespace,
        "--control-namespace",
        &scene.control,
        "-o",
        "json",
    ]);
    assert_eq!((told.code, told.err.as_str()), (0, ""), "{object}: {told:?}");
    told.json()
}

#[test]
fn every_object_of_the_sample_repository_is_traced_to_its_file() {
    let (scene, _agent, repo) = sample("why-sample");
    let newest = repo.head();
    let opened = repo.git(&["rev-parse", "HEAD~1"]);
    for (object, file) in [
        ("configmap/greeting", "shop/greeting.yaml"),
        ("cm/greeting", "shop/greeting.yaml"),
        ("svc/web", "shop/service.yaml"),
        ("Service/web", "shop/service.yaml"),
        ("deploy/web", "shop/web.yaml"),
        ("deployments/web", "shop/web.yaml"),
        ("Deployment.apps/web", "shop/web.yaml"),
        ("deployments.v1.apps/web", "shop/web.yaml"),
    ] {
        let told = why_json(&scene, object);
        let source = &told["source"];
        assert_eq!((&source["file"], &source["line"]), (&json!(file), &json!(1)), "{object}: {told}");
        assert_eq!(source["repository"], repo.url(), "{object}");
        assert_eq!((&source["revision"], &source["target"]), (&json!(newest), &json!("main")), "{object}");
        assert_eq!(source["commit"]["subject"], "says what it is", "{object}");
        assert_eq!(source["changedIn"]["subject"], "the shop opens", "{object}");
        assert_eq!(source["changedIn"]["revision"], opened[..7], "{object}");
        assert_eq!(source["commit"]["author"], "Ada <ada@example.com>", "{object}");
        assert_eq!(told["application"], format!("{}/shop", scene.control), "{object}");
        assert_eq!(
            (&told["sync"]["status"], &told["sync"]["phase"]),
            (&json!("Synced"), &json!("Succeeded"))
        );
        assert_eq!(told["sync"]["initiatedBy"], "auto-sync", "{object}");
        assert_eq!(told["differs"], json!([]), "{object}");
    }
}

#[test]
fn who_changed_an_object_since_is_told() {
    let (scene, _agent, _repo) = sample("why-changed");
    let namespace = scene.namespace.as_str();
    scene.lab.kubectl(&["-n", namespace, "scale", "deployment", "web", "--replicas=9"]).unwrap();
    scene.wait_app("shop", |app| app["status"]["sync"]["status"] == "OutOfSync");
    let told = why(&scene, "deploy/web");
    assert_eq!(told.code, 0, "{told:?}");
    assert!(told.out.contains("Sync:          OutOfSync\n"), "{}", told.out);
    assert!(told.out.contains("spec.replicas: 2 in Git, 9 live (kubectl"), "{}", told.out);
    assert!(told.out.contains("Also wrote it: kubectl"), "{}", told.out);
    assert!(told.out.contains("File:          shop/web.yaml:1\n"), "{}", told.out);
}

#[test]
fn what_a_workload_made_belongs_to_what_the_workload_belongs_to() {
    let (scene, _agent, _repo) = sample("why-owners");
    let namespace = scene.namespace.as_str();
    let has_pods = |web: Option<&Value>| web.is_some_and(|web| web["status"]["replicas"] == 2);
    scene.wait_object("apps/v1", "Deployment", namespace, "web", has_pods);
    let pods = scene.lab.kubectl(&["-n", namespace, "get", "pods", "-l", "app=web", "-o", "name"]).unwrap();
    let pod = pods.lines().next().expect("there are two");
    let told = why_json(&scene, pod);
    assert_eq!((&told["object"]["kind"], &told["object"]["name"]), (&json!("Deployment"), &json!("web")));
    let kinds: Vec<&Value> = told["ownerOf"].as_array().unwrap().iter().map(|key| &key["kind"]).collect();
    assert_eq!(kinds, ["Pod", "ReplicaSet"]);
    assert_eq!(told["source"]["file"], "shop/web.yaml");
}

#[test]
fn what_nobody_manages_or_is_not_there_is_not_found() {
    let scene = Scene::new("why-nobody");
    let namespace = scene.namespace.as_str();
    scene.kubectl_apply(&config_map("stranger", "one"));
    let told = why(&scene, "cm/stranger");
    assert_eq!((told.code, told.out.as_str()), (4, ""));
    assert!(
        told.err.contains(&format!("no Application manages ConfigMap {namespace}/stranger")),
        "{}",
        told.err
    );
    assert!(told.err.contains("written by kubectl"), "{}", told.err);
    let absent = why(&scene, "cm/absent");
    assert_eq!(absent.code, 4);
    assert!(absent.err.contains(&format!("there is no ConfigMap {namespace}/absent")), "{}", absent.err);
    assert_eq!(why(&scene, "nonsense/x").code, 4);
    for form in ["web", "deploy/", "/web"] {
        assert_eq!(why(&scene, form).code, 2, "{form}");
    }
    scene.lab.kubectl(&["-n", &scene.control, "create", "serviceaccount", "nobody"]).unwrap();
    let forbidden = scene.tautline_as("nobody", &["why", "cm/stranger", "-n", namespace]);
    assert_eq!(forbidden.code, 5, "{forbidden:?}");
}

#[test]
fn an_object_that_left_git_and_one_whose_application_is_gone() {
    let (scene, _agent, repo) = sample("why-left");
    scene.patch_app("shop", &json!({"spec": {"syncPolicy": {"automated": null}}}));
    let newest = repo.remove("shop/greeting.yaml").commit("no greeting");
    scene.wait_app("shop", |app| app["status"]["sync"]["revision"] == newest);
    let told = why(&scene, "cm/greeting");
    assert_eq!(told.code, 0, "{told:?}");
    assert!(told.out.contains("in none of folder \"shop\" at this revision"), "{}", told.out);
    scene.delete_app("shop");
    scene.wait_app_gone("shop");
    let orphan = why(&scene, "cm/greeting");
    assert_eq!(orphan.code, 4, "{orphan:?}");
    assert!(orphan.err.contains("there is no Application"), "{}", orphan.err);
}
