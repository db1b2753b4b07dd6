//! Bytes to objects and problems, objects to text.
//!
//! ```text
//! file ──split──▶ documents ──compose──▶ nodes with places ──parse──▶ [Parsed] + [Problem]
//! [Parsed] of all files ──arrange──▶ namespaces set, duplicates gone, sorted ──desired_hash──▶ DesiredHash
//! ```
//!
//! What a scalar means is decided in `scalar.rs`, alone. Bad input never hides other bad input, and no message quotes a
//! value. Cases stand in `fixtures/manifest`; its `regenerate.sh` asks a real kubectl for the answers.

mod arrange;
mod compose;
mod desired;
mod files;
mod lines;
mod node;
mod normalise;
mod parse;
mod print;
mod quotes;
mod scalar;
mod split;
mod syntax;

pub use arrange::{Arranged, Scope, arrange};
pub use desired::desired_hash;
pub use files::{SourceType, is_manifest_file, needs_jsonnet, selects, source_type};
pub use lines::Lines;
pub use normalise::normalise;
pub use parse::{MAX_BYTES, Parsed, SKIP_MARKER, check_total_size, parse};
pub use print::to_yaml;
