//! Which checks does an Application declare, and what is wrong with them?
//!
//! The annotation holds a list in YAML or JSON, `spec.syncPolicy.rollback.checks` the same list. Both are read by hand: the CRD
//! leaves the entries open, so that a mistake gets the same sentence wherever it stands, and no field that nobody knows is passed
//! over in silence.

mod fields;
mod http;
mod job;
mod query;

use super::metadata;
use crate::findings::Findings;
use crate::wire;
use fields::Fields;
use model::{Check, Probe, names};
use serde_json::Value;
use std::collections::BTreeSet;

/// Most checks of one app: each is a request every few seconds.
const MOST: usize = 16;
/// Longest list that is read, in bytes.
const LONGEST: usize = 16 << 10;
/// Longest name of a check.
const LONGEST_NAME: usize = 63;

/// What a check looks at, one field of these each.
const PROBES: [&str; 3] = ["http", "query", "job"];

/// Reads the checks; `namespace` is where those look that name none.
pub(super) fn read(
    raw: &Value,
    rollback: &wire::Rollback,
    namespace: &str,
    findings: &mut Findings,
) -> Vec<Check> {
    let (path, list) = match metadata::annotation(raw, names::CHECKS_ANNOTATION) {
        Some(text) => {
            let path = metadata::path(names::CHECKS_ANNOTATION);
            let Some(list) = parse(text, &path, findings) else { return Vec::new() };
            (path, list)
        }
        None => ("spec.syncPolicy.rollback.checks".to_owned(), rollback.checks.clone().unwrap_or_default()),
    };
    if list.len() > MOST {
        findings.problem(&path, format!("are {} checks, of which {MOST} are the most", list.len()));
        return Vec::new();
    }
    let mut seen = BTreeSet::new();
    let entries = list.iter().enumerate();
    entries
        .filter_map(|(index, entry)| {
            check(entry, &format!("{path}[{index}]"), namespace, &mut seen, findings)
        })
        .collect()
}

fn parse(text: &str, path: &str, findings: &mut Findings) -> Option<Vec<Value>> {
    let help = "write a list such as [{name: web, http: {service: web, port: 80}}]";
    if text.len() > LONGEST {
        findings.problem(path, format!("is longer than {} KiB", LONGEST >> 10));
        return None;
    }
    // By way of YAML's own values: a key that stands twice is a mistake, and JSON's would keep the last.
    let read = serde_yaml::from_str::<serde_yaml::Value>(text);
    let read = read.and_then(serde_yaml::from_value::<Value>);
    match read {
        Ok(Value::Array(list)) => Some(list),
        Ok(Value::Null) => Some(Vec::new()),
        Ok(Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_)) => {
            findings.problem_with_help(path, "is no list", help);
            None
        }
        Err(error) => {
            // Its own words quote what was written.
            let place = error.location().map(|at| format!(" at line {} column {}", at.line(), at.column()));
            let sentence = format!("is neither YAML nor JSON{}", place.unwrap_or_default());
            findings.problem_with_help(path, sentence, help);
            None
        }
    }
}

fn check<'a>(
    entry: &'a Value,
    path: &str,
    namespace: &str,
    seen: &mut BTreeSet<&'a str>,
    findings: &mut Findings,
) -> Option<Check> {
    let fields = Fields::of(entry, path, findings)?;
    fields.know(&["name", "http", "query", "job"], findings);
    let name = fields.text("name", findings);
    if let Some(name) = name {
        let is_name = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
        if name.len() > LONGEST_NAME || !name.chars().all(is_name) {
            let help = "write up to 63 of a-z, A-Z, 0-9, -, . and _";
            findings.problem_with_help(&fields.path("name"), "is not the name of a check", help);
        } else if !seen.insert(name) {
            findings.problem(&fields.path("name"), format!("`{name}` is the name of another check"));
        }
    }
    let given: Vec<&str> = PROBES.into_iter().filter(|probe| fields.get(probe).is_some()).collect();
    let probe = match given.as_slice() {
        [probe] => {
            let inner = Fields::of(fields.get(probe)?, &fields.path(probe), findings)?;
            match *probe {
                "http" => http::read(&inner, namespace, findings).map(Probe::Http),
                "query" => query::read(&inner, findings).map(Probe::Query),
                _ => job::read(&inner, namespace, findings).map(Probe::Job),
            }
        }
        [] => {
            findings.problem(path, format!("says nothing to look at: one of {}", PROBES.join(", ")));
            None
        }
        several => {
            findings.problem_with_help(path, format!("has {}", several.join(" and ")), "keep one of them");
            None
        }
    };
    Some(Check { name: name?.to_owned(), probe: probe? })
}

/// Returns the namespace that a check names, or else that of the app's objects.
fn namespace_of(fields: &Fields<'_>, otherwise: &str, findings: &mut Findings) -> Option<String> {
    match fields.get("namespace") {
        Some(_) => fields.label("namespace", "namespace", findings),
        None if otherwise.is_empty() => {
            let help = "name one, for spec.destination has none";
            findings.problem_with_help(&fields.path("namespace"), "is missing", help);
            None
        }
        None => Some(otherwise.to_owned()),
    }
}
