//! Which paths does the API answer, who may call them, and what answers?
//!
//! ```text
//! warp ─▶ guard ─▶ row of ROUTES, by path and method ─▶ access ─▶ handler of the row (Call ─▶ Response)
//! ```
//!
//! To add a route: one row in [`ROUTES`] and one file below `routes/` with its handler. There is no other way in, so no
//! route lacks a row, and none answers without what its row says about who may call it.

mod call;
mod drift;
mod get;
mod list;
mod managed;
mod releases;
mod rollback;
mod stream;
mod sync;
mod terminate;
mod version;
mod wait;
mod webhook;

use crate::access::Admission;
use crate::body_room::BodyRoom;
use crate::places::Places;
use crate::{ApiError, Limits, Request, Webhooks, answer, guard};
use call::{Agent, BodyStream};
pub(crate) use call::{Answering, Call};
use futures::StreamExt as _;
use std::convert::Infallible;
use std::sync::Arc;
use tokio::sync::mpsc;
use warp::filters::BoxedFilter;
use warp::http::header::{ALLOW, HeaderMap};
use warp::http::{HeaderValue, Method};
use warp::path::FullPath;
use warp::reply::Response;
use warp::{Buf, Filter as _, Rejection, Stream};

/// Bytes of bodies that are on their way at the same time, those of webhooks left out.
const MOST_BODIES: usize = 32 * 1024 * 1024;

/// One thing that the API answers.
#[derive(Clone, Copy, Debug)]
pub struct Route {
    /// HTTP method.
    pub method: &'static str,
    /// Path; `{name}` and behind it `{id}` stand for any one segment each, and there is at most one of either.
    pub path: &'static str,
    /// Who may call it.
    pub access: Access,
    /// How long an answer may take.
    pub lasts: Lasts,
    /// What it is for.
    pub about: &'static str,
    /// What answers.
    pub(crate) handler: fn(Call) -> Answering,
}

/// Who may call a route, in the words of Kubernetes RBAC on `applications.argoproj.io`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Anybody, without a token.
    Anyone,
    /// Who may `list` Applications in the namespace that the query names (`appNamespace`), or else in the control
    /// namespace; where the query names one Application (`name`), that one.
    List,
    /// Who may do this to the Application that `{name}` in the path and `appNamespace` in the query name.
    App(Verb),
}

/// What somebody may do to an Application.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verb {
    /// Read one.
    Get,
    /// Read all of a namespace.
    List,
    /// Change, sync or terminate one.
    Update,
}

impl Verb {
    /// Returns the verb as Kubernetes writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::List => "list",
            Self::Update => "update",
        }
    }
}

/// How long an answer may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lasts {
    /// [`Limits::request_timeout`] at most.
    Shortly,
    /// As long as its handler says: a long poll or a stream, which ends by itself when the caller loses the right to it.
    Long,
}

/// Everything that the API answers.
pub const ROUTES: &[Route] = &[
    Route {
        method: "GET",
        path: "/api/version",
        access: Access::Anyone,
        lasts: Lasts::Shortly,
        about: "version of the agent",
        handler: version::answer,
    },
    Route {
        method: "GET",
        path: "/api/v1/applications",
        access: Access::List,
        lasts: Lasts::Shortly,
        about: "Applications, by name",
        handler: list::answer,
    },
    Route {
        method: "GET",
        path: "/api/v1/stream/applications",
        access: Access::List,
        lasts: Lasts::Long,
        about: "what changes of Applications, as it happens",
        handler: stream::answer,
    },
    Route {
        method: "GET",
        path: "/api/v1/applications/{name}",
        access: Access::App(Verb::Get),
        lasts: Lasts::Shortly,
        about: "one Application",
        handler: get::answer,
    },
    Route {
        method: "POST",
        path: "/api/v1/applications/{name}/sync",
        access: Access::App(Verb::Update),
        lasts: Lasts::Shortly,
        about: "sync it",
        handler: sync::answer,
    },
    Route {
        method: "DELETE",
        path: "/api/v1/applications/{name}/operation",
        access: Access::App(Verb::Update),
        lasts: Lasts::Shortly,
        about: "end the sync under way",
        handler: terminate::answer,
    },
    Route {
        method: "GET",
        path: "/api/v1/applications/{name}/wait",
        access: Access::App(Verb::Get),
        lasts: Lasts::Long,
        about: "wait for what comes of a revision",
        handler: wait::answer,
    },
    Route {
        method: "GET",
        path: "/api/v1/applications/{name}/managed-resources",
        access: Access::App(Verb::Get),
        lasts: Lasts::Shortly,
        about: "its objects in Git and in the cluster",
        handler: managed::answer,
    },
    Route {
        method: "GET",
        path: "/api/v1/applications/{name}/drift",
        access: Access::App(Verb::Get),
        lasts: Lasts::Shortly,
        about: "how live differs from Git",
        handler: drift::answer,
    },
    Route {
        method: "GET",
        path: "/api/v1/delivery",
        access: Access::List,
        lasts: Lasts::Shortly,
        about: "how often, how fast and how well is deployed",
        handler: releases::delivery,
    },
    Route {
        method: "GET",
        path: "/api/v1/applications/{name}/releases",
        access: Access::App(Verb::Get),
        lasts: Lasts::Shortly,
        about: "what was deployed, release by release",
        handler: releases::all,
    },
    Route {
        method: "GET",
        path: "/api/v1/applications/{name}/releases/{id}",
        access: Access::App(Verb::Get),
        lasts: Lasts::Shortly,
        about: "one release, with its objects where they are kept",
        handler: releases::one,
    },
    Route {
        method: "POST",
        path: "/api/v1/applications/{name}/rollback",
        access: Access::App(Verb::Update),
        lasts: Lasts::Shortly,
        about: "go back to a release",
        handler: rollback::roll_back,
    },
    Route {
        method: "POST",
        path: "/api/v1/applications/{name}/quarantine",
        access: Access::App(Verb::Update),
        lasts: Lasts::Shortly,
        about: "leave alone what Git holds now",
        handler: rollback::leave_alone,
    },
    Route {
        method: "DELETE",
        path: "/api/v1/applications/{name}/quarantine",
        access: Access::App(Verb::Update),
        lasts: Lasts::Shortly,
        about: "let Git decide again",
        handler: rollback::resume,
    },
    Route {
        method: "POST",
        path: "/api/webhook",
        access: Access::Anyone,
        lasts: Lasts::Shortly,
        about: "a push to a repository; checked by its signature",
        handler: webhook::answer,
    },
];

/// Makes the filter that answers every request; it never rejects.
pub(crate) fn filter(
    requests: mpsc::Sender<Request>,
    webhooks: Arc<Webhooks>,
    limits: Limits,
    admission: Admission,
) -> BoxedFilter<(Response,)> {
    let guard = guard::filter(&admission);
    let (long, costly) = (Places::new(limits.max_long), Places::new(limits.max_costly));
    let (long, costly) = (Arc::new(long), Arc::new(costly));
    let bodies = BodyRoom::new(MOST_BODIES);
    let agent = Agent { requests, webhooks, limits, admission, long, costly, bodies };
    let head = warp::method().and(warp::path::full()).and(warp::query()).and(warp::header::headers_cloned());
    let known = head.and(warp::body::stream()).and(warp::ext::optional()).then(
        move |method: Method, path: FullPath, pairs, headers: HeaderMap, body, under_way| {
            let agent = agent.clone();
            async move {
                let (route, segments) = match find(&method, path.as_str()) {
                    Ok(found) => found,
                    Err(nothing_here) => return nothing_here,
                };
                answer(route, Call::new(agent, segments, pairs, headers, (boxed(body), under_way))).await
            }
        },
    );
    guard
        .and(known)
        .recover(
            |rejection: Rejection| async move { Ok::<_, Infallible>(answer::write_rejection(&rejection)) },
        )
        .unify()
        .boxed()
}

/// Answers one request as the row of its route says. Every route passes here.
async fn answer(route: &'static Route, call: Call) -> Response {
    let limit = call.limits().request_timeout;
    let work = admitted(route, call);
    let answered = match route.lasts {
        Lasts::Shortly => tokio::time::timeout(limit, work).await.unwrap_or_else(|_| {
            Err(ApiError::late(format!(
                "the agent did not answer within {limit:?}; it may still do what was asked"
            )))
        }),
        Lasts::Long => work.await,
    };
    answered.unwrap_or_else(|error| answer::error(&error))
}

/// Answers who may do what the route is for, for as long as they may.
async fn admitted(route: &'static Route, mut call: Call) -> Result<Response, ApiError> {
    let session = call.admit(route.access).await?;
    let work = (route.handler)(call);
    let answered = match route.lasts {
        Lasts::Shortly => work.await,
        Lasts::Long => tokio::select! {
            answered = work => answered.map(|response| session.bind(response)),
            revoked = session.revoked() => Err(revoked),
        },
    };
    match answered {
        // Who may not read an Application does not learn that there is none.
        Err(error) if error.status == 404 && !session.may_know().await => Err(ApiError::forbidden()),
        answered => answered,
    }
}

fn boxed<B: Buf + Send + 'static>(
    body: impl Stream<Item = Result<B, warp::Error>> + Send + Sync + 'static,
) -> BodyStream {
    Box::pin(body.map(|part| part.map(|part| -> Box<dyn Buf + Send> { Box::new(part) })))
}

/// What stands in a path for `{name}` and `{id}`, as it was sent; empty where the path has none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Segments {
    pub(crate) name: String,
    pub(crate) id: String,
}

/// Returns the route of a request and what stands for its segments; or what is answered where there is none: 405 where the
/// path exists with other methods, else 404.
#[expect(clippy::result_large_err, reason = "it is the answer, and made once")]
fn find(method: &Method, path: &str) -> Result<(&'static Route, Segments), Response> {
    let rows = || ROUTES.iter().filter_map(|route| Some((route, matching(route.path, path)?)));
    if let Some(found) = rows().find(|(route, _)| route.method == method.as_str()) {
        return Ok(found);
    }
    let methods: Vec<&str> = rows().map(|(route, _)| route.method).collect();
    let Some((last, others)) = methods.split_last() else {
        let message = "no such path; the API's paths begin with /api/v1/applications";
        return Err(answer::error(&ApiError::not_found(message)));
    };
    let are = match others {
        [] => format!("{last} is"),
        _ => format!("{} and {last} are", others.join(", ")),
    };
    let message = format!("{method} is not answered here, {are}");
    let mut response = answer::error(&ApiError::wrong_method(message));
    let allow = HeaderValue::from_str(&methods.join(", "));
    response.headers_mut().insert(ALLOW, allow.expect("methods of the table are words"));
    Err(response)
}

/// Returns what stands for the segments of a template where a path is one of it.
fn matching(template: &str, path: &str) -> Option<Segments> {
    let mut segments = path.strip_suffix('/').unwrap_or(path).split('/');
    let mut found = Segments::default();
    for wanted in template.split('/') {
        match (wanted, segments.next()?) {
            ("{name}" | "{id}", "") => return None,
            ("{name}", segment) => segment.clone_into(&mut found.name),
            ("{id}", segment) => segment.clone_into(&mut found.id),
            (wanted, segment) if segment == wanted => {}
            (_, _) => return None,
        }
    }
    segments.next().is_none().then_some(found)
}
