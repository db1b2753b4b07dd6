//! What if the API server takes long over an object? A webhook that does not answer.

use std::net::{TcpListener, TcpStream};

use serde_json::json;

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
        let probe = ["create", "configmap", "probe", "--dry-run=server", "--request-timeout=1s"];
        while scene.lab.kubectl(&[&["-n", scene.namespace.as_str()], &probe[..]].concat()).is_ok() {}
        let mut held = Self { scene, name, listener, asked: Vec::new() };
        held.wait(1);
        held
    }

    /// Waits until the API server asks about so many more objects.
    ///
    /// # Panics
    /// When it cannot ask.
    pub fn wait(&mut self, n_objects: usize) {
        for _ in 0..n_objects {
            let (question, _) = self.listener.accept().expect("it listens");
            self.asked.push(question);
        }
    }
}

impl Drop for HeldUp<'_> {
    fn drop(&mut self) {
        self.scene.delete(API_VERSION, KIND, "", &self.name);
    }
}
