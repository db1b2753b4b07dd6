//! Which files does a folder on this disk hold, before anybody commits it? Links count as they would in the commit.

use crate::error::{Kind, SourceError};
use crate::listing::{File, Listing, Selection, cycle, outside};
use crate::tree::{MAX_LINKS, join};
use std::collections::VecDeque;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Reads the files that `filter` selects by their path relative to the folder, as they would be read of a commit of the
/// repository that the folder is in. Where it is in none, it counts as one by itself.
///
/// # Errors
/// [`Kind::PathNotFound`], [`Kind::NotPermitted`], [`Kind::Invalid`] for links and names that are refused, and
/// [`Kind::TooLarge`].
pub fn read_folder(
    folder: &Path,
    recurse: bool,
    filter: impl Fn(&str) -> bool,
) -> Result<Listing, SourceError> {
    let from = folder.canonicalize().map_err(|error| failed(folder, &error))?;
    let root = from.ancestors().find(|above| above.join(".git").exists()).unwrap_or(&from).to_path_buf();
    let listing = Listing { inputs: String::new(), files: Vec::new(), root_names: Vec::new() };
    let mut walk = Walk { root, recurse, filter, listing, selection: Selection::default() };
    let mut below = vec![(from, String::new())];
    while let Some((folder, relative)) = below.pop() {
        below.extend(walk.enter(&folder, &relative)?);
    }
    walk.listing.files.sort_by(|a, b| a.path.cmp(&b.path));
    walk.listing.root_names.sort();
    Ok(walk.listing)
}

struct Walk<F> {
    /// The repository, without links on the way to it.
    root: PathBuf,
    recurse: bool,
    filter: F,
    listing: Listing,
    selection: Selection,
}

impl<F: Fn(&str) -> bool> Walk<F> {
    /// Looks at one folder and returns those in it.
    fn enter(&mut self, folder: &Path, relative: &str) -> Result<Vec<(PathBuf, String)>, SourceError> {
        let mut below = Vec::new();
        for entry in fs::read_dir(folder).map_err(|error| failed(folder, &error))? {
            let entry = entry.map_err(|error| failed(folder, &error))?;
            let (path, name) = (entry.path(), entry.file_name());
            if name == ".git" {
                continue;
            }
            let shown = join(relative, &name.to_string_lossy());
            if relative.is_empty() {
                self.listing.root_names.push(shown.clone());
            }
            let kind = entry.file_type().map_err(|error| failed(&path, &error))?;
            // A repository below this one is a submodule, or nothing that the commit has.
            if kind.is_dir() && self.recurse && !path.join(".git").exists() {
                below.push((path, shown));
            } else if kind.is_symlink() {
                let target = self.follow(folder, &name, &shown)?;
                self.take(target.as_deref(), shown, &name)?;
            } else if kind.is_file() {
                self.take(Some(&path), shown, &name)?;
            }
        }
        Ok(below)
    }

    /// Takes a file in if it is selected; a link that leads to no file is passed over.
    fn take(&mut self, file: Option<&Path>, path: String, name: &OsString) -> Result<(), SourceError> {
        let Some(file) = file.filter(|_| (self.filter)(&path)) else { return Ok(()) };
        if name.to_str().is_none() {
            return Err(SourceError::new(Kind::Invalid, format!("the name of file {path:?} is not UTF-8")));
        }
        let size = file.metadata().map_err(|error| failed(file, &error))?.len();
        self.selection.add(&path, size)?;
        let bytes = fs::read(file).map_err(|error| failed(file, &error))?;
        self.listing.files.push(File { path, id: String::new(), bytes, link: None });
        Ok(())
    }

    /// Returns the file that a link leads to, if it leads to one.
    fn follow(&self, folder: &Path, name: &OsString, shown: &str) -> Result<Option<PathBuf>, SourceError> {
        let mut at = folder.to_path_buf();
        let mut parts = VecDeque::from([name.clone()]);
        let mut last_link = PathBuf::from(name);
        let mut n_links = 0;
        while let Some(part) = parts.pop_front() {
            if part == ".." {
                if at == self.root {
                    return Err(outside(shown, &last_link.to_string_lossy()));
                }
                at.pop();
                continue;
            }
            let next = at.join(&part);
            let Ok(found) = next.symlink_metadata() else { return Ok(None) };
            if part == ".git" {
                return Ok(None);
            }
            if !found.is_symlink() {
                at = next;
                continue;
            }
            n_links += 1;
            if n_links > MAX_LINKS {
                return Err(cycle(shown));
            }
            last_link = fs::read_link(&next).map_err(|error| failed(&next, &error))?;
            if last_link.is_absolute() {
                return Err(outside(shown, &last_link.to_string_lossy()));
            }
            let texts = last_link.components().rev().map(|part| part.as_os_str().to_owned());
            texts.filter(|text| text != ".").for_each(|text| parts.push_front(text));
        }
        Ok(at.is_file().then_some(at))
    }
}

fn failed(path: &Path, error: &io::Error) -> SourceError {
    let path = path.display();
    match error.kind() {
        io::ErrorKind::NotFound => SourceError::new(Kind::PathNotFound, format!("{path} does not exist")),
        io::ErrorKind::PermissionDenied => {
            SourceError::new(Kind::NotPermitted, format!("{path} may not be read"))
        }
        _ => SourceError::new(Kind::Unavailable, format!("{path} cannot be read: {error}")),
    }
}
