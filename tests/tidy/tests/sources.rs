//! Does every source file keep the habits that a reviewer would ask for?

use std::path::Path;
use tidy::{files, named_paths, root};

/// Lines after which a file is to be split by a noun or a verb that has a name.
const LONGEST: usize = 500;

fn complain(found: &[String]) {
    assert!(found.is_empty(), "\n{}\n", found.join("\n"));
}

fn is(path: &str, extension: &str) -> bool {
    Path::new(path).extension().is_some_and(|known| known == extension)
}

#[test]
fn every_file_begins_with_what_it_is_about() {
    let silent = files(".rs").unwrap().into_iter().filter(|file| !file.text.starts_with("//! "));
    complain(&silent.map(|file| format!("{} has no //! at its top", file.path)).collect::<Vec<_>>());
}

#[test]
fn no_file_grows_without_end() {
    let lengths = files(".rs").unwrap().into_iter().map(|file| (file.path, file.text.lines().count()));
    let long = lengths.filter(|(_, lines)| *lines > LONGEST);
    complain(&long.map(|(path, lines)| format!("{path} has {lines} lines")).collect::<Vec<_>>());
}

#[test]
fn nothing_is_left_undone() {
    // Written apart, so that this file does not find itself.
    let words = [["#[", "ignore"], ["TO", "DO"], ["FIX", "ME"], ["unimpl", "emented!"], ["XX", "X:"]]
        .map(|word| word.concat());
    let mut found = Vec::new();
    for file in files(".rs").unwrap().into_iter().chain(files(".md").unwrap()) {
        for (number, line) in file.text.lines().enumerate() {
            for word in words.iter().filter(|word| line.contains(word.as_str())) {
                found.push(format!("{}:{} says {word}", file.path, number + 1));
            }
        }
    }
    complain(&found);
}

#[test]
fn nothing_names_a_folder_of_one_machine() {
    let words = [["/ro", "ot/"], ["/wo", "rk/"], ["/ho", "me/"]].map(|word| word.concat());
    let mut found = Vec::new();
    for ending in [".rs", ".md", ".toml", ".yaml", "run"] {
        for file in files(ending).unwrap() {
            // What a fixture holds was captured somewhere and is read as data only.
            let is_data = file.path.starts_with("fixtures/");
            let named = words.iter().filter(|word| !is_data && file.text.contains(word.as_str()));
            found.extend(named.map(|word| format!("{} names {word}", file.path)));
        }
    }
    complain(&found);
}

#[test]
fn comments_name_real_paths() {
    let mut found = Vec::new();
    for file in files(".rs").unwrap() {
        let comments = file.text.lines().filter(|line| line.trim_start().starts_with("//"));
        for path in named_paths(&comments.collect::<Vec<_>>().join("\n")) {
            // A path may begin at the folder of the package.
            let folders = Path::new(&file.path).ancestors().map(|folder| root().join(folder).join(&path));
            if !folders.into_iter().any(|candidate| candidate.exists()) {
                found.push(format!("{} names {path}", file.path));
            }
        }
    }
    complain(&found);
}

#[test]
fn comments_and_documents_name_documents_that_are_here() {
    let documents = files(".md").unwrap();
    let known: Vec<&str> = documents.iter().filter_map(|file| file.path.rsplit('/').next()).collect();
    let mut found = Vec::new();
    for file in files(".rs").unwrap().iter().chain(&documents) {
        let is_comment = |line: &&str| !is(&file.path, "rs") || line.trim_start().starts_with("//");
        for line in file.text.lines().filter(is_comment) {
            let words = line.split(|c: char| !(c.is_ascii_alphanumeric() || "._-".contains(c)));
            let named = words.map(|word| word.trim_end_matches('.')).filter(|word| is(word, "md"));
            found.extend(
                named.filter(|name| !known.contains(name)).map(|name| format!("{} names {name}", file.path)),
            );
        }
    }
    complain(&found);
}

#[test]
fn the_core_does_not_reach_out() {
    // Clippy refuses single functions (crates/core/.clippy.toml); these are whole families.
    const OUTSIDE: &[&str] = &[
        "async fn",
        "std::fs",
        "std::env",
        "std::net",
        "std::process",
        "std::thread",
        "tokio::",
        "tracing::",
        "println!",
        "std::time::",
    ];
    let mut found = Vec::new();
    for file in files(".rs").unwrap() {
        if !(file.path.starts_with("crates/core/") && file.path.contains("/src/")) {
            continue;
        }
        // Unit tests may read fixtures.
        let is_test = ["/tests.rs", "/tests/", "/fixtures.rs", "/properties.rs"]
            .iter()
            .any(|part| file.path.contains(part));
        let text = file.text.split("#[cfg(test)]").next().unwrap_or_default();
        let outside = OUTSIDE.iter().filter(|word| !is_test && text.contains(**word));
        found.extend(outside.map(|word| format!("{} uses {word}", file.path)));
    }
    complain(&found);
}
