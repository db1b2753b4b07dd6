//! Whose are the fields of a live object, seen from us?

use fields::{FieldSet, ManagerEntry, Path, Step, managers};
use model::{Object, names};
use serde_json::Value;

/// The readable entries of a live object, sorted by what they are to us.
pub(crate) struct Ownership {
    /// All of them.
    pub(crate) entries: Vec<ManagerEntry>,
    /// Everything that anybody owns: what lists are paired by.
    pub(crate) all: FieldSet,
}

impl Ownership {
    /// Reads the entries of a live object.
    pub(crate) fn of(live: &Object) -> Self {
        let entries = managers(live);
        let mut all = FieldSet::default();
        for entry in &entries {
            all.extend(&entry.fields);
        }
        Self { entries, all }
    }

    /// Returns the entry that our last apply wrote, whatever its version.
    pub(crate) fn own_entry(&self) -> Option<&ManagerEntry> {
        self.entries.iter().find(|entry| entry.is_apply_of(names::FIELD_MANAGER))
    }

    /// Returns what our last apply took, when it spoke the given version.
    pub(crate) fn own(&self, api_version: &str) -> Option<&FieldSet> {
        self.own_entry().filter(|entry| entry.api_version == api_version).map(|entry| &entry.fields)
    }

    /// Returns who wrote a field: others before us, and the newest of them.
    pub(crate) fn writer(&self, path: &Path) -> Option<&ManagerEntry> {
        let is_other = |entry: &ManagerEntry| entry.manager != names::FIELD_MANAGER;
        self.entries.iter().filter(|entry| entry.owns(path)).max_by_key(|entry| (is_other(entry), entry.time))
    }
}

/// Returns the members of `whole` outside `desired` that something hangs on: leaves, and items of lists, the topmost only.
/// That a manager also owns the map or list around them says nothing once they are gone.
pub(crate) fn beyond(whole: &FieldSet, desired: &Value) -> Vec<Path> {
    let mut found: Vec<Path> = Vec::new();
    for path in whole.outside(desired).members() {
        let is_item = !matches!(path.0.last(), Some(Step::Field(_)) | None);
        let hangs_on_it = is_item || whole.at(&path).is_some_and(FieldSet::is_leaf);
        if hangs_on_it && !found.last().is_some_and(|above| path.starts_with(above)) {
            found.push(path);
        }
    }
    found
}
