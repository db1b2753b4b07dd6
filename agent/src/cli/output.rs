//! In which form is a result printed?

use clap::{Arg, ArgMatches};
use model::printable_json;
use serde_json::{Value, json};
use std::time::Duration;

/// What `-o` says, with kubectl's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Output {
    /// Columns.
    Table,
    /// More columns.
    Wide,
    /// JSON.
    Json,
    /// YAML that kubectl reads.
    Yaml,
    /// `application.argoproj.io/shop`, one a line.
    Name,
}

/// The option `-o`.
pub(crate) fn argument() -> Arg {
    Arg::new("output")
        .long("output")
        .short('o')
        .value_name("FORMAT")
        .value_parser(["table", "wide", "json", "yaml", "name"])
        .default_value("table")
        .help("How to print")
}

impl Output {
    /// Reads the option.
    pub(crate) fn of(arguments: &ArgMatches) -> Self {
        match arguments.get_one::<String>("output").map(String::as_str) {
            Some("wide") => Self::Wide,
            Some("json") => Self::Json,
            Some("yaml") => Self::Yaml,
            Some("name") => Self::Name,
            Some(_) | None => Self::Table,
        }
    }
}

/// Writes a value as JSON for machines and terminals.
pub(crate) fn json(value: &Value) -> String {
    format!("{}\n", printable_json(&format!("{value:#}")))
}

/// Writes a result for machines in the form that `-o` names; none where people are to read it.
pub(crate) fn structured(form: &str, value: &Value) -> Option<String> {
    match form {
        "json" => Some(json(value)),
        "yaml" => Some(manifest::to_yaml(value)),
        _ => None,
    }
}

/// Writes objects as kubectl does: one as it is, several as a list.
pub(crate) fn list(items: &[Value]) -> Value {
    json!({"apiVersion": "v1", "kind": "List", "metadata": {"resourceVersion": ""}, "items": items})
}

/// Writes an Application for people and for `kubectl apply`: what only the API server keeps account of is left out.
pub(crate) fn without_managers(mut object: Value) -> Value {
    if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.remove("managedFields");
    }
    object
}

/// Reads a length of time such as `30s` or `5m`.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let length =
        application::duration::parse(text).ok_or_else(|| format!("{text:?} is no time such as 30s or 5m"))?;
    Ok(Duration::from_millis(u64::try_from(length.as_millis()).unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn machines_get_what_they_ask_for_and_people_something_else() {
        let value = json!({"name": "no"});
        assert_eq!(structured("json", &value).unwrap(), "{\n  \"name\": \"no\"\n}\n");
        assert_eq!(structured("yaml", &value).unwrap(), "name: \"no\"\n");
        assert_eq!(structured("text", &value), None);
    }
}
