//! Which known attack or accident does which test stage, and which wait for what? Each number stands for one class of
//! advisories against GitOps agents; the README of the crates shows what is found here.
#![expect(clippy::unwrap_used, reason = "a file that cannot be read is a failed test")]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use tidy::{Marked, files, marked, root};

/// Where the table is written.
const DOCUMENT: &str = "crates/README.md";
const BEGIN: &str = "<!-- negative tests: written by `BLESS=1 cargo test -p tidy --test negative` -->\n";
const END: &str = "<!-- end of negative tests -->\n";

/// What of a number cannot be tested yet.
enum Waits {
    /// All of it is tested.
    Nothing,
    /// Some of it, because this is not there yet.
    Partly(&'static str),
    /// All of it: there is nothing to attack.
    Wholly(&'static str),
}

use Waits::{Nothing, Partly, Wholly};

/// What each number is about, from N1 on, and what it waits for.
const NUMBERS: &[(&str, Waits)] = &[
    ("a path leaves the repository (CVE-2022-24348)", Partly("value files (Helm), imports (jsonnet)")),
    ("a link leaves the repository, or links run in a circle (CVE-2022-24904)", Nothing),
    ("names in a commit decide where files are written (CVE-2025-53547)", Partly("charts (Helm)")),
    (
        "temporary folders of other renders (CVE-2023-40026)",
        Wholly("renders that write files (Helm, Kustomize)"),
    ),
    ("bases that include themselves (CVE-2022-24878)", Wholly("Kustomize")),
    ("names of refs that write into the clone, or too many (CVE-2026-71557)", Nothing),
    ("archives that escape or explode (CVE-2023-40584)", Wholly("charts and OCI")),
    ("text of a caller becomes an option of a tool (kustomize#6241)", Partly("Helm, Kustomize")),
    ("Secrets reach a shell, kubeconfigs run programs (CVE-2022-24817)", Wholly("other clusters")),
    (
        "sources that a commit adds and no project permits (CVE-2026-44936)",
        Partly("remote bases, chart dependencies"),
    ),
    ("templates that ask DNS or the cluster (CVE-2023-25165)", Wholly("Helm")),
    ("URLs that smuggle a transport, an option or a line (CVE-2020-5260)", Nothing),
    ("`file://` reads what is others' on the agent's disk", Nothing),
    ("the machine's Git configuration, home and user (libgit2#6663)", Nothing),
    ("tools that tell the agent's environment", Wholly("renders that start a program (Helm, Kustomize)")),
    (
        "credentials follow a redirect (CVE-2021-32690)",
        Partly("a bearer token follows one to another port of the same host: libgit2 leaves no say"),
    ),
    ("servers that do not prove who they are (CVE-2023-22742)", Nothing),
    ("look-alikes of a credential template", Nothing),
    ("credentials in errors and logs (CVE-2023-25163)", Nothing),
    ("values of Secrets anywhere that the agent speaks (CVE-2025-55190)", Nothing),
    ("the error about a wrong Secret quotes it (CVE-2025-23216)", Nothing),
    ("a dry-run or an annotation tells values of Secrets (CVE-2026-42880)", Nothing),
    ("masking by the kind that a caller states (argo-cd#29089)", Nothing),
    ("rendered Secrets in plainer objects (CVE-2024-52284)", Nothing),
    ("tokens that are missing, malformed, foreign or over (CVE-2022-29165)", Nothing),
    ("a route that forgot to ask (CVE-2024-37152)", Nothing),
    ("reviews of tokens that answer nonsense (CVE-2026-23990)", Nothing),
    ("rights that were taken away during a stream (CVE-2024-41666)", Nothing),
    ("answers that tell which names exist (CVE-2022-41354)", Nothing),
    (
        "a flood of wrong tokens (CVE-2024-21652)",
        Partly("more than a thousand over sockets; ten thousand come without"),
    ),
    ("a write that does not ask the project (CVE-2022-24768)", Partly("hooks, managed namespaces")),
    ("Applications of other namespaces (CVE-2023-22736)", Partly("sharding")),
    ("manifests in an operation (CVE-2023-50726)", Nothing),
    ("Secrets of a tenant taken for settings (CVE-2023-23947)", Partly("other clusters")),
    ("a namespace that is made or labelled on the way (CVE-2026-44938)", Partly("managed namespaces")),
    ("rights and hooks of the cluster out of a namespaced project (CVE-2025-13888)", Nothing),
    ("the same in another spelling (CVE-2026-31892)", Nothing),
    ("a project narrowed between plan and apply", Nothing),
    ("a forged inventory", Nothing),
    ("forged releases", Nothing),
    ("an altered cache (CVE-2024-31989)", Nothing),
    ("a cache key that leaves something out (argo-cd#29766)", Partly("tool versions, value files")),
    ("damaged clones, a full disk (CVE-2026-25934)", Nothing),
    ("bodies without end (CVE-2024-40634)", Nothing),
    ("malformed payloads (CVE-2025-59531)", Nothing),
    ("payloads that are believed (CVE-2026-44937)", Nothing),
    ("signatures of others, refreshes by the thousand (CVE-2026-40109)", Nothing),
    ("YAML that unfolds, nests or goes on for ever (CVE-2019-11253)", Nothing),
    ("one wrong object stops all of its kind (CVE-2022-39272)", Nothing),
    ("patterns that cost without end (CVE-2024-32476)", Partly("jq, regular expressions")),
    ("a Git server that means harm (CVE-2025-21614)", Nothing),
    ("schemas and indexes of charts (CVE-2025-32387)", Wholly("Helm")),
    (
        "credentials edited while they are used (CVE-2025-55191)",
        Partly("the 200 apps of the accident: 20 are tried"),
    ),
    ("slow and half-open connections (RUSTSEC-2024-0332)", Nothing),
    ("links that run scripts (CVE-2022-31035)", Nothing),
    ("escapes and lines that forge what a terminal or a log shows (CVE-2025-58160)", Nothing),
];

/// Returns the marked tests by number, after it has seen that every marker stands above a test.
fn tests() -> BTreeMap<u8, Vec<Marked>> {
    let sources: Vec<_> =
        files(".rs").unwrap().into_iter().filter(|file| !file.path.starts_with("tests/tidy/")).collect();
    let (found, wrong) = marked(&sources);
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
    found
}

/// Names the tests of one number: the file where it changes, then the functions, each once however many markers it has.
fn named(tests: &[Marked]) -> String {
    let mut last = ("", "");
    let mut words = Vec::new();
    for test in tests {
        let named = (test.path.as_str(), test.name.as_str());
        if named != last {
            let file = if named.0 == last.0 { "" } else { named.0 };
            words.push(format!("`{file}::{}`", named.1));
        }
        last = named;
    }
    words.join(", ")
}

#[test]
fn a_test_with_two_markers_is_named_once() {
    let marked = |path: &str, line, name: &str| Marked { path: path.into(), line, name: name.into() };
    let tests =
        [marked("a.rs", 1, "x"), marked("a.rs", 2, "x"), marked("a.rs", 9, "y"), marked("b.rs", 1, "y")];
    assert_eq!(named(&tests), "`a.rs::x`, `::y`, `b.rs::y`");
}

fn table(tests: &BTreeMap<u8, Vec<Marked>>) -> String {
    let mut text = String::from("| Number | What happens | Tests | Waits for |\n|---|---|---|---|\n");
    for (number, (subject, waits)) in (1..).zip(NUMBERS) {
        let tests = tests.get(&number).map_or_else(String::new, |tests| named(tests));
        let waits = match waits {
            Nothing => "",
            Partly(what) | Wholly(what) => what,
        };
        writeln!(text, "| N{number} | {subject} | {tests} | {waits} |").expect("a string takes all");
    }
    text
}

#[test]
fn every_number_has_a_test_or_waits_for_something() {
    let tests = tests();
    assert_eq!(NUMBERS.len(), 56);
    let mut wrong = Vec::new();
    for (number, (subject, waits)) in (1..).zip(NUMBERS) {
        match (waits, tests.get(&number)) {
            (Nothing | Partly(_), None) => wrong.push(format!("N{number} ({subject}) has no test")),
            (Wholly(what), Some(tests)) => {
                wrong.push(format!("N{number} has {}, and is said to wait for {what}", named(tests)));
            }
            (Nothing | Partly(_), Some(_)) | (Wholly(_), None) => {}
        }
    }
    let unknown = tests.keys().filter(|number| !(1..=56).contains(*number));
    wrong.extend(unknown.map(|number| format!("there is no N{number}")));
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
}

#[test]
fn the_table_of_negative_tests_is_fresh() {
    let path = root().join(DOCUMENT);
    let document = std::fs::read_to_string(&path).unwrap();
    let (before, rest) = document.split_once(BEGIN).expect("the table has its place");
    let (old, after) = rest.split_once(END).expect("the table has its end");
    let table = table(&tests());
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, [before, BEGIN, &table, END, after].concat()).unwrap();
    } else {
        assert!(old == table, "{DOCUMENT} is stale: BLESS=1 cargo test -p tidy --test negative");
    }
}
