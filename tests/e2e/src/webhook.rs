//! Who says no to what is written, or changes it on the way in? An admission webhook on 127.0.0.1.

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use lab::Lab;
use serde_json::{Value, json};

use crate::kube::DEADLINE;
use crate::scene::Scene;
use crate::server::{self, Gate};

/// Which webhooks the API server asks.
const VALIDATING: &str = "ValidatingWebhookConfiguration";
const MUTATING: &str = "MutatingWebhookConfiguration";

/// A webhook, served with the certificate of the lab's API server until the test ends.
pub struct Webhook {
    address: SocketAddr,
    authority: String,
    gate: Gate,
    n_asked: Arc<AtomicUsize>,
    configuration: &'static str,
}

impl Webhook {
    /// Starts one that denies whatever it is asked about, and says why.
    ///
    /// # Panics
    /// When it cannot be started.
    pub fn denying(lab: &Lab, why: &str) -> Self {
        let why = why.to_owned();
        Self::start(lab, VALIDATING, move |_| json!({"allowed": false, "status": {"message": why}}))
    }

    /// Starts one that permits whatever it is asked about.
    ///
    /// # Panics
    /// When it cannot be started.
    pub fn permitting(lab: &Lab) -> Self {
        Self::start(lab, VALIDATING, |_| json!({"allowed": true}))
    }

    /// Starts one that has to do with deletions only: it denies them if there is a reason, with the code of a conflict,
    /// and holds nothing else.
    ///
    /// # Panics
    /// When it cannot be started.
    pub fn of_deletions(lab: &Lab, why: Option<&'static str>) -> Self {
        let respond = move |request: &Value| match why.filter(|_| request["object"].is_null()) {
            Some(why) => json!({"allowed": false, "status": {"message": why, "code": 409}}),
            None => json!({"allowed": true}),
        };
        Self::start_holding(lab, VALIDATING, Value::is_null, respond)
    }

    /// Starts one that answers each object with the JSON patch that it makes of it.
    ///
    /// # Panics
    /// When it cannot be started.
    pub fn mutating(lab: &Lab, patch: impl Fn(&Value) -> Value + Send + Sync + 'static) -> Self {
        Self::mutating_by_request(lab, move |request| patch(&request["object"]))
    }

    /// Starts one that answers each request with a JSON patch of its object; `dryRun` says whether it is only tried.
    ///
    /// # Panics
    /// When it cannot be started.
    pub fn mutating_by_request(lab: &Lab, patch: impl Fn(&Value) -> Value + Send + Sync + 'static) -> Self {
        Self::start(lab, MUTATING, move |request| {
            let patch = BASE64_STANDARD.encode(patch(request).to_string());
            json!({"allowed": true, "patchType": "JSONPatch", "patch": patch})
        })
    }

    fn start(
        lab: &Lab,
        configuration: &'static str,
        respond: impl Fn(&Value) -> Value + Send + Sync + 'static,
    ) -> Self {
        Self::start_holding(lab, configuration, |_| true, respond)
    }

    /// Starts one that can hold only some objects; what is deleted has none.
    fn start_holding(
        lab: &Lab,
        configuration: &'static str,
        may_hold: fn(&Value) -> bool,
        respond: impl Fn(&Value) -> Value + Send + Sync + 'static,
    ) -> Self {
        let tls = server::tls(&lab.folder().join("server.crt"), &lab.folder().join("server.key"));
        let gate = Gate::default();
        let n_asked = Arc::new(AtomicUsize::new(0));
        let (shared, counter) = (gate.clone(), Arc::clone(&n_asked));
        let address = server::serve(Some(tls), move |request| {
            counter.fetch_add(1, Ordering::Relaxed);
            let review: Value = serde_json::from_slice(&request.body)?;
            let asked = &review["request"];
            if may_hold(&asked["object"]) {
                shared.pass();
            }
            let mut response = respond(asked);
            response["uid"] = asked["uid"].clone();
            let answer =
                json!({"apiVersion": review["apiVersion"], "kind": "AdmissionReview", "response": response});
            Ok(server::with_body("200 OK", "application/json", answer.to_string().as_bytes()))
        });
        let authority = fs::read(lab.ca_file()).expect("the lab has written it");
        Self { address, authority: BASE64_STANDARD.encode(authority), gate, n_asked, configuration }
    }

    /// Has it asked about objects of a kind of the core group that carry the label `LABEL: "yes"`, and returns once it is:
    /// the API server takes a moment.
    ///
    /// # Panics
    /// When it is not asked before [`DEADLINE`].
    pub fn install(&self, scene: &Scene, label: &str, kind: &str) {
        let client_config = json!({"url": format!("https://{}/", self.address), "caBundle": self.authority});
        Self::configure(scene, self.configuration, label, kind, &client_config);
        let is_asked = || self.n_asked.load(Ordering::Relaxed) > 0;
        Self::probe_until(scene, label, kind, |_| is_asked());
    }

    /// Has one asked that is not there: whatever carries the label is refused.
    ///
    /// # Panics
    /// As [`Webhook::install`].
    pub fn install_missing(scene: &Scene, label: &str, kind: &str) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let nobody = listener.local_addr().expect("it listens");
        drop(listener);
        Self::configure(scene, VALIDATING, label, kind, &json!({"url": format!("https://{nobody}/")}));
        Self::probe_until(scene, label, kind, |is_permitted| !is_permitted);
    }

    /// Has a mutating one asked no more.
    pub fn uninstall_mutating(scene: &Scene, label: &str) {
        scene.delete("admissionregistration.k8s.io/v1", MUTATING, "", label);
    }

    /// Has a validating one asked no more.
    pub fn uninstall(scene: &Scene, label: &str) {
        scene.delete("admissionregistration.k8s.io/v1", VALIDATING, "", label);
    }

    fn configure(scene: &Scene, configuration: &str, label: &str, kind: &str, client_config: &Value) {
        let resource = format!("{}s", kind.to_lowercase());
        let object = json!({
            "apiVersion": "admissionregistration.k8s.io/v1", "kind": configuration,
            "metadata": {"name": label},
            "webhooks": [{
                "name": "cats.example.com", "clientConfig": client_config, "failurePolicy": "Fail",
                "sideEffects": "None", "admissionReviewVersions": ["v1"], "timeoutSeconds": 20,
                "objectSelector": {"matchLabels": {label: "yes"}},
                "rules": [{"apiGroups": [""], "apiVersions": ["v1"], "resources": [resource], "operations": ["*"]}],
            }],
        });
        scene.create(&object).expect("the configuration is valid");
    }

    fn probe_until(scene: &Scene, label: &str, kind: &str, is_done: impl Fn(bool) -> bool) {
        let probe = json!({"apiVersion": "v1", "kind": kind, "metadata": {"name": "probe", "labels": {label: "yes"}}});
        let create = ["-n", &scene.namespace, "create", "--dry-run=server", "-f", "-"];
        let end = Instant::now() + DEADLINE;
        while !is_done(scene.lab.kubectl_with_input(&create, &probe.to_string()).is_ok()) {
            assert!(Instant::now() < end, "the webhook is not asked");
        }
    }

    /// Has it answer nothing, until it is let go.
    pub fn hold(&self) {
        self.gate.close();
    }

    /// Waits until it is asked about so many objects and holds the answers.
    pub fn wait_held(&self, n_objects: usize) {
        self.gate.wait_for(n_objects);
    }

    /// Answers what is held, and what comes.
    pub fn let_go(&self) {
        self.gate.open();
    }
}
