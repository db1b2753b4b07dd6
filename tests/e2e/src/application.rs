//! Which Application does a test create?

use serde_json::{Map, Value, json};

use crate::kube::Kube;
use crate::repo::Repo;
use crate::scene::Scene;

/// An Application in the making: in-cluster, into the scene's namespace, project `default`, revision `HEAD`, synced by
/// hand only.
#[must_use = "it exists only after `create`"]
pub struct Application {
    kube: &'static Kube,
    object: Value,
}

impl Application {
    pub(crate) fn new(scene: &Scene, name: &str) -> Self {
        Self {
            kube: scene.place.kube,
            object: json!({
                "apiVersion": "argoproj.io/v1alpha1", "kind": "Application",
                "metadata": {"name": name, "namespace": scene.control},
                "spec": {
                    "project": "default",
                    "source": {"repoURL": "", "path": ".", "targetRevision": "HEAD"},
                    "destination": {"server": "https://kubernetes.default.svc", "namespace": scene.namespace},
                },
            }),
        }
    }

    /// Reads from a repository.
    pub fn repo(self, repo: &Repo) -> Self {
        self.set("/spec/source/repoURL", repo.url())
    }

    /// Reads from a folder.
    pub fn path(self, path: &str) -> Self {
        self.set("/spec/source/path", path)
    }

    /// Follows a branch, a tag or a SHA.
    pub fn revision(self, revision: &str) -> Self {
        self.set("/spec/source/targetRevision", revision)
    }

    /// Syncs, prunes and heals by itself.
    pub fn automated(self) -> Self {
        self.set("/spec/syncPolicy/automated", json!({"prune": true, "selfHeal": true}))
    }

    /// Adds a sync option, such as `CreateNamespace=true`.
    pub fn option(mut self, option: &str) -> Self {
        let policy = self.object["spec"].as_object_mut().expect("it is made above").entry("syncPolicy");
        let policy = policy.or_insert_with(|| json!({})).as_object_mut().expect("a policy is a map");
        let options = policy.entry("syncOptions").or_insert_with(|| json!([]));
        options.as_array_mut().expect("options are a list").push(option.into());
        self
    }

    /// Adds an annotation.
    pub fn annotation(mut self, key: &str, value: &str) -> Self {
        self.object["metadata"]["annotations"][key] = value.into();
        self
    }

    /// Adds a finalizer.
    pub fn finalizer(mut self, finalizer: &str) -> Self {
        let metadata = self.object["metadata"].as_object_mut().expect("it is made above");
        let finalizers = metadata.entry("finalizers").or_insert_with(|| json!([]));
        finalizers.as_array_mut().expect("finalizers are a list").push(finalizer.into());
        self
    }

    /// Sets a field by JSON pointer, such as `/spec/project`; maps on the way are made.
    pub fn set(mut self, pointer: &str, value: impl Into<Value>) -> Self {
        let mut place = &mut self.object;
        for field in pointer.split('/').skip(1) {
            if place.is_null() {
                *place = Value::Object(Map::new());
            }
            place = &mut place[field.replace("~1", "/").replace("~0", "~")];
        }
        *place = value.into();
        self
    }

    /// Returns the object, without creating it.
    pub fn object(self) -> Value {
        self.object
    }

    /// Creates it.
    ///
    /// # Panics
    /// When the API server refuses it.
    pub fn create(self) -> Value {
        self.kube.create(&self.object).unwrap_or_else(|error| panic!("create {}: {error}", self.object))
    }
}
