//! What does an end-to-end test need? A place of its own in the lab's cluster, repositories, and agents.
//!
//! ```text
//! Scene ─┬─ repo("shop") ─▶ Repo          a Git repository that the agent may read       (repo)
//!        ├─ application("shop") ─▶ …       an Application, made in words                  (application)
//!        ├─ agent() ─▶ Agent               the real program, its log, its two listeners   (agent, http, program)
//!        ├─ tautline(&["app", "list"]) ─▶ Told   what the command line prints, and its exit code    (cli)
//!        ├─ install_account, grant ─▶ …    the rights of an agent that may not do everything   (account)
//!        ├─ edit_as, apply_as ─▶ …         other people and tools, by their field managers      (hands)
//!        ├─ Proxy ─▶ Rule, Entry               faults between an agent and the API server, and what was asked      (proxy)
//!        ├─ TlsFront                           what a proxy shows by TLS, with certificates that are replaced    (tls_front)
//!        ├─ rig ─▶ Scenario, Case              stories, each told with every fault                                (rig)
//!        ├─ HeldUp                          objects that the API server takes long over              (held_up)
//!        ├─ GitServer, Webhook ─▶ …        servers on 127.0.0.1, plain or by TLS      (git_server, webhook, server)
//!        └─ wait_app, wait_object, get …   the cluster as an administrator sees it        (scene, kube)
//! ```
//!
//! A test, whole:
//!
//! ```no_run
//! use e2e::{Scene, config_map};
//!
//! let scene = Scene::new("guestbook");
//! let repo = scene.repo("shop");
//! repo.write("app/web.yaml", &config_map("web", "one"));
//! let revision = repo.commit("first");
//! scene.application("shop").repo(&repo).path("app").automated().create();
//! let _agent = scene.agent();
//! scene.wait_app("shop", |app| e2e::is_synced_to(app, &revision));
//! assert_eq!(scene.get("v1", "ConfigMap", &scene.namespace, "web").unwrap()["data"]["key"], "one");
//! ```
//!
//! - The lab is shared by the tests of a process ([`lab::shared`]); each scene has a control namespace and an app
//!   namespace of its own, and an agent sees only its control namespace, so tests run side by side. Objects without a
//!   namespace need names of their own: [`Scene::unique`]. What others would notice happens in a lab of its own:
//!   [`Scene::alone`]. `tests/suite/main.rs` says what belongs where; `cargo test -p e2e --test suite deploy::` runs one file.
//! - Nothing sleeps: what is expected is watched for, with a deadline ([`DEADLINE`]) after which the test fails with the
//!   last state seen. To show that something does *not* happen, let something else happen after it (a second app's sync)
//!   and compare [`Agent::requests`] before and after.
//! - A failing test prints the logs of its agents.
//! - No agent may tell a secret. Its log has the level `debug`; at the end of a scene everything that its agents said,
//!   answered and wrote is searched for each value of each Secret that its namespaces ever held, for the agents' own
//!   tokens, and for what a test adds to [`Scene::canaries`]. What is found fails the test (canary, sweep).

mod account;
mod agent;
mod application;
mod canary;
mod cli;
mod git_server;
mod hands;
mod held_up;
mod http;
mod kube;
mod log;
mod place;
mod program;
mod proxy;
mod repo;
pub mod rig;
mod scene;
mod server;
mod sweep;
mod tls_front;
mod webhook;
mod words;

pub use agent::{Agent, Settings, unread};
pub use application::Application;
pub use canary::Canaries;
pub use cli::Told;
pub use git_server::{GitFault, GitServer, GitStep};
pub use held_up::HeldUp;
pub use http::{Answer, Lines, try_get};
pub use kube::DEADLINE;
pub use program::program;
pub use proxy::{Asked, Entry, Fault, Proxy, Refusal, Rule, Verb};
pub use repo::Repo;
pub use scene::{ANYTHING, Scene};
pub use tls_front::TlsFront;
pub use webhook::Webhook;
pub use words::{
    condition, config_map, is_condemned, is_synced_to, operation_message, operation_phase, result_of,
    retries, settled, sync_status,
};
