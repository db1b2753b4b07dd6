//! Which fields of an answer does the caller want?

use crate::{ApiError, Body};
use serde_json::Value;
use std::collections::BTreeMap;

/// Deeper paths are refused: no field lies deeper, and hostile ones would exhaust the stack.
const DEEPEST: usize = 32;

/// The `fields` parameter (compat with Argo CD's): a comma list of paths such as `items.metadata.name`, each through lists
/// as if they were not there. The default is everything; a leading `-` means everything but these.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Projection(Kind);

#[derive(Clone, Debug, Default, PartialEq, Eq)]
enum Kind {
    #[default]
    All,
    Only(Tree),
    Without(Tree),
}

/// Field names, each with what is named below it; nothing below means all of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Tree(BTreeMap<String, Self>);

impl Projection {
    /// Reads the parameter.
    ///
    /// # Errors
    /// A sentence about a path that is empty in places or too deep.
    pub fn parse(text: &str) -> Result<Self, ApiError> {
        let (paths, is_exclusion) = text.strip_prefix('-').map_or((text, false), |rest| (rest, true));
        let mut tree = Tree::default();
        for path in paths.split(',').map(str::trim) {
            let names: Vec<&str> = path.split('.').collect();
            if names.len() > DEEPEST || names.iter().any(|name| name.is_empty()) {
                return Err(ApiError::invalid(format!(
                    "`fields`: {path:?} is not a path such as `metadata.name`"
                )));
            }
            tree.insert(&names);
        }
        Ok(Self(if is_exclusion { Kind::Without(tree) } else { Kind::Only(tree) }))
    }

    /// Returns what the caller wants of an answer.
    pub fn apply(&self, value: Value) -> Value {
        match &self.0 {
            Kind::All => value,
            Kind::Only(tree) => tree.only(value),
            Kind::Without(tree) => tree.without(value),
        }
    }

    /// The same of a whole answer; text has no fields.
    pub(crate) fn narrow(&self, body: Body) -> Body {
        match body {
            Body::Json(value) => Body::Json(self.apply(value)),
            whole @ (Body::Text(_) | Body::Verdict(..) | Body::Stream(_)) => whole,
        }
    }
}

impl Tree {
    /// Adds a path; where one path contains another, the wider one counts.
    fn insert(&mut self, names: &[&str]) {
        let Some((first, rest)) = names.split_first() else {
            return self.0.clear();
        };
        let is_known_whole = self.0.get(*first).is_some_and(|below| below.0.is_empty());
        if !is_known_whole {
            self.0.entry((*first).to_owned()).or_default().insert(rest);
        }
    }

    fn only(&self, value: Value) -> Value {
        match value {
            _ if self.0.is_empty() => value,
            Value::Array(items) => items.into_iter().map(|item| self.only(item)).collect(),
            Value::Object(map) => {
                let kept = map.into_iter().filter_map(|(name, value)| {
                    let below = self.0.get(&name)?;
                    Some((name, below.only(value)))
                });
                kept.collect()
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value,
        }
    }

    fn without(&self, value: Value) -> Value {
        match value {
            Value::Array(items) => items.into_iter().map(|item| self.without(item)).collect(),
            Value::Object(map) => {
                let kept = map.into_iter().filter_map(|(name, value)| match self.0.get(&name) {
                    None => Some((name, value)),
                    Some(below) if below.0.is_empty() => None,
                    Some(below) => Some((name, below.without(value))),
                });
                kept.collect()
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn fields_choose_and_leave_out() {
        let value = json!({
            "metadata": { "resourceVersion": "7" },
            "items": [
                { "metadata": { "name": "a", "uid": "1" }, "status": { "sync": { "status": "Synced" }, "health": {} } },
                { "metadata": { "name": "b" } },
            ],
        });
        for (fields, expected) in [
            (
                "items.metadata.name,items.status.sync",
                json!({ "items": [
                    { "metadata": { "name": "a" }, "status": { "sync": { "status": "Synced" } } },
                    { "metadata": { "name": "b" } },
                ] }),
            ),
            (
                "items.metadata.name,metadata,items.metadata",
                json!({
                    "metadata": { "resourceVersion": "7" },
                    "items": [{ "metadata": { "name": "a", "uid": "1" } }, { "metadata": { "name": "b" } }],
                }),
            ),
            (
                "-items.status,items.metadata.uid",
                json!({
                    "metadata": { "resourceVersion": "7" },
                    "items": [{ "metadata": { "name": "a" } }, { "metadata": { "name": "b" } }],
                }),
            ),
            ("nothing", json!({})),
        ] {
            assert_eq!(Projection::parse(fields).unwrap().apply(value.clone()), expected, "{fields}");
        }
        assert_eq!(Projection::default().apply(value.clone()), value);
    }

    #[test]
    fn bad_paths_are_refused() {
        for bad in ["-", "a,,b", "a..b", ".", &"a.".repeat(5000), &["a"; 40].join(".")] {
            assert_eq!(Projection::parse(bad).unwrap_err().status, 400, "{bad}");
        }
    }
}
