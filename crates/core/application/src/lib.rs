//! What an Application asks for, and what its status answers.
//!
//! ```text
//! raw JSON ──read──▶ model::App            raw JSON + Draft ──status::patch──▶ merge patch, or nothing
//!          ──Project::read──▶ Project ──permits──▶ yes, or the rule that says no
//! wire types ──crd──▶ manifests/crds       ──install──▶ manifests/install.yaml
//! ```
//!
//! Wire types live here and nowhere else; the rest of the core sees `model`.

pub mod condition;
pub mod crd;
pub mod duration;
mod findings;
mod honoured;
pub mod install;
mod object;
mod options;
mod project;
mod read;
mod repo;
mod schema;
pub mod state;
pub mod status;
pub mod wire;

pub use object::object_not_yet;
pub use project::{Project, project_not_yet};
pub use read::{
    IN_CLUSTER_NAME, IN_CLUSTER_SERVER, app_key, asked, deletion, read, refresh, release_request, requests,
    skips_reconcile,
};
pub use repo::{normalise as normalise_repo_url, without_credentials};
pub use state::State;
