//! Is an object small enough to be read as a whole? A pack holds gigabytes of one letter in a few kilobytes.

use crate::error::{Fault, Kind, SourceError};
use git2::{ErrorCode, ObjectType, Oid, Repository};

/// The largest tree, in bytes: more than the entries that one read looks at.
pub(crate) const MAX_TREE: usize = 64_000_000;

/// Returns what an object is, if it has at most so many bytes; only its head is read.
pub(crate) fn check(repository: &Repository, id: Oid, most: usize) -> Result<ObjectType, Fault> {
    let (size, kind) = match repository.odb()?.read_header(id) {
        Err(error) if error.code() == ErrorCode::NotFound => return Err(Fault::Missing),
        other => other?,
    };
    if size <= most {
        return Ok(kind);
    }
    let id: String = id.to_string().chars().take(7).collect();
    let message = format!("{kind} {id} has {size} bytes; the limit is {most} bytes");
    Err(SourceError::new(Kind::TooLarge, message).into())
}

/// Finds a tree that is small enough.
pub(crate) fn find_tree(repository: &Repository, id: Oid) -> Result<git2::Tree<'_>, Fault> {
    match check(repository, id, MAX_TREE) {
        // A commit whose tree is not there is damaged, which the look at it says.
        Ok(_) | Err(Fault::Missing) => Ok(repository.find_tree(id)?),
        Err(fault) => Err(fault),
    }
}
