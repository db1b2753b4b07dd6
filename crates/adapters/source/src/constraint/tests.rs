//! Are ranges read as Masterminds/semver reads them, and in no time?

use super::*;
use std::fmt::Write as _;

/// The answers of Masterminds/semver itself.
const CASES: &str = include_str!("../../../../../fixtures/semver/cases.tsv");

#[test]
fn ranges_hold_as_they_do_in_masterminds_semver() {
    let (mut wrong, mut n_cases) = (String::new(), 0);
    for line in CASES.lines().filter(|line| !line.starts_with('#')) {
        let [range, version, expected] = line.split('\t').collect::<Vec<_>>()[..] else {
            panic!("{line:?} has not three columns")
        };
        let found = match Constraint::parse(range) {
            None => "name",
            Some(range) if range.highest(std::iter::once(version)).is_some() => "true",
            Some(_) => "false",
        };
        n_cases += 1;
        if found != expected {
            writeln!(wrong, "{line}: {found}").unwrap();
        }
    }
    assert!(wrong.is_empty() && n_cases > 1000, "{n_cases} cases\n{wrong}");
}

#[test]
fn the_highest_tag_in_the_range_is_taken_as_it_is_written() {
    let tags = [
        "app/v9.9.9",
        "latest",
        "v1.10.0",
        "v1.9.9",
        "v1.2.3.4",
        "1.10",
        "v2.0.0-rc.1",
        "v2.0.0-rc.10",
        "v99999999999999999999.0.0",
        "release-3",
        "v1.11.0-",
    ];
    for (range, expected) in [
        ("*", Some("v1.10.0")),
        ("1.x", Some("v1.10.0")),
        ("~1.9", Some("v1.9.9")),
        (">=2", None),
        (">=2-0", Some("v2.0.0-rc.10")),
        ("<1.10 || ^2.0.0-0", Some("v2.0.0-rc.10")),
        (">3", None),
    ] {
        let range = Constraint::parse(range).unwrap();
        assert_eq!(range.highest(tags.into_iter()), expected, "{range:?}");
    }
}

#[test]
fn a_million_digits_or_blanks_take_no_time() {
    let began = std::time::Instant::now();
    for piece in ["1", " ", "1.", "x ", "1 - ", "- ", "1|| ", ">"] {
        let text = piece.repeat(1_000_000 / piece.len());
        let n_bytes = without_hyphens(&text).len();
        assert!(n_bytes >= text.len() / 2, "{piece:?}: {n_bytes}");
        assert!(Constraint::parse(&text).is_none(), "{piece:?}");
    }
    // What tries anew at each character takes minutes for each of them.
    assert!(began.elapsed().as_secs() < 60, "{:?}", began.elapsed());
}

#[test]
fn a_range_is_as_long_as_a_name_may_be() {
    let longest = format!(">=1{}", " ".repeat(LONGEST_TARGET - 3));
    assert!(Constraint::parse(&longest).is_some());
    assert!(Constraint::parse(&format!("{longest} ")).is_none());
}
