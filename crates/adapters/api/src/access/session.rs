//! On whose behalf is a request answered, and until when?

use super::memory::{Verdict, YES};
use super::{Authority, Question, Token, token};
use crate::lines::Lines;
use crate::{ApiError, Namespace, Request, Verb};
use futures::{FutureExt as _, StreamExt as _};
use http_body_util::BodyExt as _;
use model::User;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::Instant;
use warp::Reply as _;
use warp::http::header::HeaderMap;
use warp::hyper::body::{Body as _, Bytes};
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
    /// When it was asked for.
    since: Instant,
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
        let since = Instant::now();
        let token = token::bearer(headers).ok_or_else(ApiError::stranger)?;
        let Verdict::Yes(user) = authority.identify(&token).await else {
            return Err(ApiError::stranger());
        };
        let question = question(&authority.reviews.namespace)?;
        match authority.allows(&user, &question).await {
            Verdict::Yes(()) => {
                let authority = Arc::clone(authority);
                Ok(Self(Some(Arc::new(Admitted { authority, token, user, question, since }))))
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
    /// 403, or 400 for a namespace that none can be.
    pub(crate) async fn confine(&self, request: &mut Request) -> Result<(), ApiError> {
        let Some(admitted) = &self.0 else { return Ok(()) };
        let app = match request {
            Request::List { query, .. } | Request::Stream { query, .. } | Request::Delivery { query, .. } => {
                query.app_namespace = Some(Namespace::parse(&admitted.question.namespace)?);
                return Ok(());
            }
            Request::Get { app, .. }
            | Request::Sync { app, .. }
            | Request::Terminate { app, .. }
            | Request::Wait { app, .. }
            | Request::Managed { app, .. }
            | Request::Drift { app, .. }
            | Request::Releases { app, .. }
            | Request::OfReleases { app, .. }
            | Request::Release { app, .. } => app,
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
            Verb::Update => admitted.may(&Question { verb: Verb::Get, ..asked.clone() }).await,
        }
    }

    /// Waits until the caller may no longer have an answer that lasts, and returns what they are told then.
    pub(crate) async fn revoked(&self) -> ApiError {
        let Some(admitted) = &self.0 else { return std::future::pending().await };
        let mut permitted = admitted.since;
        let mut next = permitted + RECHECK;
        loop {
            tokio::time::sleep_until(next).await;
            let (asked, end) = (Instant::now(), permitted + RECHECK + UNHEARD);
            match tokio::time::timeout_at(end, admitted.review()).await {
                Ok(Ok(true)) => {
                    // It was so when the question was asked, and need not be so any more.
                    permitted = asked;
                    next = asked + RECHECK;
                }
                Ok(Err(refused)) => return refused,
                Ok(Ok(false)) | Err(_) => {
                    let now = Instant::now();
                    if now >= end {
                        return ApiError::forbidden();
                    }
                    next = (now + AGAIN).min(end);
                }
            }
        }
    }

    /// Ends an answer that is written bit by bit when the caller may no longer have it; one of lines says why in its last one.
    pub(crate) fn bind(&self, response: Response) -> Response {
        if self.0.is_none() || response.body().size_hint().exact().is_some() {
            return response;
        }
        let (mut ends, ended) = oneshot::channel();
        let session = self.clone();
        tokio::spawn(async move {
            tokio::select! {
                why = session.revoked() => drop(ends.send(why)),
                // The caller went away, or all is written.
                () = ends.closed() => {}
            }
        });
        let (head, body) = response.into_parts();
        let lines = head.extensions.get::<Lines>().copied();
        let ended = ended.shared();
        let why = ended.clone();
        let last = futures::stream::once(async move { why.now_or_never()?.ok() });
        let last = last.filter_map(move |why| {
            let line = lines.zip(why).map(|(lines, why)| Ok(Bytes::from(lines.error(&why))));
            std::future::ready(line)
        });
        let body = warp::reply::stream(body.into_data_stream().take_until(ended).chain(last)).into_response();
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
        let user = match self.authority.identify(&self.token).await {
            Verdict::Yes(user) => user,
            Verdict::No => return Err(ApiError::stranger()),
            Verdict::Unclear => return Ok(false),
        };
        // A token that is somebody else's by now was not what let this caller in.
        if (&user.name, &user.uid) != (&self.user.name, &self.user.uid) {
            return Err(ApiError::stranger());
        }
        // By the groups of today.
        match self.authority.allows(&user, &self.question).await {
            Verdict::Yes(()) => Ok(true),
            Verdict::No => Err(ApiError::forbidden()),
            Verdict::Unclear => Ok(false),
        }
    }
}
