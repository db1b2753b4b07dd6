//! Does the whole edge answer as documented?

mod probes;
mod routes;
mod sockets;
mod sync;
mod webhook;
