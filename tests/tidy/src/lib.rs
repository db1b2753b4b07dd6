//! What should a reviewer not have to check by hand? The tests of this package; here is what they look through.

mod documents;
mod markers;
mod program;
mod tree;

pub use documents::{console_blocks, named_paths, table_rows};
pub use markers::{Marked, marked};
pub use program::{Output, program, tautline};
pub use tree::{File, files, root};
