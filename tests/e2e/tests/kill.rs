//! Does the agent end in the right state after it was killed at any moment of a sync, a prune, or a deletion?
#![expect(clippy::unwrap_used, reason = "what cannot be done is a failed test")]

use std::collections::BTreeMap;
use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use e2e::{Agent, Repo, Scene, config_map, is_synced_to};
use serde_json::{Value, json};

/// How often each of install, update, prune and delete is interrupted: the last time at any moment until everything is healthy,
/// else at any moment until the last write.
const ROUNDS: usize = 5;
/// How many of the crashes have to leave some of a step's objects written and others not.
const HALFWAY: usize = 5;
/// What a test looks at; `kubectl get` takes it as it is.
const KINDS: &str = "configmaps,secrets,serviceaccounts,services,deployments.apps,roles.rbac.authorization.k8s.io,poddisruptionbudgets.policy";

/// Thirty objects of seven kinds, of which some go with the prune.
struct Shop {
    scene: Scene,
    repo: Repo,
    agent: Agent,
}

/// What a round does, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    Install,
    Update,
    Prune,
    Delete,
}

const STEPS: [Step; 4] = [Step::Install, Step::Update, Step::Prune, Step::Delete];

/// The namespace as people see it: what each object says, and which object it is.
#[derive(Default, Debug)]
struct Picture {
    objects: BTreeMap<String, Value>,
    uids: BTreeMap<String, String>,
}

/// How a step goes when nobody interferes.
struct Course {
    /// When the agent begins to write objects, and when it has written the last one.
    first_write: Duration,
    last_write: Duration,
    /// When all of them are healthy.
    end: Duration,
    after: Picture,
}

/// A small generator of numbers that are the same each time (Marsaglia's xorshift).
struct Dice(u64);

impl Dice {
    fn throw(&mut self) -> f64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        f64::from(u32::try_from(self.0 >> 32).expect("32 bits are left")) / f64::from(u32::MAX)
    }
}

impl Shop {
    fn new() -> Self {
        let scene = Scene::new("kill");
        let repo = scene.repo("shop");
        // Nobody's: it may never go.
        scene.kubectl_apply(&config_map("bystander", "mine"));
        let agent = scene.agent();
        Self { scene, repo, agent }
    }

    /// Writes what Git wants after a step, and returns the commit.
    fn commit(&self, step: Step) -> String {
        fs::remove_dir_all(self.repo.path().join("app")).ok();
        let value = if step == Step::Install { "one" } else { "two" };
        for n in 0..10 {
            // Half of the kinds lose half of their objects.
            let is_kept = step != Step::Prune || n % 2 == 0;
            for (kind, text) in objects(n, value) {
                if is_kept {
                    self.repo.write(&format!("app/{kind}-{n}.yaml"), &text);
                }
            }
        }
        self.repo.commit(&format!("{step:?}"))
    }

    /// Begins a step; returns what ends it.
    fn begin(&self, step: Step) -> Option<String> {
        match step {
            Step::Install => {
                let revision = self.commit(step);
                let app = self.scene.application("shop").repo(&self.repo).path("app").automated();
                app.finalizer("resources-finalizer.argocd.argoproj.io").create();
                Some(revision)
            }
            Step::Update | Step::Prune => Some(self.commit(step)),
            Step::Delete => {
                self.scene.delete_app("shop");
                None
            }
        }
    }

    fn wait_end(&self, revision: Option<&str>) {
        match revision {
            Some(revision) => {
                self.scene.wait_app("shop", |app| {
                    is_synced_to(app, revision) && app["status"]["health"]["status"] == "Healthy"
                });
            }
            None => self.scene.wait_app_gone("shop"),
        }
    }

    /// Kills the agent and starts another, with the cache or without it; returns what the dead one left behind.
    fn crash(&mut self, keeps_cache: bool) -> Picture {
        self.agent.kill();
        let left = self.look();
        if !keeps_cache {
            fs::remove_dir_all(self.scene.settings().cache).ok();
        }
        // As if the dead one's lease had run out, which takes 15 s; tests of the lease wait for that.
        let gone = ["-n", &self.scene.control, "delete", "lease", "tautline", "--ignore-not-found"];
        self.scene.lab.kubectl(&gone).unwrap();
        self.agent.restart();
        left
    }

    /// Does a step without a crash.
    fn run(&self, step: Step) -> Course {
        let (begun, before) = (Instant::now(), n_writes(&self.agent));
        let is_over = AtomicBool::new(false);
        let (end, [first_write, last_write]) = std::thread::scope(|threads| {
            let (agent, is_over) = (&self.agent, &is_over);
            let writes = threads.spawn(move || {
                let (mut seen, mut times) = (before, Vec::new());
                while !is_over.load(Ordering::Relaxed) {
                    let now = n_writes(agent);
                    if now > seen {
                        times.push(begun.elapsed());
                        seen = now;
                    }
                }
                times
            });
            let revision = self.begin(step);
            self.wait_end(revision.as_deref());
            let end = begun.elapsed();
            is_over.store(true, Ordering::Relaxed);
            let times = writes.join().unwrap();
            (end, [*times.first().unwrap(), *times.last().unwrap()])
        });
        if step == Step::Delete {
            self.wait_swept();
        }
        Course { first_write, last_write, end, after: self.look() }
    }

    /// Waits for the moment of a crash: a time since the step began or, once the agent writes, since it does. This is the one wait
    /// that is meant.
    fn wait_moment(&self, moment: Duration, course: &Course, before: u64) {
        let Some(writing) = moment.checked_sub(course.first_write) else {
            std::thread::sleep(moment);
            return;
        };
        let end = Instant::now() + e2e::DEADLINE;
        while n_writes(&self.agent) == before {
            assert!(Instant::now() < end, "nothing is written\n{}", self.agent.log_text());
        }
        std::thread::sleep(writing);
    }

    fn look(&self) -> Picture {
        let text = self.scene.lab.kubectl(&["-n", &self.scene.namespace, "get", KINDS, "-o", "json"]);
        let list: Value = serde_json::from_str(&text.unwrap()).unwrap();
        let mut picture = Picture::default();
        for object in list["items"].as_array().into_iter().flatten() {
            // Those on their way out are the controllers' matter.
            if !object["metadata"]["deletionTimestamp"].is_null() {
                continue;
            }
            let name = format!(
                "{}/{}",
                object["kind"].as_str().unwrap(),
                object["metadata"]["name"].as_str().unwrap()
            );
            picture.uids.insert(name.clone(), object["metadata"]["uid"].as_str().unwrap().to_owned());
            picture.objects.insert(name, what_we_say(object));
        }
        picture
    }

    /// Waits until nothing of the app is in the namespace: deletions in the foreground end after the Application.
    fn wait_swept(&self) {
        let end = Instant::now() + e2e::DEADLINE;
        loop {
            let picture = self.look();
            let left: Vec<&String> = picture.objects.keys().filter(|name| name.contains("shop-")).collect();
            if left.is_empty() {
                return;
            }
            assert!(Instant::now() < end, "left behind: {left:?}\n{}", self.agent.log_text());
        }
    }
}

/// Returns how many objects the agent has written or deleted.
fn n_writes(agent: &Agent) -> u64 {
    let is_write = |request: &&String| ["apply ", "delete "].iter().any(|verb| request.starts_with(verb));
    agent.requests().iter().filter(|(request, _)| is_write(request)).map(|(_, count)| count).sum()
}

/// Returns an object without what differs from life to life: ids, versions, times, what controllers wrote.
fn what_we_say(object: &Value) -> Value {
    let mut object = object.clone();
    let fields = object.as_object_mut().unwrap();
    fields.remove("status");
    let metadata = object["metadata"].as_object_mut().unwrap();
    for field in ["uid", "resourceVersion", "creationTimestamp", "generation", "managedFields"] {
        metadata.remove(field);
    }
    if let Some(annotations) = object["metadata"]["annotations"].as_object_mut() {
        annotations.remove("deployment.kubernetes.io/revision");
    }
    if object["kind"] == "Service" {
        let spec = object["spec"].as_object_mut().unwrap();
        spec.retain(|field, _| !field.starts_with("clusterIP"));
    }
    object
}

/// Returns the objects with a number, as YAML, by kind: thirty for ten numbers.
fn objects(n: usize, value: &str) -> Vec<(&'static str, String)> {
    let meta = format!("metadata: {{name: shop-{n}}}");
    let mut all =
        vec![("configmap", format!("apiVersion: v1\nkind: ConfigMap\n{meta}\ndata: {{key: {value}}}\n"))];
    if n < 6 {
        all.push(("secret", format!("apiVersion: v1\nkind: Secret\n{meta}\nstringData: {{key: {value}}}\n")));
    }
    if n < 4 {
        let text = "apiVersion: v1\nkind: ServiceAccount\n";
        all.push(("account", format!("{text}{meta}\nautomountServiceAccountToken: {}\n", value == "one")));
        let text = "apiVersion: v1\nkind: Service\n";
        let port = if value == "one" { 80 } else { 81 };
        all.push((
            "service",
            format!("{text}{meta}\nspec: {{selector: {{app: s{n}}}, ports: [{{port: {port}}}]}}\n"),
        ));
    }
    if n < 2 {
        let text = "apiVersion: apps/v1\nkind: Deployment\n";
        let pod = format!(
            "metadata: {{labels: {{app: s{n}}}}}, spec: {{containers: [{{name: web, image: 'web:{value}'}}]}}"
        );
        all.push((
            "deployment",
            format!("{text}{meta}\nspec: {{replicas: 1, selector: {{matchLabels: {{app: s{n}}}}}, template: {{{pod}}}}}\n"),
        ));
        let text = "apiVersion: rbac.authorization.k8s.io/v1\nkind: Role\n";
        let verb = if value == "one" { "get" } else { "list" };
        all.push((
            "role",
            format!("{text}{meta}\nrules: [{{apiGroups: [''], resources: [pods], verbs: [{verb}]}}]\n"),
        ));
        let text = "apiVersion: policy/v1\nkind: PodDisruptionBudget\n";
        let most = if value == "one" { 1 } else { 2 };
        all.push((
            "budget",
            format!(
                "{text}{meta}\nspec: {{maxUnavailable: {most}, selector: {{matchLabels: {{app: s{n}}}}}}}\n"
            ),
        ));
    }
    all
}

#[test]
fn killed_at_any_moment_it_ends_where_it_would_have_ended() {
    assert_eq!((0..10).map(|n| objects(n, "one").len()).sum::<usize>(), 30);
    let mut shop = Shop::new();
    shop.agent.wait_ready();

    let courses: BTreeMap<Step, Course> = STEPS.iter().map(|step| (*step, shop.run(*step))).collect();
    assert_eq!(courses[&Step::Delete].after.objects["ConfigMap/bystander"]["data"], json!({"key": "mine"}));

    let mut dice = Dice(0x5eed_0001);
    let mut halfway = Vec::new();
    let mut before = shop.look();
    for round in 0..ROUNDS {
        for step in STEPS {
            let course = &courses[&step];
            let latest = if round == ROUNDS - 1 { course.end } else { course.last_write };
            let moment = latest.mul_f64(dice.throw()).min(Duration::from_secs(5));
            let keeps_cache = dice.throw() < 0.5;
            let at = format!(
                "round {round}: {step:?}, killed after {moment:?} of {:?} and {:?}, cache kept: {keeps_cache}",
                course.last_write, course.end
            );

            let written = n_writes(&shop.agent);
            let revision = shop.begin(step);
            shop.wait_moment(moment, course, written);
            let left = shop.crash(keeps_cache);
            if left.objects != before.objects && left.objects != course.after.objects {
                halfway.push(at.clone());
            }
            shop.wait_end(revision.as_deref());
            if step == Step::Delete {
                shop.wait_swept();
            }

            let after = shop.look();
            compare(&after, &course.after, &at);
            for (name, uid) in &before.uids {
                let kept = after.uids.get(name);
                assert!(kept.is_none_or(|kept| kept == uid), "{at}: {name} was deleted and made again");
            }
            before = after;
        }
    }
    assert!(halfway.len() >= HALFWAY, "only {} crashes in the midst of writes: {halfway:#?}", halfway.len());
}

fn compare(after: &Picture, expected: &Picture, at: &str) {
    let names = |picture: &Picture| picture.objects.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(after), names(expected), "{at}");
    for (name, object) in &expected.objects {
        assert_eq!(&after.objects[name], object, "{at}: {name}");
    }
}
