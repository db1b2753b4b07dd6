//! What does the cluster hold of an Application? Its text, and the few words of it that are asked for all the time.
//!
//! A tree of JSON takes about ten times the length of its text, and there is one per Application: the tree is made where
//! something is read or written, which is seldom, and dropped.

use api::Listed;
use model::AppKey;
use serde_json::Value;
use std::sync::Arc;

/// An Application as last read or written, without managed fields.
#[derive(Clone, Debug)]
pub(crate) struct Stored {
    /// What lists and streams show.
    pub listed: Arc<Listed>,
    /// `metadata.resourceVersion`.
    pub resource_version: Box<str>,
    /// `metadata.uid`.
    pub uid: Box<str>,
    /// `spec.project`; `default` where it names none.
    pub project: Box<str>,
    /// `spec.source.repoURL`, without a password.
    pub repo_url: Box<str>,
    /// `spec.destination.server`.
    pub server: Box<str>,
    /// `spec.destination.namespace`.
    pub namespace: Box<str>,
    /// `status.sync.status`; empty before the first status.
    pub sync: Box<str>,
    /// `status.health.status`; empty before the first status.
    pub health: Box<str>,
    /// The types of `status.conditions`.
    pub conditions: Box<[Box<str>]>,
    /// Whether an `operation` is asked for.
    pub has_operation: bool,
}

impl Stored {
    /// Keeps an Application.
    pub(crate) fn new(raw: &Value) -> Self {
        let word = |pointer: &str| raw.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
        let project = word("/spec/project");
        let conditions = raw.pointer("/status/conditions").and_then(Value::as_array);
        let kind = |condition: &Value| condition["type"].as_str().unwrap_or_default().into();
        Self {
            listed: Arc::new(Listed::new(raw)),
            resource_version: word("/metadata/resourceVersion").into(),
            uid: word("/metadata/uid").into(),
            project: if project.is_empty() { "default" } else { project }.into(),
            repo_url: api::dto::without_password(word("/spec/source/repoURL")).into(),
            server: word("/spec/destination/server").into(),
            namespace: word("/spec/destination/namespace").into(),
            sync: word("/status/sync/status").into(),
            health: word("/status/health/status").into(),
            conditions: conditions.into_iter().flatten().map(kind).collect(),
            has_operation: raw.get("operation").is_some_and(|operation| !operation.is_null()),
        }
    }

    /// Returns the Application as JSON.
    pub(crate) fn value(&self) -> Value {
        self.listed.value()
    }

    /// Returns whether another version of the Application is newer.
    pub(crate) fn is_older_than(&self, resource_version: &str) -> bool {
        crate::live::is_newer(resource_version, &self.resource_version)
    }
}

/// What every metric of an app is labelled with.
pub(crate) struct Labels<'a> {
    pub key: &'a AppKey,
    pub project: &'a str,
    pub server: &'a str,
}

impl Stored {
    /// Returns the labels of the app's metrics.
    pub(crate) fn labels<'a>(&'a self, key: &'a AppKey) -> Labels<'a> {
        Labels { key, project: &self.project, server: &self.server }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_application_survives_its_text() {
        let raw = json!({
            "metadata": {"name": "shop", "resourceVersion": "7", "uid": "u"},
            "spec": {"source": {"repoURL": "https://bot:pass@git.example/shop"}, "factor": 1.1},
            "status": {"sync": {"status": "Synced"}, "conditions": [{"type": "SyncError", "message": "\u{1b}"}]},
            "operation": {},
        });
        let stored = Stored::new(&raw);
        assert_eq!(stored.value(), raw);
        assert_eq!((&*stored.project, &*stored.repo_url), ("default", "https://bot:***@git.example/shop"));
        assert_eq!((&*stored.sync, &*stored.health), ("Synced", ""));
        assert_eq!(*stored.conditions, [Box::from("SyncError")]);
        assert!(stored.has_operation);
        assert!(stored.is_older_than("10") && !stored.is_older_than("7"));
    }
}
