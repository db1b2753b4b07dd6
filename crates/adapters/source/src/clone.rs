//! Where does the cache keep a repository, and who may read it?

use crate::credentials::Credentials;
use crate::error::{Kind, SourceError, printable};
use crate::opened;
use crate::packs;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock};

/// One bare clone in the cache folder. It only ever gains objects; a damaged one is replaced as a whole.
#[derive(Debug)]
pub(crate) struct CacheClone {
    folder: PathBuf,
    /// Held while something is fetched, so that two callers do not fetch the same.
    fetching: Mutex<()>,
    /// Held while another folder is built to replace this one.
    building: Mutex<()>,
    /// Held while who may read it changes, or moves to another folder.
    access: Mutex<()>,
    /// Held for reading while objects are read, for writing while the folder is replaced.
    swap: RwLock<()>,
    /// How often the folder was replaced.
    generation: AtomicU64,
    /// Another number, which no other clone ever has, whenever files of it were replaced.
    layout: AtomicU64,
}

fn new_layout() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// Names who has been served from this repository: marks of credentials, one per line. Without it an app could
/// name a commit that others fetched with credentials that it does not have.
const ACCESS: &str = "tautline-access";
/// The same while it is written.
const ACCESS_UNFINISHED: &str = "tautline-access.unfinished";

impl CacheClone {
    pub(crate) fn new(folder: PathBuf) -> Self {
        Self {
            folder,
            fetching: Mutex::default(),
            building: Mutex::default(),
            access: Mutex::default(),
            swap: RwLock::default(),
            generation: AtomicU64::new(0),
            layout: AtomicU64::new(new_layout()),
        }
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, ()> {
        self.fetching.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells whether the clone is still the one that somebody found damaged.
    pub(crate) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Relaxed)
    }

    /// Runs something on the clone while nobody replaces it. A folder that is no repository counts as damaged.
    pub(crate) fn with<T, E: From<git2::Error>>(
        &self,
        work: impl FnOnce(&git2::Repository) -> Result<T, E>,
    ) -> Result<T, E> {
        let _guard = self.swap.read().unwrap_or_else(PoisonError::into_inner);
        opened::with(&self.folder, self.layout.load(Ordering::Relaxed), work)
    }

    /// Tidies up after a fetch; what goes wrong is tried again after the next.
    pub(crate) fn merge_packs(&self) {
        match self.with(packs::merge) {
            Ok(replaced) if !replaced.is_empty() => {
                let _guard = self.swap.write().unwrap_or_else(PoisonError::into_inner);
                self.layout.store(new_layout(), Ordering::Relaxed);
                for path in replaced {
                    // Not every pack has a file of each kind.
                    drop(fs::remove_file(path));
                }
            }
            Ok(_) => {}
            Err(fault) => tracing::debug!(?fault, folder = %self.folder.display(), "packs are not merged"),
        }
    }

    /// Opens the clone to talk to a server, which may take long: without holding up who wants to replace it. Makes an
    /// empty one where there is none that can be opened.
    pub(crate) fn ensure(&self) -> Result<git2::Repository, SourceError> {
        let open = || git2::Repository::open_bare(&self.folder);
        if let Ok(repository) = open() {
            return Ok(repository);
        }
        let _guard = self.building.lock().unwrap_or_else(PoisonError::into_inner);
        if open().is_err() {
            self.build(|_| Ok(()))?;
        }
        open().map_err(|error| cannot_write(&printable(error.message())))
    }

    /// Builds a new clone beside the old one and puts it in its place once it is whole.
    pub(crate) fn replace(
        &self,
        fill: impl FnOnce(&git2::Repository) -> Result<(), SourceError>,
    ) -> Result<(), SourceError> {
        let _guard = self.building.lock().unwrap_or_else(PoisonError::into_inner);
        self.build(fill)
    }

    fn build(
        &self,
        fill: impl FnOnce(&git2::Repository) -> Result<(), SourceError>,
    ) -> Result<(), SourceError> {
        let fresh = self.folder.with_extension("new");
        let old = self.folder.with_extension("old");
        let made = remove(&fresh)
            .map_err(|error| disk(&error))
            .and_then(|()| init(&fresh))
            .and_then(|repository| fill(&repository));
        let moved = made.and_then(|()| {
            let _access = self.lock_access();
            let access = fs::read(self.folder.join(ACCESS)).unwrap_or_default();
            fs::write(fresh.join(ACCESS), access).map_err(|error| disk(&error))?;
            let _guard = self.swap.write().unwrap_or_else(PoisonError::into_inner);
            self.generation.fetch_add(1, Ordering::Relaxed);
            self.layout.store(new_layout(), Ordering::Relaxed);
            swap(&self.folder, &fresh, &old).map_err(|error| disk(&error))
        });
        // What is left over is removed again at the next start.
        drop((remove(&old), remove(&fresh)));
        moved
    }

    /// Returns whether a server accepted these credentials for this repository before.
    pub(crate) fn is_known(&self, credentials: &Credentials) -> bool {
        let text = fs::read_to_string(self.folder.join(ACCESS)).unwrap_or_default();
        text.lines().any(|line| line == credentials.mark())
    }

    /// Remembers whether the server accepted these credentials.
    pub(crate) fn remember(&self, credentials: &Credentials, is_accepted: bool) {
        let _access = self.lock_access();
        if self.is_known(credentials) == is_accepted {
            return;
        }
        let mark = credentials.mark();
        let text = fs::read_to_string(self.folder.join(ACCESS)).unwrap_or_default();
        let mut marks: Vec<&str> = text.lines().filter(|line| *line != mark).collect();
        if is_accepted {
            marks.push(&mark);
        }
        // Whoever reads it meanwhile reads all of the one or all of the other.
        let unfinished = self.folder.join(ACCESS_UNFINISHED);
        let written = fs::write(&unfinished, marks.join("\n"))
            .and_then(|()| fs::rename(&unfinished, self.folder.join(ACCESS)));
        if let Err(error) = written {
            tracing::warn!(%error, folder = %self.folder.display(), "cache folder cannot be written");
        }
    }

    fn lock_access(&self) -> MutexGuard<'_, ()> {
        self.access.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns where the cache keeps a repository, by its normalised URL.
pub(crate) fn folder(cache: &Path, url: &str) -> PathBuf {
    cache.join(model::digest(url.as_bytes()).short(32))
}

/// Removes what an earlier process left half done. Only this process uses the folder.
pub(crate) fn tidy(cache: &Path) -> std::io::Result<()> {
    for entry in fs::read_dir(cache)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "new" || extension == "old") {
            remove(&path)?;
        } else if let Ok(packs) = fs::read_dir(path.join("objects/pack")) {
            for pack in packs.flatten() {
                let is_partial = pack.file_name().to_string_lossy().starts_with("pack_git2_");
                if is_partial {
                    fs::remove_file(pack.path())?;
                }
            }
        }
    }
    Ok(())
}

fn init(folder: &Path) -> Result<git2::Repository, SourceError> {
    let mut options = git2::RepositoryInitOptions::new();
    options.bare(true).mkpath(true).external_template(false).initial_head("main");
    git2::Repository::init_opts(folder, &options).map_err(|error| cannot_write(&printable(error.message())))
}

fn swap(folder: &Path, fresh: &Path, old: &Path) -> std::io::Result<()> {
    remove(old)?;
    if folder.exists() {
        fs::rename(folder, old)?;
    }
    fs::rename(fresh, folder)
}

pub(crate) fn remove(path: &Path) -> std::io::Result<()> {
    let removed =
        if path.is_dir() && !path.is_symlink() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
    match removed {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
        Err(_) | Ok(()) => Ok(()),
    }
}

pub(crate) fn disk(error: &std::io::Error) -> SourceError {
    cannot_write(&error.to_string())
}

/// Says that the cache is at fault, and not the server.
pub(crate) fn cannot_write(why: &str) -> SourceError {
    SourceError::new(Kind::Unavailable, format!("the cache folder cannot be written: {why}"))
        .help("see that --cache-dir has room and belongs to the agent")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(n: usize) -> Credentials {
        Credentials::Basic { username: format!("user-{n}"), password: "p".into() }
    }

    #[test]
    fn who_may_read_a_clone_is_remembered_of_all_who_come_at_the_same_time_and_of_a_rebuild() {
        const USERS: usize = 8;
        let folder = tempfile::tempdir().unwrap();
        let clone = CacheClone::new(folder.path().join("clone"));
        drop(clone.ensure().unwrap());
        std::thread::scope(|threads| {
            for n in 0..USERS {
                let clone = &clone;
                threads.spawn(move || {
                    for _ in 0..20 {
                        clone.remember(&user(n), true);
                        assert!(clone.is_known(&user(n)), "{n} was forgotten by another");
                        clone.remember(&user(n), false);
                        assert!(!clone.is_known(&user(n)), "{n} was let in again by another");
                        clone.remember(&user(n), true);
                    }
                });
            }
            threads.spawn(|| (0..20).for_each(|_| clone.replace(|_| Ok(())).unwrap()));
        });
        assert!((0..USERS).all(|n| clone.is_known(&user(n))));
        assert!(!folder.path().join("clone").join(ACCESS_UNFINISHED).exists());
    }
}
