//! Where does a test take place? In namespaces and a folder of its own.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use cluster::Propagation;
use lab::Lab;
use model::CallError;
use serde_json::{Value, json};

use crate::agent::{Agent, Settings};
use crate::application::Application;
use crate::canary::Canaries;
use crate::kube::{DEADLINE, Following};
use crate::place::Place;
use crate::repo::Repo;
use crate::sweep::Traces;
use crate::words::{config_map, is_synced_to, settled};

const APPLICATION: (&str, &str) = ("argoproj.io/v1alpha1", "Application");

/// One test's part of the cluster, and its repositories.
pub struct Scene {
    /// The cluster.
    pub lab: &'static Lab,
    /// Where its Applications, projects and settings live.
    pub control: String,
    /// Where its Applications deploy to.
    pub namespace: String,
    folder: tempfile::TempDir,
    pub(crate) agents: RefCell<Vec<Traces>>,
    pub(crate) canaries: Canaries,
    /// Commands and what they printed.
    pub(crate) told: RefCell<Vec<(String, String)>>,
    _secrets: [Following; 2],
    pub(crate) place: Place,
}

/// The schema of a kind whose objects may hold anything.
pub const ANYTHING: &str = "{type: object, x-kubernetes-preserve-unknown-fields: true}";

impl Scene {
    /// Takes the lab that the tests of this process share, with our CRDs installed, and makes two namespaces and a folder.
    ///
    /// # Panics
    /// When the lab cannot be started: no test could say anything then.
    pub fn new(name: &str) -> Self {
        Self::at(Place::shared(), name)
    }

    /// Starts a lab for this scene alone: for what others would notice, such as an API server that goes.
    ///
    /// # Panics
    /// As [`Scene::new`].
    pub fn alone(name: &str) -> Self {
        Self::at(Place::own(), name)
    }

    fn at(place: Place, name: &str) -> Self {
        let lab = place.lab;
        let folder = tempfile::Builder::new().prefix("tautline-e2e-").tempdir();
        let folder = folder.expect("the folder for temporary files is writable");
        fs::create_dir(folder.path().join("repos")).expect("the folder is new");
        let (control, namespace) = (lab.namespace(&format!("{name}-control")), lab.namespace(name));
        let canaries = Canaries::default();
        let secrets = [&control, &namespace].map(|namespace| {
            let canaries = canaries.clone();
            place.kube.follow(("v1", "Secret", namespace), move |secret| canaries.add_secret(secret))
        });
        let (agents, told) = (RefCell::default(), RefCell::default());
        Self { lab, control, namespace, folder, agents, canaries, told, _secrets: secrets, place }
    }

    /// Returns the scene's folder, which goes with it.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Returns the folder below which the agent may read repositories.
    pub fn repos(&self) -> PathBuf {
        self.folder.path().join("repos")
    }

    /// Returns a name that no other test has, for objects without a namespace.
    pub fn unique(&self, name: &str) -> String {
        format!("{name}-{}", self.namespace)
    }

    /// Makes an empty repository that the agent may read.
    pub fn repo(&self, name: &str) -> Repo {
        Repo::init(self.repos().join(name))
    }

    /// Makes a repository with these files below `app/` and an automated Application of the same name, and waits until it
    /// is Synced. An agent must run.
    ///
    /// # Panics
    /// As [`Scene::wait_object`].
    pub fn deployed(&self, name: &str, files: &[(&str, &str)]) -> Repo {
        let repo = self.repo(name);
        for (path, text) in files {
            repo.write(&format!("app/{path}"), text);
        }
        let revision = repo.commit("first");
        self.application(name).repo(&repo).path("app").automated().create();
        self.wait_app(name, |app| is_synced_to(app, &revision));
        repo
    }

    /// Begins an Application.
    pub fn application(&self, name: &str) -> Application {
        Application::new(self, name)
    }

    /// Starts an agent that may do everything, and returns when it listens.
    pub fn agent(&self) -> Agent {
        self.start(self.settings())
    }

    /// Starts an agent with more options, such as `["--events", "all"]`, which replace those that a scene sets itself.
    pub fn agent_with(&self, options: &[&str]) -> Agent {
        let mut settings = self.settings();
        settings.options.extend(options.iter().map(ToString::to_string));
        self.start(settings)
    }

    /// Starts an agent that acts as a service account of the control namespace, which must exist.
    pub fn agent_as(&self, service_account: &str) -> Agent {
        let mut settings = self.settings();
        let kubeconfig = self.lab.kubeconfig_for(&self.control, service_account);
        settings.kubeconfig = kubeconfig.expect("the service account exists");
        self.start(settings)
    }

    /// Starts an agent as in a pod with a service account of the control namespace, which must exist: it finds its token
    /// and the API server where a pod has them. That takes `unshare` and a machine that lets users have namespaces.
    pub fn agent_in_pod(&self, service_account: &str) -> Agent {
        let var_run = self.folder().join("var-run");
        let account = var_run.join("secrets/kubernetes.io/serviceaccount");
        fs::create_dir_all(&account).expect("the scene's folder is writable");
        let token = ["-n", &self.control, "create", "token", service_account];
        let token = self.lab.kubectl(&token).expect("the service account exists");
        let authority = fs::read_to_string(self.lab.ca_file()).expect("the lab has an authority");
        for (name, text) in [("token", token.trim()), ("ca.crt", &authority), ("namespace", &self.control)] {
            fs::write(account.join(name), text).expect("the scene's folder is writable");
        }
        let address = self.lab.url().trim_start_matches("https://");
        let (host, port) = address.rsplit_once(':').expect("the lab's URL names a port");
        let mut settings = self.settings();
        settings.var_run = Some(var_run);
        for (name, value) in [("KUBERNETES_SERVICE_HOST", host), ("KUBERNETES_SERVICE_PORT", port)] {
            settings.environment.insert(name.into(), value.into());
        }
        self.start(settings)
    }

    /// Returns the settings of [`Scene::agent`].
    pub fn settings(&self) -> Settings {
        Settings {
            kubeconfig: self.lab.kubeconfig().to_owned(),
            var_run: None,
            disk: None,
            namespace: self.control.clone(),
            cache: self.folder.path().join("cache"),
            repos: self.repos(),
            log: self.folder.path().join(format!("agent-{}.log", self.agents.borrow().len())),
            options: Vec::new(),
            environment: BTreeMap::new(),
        }
    }

    /// Starts an agent with settings of one's own.
    pub fn start(&self, settings: Settings) -> Agent {
        self.add_credentials(&settings);
        let kept = settings.clone();
        let asking = ["--authenticate", "--insecure-http"];
        let asks_for_tokens = settings.options.iter().any(|option| asking.contains(&option.as_str()));
        let agent = Agent::start(settings);
        if asks_for_tokens {
            let token = self.lab.admin_token().expect("the lab has an administrator");
            self.canaries.add("the administrator's token", token);
            agent.shared_log().show_token(token);
        }
        self.agents.borrow_mut().push(Traces { log: agent.shared_log(), settings: kept });
        agent
    }

    /// Reads an object as it is now; an empty namespace for kinds that live in none.
    pub fn get(&self, api_version: &str, kind: &str, namespace: &str, name: &str) -> Option<Value> {
        self.place.kube.get(api_version, kind, namespace, name)
    }

    /// Reads a `ConfigMap` of the app namespace as it is now.
    pub fn config_map(&self, name: &str) -> Option<Value> {
        self.get("v1", "ConfigMap", &self.namespace, name)
    }

    /// Reads an Application as it is now.
    ///
    /// # Panics
    /// When it is not there.
    pub fn app(&self, name: &str) -> Value {
        let app = self.get(APPLICATION.0, APPLICATION.1, &self.control, name);
        app.unwrap_or_else(|| panic!("there is no Application {name}"))
    }

    /// Has repositories looked at once an hour, unless somebody asks or hints.
    ///
    /// # Panics
    /// When the scene has settings already.
    pub fn poll_seldom(&self) {
        let config = json!({
            "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"name": "argocd-cm", "namespace": self.control},
            "data": {"timeout.reconciliation": "1h"},
        });
        self.create(&config).expect("it is the first");
    }

    /// Creates an object as a person would.
    ///
    /// # Errors
    /// The API server refuses it.
    pub fn create(&self, object: &Value) -> Result<Value, CallError> {
        self.place.kube.create(object)
    }

    /// Changes an object by a JSON merge patch, as a person would.
    ///
    /// # Panics
    /// When the API server refuses it.
    pub fn patch(&self, api_version: &str, kind: &str, namespace: &str, name: &str, patch: &Value) -> Value {
        let patched = self.place.kube.patch((api_version, kind, namespace, name), patch);
        patched.unwrap_or_else(|error| panic!("patch {kind} {namespace}/{name}: {error}"))
    }

    /// Changes an Application by a JSON merge patch, as a person would.
    ///
    /// # Panics
    /// When the API server refuses it.
    pub fn patch_app(&self, name: &str, patch: &Value) -> Value {
        self.patch(APPLICATION.0, APPLICATION.1, &self.control, name, patch)
    }

    /// Asks for a sync as `argocd --core` does, by `operation.sync`, and returns the Application once it has ended.
    ///
    /// # Panics
    /// As [`Scene::wait_object`].
    pub fn sync(&self, name: &str, sync: &Value) -> Value {
        let operation = json!({"initiatedBy": {"username": "ada"}, "sync": sync});
        self.patch_app(name, &json!({"operation": operation}));
        self.wait_app(name, |app| settled(app) && app["status"]["operationState"].is_object())
    }

    /// Lets one more app be synced, so that whatever an agent was going to do before is done or did not happen.
    ///
    /// # Panics
    /// As [`Scene::wait_object`].
    pub fn let_pass(&self, name: &str) {
        self.deployed(name, &[("marker.yaml", &config_map(name, "marker"))]);
    }

    /// Deletes an object, its dependents in the background; does not wait until it is gone.
    pub fn delete(&self, api_version: &str, kind: &str, namespace: &str, name: &str) {
        self.place.kube.delete((api_version, kind, namespace, name), Propagation::Background);
    }

    /// Deletes an Application; does not wait until it is gone.
    pub fn delete_app(&self, name: &str) {
        self.delete(APPLICATION.0, APPLICATION.1, &self.control, name);
    }

    /// Applies manifests with a real kubectl, into the app namespace where they name none.
    ///
    /// # Panics
    /// When kubectl fails.
    pub fn kubectl_apply(&self, manifests: &str) {
        let applied = self.lab.kubectl_with_input(&["-n", &self.namespace, "apply", "-f", "-"], manifests);
        applied.unwrap_or_else(|error| panic!("{error:#}"));
    }

    /// Installs a kind `Box` of the scene's own with an `OpenAPI` schema, served as `v1` and `v2` and stored as `v1`; returns
    /// its API group.
    ///
    /// # Panics
    /// When kubectl fails, or the CRD is not established before [`DEADLINE`].
    pub fn install_boxes(&self, schema: &str) -> String {
        let group = format!("{}.example.com", self.namespace);
        let schema = format!("{{openAPIV3Schema: {schema}}}");
        self.kubectl_apply(&format!(
            "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {{name: boxes.{group}}}\nspec:\n  \
             group: {group}\n  scope: Namespaced\n  names: {{plural: boxes, singular: box, kind: Box}}\n  versions:\n  \
             - {{name: v1, served: true, storage: true, schema: {schema}}}\n  \
             - {{name: v2, served: true, storage: false, schema: {schema}}}\n"
        ));
        let wait = self.lab.wait_established(&[&format!("boxes.{group}")]);
        wait.unwrap_or_else(|error| panic!("install the CRD of boxes: {error:#}"));
        group
    }

    /// Waits until `is_done` holds for an Application, and returns it as it was then.
    ///
    /// # Panics
    /// After [`DEADLINE`], with the Application as seen last and the agents' logs.
    pub fn wait_app(&self, name: &str, is_done: impl Fn(&Value) -> bool) -> Value {
        let done = |app: Option<&Value>| app.is_some_and(&is_done);
        let app = self.wait_object(APPLICATION.0, APPLICATION.1, &self.control, name, done);
        app.expect("it held for an object")
    }

    /// Waits until an Application is gone.
    ///
    /// # Panics
    /// After [`DEADLINE`].
    pub fn wait_app_gone(&self, name: &str) {
        self.wait_object(APPLICATION.0, APPLICATION.1, &self.control, name, |app| app.is_none());
    }

    /// Waits until `is_done` holds for an object, or for its absence (`None`), and returns it as it was then. An empty
    /// namespace for kinds that live in none.
    ///
    /// # Panics
    /// After [`DEADLINE`], with the object as seen last and the agents' logs.
    pub fn wait_object(
        &self,
        api_version: &str,
        kind: &str,
        namespace: &str,
        name: &str,
        is_done: impl FnMut(Option<&Value>) -> bool,
    ) -> Option<Value> {
        self.wait_object_for(DEADLINE, (api_version, kind, namespace, name), is_done)
    }

    /// Waits like [`Scene::wait_object`], for what takes its time.
    ///
    /// # Panics
    /// After `longest`.
    pub fn wait_object_for(
        &self,
        longest: Duration,
        (api_version, kind, namespace, name): (&str, &str, &str, &str),
        is_done: impl FnMut(Option<&Value>) -> bool,
    ) -> Option<Value> {
        let seen = self.place.kube.wait(longest, (api_version, kind, namespace, name), is_done);
        seen.unwrap_or_else(|last| {
            let last = last.map_or_else(|| "absent".into(), without_fields);
            panic!("{kind} {namespace}/{name} did not come to what was expected in {longest:?}; last: {last}")
        })
    }

    /// Waits until `is_done` holds for a `ConfigMap` of the app namespace, or its absence.
    ///
    /// # Panics
    /// As [`Scene::wait_object`].
    pub fn wait_config_map(&self, name: &str, is_done: impl FnMut(Option<&Value>) -> bool) -> Option<Value> {
        self.wait_object("v1", "ConfigMap", &self.namespace, name, is_done)
    }

    /// Watches an Application until `is_last` holds, and returns every state seen on the way: one per write, unless
    /// writes follow faster than they are told.
    ///
    /// # Panics
    /// As [`Scene::wait_object`].
    pub fn watch_app(&self, name: &str, is_last: impl Fn(&Value) -> bool) -> Vec<Value> {
        let mut states: Vec<Value> = Vec::new();
        self.wait_app_states(name, |app| {
            let version = |app: &Value| app["metadata"]["resourceVersion"].clone();
            if states.last().map(version) != Some(version(app)) {
                states.push(app.clone());
            }
            is_last(app)
        });
        states
    }

    fn wait_app_states(&self, name: &str, mut see: impl FnMut(&Value) -> bool) {
        let see = |app: Option<&Value>| app.is_some_and(&mut see);
        self.wait_object(APPLICATION.0, APPLICATION.1, &self.control, name, see);
    }
}

impl Drop for Scene {
    #[expect(clippy::print_stderr, reason = "this is what a failing test shows")]
    fn drop(&mut self) {
        if std::thread::panicking() {
            for agent in self.agents.borrow().iter() {
                eprintln!("---- log of an agent in {}\n{}", self.control, agent.log.text());
            }
            return;
        }
        self.sweep();
    }
}

fn without_fields(mut object: Value) -> String {
    if let Some(metadata) = object["metadata"].as_object_mut() {
        metadata.remove("managedFields");
    }
    serde_json::to_string_pretty(&object).expect("a value can be printed")
}
