//! What does an app live through? Each file of `fixtures/scenarios` and of `fixtures/rollback` is a story: lines that begin with `>` are what the
//! engine wants done, the others are what happens. `BLESS=1` writes the files anew.

use crate::words::Story;
use std::path::{Path, PathBuf};

/// Returns the stories: path and text, sorted.
#[expect(clippy::disallowed_methods, reason = "fixtures are files")]
pub(crate) fn stories() -> Vec<(PathBuf, String)> {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../fixtures");
    let folders = ["scenarios", "rollback"].map(|folder| fixtures.join(folder));
    let mut paths: Vec<PathBuf> = folders
        .iter()
        .flat_map(|folder| std::fs::read_dir(folder).expect("a folder of stories"))
        .map(|entry| entry.expect("a story").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "txt"))
        .collect();
    paths.sort();
    let read = |path: &PathBuf| String::from_utf8(std::fs::read(path).expect("a story")).expect("UTF-8");
    paths.into_iter().map(|path| (path.clone(), read(&path))).collect()
}

#[test]
fn stories_end_as_told() {
    let bless = std::env::var_os("BLESS").is_some();
    let mut wrong = Vec::new();
    for (path, text) in stories() {
        let told = Story::transcript(&text);
        if bless {
            bless_one(&path, &told);
        } else if told != text {
            let at = told.lines().zip(text.lines()).position(|(new, old)| new != old).unwrap_or(0);
            wrong.push(format!(
                "{}:{}\n  expected {}\n  found    {}",
                path.display(),
                at + 1,
                text.lines().nth(at).unwrap_or("the end"),
                told.lines().nth(at).unwrap_or("the end"),
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[expect(clippy::disallowed_methods, reason = "asked for by whoever changes a story")]
fn bless_one(path: &Path, told: &str) {
    std::fs::write(path, told).expect("a story can be written");
}

#[test]
fn there_are_stories() {
    assert!(stories().len() >= 20);
}
