//! How is a sync asked for?

use super::{not_the_writer, refusal, send};
use crate::agent::Agent;
use crate::applications::{get_application, patch_application};
use crate::input::Input;
use api::{ApiError, AppRef, Body, Reply, SyncBody};
use cluster::{Cluster, Priority};
use model::{AppKey, CallError, ErrorClass, Object, names};
use serde_json::{Value, json};
use tokio::sync::oneshot;

/// How often a request is written before its caller is told that others write all the time.
const TRIES: usize = 3;

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
        let operation = body.operation(username);
        let answered = answer_already(&entry.stored.value(), &operation).is_some();
        let version = (!answered).then(|| entry.stored.resource_version.to_string());
        if !self.may_write {
            return send(reply, Err(not_the_writer(self.writing())));
        }
        let (cluster, inputs) = (self.cluster.clone(), self.inputs.clone());
        tokio::spawn(async move {
            let (answer, now) = ask_for(&cluster, &key, &operation, version).await;
            if let Some(now) = now {
                // Before the answer: who asks next is answered by what this one did.
                let _unheard = inputs.send(Input::Patched(key, Box::new(now)));
            }
            send(reply, answer);
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

/// Writes an `operation` into the version of an Application that is known to ask for none; without such a version it is looked
/// at first, for a watch may be behind what the caller has seen: nobody is told of an operation that has ended. Whoever wrote
/// meanwhile, the agent's own status or another caller, is looked at, and only who asks for something else stands in the way.
/// Returns the answer, and what the Application is like as far as that was heard.
async fn ask_for(
    cluster: &Cluster,
    key: &AppKey,
    operation: &Value,
    mut version: Option<String>,
) -> (Reply, Option<Object>) {
    let mut now = None;
    for _ in 0..TRIES {
        if let Some(version) = version.take() {
            let patch = json!({"operation": operation, "metadata": {"resourceVersion": version}});
            let by = (Priority::User, names::FIELD_MANAGER);
            match patch_application(cluster, by, key, &patch).await {
                Ok(patched) => {
                    return (Ok(Body::Json(api::dto::application(&patched.to_value()))), Some(patched));
                }
                Err(error) if error.class != ErrorClass::Conflict => return (Err(refusal(error)), now),
                Err(_) => {}
            }
        }
        let gone = || CallError::new(ErrorClass::NotFound, "");
        let found = get_application(cluster, Priority::User, key).await;
        let found = match found.and_then(|found| found.ok_or_else(gone)) {
            Ok(found) => found,
            Err(error) => return (Err(refusal(error)), now),
        };
        if let Some(answer) = answer_already(&found.to_value(), operation) {
            return (answer, Some(found));
        }
        version = Some(found.resource_version().to_owned());
        now = Some(found);
    }
    (Err(ApiError::conflict("the application changes all the time; ask again")), now)
}

/// Returns what whoever asks for an operation is told without one being written: that no sync is begun, or that one is asked for
/// or under way already. The same request is welcome as often as it comes, whoever sends it; `None` where it is to be written.
fn answer_already(raw: &Value, operation: &Value) -> Option<Reply> {
    if let Some(why) = rules_out_syncs(raw) {
        return Some(Err(ApiError::ruled_out(why)));
    }
    let known = raw.get("operation").filter(|known| !known.is_null())?;
    let other = || ApiError::failed_precondition("another operation is already in progress");
    let same = asks_for_the_same(known, operation);
    Some(same.then(|| Body::Json(api::dto::application(raw))).ok_or_else(other))
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
