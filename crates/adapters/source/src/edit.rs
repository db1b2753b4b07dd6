//! How do a few files of a tree change, and nothing else of it?

use crate::differences::{Entry, FOLDER_MODE};
use crate::error::Fault;
use crate::size;
use git2::{ObjectType, Oid, Repository, TreeBuilder};
use std::collections::BTreeMap;

/// What is to stand at a path from the root; `None` takes away what does.
pub(crate) type Edits<'e> = BTreeMap<&'e [u8], Option<Entry>>;

/// Why a tree could not be edited.
pub(crate) enum Stopped {
    /// A folder stands where a file is to be, or a file where a folder is to be.
    InTheWay,
    /// Reading or writing failed.
    Fault(Fault),
}

impl<E: Into<Fault>> From<E> for Stopped {
    fn from(error: E) -> Self {
        Self::Fault(error.into())
    }
}

/// Writes a tree with these changes and returns it, and adds it and what it wrote below it to `written`. `None` is the tree
/// that nothing is left in: Git keeps no empty folders.
pub(crate) fn edit(
    repository: &Repository,
    base: Option<Oid>,
    edits: &Edits<'_>,
    written: &mut Vec<Oid>,
) -> Result<Option<Oid>, Stopped> {
    let base = base.map(|id| size::find_tree(repository, id)).transpose()?;
    let mut builder = repository.treebuilder(base.as_ref())?;
    let (here, below) = apart(edits);
    // First what goes: a file may have taken the place of a folder, or the other way round.
    for (name, _) in here.iter().filter(|(_, entry)| entry.is_none()) {
        if standing(&builder, name)?.is_some_and(|(_, is_folder)| !is_folder) {
            builder.remove(name.to_vec())?;
        }
    }
    for (name, edits) in &below {
        let standing = standing(&builder, name)?;
        if standing.is_some_and(|(_, is_folder)| !is_folder) {
            if edits.values().all(Option::is_none) {
                continue;
            }
            return Err(Stopped::InTheWay);
        }
        match edit(repository, standing.map(|(id, _)| id), edits, written)? {
            Some(folder) => drop(builder.insert(name.to_vec(), folder, FOLDER_MODE)?),
            None if standing.is_some() => builder.remove(name.to_vec())?,
            None => {}
        }
    }
    for (name, entry) in here.iter().filter_map(|(name, entry)| Some((name, (*entry)?))) {
        if standing(&builder, name)?.is_some_and(|(_, is_folder)| is_folder) {
            return Err(Stopped::InTheWay);
        }
        builder.insert(name.to_vec(), entry.id, entry.mode)?;
    }
    if builder.is_empty() {
        return Ok(None);
    }
    let tree = builder.write()?;
    written.push(tree);
    Ok(Some(tree))
}

/// Parts what concerns a folder itself from what concerns those in it.
fn apart<'e>(edits: &Edits<'e>) -> (Edits<'e>, BTreeMap<&'e [u8], Edits<'e>>) {
    let (mut here, mut below) = (Edits::new(), BTreeMap::<&[u8], Edits<'_>>::new());
    for (path, entry) in edits {
        match path.iter().position(|byte| *byte == b'/') {
            Some(end) => below.entry(&path[..end]).or_default().insert(&path[end + 1..], *entry),
            None => here.insert(*path, *entry),
        };
    }
    (here, below)
}

/// Returns what a tree has under a name so far, and whether it is a folder.
fn standing(builder: &TreeBuilder<'_>, name: &[u8]) -> Result<Option<(Oid, bool)>, git2::Error> {
    let entry = builder.get(name.to_vec())?;
    Ok(entry.map(|entry| (entry.id(), entry.kind() == Some(ObjectType::Tree))))
}
