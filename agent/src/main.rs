//! The `tautline` program: a GitOps agent and its tools.
//!
//! ```text
//! main ── cli (what was asked for) ──▶ run (start, stop) ──▶ agent (the loop) ──▶ effects, writer, watching, comparing
//!                                  └─▶ tools (crd, health), rendering (render): no agent, results on stdout
//! ```

mod adopting;
mod agent;
mod applications;
mod apply;
mod apps;
mod argo_cd;
mod cache;
mod cascade;
mod checking;
mod cli;
mod clock;
mod comparing;
mod config;
mod configuring;
mod content;
mod culprit;
mod declared;
mod defined;
mod desired;
mod discovering;
mod dry_runs;
mod effects;
mod exit;
mod exposition;
mod facts;
mod fit;
#[cfg(test)]
mod harness;
mod hiding;
mod http;
mod idle_kinds;
mod input;
mod judge;
mod keeping;
mod kinds;
mod known_hosts;
mod live;
mod log_queue;
mod logs;
mod look_up;
mod metrics;
mod moving;
mod open_files;
mod owning;
mod parameters;
mod polling;
mod probes;
mod recall;
mod refreshing;
mod refusal;
mod releases;
mod rendering;
mod repo;
mod reverting;
mod reviews;
mod run;
mod settings;
mod sight;
mod sources;
mod stages;
mod status;
mod stored;
mod sweeping;
mod take_in;
mod takeover;
mod tell;
mod tools;
mod undecided;
mod unread;
mod unreadable;
mod waits;
mod wanted;
mod watching;
mod webhooks;
mod workloads;
mod writer;
mod writing;

use std::process::ExitCode;

fn main() -> ExitCode {
    // Before there is any other thread. Where it cannot be set, more memory is held than is used, and all else is as ever.
    let _is_shared = heap::share_one();
    // One TLS provider for the whole process, before anything connects.
    if rustls::crypto::ring::default_provider().install_default().is_err() {
        return ExitCode::from(exit::OTHER);
    }
    let code = cli::main();
    // What is not written by then, nobody reads.
    let _is_written = logs::flush();
    code
}
