//! Who waits for a refresh over HTTP, and when are they answered? As in Argo CD: once the annotation is taken off, which goes
//! with the status that tells what was found.
//!
//! ```text
//! callers ─▶ next ──begin──▶ waiting ──annotation off──▶ answered
//!              ▲     patch      │
//!              └─── only then ──┘
//! ```
//!
//! One refresh of an app is under way at a time. Who asks meanwhile shares the next one, which begins after they asked, so that
//! it is new to them: however many ask, the cluster and Git see one after the other.

use crate::agent::Agent;
use crate::applications::patch_application;
use crate::input::Input;
use api::{ApiError, Body, Reply};
use cluster::Priority;
use model::{AppKey, CallError, Object, Timestamp, names};
use serde_json::{Value, json};
use std::time::{Duration, SystemTime};
use tokio::sync::oneshot;

/// How long a caller waits at most: a little less than the API lets any request wait.
const LIMIT: Duration = Duration::from_secs(25);

/// What asks for a refresh that trusts no cache.
const HARD: &str = "hard";

/// Who hears of the end of a refresh: how the Application looks then, or why there was none.
type Waiter = oneshot::Sender<Result<Value, ApiError>>;

/// Who waits for refreshes of one app.
#[derive(Default)]
pub(crate) struct Refreshes {
    stage: Stage,
    /// Whom the one under way answers.
    waiting: Vec<Waiter>,
    /// Who came since it began, and whether they want a hard one.
    next: Vec<(bool, Waiter)>,
}

/// How far the refresh is that callers wait for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Stage {
    /// There is none.
    #[default]
    Idle,
    /// The annotation is on its way.
    Asking,
    /// The annotation was put on.
    UnderWay,
}

impl Refreshes {
    /// Takes in a caller. Those that went away are forgotten.
    fn ask(&mut self, kind: &str, waiter: Waiter) {
        self.next.retain(|(_, waiter)| !waiter.is_closed());
        self.next.push((kind == HARD, waiter));
    }

    /// Begins the next refresh if there is to be one: hard where anybody wants that. Returns of which kind.
    fn begin(&mut self) -> Option<&'static str> {
        self.next.retain(|(_, waiter)| !waiter.is_closed());
        if self.stage != Stage::Idle || self.next.is_empty() {
            return None;
        }
        self.stage = Stage::Asking;
        let is_hard = self.next.iter().any(|(is_hard, _)| *is_hard);
        self.waiting = self.next.drain(..).map(|(_, waiter)| waiter).collect();
        Some(if is_hard { HARD } else { "normal" })
    }

    /// Notes that the annotation was put on.
    fn begun(&mut self) {
        self.stage = Stage::UnderWay;
    }

    /// Notes that the annotation is off, if it was put on for these callers; until then it says nothing of theirs.
    fn ended(&mut self, raw: &Value) {
        if self.stage == Stage::UnderWay {
            self.answer(&Ok(raw.clone()));
        }
    }

    /// Notes that the annotation could not be put on.
    fn refused(&mut self, error: ApiError) {
        self.answer(&Err(error));
    }

    fn answer(&mut self, answer: &Result<Value, ApiError>) {
        self.stage = Stage::Idle;
        for waiter in self.waiting.drain(..) {
            // A caller that went away wants no answer.
            let _unheard = waiter.send(answer.clone());
        }
    }
}

impl Agent {
    /// Asks for a refresh and answers when it is done, or when that takes too long. Waiting ends with the caller.
    pub(crate) fn refresh(&mut self, key: &AppKey, kind: &str, mut reply: oneshot::Sender<Reply>) {
        let Some(entry) = self.apps.get_mut(key) else { return };
        let (waiter, answer) = oneshot::channel();
        entry.refreshes.ask(kind, waiter);
        tokio::spawn(async move {
            let answer = tokio::select! {
                () = reply.closed() => return,
                answer = tokio::time::timeout(LIMIT, answer) => answer,
            };
            let answer = match answer {
                Ok(Ok(answer)) => answer.map(|raw| Body::Json(api::dto::application(&raw))),
                Ok(Err(_)) => Err(ApiError::not_found("the application is gone")),
                Err(_) => Err(ApiError::late(format!(
                    "the application was not compared anew within {LIMIT:?}, and the refresh goes on; ask for it without \
                     `refresh` to see its conditions"
                ))),
            };
            crate::http::send(reply, answer);
        });
        self.begin_refresh(key);
    }

    /// Has the annotation put on for those who wait, unless there is a refresh whose end has to come first.
    fn begin_refresh(&mut self, key: &AppKey) {
        let Some(kind) = self.apps.get_mut(key).and_then(|entry| entry.refreshes.begin()) else { return };
        let patch =
            json!({"metadata": {"annotations": {names::REFRESH: kind, names::REFRESH_TIMESTAMP: stamp()}}});
        let (cluster, inputs, key) = (self.cluster.clone(), self.inputs.clone(), key.clone());
        tokio::spawn(async move {
            let by = (Priority::User, names::FIELD_MANAGER);
            let asked = patch_application(&cluster, by, &key, &patch).await;
            // A loop that has ended drops those who wait, which is an answer, too.
            let _unheard = inputs.send(Input::RefreshAsked(key, asked.map(Box::new)));
        });
    }

    /// Takes in that a refresh is asked for, or that it could not be.
    pub(crate) fn refresh_asked(&mut self, key: &AppKey, asked: Result<Box<Object>, CallError>) {
        let asked = asked.map(|asked| self.application_seen(key, *asked));
        let Some(entry) = self.apps.get_mut(key) else { return };
        match asked {
            Ok(()) => {
                entry.refreshes.begun();
                // Its end may have been seen before.
                let raw = entry.stored.value();
                self.answer_waiters(key, &raw);
            }
            Err(error) => {
                entry.refreshes.refused(crate::http::refusal(error));
                self.begin_refresh(key);
            }
        }
    }

    /// Answers who waits for a refresh if that is done, as `raw`, the newest version of the Application, shows, and begins the
    /// next one.
    pub(crate) fn answer_waiters(&mut self, key: &AppKey, raw: &Value) {
        let Some(entry) = self.apps.get_mut(key) else { return };
        if application::refresh(raw).is_none() {
            entry.refreshes.ended(raw);
            self.begin_refresh(key);
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

#[cfg(test)]
mod tests {
    use super::*;

    type Answer = oneshot::Receiver<Result<Value, ApiError>>;

    fn ask(refreshes: &mut Refreshes, kind: &str) -> Answer {
        let (waiter, answer) = oneshot::channel();
        refreshes.ask(kind, waiter);
        answer
    }

    // N47: a thousand refreshes at once
    #[test]
    fn a_thousand_that_ask_cost_two_refreshes_and_each_is_answered_by_one_that_began_later() {
        let mut refreshes = Refreshes::default();
        let mut first = ask(&mut refreshes, "normal");
        assert_eq!(refreshes.begin(), Some("normal"));
        let mut all: Vec<Answer> = (0..1_000).map(|_| ask(&mut refreshes, "normal")).collect();
        assert_eq!(refreshes.begin(), None, "the first one is on its way");
        // What is off before it was put on says nothing.
        refreshes.ended(&json!("old"));
        first.try_recv().unwrap_err();
        refreshes.begun();
        all.push(ask(&mut refreshes, HARD));
        assert_eq!(refreshes.begin(), None, "it is under way");
        refreshes.ended(&json!("one"));
        assert_eq!(first.try_recv().unwrap(), Ok(json!("one")));
        assert!(all.iter_mut().all(|answer| answer.try_recv().is_err()));

        assert_eq!(refreshes.begin(), Some(HARD));
        refreshes.begun();
        refreshes.ended(&json!("two"));
        assert!(all.iter_mut().all(|answer| answer.try_recv().unwrap() == Ok(json!("two"))));
        assert_eq!(refreshes.begin(), None);
    }

    #[test]
    fn who_went_away_costs_nothing_and_a_refusal_is_told_to_whom_it_concerns() {
        let mut refreshes = Refreshes::default();
        drop(ask(&mut refreshes, HARD));
        assert_eq!(refreshes.begin(), None);
        let mut refused = ask(&mut refreshes, "normal");
        assert_eq!(refreshes.begin(), Some("normal"));
        let mut later = ask(&mut refreshes, "normal");
        refreshes.refused(ApiError::not_found("gone"));
        assert_eq!(refused.try_recv().unwrap(), Err(ApiError::not_found("gone")));
        later.try_recv().unwrap_err();
        assert_eq!(refreshes.begin(), Some("normal"));
    }
}
