//! How is a sync asked for?

use super::{not_the_writer, refusal, send};
use crate::agent::Agent;
use api::{ApiError, AppRef, Body, Reply, SyncBody};
use cluster::Priority;
use model::{AppKey, names};
use serde_json::{Value, json};
use tokio::sync::oneshot;

impl Agent {
    /// Writes an `operation` into the Application, and answers with what it looks like then.
    pub(super) fn sync_app(&mut self, app: &AppRef, body: &SyncBody, reply: oneshot::Sender<Reply>) {
        let (key, entry) = match self.find(app) {
            Ok(found) => found,
            Err(error) => return send(reply, Err(error)),
        };
        if let Some(why) = rules_out_syncs(&entry.stored.value()) {
            return send(reply, Err(ApiError::ruled_out(why)));
        }
        if entry.stored.has_operation {
            return send(
                reply,
                Err(ApiError::failed_precondition("another operation is already in progress")),
            );
        }
        let mut patch = json!({"operation": body.operation("")});
        patch["metadata"] = json!({"resourceVersion": &entry.stored.resource_version});
        self.patch_app(key, patch, reply);
    }

    fn patch_app(&self, key: AppKey, patch: Value, reply: oneshot::Sender<Reply>) {
        if !self.may_write {
            return send(reply, Err(not_the_writer(self.writing())));
        }
        let cluster = self.cluster.clone();
        tokio::spawn(async move {
            let endpoint = crate::watching::applications();
            let place = (key.namespace.as_str(), key.name.as_str());
            let patched =
                cluster.merge_patch_at(Priority::User, &endpoint, place, &patch, names::FIELD_MANAGER).await;
            let answer = patched
                .map(|object| Body::Json(api::dto::application(&object.into_value())))
                .map_err(refusal);
            send(reply, answer);
        });
    }
}

/// Says why no sync of an Application is begun, so that an operation would stand there unanswered.
fn rules_out_syncs(raw: &Value) -> Option<String> {
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
