//! What does anybody learn of releases: over HTTP, on the command line, with the right to read Applications and no other?
#![expect(clippy::unwrap_used, reason = "what cannot be done is a failed test")]

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use e2e::{Agent, Repo, Scene, config_map, is_synced_to};
use model::{AppKey, DesiredHash, Revision, Timestamp, digest};
use release::{Cause, Key, Payload, ROOM, Record, Timings, Verdict};
use serde_json::{Value, json};
use std::time::SystemTime;

const PASSWORDS: [&str; 2] = ["canary-of-the-first-release", "canary-of-the-second-release"];

/// A scene with an app that nobody syncs, its releases, and an agent.
struct Shop {
    scene: Scene,
    key: Key,
    app: AppKey,
    uid: String,
    /// When its releases were seen, in milliseconds: an hour ago.
    begin: i64,
}

impl Shop {
    fn new(name: &str) -> Self {
        let scene = Scene::new(name);
        let repo = scene.repo("shop");
        repo.write("app/web.yaml", &config_map("web", "one")).commit("first");
        let made = scene.application("shop").repo(&repo).path("app").create();
        let bytes = [7; Key::LENGTH];
        let secret = json!({"apiVersion": "v1", "kind": "Secret",
            "metadata": {"name": "tautline-release-key", "namespace": scene.control},
            "data": {"key": BASE64_STANDARD.encode(bytes)}});
        scene.create(&secret).unwrap();
        for password in PASSWORDS {
            scene.canaries().add("what a release holds of a Secret", password);
        }
        let (key, app) = (Key::new(&bytes).unwrap(), AppKey::new(&scene.control, "shop"));
        let uid = made["metadata"]["uid"].as_str().unwrap().to_owned();
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
        let begin = i64::try_from(since.as_millis()).unwrap() - 3_600_000;
        let shop = Self { scene, key, app, uid, begin };
        shop.put(&shop.record(1, Verdict::Stable), Some(&shop.objects(PASSWORDS[0], "web:1")));
        shop.put(&shop.record(2, Verdict::Stable), Some(&shop.objects(PASSWORDS[1], "web:2")));
        let failed = Record { message: "web does not start".into(), ..shop.record(3, Verdict::RolledBack) };
        shop.put(&failed, None);
        shop
    }

    fn agent(&self) -> Agent {
        let agent = self.scene.agent();
        self.scene.wait_app("shop", |app| app["status"]["sync"]["status"] == "OutOfSync");
        agent
    }

    fn record(&self, number: u64, verdict: Verdict) -> Record {
        let at = |n: i64| Some(Timestamp::from_millis(self.begin + n));
        Record {
            app: self.app.clone(),
            app_uid: self.uid.clone(),
            number,
            hash: DesiredHash(digest(&number.to_be_bytes())),
            revision: Revision::new(number.to_string().repeat(40)),
            verdict,
            reason: None,
            message: String::new(),
            cause: Cause::NewRevision,
            initiated_by: String::new(),
            source_type: "Directory".into(),
            repo_url: "https://bot:s3cret-of-the-url@git.example.com/shop.git".into(),
            path: "app".into(),
            timings: Timings {
                seen: at(0),
                started: at(1_000),
                applied: at(2_000),
                healthy: at(3_000),
                settled: at(13_000),
                restored: None,
            },
            created: Vec::new(),
            images: vec![format!("registry.example.com/web:{number}")],
            n_objects: 2,
        }
    }

    fn objects(&self, password: &str, image: &str) -> Vec<Value> {
        vec![
            json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web", "namespace": self.scene.namespace},
                "spec": {"containers": [{"name": "web", "image": image}]}}),
            json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "web", "namespace": self.scene.namespace},
                "data": {"password": BASE64_STANDARD.encode(password)}}),
        ]
    }

    fn put(&self, record: &Record, objects: Option<&[Value]>) {
        let packed =
            objects.map(|objects| Payload::pack(objects.iter().map(|o| o.as_object().unwrap())).unwrap());
        for secret in release::seal(record, packed.as_ref(), &self.key, ROOM) {
            self.scene.create(&secret).unwrap();
        }
    }
}

fn of(list: &Value, field: &str) -> Vec<Value> {
    list["items"].as_array().unwrap().iter().map(|release| release[field].clone()).collect()
}

#[test]
fn releases_are_told_with_what_came_of_them_and_with_their_objects_where_these_are_kept() {
    let shop = Shop::new("releases-told");
    let agent = shop.agent();
    let all = agent.get("/api/v1/applications/shop/releases").json();
    assert_eq!(of(&all, "id"), [1, 2, 3], "{all:#}");
    assert_eq!(of(&all, "verdict"), ["Stable", "Stable", "RolledBack"]);
    assert_eq!(of(&all, "manifestsKept"), [true, true, false]);
    assert_eq!(all["refused"], json!([]));
    assert!(!all.to_string().contains("s3cret-of-the-url"), "{all:#}");
    let second = agent.get("/api/v1/applications/shop/releases/2").json();
    assert_eq!(second["manifests"][0]["spec"]["containers"][0]["image"], "web:2", "{second:#}");
    assert_eq!(second["diff"]["against"], 1);
    let diff = second["diff"]["objects"][0]["diff"].as_str().unwrap();
    assert!(diff.contains("web:1") && diff.contains("+++ release 2"), "{diff}");
    let first = agent.get("/api/v1/applications/shop/releases/1").json();
    assert_eq!(first["diff"], Value::Null, "there is none before it");
    let third = agent.get("/api/v1/applications/shop/releases/3").json();
    assert_eq!((&third["message"], &third["manifests"]), (&json!("web does not start"), &Value::Null));
    let why = third["manifestsMissing"].as_str().unwrap();
    assert!(why.contains("is remembered without its objects"), "{why}");
    let absent = agent.get("/api/v1/applications/shop/releases/9");
    assert_eq!(absent.status, 404, "{absent:?}");
    assert!(
        absent.body.contains("release 9 of") && absent.body.contains("tautline app history shop"),
        "{absent:?}"
    );
}

#[test]
fn how_well_is_delivered_is_told_per_app_and_in_total() {
    let shop = Shop::new("releases-delivery");
    let agent = shop.agent();
    let own = agent.get("/api/v1/applications/shop/releases").json()["delivery"].clone();
    let figures = |told: &Value| {
        ["deployments", "failures", "leadTimeSeconds", "changeFailureRate", "timeToRestoreSeconds"]
            .map(|figure| told[figure].clone())
    };
    assert_eq!(figures(&own), [json!(2), json!(1), json!(13.0), json!(0.333), json!(12.0)], "{own:#}");
    let labels = format!("{{namespace=\"{}\",name=\"shop\",project=\"default\"}}", shop.scene.control);
    let metrics = agent.probe("/metrics").body;
    for name in ["tautline_failed_changes", "tautline_lead_time_seconds", "tautline_time_to_restore_seconds"]
    {
        let line = metrics.lines().find(|line| line.starts_with(&format!("{name}{labels}")));
        let value: f64 = line.and_then(|line| line.rsplit(' ').next()).unwrap().parse().unwrap();
        assert!(value > 0.0, "{line:?}");
    }
    let all = agent.get("/api/v1/delivery").json();
    assert_eq!(figures(&all["total"]), figures(&own), "{all:#}");
    assert_eq!(all["items"][0]["name"], "shop", "{all:#}");
    let none = agent.get("/api/v1/delivery?projects=other").json();
    assert_eq!((&none["items"], &none["total"]["leadTimeSeconds"]), (&json!([]), &Value::Null), "{none:#}");
}

// N24: who may read Applications and no Secrets reads of a release what is no secret
#[test]
fn what_a_release_holds_of_secrets_is_told_to_nobody() {
    let shop = Shop::new("releases-masked");
    let agent = shop.agent();
    let told = agent.get("/api/v1/applications/shop/releases/2").json();
    let secret = &told["manifests"][1];
    assert_eq!(
        (&secret["kind"], &secret["data"]["password"]),
        (&json!("Secret"), &json!("++++++++")),
        "{told:#}"
    );
    let changed = &told["diff"]["objects"][1];
    assert_eq!((&changed["kind"], &changed["change"]), (&json!("Secret"), &json!("Changed")), "{told:#}");
    // That no value stands in any answer, log, event or status is looked through for when the scene ends.
    assert_eq!(shop.scene.canaries().found_in(&told.to_string()), Vec::<String>::new());
}

// N40: planted, edited, replayed and swapped releases
#[test]
fn what_does_not_match_its_seal_is_told_and_not_used() {
    let shop = Shop::new("releases-forged");
    let secret = |n: u64| format!("tautline-release.shop.v{n}");
    let (scene, control) = (&shop.scene, shop.scene.control.as_str());
    let read = |n: u64| scene.get("v1", "Secret", control, &secret(n)).unwrap();
    // One is edited; one gets another's objects; one is copied to a number of its own; one was sealed by somebody else.
    let text = BASE64_STANDARD.decode(read(3)["data"]["record"].as_str().unwrap()).unwrap();
    let forged = String::from_utf8(text).unwrap().replace("RolledBack", "Stable");
    scene.patch(
        "v1",
        "Secret",
        control,
        &secret(3),
        &json!({"data": {"record": BASE64_STANDARD.encode(forged)}}),
    );
    let first = read(1)["data"]["payload"].clone();
    scene.patch("v1", "Secret", control, &secret(2), &json!({"data": {"payload": first}}));
    let mut copy = read(1);
    copy["metadata"] = json!({"name": secret(4), "namespace": control, "labels": copy["metadata"]["labels"]});
    scene.create(&copy).unwrap();
    let foreign = Key::new(&[8; Key::LENGTH]).unwrap();
    let planted = release::seal(&shop.record(5, Verdict::Stable), None, &foreign, ROOM).remove(0);
    scene.create(&planted).unwrap();

    let agent = shop.agent();
    let all = agent.get("/api/v1/applications/shop/releases").json();
    assert_eq!(of(&all, "id"), [1, 2], "{all:#}");
    let refused: Vec<&Value> =
        all["refused"].as_array().unwrap().iter().map(|refused| &refused["id"]).collect();
    assert_eq!(refused, [3, 4, 5], "{all:#}");
    for n in 3..=5 {
        let answer = agent.get(&format!("/api/v1/applications/shop/releases/{n}"));
        assert_eq!(answer.status, 400, "{answer:?}");
        assert!(answer.body.contains(&format!("release {n} of {control}/shop does not match")), "{answer:?}");
    }
    let second = agent.get("/api/v1/applications/shop/releases/2").json();
    assert_eq!(second["manifests"], Value::Null, "{second:#}");
    assert!(second["manifestsMissing"].as_str().unwrap().contains("does not match its seal"), "{second:#}");
    let told = scene.tautline(&["app", "history", "shop", "-n", control]);
    assert_eq!(told.rows().len(), 3, "{told:?}");
    assert!(told.err.contains(&format!("warning: release 3 of {control}/shop does not match")), "{told:?}");
}

#[test]
fn one_of_another_app_is_no_release_of_this_one_whatever_its_label_says() {
    let shop = Shop::new("releases-labelled");
    let (scene, control) = (&shop.scene, shop.scene.control.as_str());
    let bank = Record { app: AppKey::new(control, "bank"), ..shop.record(6, Verdict::Stable) };
    let mut planted = release::seal(&bank, None, &Key::new(&[8; Key::LENGTH]).unwrap(), ROOM).remove(0);
    let own = scene.get("v1", "Secret", control, "tautline-release.shop.v1").unwrap();
    planted["metadata"]["labels"] = own["metadata"]["labels"].clone();
    scene.create(&planted).unwrap();
    let answer = shop.agent().get("/api/v1/applications/shop/releases/6");
    assert_eq!(answer.status, 404, "{answer:?}");
    assert!(answer.body.contains(&format!("release 6 of {control}/shop does not exist")), "{answer:?}");
}

#[test]
fn history_shows_releases_by_the_api_and_without_it() {
    let shop = Shop::new("releases-history");
    let agent = shop.agent();
    let control = shop.scene.control.as_str();
    let server = format!("http://{}", agent.api());
    let history = ["app", "history", "shop", "-n", control];
    let here = shop.scene.tautline(&history);
    assert_eq!((here.code, here.err.as_str()), (0, ""), "{here:?}");
    let rows = here.rows();
    assert_eq!(rows[0], ["ID", "REVISION", "VERDICT", "CAUSE", "AGE", "BY", "IMAGES"]);
    assert_eq!(rows[3][..4], ["3", "3333333", "RolledBack", "NewRevision"]);
    assert_eq!(rows[3][5..], ["auto-sync", "web:3"]);
    let json = shop.scene.tautline(&[&history[..], &["-o", "json"]].concat()).json();
    assert_eq!(
        (&json["releases"][2]["verdict"], &json["history"]),
        (&json!("RolledBack"), &json!([])),
        "{json:#}"
    );
    for form in ["wide", "json", "yaml"] {
        let with = |more: &[&str]| shop.scene.tautline(&[&history, more].concat());
        let (cluster, agents) = (with(&["-o", form]), with(&["-o", form, "--server", &server]));
        assert_eq!((cluster.code, agents.code), (0, 0), "{cluster:?} {agents:?}");
        assert_eq!(cluster.out, agents.out, "both tell the same");
    }
    // Who may read Applications and no Secrets asks an agent.
    shop.scene.lab.kubectl(&["-n", control, "create", "serviceaccount", "reader"]).unwrap();
    shop.scene
        .lab
        .kubectl(&[
            "-n",
            control,
            "create",
            "role",
            "reader",
            "--verb=get",
            "--resource=applications.argoproj.io",
        ])
        .unwrap();
    let account = format!("--serviceaccount={control}:reader");
    shop.scene
        .lab
        .kubectl(&["-n", control, "create", "rolebinding", "reader", "--role=reader", &account])
        .unwrap();
    let reader = shop.scene.tautline_as("reader", &history);
    assert_eq!(reader.code, 0, "{reader:?}");
    assert!(reader.err.contains("ask an agent with --server for more"), "{reader:?}");
}

fn deployment(image: &str) -> String {
    format!(
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: web}}\nspec: {{selector: {{matchLabels: {{app: web}}}}, \
         template: {{metadata: {{labels: {{app: web}}}}, spec: {{containers: [{{name: web, image: '{image}'}}]}}}}}}\n"
    )
}

/// Deploys `web:1`, and waits until that is a release.
fn stable(scene: &Scene) -> Repo {
    let repo = scene.repo("shop");
    repo.write("app/web.yaml", &deployment("web:1"));
    let first = repo.commit("first");
    let app = scene.application("shop").repo(&repo).path("app").automated();
    let app = app.set("/spec/revisionHistoryLimit", 4).annotation("tautline.dev/deadline", "5s");
    app.annotation("tautline.dev/soak", "1s").annotation("tautline.dev/degraded-grace", "1s").create();
    scene.wait_app("shop", |app| is_synced_to(app, &first));
    kept(scene, 1);
    repo
}

fn kept(scene: &Scene, number: u64) -> Value {
    let name = format!("tautline-release.shop.v{number}");
    scene.wait_object("v1", "Secret", &scene.control, &name, |secret| secret.is_some()).unwrap()
}

fn image(scene: &Scene) -> Value {
    let web = scene.get("apps/v1", "Deployment", &scene.namespace, "web").unwrap();
    web["spec"]["template"]["spec"]["containers"][0]["image"].clone()
}

#[test]
fn what_syncs_leave_is_kept_and_trimmed() {
    let scene = Scene::new("releases-kept");
    let agent = scene.agent();
    let repo = stable(&scene);
    for number in 2..=5 {
        repo.write("app/web.yaml", &deployment(&format!("web:{number}"))).commit("another");
        kept(&scene, number);
    }
    let secret = |number: u64, is_done: &dyn Fn(Option<&Value>) -> bool| {
        let name = format!("tautline-release.shop.v{number}");
        scene.wait_object("v1", "Secret", &scene.control, &name, is_done)
    };
    secret(1, &|secret| secret.is_none());
    let second = secret(2, &|secret| secret.is_some_and(|secret| secret["data"]["payload"].is_null()));
    let owner = &second.unwrap()["metadata"]["ownerReferences"][0];
    assert_eq!(owner["uid"], scene.app("shop")["metadata"]["uid"]);
    let all = agent.get("/api/v1/applications/shop/releases").json();
    assert_eq!(of(&all, "id"), [2, 3, 4, 5], "{all:#}");
    assert_eq!(of(&all, "images"), [json!(["web:2"]), json!(["web:3"]), json!(["web:4"]), json!(["web:5"])]);
    assert_eq!(
        agent.metric(&format!(
            "tautline_deployments{{namespace=\"{}\",name=\"shop\",project=\"default\"}}",
            scene.control
        )),
        5
    );
    let last = agent.get("/api/v1/applications/shop/releases/5").json();
    assert_eq!(last["manifests"][0]["metadata"].get("annotations"), None, "as Git has it: {last:#}");
}

// N40: planted, edited, replayed and swapped releases
#[test]
fn nothing_is_restored_from_a_release_that_does_not_match_its_seal() {
    let scene = Scene::new("releases-swapped");
    let mut agent = scene.agent();
    let other = scene.repo("till");
    other.write("app/till.yaml", &config_map("till", "one")).commit("first");
    let till = scene.application("till").repo(&other).path("app").automated();
    till.annotation("tautline.dev/soak", "1s").create();
    let repo = stable(&scene);
    let of_till = |secret: Option<&Value>| secret.is_some_and(|secret| secret["data"]["payload"].is_string());
    let of_till =
        scene.wait_object("v1", "Secret", &scene.control, "tautline-release.till.v1", of_till).unwrap();
    agent.kill();
    // What was sealed for another app, in the place of what was sealed for this one.
    let swapped = json!({"data": {"payload": of_till["data"]["payload"]}});
    scene.patch("v1", "Secret", &scene.control, "tautline-release.shop.v1", &swapped);
    repo.write("app/web.yaml", &deployment("web:not-found")).commit("bad");
    agent.restart();
    let is_told = |app: &Value| app["status"]["conditions"].to_string().contains("does not match its seal");
    let app = scene.wait_app("shop", is_told);
    assert_eq!(image(&scene), "web:not-found", "{app:#}");
    // A good commit goes on as ever.
    repo.write("app/web.yaml", &deployment("web:2"));
    let good = repo.commit("good");
    scene.wait_app("shop", |app| is_synced_to(app, &good) && !is_told(app));
}

// N40: planted, edited, replayed and swapped releases
#[test]
fn when_all_releases_are_gone_there_is_nothing_to_go_back_to() {
    let scene = Scene::new("releases-gone");
    let mut agent = scene.agent();
    let repo = stable(&scene);
    agent.kill();
    scene.delete("v1", "Secret", &scene.control, "tautline-release.shop.v1");
    repo.write("app/web.yaml", &deployment("web:not-found")).commit("bad");
    agent.restart();
    // What failed is the only release then.
    kept(&scene, 1);
    let all = agent.get("/api/v1/applications/shop/releases").json();
    assert_eq!(
        (of(&all, "verdict"), of(&all, "manifestsKept")),
        (vec![json!("Failed")], vec![json!(false)]),
        "{all:#}"
    );
    assert_eq!(image(&scene), "web:not-found", "{all:#}");
    repo.write("app/web.yaml", &deployment("web:2"));
    let good = repo.commit("good");
    scene.wait_app("shop", |app| is_synced_to(app, &good));
    kept(&scene, 2);
}

#[test]
fn how_long_it_took_until_all_was_well_again_is_told() {
    let scene = Scene::new("releases-restored");
    let agent = scene.agent();
    let repo = stable(&scene);
    repo.write("app/web.yaml", &deployment("web:not-found")).commit("bad");
    kept(&scene, 2);
    let told = agent.get("/api/v1/applications/shop/releases").json();
    assert_eq!(of(&told, "verdict"), ["Stable", "RolledBack"], "{told:#}");
    for timings in told["items"].as_array().unwrap().iter().map(|item| &item["timings"]) {
        let order = ["seen", "started", "applied", "settled"].map(|what| timings[what].as_str());
        assert!(order.is_sorted() && order[0].is_some(), "{timings:#}");
    }
    let timings = &told["items"][1]["timings"];
    assert!(timings["restored"].as_str() >= timings["settled"].as_str(), "{timings:#}");
    let delivery = &told["delivery"];
    assert_eq!((&delivery["deployments"], &delivery["failures"]), (&json!(1), &json!(1)), "{told:#}");
    assert_eq!(delivery["changeFailureRate"], 0.5);
    assert!(delivery["timeToRestoreSeconds"].as_f64().is_some_and(|seconds| seconds > 0.0), "{delivery:#}");
    let all = agent.get("/api/v1/delivery").json();
    assert_eq!(all["total"]["timeToRestoreSeconds"], delivery["timeToRestoreSeconds"], "{all:#}");
}

#[test]
fn a_release_that_cannot_be_written_is_written_when_it_can_and_holds_nothing_up() {
    let scene = Scene::new("releases-quota");
    let quota = json!({"apiVersion": "v1", "kind": "ResourceQuota",
        "metadata": {"name": "full", "namespace": scene.control}, "spec": {"hard": {"secrets": "0"}}});
    scene.create(&quota).unwrap();
    scene.wait_object("v1", "ResourceQuota", &scene.control, "full", |quota| {
        quota.is_some_and(|quota| quota["status"]["hard"]["secrets"] == "0")
    });
    let agent = scene.agent();
    let repo = scene.repo("shop");
    repo.write("app/web.yaml", &deployment("web:1"));
    let first = repo.commit("first");
    let app = scene.application("shop").repo(&repo).path("app").automated();
    app.annotation("tautline.dev/soak", "1s").create();
    let told = agent
        .wait_log(|line| line["message"].as_str().is_some_and(|text| text.contains("could not be kept")));
    assert!(told.to_string().contains("exceeded quota"), "{told}");
    scene.wait_app("shop", |app| is_synced_to(app, &first) && app["status"]["health"]["status"] == "Healthy");
    // Another commit goes on as ever.
    repo.write("app/web.yaml", &deployment("web:2"));
    let second = repo.commit("second");
    scene.wait_app("shop", |app| is_synced_to(app, &second));
    scene.delete("v1", "ResourceQuota", &scene.control, "full");
    kept(&scene, 1);
}
