//! How does a clone stay quick after many fetches?

use crate::error::Fault;
use std::fs;
use std::path::{Path, PathBuf};

/// Each fetch leaves a pack, and looking for an object asks pack after pack.
const MANY: usize = 40;
/// Larger packs are not written again.
const SMALL: u64 = 16_000_000;

/// Writes the many small packs of a clone into one. Returns the files that it replaces, which the caller removes
/// when nobody reads them; all objects are kept, those that no ref leads to among them.
pub(crate) fn merge(repository: &git2::Repository) -> Result<Vec<PathBuf>, Fault> {
    let folder = repository.path().join("objects/pack");
    let small = small_packs(&folder);
    if small.len() < MANY {
        return Ok(Vec::new());
    }
    // An object database of its own, of links to just these packs, tells which objects they hold.
    let apart = repository.path().join("merging");
    let known = list(&apart, &small);
    // Removed again at the latest by the next merge.
    drop(fs::remove_dir_all(&apart));
    let mut builder = repository.packbuilder()?;
    builder.set_threads(1);
    for id in known? {
        builder.insert_object(id, None)?;
    }
    let before = files(&folder);
    builder.write(&folder, 0o444)?;
    let is_whole = files(&folder).iter().any(|path| !before.contains(path) && has_extension(path, "idx"));
    // The same objects give a pack of the same name; then nothing may be removed.
    if !is_whole {
        return Ok(Vec::new());
    }
    Ok(small
        .iter()
        .flat_map(|pack| ["idx", "pack", "rev"].map(|extension| pack.with_extension(extension)))
        .collect())
}

fn list(apart: &Path, packs: &[PathBuf]) -> Result<Vec<git2::Oid>, git2::Error> {
    let link = || -> std::io::Result<()> {
        if apart.exists() {
            fs::remove_dir_all(apart)?;
        }
        fs::create_dir_all(apart.join("pack"))?;
        for path in packs.iter().flat_map(|pack| [pack.clone(), pack.with_extension("idx")]) {
            fs::hard_link(&path, apart.join("pack").join(path.file_name().unwrap_or_default()))?;
        }
        Ok(())
    };
    link().map_err(|error| {
        git2::Error::new(git2::ErrorCode::GenericError, git2::ErrorClass::Os, error.to_string())
    })?;
    let odb = git2::Odb::new()?;
    odb.add_disk_alternate(&apart.to_string_lossy())?;
    let mut ids = Vec::new();
    odb.foreach(|id| {
        ids.push(*id);
        true
    })?;
    Ok(ids)
}

fn small_packs(folder: &Path) -> Vec<PathBuf> {
    let is_small = |path: &PathBuf| fs::metadata(path).is_ok_and(|data| data.len() < SMALL);
    files(folder).into_iter().filter(|path| has_extension(path, "pack") && is_small(path)).collect()
}

fn files(folder: &Path) -> Vec<PathBuf> {
    fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect()
}

fn has_extension(path: &Path, wanted: &str) -> bool {
    path.extension().is_some_and(|extension| extension == wanted)
}
