//! Who may depend on whom? A new edge is one line here, which a reviewer sees.
#![expect(clippy::unwrap_used, reason = "metadata that cannot be read is a failed test")]

use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

/// Every package of ours, those of ours that it uses, and those that only its tests use.
const EDGES: &[(&str, &[&str], &[&str])] = &[
    // core
    ("model", &[], &[]),
    ("manifest", &["model"], &[]),
    ("fields", &["model"], &[]),
    ("drift", &["fields", "model"], &[]),
    ("health", &["model"], &[]),
    ("plan", &["model"], &[]),
    ("release", &["model"], &[]),
    ("engine", &["model", "plan"], &[]),
    ("application", &["model"], &[]),
    // adapters: they know neither each other nor the core's decisions
    ("source", &["model"], &["lab"]),
    ("heap", &[], &[]),
    ("cluster", &["model"], &[]),
    ("api", &["model"], &[]),
    // the program
    (
        "tautline",
        &[
            "api",
            "application",
            "cluster",
            "drift",
            "engine",
            "fields",
            "health",
            "heap",
            "manifest",
            "model",
            "plan",
            "release",
            "source",
        ],
        &["lab"],
    ),
    // tests: none of them links the agent, they run it
    ("lab", &[], &[]),
    ("e2e", &["api", "application", "cluster", "lab", "model"], &["manifest", "release"]),
    ("bench", &["application", "cluster", "e2e", "lab", "model"], &[]),
    ("tidy", &[], &["api", "application", "manifest"]),
];

/// Packages from outside that have one owner, so that no other crate needs to know them. `ring` has none: it only reckons,
/// for `api` what a webhook is signed with, for `source` what a host is known by, for `release` what a release is sealed with, and for
/// the agent the key for that.
const OWNERS: &[(&str, &str)] = &[
    ("git2", "source"),
    ("libgit2-sys", "source"),
    ("notify", "source"),
    ("semver", "source"),
    ("kube", "cluster"),
    ("k8s-openapi", "cluster"),
    ("warp", "api"),
    ("tokio-rustls", "api"),
    ("hyper", "api"),
    ("rustls-native-certs", "api"),
    ("granit-parser", "manifest"),
    ("serde-saphyr", "manifest"),
    ("serde_yaml", "application"),
    ("schemars", "application"),
    ("similar", "drift"),
    ("flate2", "release"),
];

/// What the core may use from outside: values and text, nothing that reaches out.
const CORE_MAY_USE: &[&str] = &[
    "base64",
    "flate2",
    "granit-parser",
    "jiff",
    "ring",
    "schemars",
    "serde",
    "serde-saphyr",
    "serde_json",
    "serde_yaml",
    "sha2",
    "similar",
];

/// A package of ours: where it is, and what it depends on.
struct Package {
    folder: String,
    normal: BTreeSet<String>,
    tests: BTreeSet<String>,
}

fn packages() -> BTreeMap<String, Package> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["metadata", "--no-deps", "--format-version", "1", "--offline"])
        .current_dir(tidy::root())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    metadata["packages"].as_array().unwrap().iter().map(read).collect()
}

fn read(package: &Value) -> (String, Package) {
    let dependencies = package["dependencies"].as_array().unwrap();
    let of_kind = |kind: &Value| -> BTreeSet<String> {
        let found = dependencies.iter().filter(|d| d["kind"] == *kind);
        found.map(|d| d["name"].as_str().unwrap().to_owned()).collect()
    };
    let folder = package["manifest_path"].as_str().unwrap().to_owned();
    let (normal, tests) = (of_kind(&Value::Null), of_kind(&"dev".into()));
    (package["name"].as_str().unwrap().to_owned(), Package { folder, normal, tests })
}

#[test]
fn every_edge_between_our_packages_is_in_the_table() {
    let packages = packages();
    let ours: BTreeSet<&String> = packages.keys().collect();
    let listed: BTreeSet<String> = EDGES.iter().map(|(name, ..)| (*name).to_owned()).collect();
    assert_eq!(
        listed.iter().collect::<BTreeSet<_>>(),
        ours,
        "the table and the workspace name different packages"
    );
    for (name, normal, tests) in EDGES {
        let package = &packages[*name];
        let inside =
            |all: &BTreeSet<String>| all.iter().filter(|d| ours.contains(d)).cloned().collect::<Vec<_>>();
        assert_eq!(inside(&package.normal), *normal, "what {name} uses of ours");
        assert_eq!(inside(&package.tests), *tests, "what the tests of {name} use of ours");
    }
}

#[test]
fn a_package_from_outside_has_one_owner() {
    let packages = packages();
    for (outside, owner) in OWNERS {
        let users =
            packages.iter().filter(|(_, p)| p.normal.contains(*outside) || p.tests.contains(*outside));
        let users: Vec<&str> = users.map(|(name, _)| name.as_str()).collect();
        assert_eq!(users, [*owner], "who uses {outside}");
    }
}

#[test]
fn the_core_uses_nothing_that_reaches_out() {
    let packages = packages();
    let mut n_core = 0;
    for (name, package) in packages.iter().filter(|(_, p)| p.folder.contains("/crates/core/")) {
        n_core += 1;
        for used in &package.normal {
            let is_known = CORE_MAY_USE.contains(&used.as_str()) || packages.contains_key(used);
            assert!(is_known, "{name} uses {used}");
        }
    }
    assert_eq!(n_core, 9);
}

#[test]
fn every_package_takes_the_lints_of_the_workspace() {
    for file in tidy::files("Cargo.toml").unwrap() {
        // `source` and `heap` repeat the table with one difference and say why.
        const EXEMPT: [&str; 3] =
            ["Cargo.toml", "crates/adapters/heap/Cargo.toml", "crates/adapters/source/Cargo.toml"];
        let is_exempt = EXEMPT.contains(&file.path.as_str());
        assert!(is_exempt || file.text.contains("[lints]\nworkspace = true"), "{}", file.path);
    }
}

#[test]
fn tls_needs_no_second_crypto_library() {
    let lock = std::fs::read_to_string(tidy::root().join("Cargo.lock")).unwrap();
    for name in ["aws-lc-rs", "aws-lc-sys", "native-tls", "openssl"] {
        assert!(!lock.contains(&format!("name = \"{name}\"\n")), "{name} came in");
    }
    assert!(lock.contains("name = \"ring\"\n"));
}
