//! How do tests read, change and watch the cluster, as its administrator?

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use cluster::{Access, Cluster, Discovery, Endpoint, Priority, Propagation, WatchEvent, WatchId, WatchSpec};
use lab::Lab;
use model::{CallError, GroupVersionKind, Object, ObjectKey};
use serde_json::Value;
use tokio::runtime::Runtime;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// How long a test waits for anything before it fails: longer than the agent itself waits before it tries something again,
/// on a machine that is busy.
pub const DEADLINE: Duration = Duration::from_mins(1);

/// Who changes objects in tests, as `managedFields` tell it.
const MANAGER: &str = "e2e";

/// The administrator's way into the lab's cluster, for blocking callers.
pub(crate) struct Kube {
    runtime: Runtime,
    cluster: Cluster,
    discovery: Mutex<Arc<Discovery>>,
}

impl Kube {
    /// Connects to a lab.
    pub(crate) fn of(lab: &Lab) -> Self {
        // Whoever is second finds it installed.
        drop(rustls::crypto::ring::default_provider().install_default());
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        let runtime = runtime.expect("threads can be started");
        let access = Access {
            kubeconfig: Some(lab.kubeconfig().to_owned()),
            user_agent: MANAGER.into(),
            in_flight: 64,
            call_timeout: DEADLINE,
        };
        let cluster = runtime.block_on(Cluster::connect(access)).expect("the lab's kubeconfig can be used");
        let discovery = runtime.block_on(cluster.discover()).expect("the API server answers");
        Self { runtime, cluster, discovery: Mutex::new(Arc::new(discovery)) }
    }

    fn known(&self, gvk: &GroupVersionKind) -> Option<Endpoint> {
        self.discovery.lock().unwrap_or_else(PoisonError::into_inner).endpoint(gvk)
    }

    /// Returns where a kind is served; asks again until it is, for CRDs need a moment.
    fn endpoint(&self, api_version: &str, kind: &str) -> Endpoint {
        let gvk = GroupVersionKind::from_api_version(api_version, kind);
        let search = async {
            loop {
                if let Some(endpoint) = self.known(&gvk) {
                    return endpoint;
                }
                if let Ok(fresh) = self.cluster.discover().await {
                    *self.discovery.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(fresh);
                }
                // Kinds cannot be watched.
                if self.known(&gvk).is_none() {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
        };
        let found = self.runtime.block_on(async { tokio::time::timeout(DEADLINE, search).await });
        found.unwrap_or_else(|_| panic!("the API server serves no {kind} of {api_version}"))
    }

    pub(crate) fn get(&self, api_version: &str, kind: &str, namespace: &str, name: &str) -> Option<Value> {
        let endpoint = self.endpoint(api_version, kind);
        let found = self.runtime.block_on(self.cluster.get(&endpoint, namespace, name));
        found.unwrap_or_else(|error| panic!("get {kind} {namespace}/{name}: {error}"))
    }

    pub(crate) fn create(&self, object: &Value) -> Result<Value, CallError> {
        let object = Object::from_value(object.clone()).expect("a test creates objects");
        let endpoint = self.endpoint(object.api_version(), object.kind());
        self.runtime.block_on(self.cluster.create(&endpoint, &object, MANAGER)).map(Object::into_value)
    }

    pub(crate) fn patch(
        &self,
        (api_version, kind, namespace, name): (&str, &str, &str, &str),
        patch: &Value,
    ) -> Result<Value, CallError> {
        let endpoint = self.endpoint(api_version, kind);
        let patched = self.cluster.merge_patch(&endpoint, namespace, name, patch, MANAGER);
        self.runtime.block_on(patched).map(Object::into_value)
    }

    pub(crate) fn delete(
        &self,
        (api_version, kind, namespace, name): (&str, &str, &str, &str),
        propagation: Propagation,
    ) {
        let endpoint = self.endpoint(api_version, kind);
        let key = ObjectKey::new(&endpoint.gvk.group, kind, namespace, name);
        let (uid, resource_version) = (String::new(), String::new());
        let priority = Priority::User;
        let options = cluster::DeleteOptions { uid, resource_version, propagation, priority };
        let deleted = self.runtime.block_on(self.cluster.delete(&endpoint, &key, &options));
        deleted.unwrap_or_else(|error| panic!("delete {kind} {namespace}/{name}: {error}"));
    }

    /// Watches one object until `is_done` holds for it, or for its absence; after `longest`, returns what was seen last.
    pub(crate) fn wait(
        &self,
        longest: Duration,
        (api_version, kind, namespace, name): (&str, &str, &str, &str),
        mut is_done: impl FnMut(Option<&Value>) -> bool,
    ) -> Result<Option<Value>, Option<Value>> {
        let selector = format!("metadata.name={name}");
        let mut last = None;
        let done = self.watch(longest, (api_version, kind, namespace), selector, |objects| {
            last = objects.values().next().cloned();
            is_done(last.as_ref())
        });
        if done { Ok(last) } else { Err(last) }
    }

    /// Watches the objects that a field selector takes until `is_done` holds for all of them together, by name; returns
    /// whether it came to hold in time.
    pub(crate) fn watch(
        &self,
        longest: Duration,
        (api_version, kind, namespace): (&str, &str, &str),
        field_selector: String,
        mut is_done: impl FnMut(&BTreeMap<String, Value>) -> bool,
    ) -> bool {
        let mut spec = WatchSpec::all(self.endpoint(api_version, kind));
        spec.namespace = Some(namespace.to_owned()).filter(|namespace| !namespace.is_empty());
        spec.field_selector = field_selector;
        let seen = async {
            let (sender, mut events) = mpsc::channel(64);
            let _watch = self.cluster.watch(spec, sender, WatchId(0));
            let (mut objects, mut is_listed) = (BTreeMap::new(), false);
            while let Some((_, event)) = events.recv().await {
                match event {
                    WatchEvent::Began => {
                        objects.clear();
                        is_listed = false;
                    }
                    WatchEvent::Object(object, _) => {
                        objects.insert(object.name().to_owned(), object.into_value());
                    }
                    WatchEvent::Deleted(key, _) => {
                        objects.remove(&key.name);
                    }
                    WatchEvent::Listed(_) => is_listed = true,
                    WatchEvent::Undecodable { .. } | WatchEvent::Blind { .. } | WatchEvent::Seeing => {}
                }
                if is_listed && is_done(&objects) {
                    return;
                }
            }
        };
        self.runtime.block_on(async { tokio::time::timeout(longest, seen).await }).is_ok()
    }

    /// Returns the objects of a kind in a namespace as they are now.
    ///
    /// # Panics
    /// When they are not listed before [`DEADLINE`].
    pub(crate) fn list(&self, of: (&str, &str, &str)) -> Vec<Value> {
        let mut all = Vec::new();
        let is_listed = self.watch(DEADLINE, of, String::new(), |objects| {
            all = objects.values().cloned().collect();
            true
        });
        assert!(is_listed, "the {} of {} cannot be listed", of.1, of.2);
        all
    }

    /// Shows every object of a kind in a namespace, as it is now and whenever it changes, until the result is dropped.
    pub(crate) fn follow(
        &self,
        (api_version, kind, namespace): (&str, &str, &str),
        see: impl Fn(&Value) + Send + 'static,
    ) -> Following {
        let mut spec = WatchSpec::all(self.endpoint(api_version, kind));
        spec.namespace = Some(namespace.to_owned());
        let cluster = self.cluster.clone();
        Following(self.runtime.spawn(async move {
            let (sender, mut events) = mpsc::channel(64);
            let _watch = cluster.watch(spec, sender, WatchId(0));
            while let Some((_, event)) = events.recv().await {
                if let WatchEvent::Object(object, _) = event {
                    see(&object.into_value());
                }
            }
        }))
    }
}

/// Somebody looks on; ends when it is dropped.
pub(crate) struct Following(JoinHandle<()>);

impl Drop for Following {
    fn drop(&mut self) {
        self.0.abort();
    }
}
