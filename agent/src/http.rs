//! What do callers of the API get? One file per noun below `http/`.

mod delivery;
mod drift;
mod get;
mod list;
mod managed;
mod releases;
mod rollback;
mod stream;
mod sync;
mod terminate;
mod wait;

pub(crate) use sync::rules_out_syncs;

use crate::agent::Agent;
use crate::apps::AppEntry;
use crate::writing::Writing;
use api::{ApiError, AppRef, Reply, Request};
use model::{AppKey, CallError, ErrorClass};
use tokio::sync::oneshot;

/// How many objects one report reads at a time: the API server is for syncs first.
const READS_AT_ONCE: usize = 4;

impl Agent {
    /// Answers a request, at once or when the API server has answered. One that waited here until its caller had gone is
    /// dropped, whatever it asks for: nothing of it is begun.
    pub(crate) fn answer(&mut self, request: Request) {
        if request.is_given_up() {
            return;
        }
        match request {
            Request::List { query, reply } => self.list(query, reply),
            Request::Get { app, refresh, reply } => self.get_app(&app, refresh.as_deref(), reply),
            Request::Sync { app, body, username, reply } => self.sync_app(&app, &body, &username, reply),
            Request::Stream { query, since, reply } => self.stream(query, since, reply),
            Request::Managed { app, filter, reply } => self.managed(&app, &filter, reply),
            Request::Terminate { app, reply } => self.terminate(&app, reply),
            Request::Wait { app, awaited, timeout, reply } => self.wait(&app, awaited, timeout, reply),
            Request::Drift { app, format, reply } => self.drift(&app, format, reply),
            Request::Delivery { query, reply } => self.delivery(&query, reply),
            Request::OfReleases { app, what, username, reply } => {
                self.of_releases(&app, what, username, reply);
            }
            Request::Releases { app, reply } => self.releases(&app, reply),
            Request::Release { app, number, reply } => self.release(&app, number, reply),
        }
    }

    /// Returns the Application that a caller means.
    fn find(&self, app: &AppRef) -> Result<(AppKey, &AppEntry), ApiError> {
        let namespace = app.namespace.clone().unwrap_or_else(|| self.config.namespace.clone());
        let key = AppKey::new(namespace, app.name.clone());
        let Some(entry) = self.apps.get(&key) else {
            return Err(ApiError::not_found(format!(
                "there is no application `{}` in namespace `{}`; `GET /api/v1/applications` lists those that are",
                key.name, key.namespace
            )));
        };
        app.check_project(&entry.stored.project)?;
        Ok((key, entry))
    }
}

/// What is answered where a change is asked of a replica that writes nothing.
pub(crate) fn not_the_writer(why: Writing) -> ApiError {
    let why = why.as_str();
    ApiError::unavailable(format!(
        "this replica does not write now ({why}); ask the one that does, or again in a moment"
    ))
}

/// Returns what a caller is told whose request the API server refused.
pub(crate) fn refusal(error: CallError) -> ApiError {
    match error.class {
        ErrorClass::Conflict => ApiError::conflict("the application changed meanwhile; ask again"),
        ErrorClass::NotFound => ApiError::not_found("the application is gone"),
        ErrorClass::Withheld => not_the_writer(Writing::LeaseNotHeld),
        ErrorClass::Forbidden
        | ErrorClass::Invalid
        | ErrorClass::Denied
        | ErrorClass::NoSuchKind
        | ErrorClass::Gone
        | ErrorClass::Throttled
        | ErrorClass::Unavailable => ApiError::unavailable(error.message),
    }
}

/// Sends an answer.
pub(crate) fn send(reply: oneshot::Sender<Reply>, answer: Reply) {
    // A caller that went away wants no answer.
    let _unheard = reply.send(answer);
}

#[cfg(test)]
mod tests {
    use crate::harness::{Harness, shop};
    use api::{AppRef, Awaited, ListQuery, Reply, Request, SyncBody};
    use std::time::Duration;
    use tokio::runtime::Handle;
    use tokio::sync::oneshot::{self, Receiver};

    /// Whatever leaves work behind: a request, and where its answer is waited for.
    fn requests() -> Vec<(Request, Receiver<Reply>)> {
        let app = || AppRef { name: shop().name, namespace: None, project: None };
        let makes: Vec<Box<dyn FnOnce(oneshot::Sender<Reply>) -> Request>> = vec![
            Box::new(|reply| Request::List { query: ListQuery::default(), reply }),
            Box::new(move |reply| Request::Get { app: app(), refresh: Some("normal".into()), reply }),
            Box::new(move |reply| {
                let (body, username) = (SyncBody::default(), String::new());
                Request::Sync { app: app(), body, username, reply }
            }),
            Box::new(move |reply| {
                let (awaited, timeout) = (Awaited::Followed, Duration::from_mins(1));
                Request::Wait { app: app(), awaited, timeout, reply }
            }),
        ];
        let pair = |make: Box<dyn FnOnce(_) -> _>| {
            let (reply, answer) = oneshot::channel();
            (make(reply), answer)
        };
        makes.into_iter().map(pair).collect()
    }

    #[tokio::test]
    async fn what_nobody_waits_for_any_more_is_not_begun() {
        let n_tasks = || Handle::current().metrics().num_alive_tasks();
        let mut harness = Harness::new(&[]).await;
        for (request, answer) in requests() {
            let (before, what) = (n_tasks(), format!("{request:?}"));
            drop(answer);
            harness.agent.answer(request);
            assert_eq!(n_tasks(), before, "{what}");
        }
        for (request, _answer) in requests() {
            let (before, what) = (n_tasks(), format!("{request:?}"));
            harness.agent.answer(request);
            assert!(n_tasks() > before, "{what}");
        }
    }
}
