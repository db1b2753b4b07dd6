//! How well is a live object, why not better, and what does that say about the commit that changed it?
//!
//! ```text
//! live object ──assess──▶ Health ──aggregate──▶ Health of the app
//!      │                    (one file per kind, one table; else the generic rules)
//!      ├─ + its ReplicaSets and Pods ──cause──▶ Cause: the pod, container, reason and message a person needs
//!      ├─ + Cause ──evidence──▶ Condemns | Holds | None
//!      └─ ──links──▶ where people reach what it publishes
//!
//! what an app's own check was answered ──check──▶ Look: passed | failed | not over | not known
//! ```
//!
//! Rules and order of the built-in kinds are Argo CD's (its "Resource Health" documentation); the sentences are ours.
//! `Healthy` says nothing beside itself, so that a message that changes never costs a write of an unchanged status.
//!
//! Whatever other controllers wrote passes [`text::clean`] before it becomes a message: no control characters, 300
//! characters at most, no credentials in URLs. Environment variables and Secrets are read for one thing only: logs and events,
//! which may hold anything, pass [`Redaction`] before, which takes their values out.
//!
//! To add a kind: a file with one `assess`, a line in `table.rs`, fixtures in `fixtures/health/<group>/<Kind>/`.

mod aggregate;
mod api_service;
mod available;
mod cause;
pub mod check;
mod container;
mod cron_job;
mod custom_resource_definition;
mod daemon_set;
mod deployment;
mod evidence;
mod generic;
mod horizontal_pod_autoscaler;
mod image;
mod ingress;
mod job;
mod links;
mod members;
mod newest;
mod pending_deletion;
mod persistent_volume_claim;
mod pod;
mod pod_disruption_budget;
mod pod_trouble;
mod read;
mod redaction;
mod replica_set;
mod say;
mod service;
mod stateful_set;
mod stuck;
mod table;
pub mod text;
mod workflow;

pub use aggregate::aggregate;
pub use available::available;
pub use cause::{Cause, cause, explain};
pub use evidence::evidence;
pub use links::links;
pub use members::{Member, Members};
pub use redaction::{Redaction, secret_settings};
pub use stuck::{Stuck, stuck};
pub use table::assess;
