//! Which commit takes a bad one back, and for which apps is there still something to take back?
//!
//! A file goes back where the tip of the branch still holds it as the bad commit left it. Where somebody went on with a
//! file of an app, that app is left alone: half of it as it was before fits together no better than what is there.

use crate::commit::commit_of;
use crate::differences::{self, Changes, Entry, joined};
use crate::edit::{Edits, Stopped, edit};
use crate::error::{Fault, Kind, printable};
use crate::listing::{self, Known};
use crate::pool::Token;
use crate::revert::{Part, Revert};
use crate::tree::path_of;
use git2::{ObjectType, Oid, Repository};
use model::Revision;
use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

/// A commit that nobody has yet.
#[derive(Debug)]
pub(crate) struct Draft {
    pub commit: Oid,
    /// The commit and its new trees. What files it brings back is in the repository already.
    objects: Vec<(ObjectType, Vec<u8>)>,
    /// Which parts it leaves out, and why.
    pub left: Vec<(usize, String)>,
}

/// What is to be done about a revert.
#[derive(Debug)]
pub(crate) enum Drafted {
    /// This commit is to be pushed.
    Commit(Arc<Draft>),
    /// It was pushed before.
    There(Revision),
    /// Why nothing is to be pushed.
    Nothing(String),
}

/// Precedence over the databases on disk, which have 1 and 2: whatever is written stays in memory.
const IN_MEMORY: i32 = 1000;
/// Commits after the bad one among which an earlier revert is looked for.
const MOST_COMMITS: usize = 1000;

impl Draft {
    pub(crate) fn write(&self, odb: &git2::Odb<'_>) -> Result<(), git2::Error> {
        self.objects.iter().try_for_each(|(kind, bytes)| odb.write(*kind, bytes).map(drop))
    }

    /// Makes the commit known to a repository for as long as it is open, and writes nothing to its folder: what no server takes
    /// leaves nothing behind.
    pub(crate) fn lend(&self, repository: &Repository) -> Result<(), git2::Error> {
        let odb = repository.odb()?;
        let _memory = odb.add_new_mempack_backend(IN_MEMORY)?;
        self.write(&odb)
    }
}

/// Makes the commit on a tip. Writes nothing to disk.
pub(crate) fn make(
    git: &Repository,
    known: &Known,
    (revert, tip): (&Revert, &Revision),
    token: &Token,
) -> Result<Drafted, Fault> {
    // Others read with the handle that came in, which this one's memory is not for.
    let repository = Repository::open_bare(git.path())?;
    let odb = repository.odb()?;
    let _memory = odb.add_new_mempack_backend(IN_MEMORY)?;
    // Even where somebody brought the bad content back since: that is another commit, to be judged by itself.
    if let Some(earlier) = pushed_before(&repository, revert, tip) {
        return Ok(Drafted::There(earlier));
    }
    let parent = commit_of(&repository, tip)?;
    let (tree, bad) = (parent.tree_id(), &revert.bad);
    let mut drafting =
        Drafting { repository: &repository, known, token, bad, tip, tree, written: Vec::new() };
    let mut left = Vec::new();
    for (place, part) in revert.parts.iter().enumerate() {
        left.extend(drafting.take_back(part)?.map(|why| (place, why)));
    }
    let Drafting { tree, mut written, .. } = drafting;
    if tree == parent.tree_id() {
        let whys: Vec<&str> = left.iter().map(|(_, why)| why.as_str()).collect();
        let why = if whys.is_empty() { "no app has a part in it".to_owned() } else { whys.join("; ") };
        return Ok(Drafted::Nothing(why));
    }
    let author = revert.signature()?;
    let tree = repository.find_tree(tree)?;
    let commit = repository.commit(None, &author, &author, &revert.text(), &tree, &[&parent])?;
    written.push(commit);
    let read = |id: &Oid| odb.read(*id).map(|object| (object.kind(), object.data().to_vec()));
    let objects = written.iter().map(read).collect::<Result<_, _>>()?;
    Ok(Drafted::Commit(Arc::new(Draft { commit, objects, left })))
}

/// Finds a commit of the same words by the same author, from a tip to the bad commit.
pub(crate) fn pushed_before(repository: &Repository, revert: &Revert, tip: &Revision) -> Option<Revision> {
    let mut walk = repository.revwalk().ok()?;
    walk.push(Oid::from_str(tip.as_str()).ok()?).ok()?;
    // It may not be here, or not in the history of this branch.
    let _may_fail = Oid::from_str(revert.bad.as_str()).and_then(|bad| walk.hide(bad));
    let (text, Ok(author)) = (revert.text(), revert.signature()) else { return None };
    let is_ours = |revision: &Revision| {
        commit_of(repository, revision).is_ok_and(|commit| {
            commit.message_raw_bytes() == text.as_bytes()
                && commit.author().name_bytes() == author.name_bytes()
                && commit.author().email_bytes() == author.email_bytes()
        })
    };
    walk.take(MOST_COMMITS).map_while(Result::ok).map(|id| Revision::new(id.to_string())).find(is_ours)
}

struct Drafting<'a> {
    repository: &'a Repository,
    known: &'a Known,
    token: &'a Token,
    bad: &'a Revision,
    tip: &'a Revision,
    /// What becomes of the tip's tree, part by part.
    tree: Oid,
    /// The trees that were made for it.
    written: Vec<Oid>,
}

/// A folder without links on the way to it.
struct Place {
    path: String,
    tree: Option<Oid>,
}

impl Drafting<'_> {
    /// Takes back what one app has of it; returns why nothing is.
    fn take_back(&mut self, part: &Part) -> Result<Option<String>, Fault> {
        let name = match part.folder.path.trim_matches('/') {
            "" => "the root folder".to_owned(),
            path => format!("folder {path:?}"),
        };
        if !self.comes_after(&part.good) {
            let (good, bad) = (part.good.short(), self.bad.short());
            return Ok(Some(format!("{name}: {good}, what it went back to, is not in the history of {bad}")));
        }
        let places = match self.places(part) {
            Ok(places) => places,
            Err(Fault::Source(error)) if !error.is_transient() => return Ok(Some(error.message)),
            Err(fault) => return Err(fault),
        };
        let [good, bad, now] = places.each_ref().map(|place| place.tree);
        let path = &places[0].path;
        if places.iter().any(|place| place.tree.is_some() && place.path != *path) {
            return Ok(Some(format!("{name} is a link that does not always lead to the same folder")));
        }
        let mut undone = self.between(part, [good, bad])?;
        undone.retain(|path, _| (part.filter)(&String::from_utf8_lossy(path)));
        if undone.is_empty() {
            let (good, bad) = (part.good.short(), self.bad.short());
            return Ok(Some(format!("{name} holds for this app in {bad} what it does in {good}")));
        }
        let mut since = self.between(part, [bad, now])?;
        since.retain(|path, _| (part.filter)(&String::from_utf8_lossy(path)));
        if let Some(file) = since.keys().find(|file| !undone.contains_key(*file)) {
            return Ok(Some(self.went_on(&name, file)));
        }
        let mut back = Vec::new();
        for (file, [was, became]) in &undone {
            match since.get(file).map_or(*became, |[_, now]| *now) {
                now if now == *became => back.push((joined(path.as_bytes(), file), *was)),
                now if now == *was => {}
                _ => return Ok(Some(self.went_on(&name, file))),
            }
        }
        if back.is_empty() {
            return Ok(Some(format!("{name} is again what it was in {}", part.good.short())));
        }
        self.apply(&back, &name)
    }

    /// Returns whether the bad commit comes after the good one: what another branch holds is not what this one is to hold. A
    /// repository may end before that, and so does the search.
    fn comes_after(&self, good: &Revision) -> bool {
        let mut next = VecDeque::from_iter(Oid::from_str(self.bad.as_str()).ok());
        let mut seen = BTreeSet::new();
        while let Some(id) = next.pop_front().filter(|_| seen.len() < MOST_COMMITS) {
            if id.to_string() == good.as_str() {
                return true;
            }
            if seen.insert(id)
                && let Ok(commit) = self.repository.find_commit(id)
            {
                next.extend(commit.parent_ids());
            }
        }
        false
    }

    /// Finds the folder in the good commit, in the bad one, and in what is to become of the tip. In the good one it has to be.
    fn places(&self, part: &Part) -> Result<[Place; 3], Fault> {
        let root = |revision: &Revision| Ok::<_, Fault>(commit_of(self.repository, revision)?.tree_id());
        let find = |tree: Oid, revision: &Revision| {
            let dirs =
                listing::find_folder(self.repository, self.known, tree, (&part.folder.path, revision))?;
            Ok::<_, Fault>(Place { path: path_of(&dirs), tree: dirs.last().map(|dir| dir.tree) })
        };
        let or_none = |found: Result<Place, Fault>| match found {
            Err(Fault::Source(error)) if error.kind == Kind::PathNotFound => {
                Ok(Place { path: String::new(), tree: None })
            }
            other => other,
        };
        Ok([
            find(root(&part.good)?, &part.good)?,
            or_none(find(root(self.bad)?, self.bad))?,
            or_none(find(self.tree, self.tip))?,
        ])
    }

    fn between(&self, part: &Part, folders: [Option<Oid>; 2]) -> Result<Changes, Fault> {
        differences::between(self.repository, folders, part.folder.recurse, self.token)
    }

    fn apply(&mut self, back: &[(Vec<u8>, Option<Entry>)], name: &str) -> Result<Option<String>, Fault> {
        let edits: Edits<'_> = back.iter().map(|(path, entry)| (path.as_slice(), *entry)).collect();
        let n_written = self.written.len();
        match edit(self.repository, Some(self.tree), &edits, &mut self.written) {
            Ok(Some(tree)) => self.tree = tree,
            Ok(None) => {
                self.tree = self.repository.treebuilder(None)?.write()?;
                self.written.push(self.tree);
            }
            Err(Stopped::InTheWay) => {
                self.written.truncate(n_written);
                let why = "something else stands where one of its files was";
                return Ok(Some(format!("{name} cannot go back: {why}")));
            }
            Err(Stopped::Fault(fault)) => return Err(fault),
        }
        Ok(None)
    }

    fn went_on(&self, name: &str, file: &[u8]) -> String {
        let file = printable(&String::from_utf8_lossy(file));
        format!("{name} holds {file:?} otherwise than {} left it: somebody went on", self.bad.short())
    }
}
