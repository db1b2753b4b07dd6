//! Is the workspace laid out as its documents say, and is what is generated fresh?

use tidy::{named_paths, root, table_rows};

/// Everything visible at the top; tool files are hidden.
const TOP: &[&str] = &[
    "Cargo.lock",
    "Cargo.toml",
    "Dockerfile",
    "LICENSE",
    "README.md",
    "agent",
    "crates",
    "fixtures",
    "manifests",
    "tests",
];

/// The documents whose claims are checked.
const DOCUMENTS: &[&str] = &["README.md", "crates/README.md", "tests/README.md"];

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

#[test]
fn only_known_names_stand_at_the_top() {
    let names = root().read_dir().unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut visible: Vec<String> = names.filter(|name| !name.starts_with('.') && name != "target").collect();
    visible.sort();
    assert_eq!(visible, TOP);
}

#[test]
fn documents_name_real_paths() {
    for document in DOCUMENTS {
        let paths = named_paths(&read(document));
        let missing: Vec<&String> = paths.iter().filter(|path| !root().join(path).exists()).collect();
        assert!(missing.is_empty(), "{document} names {missing:?}");
    }
    assert!(named_paths(&read("crates/README.md")).len() > 30);
}

/// The table of questions names a file, a function in it, and its cases.
#[test]
fn every_question_leads_to_a_function() {
    let rows = table_rows(&read("crates/README.md"), "Question");
    assert!(rows.len() > 20, "only {} questions", rows.len());
    for row in rows {
        let question = &row[0];
        let files = named_paths(&row[1]);
        assert!(!files.is_empty(), "{question} leads to no file");
        let texts: String = files.iter().map(|file| read(file)).collect();
        for name in row[2].split('`').skip(1).step_by(2) {
            let name = name.rsplit("::").next().unwrap();
            let kinds = ["fn", "struct", "enum", "const"];
            let is_there = kinds.iter().any(|kind| {
                ["(", "<", ":", " ", ";"].iter().any(|after| texts.contains(&format!("{kind} {name}{after}")))
            });
            assert!(is_there, "{question} {} has no {name}", row[1]);
        }
        assert!(!row[3].is_empty(), "{question} has no cases");
    }
}

/// Every crate stands on the map.
#[test]
fn the_map_shows_every_crate() {
    let map = read("crates/README.md");
    for group in ["core", "adapters"] {
        for entry in root().join("crates").join(group).read_dir().unwrap() {
            let entry = entry.unwrap();
            let name = entry.file_name().into_string().unwrap();
            let is_crate = entry.path().join("Cargo.toml").exists();
            assert!(!is_crate || map.contains(&format!("{name}/")), "{group}/{name} is not on the map");
        }
    }
}

#[test]
fn generated_files_are_fresh() {
    let mut expected: Vec<(String, String)> = application::crd::files()
        .into_iter()
        .map(|(name, text)| (format!("manifests/crds/{name}"), text))
        .collect();
    let installed = application::install::files().into_iter();
    expected.extend(installed.map(|(name, text)| (format!("manifests/{name}"), text)));
    for (path, text) in &expected {
        assert!(read(path) == *text, "{path} is stale: cargo run -p application --example manifests");
    }
    let stored = tidy::files(".yaml").unwrap().into_iter().filter(|file| file.path.starts_with("manifests/"));
    assert_eq!(stored.count(), expected.len(), "manifests/ holds a file that nothing generates");
}

#[test]
fn what_passes_the_tests_is_what_ci_runs() {
    let command = "cargo test --workspace";
    assert!(read("README.md").contains(&format!("\n{command}\n")));
    assert!(read(".ci/run").contains(&format!("\nstage tests {command}\n")));
}
