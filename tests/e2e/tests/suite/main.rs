//! Does the agent do what it says, on a real control plane?
//!
//! All files share one lab, and their tests run side by side: more of them than there are cores, for they mostly wait. So a test
//! - names what has no namespace by `Scene::unique`, and has webhooks and policies look at nothing but its own label or namespace;
//! - counts by its own agent's metrics, never by those of the API server, and knows that others install kinds meanwhile;
//! - takes `Scene::alone`, a lab of its own for some seconds of work, where others would notice what it does: servers that stop,
//!   groups that do not answer, kinds that cannot be read, the CRDs of Applications replaced;
//! - waits for what it expects for `e2e::DEADLINE`, and asserts no less than a busy machine keeps.
//!
//! Beside it stand programs whose tests need the machine for themselves: `faults`, which plays many cases at a time, and `kill`,
//! whose crashes have to meet a sync that it has timed before.

mod access;
mod adoption_tools;
mod api_costs;
mod api_group;
mod api_managed;
mod api_stream;
mod api_sync;
mod api_tls;
mod api_wait;
mod api_webhook;
mod argo_cd;
mod authority;
mod breaking_config;
mod canaries;
mod checks;
mod children;
mod cli_app;
mod cli_interrupted;
mod cli_plan;
mod cli_server;
mod cli_shell;
mod cli_wait;
mod cli_why;
mod credentials;
mod culprit;
mod deferral;
mod definitions;
mod deletion;
mod deploy;
mod discovery;
mod disk;
mod drift_edits;
mod drift_replaced;
mod drift_secrets;
mod drift_shapes;
mod drift_webhook;
mod edges;
mod evidence;
mod exposed;
mod forms;
mod frozen;
mod git_faults;
mod going;
mod hanging;
mod health;
mod held_back;
mod hostile;
mod input;
mod kinds;
mod large;
mod lasting;
mod loop_cases;
mod loop_ends;
mod manual;
mod open_files;
mod outage;
mod pods;
mod project;
mod prune;
mod readonly;
mod refresh;
mod refusals;
mod release_gone;
mod releases;
mod restart;
mod restored;
mod reverted;
mod rights;
mod rollback;
mod rollback_settings;
mod sight;
mod sigterm;
mod sinks;
mod ssh;
mod stateful;
mod takeover;
mod tenant;
mod tls;
mod token_flood;
mod told;
mod two_writers;
mod undecided;
mod versions;
mod waves;
mod writer;
