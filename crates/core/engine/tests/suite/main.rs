//! Does the engine decide as it should? One binary: stories, all pairs of state and event, replays and random logs
//! share their language.

mod clock;
mod invariants;
mod pairs;
mod random;
mod replay;
mod stories;
mod waiting;
mod words;
mod world;
