//! Does the crate read real repositories, on disk and from a server, good ones and bad ones?

mod cache;
mod content;
mod local;
mod remote;
mod secrecy;
mod support;
mod watch;
