//! What stands in a folder that many apps' paths lead through?
//!
//! libgit2 keeps no tree of more than 4 KiB (`git_cache__max_object_size`), so that the folder that holds a thousand apps
//! would be unpacked and read anew for each of them. Trees never change, so what was read once is right for ever.

use crate::error::Fault;
use crate::size;
use crate::tree::{EntryKind, kind_of};
use git2::{Oid, Repository};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Smaller trees are read as quickly as they are looked up.
const LARGE: usize = 64;
/// Entries that are remembered in all, at about a hundred bytes each.
const MOST: usize = 20_000;

type Names = BTreeMap<Box<[u8]>, (Oid, EntryKind)>;

/// Trees that were read.
#[derive(Debug, Default)]
pub(crate) struct Trees(Mutex<Memory>);

#[derive(Debug, Default)]
struct Memory {
    known: BTreeMap<Oid, Arc<Names>>,
    n_entries: usize,
}

impl Trees {
    /// Returns what a tree has under a name.
    pub(crate) fn entry(
        &self,
        repository: &Repository,
        tree: Oid,
        name: &[u8],
    ) -> Result<Option<(Oid, EntryKind)>, Fault> {
        if let Some(names) = self.get(tree) {
            return Ok(names.get(name).copied());
        }
        let found = size::find_tree(repository, tree)?;
        if found.len() > LARGE && found.len() <= MOST {
            let names =
                found.iter().map(|entry| (Box::from(entry.name_bytes()), (entry.id(), kind_of(&entry))));
            self.remember(tree, names.collect());
        }
        Ok(found.get_name_bytes(name).map(|entry| (entry.id(), kind_of(&entry))))
    }

    fn get(&self, tree: Oid) -> Option<Arc<Names>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).known.get(&tree).cloned()
    }

    fn remember(&self, tree: Oid, names: Names) {
        let mut memory = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if memory.n_entries + names.len() > MOST {
            *memory = Memory::default();
        }
        memory.n_entries += names.len();
        if let Some(old) = memory.known.insert(tree, Arc::new(names)) {
            // Somebody else read it at the same time.
            memory.n_entries -= old.len();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(repository: &Repository, n: usize, mark: &str) -> Oid {
        let blob = repository.blob(mark.as_bytes()).unwrap();
        let mut builder = repository.treebuilder(None).unwrap();
        for i in 0..n {
            builder.insert(format!("f{i}"), blob, 0o100_644).unwrap();
        }
        builder.write().unwrap()
    }

    #[test]
    fn large_trees_are_remembered_within_bounds() {
        let folder = tempfile::tempdir().unwrap();
        let repository = Repository::init_bare(folder.path()).unwrap();
        let trees = Trees::default();
        let kind =
            |tree, name: &str| trees.entry(&repository, tree, name.as_bytes()).unwrap().map(|(_, kind)| kind);
        let (small, large) = (tree(&repository, 3, "s"), tree(&repository, 15_000, "l"));
        for _ in 0..2 {
            assert_eq!(kind(small, "f2"), Some(EntryKind::File));
            assert_eq!(kind(large, "f14999"), Some(EntryKind::File));
            assert_eq!(kind(large, "f15000"), None);
        }
        let known = || trees.0.lock().unwrap().known.keys().copied().collect::<Vec<_>>();
        assert_eq!(known(), [large]);
        let other = tree(&repository, 6_000, "o");
        assert_eq!(kind(other, "f0"), Some(EntryKind::File));
        assert_eq!(known(), [other]);
        assert_eq!(kind(large, "f7"), Some(EntryKind::File));
    }
}
