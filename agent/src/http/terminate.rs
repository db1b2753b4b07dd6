//! How is a sync ended?

use super::{not_the_writer, send};
use crate::agent::Agent;
use crate::apps::AppEntry;
use crate::clock::now;
use api::{ApiError, AppRef, Body, Reply};
use model::OperationPhase;
use serde_json::{Value, json};
use tokio::sync::oneshot;

impl Agent {
    /// Asks for the end of the sync under way, as `argocd app terminate-op` does, or takes back what was not begun.
    pub(super) fn terminate(&self, app: &AppRef, reply: oneshot::Sender<Reply>) {
        let (key, entry) = match self.find(app) {
            Ok(found) => found,
            Err(error) => return send(reply, Err(error)),
        };
        // What another replica has under way is told late here.
        if !self.may_write {
            return send(reply, Err(not_the_writer(self.writing())));
        }
        if let Some(patch) = end_of_operation(entry) {
            return self.patch_app(key, patch, reply, |_| Body::Json(json!({})));
        }
        let message = "Unable to terminate operation. No operation is in progress";
        send(reply, Err(ApiError::failed_precondition(message)));
    }
}

/// Returns the patch that ends what is under way or asked for; `None` where nothing is.
fn end_of_operation(entry: &AppEntry) -> Option<Value> {
    let raw = entry.stored.value();
    let told = raw.pointer("/status/operationState");
    // What is being written counts before what was read: the end of a sync is stored a moment before it is heard of here.
    let phase = entry.writer.phase().or_else(|| OperationPhase::parse(told?.get("phase")?.as_str()?));
    if entry.state.run().is_some() || phase.is_some_and(|phase| !phase.is_completed()) {
        let mut state = json!({"phase": OperationPhase::Terminating.as_str()});
        if told.is_none() {
            // The first sync is not told before it takes two seconds, and a state without these is none.
            state["operation"] = raw.get("operation").cloned().unwrap_or_else(|| json!({}));
            state["startedAt"] = json!(now().to_string());
        }
        return Some(json!({"status": {"operationState": state}}));
    }
    let operation = entry.app.as_ref().and_then(|app| app.operation.as_ref());
    let is_open = entry.stored.has_operation && entry.state.handled.as_ref() != operation;
    // It may begin meanwhile; then the version is another one.
    let version = json!({"resourceVersion": &entry.stored.resource_version});
    is_open.then(|| json!({"operation": null, "metadata": version}))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fit::tests::report;
    use crate::harness::application;
    use crate::stored::Stored;
    use application::Project;
    use engine::State;
    use model::AppKey;
    use std::sync::Arc;

    fn told(phase: OperationPhase) -> AppEntry {
        let mut raw = application();
        raw["status"] = json!({"operationState": {"phase": phase.as_str(), "operation": {}}});
        let project = Arc::new(Project::built_in_default());
        let key = AppKey::new("argocd", "shop");
        AppEntry::new(&key, Stored::new(&raw), "argocd", State::new(None, true), project)
    }

    #[test]
    fn what_is_told_to_run_is_ended_and_what_has_ended_is_not() {
        assert!(end_of_operation(&told(OperationPhase::Running)).is_some());
        assert_eq!(end_of_operation(&told(OperationPhase::Failed)), None);
    }

    #[test]
    fn an_end_that_is_being_written_is_no_sync_to_end() {
        for is_under_way in [true, false] {
            let mut entry = told(OperationPhase::Terminating);
            let mut ended = Box::new(report(1));
            ended.operation.as_mut().unwrap().phase = OperationPhase::Failed;
            let place = if is_under_way { &mut entry.writer.current } else { &mut entry.writer.next };
            *place = Some(ended);
            assert_eq!(end_of_operation(&entry), None);
        }
    }
}
