//! Which repositories do the tests read? Real ones, made by libgit2 in temporary folders.

pub(crate) mod server;

use git2::Oid;
use model::Revision;
use source::{Config, Credentials, Folder, Listing, RepoUrl, Repository, Resolution, SourceError, Sources};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A temporary folder with a cache, and repositories below `repos`.
pub(crate) struct Place {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) sources: Sources,
}

impl Place {
    pub(crate) fn new() -> Self {
        Self::with(|_| {})
    }

    pub(crate) fn with(change: impl FnOnce(&mut Config)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("repos")).unwrap();
        let mut config = Config::new(folder.path().join("cache"));
        config.local_repos = vec![folder.path().join("repos")];
        config.timeout = Duration::from_secs(20);
        change(&mut config);
        Self { sources: Sources::open(config).unwrap(), folder }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join("repos").join(name)
    }

    pub(crate) fn repo(&self, name: &str) -> Repo {
        Repo::init(&self.path(name))
    }

    /// Opens the sources again on the same cache, as a restart does.
    pub(crate) fn restart(&mut self) {
        let mut config = Config::new(self.folder.path().join("cache"));
        config.local_repos = vec![self.folder.path().join("repos")];
        self.sources = Sources::open(config).unwrap();
    }

    pub(crate) fn clones(&self) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(self.folder.path().join("cache/git")).unwrap();
        entries.map(|entry| entry.unwrap().path()).collect()
    }
}

/// A repository that the tests write.
pub(crate) struct Repo {
    pub(crate) git: git2::Repository,
    pub(crate) path: PathBuf,
}

impl Repo {
    pub(crate) fn init(path: &Path) -> Self {
        let mut options = git2::RepositoryInitOptions::new();
        options.bare(true).initial_head("main").external_template(false);
        Self { git: git2::Repository::init_opts(path, &options).unwrap(), path: path.into() }
    }

    pub(crate) fn at(&self) -> Repository {
        at(self.path.to_str().unwrap())
    }

    /// Commits these files, and no others, to a branch. `-> target` as content makes a link, `+x text` a program.
    pub(crate) fn commit(&self, branch: &str, files: &[(&str, &str)]) -> Revision {
        let tree = self.tree(files);
        self.commit_tree(branch, tree)
    }

    pub(crate) fn tree(&self, files: &[(&str, &str)]) -> Oid {
        let mut index = git2::Index::new().unwrap();
        for (path, content) in files {
            let (content, mode) = match (content.strip_prefix("-> "), content.strip_prefix("+x ")) {
                (Some(target), _) => (target, 0o120_000),
                (None, Some(program)) => (program, 0o100_755),
                (None, None) => (*content, 0o100_644),
            };
            let id = self.git.blob(content.as_bytes()).unwrap();
            index.add(&index_entry(path, id, mode)).unwrap();
        }
        index.write_tree_to(&self.git).unwrap()
    }

    pub(crate) fn commit_tree(&self, branch: &str, tree: Oid) -> Revision {
        let time = git2::Time::new(1_767_225_600, 0);
        let author = git2::Signature::new("Ann", "ann@example.com", &time).unwrap();
        let name = format!("refs/heads/{branch}");
        let parent = self.git.find_reference(&name).ok().map(|r| r.peel_to_commit().unwrap());
        let parents: Vec<&git2::Commit<'_>> = parent.iter().collect();
        let tree = self.git.find_tree(tree).unwrap();
        let id =
            self.git.commit(Some(&name), &author, &author, "first line\n\nmore", &tree, &parents).unwrap();
        Revision::new(id.to_string())
    }

    /// Writes a tree object as it is, with names and modes that Git itself would refuse.
    pub(crate) fn raw_tree(&self, entries: &[(&str, &[u8], Oid)]) -> Oid {
        let mut bytes = Vec::new();
        for (mode, name, id) in entries {
            bytes.extend_from_slice(mode.as_bytes());
            bytes.push(b' ');
            bytes.extend_from_slice(name);
            bytes.push(0);
            bytes.extend_from_slice(id.as_bytes());
        }
        self.git.odb().unwrap().write(git2::ObjectType::Tree, &bytes).unwrap()
    }

    pub(crate) fn delete(&self, name: &str) {
        self.git.find_reference(name).unwrap().delete().unwrap();
    }

    pub(crate) fn set(&self, name: &str, revision: &Revision) {
        self.git.reference(name, Oid::from_str(revision.as_str()).unwrap(), true, "").unwrap();
    }
}

fn index_entry(path: &str, id: Oid, mode: u32) -> git2::IndexEntry {
    let zero = git2::IndexTime::new(0, 0);
    git2::IndexEntry {
        ctime: zero,
        mtime: zero,
        dev: 0,
        ino: 0,
        mode,
        uid: 0,
        gid: 0,
        file_size: 0,
        id,
        flags: 0,
        flags_extended: 0,
        path: path.as_bytes().to_vec(),
    }
}

pub(crate) fn at(url: &str) -> Repository {
    Repository::new(RepoUrl::parse(url).unwrap(), Credentials::None)
}

pub(crate) fn with(url: &str, credentials: Credentials) -> Repository {
    Repository::new(RepoUrl::parse(url).unwrap(), credentials)
}

/// `web` is a folder, `web/**` is one with all below it.
pub(crate) fn folder(path: &str) -> Folder {
    let plain = path.strip_suffix("**");
    Folder { path: plain.unwrap_or(path).trim_end_matches('/').into(), recurse: plain.is_some() }
}

/// Resolves, fetches and reads: the files and their content as text, or the error.
pub(crate) async fn read(sources: &Sources, repository: &Repository, target: &str, path: &str) -> String {
    match try_read(sources, repository, target, path).await {
        Ok(text) => text,
        Err(error) => format!("{:?}: {error}", error.kind),
    }
}

pub(crate) async fn try_read(
    sources: &Sources,
    repository: &Repository,
    target: &str,
    path: &str,
) -> Result<String, SourceError> {
    let refs = sources.refs(repository).await?;
    let revision = match refs.resolve(target) {
        Resolution::Commit(revision) => revision,
        Resolution::Short(short) => sources.expand_short(repository, &short).await?,
        Resolution::Unknown => return Err(refs.unknown(target)),
    };
    sources.fetch(repository, &refs, &revision).await?;
    let listing = sources.read(repository, &revision, &folder(path), |_| true).await?;
    Ok(show(&listing))
}

/// The files and their content as text.
pub(crate) fn show(listing: &Listing) -> String {
    let shown = listing.files.iter().map(|file| {
        let link = file.link.as_ref().map(|link| format!(" -> {link}")).unwrap_or_default();
        format!("{}{link}: {}", file.path, String::from_utf8_lossy(&file.bytes))
    });
    shown.collect::<Vec<_>>().join(", ")
}
