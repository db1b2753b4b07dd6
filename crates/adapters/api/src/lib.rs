//! The HTTP edge: REST, webhooks, probes, metrics. The only user of warp.
//!
//! ```text
//! socket ─ serve ─▶ guard ─▶ routes ─▶ query, sync_body ─▶ Request ──mpsc──▶ agent
//!   ▲     limits    Host,     a row     read and checked                       │
//!   │               Origin    of ROUTES                                        │
//!   └──── answer ◀──────────── Reply = Result<Body, ApiError> ◀──oneshot───────┘
//! ```
//!
//! **Who may call.** There is no authentication yet, so three things stand in for it: the API listens on loopback only
//! ([`serve`] refuses another address); a request whose `Host` is not loopback is refused, so that a web page cannot reach
//! it by pointing a DNS name of its own at 127.0.0.1; a request that a browser sends for a page from elsewhere (`Origin`)
//! is refused, and a change must say `content-type: application/json`, which such a page may not send unasked. Every
//! local user may still call it.
//!
//! Probes and metrics have a listener of their own ([`serve_probes`]), which serves nothing else and may listen anywhere.
//!
//! This crate decides nothing: it reads requests, hands them over, and writes answers. What goes into an answer is made by
//! the agent, with the help of [`dto`]; Secret values are masked before they get here.

mod answer;
mod body;
pub mod dto;
pub mod feed;
mod guard;
mod lines;
mod listed;
pub mod metrics;
mod probes;
mod projection;
mod query;
mod request;
mod routes;
mod selector;
mod serve;
mod sync_body;
#[cfg(test)]
mod tests;
mod webhook;

pub use answer::{ApiError, Body, Reply};
pub use feed::{Feed, Subscription};
pub use listed::{Head, Listed, list};
pub use probes::{MetricsText, Readiness, serve_probes};
pub use projection::Projection;
pub use request::{AppRef, DriftFormat, ListQuery, Request, SyncBody};
pub use routes::{Access, Lasts, ROUTES, Route, Verb};
pub use selector::Selector;
pub use serve::{Limits, Serving, serve, serve_with};
pub use webhook::{Check, Provider, Webhooks, repository_key};
