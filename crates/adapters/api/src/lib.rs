//! The HTTP edge: REST, webhooks, probes, metrics. The only user of warp.
//!
//! ```text
//! socket ─ serve ─▶ guard ─▶ routes ─▶ access ─▶ query, sync_body ─▶ Request ──mpsc──▶ agent
//!   ▲     limits,   Host,     a row     token,    read and checked                       │
//!   │     TLS       Origin    of ROUTES right                                            │
//!   └──── answer ◀────────────────── Reply = Result<Body, ApiError> ◀──oneshot───────────┘
//! ```
//!
//! **Who may call.** Either whoever shows a bearer token that the cluster accepts, for what its owner may do to Applications
//! there ([`Reviews`]); or everybody who reaches the listener, which is on loopback then ([`serve`] refuses another
//! address). For the latter three things stand in for authentication: a request whose `Host` is not loopback is refused, so
//! that a web page cannot reach it by pointing a DNS name of its own at 127.0.0.1; a request that a browser sends for a page
//! from elsewhere (`Origin`) is refused, and a change must say `content-type: application/json`, which such a page may not
//! send unasked. Every local user may still call it.
//!
//! Probes and metrics have a listener of their own ([`serve_probes`]), which serves nothing else and may listen anywhere.
//!
//! This crate decides nothing: it reads requests, hands them over, and writes answers. What goes into an answer is made by
//! the agent, with the help of [`dto`]; Secret values are masked before they get here.

mod access;
mod answer;
mod body;
mod body_room;
pub mod client;
pub mod dto;
pub mod feed;
mod guard;
mod lines;
mod listed;
pub mod metrics;
mod naming;
mod places;
mod probes;
mod projection;
mod query;
mod request;
mod rollback_body;
mod routes;
mod selector;
mod serve;
mod sync_body;
#[cfg(test)]
mod tests;
mod tls;
mod under_way;
mod webhook;
mod write_limit;

pub use access::{Allows, Identify, Question, Reviews, Token};
pub use answer::{ApiError, Body, Reply};
pub use feed::{Feed, Subscription};
pub use listed::{Head, Listed, list};
pub use naming::{AppName, Namespace};
pub use probes::{MetricsText, Readiness, serve_probes};
pub use projection::Projection;
pub use request::{AppRef, Awaited, DriftFormat, ListQuery, ObjectFilter, ReleaseAsk, Request, SyncBody};
pub use routes::{Access, Lasts, ROUTES, Route, Verb};
pub use selector::Selector;
pub use serve::{Limits, Listener, Serving, Transport, check_exposure, serve};
pub use tls::TlsFiles;
pub use webhook::{Check, Provider, Webhooks, repository_key};
