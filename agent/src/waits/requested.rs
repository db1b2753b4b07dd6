//! What came of a sync that somebody asked for, whatever it is about?

use super::{Waiter, verdict_json};
use crate::agent::Agent;
use crate::http;
use crate::recall;
use api::{ApiError, Body};
use engine::State;
use engine::waiting::{self, Outcome, Verdict};
use model::{App, AppKey, OperationPhase, Timestamp};
use serde_json::Value;

/// What is answered who waits for a sync that is not known.
const NO_REQUEST: &str = "nobody has asked for a sync of this application that is remembered; ask for one, or wait for a `revision`";

/// A sync that somebody asked for and that is over.
pub(super) struct Request {
    /// When it ended.
    finished_at: Timestamp,
    status: u16,
    body: Value,
}

impl Agent {
    /// Remembers how a sync ended that somebody asked for.
    pub(super) fn note_request(&mut self, key: &AppKey) {
        let Some(entry) = self.apps.get(key) else { return };
        let (Some(last), Some(app)) = (&entry.state.last, &entry.app) else { return };
        let known = self.waits.requests.get(key);
        if last.operation.is_none() || known.is_some_and(|known| known.finished_at == last.finished_at) {
            return;
        }
        // Whatever is asked for meanwhile is another one.
        let app = App { operation: None, ..App::clone(app) };
        let outcome = outcome_of_request((&entry.state, &app), || entry.stored.value());
        let Some(Outcome::Decided(verdict)) = outcome else { return };
        if let Body::Verdict(status, body) = request_body(key, &entry.state, &verdict) {
            let request = Request { finished_at: last.finished_at, status, body };
            self.waits.requests.insert(key.clone(), request);
        }
    }
}

/// Decides the sync that was asked for last. Of one that an earlier life of the agent ended, the engine keeps what matters for
/// what comes next; the status, which is `raw`, tells how it ended.
pub(super) fn outcome_of_request((state, app): (&State, &App), raw: impl Fn() -> Value) -> Option<Outcome> {
    if app.operation.is_some() && app.operation == state.handled {
        // Until then no other one can be asked for.
        return Some(Outcome::Waits("the end of the sync to be written into the Application".into()));
    }
    let known = waiting::of_request(state, app)?;
    let is_old = state.last.as_ref().is_some_and(|last| last.is_old);
    if !is_old || state.run().is_some() || app.operation.is_some() {
        return Some(known);
    }
    let (told, app) = recall::state(&raw());
    Some(waiting::of_request(&told, &app).unwrap_or(known))
}

/// Answers who waits for the sync that was asked for last, or returns who goes on waiting.
pub(super) fn judge_request(
    mut waiter: Waiter,
    (key, state): (&AppKey, &State),
    outcome: Option<Outcome>,
    ended: Option<&Request>,
) -> Option<Waiter> {
    let answer = match (outcome, ended) {
        (Some(Outcome::Waits(what)), _) => {
            waiter.waits_for = what;
            return Some(waiter);
        }
        (Some(Outcome::Decided(verdict)), _) => Ok(request_body(key, state, &verdict)),
        // A sync of the agent's own has followed.
        (None, Some(ended)) => Ok(Body::Verdict(ended.status, ended.body.clone())),
        (None, None) => Err(ApiError::failed_precondition(NO_REQUEST)),
    };
    http::send(waiter.answer, answer);
    None
}

/// Writes the verdict on a sync that was asked for, with what it did to each object.
fn request_body(key: &AppKey, state: &State, verdict: &Verdict) -> Body {
    let (status, mut body) = verdict_json(key, verdict);
    let run = state.run().filter(|run| run.operation().is_some());
    let run = run.map(|run| (&run.results, OperationPhase::Running));
    let results = run.or_else(|| state.last.as_ref().map(|last| (&last.results, last.phase)));
    if let Some((results, phase)) = results.filter(|(results, _)| !results.is_empty()) {
        body["resources"] = results.iter().map(|result| application::status::result(result, phase)).collect();
    }
    Body::Verdict(status, body)
}
