//! Where is a field, in the words of managedFields and in the words of people?

use serde_json::Value;
use std::cmp::Ordering;
use std::fmt;

/// A JSON value with a total order, so that it can stand in a sorted set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scalar(pub Value);

impl Ord for Scalar {
    fn cmp(&self, other: &Self) -> Ordering {
        match (&self.0, &other.0) {
            (Value::String(a), Value::String(b)) => a.cmp(b),
            (Value::Bool(a), Value::Bool(b)) => a.cmp(b),
            // Kinds apart, and numbers and containers among themselves, by their text: rare, and any order will do.
            (a, b) => rank(a).cmp(&rank(b)).then_with(|| a.to_string().cmp(&b.to_string())),
        }
    }
}

impl PartialOrd for Scalar {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

fn rank(value: &Value) -> u8 {
    match value {
        Value::Null => 0,
        Value::Bool(_) => 1,
        Value::Number(_) => 2,
        Value::String(_) => 3,
        Value::Array(_) => 4,
        Value::Object(_) => 5,
    }
}

/// The fields that tell an item of a keyed list from its neighbours, sorted by name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key(pub Vec<(String, Scalar)>);

impl Key {
    /// Returns whether `item` may be the one: every key field that it has is equal, and it has at least one. A key
    /// field that a manifest leaves out is filled by the schema's default, which is not known here.
    pub fn may_be(&self, item: &Value) -> bool {
        let mut n_equal = 0;
        for (name, wanted) in &self.0 {
            match item.get(name) {
                Some(value) if *value == wanted.0 => n_equal += 1,
                Some(Value::Null) | None => {}
                Some(_) => return false,
            }
        }
        n_equal > 0
    }

    /// Returns whether `item` has every key field with its value.
    pub fn is(&self, item: &Value) -> bool {
        self.0.iter().all(|(name, wanted)| item.get(name) == Some(&wanted.0))
    }
}

/// One element of a path.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// `f:` a field of a map.
    Field(String),
    /// `k:` an item of a keyed list.
    Key(Key),
    /// `v:` an item of a set.
    Value(Scalar),
    /// `i:` an item of a list by its position.
    Index(usize),
}

impl Step {
    /// Names a field.
    pub fn field(name: impl Into<String>) -> Self {
        Self::Field(name.into())
    }

    /// Returns the values that the step names in `value`; several only where a key is incomplete.
    pub fn find<'a>(&self, value: &'a Value) -> Vec<&'a Value> {
        let found = match (self, value) {
            (Self::Field(name), Value::Object(map)) => map.get(name).into_iter().collect(),
            (Self::Key(key), Value::Array(items)) => {
                let exact: Vec<_> = items.iter().filter(|item| key.is(item)).collect();
                if exact.is_empty() { items.iter().filter(|item| key.may_be(item)).collect() } else { exact }
            }
            (Self::Value(wanted), Value::Array(items)) => {
                items.iter().filter(|item| **item == wanted.0).take(1).collect()
            }
            (Self::Index(index), Value::Array(items)) => items.get(*index).into_iter().collect(),
            (Self::Field(_) | Self::Key(_) | Self::Value(_) | Self::Index(_), _) => Vec::new(),
        };
        found.into_iter().filter(|value: &&Value| !value.is_null()).collect()
    }
}

impl fmt::Display for Step {
    /// Writes `.name`, `["odd.name"]`, `[name="web"]`, `["value"]` or `[3]`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Field(name) if is_plain(name) => write!(f, ".{name}"),
            Self::Field(name) => write!(f, "[{}]", Value::from(name.as_str())),
            Self::Key(key) => {
                f.write_str("[")?;
                for (i, (name, value)) in key.0.iter().enumerate() {
                    let comma = if i == 0 { "" } else { "," };
                    write!(f, "{comma}{name}={}", value.0)?;
                }
                f.write_str("]")
            }
            Self::Value(value) => write!(f, "[={}]", value.0),
            Self::Index(index) => write!(f, "[{index}]"),
        }
    }
}

fn is_plain(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-' || c == '$')
}

/// A path from the root of an object.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Path(pub Vec<Step>);

impl Path {
    /// Makes a path of plain fields.
    pub fn fields(names: &[&str]) -> Self {
        Self(names.iter().map(|name| Step::field(*name)).collect())
    }

    /// Returns the path with one more step.
    #[must_use]
    pub fn then(&self, step: Step) -> Self {
        let mut steps = self.0.clone();
        steps.push(step);
        Self(steps)
    }

    /// Returns whether the path lies at `prefix` or below it.
    pub fn starts_with(&self, prefix: &Self) -> bool {
        self.0.starts_with(&prefix.0)
    }
}

impl fmt::Display for Path {
    /// Writes a path as people read it: `spec.template.spec.containers[name="web"].image`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text: String = self.0.iter().map(Step::to_string).collect();
        f.write_str(text.strip_prefix('.').unwrap_or(&text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn prints_paths_for_people() {
        let key =
            Key(vec![("containerPort".into(), Scalar(json!(80))), ("protocol".into(), Scalar(json!("TCP")))]);
        let path = Path::fields(&["metadata", "annotations", "a.b/c"]);
        assert_eq!(path.to_string(), r#"metadata.annotations["a.b/c"]"#);
        let path = Path::fields(&["spec", "ports"]).then(Step::Key(key)).then(Step::field("name"));
        assert_eq!(path.to_string(), r#"spec.ports[containerPort=80,protocol="TCP"].name"#);
        let path = Path::fields(&["finalizers"]).then(Step::Value(Scalar(json!("x"))));
        assert_eq!(path.to_string(), r#"finalizers[="x"]"#);
        assert_eq!(Path::fields(&["args"]).then(Step::Index(2)).to_string(), "args[2]");
    }

    #[test]
    fn an_incomplete_key_may_be_several_items() {
        let key = Key(vec![("port".into(), Scalar(json!(53))), ("protocol".into(), Scalar(json!("TCP")))]);
        let step = Step::Key(key);
        let list = json!([{"port": 53, "protocol": "UDP"}, {"port": 53, "protocol": "TCP"}]);
        assert_eq!(step.find(&list), [&list[1]]);
        assert_eq!(step.find(&json!([{"port": 53}])).len(), 1);
        assert_eq!(step.find(&json!([{"port": 53, "protocol": "UDP"}, {"name": "x"}])).len(), 0);
    }
}
