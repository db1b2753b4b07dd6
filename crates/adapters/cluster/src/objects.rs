//! How is one object read, applied, patched, created and deleted?

use crate::call::{Call, Verb, unavailable};
use crate::endpoint::with_query;
use crate::gate::Priority;
use crate::{Cluster, Endpoint};
use http::Method;
use model::{CallError, ErrorClass, Object, ObjectKey};
use serde_json::{Value, json};

/// How to apply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApplyOptions {
    /// Field manager that the fields belong to afterwards.
    pub manager: String,
    /// Take fields from other managers.
    pub force: bool,
    /// Change nothing; the answer shows what would be.
    pub dry_run: bool,
    /// Who goes first when requests queue.
    pub priority: Priority,
}

/// What an apply did.
#[derive(Clone, Debug, PartialEq)]
pub struct Applied {
    /// The object as it is now; with the old resourceVersion if nothing changed.
    pub object: Object,
    /// Whether it was not there before (the server answered 201).
    pub created: bool,
}

/// What happens to the dependents of a deleted object (Kubernetes garbage collection documentation).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Propagation {
    /// They go first.
    Foreground,
    /// They go afterwards.
    Background,
    /// They stay.
    Orphan,
}

/// How to delete, and which state of the object: another one is left alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeleteOptions {
    /// The uid that the object must have; empty for any.
    pub uid: String,
    /// The resourceVersion that the object must have; empty for any.
    pub resource_version: String,
    /// What happens to dependents.
    pub propagation: Propagation,
    /// Who goes first when requests queue.
    pub priority: Priority,
}

/// What a deletion did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deleted {
    /// Whether the object is gone already, rather than waiting for finalizers, dependents or a grace period.
    pub gone: bool,
}

impl Cluster {
    /// Reads an object that nothing waits for; `None` if it is not there.
    pub async fn get(
        &self,
        endpoint: &Endpoint,
        namespace: &str,
        name: &str,
    ) -> Result<Option<Value>, CallError> {
        self.get_at(Priority::Background, endpoint, namespace, name).await
    }

    /// The same in the turn of what waits for it.
    pub async fn get_at(
        &self,
        priority: Priority,
        endpoint: &Endpoint,
        namespace: &str,
        name: &str,
    ) -> Result<Option<Value>, CallError> {
        let call = Call::new(Verb::Get, endpoint, Method::GET, endpoint.object(namespace, name)?)
            .with_priority(Some(priority));
        match self.call(call).await {
            Ok(answer) => answer.json().map(Some),
            Err(error) if error.class == ErrorClass::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Applies an object on the server's side (Kubernetes documentation, "Server-Side Apply").
    pub async fn apply(
        &self,
        endpoint: &Endpoint,
        object: &Object,
        options: &ApplyOptions,
    ) -> Result<Applied, CallError> {
        let path = endpoint.object(object.namespace(), object.name())?;
        let mut query = vec![("fieldManager", options.manager.as_str())];
        if options.force {
            query.push(("force", "true"));
        }
        if options.dry_run {
            query.push(("dryRun", "All"));
        }
        let verb = if options.dry_run { Verb::DryRun } else { Verb::Apply };
        let mut call = Call::new(verb, endpoint, Method::PATCH, with_query(&path, &query))
            .with_priority(Some(options.priority));
        call.content_type = "application/apply-patch+yaml";
        // JSON is YAML, and nobody has to print YAML.
        call.body = serde_json::to_vec(object.fields())
            .map_err(|_| CallError::new(ErrorClass::Invalid, "the object cannot be written as JSON"))?;
        let answer = self.call(call).await?;
        Ok(Applied { created: answer.status == 201, object: as_object(answer.json()?)? })
    }

    /// Changes an object by a JSON merge patch. A `metadata.resourceVersion` in the patch guards it: where the object
    /// has another one the answer is a conflict.
    pub async fn merge_patch(
        &self,
        endpoint: &Endpoint,
        namespace: &str,
        name: &str,
        patch: &Value,
        manager: &str,
    ) -> Result<Object, CallError> {
        self.merge_patch_at(Priority::Apply, endpoint, (namespace, name), patch, manager).await
    }

    /// The same in the turn of what waits for it: what is told of the cluster waits until nothing that changes it does.
    pub async fn merge_patch_at(
        &self,
        priority: Priority,
        endpoint: &Endpoint,
        (namespace, name): (&str, &str),
        patch: &Value,
        manager: &str,
    ) -> Result<Object, CallError> {
        let url = with_query(&endpoint.object(namespace, name)?, &[("fieldManager", manager)]);
        let call = Call::new(Verb::Patch, endpoint, Method::PATCH, url)
            .with_body("application/merge-patch+json", patch)
            .with_priority(Some(priority));
        as_object(self.call(call).await?.json()?)
    }

    /// Changes an object by a JSON patch, a list of operations (RFC 6902).
    pub async fn json_patch(
        &self,
        priority: Priority,
        endpoint: &Endpoint,
        (namespace, name): (&str, &str),
        operations: &Value,
        manager: &str,
    ) -> Result<Object, CallError> {
        let url = with_query(&endpoint.object(namespace, name)?, &[("fieldManager", manager)]);
        let call = Call::new(Verb::Patch, endpoint, Method::PATCH, url)
            .with_body("application/json-patch+json", operations)
            .with_priority(Some(priority));
        as_object(self.call(call).await?.json()?)
    }

    /// Creates an object; one that exists already is a conflict.
    pub async fn create(
        &self,
        endpoint: &Endpoint,
        object: &Object,
        manager: &str,
    ) -> Result<Object, CallError> {
        self.create_at(Priority::Apply, endpoint, object, manager).await
    }

    /// The same in the turn of what waits for it.
    pub async fn create_at(
        &self,
        priority: Priority,
        endpoint: &Endpoint,
        object: &Object,
        manager: &str,
    ) -> Result<Object, CallError> {
        // Asked for the errors: without a namespace the request would go elsewhere.
        endpoint.object(object.namespace(), object.name())?;
        let url = with_query(&endpoint.collection(Some(object.namespace())), &[("fieldManager", manager)]);
        let mut call = Call::new(Verb::Create, endpoint, Method::POST, url).with_priority(Some(priority));
        call.content_type = "application/json";
        call.body = serde_json::to_vec(object.fields())
            .map_err(|_| CallError::new(ErrorClass::Invalid, "the object cannot be written as JSON"))?;
        as_object(self.call(call).await?.json()?)
    }

    /// Deletes exactly the object that `options` describe. One that is not there counts as gone; one that has changed
    /// since is a conflict.
    pub async fn delete(
        &self,
        endpoint: &Endpoint,
        key: &ObjectKey,
        options: &DeleteOptions,
    ) -> Result<Deleted, CallError> {
        let call =
            Call::new(Verb::Delete, endpoint, Method::DELETE, endpoint.object(&key.namespace, &key.name)?)
                .with_body("application/json", &delete_body(options))
                .with_priority(Some(options.priority));
        match self.call(call).await {
            Ok(answer) => answer.json().map(|body| Deleted { gone: is_gone(&body) }),
            Err(error) if error.status == Some(404) => Ok(Deleted { gone: true }),
            Err(error) => Err(error),
        }
    }
}

fn delete_body(options: &DeleteOptions) -> Value {
    let propagation = match options.propagation {
        Propagation::Foreground => "Foreground",
        Propagation::Background => "Background",
        Propagation::Orphan => "Orphan",
    };
    let mut preconditions = serde_json::Map::new();
    for (field, value) in [("uid", &options.uid), ("resourceVersion", &options.resource_version)] {
        if !value.is_empty() {
            preconditions.insert(field.into(), value.as_str().into());
        }
    }
    json!({
        "apiVersion": "v1", "kind": "DeleteOptions",
        "propagationPolicy": propagation, "preconditions": preconditions,
    })
}

/// A deletion that is done answers with a Status, or for some kinds with the last object; one that has only begun with
/// the object and its `deletionTimestamp`.
fn is_gone(body: &Value) -> bool {
    body["kind"] == "Status" || body["metadata"]["deletionTimestamp"].is_null()
}

fn as_object(value: Value) -> Result<Object, CallError> {
    Object::from_value(value)
        .map_err(|why| unavailable(format!("the API server's answer is no object: {why}")))
}

#[cfg(test)]
#[path = "objects_tests.rs"]
mod tests;
