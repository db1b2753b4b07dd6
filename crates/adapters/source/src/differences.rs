//! Which files of a folder are not the same in two commits?

use crate::error::{Fault, Kind, SourceError};
use crate::listing::{MAX_DEPTH, MAX_ENTRIES};
use crate::pool::Token;
use crate::size;
use crate::tree;
use git2::{ObjectType, Oid, Repository};
use std::collections::BTreeMap;

/// What stands at a path that is no folder: a file, a link, a submodule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub id: Oid,
    /// What of these it is, and whether it can be run.
    pub mode: i32,
}

/// Mode of a submodule, which is no file.
const SUBMODULE_MODE: i32 = 0o160_000;
/// Mode of a folder.
pub(crate) const FOLDER_MODE: i32 = 0o040_000;

/// What stood at a path, and what stands there now.
pub(crate) type Change = [Option<Entry>; 2];

/// By path from the folder, as it stands in the trees: it need not be text.
pub(crate) type Changes = BTreeMap<Vec<u8>, Change>;

/// Compares two folders, of which either may be absent. What is the same in both is not looked at.
pub(crate) fn between(
    repository: &Repository,
    folders: [Option<Oid>; 2],
    recurse: bool,
    token: &Token,
) -> Result<Changes, Fault> {
    let mut changes = Changes::new();
    let mut n_entries = 0;
    let mut waiting = vec![(Vec::new(), folders, 1)];
    while let Some((path, folders, depth)) = waiting.pop() {
        token.check()?;
        for (name, pair) in names(repository, folders)? {
            n_entries += 1;
            if n_entries > MAX_ENTRIES || depth > MAX_DEPTH {
                let message = "the folder holds too many files or folders";
                return Err(SourceError::new(Kind::TooLarge, message).into());
            }
            let path = joined(&path, &name);
            let folder = |entry: Option<Entry>| Some(entry?.id).filter(|_| is_folder(entry));
            let below = pair.map(folder);
            if recurse && below[0] != below[1] {
                waiting.push((path.clone(), below, depth + 1));
            }
            let other = pair.map(|entry| entry.filter(|_| !is_folder(entry)));
            let is_file = other.iter().flatten().any(|entry| entry.mode != SUBMODULE_MODE);
            if is_file && other[0] != other[1] {
                changes.insert(path, other);
            }
        }
    }
    Ok(changes)
}

fn is_folder(entry: Option<Entry>) -> bool {
    entry.is_some_and(|entry| entry.mode == FOLDER_MODE)
}

/// Puts the entries of two folders side by side.
fn names(
    repository: &Repository,
    folders: [Option<Oid>; 2],
) -> Result<BTreeMap<Vec<u8>, [Option<Entry>; 2]>, Fault> {
    let mut names = BTreeMap::<Vec<u8>, [Option<Entry>; 2]>::new();
    for (place, folder) in folders.into_iter().enumerate() {
        let Some(folder) = folder else { continue };
        for entry in &size::find_tree(repository, folder)? {
            tree::check_name(&[], entry.name_bytes())?;
            let mode = if entry.kind() == Some(ObjectType::Tree) { FOLDER_MODE } else { entry.filemode() };
            names.entry(entry.name_bytes().to_vec()).or_default()[place] =
                Some(Entry { id: entry.id(), mode });
        }
    }
    Ok(names)
}

/// Appends a name to a path.
pub(crate) fn joined(path: &[u8], name: &[u8]) -> Vec<u8> {
    if path.is_empty() { name.to_vec() } else { [path, b"/", name].concat() }
}
