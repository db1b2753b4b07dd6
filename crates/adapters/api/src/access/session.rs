//! On whose behalf is a request answered, and until when?

use super::memory::{Verdict, YES};
use super::{Authority, Question, Token, token};
use crate::{ApiError, Request, Verb};
use futures::StreamExt as _;
use http_body_util::BodyExt as _;
use model::User;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::Instant;
use warp::Reply as _;
use warp::http::header::HeaderMap;
use warp::hyper::body::Body as _;
use warp::reply::Response;

/// How often the right to an answer that lasts is asked for anew. With [`YES`] and [`UNHEARD`] this makes 30 s, after
/// which nobody reads what they may not read any more.
const RECHECK: Duration = Duration::from_secs(10);
/// How long such an answer goes on when the cluster does not say whether it may.
const UNHEARD: Duration = Duration::from_secs(10);
/// How soon the cluster is asked again then.
const AGAIN: Duration = Duration::from_secs(2);
const _: () = assert!(RECHECK.as_secs() + UNHEARD.as_secs() + YES.as_secs() <= 30);

/// A request's caller: everybody, or somebody who may do one thing.
#[derive(Clone)]
pub(crate) struct Session(Option<Arc<Admitted>>);

struct Admitted {
    authority: Arc<Authority>,
    token: Token,
    user: Arc<User>,
    question: Question,
}

impl Session {
    /// Returns the session of a caller who needs no right.
    pub(crate) fn of_everyone() -> Self {
        Self(None)
    }

    /// Begins a session for who shows the token of these headers, if they may do what they ask for.
    ///
    /// # Errors
    /// 401 for a token that is not plainly somebody's, 400 where the request names no Application that could be, 403.
    pub(super) async fn begin(
        authority: &Arc<Authority>,
        headers: &HeaderMap,
        question: impl FnOnce(&str) -> Result<Question, ApiError>,
    ) -> Result<Self, ApiError> {
        let token = token::bearer(headers).ok_or_else(ApiError::stranger)?;
        let Verdict::Yes(user) = authority.identify(&token).await else {
            return Err(ApiError::stranger());
        };
        let question = question(&authority.reviews.namespace)?;
        match authority.allows(&user, &question).await {
            Verdict::Yes(()) => {
                let authority = Arc::clone(authority);
                Ok(Self(Some(Arc::new(Admitted { authority, token, user, question }))))
            }
            Verdict::No | Verdict::Unclear => Err(ApiError::forbidden()),
        }
    }

    /// Returns who asks; empty where nobody was asked.
    pub(crate) fn username(&self) -> &str {
        self.0.as_ref().map_or("", |admitted| admitted.user.name.as_str())
    }

    /// Confines what is asked of the agent to what was permitted: whatever a handler read from a body counts as well.
    ///
    /// # Errors
    /// 403.
    pub(crate) async fn confine(&self, request: &mut Request) -> Result<(), ApiError> {
        let Some(admitted) = &self.0 else { return Ok(()) };
        let app = match request {
            Request::List { query, .. } | Request::Stream { query, .. } => {
                query.app_namespace = Some(admitted.question.namespace.clone());
                return Ok(());
            }
            Request::Get { app, .. }
            | Request::Sync { app, .. }
            | Request::Terminate { app, .. }
            | Request::Wait { app, .. }
            | Request::Managed { app, .. }
            | Request::Drift { app, .. } => app,
        };
        let namespace = app.namespace.as_deref().unwrap_or(&admitted.authority.reviews.namespace);
        let question =
            Question { verb: admitted.question.verb, namespace: namespace.into(), name: app.name.clone() };
        if question == admitted.question || admitted.may(&question).await {
            Ok(())
        } else {
            Err(ApiError::forbidden())
        }
    }

    /// Returns whether the caller may know whether what they ask for exists: who may read it may.
    pub(crate) async fn may_know(&self) -> bool {
        let Some(admitted) = &self.0 else { return true };
        let asked = &admitted.question;
        match asked.verb {
            Verb::Get | Verb::List => true,
            Verb::Create | Verb::Update | Verb::Delete => {
                admitted.may(&Question { verb: Verb::Get, ..asked.clone() }).await
            }
        }
    }

    /// Waits until the caller may no longer have an answer that lasts, and returns what they are told then.
    pub(crate) async fn revoked(&self) -> ApiError {
        let Some(admitted) = &self.0 else { return std::future::pending().await };
        let mut permitted = Instant::now();
        let mut wait = RECHECK;
        loop {
            tokio::time::sleep(wait).await;
            wait = match tokio::time::timeout(UNHEARD, admitted.review()).await {
                Ok(Ok(true)) => {
                    permitted = Instant::now();
                    RECHECK
                }
                Ok(Err(refused)) => return refused,
                Ok(Ok(false)) | Err(_) if permitted.elapsed() >= RECHECK + UNHEARD => {
                    return ApiError::forbidden();
                }
                Ok(Ok(false)) | Err(_) => AGAIN,
            };
        }
    }

    /// Ends an answer that is written bit by bit when the caller may no longer have it.
    pub(crate) fn bind(&self, response: Response) -> Response {
        if self.0.is_none() || response.body().size_hint().exact().is_some() {
            return response;
        }
        let (mut ends, ended) = oneshot::channel::<()>();
        let session = self.clone();
        tokio::spawn(async move {
            tokio::select! {
                _ = session.revoked() => {}
                // The caller went away, or all is written.
                () = ends.closed() => {}
            }
        });
        let (head, body) = response.into_parts();
        let body = warp::reply::stream(body.into_data_stream().take_until(ended)).into_response();
        Response::from_parts(head, body.into_body())
    }
}

impl Admitted {
    async fn may(&self, question: &Question) -> bool {
        self.authority.allows(&self.user, question).await == Verdict::Yes(())
    }

    /// Asks for all of it anew: the token may have expired, its owner may be gone, the right may be taken away. False where
    /// the cluster does not say.
    async fn review(&self) -> Result<bool, ApiError> {
        match self.authority.identify(&self.token).await {
            // A token that is somebody else's by now was not what let this caller in.
            Verdict::Yes(user) if user.name != self.user.name => return Err(ApiError::stranger()),
            Verdict::Yes(_) => {}
            Verdict::No => return Err(ApiError::stranger()),
            Verdict::Unclear => return Ok(false),
        }
        match self.authority.allows(&self.user, &self.question).await {
            Verdict::Yes(()) => Ok(true),
            Verdict::No => Err(ApiError::forbidden()),
            Verdict::Unclear => Ok(false),
        }
    }
}
