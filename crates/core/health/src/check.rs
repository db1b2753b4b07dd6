//! What does an answer say about a check that an app declares?
//!
//! | Fails | Says nothing |
//! |---|---|
//! | the Service answers with another status, or too late; nobody listens behind it | no such Service, no endpoints; the API server refuses, is slow, or is away |
//! | a value beyond its bound, or none | Prometheus answers an error, or several values, or not at all |
//! | a Job that failed by its pods | a Job that ran out of time, or that the app does not have |
//!
//! Bodies are quoted nowhere but for the sentence of an error that Prometheus tells.

mod http;
mod job;
mod query;

pub use http::{confirmed, http};
pub use job::job;
pub use query::query;
