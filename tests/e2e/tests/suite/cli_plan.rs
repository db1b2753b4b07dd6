//! What do `tautline plan` and `tautline app drift` say would change, and do they leave everything as it is?

use e2e::{ANYTHING, Scene, config_map, is_synced_to};
use serde_json::json;

const SECRET: &str = "apiVersion: v1\nkind: Secret\nmetadata: {name: key}\nstringData: {token: sesame}\n";

/// A scene with an app that is deployed and from then on synced by hand only.
fn shop(name: &str) -> (Scene, e2e::Agent, e2e::Repo) {
    let scene = Scene::new(name);
    let agent = scene.agent();
    let files = [("web.yaml", config_map("web", "one")), ("old.yaml", config_map("old", "one"))];
    let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (*path, text.as_str())).collect();
    let repo = scene.deployed("shop", &[&files[..], &[("key.yaml", SECRET)]].concat());
    scene.patch_app("shop", &json!({"spec": {"syncPolicy": {"automated": null}}}));
    (scene, agent, repo)
}

fn plan(scene: &Scene, more: &[&str]) -> e2e::Told {
    scene.tautline(&[&["plan", "shop", "-n", &scene.control], more].concat())
}

#[test]
fn a_plan_says_what_a_sync_would_do_and_does_nothing() {
    let (scene, _agent, repo) = shop("plan-app");
    let namespace = scene.namespace.as_str();
    let nothing = plan(&scene, &[]);
    assert_eq!((nothing.code, nothing.out.as_str(), nothing.err.as_str()), (0, "", "nothing would change\n"));

    let first = repo.head();
    repo.write("app/web.yaml", &config_map("web", "two")).write("app/new.yaml", &config_map("new", "one"));
    repo.write("app/key.yaml", &SECRET.replace("sesame", "canary")).remove("app/old.yaml");
    let second = repo.commit("second");
    scene.wait_app("shop", |app| app["status"]["sync"]["revision"] == second);

    let planned = plan(&scene, &[]);
    assert_eq!(planned.code, 1, "{planned:?}");
    let [key, web, new, old] = ["key", "web", "new", "old"].map(|name| format!("{namespace}/{name}"));
    let expected: [&[&str]; 5] = [
        &["ACTION", "KIND", "NAME", "MESSAGE"],
        &["change", "Secret", &key, "data.token"],
        &["create", "ConfigMap", &new],
        &["change", "ConfigMap", &web, "data.key"],
        &["keep", "ConfigMap", &old, "ignored (requires pruning)"],
    ];
    assert_eq!(planned.rows(), expected, "{}", planned.out);

    let pruned = plan(&scene, &["--prune", "--diff"]);
    assert_eq!(pruned.code, 1, "{pruned:?}");
    assert_eq!(pruned.rows()[4], ["delete", "ConfigMap", &old], "{}", pruned.out);
    assert!(pruned.out.contains("-  key: one\n+  key: two\n"), "{}", pruned.out);
    for secret in ["sesame", "canary", "c2VzYW1l", "Y2FuYXJ5"] {
        assert!(!pruned.out.contains(secret), "{}", pruned.out);
    }
    let json = plan(&scene, &["-o", "json"]).json();
    assert_eq!((&json[1]["action"], &json[1]["name"]), (&json!("create"), &json!("new")));

    let yaml = plan(&scene, &["-o", "yaml"]);
    assert!(yaml.code == 1 && yaml.out.contains("- action: create\n"), "{yaml:?}");

    assert_eq!(plan(&scene, &["--revision", &first]).code, 0, "what is deployed would not change");
    assert_eq!(scene.config_map("web").unwrap()["data"]["key"], "one");
    assert!(
        scene.config_map("new").is_none() && scene.config_map("old").is_some(),
        "a plan changed something"
    );
}

#[test]
fn drift_is_a_diff_and_tells_who_did_it() {
    let (scene, agent, repo) = shop("plan-drift");
    let control = scene.control.as_str();
    let revision = repo.head();
    scene.wait_app("shop", |app| is_synced_to(app, &revision));
    let none = scene.tautline(&["app", "drift", "shop", "-n", control]);
    assert_eq!((none.code, none.out.as_str()), (0, ""), "{none:?}");
    let none = scene.tautline(&["app", "drift", "shop", "-n", control, "-o", "json"]);
    assert_eq!((none.code, &none.json()["objects"]), (0, &json!([])), "{none:?}");

    let patch = [
        "-n",
        &scene.namespace,
        "patch",
        "configmap",
        "web",
        "--type=merge",
        "-p",
        r#"{"data":{"key":"edited"}}"#,
    ];
    scene.lab.kubectl(&patch).unwrap();
    let drift = scene.tautline(&["app", "drift", "shop", "-n", control]);
    assert_eq!(drift.code, 1, "{drift:?}");
    assert!(
        drift.out.contains("#   data.key: \"one\" in Git, \"edited\" live (kubectl-patch, Update, "),
        "{}",
        drift.out
    );
    assert!(drift.out.contains("-  key: edited\n+  key: one\n"), "{}", drift.out);
    assert!(!drift.out.contains("old"), "{}", drift.out);

    // For machines it is told alike, whoever is asked.
    let agent = format!("http://{}", agent.api());
    scene.wait_app("shop", |app| app["status"]["sync"]["status"] == "OutOfSync");
    for server in [&[][..], &["--server", &agent]] {
        let words = [&["app", "drift", "shop", "-n", control], server].concat();
        let told = scene.tautline(&[&words[..], &["-o", "json"]].concat());
        let json = told.json();
        assert_eq!((told.code, told.err.as_str()), (1, ""), "{told:?}");
        assert_eq!(json["application"], format!("{control}/shop"));
        assert_eq!((&json["revision"], &json["status"]), (&json!(revision), &json!("OutOfSync")));
        let object = &json["objects"][0];
        assert_eq!((&object["name"], &object["fields"][0]["path"]), (&json!("web"), &json!("data.key")));
        assert_eq!(json["objects"].as_array().map(Vec::len), Some(1), "{json}");
        let yaml = scene.tautline(&[&words[..], &["-o", "yaml"]].concat());
        assert!(yaml.code == 1 && yaml.out.contains("\nstatus: OutOfSync\n"), "{yaml:?}");
    }
}

#[test]
fn a_folder_is_planned_against_the_cluster() {
    let scene = Scene::new("plan-folder");
    let namespace = scene.namespace.as_str();
    let folder = scene.folder().join("deploy");
    std::fs::create_dir_all(folder.join("below")).unwrap();
    std::fs::write(folder.join("web.yaml"), config_map("web", "one")).unwrap();
    std::fs::write(folder.join("below/more.yaml"), config_map("more", "one")).unwrap();
    let made = scene.tautline(&["plan", "./deploy", "-n", namespace]);
    assert_eq!(made.code, 1, "{made:?}");
    assert_eq!(made.rows()[1..], [["create", "ConfigMap", &format!("{namespace}/web")]], "{}", made.out);

    scene.kubectl_apply(&config_map("web", "one"));
    scene.kubectl_apply(&config_map("more", "two"));
    assert_eq!(scene.tautline(&["plan", "./deploy", "-n", namespace]).code, 0);
    let all = scene.tautline(&["plan", "./deploy", "-n", namespace, "--recurse"]);
    assert_eq!(all.code, 1, "{all:?}");
    assert_eq!(all.rows()[1][..3], ["change", "ConfigMap", &format!("{namespace}/more")], "{}", all.out);

    std::fs::write(folder.join("bad.yaml"), "kind: ConfigMap\napiVersion: v1\n").unwrap();
    let bad = scene.tautline(&["plan", "./deploy", "-n", namespace]);
    assert!(bad.code == 6 && bad.err.contains("bad.yaml:1:1: metadata.name is missing"), "{bad:?}");
    assert_eq!(scene.tautline(&["plan", "./nowhere", "-n", namespace]).code, 4);
    let no_app = scene.tautline(&["plan", "deploy", "-n", namespace]);
    assert_eq!(no_app.code, 4, "{no_app:?}");
}

#[test]
fn what_the_api_server_refuses_is_in_the_plan_and_who_may_not_ask_is_told() {
    let scene = Scene::new("plan-refused");
    let namespace = scene.namespace.as_str();
    let folder = scene.folder().join("deploy");
    std::fs::create_dir(&folder).unwrap();
    scene.kubectl_apply(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: fixed}\ndata: {key: one}\nimmutable: true\n",
    );
    std::fs::write(folder.join("fixed.yaml"), config_map("fixed", "two")).unwrap();
    std::fs::write(folder.join("odd.yaml"), "apiVersion: example.com/v1\nkind: Odd\nmetadata: {name: odd}\n")
        .unwrap();
    // It is not there, and would not be taken; what comes with its namespace would.
    std::fs::write(
        folder.join("new.yaml"),
        "apiVersion: v1\nkind: Service\nmetadata: {name: web}\nspec: {ports: [{port: 99999}]}\n",
    )
    .unwrap();
    let kiosk = format!("{namespace}-kiosk");
    let with_namespace = format!(
        "apiVersion: v1\nkind: Namespace\nmetadata: {{name: {kiosk}}}\n---\n{}",
        config_map("within", "one").replace("name: within", &format!("name: within\n  namespace: {kiosk}"))
    );
    std::fs::write(folder.join("kiosk.yaml"), with_namespace).unwrap();
    std::fs::write(
        folder.join("nowhere.yaml"),
        config_map("lost", "one").replace("name: lost", "name: lost\n  namespace: nowhere-to-be-found"),
    )
    .unwrap();
    let refused = scene.tautline(&["plan", "./deploy", "-n", namespace]);
    let row = |name: &str| {
        let rows = refused.rows();
        let found = rows.iter().find(|row| row.get(2).is_some_and(|cell| cell.ends_with(name))).cloned();
        found.unwrap_or_else(|| panic!("{name} is not in {refused:?}")).join(" ")
    };
    let web = row("/web");
    assert!(
        web.starts_with("refused ") && web.contains("spec.ports[0].port") && web.contains("99999"),
        "{web}"
    );
    assert!(row("/within").starts_with("create "), "{}", refused.out);
    let lost = row("/lost");
    assert!(
        lost.starts_with("refused ") && lost.contains("namespaces \"nowhere-to-be-found\" not found"),
        "{lost}"
    );
    assert_eq!(refused.code, 1, "{refused:?}");
    assert!(row("/fixed").starts_with("refused ") && row("/odd").starts_with("refused "), "{}", refused.out);
    assert!(
        refused.out.contains("immutable") && refused.out.contains("is its CRD installed?"),
        "{}",
        refused.out
    );

    scene.lab.kubectl(&["-n", &scene.control, "create", "serviceaccount", "nobody"]).unwrap();
    let forbidden = scene.tautline_as("nobody", &["plan", "./deploy", "-n", namespace]);
    assert_eq!(forbidden.code, 5, "{forbidden:?}");
}

#[test]
fn who_may_only_read_gets_a_plan_without_the_word_of_the_api_server() {
    let scene = Scene::new("plan-reader");
    let namespace = scene.namespace.as_str();
    let folder = scene.folder().join("deploy");
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("new.yaml"), config_map("new", "one")).unwrap();
    // What comes along is there by then: the account of the Pod, the Role that is bound.
    let bound = "apiVersion: rbac.authorization.k8s.io/v1\nkind: RoleBinding\nmetadata: {name: web}\n\
                 roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: web}\nsubjects: []\n---\n\
                 apiVersion: rbac.authorization.k8s.io/v1\nkind: Role\nmetadata: {name: web}\nrules: []\n---\n\
                 apiVersion: v1\nkind: ServiceAccount\nmetadata: {name: web}\n---\n\
                 apiVersion: v1\nkind: Pod\nmetadata: {name: web}\nspec: {serviceAccountName: web, containers: [{name: web, image: web}]}\n";
    std::fs::write(folder.join("bound.yaml"), bound).unwrap();
    let planned = scene.tautline(&["plan", "./deploy", "-n", namespace]);
    let actions = |told: &e2e::Told| -> Vec<String> {
        told.rows()[1..].iter().map(|row| format!("{} {}", row[0], row[1])).collect()
    };
    let all = [
        "create ServiceAccount",
        "create ConfigMap",
        "create Role.rbac.authorization.k8s.io",
        "create RoleBinding.rbac.authorization.k8s.io",
        "create Pod",
    ];
    assert_eq!((planned.code, actions(&planned)), (1, all.map(str::to_owned).into()), "{}", planned.out);

    std::fs::remove_file(folder.join("bound.yaml")).unwrap();
    scene.lab.kubectl(&["-n", &scene.control, "create", "serviceaccount", "reader"]).unwrap();
    let who = format!("--serviceaccount={}:reader", scene.control);
    scene
        .lab
        .kubectl(&["-n", namespace, "create", "rolebinding", "reader", "--clusterrole=view", &who])
        .unwrap();
    let read = scene.tautline_as("reader", &["plan", "./deploy", "-n", namespace]);
    assert_eq!((read.code, actions(&read)), (5, vec!["create ConfigMap".to_owned()]), "{read:?}");
    assert!(
        read.out.contains("the API server may not be asked") && !read.out.contains("grant"),
        "{}",
        read.out
    );
}

#[test]
fn what_is_of_a_kind_that_the_plan_defines_would_be_created() {
    let scene = Scene::new("plan-defines");
    let folder = scene.folder().join("deploy");
    std::fs::create_dir(&folder).unwrap();
    let group = format!("{}.example.com", scene.namespace);
    let definition = format!(
        "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {{name: gears.{group}}}\nspec:\n  \
         group: {group}\n  scope: Namespaced\n  names: {{plural: gears, kind: Gear}}\n  versions:\n  \
         - {{name: v1, served: true, storage: true, schema: {{openAPIV3Schema: {ANYTHING}}}}}\n"
    );
    let gear = |kind: &str| {
        format!("apiVersion: {group}/v1\nkind: {kind}\nmetadata: {{name: {}}}\n", kind.to_lowercase())
    };
    std::fs::write(folder.join("definition.yaml"), definition).unwrap();
    std::fs::write(folder.join("gears.yaml"), format!("{}---\n{}", gear("Gear"), gear("Cog"))).unwrap();
    let planned = scene.tautline(&["plan", "./deploy", "-n", &scene.namespace]);
    assert_eq!(planned.code, 1, "{planned:?}");
    let rows = planned.rows();
    let actions: Vec<&str> = rows[1..].iter().map(|row| row[0]).collect();
    assert_eq!(actions, ["create", "refused", "create"], "{}", planned.out);
    assert!(planned.out.contains("is its CRD installed?"), "{}", planned.out);
}

#[test]
fn a_plan_knows_whose_an_object_is_as_the_agent_does() {
    let (scene, _agent, repo) = shop("plan-owners");
    let (control, namespace) = (scene.control.as_str(), scene.namespace.as_str());
    let object = ["-n", namespace, "label", "configmap", "web"];
    // Somebody takes our own label off: that is to be put back, although all else is as Git has it.
    let part_of = "tautline.dev/part-of-";
    scene.lab.kubectl(&[&object[..], &[part_of]].concat()).unwrap();
    let lost = plan(&scene, &[]);
    assert_eq!(lost.code, 1, "{lost:?}");
    let web = format!("{namespace}/web");
    assert_eq!(lost.rows()[1][..3], ["change", "ConfigMap", &web], "{}", lost.out);
    let synced = scene.tautline(&["app", "sync", "shop", "-n", control, "--wait"]);
    assert_eq!(synced.code, 0, "{synced:?}");

    // Another app wants it, too, and comes later.
    let other = scene.repo("other");
    other.write("web.yaml", &config_map("web", "another")).commit("first");
    scene.application("another").repo(&other).path(".").create();
    scene.wait_app("another", |app| app["status"]["sync"]["status"] == "Unknown");
    let planned = scene.tautline(&["plan", "another", "-n", control]);
    assert_eq!(planned.code, 1, "{planned:?}");
    let belongs = format!("belongs to application {control}/shop");
    assert_eq!(planned.rows()[1..], [["refused", "ConfigMap", &web, &belongs]], "{}", planned.out);
    assert_eq!(plan(&scene, &["--revision", &repo.head()]).code, 0, "what it holds stays its own");
    // What the other one wants is not deleted where Git drops it here.
    let dropped = repo.remove("app/web.yaml").commit("the other one has it");
    let planned = plan(&scene, &["--prune", "--revision", &dropped]);
    assert!(planned.code == 0 && planned.out.is_empty(), "{planned:?}");
}
