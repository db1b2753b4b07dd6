//! What does the handler of a route get, and how does it ask the agent?

use super::Segments;
use crate::access::{Admission, Session};
use crate::body_room::BodyRoom;
use crate::places::{Place, Places, Taken};
use crate::query::{self, Pairs};
use crate::under_way::UnderWay;
use crate::{Access, ApiError, AppRef, Limits, Reply, Request, Webhooks, body};
use futures::future::BoxFuture;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use warp::http::header::HeaderMap;
use warp::reply::Response;
use warp::{Buf, Stream};

/// What a handler returns: [`answer::body`](crate::answer::body) makes the response of what the agent answered.
pub(crate) type Answering = BoxFuture<'static, Result<Response, ApiError>>;

/// A body on its way.
pub(super) type BodyStream =
    Pin<Box<dyn Stream<Item = Result<Box<dyn Buf + Send>, warp::Error>> + Send + Sync>>;

/// The agent, as a request sees it.
#[derive(Clone)]
pub(super) struct Agent {
    pub(super) requests: mpsc::Sender<Request>,
    pub(super) webhooks: Arc<Webhooks>,
    pub(super) limits: Limits,
    pub(super) admission: Admission,
    /// Places for requests that last.
    pub(super) long: Arc<Places>,
    /// Places for requests that take much.
    pub(super) costly: Arc<Places>,
    /// Room for the bodies of callers who may send one.
    pub(super) bodies: Arc<BodyRoom>,
}

/// A request that was let in.
pub(crate) struct Call {
    /// What stands for `{name}` in the path, as it was sent; empty where the path has none.
    pub(crate) name: String,
    /// What stands for `{id}`, likewise.
    pub(crate) id: String,
    /// The query, in its order.
    pub(crate) pairs: Pairs,
    /// The headers.
    pub(crate) headers: HeaderMap,
    body: Option<BodyStream>,
    /// `None` where no connection brought it.
    under_way: Option<Arc<UnderWay>>,
    agent: Agent,
    session: Session,
}

impl Call {
    pub(super) fn new(
        agent: Agent,
        Segments { name, id }: Segments,
        pairs: Pairs,
        headers: HeaderMap,
        (body, under_way): (BodyStream, Option<Arc<UnderWay>>),
    ) -> Self {
        Self { name, id, pairs, headers, body: Some(body), under_way, agent, session: Session::of_everyone() }
    }

    /// Finds out who asks, and whether they may.
    pub(super) async fn admit(&mut self, access: Access) -> Result<Session, ApiError> {
        let admitted = self.agent.admission.admit(access, &self.headers, (&self.name, &self.pairs));
        self.session = admitted.await?;
        Ok(self.session.clone())
    }

    /// Returns who asks, as the cluster calls them; empty where nobody was asked.
    pub(crate) fn username(&self) -> String {
        self.session.username().to_owned()
    }

    /// Returns which Application the path and the query name, where the query may say nothing else.
    ///
    /// # Errors
    /// A name that nothing can have, or a parameter that is not known.
    pub(crate) fn app(&self) -> Result<AppRef, ApiError> {
        query::which(self.name.clone(), &self.pairs)
    }

    /// Reads the body, which must be JSON, within the limits.
    ///
    /// # Errors
    /// 408, 413 or 415.
    pub(crate) async fn json_body(&mut self) -> Result<Vec<u8>, ApiError> {
        let room = Arc::clone(&self.agent.bodies);
        self.json_body_in(&room).await
    }

    /// Does the same of a body of anybody's: they have a room of their own.
    ///
    /// # Errors
    /// 408, 413 or 415.
    pub(crate) async fn json_body_in(&mut self, room: &Arc<BodyRoom>) -> Result<Vec<u8>, ApiError> {
        let Some(stream) = self.body.take() else { return Ok(Vec::new()) };
        // Until it is read, the connection may be ended to make room for another.
        if let Some(under_way) = &self.under_way {
            under_way.pause();
        }
        let body = body::read(&self.headers, stream, self.agent.limits, room).await;
        if let Some(under_way) = &self.under_way {
            under_way.go_on();
        }
        body
    }

    /// Sends a request to the agent and waits for its answer; only what the caller may ask for is sent.
    ///
    /// # Errors
    /// 403, what the agent refused, or that it is stopping.
    pub(crate) async fn ask(&self, make: impl FnOnce(oneshot::Sender<Reply>) -> Request) -> Reply {
        let stopping = || ApiError::unavailable("the agent is stopping; try again in a moment");
        let (reply, answer) = oneshot::channel();
        let mut request = make(reply);
        self.session.confine(&mut request).await?;
        self.agent.requests.send(request).await.map_err(|_| stopping())?;
        answer.await.unwrap_or_else(|_| Err(stopping()))
    }

    /// Returns what takes webhooks in.
    pub(crate) fn webhooks(&self) -> Arc<Webhooks> {
        Arc::clone(&self.agent.webhooks)
    }

    /// Takes a place among the requests that last, which is given back when it is dropped: they never take all the
    /// connections.
    ///
    /// # Errors
    /// 429 where all are taken, or as many as one caller may have.
    pub(crate) async fn place_to_wait(&self) -> Result<Place, ApiError> {
        let long = &self.agent.long;
        long.take(self.session.username(), Duration::ZERO).await.map_err(|taken| {
            ApiError::exhausted(match taken {
                Taken::All => format!(
                    "{} waits and streams are open, which is as many as are answered; try again later",
                    long.most()
                ),
                Taken::Own => format!(
                    "{} waits and streams of yours are open, which is as many as one caller may have; end some of them",
                    long.most_of_one()
                ),
            })
        })
    }

    /// Takes a place among the answers that take much memory or many reads of the cluster, and waits a little for one. It is
    /// given back when it is dropped: they never keep the agent from its work.
    ///
    /// # Errors
    /// 429 where none comes free.
    pub(crate) async fn place_for_much(&self) -> Result<Place, ApiError> {
        let (costly, patience) = (&self.agent.costly, self.agent.limits.costly_patience);
        costly.take(self.session.username(), patience).await.map_err(|taken| {
            let (n, whose) = match taken {
                Taken::All => (costly.most(), "as many as are answered at once"),
                Taken::Own => (costly.most_of_one(), "as many as one caller may have at once"),
            };
            ApiError::exhausted(format!(
                "{n} lists, drifts, managed-resources and releases are under way, which is {whose}; try again in a moment, and list \
                 page by page with `limit`"
            ))
        })
    }

    /// Returns what one request may take.
    pub(crate) fn limits(&self) -> Limits {
        self.agent.limits
    }
}
