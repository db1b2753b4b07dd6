//! Which repositories on this machine's disk may be read, how, and how does one get a commit?

use crate::draft::Draft;
use crate::error::{Fault, Kind, SourceError, printable};
use crate::opened;
use crate::push::{Answer, Target};
use crate::refs::Refs;
use crate::revert::short;
use crate::url::RepoUrl;
use git2::{ErrorClass, ErrorCode};
use std::path::{Path, PathBuf};

/// The folders that an operator opened with `--local-repos`, and the cache folder that never is.
#[derive(Debug)]
pub(crate) struct Roots {
    /// As the operator writes them; resolved at each use, because they may appear later.
    pub allowed: Vec<PathBuf>,
    /// Resolved.
    pub cache: PathBuf,
}

impl Roots {
    /// Finds the Git folder of a local repository, links resolved, and checks that all of it lies where the
    /// operator allows.
    pub(crate) fn git_folder(&self, path: &Path) -> Result<PathBuf, SourceError> {
        // Before anything is said about what exists: others' files are nobody's business.
        let refused = || {
            let message =
                format!("local repository {} is not in a folder that --local-repos names", path.display());
            let help = "start the agent with --local-repos naming a folder above it, or use an https:// URL";
            SourceError::new(Kind::NotPermitted, message).help(help)
        };
        let missing = || {
            let message = format!("there is no Git repository at {}", path.display());
            SourceError::new(Kind::RepositoryNotFound, message)
        };
        let lies_below = self.allowed.iter().any(|root| path.starts_with(root));
        let open = self.open_folders();
        let candidates = [path.join(".git"), path.to_owned(), with_suffix(path)];
        for candidate in candidates {
            let Ok(resolved) = candidate.canonicalize() else { continue };
            if !open.permit(&resolved) {
                return Err(refused());
            }
            let folder = if resolved.is_file() { linked(&resolved) } else { Some(resolved) };
            let Some(folder) = folder.filter(|folder| folder.join("HEAD").is_file()) else { continue };
            let common = common(&folder);
            let stays = open.permit_all_of(&folder) && (common == folder || open.permit_all_of(&common));
            return if stays && open.alternates_stay(&common) { Ok(folder) } else { Err(refused()) };
        }
        // Without links to resolve, `..` is the only way out.
        let climbs = path.components().any(|part| part == std::path::Component::ParentDir);
        Err(if lies_below && !climbs { missing() } else { refused() })
    }

    fn open_folders(&self) -> OpenFolders<'_> {
        let allowed = self.allowed.iter().filter_map(|root| root.canonicalize().ok()).collect();
        OpenFolders { allowed, cache: &self.cache }
    }
}

/// What may be read right now.
struct OpenFolders<'a> {
    /// Resolved.
    allowed: Vec<PathBuf>,
    cache: &'a Path,
}

impl OpenFolders<'_> {
    fn permit(&self, resolved: &Path) -> bool {
        self.allowed.iter().any(|root| resolved.starts_with(root)) && !resolved.starts_with(self.cache)
    }

    /// Returns whether a Git folder and what lies in it may be read. This is asked for every app at every commit, and resolving
    /// a path costs a call for each of its folders: what is no link lies where its folder does.
    fn permit_all_of(&self, git_folder: &Path) -> bool {
        let Ok(folder) = git_folder.canonicalize() else { return true };
        let is_inside = |part: &str| {
            let part = folder.join(part);
            let is_link = part.symlink_metadata().is_ok_and(|found| found.is_symlink());
            !is_link || part.canonicalize().map_or(true, |part| self.permit(&part))
        };
        self.permit(&folder) && is_inside("objects") && is_inside("refs")
    }

    /// A repository may borrow objects of another one; that one has to be allowed as well.
    fn alternates_stay(&self, folder: &Path) -> bool {
        let objects = folder.join("objects");
        let Ok(text) = std::fs::read_to_string(objects.join("info/alternates")) else { return true };
        let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
        lines
            .into_iter()
            .all(|line| objects.join(line).canonicalize().map_or(true, |path| self.permit(&path)))
    }
}

fn with_suffix(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".git");
    name.into()
}

/// Follows a `.git` file, as worktrees and submodules have one.
fn linked(file: &Path) -> Option<PathBuf> {
    let text = std::fs::read_to_string(file).ok()?;
    let target = text.strip_prefix("gitdir:")?.trim();
    file.parent()?.join(target).canonicalize().ok()
}

/// Returns the folder with the refs and objects that worktrees share.
pub(crate) fn common(folder: &Path) -> PathBuf {
    let text = std::fs::read_to_string(folder.join("commondir")).unwrap_or_default();
    if text.trim().is_empty() { folder.to_owned() } else { folder.join(text.trim()) }
}

/// Works on a Git folder of somebody else's, who may replace any of it at any time.
pub(crate) fn with<T>(
    folder: &Path,
    work: impl FnOnce(&git2::Repository) -> Result<T, Fault>,
) -> Result<T, Fault> {
    opened::with(folder, 0, work)
}

/// Lists the refs of a repository on disk.
pub(crate) fn refs(repository: &git2::Repository) -> Result<Refs, Fault> {
    let mut refs = Refs::default();
    let odb = repository.odb()?;
    for reference in repository.references()? {
        // A ref that cannot be read is one that is being written, or a broken one; the others count.
        let Ok(reference) = reference else { continue };
        let (Ok(name), Some(oid)) = (reference.name(), reference.resolve().ok().and_then(|r| r.target()))
        else {
            refs.n_ignored += 1;
            continue;
        };
        refs.add(name, oid.to_string());
        if name.starts_with("refs/tags/")
            && odb.read_header(oid).is_ok_and(|(_, kind)| kind == git2::ObjectType::Tag)
        {
            let commit = reference.peel(git2::ObjectType::Commit);
            if let Ok(commit) = commit {
                refs.add(&format!("{name}^{{}}"), commit.id().to_string());
            }
        }
    }
    if let Ok(head) = repository.head() {
        refs.head = head.target().map(|oid| oid.to_string());
        refs.default_branch = head.name().ok().filter(|name| *name != "HEAD").map(str::to_owned);
    }
    Ok(refs)
}

/// Puts a commit on a branch, if that is still where it was. libgit2 can push to a folder as to a server, but then moves the
/// branch wherever it is; this has Git's lock on the branch, and asks under it. Hooks are not run.
pub(crate) fn push(
    repository: &git2::Repository,
    url: &RepoUrl,
    draft: &Draft,
    target: &Target,
) -> Result<Answer, SourceError> {
    let Target { name, was } = target;
    if is_checked_out(repository, name) {
        let message = format!("branch {:?} is checked out in repository {url}", short(name));
        return Err(SourceError::new(Kind::NotPermitted, message)
            .help("have a branch made for the revert, or let the app follow a bare repository"));
    }
    let written = repository.odb().and_then(|odb| draft.write(&odb)).and_then(|()| match was {
        Some(was) => repository.reference_matching(name, draft.commit, true, *was, "revert"),
        None => repository.reference(name, draft.commit, false, "revert"),
    });
    match written {
        Ok(_) => Ok(Answer::Taken),
        Err(error) if has_moved(error.code()) => Ok(Answer::Moved),
        Err(error) => Err(cannot_push(url, &error)),
    }
}

/// Whoever holds the lock of a branch is about to move it.
fn has_moved(code: ErrorCode) -> bool {
    matches!(code, ErrorCode::Modified | ErrorCode::Exists | ErrorCode::NotFound | ErrorCode::Locked)
}

fn cannot_push(url: &RepoUrl, error: &git2::Error) -> SourceError {
    let text = printable(error.message());
    let is_full = ["No space left", "quota exceeded"].iter().any(|words| text.contains(words));
    let kind =
        if is_full || error.class() == ErrorClass::NoMemory { Kind::Unavailable } else { Kind::NotPermitted };
    SourceError::new(kind, format!("repository {url} cannot be written: {text}"))
        .help("let the agent's user write it, or take the annotation off")
}

/// Returns whether files of a working copy would no longer be those of its branch.
fn is_checked_out(repository: &git2::Repository, name: &str) -> bool {
    let folder = common(repository.path());
    let is_bare = repository.config().and_then(|config| config.get_bool("core.bare"));
    let main = (!is_bare.unwrap_or_default()).then(|| folder.join("HEAD"));
    let linked = std::fs::read_dir(folder.join("worktrees")).into_iter().flatten().flatten();
    main.into_iter().chain(linked.map(|tree| tree.path().join("HEAD"))).any(|head| {
        let text = std::fs::read_to_string(head).unwrap_or_default();
        text.strip_prefix("ref:").is_some_and(|followed| followed.trim() == name)
    })
}
