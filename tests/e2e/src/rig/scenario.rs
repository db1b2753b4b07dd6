//! Which stories are told again and again, each time with another fault?

use std::fmt;
use std::fs;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::case::Case;
use super::objects::{self, Commit, File};
use crate::git_server::GitServer;
use crate::proxy::{Asked, Fault, Proxy, Verb};
use crate::repo::Repo;
use crate::scene::Scene;
use crate::words::{condition, config_map, is_synced_to};

/// A reference run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scenario {
    /// The first deploy of thirty objects of twelve kinds, from the start of the agent.
    Deploy,
    /// A commit that adds, changes and prunes.
    Update,
    /// Objects that are changed and deleted by hand.
    Drift,
    /// An Application is deleted, and its objects with it.
    Delete,
    /// A second app wants objects of the first one.
    Claim,
    /// A first deploy to a namespace that has to be made, and a commit more, from a Git server.
    Fetch,
    /// A commit that turns out bad: it is rolled back.
    Rollback,
    /// The commit of [`Scenario::Update`], which has to get somewhere every few seconds or is bad: it never is.
    Hasty,
    /// The agent ends and starts again, and finds what it deployed, some of it changed by hand.
    Restart,
}

/// How long the end of a scenario is waited for: watches that are frozen are given up after 100 s.
pub(super) const LONGEST: Duration = Duration::from_mins(4);

/// A scene with its two repositories, and the commits of the first one.
pub(crate) struct Stage {
    pub(crate) scene: Scene,
    pub(crate) proxy: Arc<Proxy>,
    /// Where the objects go.
    pub(crate) namespace: String,
    repo: Repo,
    rival: Repo,
    pub(crate) commits: Vec<String>,
}

impl Scenario {
    /// All of them, by name.
    pub const ALL: [(Self, &str); 9] = [
        (Self::Deploy, "deploy"),
        (Self::Update, "update"),
        (Self::Drift, "drift"),
        (Self::Delete, "delete"),
        (Self::Claim, "claim"),
        (Self::Fetch, "fetch"),
        (Self::Rollback, "rollback"),
        (Self::Hasty, "hasty"),
        (Self::Restart, "restart"),
    ];

    /// Reads its name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, known)| *known == name).map(|(scenario, _)| *scenario)
    }

    /// Returns the Applications that there are at its end.
    pub(crate) fn apps(self) -> &'static [&'static str] {
        match self {
            Self::Deploy
            | Self::Update
            | Self::Drift
            | Self::Fetch
            | Self::Rollback
            | Self::Hasty
            | Self::Restart => &["shop"],
            Self::Delete => &[],
            Self::Claim => &["rival", "shop"],
        }
    }

    /// Makes what is there before the agent starts.
    pub(crate) fn set_up(self) -> Stage {
        let scene = Scene::new(&format!("rig-{self}"));
        let (repo, rival) = (scene.repo("shop"), scene.repo("rival"));
        // Nobody's: it may never go.
        scene.kubectl_apply(&config_map("bystander", "mine"));
        let secret = json!({
            "apiVersion": "v1", "kind": "Secret",
            "metadata": {
                "name": "private", "namespace": scene.control,
                "labels": {"argocd.argoproj.io/secret-type": "repository"},
            },
            "stringData": {
                "type": "git", "url": "https://git.example.com/private.git",
                "username": "ada", "password": objects::CANARY,
            },
        });
        scene.create(&secret).expect("a Secret can be created");
        let namespace = if self == Self::Fetch { scene.unique("made") } else { scene.namespace.clone() };
        let proxy = Arc::new(Proxy::start(&scene));
        let mut stage = Stage { scene, proxy, namespace, repo, rival, commits: Vec::new() };
        stage.commit(Commit::First);
        let mut app = stage.scene.application("shop").repo(&stage.repo).path("app").automated();
        if self == Self::Fetch {
            let server = GitServer::start(stage.scene.repos());
            app = app.set("/spec/source/repoURL", stage.proxy.before(&server, "shop"));
            app = app.set("/spec/destination/namespace", &*stage.namespace).option("CreateNamespace=true");
        }
        if matches!(self, Self::Rollback | Self::Hasty) {
            app = app.annotation("tautline.dev/soak", "1s").annotation("tautline.dev/deadline", "5s");
        }
        app.finalizer("resources-finalizer.argocd.argoproj.io").create();
        stage
    }

    /// Returns whether its story begins with the start of the agent.
    pub(crate) fn begins_with_start(self) -> bool {
        matches!(self, Self::Deploy | Self::Fetch)
    }

    /// Returns the options of the agent.
    pub(crate) fn options(self) -> Vec<String> {
        let options: &[&str] = if self == Self::Fetch { &["--poll-interval", "1s"] } else { &[] };
        options.iter().map(|option| (*option).to_owned()).collect()
    }

    /// Returns whether a request is one that it is told for: what it has in common with others is theirs.
    pub(crate) fn is_about(self, asked: &Asked) -> bool {
        match self {
            Self::Fetch => asked.verb.is_of_git() || asked.resource == "namespaces",
            Self::Restart => asked.verb == Verb::DryRun || asked.verb.writes(),
            // All of what a rollback is; what it has in common with an update is told there.
            Self::Rollback => asked.verb.writes() || asked.resource == "secrets",
            // What tells how far pods are, and what is done about it.
            Self::Hasty => {
                let tells = ["deployments.apps", "replicasets.apps", "pods", "applications.argoproj.io"];
                asked.verb == Verb::Watch || tells.contains(&asked.resource.as_str())
            }
            Self::Deploy | Self::Update | Self::Drift | Self::Delete | Self::Claim => true,
        }
    }

    /// Returns the objects that may be there at the end or not: whoever does not hear what an apply came to does not know that it
    /// made the object, and what may have been there before stays when a commit is rolled back.
    pub(crate) fn left_out(self, case: &Case) -> &'static [&'static str] {
        let is_unheard =
            case.fault.kills() || matches!(case.fault, Fault::Lose | Fault::HoldAnswer | Fault::Truncate);
        if self == Self::Rollback && is_unheard {
            &["ConfigMap/shop-7", "ConfigMap/shop-8", "PodTemplate/shop-1"]
        } else {
            &[]
        }
    }

    /// Waits until its story can begin; the agent runs.
    pub(crate) fn prepare(self, stage: &Stage) {
        if !self.begins_with_start() {
            stage.wait_healthy("shop", &stage.commits[0]);
        }
        if matches!(self, Self::Rollback | Self::Hasty) {
            stage.wait_release(1);
        }
    }

    /// Begins.
    pub(crate) fn act(self, stage: &mut Stage) {
        match self {
            Self::Deploy => {}
            Self::Update | Self::Hasty => stage.commit(Commit::Second),
            Self::Rollback => stage.commit(Commit::Bad),
            Self::Fetch => {
                stage.wait_healthy("shop", &stage.commits[0]);
                stage.commit(Commit::Second);
            }
            Self::Drift => stage.drift(),
            Self::Restart => {
                stage.proxy.kill();
                stage.drift();
            }
            Self::Delete => stage.scene.delete_app("shop"),
            Self::Claim => {
                write(&stage.rival, &objects::claimed());
                stage.rival.commit("first");
                stage.scene.application("rival").repo(&stage.rival).path("app").automated().create();
            }
        }
    }

    /// Waits for the end.
    pub(crate) fn wait_end(self, stage: &Stage) {
        match self {
            Self::Deploy | Self::Update | Self::Fetch => {
                stage.wait_healthy("shop", stage.commits.last().expect("there is one"));
            }
            Self::Hasty => {
                stage.wait_healthy("shop", stage.commits.last().expect("there is one"));
                stage.wait_release(2);
            }
            Self::Drift | Self::Restart => {
                stage.wait_repaired();
                stage.wait_healthy("shop", &stage.commits[0]);
            }
            Self::Rollback => {
                stage.wait_app("shop", |app| condition(app, "RolledBack").starts_with("Rolled back"));
                stage.wait_release(2);
            }
            Self::Delete => stage.wait_gone(),
            Self::Claim => {
                stage.wait_app("rival", |app| {
                    !condition(app, "SharedResourceWarning").is_empty()
                        && app["status"]["operationState"]["phase"] == "Succeeded"
                });
                stage.wait_healthy("shop", &stage.commits[0]);
            }
        }
    }
}

impl fmt::Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(Self::ALL.iter().find(|(scenario, _)| scenario == self).map_or("", |(_, name)| name))
    }
}

fn write(repo: &Repo, files: &[File]) {
    // The first time there is none.
    drop(fs::remove_dir_all(repo.path().join("app")));
    for (name, text) in files {
        repo.write(&format!("app/{name}"), text);
    }
}

impl Stage {
    fn commit(&mut self, commit: Commit) {
        write(&self.repo, &objects::files(commit, &self.scene.namespace));
        self.commits.push(self.repo.commit("change"));
    }

    fn drift(&self) {
        let (scene, namespace) = (&self.scene, &self.scene.namespace);
        scene.patch("v1", "ConfigMap", namespace, "shop-2", &json!({"data": {"key": "by hand"}}));
        scene.patch("v1", "Secret", namespace, "shop-1", &json!({"data": {"key": "YnkgaGFuZA=="}}));
        scene.patch("apps/v1", "Deployment", namespace, "shop-1", &json!({"spec": {"replicas": 3}}));
        scene.delete("v1", "ConfigMap", namespace, "shop-3");
        scene.delete("v1", "Service", namespace, "shop-1");
    }

    /// Waits until a release is kept.
    fn wait_release(&self, number: u64) {
        let secret = format!("tautline-release.shop.v{number}");
        let key = ("v1", "Secret", self.scene.control.as_str(), secret.as_str());
        self.scene.wait_object_for(LONGEST, key, |secret| secret.is_some());
    }

    fn wait_repaired(&self) {
        let is = |pointer: &'static str, value: Value| {
            move |object: Option<&Value>| object.is_some_and(|object| object.pointer(pointer) == Some(&value))
        };
        self.wait("v1", "ConfigMap", "shop-2", is("/data/key", "one".into()));
        self.wait("v1", "Secret", "shop-1", is("/data/key", "c2FtZQ==".into()));
        self.wait("apps/v1", "Deployment", "shop-1", is("/spec/replicas", 1.into()));
        self.wait("v1", "ConfigMap", "shop-3", |map| map.is_some());
        self.wait("v1", "Service", "shop-1", |service| service.is_some());
    }

    /// Waits until the Application and all that it had is gone: what is deleted in the foreground goes after it.
    fn wait_gone(&self) {
        let key = ("argoproj.io/v1alpha1", "Application", self.scene.control.as_str(), "shop");
        self.scene.wait_object_for(LONGEST, key, |app| app.is_none());
        for name in ["shop-0", "shop-1"] {
            self.wait("apps/v1", "Deployment", name, |deployment| deployment.is_none());
        }
    }

    fn wait(&self, api_version: &str, kind: &str, name: &str, is_done: impl FnMut(Option<&Value>) -> bool) {
        let key = (api_version, kind, self.scene.namespace.as_str(), name);
        self.scene.wait_object_for(LONGEST, key, is_done);
    }

    fn wait_app(&self, name: &str, is_done: impl Fn(&Value) -> bool) {
        let key = ("argoproj.io/v1alpha1", "Application", self.scene.control.as_str(), name);
        self.scene.wait_object_for(LONGEST, key, |app| app.is_some_and(&is_done));
    }

    fn wait_healthy(&self, name: &str, revision: &str) {
        self.wait_app(name, |app| {
            is_synced_to(app, revision) && app["status"]["health"]["status"] == "Healthy"
        });
    }
}
