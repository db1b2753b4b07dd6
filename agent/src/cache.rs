//! What survives a restart on disk? Rendered sets; everything in the folder may vanish at any time.

use crate::desired::DesiredSet;
use model::{AppKey, digest};
use serde_json::Value;
use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

/// The folder of rendered sets. One thread writes: a disk that is slow or stands still holds up neither the loop nor a render,
/// and what waits for it is the newest set of each app.
pub(crate) struct Cache {
    folder: PathBuf,
    queue: Arc<Queue>,
    writer: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Queue {
    state: Mutex<Waiting>,
    wake: Condvar,
}

#[derive(Default)]
struct Waiting {
    /// The only paths that are wanted. It goes first: what is kept later may be of a newer app.
    wanted: Option<BTreeSet<PathBuf>>,
    /// What to keep at a path; `None` removes what is there.
    due: BTreeMap<PathBuf, Option<Arc<DesiredSet>>>,
    is_closed: bool,
}

enum Work {
    Store(PathBuf, Arc<DesiredSet>),
    Remove(PathBuf),
    KeepOnly(BTreeSet<PathBuf>),
}

impl Waiting {
    fn pop(&mut self) -> Option<Work> {
        if let Some(wanted) = self.wanted.take() {
            return Some(Work::KeepOnly(wanted));
        }
        let (path, set) = self.due.pop_first()?;
        Some(match set {
            Some(set) => Work::Store(path, set),
            None => Work::Remove(path),
        })
    }
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for something to do; `None` once all is done and nothing more will come.
    fn next(&self) -> Option<Work> {
        let mut state = self.lock();
        loop {
            if let Some(work) = state.pop() {
                return Some(work);
            }
            if state.is_closed {
                return None;
            }
            state = self.wake.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl Cache {
    /// Starts the thread that writes below `cache_dir`.
    ///
    /// # Errors
    /// When there is no thread to be had.
    pub(crate) fn open(cache_dir: &Path) -> std::io::Result<Self> {
        let queue = Arc::new(Queue::default());
        let work = Arc::clone(&queue);
        let folder = cache_dir.join("rendered");
        let below = folder.clone();
        let writer = std::thread::Builder::new().name("cache".into()).spawn(move || write(&work, &below))?;
        Ok(Self { folder, queue, writer: Some(writer) })
    }

    /// Returns where the rendered set of an app is kept.
    pub(crate) fn path(&self, key: &AppKey) -> PathBuf {
        self.folder.join(format!("{}.json", digest(key.to_string().as_bytes()).short(32)))
    }

    /// Has an app's rendered set kept.
    pub(crate) fn store(&self, key: &AppKey, set: Arc<DesiredSet>) {
        self.put(self.path(key), Some(set));
    }

    /// Has what is kept of an app removed.
    pub(crate) fn remove(&self, key: &AppKey) {
        self.put(self.path(key), None);
    }

    /// Has everything removed that is of none of these apps: some may have gone while nobody watched.
    pub(crate) fn keep_only<'a>(&self, apps: impl Iterator<Item = &'a AppKey>) {
        let wanted: BTreeSet<PathBuf> = apps.map(|key| self.path(key)).collect();
        {
            let mut waiting = self.queue.lock();
            waiting.due.retain(|path, _| wanted.contains(path));
            waiting.wanted = Some(wanted);
        }
        self.queue.wake.notify_one();
    }

    fn put(&self, path: PathBuf, set: Option<Arc<DesiredSet>>) {
        self.queue.lock().due.insert(path, set);
        self.queue.wake.notify_one();
    }
}

impl Drop for Cache {
    /// Waits until everything is written.
    fn drop(&mut self) {
        self.queue.lock().is_closed = true;
        self.queue.wake.notify_one();
        let _panicked = self.writer.take().map(JoinHandle::join);
    }
}

fn write(queue: &Queue, folder: &Path) {
    while let Some(work) = queue.next() {
        match work {
            Work::Store(path, set) => {
                if let Err(error) = store(&path, &set) {
                    tracing::warn!(%error, path = %path.display(), "the rendered manifests could not be cached");
                }
            }
            Work::Remove(path) => {
                let _absent = std::fs::remove_file(path);
            }
            Work::KeepOnly(wanted) => match keep_only(folder, &wanted) {
                Ok(0) => {}
                Ok(count) => tracing::info!(count, "rendered manifests of apps that are gone were removed"),
                Err(error) => {
                    tracing::warn!(%error, path = %folder.display(), "old rendered manifests could not be removed");
                }
            },
        }
    }
}

fn keep_only(folder: &Path, wanted: &BTreeSet<PathBuf>) -> std::io::Result<usize> {
    let entries = match std::fs::read_dir(folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(0),
        read => read?,
    };
    let mut n_gone = 0;
    for entry in entries {
        let path = entry?.path();
        if !wanted.contains(&path) {
            std::fs::remove_file(path)?;
            n_gone += 1;
        }
    }
    Ok(n_gone)
}

/// Reads a rendered set; `None` where there is none or where anything in it is off. A file that was cut or altered is told and
/// removed, so that it is told once.
pub(crate) fn load(path: &Path) -> Option<DesiredSet> {
    let mut file = File::open(path).ok()?;
    // Not in the middle of a write. Where a file system knows no locks, a torn file is told by its sum.
    drop(file.lock_shared());
    let mut text = Vec::new();
    file.read_to_end(&mut text).ok()?;
    if text.is_empty() {
        // It was just made, or nothing came after that.
        return None;
    }
    let Some(body) = whole(&text) else {
        tracing::warn!(path = %path.display(), "cached manifests were cut or altered; they are rendered anew");
        let _absent = std::fs::remove_file(path);
        return None;
    };
    // One that an earlier version wrote is whole, and may be of no use.
    DesiredSet::from_json(&serde_json::from_slice::<Value>(body).ok()?)
}

/// Returns what stands behind the sum over it, which tells a torn or altered file from a whole one.
fn whole(text: &[u8]) -> Option<&[u8]> {
    let (sum, body) = text.split_at_checked(65)?;
    (sum[..64] == *digest(body).to_string().as_bytes()).then_some(body)
}

/// Writes a rendered set over the one before: a file that was cut short is told by its sum, and a new file per commit and
/// app would be the dearest part of a render.
fn store(path: &Path, set: &DesiredSet) -> std::io::Result<()> {
    let body = set.to_json();
    let text = format!("{}\n{body}", digest(body.as_bytes()));
    let open = || OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path);
    let mut file = match open() {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let folder = path.parent().unwrap_or(Path::new("."));
            // Rendered Secrets are in there: nobody else on this machine reads them.
            std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
            open()?
        }
        opened => opened?,
    };
    drop(file.lock());
    file.write_all(text.as_bytes())?;
    file.set_len(text.len() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn app(name: &str) -> AppKey {
        AppKey::new("argocd", name)
    }

    fn set(input: &str) -> Arc<DesiredSet> {
        Arc::new(DesiredSet { inputs: input.into(), ..DesiredSet::empty() })
    }

    #[test]
    fn the_newest_set_survives_in_the_place_of_a_longer_one() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::open(folder.path()).unwrap();
        let path = cache.path(&app("shop"));
        cache.store(&app("shop"), set("the longer one of the two"));
        cache.store(&app("shop"), set("new"));
        cache.store(&app("gone"), set("new"));
        cache.remove(&app("gone"));
        let gone = cache.path(&app("gone"));
        drop(cache);
        assert_eq!(load(&path).map(|set| set.inputs.clone()).as_deref(), Some("new"));
        assert!(!gone.exists());
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
    }

    #[test]
    fn only_what_is_of_todays_apps_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::open(folder.path()).unwrap();
        let (shop, new) = (app("shop"), app("new"));
        // There is nothing yet, not even the folder.
        cache.keep_only([&shop].into_iter());
        cache.store(&shop, set("shop"));
        cache.store(&app("gone"), set("gone"));
        cache.keep_only([&shop].into_iter());
        cache.store(&new, set("new"));
        let paths = [&shop, &app("gone"), &new].map(|key| cache.path(key));
        drop(cache);
        assert_eq!(paths.map(|path| path.exists()), [true, false, true]);
    }

    // N41: rendered sets, cut or altered
    #[test]
    fn a_file_that_was_cut_short_is_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::open(folder.path()).unwrap();
        let path = cache.path(&app("shop"));
        cache.store(&app("shop"), set("old"));
        drop(cache);
        let whole = fs::read(&path).unwrap();
        for length in [0, 64, 65, whole.len() - 1] {
            fs::write(&path, &whole[..length]).unwrap();
            assert!(load(&path).is_none(), "{length} bytes");
            // It is told once: the next one finds nothing.
            assert_eq!(path.exists(), length == 0, "{length} bytes");
        }
        let mut mixed = whole.clone();
        mixed[70] ^= 1;
        fs::write(&path, mixed).unwrap();
        assert!(load(&path).is_none() && !path.exists());
        // What nobody altered is kept, whether it is of use or not.
        fs::write(&path, format!("{}\n{{}}", digest(b"{}"))).unwrap();
        assert!(load(&path).is_none() && path.exists());
    }
}
