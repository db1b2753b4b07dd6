//! What if the API server takes long over an object? A webhook that does not answer.

use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::kube::DEADLINE;
use crate::scene::Scene;

const API_VERSION: &str = "admissionregistration.k8s.io/v1";
const KIND: &str = "ValidatingWebhookConfiguration";

/// Every `ConfigMap` of a scene is held up for 8 seconds: a webhook takes the API server's questions and says nothing. Those
/// whose time is over are let through. Dropping it ends that for new ones.
pub struct HeldUp<'a> {
    scene: &'a Scene,
    name: String,
    listener: TcpListener,
    /// The questions, so that they stay open.
    asked: Vec<TcpStream>,
}

impl<'a> HeldUp<'a> {
    /// Begins; returns once the API server knows.
    ///
    /// # Panics
    /// When the webhook cannot be set up.
    pub fn new(scene: &'a Scene) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        listener.set_nonblocking(true).expect("it listens");
        let url = format!("https://{}/", listener.local_addr().expect("it listens"));
        let name = scene.unique("held-up");
        let webhook = json!({
            "name": "held-up.example.com", "admissionReviewVersions": ["v1"], "sideEffects": "None",
            "clientConfig": {"url": url}, "timeoutSeconds": 8, "failurePolicy": "Ignore",
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": scene.namespace}},
            "rules": [{
                "apiGroups": [""], "apiVersions": ["v1"], "resources": ["configmaps"],
                "operations": ["CREATE", "UPDATE"],
            }],
        });
        let object = json!({
            "apiVersion": API_VERSION, "kind": KIND, "metadata": {"name": name}, "webhooks": [webhook],
        });
        scene.create(&object).expect("a webhook can be configured");
        let end = Instant::now() + DEADLINE;
        let probe = ["create", "configmap", "probe", "--dry-run=server", "--request-timeout=1s"];
        while scene.lab.kubectl(&[&["-n", scene.namespace.as_str()], &probe[..]].concat()).is_ok() {
            assert!(Instant::now() < end, "the API server asks nobody");
        }
        let mut held = Self { scene, name, listener, asked: Vec::new() };
        held.wait(1);
        held
    }

    /// Waits until the API server asks about so many more objects.
    ///
    /// # Panics
    /// When it does not before [`DEADLINE`].
    pub fn wait(&mut self, n_objects: usize) {
        let (end, n_asked) = (Instant::now() + DEADLINE, self.asked.len() + n_objects);
        while self.asked.len() < n_asked {
            match self.listener.accept() {
                Ok((question, _)) => self.asked.push(question),
                // Whoever accepts cannot be told to give up.
                Err(_) => std::thread::sleep(Duration::from_millis(5)),
            }
            assert!(Instant::now() < end, "{} of {n_asked} questions in {DEADLINE:?}", self.asked.len());
        }
    }
}

impl Drop for HeldUp<'_> {
    fn drop(&mut self) {
        self.scene.delete(API_VERSION, KIND, "", &self.name);
    }
}
