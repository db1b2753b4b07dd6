//! What came of a revision? Answered when it is known, which may take as long as the caller likes to wait.

use super::{not_the_writer, send};
use crate::agent::Agent;
use crate::input::Input;
use crate::waits::WaitNews;
use api::{ApiError, AppRef, Awaited, Reply};
use std::time::Duration;
use tokio::sync::oneshot;

impl Agent {
    /// Waits for a verdict, at most for `timeout`. Waiting ends with the caller.
    pub(super) fn wait(
        &mut self,
        app: &AppRef,
        awaited: Awaited,
        timeout: Duration,
        mut reply: oneshot::Sender<Reply>,
    ) {
        let (key, entry) = match self.find(app) {
            Ok(found) => found,
            Err(error) => return send(reply, Err(error)),
        };
        if !self.may_write {
            return send(reply, Err(not_the_writer(self.writing())));
        }
        // Who asked for a sync and waits waits for that one.
        let operation = entry.app.as_ref().and_then(|app| app.operation.as_ref());
        let is_open = operation.is_some_and(|operation| entry.state.handled.as_ref() != Some(operation));
        let awaited = if awaited == Awaited::Followed && is_open { Awaited::Sync } else { awaited };
        let (answer, mut answered) = oneshot::channel();
        let id = self.begin_wait(&key, awaited, answer);
        let inputs = self.inputs.clone();
        tokio::spawn(async move {
            let over = || {
                // A loop that has ended has dropped the wait.
                let _unheard = inputs.send(Input::Waiting(WaitNews::Over(key.clone(), id)));
            };
            let answer = tokio::select! {
                answer = &mut answered => answer,
                () = reply.closed() => {
                    drop(answered);
                    return over();
                }
                () = tokio::time::sleep(timeout) => {
                    over();
                    answered.await
                }
            };
            let stopping = || Err(ApiError::unavailable("the agent is stopping; ask again in a moment"));
            send(reply, answer.unwrap_or_else(|_| stopping()));
        });
    }
}
