//! Is the lab what its documentation promises? One lab for all files, and some of their own.

mod cluster;
mod command;
mod pods;
mod trying;
mod workloads;
