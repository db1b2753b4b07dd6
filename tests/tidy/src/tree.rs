//! Which files does the workspace have?

use anyhow::{Context, Result};
use std::path::{Path, PathBuf};

/// What tools leave behind: not ours to judge.
const LEFT_OUT: &[&str] = &[".git", "target"];

/// A text file of the workspace.
#[derive(Clone, Debug)]
pub struct File {
    /// Where, from the workspace's root, with `/`.
    pub path: String,
    /// What it says.
    pub text: String,
}

/// Returns the workspace's root.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Returns all files whose name ends so, sorted by path.
///
/// # Errors
/// One cannot be read, or is not text.
pub fn files(ending: &str) -> Result<Vec<File>> {
    let mut found = Vec::new();
    walk(&root(), "", ending, &mut found)?;
    found.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(found)
}

fn walk(folder: &Path, path: &str, ending: &str, found: &mut Vec<File>) -> Result<()> {
    for entry in folder.read_dir().with_context(|| format!("read {}", folder.display()))? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if LEFT_OUT.contains(&name.as_str()) {
            continue;
        }
        let path = if path.is_empty() { name.clone() } else { format!("{path}/{name}") };
        if entry.file_type()?.is_dir() {
            walk(&entry.path(), &path, ending, found)?;
        } else if name.ends_with(ending) {
            let text = std::fs::read_to_string(entry.path()).with_context(|| format!("read {path}"))?;
            found.push(File { path, text });
        }
    }
    Ok(())
}
