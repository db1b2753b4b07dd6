//! Do we read manifests as kubectl does, and say well what is wrong? Cases stand in `fixtures/manifest`.

#![expect(clippy::unwrap_used, reason = "a test stops at what should not happen")]

use manifest::Parsed;
use model::Problem;
use serde_json::Value;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../fixtures/manifest");

#[expect(clippy::disallowed_methods, reason = "fixtures are files")]
fn read(path: &Path) -> Option<String> {
    std::fs::read_to_string(path).ok()
}

fn cases() -> Vec<PathBuf> {
    let entries = std::fs::read_dir(FIXTURES).expect("the folder of fixtures exists");
    let mut cases: Vec<_> = entries.map(|entry| entry.unwrap().path()).filter(|path| path.is_dir()).collect();
    cases.sort();
    cases
}

fn input(case: &Path) -> (&'static str, String) {
    ["input.yaml", "input.json"]
        .into_iter()
        .find_map(|name| Some((name, read(&case.join(name))?)))
        .expect("a case has an input")
}

/// What `expected.error` holds: the problems, then what could be read in spite of them.
fn error_text(parsed: &[Parsed], problems: &[Problem]) -> String {
    let mut text = String::new();
    for problem in problems {
        writeln!(text, "{problem}").unwrap();
    }
    for parsed in parsed {
        writeln!(text, "read: {}:{} {}", parsed.place.file, parsed.place.line, parsed.object.key()).unwrap();
    }
    text
}

fn expected_objects(text: &str) -> Vec<Value> {
    serde_json::Deserializer::from_str(text).into_iter().map(Result::unwrap).map(canonical).collect()
}

/// kubectl prints floats as Go does (`18446744073709552000`); read back, they must be the same numbers.
fn canonical(value: Value) -> Value {
    match value {
        Value::Number(number) if number.as_i64().is_none() => Value::from(number.as_f64().unwrap()),
        Value::Array(items) => items.into_iter().map(canonical).collect(),
        Value::Object(fields) => fields.into_iter().map(|(key, value)| (key, canonical(value))).collect(),
        other => other,
    }
}

fn check(case: &Path) -> Result<(), String> {
    let (file, text) = input(case);
    let (parsed, problems) = manifest::parse(file, text.as_bytes());
    let expected_error = read(&case.join("expected.error")).unwrap_or_default();
    let error = if problems.is_empty() { String::new() } else { error_text(&parsed, &problems) };
    if error != expected_error {
        return Err(format!("expected.error says\n{expected_error}but we say\n{error}"));
    }
    if !problems.is_empty() {
        return Ok(());
    }
    let name = case.file_name().unwrap_or_default().to_string_lossy();
    if name.starts_with("passed_over_") {
        return if parsed.is_empty() { Ok(()) } else { Err("the file is read".into()) };
    }
    let Some(expected) = read(&case.join("expected.json")) else {
        let is_known = name.starts_with("also_read_") && !parsed.is_empty();
        return if is_known { Ok(()) } else { Err("kubectl refuses the input and we do not".into()) };
    };
    let objects: Vec<_> = parsed.iter().map(|parsed| parsed.object.to_value()).collect();
    let expected = expected_objects(&expected);
    if objects == expected {
        Ok(())
    } else {
        Err(format!("kubectl reads\n{}\nwe read\n{}", Value::Array(expected), Value::Array(objects)))
    }
}

#[test]
fn reads_what_kubectl_reads() {
    let cases = cases();
    assert!(cases.len() >= 60, "only {} cases", cases.len());
    let failures: Vec<_> = cases
        .iter()
        .filter_map(|case| Some(format!("{}: {}\n", case.file_name()?.to_string_lossy(), check(case).err()?)))
        .collect();
    assert!(failures.is_empty(), "{}", failures.concat());
}
