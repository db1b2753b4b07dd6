//! Does input that is meant to exhaust us end as a problem, and soon? Go's readers of YAML had to learn this one by one
//! (CVE-2019-11253, CVE-2019-11254, CVE-2022-3064, CVE-2022-28948).

use manifest::{Parsed, parse};
use model::Problem;
use std::fmt::Write as _;

const HEAD: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\n";

/// Reads, holds the time against a bound that only runaway work exceeds, and returns the first problem's sentence.
fn first_problem(text: &str) -> String {
    let (parsed, problems) = read(text.as_bytes());
    assert_eq!(parsed.len(), 0, "{problems:?}");
    let first = problems.first().map(ToString::to_string).unwrap_or_default();
    assert!(first.len() < 300, "{first}");
    first
}

#[expect(clippy::disallowed_methods, reason = "the test measures")]
fn read(bytes: &[u8]) -> (Vec<Parsed>, Vec<Problem>) {
    let begin = std::time::Instant::now();
    let read = parse("bad.yaml", bytes);
    assert!(begin.elapsed().as_secs() < 60, "took {:?}", begin.elapsed());
    check_peak();
    assert!(read.1.len() <= 51, "{} problems", read.1.len());
    read
}

// N48: aliases of aliases
#[test]
fn billion_laughs() {
    let mut text = format!("{HEAD}data:\n  a0: &a0 lol\n");
    for i in 1..40 {
        let items = vec![format!("*a{}", i - 1); 9].join(", ");
        writeln!(text, "  a{i}: &a{i} [{items}]").expect("a string takes all");
    }
    assert!(first_problem(&text).contains("more values than the limit allows"));
    let maps = text.replace('[', "{<<: [").replace(']', "]}").replace("lol", "{x: y}");
    let (parsed, problems) = read(maps.as_bytes());
    assert_eq!((parsed.len(), problems.len()), (1, 0), "merges of one key stay small");
}

// N48: aliases of long text
#[test]
fn copies_of_long_text() {
    let items = vec!["*a"; 100_000].join(", ");
    let text = format!("{HEAD}data:\n  a: &a {}\n  b: [{items}]\n", "x".repeat(10_000));
    assert!(first_problem(&text).contains("more values than the limit allows"));
}

// N48: an alias of itself
#[test]
fn an_anchor_within_itself() {
    assert!(first_problem(&format!("{HEAD}data: &a\n  b: *a\n")).contains("contains itself"));
    assert!(first_problem(&format!("{HEAD}data: &a\n  <<: *a\n")).contains("contains itself"));
}

// N48: merges
#[test]
fn a_hundred_thousand_merges() {
    let merges = "  <<: *a\n".repeat(100_000);
    let keys: String = (0..100).flat_map(|i| ["k".into(), i.to_string(), ": v, ".into()]).collect();
    let text = format!("{HEAD}base: &a {{{keys}}}\ndata:\n{merges}");
    assert!(first_problem(&text).contains("more values than the limit allows"));
}

// N48: depth, by every syntax
#[test]
fn deep_nesting() {
    for (open, close) in [("[", "]"), ("{a: ", "}")] {
        for depth in [200, 10_000, 100_000] {
            let text = format!("{HEAD}data: {}{}\n", open.repeat(depth), close.repeat(depth));
            assert!(first_problem(&text).contains("nested more than 100 levels"), "{open}");
        }
    }
    let block: String = (0..2_000).flat_map(|i| [" ".repeat(i), "a:\n".into()]).collect();
    assert!(first_problem(&format!("{HEAD}data:\n{block}")).contains("nested more"));
    assert!(first_problem(&format!("{HEAD}data:\n{}\n", "- ".repeat(10_000))).contains("nested more"));
    let json = format!(
        "{{\"apiVersion\": \"v1\", \"kind\": \"X\", \"metadata\": {}{}}}",
        "[".repeat(9_999),
        "]".repeat(9_999)
    );
    let (_, problems) = parse("bad.json", json.as_bytes());
    assert!(problems[0].message.contains("nested more than 100 levels"), "{problems:?}");
}

// N48: depth by aliases
#[test]
fn nesting_by_alias() {
    let mut text = format!("{HEAD}data:\n  a0: &a0 {}x{}\n", "[".repeat(50), "]".repeat(50));
    for i in 1..4 {
        writeln!(text, "  a{i}: &a{i} {}*a{}{}", "[".repeat(40), i - 1, "]".repeat(40))
            .expect("a string takes all");
    }
    assert!(first_problem(&text).contains("nested more than 100 levels"));
}

/// Tests of this file whose input is larger than what is made of it, by a lot.
const HEAVY: [&str; 6] = [
    "billion_laughs",
    "copies_of_long_text",
    "a_hundred_thousand_merges",
    "deep_nesting",
    "nesting_by_alias",
    "an_anchor_within_itself",
];

// N48: how much memory any of them takes, in a process of its own
#[test]
fn what_is_meant_to_exhaust_us_takes_little_memory() {
    let runs = HEAVY.map(|test| {
        let mut command = std::process::Command::new(std::env::current_exe().expect("it runs"));
        command.args(["--exact", test]).env("TAUTLINE_TEST_PEAK", "1");
        (test, command.output().expect("it starts"))
    });
    for (test, output) in runs {
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && said.contains("1 passed"), "{test}: {said}");
    }
}

/// Holds the most memory that this process ever took against a bound, where it runs for that.
#[expect(clippy::disallowed_methods, reason = "the process itself is measured")]
fn check_peak() {
    if std::env::var_os("TAUTLINE_TEST_PEAK").is_none() {
        return;
    }
    let status = std::fs::read_to_string("/proc/self/status").expect("the kernel tells");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("it has a peak");
    let peak: u64 = line.trim().trim_end_matches(" kB").parse().expect("it is a number");
    assert!(peak < 64_000, "{peak} kB");
}

#[test]
fn what_a_hundred_levels_allow() {
    let text = format!("{HEAD}data: {}x{}\n", "[".repeat(98), "]".repeat(98));
    let (parsed, problems) = read(text.as_bytes());
    assert_eq!((parsed.len(), problems), (1, Vec::new()));
}

// N48: 50 MB of text
#[test]
fn a_huge_scalar() {
    let text = format!("{HEAD}data: {{a: {}}}\n", "x".repeat(50_000_000));
    assert!(first_problem(&text).contains("larger than the limit of 10 MB"));
    let text = format!("{HEAD}data: {{a: \"{}\"}}\n", "x".repeat(2_000_000));
    assert_eq!(read(text.as_bytes()).0.len(), 1);
}

// N48: documents
#[test]
fn many_documents() {
    assert!(first_problem(&"a: b\n---\n".repeat(100_000)).contains("more than 10000 documents"));
    assert_eq!(read("---\n".repeat(1_000_000).as_bytes()), (Vec::new(), Vec::new()));
    let (parsed, problems) = read(format!("{HEAD}---\n").repeat(2_000).as_bytes());
    assert_eq!((parsed.len(), problems.len()), (2_000, 0));
}

// N48: values and problems
#[test]
fn many_values() {
    let text = format!("{HEAD}data: [{}]\n", "1,".repeat(400_000));
    assert!(first_problem(&text).contains("more values than the limit allows"));
    let many_documents = format!("{HEAD}data: [{}]\n---\n", "1,".repeat(1_000)).repeat(400);
    assert_eq!(read(many_documents.as_bytes()).1.len(), 1, "it is said once");
    let text = format!("{HEAD}data: {{{}}}\n", "a,".repeat(1_000));
    assert!(read(text.as_bytes()).1.len() == 51, "one problem per key given twice, up to a limit");
}

// N48: broken UTF-8
#[test]
fn bytes_that_are_no_text() {
    let (parsed, problems) = parse("bad.yaml", b"apiVersion: v1\nkind: \xff\n");
    assert_eq!(parsed, []);
    assert_eq!(problems[0].to_string(), "bad.yaml:2:7: the file is not UTF-8 text (save it as UTF-8)");
    assert_eq!(parse("bad.yaml", &[0; 100]).1.len(), 0, "zeros are no manifest");
}

// N21: YAML that cannot be read
#[test]
fn messages_quote_no_values() {
    for broken in [
        "password: 'hunter2",
        "password: hunter2: x",
        "password: \"\\hunter2\"",
        "password: !!int hunter2",
        "a: b\n\thunter2: x",
        "password: @hunter2",
        "password: *hunter2",
        "password: hunter2\n hunter2",
        "password: [hunter2",
    ] {
        let text = format!("apiVersion: v1\nkind: Secret\nmetadata: {{name: s}}\nstringData:\n  {broken}\n");
        let (_, problems) = parse("bad.yaml", text.as_bytes());
        assert!(!problems.is_empty(), "{broken}");
        assert!(problems.iter().all(|problem| !problem.to_string().contains("hunter2")), "{problems:?}");
    }
}

// N56: names in manifests
#[test]
fn names_that_a_terminal_would_act_on() {
    for (text, path) in [
        (HEAD.replace("name: c", "name: \"c\\e[2J\""), "metadata.name"),
        (HEAD.replace("name: c", "name: c, namespace: \"\\a\""), "metadata.namespace"),
        (HEAD.replace("kind: ConfigMap", "kind: \"C\\b\""), "kind"),
        (HEAD.replace("apiVersion: v1", "apiVersion: \"v1\\n\""), "apiVersion"),
    ] {
        let told = first_problem(&text);
        assert!(told.ends_with(&format!("{path} holds a control character (remove it)")), "{told}");
    }
}
