//! What may a set of sources use, and what is a repository to it?

use crate::credentials::{Access, Checks, Credentials};
use crate::url::RepoUrl;
use std::path::PathBuf;
use std::time::Duration;

/// What a set of sources may use.
#[derive(Clone, Debug)]
pub struct Config {
    /// Folder for clones, a cache: whatever is in it can be made again. Made if it is not there.
    pub cache_dir: PathBuf,
    /// Folders below which local repositories may be read, and get the reverts that are asked for.
    pub local_repos: Vec<PathBuf>,
    /// Calls to servers at once.
    pub threads: usize,
    /// Calls to one server at once.
    pub per_host: usize,
    /// Longest wait for a list of refs or a read. libgit2 takes it for its sockets from the first `open` of a process.
    pub timeout: Duration,
    /// Longest wait for a fetch.
    pub fetch_timeout: Duration,
    /// How long a clone is kept that nobody uses.
    pub unused: Duration,
    /// Bytes that one fetch may bring.
    pub max_fetch: u64,
    /// Bytes of one file.
    pub max_blob: u64,
    /// Bytes of all files of one read (Argo CD `reposerver.max.combined.directory.manifests.size`).
    pub max_total: u64,
}

impl Config {
    /// Returns the defaults: 8 calls, 4 per server, 30 s, 5 min for a fetch, 15 min for unused clones, 4 GB, and 10 MB of
    /// manifests.
    pub fn new(cache_dir: impl Into<PathBuf>) -> Self {
        Self {
            cache_dir: cache_dir.into(),
            local_repos: Vec::new(),
            threads: 8,
            per_host: 4,
            timeout: Duration::from_secs(30),
            fetch_timeout: Duration::from_mins(5),
            unused: Duration::from_mins(15),
            max_fetch: 4_000_000_000,
            max_blob: crate::listing::MAX_BLOB,
            max_total: crate::listing::MAX_TOTAL,
        }
    }
}

/// A repository and what it is told about us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repository {
    /// Where it is.
    pub url: RepoUrl,
    /// What it is told.
    pub credentials: Credentials,
    /// Whether its host key has to be known.
    pub checks: Checks,
}

impl Repository {
    /// Names a repository.
    pub fn new(url: RepoUrl, access: impl Into<Access>) -> Self {
        let Access { credentials, checks } = access.into();
        Self { url, credentials, checks }
    }
}
