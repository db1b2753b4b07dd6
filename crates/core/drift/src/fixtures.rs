//! Do real objects, captured from a real API server, compare as they should? One folder per case in `fixtures/drift`.

use crate::adoption::{adopt, adopt_with};
use crate::{
    ByHand, HAND_TOOLS, Options, Outcome, Rules, compare, compare_dry_run, fingerprint, replicas, report,
    unified,
};
use fields::{FieldSet, Path};
use model::{AddedFields, Object};
use serde_json::Value;
use std::fmt::Write as _;
use std::path::{Path as FilePath, PathBuf};

fn root() -> PathBuf {
    FilePath::new(env!("CARGO_MANIFEST_DIR")).join("../../../fixtures/drift")
}

#[expect(clippy::disallowed_methods, reason = "fixtures are files")]
fn text(path: &FilePath) -> Option<String> {
    std::fs::read_to_string(path).ok()
}

fn object(folder: &FilePath, name: &str) -> Option<Object> {
    let value = serde_json::from_str(&text(&folder.join(name))?).unwrap();
    Some(Object::from_value(value).unwrap())
}

fn cases() -> Vec<PathBuf> {
    let entries = std::fs::read_dir(root()).unwrap().map(|entry| entry.unwrap().path());
    let mut cases: Vec<PathBuf> = entries.filter(|path| path.is_dir()).collect();
    cases.sort();
    cases
}

/// Everything that the crate says of a case.
fn said(folder: &FilePath) -> String {
    let desired = object(folder, "desired.json").unwrap();
    let live = object(folder, "live.json").unwrap();
    let dry_run = object(folder, "dry_run.json");
    let rules = Rules::default();
    let outcome =
        |added_fields| compare(&desired, &live, &rules, Options { added_fields, hand_tools: HAND_TOOLS });
    let mut said = format!("compare: {:?}\n", outcome(AddedFields::Keep));
    if outcome(AddedFields::Remove) != outcome(AddedFields::Keep) {
        writeln!(said, "compare, added fields removed: {:?}", outcome(AddedFields::Remove)).unwrap();
    }
    let has_fingerprint = fingerprint(&desired, &live, &rules).is_some();
    writeln!(said, "fingerprint: {}", if has_fingerprint { "yes" } else { "no" }).unwrap();
    if let Some(dry_run) = &dry_run {
        let verdict = if compare_dry_run(dry_run, &live, &rules) { "equal" } else { "differs" };
        writeln!(said, "dry-run: {verdict}").unwrap();
    }
    if let Some(body) = replicas::hand_over(&desired, &live) {
        writeln!(said, "hand over: {} replicas", body.get("spec").unwrap()["replicas"]).unwrap();
    }
    said.push_str(&adoption("adopt", &live, adopt(&desired, &live)));
    let replacing = adopt_with(&desired, &live, ByHand::GoesInPlaceOfOurs);
    if replacing != adopt(&desired, &live) {
        said.push_str(&adoption("adopt, in place of ours removed", &live, replacing));
    }
    let removing = adopt_with(&desired, &live, ByHand::Goes);
    if removing != adopt(&desired, &live) {
        said.push_str(&adoption("adopt, added fields removed", &live, removing));
    }
    writeln!(said, "{}", report(Some(&desired), Some(&live), &rules, dry_run.as_ref())).unwrap();
    said + &unified(Some(&desired), Some(&live))
}

/// What the patch takes from and gives to each entry.
fn adoption(what: &str, live: &Object, patch: Option<Value>) -> String {
    let Some(patch) = patch else { return String::new() };
    assert_eq!(patch[1]["value"], live.resource_version());
    let mut after = live.clone();
    after.metadata_mut().insert("managedFields".into(), patch[0]["value"].clone());
    let sets = |object: &Object| -> Vec<(String, FieldSet)> {
        fields::managers(object)
            .into_iter()
            .map(|e| (format!("{} {}", e.manager, e.operation), e.fields))
            .collect()
    };
    let (before, after) = (sets(live), sets(&after));
    let find = |sets: &[(String, FieldSet)], name: &str| {
        sets.iter().find(|(n, _)| n == name).map(|(_, set)| set.clone()).unwrap_or_default()
    };
    let mut names: Vec<&String> = before.iter().chain(&after).map(|(name, _)| name).collect();
    names.sort();
    names.dedup();
    let mut said = format!("{what}:\n");
    for name in names {
        let (old, new) = (find(&before, name), find(&after, name));
        for (sign, set) in [("-", old.difference(&new)), ("+", new.difference(&old))] {
            let paths: Vec<String> = set.leaves().iter().map(Path::to_string).collect();
            if !paths.is_empty() {
                writeln!(said, "  {name} {sign} {}", paths.join(" ")).unwrap();
            }
        }
    }
    said
}

/// With `TAUTLINE_BLESS` set, what is said becomes what is expected: read it before it is committed.
#[test]
#[expect(clippy::disallowed_methods, reason = "expectations are files, and a person asks to write them")]
fn every_case_says_what_it_should() {
    let mut wrong = String::new();
    for folder in cases() {
        let said = said(&folder);
        let file = folder.join("expected.txt");
        if std::env::var("TAUTLINE_BLESS").is_ok() {
            std::fs::write(&file, &said).unwrap();
        }
        let expected = text(&file).unwrap_or_default();
        if said != expected {
            let name = folder.file_name().unwrap().to_string_lossy();
            writeln!(wrong, "## {name}\n-- expected\n{expected}-- said\n{said}").unwrap();
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn live_never_drifts_from_itself() {
    for folder in cases() {
        let live = object(&folder, "live.json").unwrap();
        let outcome = compare(&live, &live, &Rules::default(), Options::default());
        assert_ne!(outcome, Outcome::Drifted, "{}", folder.display());
        assert!(compare_dry_run(&live, &live, &Rules::default()));
        assert!(report(Some(&live), Some(&live), &Rules::default(), None).is_empty());
        assert_eq!(unified(Some(&live), Some(&live)), "", "{}", folder.display());
    }
}
