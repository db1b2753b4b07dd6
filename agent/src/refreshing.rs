//! Who waits for a refresh over HTTP, and when are they answered? As in Argo CD: once the annotation is taken off, which goes
//! with the status that tells what was found.

use crate::agent::Agent;
use crate::applications::patch_application;
use crate::input::Input;
use api::{ApiError, Body, Reply};
use cluster::Priority;
use model::{AppKey, Object, Timestamp, names};
use serde_json::{Value, json};
use std::time::{Duration, SystemTime};
use tokio::sync::oneshot;

/// How long a caller waits at most: a little less than the API lets any request wait.
const LIMIT: Duration = Duration::from_secs(25);

impl Agent {
    /// Asks for a refresh and answers when it is done, or when that takes too long. Waiting ends with the caller.
    pub(crate) fn refresh(&self, key: AppKey, kind: &str, mut reply: oneshot::Sender<Reply>) {
        let patch =
            json!({"metadata": {"annotations": {names::REFRESH: kind, names::REFRESH_TIMESTAMP: stamp()}}});
        let (cluster, inputs) = (self.cluster.clone(), self.inputs.clone());
        tokio::spawn(async move {
            let by = (Priority::User, names::FIELD_MANAGER);
            let asked = match patch_application(&cluster, by, &key, &patch).await {
                Ok(asked) => asked,
                Err(error) => return crate::http::send(reply, Err(crate::http::refusal(error))),
            };
            let (waiter, answer) = oneshot::channel();
            // A loop that has ended drops it, which is an answer, too.
            let _unheard = inputs.send(Input::RefreshAsked(key, Box::new(asked), waiter));
            let answer = tokio::select! {
                () = reply.closed() => return,
                answer = tokio::time::timeout(LIMIT, answer) => answer,
            };
            let answer = match answer {
                Ok(Ok(raw)) => Ok(Body::Json(api::dto::application(&raw))),
                Ok(Err(_)) => Err(ApiError::not_found("the application is gone")),
                Err(_) => Err(ApiError::late(format!(
                    "the application was not compared anew within {LIMIT:?}, and the refresh goes on; ask for it without \
                     `refresh` to see its conditions"
                ))),
            };
            crate::http::send(reply, answer);
        });
    }

    /// Takes in that a refresh is asked for, and who waits for its end.
    pub(crate) fn refresh_asked(&mut self, key: &AppKey, asked: Object, waiter: oneshot::Sender<Value>) {
        self.application_seen(key, asked);
        let Some(entry) = self.apps.get_mut(key) else { return };
        entry.waiters.push(waiter);
        // Its end may have been seen before.
        let raw = entry.stored.value();
        self.answer_waiters(key, &raw);
    }

    /// Answers who waits for a refresh if that is done, as `raw`, the newest version of the Application, shows.
    pub(crate) fn answer_waiters(&mut self, key: &AppKey, raw: &Value) {
        let Some(entry) = self.apps.get_mut(key) else { return };
        entry.waiters.retain(|waiter| !waiter.is_closed());
        if application::refresh(raw).is_some() {
            return;
        }
        for waiter in entry.waiters.drain(..) {
            // A caller that went away wants no answer.
            let _unheard = waiter.send(raw.clone());
        }
    }
}

/// Returns what tells one request from the next: the time, finer than Kubernetes writes it.
fn stamp() -> String {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let millis = i64::try_from(since.as_millis()).unwrap_or(i64::MAX);
    let seconds = Timestamp::from_millis(millis).to_string();
    format!("{}.{:09}Z", seconds.trim_end_matches('Z'), since.subsec_nanos())
}
