//! Which paths does the API answer?

use crate::answer;
use crate::query::{self, Pairs};
use crate::{ApiError, Body, DriftFormat, Limits, Projection, Reply, Request, body, guard, sync_body};
use serde_json::json;
use std::convert::Infallible;
use tokio::sync::{mpsc, oneshot};
use warp::filters::BoxedFilter;
use warp::http::header::{ACCEPT, ALLOW, HeaderMap};
use warp::http::{HeaderValue, Method};
use warp::path::FullPath;
use warp::reply::Response;
use warp::{Buf, Filter as _, Rejection, Stream};

/// One thing that the API answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    /// HTTP method.
    pub method: &'static str,
    /// Path; `{name}` stands for any one segment.
    pub path: &'static str,
    /// What it is for.
    pub about: &'static str,
}

/// Everything that the API answers. warp cannot list its routes; a test holds this table against them.
pub const ROUTES: &[Route] = &[
    Route { method: "GET", path: "/api/version", about: "version of the agent" },
    Route { method: "GET", path: "/api/v1/applications", about: "Applications, by name" },
    Route { method: "GET", path: "/api/v1/applications/{name}", about: "one Application" },
    Route { method: "POST", path: "/api/v1/applications/{name}/sync", about: "sync it" },
    Route { method: "GET", path: "/api/v1/applications/{name}/drift", about: "how live differs from Git" },
];

/// The agent, as a request sees it.
#[derive(Clone)]
struct Agent {
    requests: mpsc::Sender<Request>,
    limits: Limits,
}

impl Agent {
    /// Waits for the agent's answer.
    async fn ask(&self, make: impl FnOnce(oneshot::Sender<Reply>) -> Request) -> Reply {
        let stopping = || ApiError::unavailable("the agent is stopping; try again in a moment");
        let (reply, answer) = oneshot::channel();
        self.requests.send(make(reply)).await.map_err(|_| stopping())?;
        answer.await.unwrap_or_else(|_| Err(stopping()))
    }

    /// Bounds everything that one request may take.
    async fn answer(&self, work: impl Future<Output = Reply>) -> Response {
        let limit = self.limits.request_timeout;
        let reply = tokio::time::timeout(limit, work).await.unwrap_or_else(|_| {
            Err(ApiError::late(format!(
                "the agent did not answer within {limit:?}; it may still do what was asked"
            )))
        });
        answer::write(reply)
    }
}

/// Makes the filter that answers every request; it never rejects.
pub(crate) fn filter(requests: mpsc::Sender<Request>, limits: Limits) -> BoxedFilter<(Response,)> {
    let agent = Agent { requests, limits };
    let known = version()
        .or(list(agent.clone()))
        .unify()
        .or(get(agent.clone()))
        .unify()
        .or(sync(agent.clone()))
        .unify()
        .or(drift(agent))
        .unify()
        .boxed();
    guard::filter()
        .and(known.or(nothing_here()).unify())
        .recover(
            |rejection: Rejection| async move { Ok::<_, Infallible>(answer::write_rejection(&rejection)) },
        )
        .unify()
        .boxed()
}

fn version() -> BoxedFilter<(Response,)> {
    let version = concat!("v", env!("CARGO_PKG_VERSION"));
    warp::path!("api" / "version")
        .and(warp::get())
        .map(move || answer::write(Ok(Body::Json(json!({ "Version": version })))))
        .boxed()
}

fn list(agent: Agent) -> BoxedFilter<(Response,)> {
    warp::path!("api" / "v1" / "applications")
        .and(warp::get())
        .and(warp::query::<Pairs>())
        .then(move |pairs: Pairs| {
            let agent = agent.clone();
            async move {
                agent
                    .answer(async {
                        let query = query::list(&pairs)?;
                        let fields = query.fields.clone();
                        Ok(project(&fields, agent.ask(|reply| Request::List { query, reply }).await?))
                    })
                    .await
            }
        })
        .boxed()
}

fn get(agent: Agent) -> BoxedFilter<(Response,)> {
    warp::path!("api" / "v1" / "applications" / String)
        .and(warp::get())
        .and(warp::query::<Pairs>())
        .then(move |name: String, pairs: Pairs| {
            let agent = agent.clone();
            async move {
                agent
                    .answer(async {
                        let (app, refresh, fields) = query::get(name, &pairs)?;
                        Ok(project(&fields, agent.ask(|reply| Request::Get { app, refresh, reply }).await?))
                    })
                    .await
            }
        })
        .boxed()
}

fn sync(agent: Agent) -> BoxedFilter<(Response,)> {
    warp::path!("api" / "v1" / "applications" / String / "sync")
        .and(warp::post())
        .and(warp::query::<Pairs>())
        .and(warp::header::headers_cloned())
        .and(warp::body::stream())
        .then(move |name: String, pairs: Pairs, headers: HeaderMap, stream| {
            let agent = agent.clone();
            async move { agent.answer(post_sync(&agent, name, &pairs, &headers, stream)).await }
        })
        .boxed()
}

async fn post_sync<B: Buf>(
    agent: &Agent,
    name: String,
    pairs: &Pairs,
    headers: &HeaderMap,
    stream: impl Stream<Item = Result<B, warp::Error>>,
) -> Reply {
    let app = query::which(name, pairs)?;
    let bytes = body::read(headers, stream, agent.limits).await?;
    let (app, body) = sync_body::read(app, &bytes)?;
    agent.ask(|reply| Request::Sync { app, body, reply }).await
}

fn drift(agent: Agent) -> BoxedFilter<(Response,)> {
    warp::path!("api" / "v1" / "applications" / String / "drift")
        .and(warp::get())
        .and(warp::query::<Pairs>())
        .and(warp::header::headers_cloned())
        .then(move |name: String, pairs: Pairs, headers: HeaderMap| {
            let agent = agent.clone();
            async move {
                agent
                    .answer(async {
                        let app = query::which(name, &pairs)?;
                        let format = drift_format(&headers);
                        agent.ask(|reply| Request::Drift { app, format, reply }).await
                    })
                    .await
            }
        })
        .boxed()
}

/// Answers what no route takes: 405 where the path exists with another method, else 404.
fn nothing_here() -> BoxedFilter<(Response,)> {
    warp::method()
        .and(warp::path::full())
        .map(|method: Method, path: FullPath| {
            let Some(route) = ROUTES.iter().find(|route| matches(route.path, path.as_str())) else {
                let message = "no such path; the API's paths begin with /api/v1/applications";
                return answer::write(Err(ApiError::not_found(message)));
            };
            let message = format!("{method} is not answered here, {} is", route.method);
            let mut response = answer::write(Err(ApiError::wrong_method(message)));
            response.headers_mut().insert(ALLOW, HeaderValue::from_static(route.method));
            response
        })
        .boxed()
}

fn matches(template: &str, path: &str) -> bool {
    let path = path.strip_suffix('/').unwrap_or(path);
    let mut segments = path.split('/');
    template.split('/').all(|wanted| {
        segments
            .next()
            .is_some_and(|got| if wanted.starts_with('{') { !got.is_empty() } else { got == wanted })
    }) && segments.next().is_none()
}

fn project(fields: &Projection, body: Body) -> Body {
    match body {
        Body::Json(value) => Body::Json(fields.apply(value)),
        Body::Text(text) => Body::Text(text),
    }
}

/// Chooses text where the caller likes it better than JSON; JSON where it does not care.
fn drift_format(headers: &HeaderMap) -> DriftFormat {
    let accepted: Vec<&str> = headers
        .get_all(ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|v| v.split(','))
        .collect();
    let liking = |media_types: &[&str]| {
        let matching = accepted.iter().filter_map(|item| {
            let mut parts = item.split(';').map(str::trim);
            let media_type = parts.next()?.to_ascii_lowercase();
            let quality = parts.find_map(|part| part.strip_prefix("q=")).and_then(|q| q.parse::<f32>().ok());
            media_types.contains(&media_type.as_str()).then_some(quality.unwrap_or(1.0))
        });
        matching.fold(0.0_f32, f32::max)
    };
    if liking(&["text/plain", "text/*"]) > liking(&["application/json", "application/*"]) {
        DriftFormat::Text
    } else {
        DriftFormat::Json
    }
}
