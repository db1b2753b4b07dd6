//! Does the crate read real repositories, on disk and from a server, good ones and bad ones?
#![expect(clippy::unwrap_used, reason = "clippy allows it in test functions only, not in what they call")]

mod cache;
mod content;
mod disk;
mod github;
mod hostile;
mod local;
mod remote;
mod revert;
mod secrecy;
mod ssh;
mod support;
mod watch;
