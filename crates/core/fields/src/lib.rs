//! The managedFields algebra: paths, sets, ownership.
//!
//! ```text
//! metadata.managedFields ──managers──▶ [ManagerEntry { manager, operation, fields: FieldSet }]
//!                                                                    │
//!      object ──────────────▶ within / outside / covers / values_at ◀┘        keyed: list items by merge key
//! ```
//!
//! A [`FieldSet`] is a tree of [`Step`]s as `fieldsV1` writes them (structured-merge-diff's serialisation): `f:` a field,
//! `k:` a list item by its keys, `v:` a set item by its value, `i:` a list item by position, `.` the node itself.
//! No schema is at hand here: what a list is merged by shows in the `k:` and `v:` steps that its owners left behind.

pub mod keyed;
mod manager;
mod path;
mod set;
mod walk;
mod wire;

pub use manager::{ManagerEntry, Operation, managers, unreadable};
pub use path::{Key, Path, Scalar, Step};
pub use set::FieldSet;
