//! What does a test of the agent's own bookkeeping need? An agent that reaches no cluster, and is told what watches would tell.

use crate::agent::Agent;
use crate::apps::AppEntry;
use crate::cache::Cache;
use crate::config::{Config, Serving};
use crate::desired::DesiredSet;
use crate::input::Input;
use crate::live::{KindWatch, Sight};
use crate::run::{FirstLook, assemble};
use crate::stored::Stored;
use application::Project;
use cluster::{Access, Cluster};
use engine::State;
use model::{AppKey, DesiredHash, GroupVersionKind, Object, ObjectKey, Revision, digest};
use release::{Cause, Record, Timings, Verdict};
use serde_json::{Value, json};
use source::Sources;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

/// An agent that is not running; what would reach its loop waits.
pub(crate) struct Harness {
    pub agent: Agent,
    _inputs: mpsc::UnboundedReceiver<Input>,
    _folder: tempfile::TempDir,
}

/// The one app of a test.
pub(crate) fn shop() -> AppKey {
    AppKey::new("argocd", "shop")
}

/// A `ConfigMap` as the API server would show it.
pub(crate) fn config_map(name: &str, uid: &str, version: u64, value: &str) -> Object {
    let object = json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {
            "name": name, "namespace": "shop", "uid": uid, "resourceVersion": version.to_string(),
        },
        "data": {"key": value},
    });
    Object::from_value(object).unwrap()
}

pub(crate) fn key(name: &str) -> ObjectKey {
    ObjectKey::new("", "ConfigMap", "shop", name)
}

impl Harness {
    /// Makes an agent that holds the lease and has one app, which is synced automatically and wants these objects.
    pub(crate) async fn new(wanted: &[Object]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let kubeconfig = folder.path().join("kubeconfig");
        let nowhere = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "nowhere",
            "clusters": [{"name": "nowhere", "cluster": {"server": "http://127.0.0.1:1"}}],
            "users": [{"name": "nobody", "user": {}}],
            "contexts": [{"name": "nowhere", "context": {"cluster": "nowhere", "user": "nobody"}}],
        });
        std::fs::write(&kubeconfig, nowhere.to_string()).unwrap();
        // Whoever is second finds it installed.
        drop(rustls::crypto::ring::default_provider().install_default());
        let access = Access {
            kubeconfig: Some(kubeconfig.clone()),
            user_agent: String::new(),
            in_flight: 1,
            call_timeout: Duration::from_secs(1),
        };
        let cluster = Cluster::connect(access).await.unwrap();
        let sources = Sources::open(source::Config::new(folder.path().join("git"))).unwrap();
        let config = Config {
            kubeconfig: Some(kubeconfig),
            namespace: "argocd".into(),
            api: Serving {
                listen: ([127, 0, 0, 1], 0).into(),
                authenticate: false,
                audiences: Vec::new(),
                transport: api::Transport::Plain,
            },
            probes: ([127, 0, 0, 1], 0).into(),
            cache_dir: folder.path().into(),
            poll_interval: Duration::from_secs(30),
            local_repos: Vec::new(),
            all_events: false,
            rollback: model::RollbackPolicy::Automatic,
            prometheus: None,
        };
        let (sender, inputs) = mpsc::unbounded_channel();
        let (watch_events, _) = mpsc::channel(1);
        let cache = Arc::new(Cache::open(folder.path()).unwrap());
        let agent = assemble(config, cluster, sources, cache, FirstLook::default(), sender, watch_events);
        let mut harness = Self { agent, _inputs: inputs, _folder: folder };
        harness.agent.may_write = true;
        harness.agent.keeping.was_tried = true;
        let gvk = GroupVersionKind::from_api_version("v1", "ConfigMap");
        let watch =
            KindWatch { handle: None, sight: Sight::Clear, is_filtered: true, seen: None, gvk: gvk.clone() };
        harness.agent.live.kinds.insert(gvk.group_kind(), watch);
        harness.want(wanted);
        harness
    }

    /// Lets the app want these objects.
    pub(crate) fn want(&mut self, wanted: &[Object]) {
        let raw = application();
        let app = application::read(&raw).unwrap();
        let set = Arc::new(set(wanted));
        self.agent.claims.set(&shop(), set.objects.keys().cloned().collect::<BTreeSet<_>>());
        let project = Arc::new(Project::built_in_default());
        let state = State::new(None, true);
        let entry =
            self.agent.apps.entry(shop()).or_insert_with(|| {
                Box::new(AppEntry::new(&shop(), Stored::new(&raw), "argocd", state, project))
            });
        entry.app = Some(Arc::new(app));
        entry.state.desired = Some(Arc::clone(&set.summary));
        entry.sets.insert(set.hash(), set);
    }
}

/// What is remembered of a release that settled.
pub(crate) fn record(app: AppKey, number: u64) -> Record {
    Record {
        app,
        app_uid: "u-1".into(),
        number,
        hash: DesiredHash(digest(number.to_string().as_bytes())),
        revision: Revision::new("1".repeat(40)),
        verdict: Verdict::Stable,
        reason: None,
        message: String::new(),
        cause: Cause::NewRevision,
        initiated_by: String::new(),
        source_type: "Directory".into(),
        repo_url: "https://git.example.com/shop.git".into(),
        path: "shop".into(),
        timings: Timings::default(),
        created: Vec::new(),
        images: Vec::new(),
        n_objects: 1,
    }
}

/// The app as the API server would show it.
pub(crate) fn application() -> Value {
    json!({
        "apiVersion": "argoproj.io/v1alpha1", "kind": "Application",
        "metadata": {"name": "shop", "namespace": "argocd", "uid": "u", "resourceVersion": "1"},
        "spec": {
            "project": "default",
            "source": {"repoURL": "https://git.example/shop.git", "path": ".", "targetRevision": "main"},
            "destination": {"server": "https://kubernetes.default.svc", "namespace": "shop"},
            "syncPolicy": {"automated": {"prune": true, "selfHeal": true}},
        },
    })
}

fn set(wanted: &[Object]) -> DesiredSet {
    let plain = wanted.iter().map(|object| {
        let mut object = object.clone();
        object.metadata_mut().remove("uid");
        object.metadata_mut().remove("resourceVersion");
        object
    });
    DesiredSet { objects: plain.collect(), ..DesiredSet::empty() }
}
