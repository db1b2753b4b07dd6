//! What survives a restart on disk? Rendered sets; everything in the folder may vanish at any time.

use crate::desired::DesiredSet;
use model::{AppKey, digest};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc;
use std::thread::JoinHandle;

/// The folder of rendered sets. One thread writes: a disk that is slow or stands still holds up neither the loop nor a render.
pub(crate) struct Cache {
    folder: PathBuf,
    /// `None` once no more is written.
    work: Option<mpsc::Sender<Work>>,
    writer: Option<JoinHandle<()>>,
}

enum Work {
    Store(PathBuf, Arc<DesiredSet>),
    Remove(PathBuf),
    KeepOnly(PathBuf, BTreeSet<PathBuf>),
}

impl Cache {
    /// Starts the thread that writes below `cache_dir`.
    ///
    /// # Errors
    /// When there is no thread to be had.
    pub(crate) fn open(cache_dir: &Path) -> std::io::Result<Self> {
        let (work, queue) = mpsc::channel();
        let writer = std::thread::Builder::new().name("cache".into()).spawn(move || write(&queue))?;
        Ok(Self { folder: cache_dir.join("rendered"), work: Some(work), writer: Some(writer) })
    }

    /// Returns where the rendered set of an app is kept.
    pub(crate) fn path(&self, key: &AppKey) -> PathBuf {
        self.folder.join(format!("{}.json", digest(key.to_string().as_bytes()).short(32)))
    }

    /// Has an app's rendered set kept.
    pub(crate) fn store(&self, key: &AppKey, set: Arc<DesiredSet>) {
        self.send(Work::Store(self.path(key), set));
    }

    /// Has what is kept of an app removed.
    pub(crate) fn remove(&self, key: &AppKey) {
        self.send(Work::Remove(self.path(key)));
    }

    /// Has everything removed that is of none of these apps: some may have gone while nobody watched.
    pub(crate) fn keep_only<'a>(&self, apps: impl Iterator<Item = &'a AppKey>) {
        self.send(Work::KeepOnly(self.folder.clone(), apps.map(|key| self.path(key)).collect()));
    }

    fn send(&self, work: Work) {
        // Without the thread nothing is kept, and the next start renders.
        let _unwritten = self.work.as_ref().map(|sender| sender.send(work));
    }
}

impl Drop for Cache {
    /// Waits until everything is written.
    fn drop(&mut self) {
        drop(self.work.take());
        let _panicked = self.writer.take().map(JoinHandle::join);
    }
}

fn write(queue: &mpsc::Receiver<Work>) {
    while let Ok(work) = queue.recv() {
        match work {
            Work::Store(path, set) => {
                if let Err(error) = store(&path, &set) {
                    tracing::warn!(%error, path = %path.display(), "the rendered manifests could not be cached");
                }
            }
            Work::Remove(path) => {
                let _absent = std::fs::remove_file(path);
            }
            Work::KeepOnly(folder, wanted) => match keep_only(&folder, &wanted) {
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

/// Reads a rendered set; `None` where there is none or where anything in it is off.
pub(crate) fn load(path: &Path) -> Option<DesiredSet> {
    let text = std::fs::read(path).ok()?;
    let (sum, body) = text.split_at_checked(65)?;
    // A sum over the content tells a torn or altered file from a whole one.
    (sum[..64] == *digest(body).to_string().as_bytes()).then_some(())?;
    DesiredSet::from_json(&serde_json::from_slice::<Value>(body).ok()?)
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
        }
        let mut mixed = whole.clone();
        mixed[70] ^= 1;
        fs::write(&path, mixed).unwrap();
        assert!(load(&path).is_none());
    }
}
