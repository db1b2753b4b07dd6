//! Does the crate read real repositories, on disk and from a server, good ones and bad ones?

mod local;
mod remote;
mod support;
