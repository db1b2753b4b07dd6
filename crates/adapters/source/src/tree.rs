//! What stands at a path of a commit, links followed?

use crate::error::{Fault, Kind, SourceError};
use crate::trees::Trees;
use git2::{ObjectType, Oid, Repository, TreeEntry};
use std::collections::VecDeque;

/// Mode of an entry that is a symbolic link.
const LINK_MODE: i32 = 0o120_000;
/// As Linux: longer chains of links count as a cycle.
pub(crate) const MAX_LINKS: usize = 40;
/// As Linux: the longest text of a link.
const MAX_LINK_TEXT: usize = 4096;

/// A folder on the way down, without links.
#[derive(Clone, Debug)]
pub(crate) struct Dir {
    pub name: String,
    pub tree: Oid,
}

/// What a path leads to.
#[derive(Debug)]
pub(crate) enum Found {
    /// A folder: the way to it from the root, which is the first.
    Folder(Vec<Dir>),
    /// A file: its blob and its path from the root.
    File(Oid, String),
    /// A submodule.
    Submodule,
    /// Nothing.
    Nothing,
    /// The path leads out of the repository; the text of the link that does it.
    Outside(String),
    /// Links that lead to each other.
    Cycle,
}

/// What an entry of a tree is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EntryKind {
    Folder,
    File,
    Link,
    Submodule,
}

pub(crate) fn kind_of(entry: &TreeEntry<'_>) -> EntryKind {
    match entry.kind() {
        Some(ObjectType::Tree) => EntryKind::Folder,
        Some(ObjectType::Commit) => EntryKind::Submodule,
        _ if entry.filemode() == LINK_MODE => EntryKind::Link,
        _ => EntryKind::File,
    }
}

/// Follows `path` from the last of `dirs`.
pub(crate) fn follow(
    repository: &Repository,
    trees: &Trees,
    mut dirs: Vec<Dir>,
    path: &str,
) -> Result<Found, Fault> {
    let mut parts: VecDeque<String> = path.split('/').map(str::to_owned).collect();
    let mut last_link = path.to_owned();
    let mut n_links = 0;
    while let Some(part) = parts.pop_front() {
        match part.as_str() {
            "" | "." => continue,
            ".." if dirs.len() == 1 => return Ok(Found::Outside(last_link)),
            ".." => {
                dirs.pop();
                continue;
            }
            _ => {}
        }
        let Some(dir) = dirs.last() else { return Ok(Found::Nothing) };
        let found = trees.entry(repository, dir.tree, part.as_bytes())?;
        let Some((id, kind)) = found else { return Ok(Found::Nothing) };
        match kind {
            EntryKind::Folder => dirs.push(Dir { name: part, tree: id }),
            EntryKind::Submodule => return Ok(Found::Submodule),
            EntryKind::File if parts.iter().any(|part| !part.is_empty()) => return Ok(Found::Nothing),
            EntryKind::File => return Ok(Found::File(id, join(&path_of(&dirs), &part))),
            EntryKind::Link => {
                n_links += 1;
                if n_links > MAX_LINKS {
                    return Ok(Found::Cycle);
                }
                let Some(text) = link_text(repository, id)? else { return Ok(Found::Nothing) };
                if text.starts_with('/') {
                    return Ok(Found::Outside(text));
                }
                text.rsplit('/').for_each(|part| parts.push_front(part.to_owned()));
                last_link = text;
            }
        }
    }
    Ok(Found::Folder(dirs))
}

/// Returns the way to the root of a commit.
pub(crate) fn root(tree: Oid) -> Vec<Dir> {
    vec![Dir { name: String::new(), tree }]
}

/// Returns the path of a folder from the root; empty for the root.
pub(crate) fn path_of(dirs: &[Dir]) -> String {
    dirs.iter().skip(1).map(|dir| dir.name.as_str()).collect::<Vec<_>>().join("/")
}

pub(crate) fn join(folder: &str, name: &str) -> String {
    if folder.is_empty() { name.to_owned() } else { format!("{folder}/{name}") }
}

fn link_text(repository: &Repository, id: Oid) -> Result<Option<String>, Fault> {
    let (size, _) = repository.odb()?.read_header(id)?;
    if size > MAX_LINK_TEXT {
        return Ok(None);
    }
    Ok(String::from_utf8(repository.find_blob(id)?.content().to_vec()).ok())
}

/// Refuses names that are fine in a tree object and dangerous as files.
pub(crate) fn check_name(dirs: &[Dir], name: &[u8]) -> Result<(), SourceError> {
    let is_git = name.eq_ignore_ascii_case(b".git");
    if name.is_empty() || name == b".." || name == b"." || is_git || name.iter().any(|b| b"/\\".contains(b)) {
        let path = join(&path_of(dirs), &String::from_utf8_lossy(name));
        let message = format!("the commit holds an entry with a forbidden name, {path:?}");
        return Err(SourceError::new(Kind::Invalid, message)
            .help("names may not be `.`, `..` or `.git` and may not hold slashes"));
    }
    Ok(())
}
