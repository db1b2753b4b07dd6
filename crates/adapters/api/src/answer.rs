//! What does an answer look like on the wire, and what does a refusal say?

use crate::Subscription;
use crate::lines::Lines;
use crate::places::Place;
use futures::{StreamExt as _, TryStreamExt as _};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use std::fmt;
use warp::Reply as _;
use warp::http::header::{
    CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS,
};
use warp::http::{HeaderValue, StatusCode};
use warp::hyper::body::{Body as _, Bytes};
use warp::reject::{Reject, Rejection};
use warp::reply::Response;

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const EVENTS: HeaderValue = HeaderValue::from_static("text/event-stream");
const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");

/// Bytes of a large answer that are handed over at a time.
const PIECE: usize = 64 * 1024;

/// What the agent answers to a [`Request`](crate::Request).
pub type Reply = Result<Body, ApiError>;

/// What a successful answer holds. Secret values are masked already.
#[derive(Debug)]
pub enum Body {
    /// JSON, as programs read it.
    Json(Value),
    /// Text, as people read it.
    Text(String),
    /// How a wait ended, with the HTTP status that says so to those who look at nothing else.
    Verdict(u16, Value),
    /// What changes, as it happens.
    Stream(Box<Subscription>),
}

/// A refusal, with the sentence that the caller reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiError {
    /// gRPC code, as Argo CD's clients expect it (`google.golang.org/grpc/codes`).
    pub code: u8,
    /// HTTP status.
    pub status: u16,
    /// What is wrong and, where there is one, the next step.
    pub message: String,
}

impl ApiError {
    fn new(code: u8, status: u16, message: impl Into<String>) -> Self {
        Self { code, status, message: message.into() }
    }

    /// What was asked for does not exist: `NotFound`, 404.
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(5, 404, message)
    }

    /// The request itself is wrong: `InvalidArgument`, 400.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(3, 400, message)
    }

    /// The request is right but not now: `FailedPrecondition`, 400. Argo CD answers so to a sync while another operation
    /// is in progress.
    pub fn failed_precondition(message: impl Into<String>) -> Self {
        Self::new(9, 400, message)
    }

    /// The application is in a state that rules the request out until a person changes that: `FailedPrecondition`, 409.
    pub fn ruled_out(message: impl Into<String>) -> Self {
        Self::new(9, 409, message)
    }

    /// Somebody else changed it meanwhile: `Aborted`, 409.
    pub fn conflict(message: impl Into<String>) -> Self {
        Self::new(10, 409, message)
    }

    /// Nobody knows who the caller is: `Unauthenticated`, 401.
    pub fn unauthenticated(message: impl Into<String>) -> Self {
        Self::new(16, 401, message)
    }

    /// The same of whoever shows no good token. One sentence for all, so that it tells nothing of why.
    pub(crate) fn stranger() -> Self {
        let sentence = "a bearer token that the cluster accepts is needed: `Authorization: Bearer TOKEN`, with one of `kubectl \
                        create token SERVICEACCOUNT`";
        Self::unauthenticated(sentence)
    }

    /// The cluster does not let the caller do this: `PermissionDenied`, 403. One sentence for all, so that it tells nothing
    /// of what there is.
    pub(crate) fn forbidden() -> Self {
        let sentence = "permission denied: you lack the right on applications.argoproj.io in the cluster that this request \
                        needs (`get`, `list` or `update`)";
        Self::permission_denied(sentence)
    }

    /// The caller may not: `PermissionDenied`, 403.
    pub fn permission_denied(message: impl Into<String>) -> Self {
        Self::new(7, 403, message)
    }

    /// Argo CD does it and we do not yet: `Unimplemented`, 501.
    pub fn unimplemented(message: impl Into<String>) -> Self {
        Self::new(12, 501, message)
    }

    /// The agent cannot say right now: `Unavailable`, 503.
    pub fn unavailable(message: impl Into<String>) -> Self {
        Self::new(14, 503, message)
    }

    /// A mistake of ours: `Internal`, 500.
    pub(crate) fn internal(message: impl Into<String>) -> Self {
        Self::new(13, 500, message)
    }

    /// What was asked for is known no more: `OutOfRange`, 410.
    pub fn gone(message: impl Into<String>) -> Self {
        Self::new(11, 410, message)
    }

    /// The caller, and others with it, want more at once than is given: `ResourceExhausted`, 429.
    pub fn exhausted(message: impl Into<String>) -> Self {
        Self::new(8, 429, message)
    }

    /// The agent did not answer in time: `DeadlineExceeded`, 504.
    pub fn late(message: impl Into<String>) -> Self {
        Self::new(4, 504, message)
    }

    /// The caller did not send its request in time: `DeadlineExceeded`, 408.
    pub(crate) fn slow(message: impl Into<String>) -> Self {
        Self::new(4, 408, message)
    }

    /// The request is larger than we read: `ResourceExhausted`, 413.
    pub(crate) fn too_large(message: impl Into<String>) -> Self {
        Self::new(8, 413, message)
    }

    /// The body is not of a type that we read: `InvalidArgument`, 415.
    pub(crate) fn unsupported_type(message: impl Into<String>) -> Self {
        Self::new(3, 415, message)
    }

    /// The path exists and the method does not: `Unimplemented`, 405.
    pub(crate) fn wrong_method(message: impl Into<String>) -> Self {
        Self::new(12, 405, message)
    }

    /// Writes the error in Argo CD's shape (grpc-gateway): the sentence twice, and the code.
    pub fn to_json(&self) -> Value {
        json!({ "error": self.message, "code": self.code, "message": self.message })
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for ApiError {}

impl Reject for ApiError {}

/// Writes what was asked for; every answer is typed, not to be guessed at by browsers, and not to be kept by caches.
pub(crate) fn body(body: Body) -> Response {
    match body {
        Body::Json(value) => response(200, JSON, value.to_string()),
        Body::Text(text) => response(200, TEXT, text),
        Body::Verdict(status, value) => response(status, JSON, value.to_string()),
        Body::Stream(subscription) => lines(*subscription, Lines::Json, None),
    }
}

/// Writes a refusal.
pub(crate) fn error(error: &ApiError) -> Response {
    let mut response = response(error.status, JSON, error.to_json().to_string());
    let more = match error.status {
        401 => Some((WWW_AUTHENTICATE, "Bearer")),
        // Whatever stands in the way mostly passes within a second.
        429 | 503 => Some((RETRY_AFTER, "1")),
        _ => None,
    };
    if let Some((name, value)) = more {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

/// Writes text of a given type.
pub(crate) fn text(status: u16, content_type: &'static str, text: String) -> Response {
    response(status, HeaderValue::from_static(content_type), text)
}

/// Writes what a rejected request is told: our own reason, or that warp could not read its head.
pub(crate) fn write_rejection(rejection: &Rejection) -> Response {
    let unreadable = || ApiError::invalid("the request's Host header or query cannot be read");
    error(&rejection.find::<ApiError>().cloned().unwrap_or_else(unreadable))
}

/// Writes a stream, line by line as it comes. `place` is given back when the last of it was sent, or nobody reads any more.
pub(crate) fn lines(subscription: Subscription, lines: Lines, place: Option<Place>) -> Response {
    let body = crate::lines::write(subscription, lines, place);
    let content_type = match lines {
        Lines::Json => JSON,
        Lines::Events => EVENTS,
    };
    let mut response = typed(warp::reply::stream(body).into_response(), 200, content_type);
    // Whoever ends it has to say why.
    response.extensions_mut().insert(lines);
    response
}

/// Writes an answer piece by piece; `place` is given back when the last of it is on its way, or nobody reads any more.
pub(crate) fn held(answer: Response, place: Place) -> Response {
    let length = answer.body().size_hint().exact();
    let (mut head, body) = answer.into_parts();
    if let Some(length) = length {
        head.headers.insert(CONTENT_LENGTH, length.into());
    }
    let parts =
        body.into_data_stream().map_ok(|part| futures::stream::iter(pieces(part).map(Ok::<_, warp::Error>)));
    let pieces = parts.try_flatten().inspect(move |_| {
        // It goes with the stream.
        let _kept = &place;
    });
    Response::from_parts(head, warp::reply::stream(pieces).into_response().into_body())
}

/// Splits what is written, without a copy. Hyper takes another piece when most of the one before was taken.
fn pieces(mut whole: Bytes) -> impl Iterator<Item = Bytes> {
    std::iter::from_fn(move || {
        let length = whole.len().min(PIECE);
        (length > 0).then(|| whole.split_to(length))
    })
}

fn response(status: u16, content_type: HeaderValue, text: String) -> Response {
    typed(Response::new(text.into()), status, content_type)
}

fn typed(mut response: Response, status: u16, content_type: HeaderValue) -> Response {
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, content_type);
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
