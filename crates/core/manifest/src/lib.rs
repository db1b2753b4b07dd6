//! Bytes to objects and problems, objects to text.
//!
//! ```text
//! file ──split──▶ documents ──compose──▶ nodes with places ──parse──▶ [Parsed] + [Problem]
//! [Parsed] of all files ──arrange──▶ namespaces set, duplicates gone, sorted ──desired_hash──▶ DesiredHash
//! ```
//!
//! What a scalar means is decided in `scalar.rs`, alone. Bad input never hides other bad input.

mod compose;
mod files;
mod lines;
mod node;
mod parse;
mod scalar;
mod split;
mod syntax;

pub use files::{SourceType, is_manifest_file, needs_jsonnet, selects, source_type};
pub use lines::Lines;
pub use parse::{MAX_BYTES, Parsed, SKIP_MARKER, check_total_size, parse};
