//! How does the agent ask for a repository?

mod reverting;

use crate::clone::{self, CacheClone};
use crate::clones::Clones;
use crate::commit::{self, Commit};
use crate::config::{Config, Repository};
use crate::confine;
use crate::credentials::Credentials;
use crate::error::{Fault, Kind, SourceError};
use crate::github::Tokens;
use crate::known_hosts::KnownHosts;
use crate::listing::{self, Folder, Known, Limits, Listing};
use crate::local::{self, Roots};
use crate::pool::{Pool, Token};
use crate::refs::Refs;
use crate::remote::{Call, no_commit};
use crate::url::RepoUrl;
use anyhow::Context as _;
use model::Revision;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// All repositories. Clones of it share everything; dropping a future cancels its call.
#[derive(Clone, Debug)]
pub struct Sources(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    config: Config,
    roots: Arc<Roots>,
    network: Pool,
    disk: Pool,
    clones: Clones,
    known: Arc<Known>,
    known_hosts: Mutex<Arc<KnownHosts>>,
    /// Where libssh2 looks for the kinds of host keys.
    ssh_folder: PathBuf,
    tokens: Tokens,
}

/// Threads that only read disks; they never wait for a server.
const DISK_THREADS: usize = 4;

type Work<T> = Arc<dyn Fn(&git2::Repository, &Token) -> Result<T, Fault> + Send + Sync>;

impl Sources {
    /// Makes the cache folder, removes what an earlier process left half done, and starts the threads.
    ///
    /// # Errors
    /// The cache folder cannot be made or read, or no thread can be started.
    pub fn open(config: Config) -> anyhow::Result<Self> {
        let shown = config.cache_dir.display();
        std::fs::create_dir_all(&config.cache_dir).with_context(|| format!("make cache folder {shown}"))?;
        let top = config.cache_dir.canonicalize().with_context(|| format!("find cache folder {shown}"))?;
        let (cache, ssh) = (top.join("git"), top.join("ssh"));
        confine::once(config.timeout, &ssh);
        make_private(&cache).with_context(|| format!("make cache folder {}", cache.display()))?;
        clone::tidy(&cache).with_context(|| format!("tidy cache folder {}", cache.display()))?;
        let ssh_folder = ssh.join(".ssh");
        make_private(&ssh_folder).with_context(|| format!("make cache folder {}", ssh_folder.display()))?;
        let roots = Arc::new(Roots { allowed: config.local_repos.clone(), cache: top });
        let network = Pool::start("git", config.threads, config.per_host).context("start threads for Git")?;
        let disk = Pool::start("git-disk", DISK_THREADS, DISK_THREADS).context("start threads for Git")?;
        let (clones, known, known_hosts) = (Clones::new(&cache), Arc::default(), Mutex::default());
        let tokens = Tokens::default();
        let sources = Self(Arc::new(Inner {
            config,
            roots,
            network,
            disk,
            clones,
            known,
            known_hosts,
            ssh_folder,
            tokens,
        }));
        // What an earlier process knew counts no more.
        drop(sources.set_known_hosts(""));
        Ok(sources)
    }

    /// Takes in the host keys that servers may show by SSH, in the format of OpenSSH's `known_hosts`. Until then none may.
    /// Returns what of it cannot be read.
    pub fn set_known_hosts(&self, text: &str) -> Vec<String> {
        let (known, problems) = KnownHosts::parse(text);
        // Calls of one process share the folder, and one that reads a half-written file asks for another kind of key.
        let unfinished = self.0.ssh_folder.join("unfinished");
        let written = std::fs::write(&unfinished, known.preferences())
            .and_then(|()| std::fs::rename(&unfinished, self.0.ssh_folder.join("known_hosts")));
        if let Err(error) = written {
            tracing::warn!(%error, folder = %self.0.ssh_folder.display(), "cache folder cannot be written");
        }
        *self.0.known_hosts.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(known);
        problems
    }

    /// Checks that the operator allows the repository; only local ones can be refused. Every read checks again.
    ///
    /// # Errors
    /// [`Kind::NotPermitted`], or [`Kind::RepositoryNotFound`] where there is none in a permitted folder.
    pub fn check(&self, url: &RepoUrl) -> Result<(), SourceError> {
        url.local_path().map_or(Ok(()), |path| self.0.roots.git_folder(path).map(drop))
    }

    /// Returns the Git folder of a local repository that may be read.
    pub(crate) fn git_folder(&self, url: &RepoUrl) -> Option<PathBuf> {
        self.0.roots.git_folder(url.local_path()?).ok()
    }

    /// Asks the repository for its refs, once.
    ///
    /// # Errors
    /// What the server or the operator refuses, [`Kind::TimedOut`], or [`Kind::Unavailable`].
    pub async fn refs(&self, repository: &Repository) -> Result<Refs, SourceError> {
        let inner = &self.0;
        let timeout = inner.config.timeout;
        if let Some(path) = repository.url.local_path() {
            let (roots, path) = (Arc::clone(&inner.roots), path.to_owned());
            let work = move |_: &Token| local::with(&roots.git_folder(&path)?, local::refs);
            return inner.disk.run("", timeout, work).await.map_err(|fault| told(repository, None, fault));
        }
        let clone = self.clone_of(&repository.url);
        let listed = self.call(repository, timeout, {
            let clone = Arc::clone(&clone);
            move |call| call.list(&clone)
        });
        let listed = listed.await;
        match &listed {
            Ok(_) => clone.remember(&repository.credentials, true),
            Err(error) if matches!(error.kind, Kind::Authentication | Kind::RepositoryNotFound) => {
                clone.remember(&repository.credentials, false);
            }
            Err(_) => {}
        }
        listed
    }

    /// Brings a commit here, unless it is here. A local repository is read where it is, so that there is nothing to
    /// bring. What was fetched before stays whatever happens.
    ///
    /// # Errors
    /// [`Kind::RevisionNotFound`], and those of [`Self::refs`].
    pub async fn fetch(
        &self,
        repository: &Repository,
        refs: &Refs,
        revision: &Revision,
    ) -> Result<(), SourceError> {
        if repository.url.local_path().is_some() {
            return self.commit(repository, revision).await.map(drop);
        }
        self.admit(repository).await?;
        self.bring(repository, refs, revision).await
    }

    async fn bring(
        &self,
        repository: &Repository,
        refs: &Refs,
        revision: &Revision,
    ) -> Result<(), SourceError> {
        let (clone, refs, revision) = (self.clone_of(&repository.url), refs.clone(), revision.clone());
        self.call(repository, self.0.config.fetch_timeout, move |call| call.fetch(&clone, &refs, &revision))
            .await
    }

    /// Says who made a commit, and when.
    ///
    /// # Errors
    /// [`Kind::RevisionNotFound`] where it cannot be had, and those of [`Self::fetch`].
    pub async fn commit(&self, repository: &Repository, revision: &Revision) -> Result<Commit, SourceError> {
        let wanted = revision.clone();
        self.on_objects(repository, revision, Arc::new(move |git, _| commit::describe(git, &wanted))).await
    }

    /// Finds the commit that last changed a file, by its path from the repository's root: that commit, or the one before it
    /// that nobody changed the file after.
    ///
    /// # Errors
    /// [`Kind::RevisionNotFound`] where the commit cannot be had, and those of [`Self::fetch`].
    pub async fn last_change(
        &self,
        repository: &Repository,
        revision: &Revision,
        path: &str,
    ) -> Result<Revision, SourceError> {
        let (wanted, path) = (revision.clone(), path.to_owned());
        let work: Work<Revision> = Arc::new(move |git, _| commit::last_change(git, &wanted, &path));
        self.on_objects(repository, revision, work).await
    }

    /// Completes the beginning of a SHA. Looks among all branches and tags.
    ///
    /// # Errors
    /// [`Kind::RevisionNotFound`] for none or several, and those of [`Self::fetch`].
    pub async fn expand_short(&self, repository: &Repository, short: &str) -> Result<Revision, SourceError> {
        if !(4..=40).contains(&short.len()) || !short.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            let message = format!("{short:?} is not the beginning of a SHA");
            return Err(SourceError::new(Kind::RevisionNotFound, message).help("write at least seven digits"));
        }
        let text = short.to_owned();
        // As a revision it is one that no database holds, which brings all branches and tags.
        let revision = Revision::new(format!("{short:0<40}"));
        let work: Work<Revision> = Arc::new(move |git, _| commit::expand(git, &text));
        self.on_objects(repository, &revision, work).await.map_err(|error| match error.kind {
            Kind::RevisionNotFound if error.help.starts_with("it was never") => {
                SourceError::new(Kind::RevisionNotFound, format!("no commit begins with {short:?}"))
            }
            _ => error,
        })
    }

    /// Returns whether `ancestor` is `descendant` or comes before it.
    ///
    /// # Errors
    /// [`Kind::RevisionNotFound`] for an unknown descendant, and those of [`Self::fetch`].
    pub async fn is_ancestor(
        &self,
        repository: &Repository,
        ancestor: &Revision,
        descendant: &Revision,
    ) -> Result<bool, SourceError> {
        let (first, last) = (ancestor.clone(), descendant.clone());
        let work: Work<bool> = Arc::new(move |git, _| commit::is_ancestor(git, &first, &last));
        self.on_objects(repository, descendant, work).await
    }

    /// Reads the files of a folder that `filter` selects by their path relative to the folder.
    ///
    /// # Errors
    /// [`Kind::PathNotFound`], [`Kind::Invalid`] for links and names that are refused, [`Kind::TooLarge`], and those
    /// of [`Self::fetch`].
    pub async fn read(
        &self,
        repository: &Repository,
        revision: &Revision,
        folder: &Folder,
        filter: impl Fn(&str) -> bool + Send + Sync + 'static,
    ) -> Result<Listing, SourceError> {
        let (wanted, folder, known) = (revision.clone(), folder.clone(), Arc::clone(&self.0.known));
        let limits = Limits { max_total: self.0.config.max_total, max_blob: self.0.config.max_blob };
        let work: Work<Listing> = Arc::new(move |git, token| {
            listing::read(git, (&wanted, &folder), (&known, limits), token, &filter)
        });
        self.on_objects(repository, revision, work).await
    }

    /// Returns [`Listing::inputs`] of many folders of one commit, in their order, without reading files.
    ///
    /// # Errors
    /// Those of [`Self::fetch`]; what is wrong with one folder stands in its place.
    pub async fn inputs(
        &self,
        repository: &Repository,
        revision: &Revision,
        folders: &[Folder],
    ) -> Result<Vec<Result<String, SourceError>>, SourceError> {
        let (wanted, folders, known) = (revision.clone(), folders.to_vec(), Arc::clone(&self.0.known));
        let work: Work<Vec<Result<String, SourceError>>> = Arc::new(move |git, token| {
            let one = |folder: &Folder| match listing::inputs(git, (&wanted, folder), &known, token) {
                Ok(inputs) => Ok(Ok(inputs)),
                Err(Fault::Source(error)) if !error.is_transient() => Ok(Err(error)),
                Err(fault) => Err(fault),
            };
            folders.iter().map(one).collect()
        });
        self.on_objects(repository, revision, work).await
    }

    /// Works on an object database; brings what is missing and repairs what is damaged, each once.
    async fn on_objects<T: Send + 'static>(
        &self,
        repository: &Repository,
        revision: &Revision,
        work: Work<T>,
    ) -> Result<T, SourceError> {
        let inner = &self.0;
        if let Some(path) = repository.url.local_path() {
            let (roots, path) = (Arc::clone(&inner.roots), path.to_owned());
            let run = move |token: &Token| local::with(&roots.git_folder(&path)?, |git| work(git, token));
            let done = inner.disk.run("", inner.config.timeout, run).await;
            return done.map_err(|fault| told(repository, Some(revision), fault));
        }
        self.admit(repository).await?;
        let clone = self.clone_of(&repository.url);
        let run = || {
            let (clone, work) = (Arc::clone(&clone), Arc::clone(&work));
            inner.disk.run("", inner.config.timeout, move |token| clone.with(|git| work(git, token)))
        };
        let generation = clone.generation();
        let again = match run().await {
            Ok(done) => return Ok(done),
            Err(Fault::Source(error)) => return Err(error),
            Err(Fault::Missing) => {
                let refs = self.refs(repository).await?;
                self.bring(repository, &refs, revision).await
            }
            Err(Fault::Damaged(_)) => {
                let refs = self.refs(repository).await?;
                let (clone, revision) = (Arc::clone(&clone), revision.clone());
                let timeout = inner.config.fetch_timeout;
                self.call(repository, timeout, move |call| {
                    call.rebuild((&clone, generation), &refs, &revision)
                })
                .await
            }
        };
        match (again, run().await) {
            (_, Ok(done)) => Ok(done),
            (Err(error), Err(_)) => Err(error),
            (Ok(()), Err(fault)) => Err(told(repository, Some(revision), fault)),
        }
    }

    /// Lets credentials at a clone only after the server accepted them for this repository.
    async fn admit(&self, repository: &Repository) -> Result<(), SourceError> {
        if self.clone_of(&repository.url).is_known(&repository.credentials) {
            return Ok(());
        }
        self.refs(repository).await.map(drop)
    }

    async fn call<T: Send + 'static>(
        &self,
        repository: &Repository,
        timeout: Duration,
        work: impl FnOnce(&Call<'_>) -> Result<T, SourceError> + Send + 'static,
    ) -> Result<T, SourceError> {
        let (mut owned, max_fetch) = (repository.clone(), self.0.config.max_fetch);
        let app = match &repository.credentials {
            // A token is nothing for SSH, which says so itself.
            Credentials::GitHubApp(app) if !repository.url.is_ssh() => Some(app),
            _ => None,
        };
        if let Some(app) = app {
            owned.credentials = self.0.tokens.log_in(app, self.0.config.timeout).await?;
        }
        let shown = owned.credentials.clone();
        let known_hosts = self.0.known_hosts.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let run = move |token: &Token| {
            Ok(work(&Call { repository: &owned, token, max_fetch, known_hosts: &known_hosts })?)
        };
        let done = self.0.network.run(repository.url.host(), timeout, run).await;
        let done = done.map_err(|fault| told(repository, None, fault));
        if let (Some(app), Err(error)) = (app, &done)
            && error.kind == Kind::Authentication
        {
            self.0.tokens.forget(app, &shown).await;
        }
        done
    }

    fn clone_of(&self, url: &RepoUrl) -> Arc<CacheClone> {
        self.0.clones.of(url)
    }

    /// Removes the clones of repositories that are not among those in use, by normalised URL, and have not been for a while.
    /// Those that somebody fetches into or reads from stay. Returns how many went.
    ///
    /// # Errors
    /// The cache folder cannot be read or written.
    pub async fn sweep(&self, in_use: BTreeSet<String>) -> Result<usize, SourceError> {
        let (sources, timeout) = (self.clone(), self.0.config.timeout);
        let work = move |_: &Token| Ok(sources.0.clones.sweep(&in_use, sources.0.config.unused)?);
        self.0.disk.run("", timeout, work).await.map_err(|fault| match fault {
            Fault::Source(error) => error,
            Fault::Missing => SourceError::new(Kind::Unavailable, "the cache folder is not there"),
            Fault::Damaged(text) => SourceError::new(Kind::Unavailable, text),
        })
    }
}

/// Clones may hold what only some may read.
fn make_private(folder: &std::path::Path) -> std::io::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

fn told(repository: &Repository, revision: Option<&Revision>, fault: Fault) -> SourceError {
    match (fault, revision) {
        (Fault::Source(error), _) => error,
        (Fault::Missing, Some(revision)) => no_commit(revision),
        (Fault::Missing, None) => {
            SourceError::new(Kind::RevisionNotFound, "the commit is not in the repository")
        }
        (Fault::Damaged(text), _) => {
            SourceError::new(Kind::Unavailable, format!("repository {} is damaged: {text}", repository.url))
                .help("run git fsck on it")
        }
    }
}
