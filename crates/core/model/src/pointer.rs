//! Where in a JSON value? Paths as people and JSON patches write them (RFC 6901).

use serde_json::Value;

/// Escapes one step of a JSON pointer.
pub fn escape(step: &str) -> String {
    step.replace('~', "~0").replace('/', "~1")
}

/// Splits a JSON pointer into its steps; `None` where it does not begin with a slash.
pub fn steps(pointer: &str) -> Option<Vec<String>> {
    let rest = pointer.strip_prefix('/')?;
    Some(rest.split('/').map(|step| step.replace("~1", "/").replace("~0", "~")).collect())
}

/// Removes what a JSON pointer names; returns whether it was there.
pub fn remove(value: &mut Value, pointer: &str) -> bool {
    let Some(steps) = steps(pointer) else { return false };
    let Some((last, parents)) = steps.split_last() else { return false };
    let mut at = value;
    for step in parents {
        let next = match at {
            Value::Object(map) => map.get_mut(step),
            Value::Array(items) => step.parse::<usize>().ok().and_then(|i| items.get_mut(i)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
        };
        let Some(next) = next else { return false };
        at = next;
    }
    match at {
        Value::Object(map) => map.remove(last).is_some(),
        Value::Array(items) => match last.parse::<usize>() {
            Ok(index) if index < items.len() => {
                items.remove(index);
                true
            }
            Ok(_) | Err(_) => false,
        },
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn removes_escaped_paths_and_list_items() {
        let mut value = json!({"metadata": {"annotations": {"a/b": "1", "c~d": "2"}}, "list": [1, 2, 3]});
        assert!(remove(&mut value, "/metadata/annotations/a~1b"));
        assert!(remove(&mut value, "/metadata/annotations/c~0d"));
        assert!(remove(&mut value, "/list/1"));
        assert!(!remove(&mut value, "/list/7"));
        assert!(!remove(&mut value, "/no/such/path"));
        assert!(!remove(&mut value, "list"));
        assert_eq!(value, json!({"metadata": {"annotations": {}}, "list": [1, 3]}));
    }
}
