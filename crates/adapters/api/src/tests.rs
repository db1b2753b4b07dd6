//! Does the whole edge answer as documented?

mod access;
mod client;
mod cluster;
mod costly;
mod floods;
mod hook_floods;
mod probes;
mod readme;
mod routes;
mod sessions;
mod slow_readers;
mod sockets;
mod sync;
mod tls;
mod webhook;
