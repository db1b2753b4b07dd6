//! How does one request reach the API server and come back, in time and sorted?
//!
//! ```text
//! pause ──▶ gate ──▶ permit ──▶ deadline ──▶ kube::Client::send ──▶ body, bounded ──▶ success | CallError
//! ```
//!
//! `Client::request` is not used: where decoding fails it logs whole bodies, Secrets included. Nothing is repeated here;
//! the class of the error says whether the caller may.

use crate::classify::{self, Content};
use crate::gate::Priority;
use crate::{Cluster, Endpoint};
use futures::StreamExt as _;
use http::{Method, Request, Response, header};
use http_body_util::BodyExt as _;
use kube::client::{AuthError, Body};
use model::{CallError, ErrorClass, GroupKind};
use serde_json::Value;
use std::time::Duration;

/// Longest answer that we take for one object, in bytes: etcd holds 1.5 MB, aggregated APIs a little more.
pub(crate) const LONGEST_ANSWER: usize = 32 << 20;

/// What a request does, as metrics name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Verb {
    Get,
    List,
    Watch,
    Apply,
    DryRun,
    Patch,
    Create,
    Delete,
    Discover,
    /// Reads what a container wrote: a right of its own.
    Log,
    /// Asks a Service something, by way of the API server: a right of its own.
    Proxy,
}

impl Verb {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::List => "list",
            Self::Watch => "watch",
            Self::Apply => "apply",
            Self::DryRun => "dry-run",
            Self::Patch => "patch",
            Self::Create => "create",
            Self::Delete => "delete",
            Self::Discover => "discover",
            Self::Log => "log",
            Self::Proxy => "proxy",
        }
    }

    /// Returns whether it changes something.
    fn writes(self) -> bool {
        match self {
            Self::Apply | Self::Patch | Self::Create | Self::Delete => true,
            Self::Get
            | Self::List
            | Self::Watch
            | Self::DryRun
            | Self::Discover
            | Self::Log
            | Self::Proxy => false,
        }
    }
}

/// One request before it is sent.
pub(crate) struct Call {
    pub(crate) verb: Verb,
    pub(crate) kind: GroupKind,
    pub(crate) method: Method,
    pub(crate) url: String,
    pub(crate) content_type: &'static str,
    pub(crate) accept: &'static str,
    pub(crate) body: Vec<u8>,
    /// `None` passes the gate: watches, which last, and leases, which cannot wait.
    pub(crate) priority: Option<Priority>,
    /// Whether it is sent only while writes are permitted: all that changes something, but for what decides about that, and
    /// for questions that are asked by `create`.
    pub(crate) needs_permit: bool,
    /// Longest time from sending to the end of the answer; `None` for the configured one.
    pub(crate) timeout: Option<Duration>,
    /// Longest answer, in bytes.
    pub(crate) longest: usize,
}

impl Call {
    /// Makes a request without a body.
    pub(crate) fn new(verb: Verb, endpoint: &Endpoint, method: Method, url: String) -> Self {
        Self {
            verb,
            kind: endpoint.gvk.group_kind(),
            method,
            url,
            content_type: "",
            accept: "application/json",
            body: Vec::new(),
            priority: Some(Priority::Background),
            needs_permit: verb.writes(),
            timeout: None,
            longest: LONGEST_ANSWER,
        }
    }

    pub(crate) fn with_body(mut self, content_type: &'static str, body: &Value) -> Self {
        self.content_type = content_type;
        self.body = body.to_string().into_bytes();
        self
    }

    pub(crate) fn with_priority(mut self, priority: Option<Priority>) -> Self {
        self.priority = priority;
        self
    }

    fn content(&self) -> Content {
        let is_secret = self.kind.is("", "Secret") || self.kind.is("authentication.k8s.io", "TokenReview");
        if is_secret { Content::Secret } else { Content::Plain }
    }

    fn into_request(self) -> Result<Request<Body>, CallError> {
        let mut request =
            Request::builder().method(self.method).uri(self.url).header(header::ACCEPT, self.accept);
        if !self.content_type.is_empty() {
            request = request.header(header::CONTENT_TYPE, self.content_type);
        }
        request
            .body(Body::from(self.body))
            .map_err(|error| CallError::new(ErrorClass::Invalid, format!("not a request: {error}")))
    }
}

/// A success.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// Reads the body as JSON. The error quotes nothing of it.
    pub(crate) fn json(&self) -> Result<Value, CallError> {
        serde_json::from_slice(&self.body).map_err(|error| {
            let place = format!("line {} column {}", error.line(), error.column());
            unavailable(format!("the API server's answer cannot be read: not JSON that we take, at {place}"))
        })
    }
}

impl Cluster {
    /// Sends a request and takes the whole answer.
    pub(crate) async fn call(&self, call: Call) -> Result<Answer, CallError> {
        let timeout = call.timeout.unwrap_or(self.inner.call_timeout);
        let (content, longest) = (call.content(), call.longest);
        let group = call.kind.group.clone();
        if call.priority.is_some() {
            // Before it takes a place.
            self.inner.pauses.wait(&group).await;
        }
        let _permit = match call.priority {
            Some(priority) => Some(self.inner.gate.enter(self.party(&call.kind), priority).await),
            None => None,
        };
        let exchange = async {
            let response = self.send(call).await?;
            take(response, content, longest).await
        };
        let result =
            tokio::time::timeout(timeout, exchange).await.unwrap_or_else(|_| Err(self.no_answer(timeout)));
        self.note(&result);
        self.inner.pauses.note(&group, &result);
        result
    }

    /// Sends a request whose answer goes on for long; only the answer's head has a deadline.
    pub(crate) async fn open(&self, call: Call) -> Result<Response<Body>, CallError> {
        let timeout = call.timeout.unwrap_or(self.inner.call_timeout);
        let content = call.content();
        let exchange = async {
            let response = self.send(call).await?;
            if response.status().is_success() {
                return Ok(response);
            }
            match take(response, content, LONGEST_ANSWER).await {
                Ok(_) => Err(unavailable("the API server's answer cannot be read")),
                Err(error) => Err(error),
            }
        };
        let result =
            tokio::time::timeout(timeout, exchange).await.unwrap_or_else(|_| Err(self.no_answer(timeout)));
        self.note(&result);
        result
    }

    pub(crate) async fn send(&self, call: Call) -> Result<Response<Body>, CallError> {
        let needs_permit = call.needs_permit;
        if needs_permit {
            // After the wait for a turn: the lease may have run out meanwhile.
            self.inner.permit.check()?;
        }
        match call.verb {
            // Which groups are asked for is up to whoever writes manifests, and no label for metrics.
            Verb::Discover => self.inner.count(call.verb, &GroupKind::new("", "")),
            verb => self.inner.count(verb, &call.kind),
        }
        let sending = self.inner.client.send(call.into_request()?);
        let sent = if needs_permit { self.inner.permit.within(sending).await? } else { sending.await };
        sent.map_err(|error| {
            unavailable(format!("failed to reach {}: {}", self.inner.url, root_cause(&error)))
        })
    }

    fn no_answer(&self, timeout: Duration) -> CallError {
        unavailable(format!("{NO_ANSWER}{} within {} s", self.inner.url, timeout.as_secs_f32()))
    }

    fn note<T>(&self, result: &Result<T, CallError>) {
        match result {
            Err(error) if error.class == ErrorClass::Throttled => self.inner.gate.throttled(),
            Err(error) if error.status.is_none() => {}
            Ok(_) | Err(_) => self.inner.gate.answered(),
        }
    }
}

/// Returns the innermost words of an error, which are the operating system's or TLS's: kube's own say little.
fn root_cause(error: &kube::Error) -> String {
    failed_plugin(error).unwrap_or_else(|| {
        let mut cause: &dyn std::error::Error = error;
        while let Some(deeper) = cause.source() {
            cause = deeper;
        }
        cause.to_string()
    })
}

/// Returns our own sentence for a credential plugin that failed: kube's quotes all that the plugin printed, which may be
/// a token.
pub(crate) fn failed_plugin(error: &kube::Error) -> Option<String> {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if let Some(AuthError::AuthExecRun { out, .. }) = error.downcast_ref() {
            return Some(format!("the kubeconfig's credential plugin failed ({})", out.status));
        }
        cause = error.source();
    }
    None
}

pub(crate) fn unavailable(message: impl Into<String>) -> CallError {
    CallError::new(ErrorClass::Unavailable, message)
}

/// Says that the answer is longer than we take; told apart by [`is_too_long`].
const TOO_LONG: &str = "the API server's answer is longer than we take";

/// How the sentence of a call begins that was not answered in time.
const NO_ANSWER: &str = "no answer from ";

/// Returns whether a call failed because no answer came in time.
pub fn is_timeout(error: &CallError) -> bool {
    error.status.is_none() && error.message.starts_with(NO_ANSWER)
}

/// Returns whether a call failed because its answer is too long.
pub(crate) fn is_too_long(error: &CallError) -> bool {
    error.message == TOO_LONG
}

async fn take(response: Response<Body>, content: Content, longest: usize) -> Result<Answer, CallError> {
    let status = response.status();
    let header = response.headers().get(header::RETRY_AFTER).and_then(|value| value.to_str().ok());
    let retry_after = classify::retry_after(header);
    let mut chunks = response.into_body().into_data_stream();
    let mut body = Vec::new();
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|_| unavailable("the connection broke in the middle of the answer"))?;
        if body.len() + chunk.len() > longest {
            return Err(unavailable(TOO_LONG));
        }
        body.extend_from_slice(&chunk);
    }
    if status.is_success() {
        return Ok(Answer { status: status.as_u16(), body });
    }
    let error = classify::classify(status.as_u16(), &body, content);
    let retry_after = retry_after.or(error.retry_after).filter(|_| !classify::is_of_webhook(&body));
    Err(CallError { retry_after, ..error })
}
