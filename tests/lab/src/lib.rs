//! A real control plane on loopback for tests and for people.
