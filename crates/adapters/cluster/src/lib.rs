//! The Kubernetes API: discovery, reads, writes, watches, leases, events. The only crate that names kube.
//!
//! ```text
//!  Cluster ─┬─ discover ─▶ Discovery ─▶ Endpoint          (discovery, confirm, endpoint)
//!           ├─ get, apply, patch, create, delete           (objects)
//!           ├─ list ─▶ Overview                            (overview)
//!           ├─ watch ─▶ (WatchId, WatchEvent) …            (watch, list, stream, pieces, decode)
//!           ├─ hold_lease ─▶ Holding …                     (lease)
//!           ├─ event                                       (event)
//!           ├─ container_log, events_about                 (last_words)
//!           ├─ ask_service ─▶ Relayed                      (relay)
//!           └─ review_token, review_access                 (review)
//!                 │
//!  all of them ─▶ call ─▶ gate, permit, deadline, kube::Client::send ─▶ classify ─▶ CallError
//! ```
//!
//! Nothing is decided here but what HTTP and the watch protocol need: every failure comes back as a
//! [`model::CallError`] whose class tells the engine what follows. Bodies are never logged. kube's own log of failed
//! requests (target `kube_client::client::builder`) calls every 5xx an error; whoever sets up logging turns it off.

mod backoff;
mod call;
mod classify;
mod confirm;
mod connect;
mod decode;
mod discovery;
mod endpoint;
mod event;
mod gate;
mod last_words;
mod lease;
mod list;
mod objects;
mod overview;
mod pause;
mod permit;
mod pieces;
mod relay;
mod review;
mod share;
mod stream;
mod watch;

#[cfg(test)]
mod fake;

pub use backoff::spread;
pub use call::is_timeout;
pub use classify::{Content, classify};
pub use connect::{Access, Cluster};
pub use discovery::{Discovery, Scope};
pub use endpoint::Endpoint;
pub use event::{EventDraft, EventType, Regarding};
pub use gate::Priority;
pub use last_words::{LogOf, SeenEvent};
pub use lease::{Holding, LeaseHandle, LeaseSpec};
pub use objects::{Applied, ApplyOptions, DeleteOptions, Deleted, Propagation};
pub use overview::Overview;
pub use relay::ServicePort;
pub use review::Wish;
pub use watch::{Origin, WatchEvent, WatchHandle, WatchId, WatchSpec};
