//! Is the agent alive, ready, and how is it doing? Served apart from the API, to anybody.

use crate::answer;
use crate::serve::{Limits, Service, Serving, bind};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use tokio::sync::watch;
use warp::Filter as _;
use warp::filters::BoxedFilter;
use warp::http::HeaderValue;
use warp::http::header::ALLOW;
use warp::reply::Response;

const TEXT: &str = "text/plain; charset=utf-8";
/// What Prometheus asks for (its exposition formats documentation).
const METRICS: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Connections open at once: kubelets and Prometheus are few.
const MOST_CONNECTIONS: usize = 64;

/// How the agent is, by its own account.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Readiness {
    /// Its caches are filled: it knows what it would act on.
    pub ready: bool,
    /// Its loop turns. False makes Kubernetes restart it.
    pub alive: bool,
    /// Why it is not ready or not alive; told by the probes, so nothing secret.
    pub reasons: Vec<String>,
}

/// Asks for the metrics; called for each scrape.
pub type MetricsText = Arc<dyn Fn() -> Pin<Box<dyn Future<Output = String> + Send>> + Send + Sync>;

/// Serves `/healthz`, `/readyz` and `/metrics`, and nothing else, until `shutdown` completes. Any address will do: nothing
/// here is secret. Once the sender of `readiness` is gone the agent counts as neither ready nor alive.
///
/// # Errors
/// What binding said.
pub async fn serve_probes(
    listen: SocketAddr,
    readiness: watch::Receiver<Readiness>,
    metrics: MetricsText,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<Serving> {
    let limits = Limits { max_connections: MOST_CONNECTIONS, ..Limits::default() };
    let service = Service { limits, filter: filter(readiness, metrics), tls: None };
    bind(listen, service, shutdown).await
}

pub(crate) fn filter(
    readiness: watch::Receiver<Readiness>,
    metrics: MetricsText,
) -> BoxedFilter<(Response,)> {
    let for_ready = readiness.clone();
    let healthz = warp::path!("healthz").map(move || probe(&readiness, |now| now.alive));
    let readyz = warp::path!("readyz").map(move || probe(&for_ready, |now| now.alive && now.ready));
    let metrics = warp::path!("metrics").then(move || {
        let text = metrics();
        async move { answer::text(200, METRICS, text.await) }
    });
    let paths = healthz.or(readyz).unify().or(metrics).unify();
    // Hyper leaves the body of an answer to HEAD away.
    let read = warp::get().or(warp::head()).unify().and(paths);
    let known = warp::path!("healthz").or(warp::path!("readyz")).unify().or(warp::path!("metrics")).unify();
    let nothing_here = warp::any()
        .map(|| answer::text(404, TEXT, "GET /healthz, /readyz and /metrics are answered here\n".to_owned()));
    read.or(known.map(wrong_method)).unify().or(nothing_here).unify().boxed()
}

fn wrong_method() -> Response {
    let mut response = answer::text(405, TEXT, "only GET and HEAD are answered here\n".to_owned());
    response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
    response
}

fn probe(readiness: &watch::Receiver<Readiness>, holds: fn(&Readiness) -> bool) -> Response {
    let now = readiness.borrow();
    if readiness.has_changed().is_err() {
        return answer::text(503, TEXT, "the agent's loop has ended\n".to_owned());
    }
    match (holds(&now), now.reasons.is_empty()) {
        (true, _) => answer::text(200, TEXT, "ok\n".to_owned()),
        (false, true) => answer::text(503, TEXT, "not yet\n".to_owned()),
        (false, false) => answer::text(503, TEXT, now.reasons.join("\n") + "\n"),
    }
}
