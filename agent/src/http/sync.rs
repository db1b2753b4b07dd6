//! How is a sync asked for?

use super::{not_the_writer, refusal, send};
use crate::agent::Agent;
use crate::applications::patch_application;
use crate::input::Input;
use api::{ApiError, AppRef, Body, Reply, SyncBody};
use cluster::Priority;
use model::{AppKey, names};
use serde_json::{Value, json};
use tokio::sync::oneshot;

impl Agent {
    /// Writes an `operation` into the Application, and answers with what it looks like then. `username` is who asks, empty
    /// where unknown.
    pub(super) fn sync_app(
        &mut self,
        app: &AppRef,
        body: &SyncBody,
        username: &str,
        reply: oneshot::Sender<Reply>,
    ) {
        let (key, entry) = match self.find(app) {
            Ok(found) => found,
            Err(error) => return send(reply, Err(error)),
        };
        if let Some(why) = rules_out_syncs(&entry.stored.value()) {
            return send(reply, Err(ApiError::ruled_out(why)));
        }
        let operation = body.operation(username);
        if entry.stored.has_operation {
            let raw = entry.stored.value();
            let same = asks_for_the_same(&raw["operation"], &operation);
            let other = || Err(ApiError::failed_precondition("another operation is already in progress"));
            return send(reply, if same { Ok(Body::Json(api::dto::application(&raw))) } else { other() });
        }
        let version = json!({"resourceVersion": &entry.stored.resource_version});
        self.patch_app(key, json!({"operation": operation, "metadata": version}), reply, |raw| {
            Body::Json(api::dto::application(raw))
        });
    }

    /// Changes an Application as a caller asks, takes in what it is like then, and answers.
    pub(super) fn patch_app(
        &self,
        key: AppKey,
        patch: Value,
        reply: oneshot::Sender<Reply>,
        answer: fn(&Value) -> Body,
    ) {
        if !self.may_write {
            return send(reply, Err(not_the_writer(self.writing())));
        }
        let (cluster, inputs) = (self.cluster.clone(), self.inputs.clone());
        tokio::spawn(async move {
            let by = (Priority::User, names::FIELD_MANAGER);
            let patched = match patch_application(&cluster, by, &key, &patch).await {
                Ok(patched) => patched,
                Err(error) => return send(reply, Err(refusal(error))),
            };
            let body = answer(&patched.to_value());
            // Before the answer: who asks next is answered by what this one did.
            let _unheard = inputs.send(Input::Patched(key, Box::new(patched)));
            send(reply, Ok(body));
        });
    }
}

/// Returns whether two operations ask for the same, whoever asks.
fn asks_for_the_same(one: &Value, other: &Value) -> bool {
    let what = |operation: &Value| {
        let mut operation = operation.clone();
        operation.as_object_mut().map(|fields| fields.remove("initiatedBy"));
        operation
    };
    what(one) == what(other)
}

/// Says why no sync of an Application is begun, so that an operation would stand there unanswered.
pub(crate) fn rules_out_syncs(raw: &Value) -> Option<String> {
    if application::deletion(raw).is_some() {
        Some("the application is being deleted; nothing of it is synced any more".into())
    } else if application::skips_reconcile(raw) {
        Some(format!(
            "the application is left alone as long as its annotation {} says so; remove the annotation, then sync",
            names::SKIP_RECONCILE
        ))
    } else {
        None
    }
}
