//! Which files does a folder of a commit hold, and by what are they known?

use crate::commit::commit_of;
use crate::error::{Fault, Kind, SourceError};
use crate::pool::Token;
use crate::size;
use crate::tree::{self, Dir, EntryKind, Found};
use crate::trees::Trees;
use git2::{Oid, Repository};
use model::Revision;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// A folder to read.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Folder {
    /// Path from the repository's root; empty for the root.
    pub path: String,
    /// With all folders below it.
    pub recurse: bool,
}

/// What was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listing {
    /// Equal for equal content of the folder, in whatever commit: object ids, those that links lead to among them.
    pub inputs: String,
    /// The selected files, sorted by path.
    pub files: Vec<File>,
    /// Names of everything directly in the folder, sorted: they tell which tool it is for.
    pub root_names: Vec<String>,
}

/// One file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// Path from the repository's root, as the commit names it.
    pub path: String,
    /// Object id of its content.
    pub id: String,
    /// Its content.
    pub bytes: Vec<u8>,
    /// For a link: the path from the root of the file that it leads to, which is in the repository.
    pub link: Option<String>,
}

/// How much one read may bring.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub max_total: u64,
    pub max_blob: u64,
}

/// How much was selected so far, and how much may be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Selection {
    limits: Limits,
    total: u64,
}

impl Selection {
    fn within(limits: Limits) -> Self {
        Self { limits, total: 0 }
    }

    /// Counts a file in.
    pub(crate) fn add(&mut self, path: &str, size: u64) -> Result<(), SourceError> {
        if size > self.limits.max_blob {
            return Err(too_large(&format!("file {path:?} has {size} bytes"), self.limits.max_blob));
        }
        self.total = self.total.saturating_add(size);
        if self.total > self.limits.max_total {
            return Err(too_large("the manifests together are too large", self.limits.max_total));
        }
        Ok(())
    }
}

impl Default for Selection {
    fn default() -> Self {
        Self::within(Limits { max_total: MAX_TOTAL, max_blob: MAX_BLOB })
    }
}

/// The limits where nobody sets others.
pub(crate) const MAX_TOTAL: u64 = 10_000_000;
pub(crate) const MAX_BLOB: u64 = 10_000_000;
/// Entries that one read looks at: a few nested trees of a kilobyte can spell out more than any disk holds.
pub(crate) const MAX_ENTRIES: usize = 500_000;
pub(crate) const MAX_DEPTH: usize = 200;
/// Folders whose inputs are remembered.
const MAX_REMEMBERED: usize = 20_000;

/// What is remembered of trees, which never change.
#[derive(Debug, Default)]
pub(crate) struct Known {
    trees: Trees,
    linkless: Linkless,
}

/// Inputs of folders without links: there the folder's own tree decides, in whatever commit it stands.
#[derive(Debug, Default)]
struct Linkless(Mutex<BTreeMap<(Oid, bool), String>>);

impl Linkless {
    fn get(&self, tree: Oid, recurse: bool) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&(tree, recurse)).cloned()
    }

    fn insert(&self, tree: Oid, recurse: bool, inputs: String) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MAX_REMEMBERED {
            known.clear();
        }
        known.insert((tree, recurse), inputs);
    }
}

/// Reads the files that `filter` selects by their path relative to the folder.
pub(crate) fn read(
    repository: &Repository,
    (revision, folder): (&Revision, &Folder),
    (known, limits): (&Known, Limits),
    token: &Token,
    filter: &dyn Fn(&str) -> bool,
) -> Result<Listing, Fault> {
    let dirs = locate(repository, known, revision, folder)?;
    let walk = Walk::run(repository, known, dirs, folder, token)?;
    let selected: Vec<&Item> =
        walk.items.iter().filter(|item| item.blob.is_some() && filter(&item.relative)).collect();
    let odb = repository.odb()?;
    let mut selection = Selection::within(limits);
    for item in &selected {
        let Some(blob) = item.blob else { continue };
        selection.add(&item.relative, odb.read_header(blob)?.0 as u64)?;
    }
    let mut files = Vec::with_capacity(selected.len());
    for item in selected {
        token.check()?;
        files.extend(item.load(repository, &folder.path)?);
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(Listing { inputs: walk.inputs(folder), files, root_names: walk.root_names })
}

/// Returns what identifies a folder's content, at the cost of looking up its path wherever that is enough.
pub(crate) fn inputs(
    repository: &Repository,
    (revision, folder): (&Revision, &Folder),
    known: &Known,
    token: &Token,
) -> Result<String, Fault> {
    let dirs = locate(repository, known, revision, folder)?;
    if let Some(inputs) = dirs.last().and_then(|dir| known.linkless.get(dir.tree, folder.recurse)) {
        return Ok(inputs);
    }
    let walk = Walk::run(repository, known, dirs, folder, token)?;
    let inputs = walk.inputs(folder);
    if !walk.has_links() {
        known.linkless.insert(walk.tree, folder.recurse, inputs.clone());
    }
    Ok(inputs)
}

fn locate(
    repository: &Repository,
    known: &Known,
    revision: &Revision,
    folder: &Folder,
) -> Result<Vec<Dir>, Fault> {
    let commit = commit_of(repository, revision)?;
    find_folder(repository, known, commit.tree_id(), (&folder.path, revision))
}

/// Finds the way to a folder, links followed, from the root of a commit or of what is about to become one.
pub(crate) fn find_folder(
    repository: &Repository,
    known: &Known,
    root: Oid,
    (path, revision): (&str, &Revision),
) -> Result<Vec<Dir>, Fault> {
    let error = |kind: Kind, message: String| Err(Fault::Source(SourceError::new(kind, message)));
    if path.starts_with('/') || path.contains(['\\', '\0']) || path.split('/').any(|part| part == "..") {
        return error(Kind::Invalid, format!("path {path:?} is not a path inside the repository"));
    }
    match tree::follow(repository, &known.trees, tree::root(root), path)? {
        Found::Folder(dirs) => Ok(dirs),
        Found::File(..) => error(Kind::PathNotFound, format!("path {path:?} is a file, not a folder")),
        Found::Submodule => {
            error(Kind::Invalid, format!("path {path:?} is a submodule, which is not supported"))
        }
        Found::Nothing => {
            error(Kind::PathNotFound, format!("there is no folder {path:?} in commit {}", revision.short()))
        }
        Found::Outside(text) => Err(outside(path, &text).into()),
        Found::Cycle => Err(cycle(path).into()),
    }
}

/// One file or link found on the way.
struct Item {
    relative: String,
    is_text: bool,
    /// The content; `None` for a link that leads to a folder, a submodule or nothing.
    blob: Option<Oid>,
    link: Option<String>,
    entry: Oid,
}

impl Item {
    fn load(&self, repository: &Repository, folder: &str) -> Result<Option<File>, Fault> {
        let path = tree::join(folder.trim_matches('/'), &self.relative);
        if !self.is_text {
            let message = format!("the name of file {path:?} is not UTF-8");
            return Err(SourceError::new(Kind::Invalid, message).into());
        }
        let Some(blob) = self.blob else { return Ok(None) };
        let bytes = repository.find_blob(blob)?.content().to_vec();
        Ok(Some(File { path, id: blob.to_string(), bytes, link: self.link.clone() }))
    }
}

/// A folder that is being looked at.
struct Here {
    dirs: Vec<Dir>,
    relative: String,
    /// Whether all names down to here are UTF-8.
    is_text: bool,
}

/// A folder to look at later.
struct Below {
    parent: Arc<Here>,
    name: String,
    is_text: bool,
    tree: Oid,
}

struct Walk<'a> {
    repository: &'a Repository,
    known: &'a Known,
    token: &'a Token,
    recurse: bool,
    tree: Oid,
    items: Vec<Item>,
    root_names: Vec<String>,
    n_entries: usize,
}

impl<'a> Walk<'a> {
    fn run(
        repository: &'a Repository,
        known: &'a Known,
        dirs: Vec<Dir>,
        folder: &Folder,
        token: &'a Token,
    ) -> Result<Self, Fault> {
        let tree = dirs.last().map_or_else(|| Oid::ZERO_SHA1, |dir| dir.tree);
        let (items, root_names) = (Vec::new(), Vec::new());
        let mut walk =
            Self { repository, known, token, recurse: folder.recurse, tree, items, root_names, n_entries: 0 };
        let mut below = walk.enter(Here { dirs, relative: String::new(), is_text: true })?;
        while let Some(Below { parent, name, is_text, tree }) = below.pop() {
            let mut dirs = parent.dirs.clone();
            let relative = tree::join(&parent.relative, &name);
            dirs.push(Dir { name, tree });
            below.extend(walk.enter(Here { dirs, relative, is_text })?);
        }
        Ok(walk)
    }

    /// Looks at one folder and returns those in it.
    fn enter(&mut self, here: Here) -> Result<Vec<Below>, Fault> {
        self.token.check()?;
        let Some(dir) = here.dirs.last() else { return Ok(Vec::new()) };
        let tree = size::find_tree(self.repository, dir.tree)?;
        self.n_entries += tree.len();
        if self.n_entries > MAX_ENTRIES || here.dirs.len() > MAX_DEPTH {
            return Err(SourceError::new(Kind::TooLarge, "the folder holds too many files or folders").into());
        }
        let here = Arc::new(here);
        let mut below = Vec::new();
        for entry in &tree {
            tree::check_name(&here.dirs, entry.name_bytes())?;
            let name = String::from_utf8_lossy(entry.name_bytes()).into_owned();
            if here.relative.is_empty() {
                self.root_names.push(name.clone());
            }
            let is_text = here.is_text && std::str::from_utf8(entry.name_bytes()).is_ok();
            let id = entry.id();
            let (blob, link) = match tree::kind_of(&entry) {
                EntryKind::Submodule => continue,
                EntryKind::Folder => {
                    if self.recurse {
                        below.push(Below { parent: Arc::clone(&here), name, is_text, tree: id });
                    }
                    continue;
                }
                EntryKind::Link if is_text => {
                    let (blob, target) = self.resolve(&here.dirs, &name)?;
                    (blob, Some(target))
                }
                EntryKind::File | EntryKind::Link => (Some(id), None),
            };
            self.items.push(Item {
                relative: tree::join(&here.relative, &name),
                is_text,
                blob,
                link,
                entry: id,
            });
        }
        Ok(below)
    }

    /// A link to a folder is no file and is passed over, as Argo CD does; one that leads nowhere as well.
    fn resolve(&self, dirs: &[Dir], name: &str) -> Result<(Option<Oid>, String), Fault> {
        let path = tree::join(&tree::path_of(dirs), name);
        match tree::follow(self.repository, &self.known.trees, dirs.to_vec(), name)? {
            Found::File(blob, target) => Ok((Some(blob), target)),
            Found::Folder(dirs) => Ok((None, tree::path_of(&dirs))),
            Found::Submodule | Found::Nothing => Ok((None, String::new())),
            Found::Outside(text) => Err(outside(&path, &text).into()),
            Found::Cycle => Err(cycle(&path).into()),
        }
    }

    fn has_links(&self) -> bool {
        self.items.iter().any(|item| item.link.is_some())
    }

    fn inputs(&self, folder: &Folder) -> String {
        if folder.recurse && !self.has_links() {
            return self.tree.to_string();
        }
        let counted = self.items.iter().filter(|item| !folder.recurse || item.link.is_some());
        let lines = counted.map(|item| {
            let blob = item.blob.map(|id| id.to_string()).unwrap_or_default();
            let target = item.link.as_deref().unwrap_or_default();
            format!("{:?} {} {blob} {target:?}", item.relative, item.entry)
        });
        let first = if folder.recurse { self.tree.to_string() } else { "folder".to_owned() };
        let text = std::iter::once(first).chain(lines).collect::<Vec<_>>().join("\n");
        model::digest(text.as_bytes()).short(40)
    }
}

pub(crate) fn outside(path: &str, text: &str) -> SourceError {
    SourceError::new(Kind::Invalid, format!("{path:?} is a link out of the repository (-> {text:?})"))
        .help("links may only lead to files of the same repository")
}

pub(crate) fn cycle(path: &str) -> SourceError {
    SourceError::new(Kind::Invalid, format!("{path:?} is a link that leads back to itself"))
}

fn too_large(what: &str, limit: u64) -> SourceError {
    SourceError::new(Kind::TooLarge, format!("{what}; the limit is {limit} bytes"))
        .help("exclude what is no manifest with spec.source.directory.exclude")
}
