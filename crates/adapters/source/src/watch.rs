//! When is it worth looking at a local repository again?

use crate::error::printable;
use crate::local;
use crate::sources::Sources;
use crate::url::RepoUrl;
use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// Watches the refs of local repositories. Events may be lost: polling is what counts.
#[derive(Debug)]
pub struct Watch {
    watcher: RecommendedWatcher,
    shared: Arc<Shared>,
    /// By normalised URL.
    followed: BTreeMap<String, Vec<PathBuf>>,
}

/// Repositories in which something moved, each named once however much moved.
#[derive(Debug)]
pub struct Hints(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    wake: Notify,
}

#[derive(Debug, Default)]
struct State {
    /// Folders and the repositories that they belong to.
    folders: BTreeMap<PathBuf, BTreeSet<String>>,
    moved: BTreeSet<String>,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, event: &notify::Event) {
        let is_a_change = match event.kind {
            EventKind::Access(_) => false,
            EventKind::Any
            | EventKind::Create(_)
            | EventKind::Modify(_)
            | EventKind::Remove(_)
            | EventKind::Other => true,
        };
        if !is_a_change {
            return;
        }
        let mut state = self.lock();
        let mut moved = BTreeSet::new();
        for path in event.paths.iter().filter(|path| is_about_refs(path)) {
            for folder in path.ancestors() {
                moved.extend(state.folders.get(folder).into_iter().flatten().cloned());
            }
        }
        if !moved.is_empty() {
            state.moved.append(&mut moved);
            drop(state);
            self.wake.notify_one();
        }
    }
}

/// Git writes `x.lock` and renames it to `x`; objects and logs change without any ref moving.
fn is_about_refs(path: &Path) -> bool {
    let is_lock = path.extension().is_some_and(|extension| extension == "lock");
    let is_ref = path.components().any(|part| part.as_os_str() == "refs");
    !is_lock && (is_ref || path.file_name().is_some_and(|name| name == "HEAD" || name == "packed-refs"))
}

impl Hints {
    /// Waits until a local repository moved and returns its normalised URL; never ends by itself. May be dropped at
    /// any time.
    pub async fn next(&mut self) -> String {
        loop {
            if let Some(url) = self.0.lock().moved.pop_first() {
                return url;
            }
            self.0.wake.notified().await;
        }
    }
}

impl Sources {
    /// Starts a watch that follows nothing yet.
    ///
    /// # Errors
    /// The system has no room for another watch.
    pub fn watch(&self) -> anyhow::Result<(Watch, Hints)> {
        let shared = Arc::new(Shared::default());
        let noted = Arc::clone(&shared);
        let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| match event {
            Ok(event) => noted.note(&event),
            Err(error) => tracing::debug!(%error, "watch of local repositories"),
        })?;
        Ok((Watch { watcher, shared: Arc::clone(&shared), followed: BTreeMap::new() }, Hints(shared)))
    }
}

impl Watch {
    /// Follows exactly these repositories from now on; remote ones, and those that may not be read or cannot be
    /// watched, are passed over. Called again, it finds repositories that appeared since.
    pub fn follow<'a>(&mut self, sources: &Sources, urls: impl IntoIterator<Item = &'a RepoUrl>) {
        let mut wanted = BTreeMap::new();
        for url in urls {
            if let Some(folder) = sources.git_folder(url) {
                wanted.insert(url.normalised(), folders(&folder));
            }
        }
        let gone: Vec<String> =
            self.followed.keys().filter(|url| !wanted.contains_key(*url)).cloned().collect();
        for url in gone {
            self.leave(&url);
        }
        for (url, folders) in wanted {
            if self.followed.get(&url) != Some(&folders) {
                self.leave(&url);
                self.enter(&url, folders);
            }
        }
    }

    /// Returns whether a repository is followed.
    pub fn follows(&self, url: &RepoUrl) -> bool {
        self.followed.contains_key(&url.normalised())
    }

    fn enter(&mut self, url: &str, folders: Vec<PathBuf>) {
        for folder in &folders {
            self.shared.lock().folders.entry(folder.clone()).or_default().insert(url.to_owned());
            // Folders, not files: Git replaces refs by renaming, which ends the watch of a file.
            let depth =
                if folder.ends_with("refs") { RecursiveMode::Recursive } else { RecursiveMode::NonRecursive };
            if let Err(error) = self.watcher.watch(folder, depth) {
                let error = printable(&error.to_string());
                tracing::debug!(error, folder = %folder.display(), "folder is not watched, polling remains");
            }
        }
        self.followed.insert(url.to_owned(), folders);
    }

    fn leave(&mut self, url: &str) {
        for folder in self.followed.remove(url).unwrap_or_default() {
            let mut state = self.shared.lock();
            let others = state.folders.get_mut(&folder);
            let is_last = others.is_none_or(|urls| {
                urls.remove(url);
                urls.is_empty()
            });
            if is_last {
                state.folders.remove(&folder);
                drop(state);
                // A folder that is gone has no watch any more.
                drop(self.watcher.unwatch(&folder));
            }
        }
    }
}

/// A worktree has a `HEAD` of its own and shares the refs.
fn folders(git_folder: &Path) -> Vec<PathBuf> {
    let common = local::common(git_folder);
    let common = common.canonicalize().unwrap_or(common);
    let refs = common.join("refs");
    let mut folders = vec![git_folder.to_owned(), common, refs];
    folders.dedup();
    folders
}
