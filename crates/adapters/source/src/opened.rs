//! Which repository does this thread have open?
//!
//! A commit makes a thousand apps read the same repository, each for a millisecond, and to open it takes as long: its
//! configuration, its packs. So a thread keeps the last one open, but only while more work waits: an idle agent holds no files
//! and none of libgit2's caches, and whoever got the last answer may do with the files what he likes.

use git2::Repository;
use std::cell::{Cell, RefCell};
use std::path::{Path, PathBuf};

thread_local! {
    static MORE_WAITS: Cell<bool> = const { Cell::new(false) };
    static OPENED: RefCell<Option<(PathBuf, u64, Repository)>> = const { RefCell::new(None) };
}

/// Works on a repository, opened as a bare one: libgit2 then neither asks who owns it (in a pod that is rarely us) nor looks at
/// a working copy. `layout` is another number whenever files of it were replaced. After an error it is opened anew.
pub(crate) fn with<T, E: From<git2::Error>>(
    folder: &Path,
    layout: u64,
    work: impl FnOnce(&Repository) -> Result<T, E>,
) -> Result<T, E> {
    let kept = OPENED.take().filter(|(other, number, _)| other == folder && *number == layout);
    let repository = match kept {
        Some((.., repository)) => repository,
        None => Repository::open_bare(folder)?,
    };
    let done = work(&repository)?;
    if MORE_WAITS.get() {
        OPENED.set(Some((folder.to_owned(), layout, repository)));
    }
    Ok(done)
}

/// Says whether more work waits behind that which this thread begins now.
pub(crate) fn expect_more(more_waits: bool) {
    MORE_WAITS.set(more_waits);
}

/// Closes what this thread has open.
pub(crate) fn close() {
    drop(OPENED.take());
}

/// Returns whether this thread has a repository open.
pub(crate) fn is_any() -> bool {
    OPENED.with_borrow(Option::is_some)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn n_refs(folder: &Path, layout: u64) -> Result<usize, git2::Error> {
        with(folder, layout, |repository| Ok::<_, git2::Error>(repository.references()?.count()))
    }

    #[test]
    fn a_repository_stays_open_while_more_waits_until_it_is_replaced_or_fails() {
        let folder = tempfile::tempdir().unwrap();
        let (one, other) = (folder.path().join("one"), folder.path().join("other"));
        for path in [&one, &other] {
            Repository::init_bare(path).unwrap();
        }
        n_refs(&one, 1).unwrap();
        assert!(!is_any());
        expect_more(true);
        n_refs(&one, 1).unwrap();
        // Without it a folder that is none any more cannot be opened.
        std::fs::remove_file(one.join("HEAD")).unwrap();
        n_refs(&one, 1).unwrap();
        assert!(n_refs(&one, 2).is_err());
        assert!(!is_any());

        n_refs(&other, 1).unwrap();
        std::fs::remove_file(other.join("HEAD")).unwrap();
        let failed: Result<(), git2::Error> =
            with(&other, 1, |repository| repository.revparse("nothing").map(drop));
        assert!(failed.is_err() && !is_any());
        assert!(n_refs(&other, 1).is_err());
        expect_more(false);
    }

    #[test]
    fn each_thread_has_its_own() {
        let folder = tempfile::tempdir().unwrap();
        Repository::init_bare(folder.path()).unwrap();
        expect_more(true);
        n_refs(folder.path(), 1).unwrap();
        assert!(!std::thread::spawn(is_any).join().unwrap());
        assert!(is_any());
        close();
        assert!(!is_any());
        expect_more(false);
    }
}
