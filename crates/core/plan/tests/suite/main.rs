//! Does planning compare, keep and delete what it should? One binary: the cases share their language.

mod compare;
mod prune;
mod words;
