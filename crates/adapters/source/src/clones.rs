//! Which clones are there, and which of them may go?

use crate::clone::{self, CacheClone};
use crate::error::SourceError;
use crate::url::RepoUrl;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The clones of the cache folder. Whoever works on one holds it.
#[derive(Debug)]
pub(crate) struct Clones {
    cache: PathBuf,
    /// By normalised URL, those that were asked for.
    open: Mutex<BTreeMap<String, Arc<CacheClone>>>,
    /// Folders of clones that nobody uses, and since when.
    unused: Mutex<BTreeMap<PathBuf, Instant>>,
}

impl Clones {
    pub(crate) fn new(cache: &Path) -> Self {
        Self { cache: cache.to_owned(), open: Mutex::default(), unused: Mutex::default() }
    }

    /// Returns the clone of a repository, which need not be there yet.
    pub(crate) fn of(&self, url: &RepoUrl) -> Arc<CacheClone> {
        let url = url.normalised();
        let folder = clone::folder(&self.cache, &url);
        let mut open = lock(&self.open);
        Arc::clone(open.entry(url).or_insert_with(|| Arc::new(CacheClone::new(folder))))
    }

    /// Removes clones that have not been in use for `grace`, also those of an earlier process; returns how many.
    pub(crate) fn sweep(&self, in_use: &BTreeSet<String>, grace: Duration) -> Result<usize, SourceError> {
        let used: BTreeSet<PathBuf> = in_use.iter().map(|url| clone::folder(&self.cache, url)).collect();
        let unused: BTreeSet<PathBuf> =
            self.folders()?.into_iter().filter(|folder| !used.contains(folder)).collect();
        let now = Instant::now();
        let mut since = lock(&self.unused);
        since.retain(|folder, _| unused.contains(folder));
        let mut n_gone = 0;
        for folder in unused {
            let is_long = now.duration_since(*since.entry(folder.clone()).or_insert(now)) >= grace;
            if is_long && let Some(aside) = self.put_aside(&folder)? {
                clone::remove(&aside).map_err(|error| clone::disk(&error))?;
                since.remove(&folder);
                n_gone += 1;
            }
        }
        Ok(n_gone)
    }

    fn folders(&self) -> Result<Vec<PathBuf>, SourceError> {
        let entries = std::fs::read_dir(&self.cache).map_err(|error| clone::disk(&error))?;
        let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
        // What has an extension is half done, by somebody who removes it.
        Ok(paths.filter(|path| path.extension().is_none() && path.is_dir()).collect())
    }

    /// Takes a clone out of use, unless somebody works on it: whoever wants it from now on begins a new one.
    fn put_aside(&self, folder: &Path) -> Result<Option<PathBuf>, SourceError> {
        let mut open = lock(&self.open);
        let known = open.iter().find(|(_, clone)| clone.folder() == folder);
        if let Some((url, clone)) = known.map(|(url, clone)| (url.clone(), clone)) {
            if Arc::strong_count(clone) > 1 {
                return Ok(None);
            }
            open.remove(&url);
        }
        let aside = folder.with_extension("old");
        let moved = clone::remove(&aside).and_then(|()| std::fs::rename(folder, &aside));
        moved.map_err(|error| clone::disk(&error))?;
        Ok(Some(aside))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
