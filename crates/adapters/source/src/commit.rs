//! What is said about a commit?

use crate::error::{Fault, Kind, SourceError, printable};
use crate::size;
use git2::{ErrorCode, ObjectType, Oid};
use model::{Revision, Timestamp};
use std::path::Path;

/// Commits that are looked at for the one that changed a file; further back nobody remembers.
const MOST_COMMITS: usize = 100_000;

/// What people read about a commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Commit {
    /// `Name <mail>`.
    pub author: String,
    /// First line of the message.
    pub message: String,
    /// When it was committed.
    pub time: Timestamp,
    /// The commits before it; none for a first one.
    pub parents: Vec<Revision>,
}

/// The longest commit or tag, in bytes: they are read as a whole.
const MAX_COMMIT: usize = 10_000_000;
/// How many annotated tags may stand before a commit.
const MAX_TAGS: usize = 10;

/// Finds a commit; the id of an annotated tag gives the commit behind it.
pub(crate) fn commit_of<'r>(
    repository: &'r git2::Repository,
    revision: &Revision,
) -> Result<git2::Commit<'r>, Fault> {
    let not_a_commit = || {
        let message = format!("{} is not a commit", revision.short());
        Fault::Source(SourceError::new(Kind::RevisionNotFound, message))
    };
    let mut oid = Oid::from_str(revision.as_str()).map_err(|_| not_a_commit())?;
    for _ in 0..MAX_TAGS {
        match size::check(repository, oid, MAX_COMMIT)? {
            ObjectType::Commit => return Ok(repository.find_commit(oid)?),
            ObjectType::Tag => oid = repository.find_tag(oid)?.target_id(),
            ObjectType::Any | ObjectType::Tree | ObjectType::Blob => return Err(not_a_commit()),
        }
    }
    Err(not_a_commit())
}

pub(crate) fn describe(repository: &git2::Repository, revision: &Revision) -> Result<Commit, Fault> {
    let commit = commit_of(repository, revision)?;
    let author = commit.author();
    let name = String::from_utf8_lossy(author.name_bytes()).into_owned();
    let mail = String::from_utf8_lossy(author.email_bytes()).into_owned();
    let message = String::from_utf8_lossy(commit.message_bytes()).into_owned();
    Ok(Commit {
        author: printable(&format!("{name} <{mail}>")),
        message: printable(message.trim_start().lines().next().unwrap_or_default()),
        time: Timestamp::from_millis(commit.time().seconds().saturating_mul(1000)),
        parents: commit.parent_ids().map(|id| Revision::new(id.to_string())).collect(),
    })
}

/// Completes the beginning of a SHA.
pub(crate) fn expand(repository: &git2::Repository, short: &str) -> Result<Revision, Fault> {
    match repository.find_object_by_prefix(short, Some(git2::ObjectType::Commit)) {
        Ok(object) => Ok(Revision::new(object.id().to_string())),
        Err(error) if error.code() == ErrorCode::NotFound => Err(Fault::Missing),
        Err(error) if matches!(error.code(), ErrorCode::Ambiguous | ErrorCode::InvalidSpec) => {
            let message = format!("{short:?} names no single commit");
            Err(SourceError::new(Kind::RevisionNotFound, message).help("write more digits of the SHA").into())
        }
        Err(error) => Err(error.into()),
    }
}

/// Finds the commit that last changed a file, as `git log` does: of several parents one that holds the same is followed.
pub(crate) fn last_change(
    repository: &git2::Repository,
    revision: &Revision,
    path: &str,
) -> Result<Revision, Fault> {
    let file = |commit: &git2::Commit<'_>| {
        commit.tree().ok().and_then(|tree| tree.get_path(Path::new(path)).ok()).map(|entry| entry.id())
    };
    let mut commit = commit_of(repository, revision)?;
    let wanted = file(&commit);
    for _ in 0..MOST_COMMITS {
        let Some(same) = commit.parents().find(|parent| file(parent) == wanted) else { break };
        commit = same;
    }
    Ok(Revision::new(commit.id().to_string()))
}

/// Returns whether `ancestor` is `descendant` or comes before it.
pub(crate) fn is_ancestor(
    repository: &git2::Repository,
    ancestor: &Revision,
    descendant: &Revision,
) -> Result<bool, Fault> {
    let descendant = commit_of(repository, descendant)?.id();
    // A commit that is not here is in the history of none that is.
    let ancestor = match commit_of(repository, ancestor) {
        Err(Fault::Missing) => return Ok(false),
        other => other?.id(),
    };
    Ok(ancestor == descendant || repository.graph_descendant_of(descendant, ancestor)?)
}
