//! How is one map of a declaration read, field by field, with a sentence for each that is wrong?

use crate::findings::{Findings, join};
use crate::schema;
use serde_json::{Map, Value};

/// A map, and where it stands.
pub(super) struct Fields<'a> {
    map: &'a Map<String, Value>,
    path: String,
}

impl<'a> Fields<'a> {
    /// Takes a value that has to be a map.
    pub(super) fn of(value: &'a Value, path: &str, findings: &mut Findings) -> Option<Self> {
        let map = value.as_object();
        if map.is_none() {
            findings.problem(path, format!("must be a map, not {}", schema::name_of(value)));
        }
        Some(Self { map: map?, path: path.to_owned() })
    }

    /// Returns where the map stands.
    pub(super) fn place(&self) -> &str {
        &self.path
    }

    /// Returns where a field stands.
    pub(super) fn path(&self, field: &str) -> String {
        join(&self.path, field)
    }

    /// Returns a field that says something.
    pub(super) fn get(&self, field: &str) -> Option<&'a Value> {
        self.map.get(field).filter(|value| !value.is_null())
    }

    /// Calls every field a mistake that is not among these.
    pub(super) fn know(&self, fields: &[&str], findings: &mut Findings) {
        for field in self.map.keys().filter(|field| !fields.contains(&field.as_str())) {
            let help = format!("there are {}", fields.join(", "));
            findings.problem_with_help(&self.path(field), "is no field of a check", help);
        }
    }

    /// Returns a text that has to be there.
    pub(super) fn text(&self, field: &str, findings: &mut Findings) -> Option<&'a str> {
        match self.get(field) {
            Some(Value::String(text)) if !text.is_empty() => Some(text),
            None | Some(Value::String(_)) => {
                findings.problem(&self.path(field), "is missing");
                None
            }
            Some(other) => {
                self.is_no(field, "text", other, findings);
                None
            }
        }
    }

    /// Returns the name of a namespace, a Service or the like.
    pub(super) fn label(&self, field: &str, what: &str, findings: &mut Findings) -> Option<String> {
        let name = self.text(field, findings)?;
        if !super::super::is_label(name) {
            let help = "write up to 63 of a-z, 0-9 and -, with - neither first nor last";
            let sentence = format!("is not the name of a {what}");
            findings.problem_with_help(&self.path(field), sentence, help);
            return None;
        }
        Some(name.to_owned())
    }

    /// Says that a field is of the wrong type.
    pub(super) fn is_no(&self, field: &str, wanted: &str, value: &Value, findings: &mut Findings) {
        findings.problem(&self.path(field), format!("must be {wanted}, not {}", schema::name_of(value)));
    }
}
