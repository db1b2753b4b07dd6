//! How does an object read, and how do two of them differ, line by line?

use serde_json::{Map, Value};
use similar::TextDiff;

/// Writes a value in the manner of YAML, for people: nothing reads it back.
pub(crate) fn print(value: &Value) -> String {
    let mut text = String::new();
    match value {
        Value::Object(map) => print_map(map, 0, &mut text),
        Value::Array(items) => print_list(items, 0, &mut text),
        Value::Null => {}
        Value::Bool(_) | Value::Number(_) | Value::String(_) => print_scalar(value, 0, &mut text),
    }
    text
}

/// Returns a unified diff of two texts, empty where they are equal.
pub(crate) fn diff(before: &str, after: &str, names: (&str, &str)) -> String {
    if before == after {
        return String::new();
    }
    TextDiff::from_lines(before, after).unified_diff().context_radius(3).header(names.0, names.1).to_string()
}

fn print_map(map: &Map<String, Value>, indent: usize, text: &mut String) {
    // What an object is comes first, as in manifests.
    let rank = |key: &str| ["apiVersion", "kind", "metadata"].iter().position(|k| *k == key).unwrap_or(3);
    let mut entries: Vec<_> = map.iter().collect();
    if indent == 0 {
        entries.sort_by_key(|(key, _)| rank(key));
    }
    for (i, (key, value)) in entries.into_iter().enumerate() {
        // The first key of a list item stands behind its dash.
        if i > 0 || text.is_empty() || text.ends_with('\n') {
            text.push_str(&" ".repeat(indent));
        }
        text.push_str(&scalar(key));
        text.push(':');
        print_below(value, indent, text);
    }
}

fn print_list(items: &[Value], indent: usize, text: &mut String) {
    for item in items {
        text.push_str(&" ".repeat(indent));
        text.push('-');
        match item {
            Value::Object(map) if !map.is_empty() => {
                text.push(' ');
                print_map(map, indent + 2, text);
            }
            Value::Array(_) | Value::Object(_) => print_below(item, indent + 2, text),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
                text.push(' ');
                print_scalar(item, indent + 2, text);
            }
        }
    }
}

fn print_below(value: &Value, indent: usize, text: &mut String) {
    match value {
        Value::Object(map) if map.is_empty() => text.push_str(" {}\n"),
        Value::Array(items) if items.is_empty() => text.push_str(" []\n"),
        Value::Object(map) => {
            text.push('\n');
            print_map(map, indent + 2, text);
        }
        Value::Array(items) => {
            text.push('\n');
            print_list(items, indent, text);
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            text.push(' ');
            print_scalar(value, indent + 2, text);
        }
    }
}

/// Text of several lines is written as a block, so that a diff shows the line that changed.
fn print_scalar(value: &Value, indent: usize, text: &mut String) {
    match value {
        Value::String(lines) if lines.contains('\n') => {
            text.push_str(if lines.ends_with('\n') { "|\n" } else { "|-\n" });
            for line in lines.lines() {
                if !line.is_empty() {
                    text.push_str(&" ".repeat(indent));
                    text.push_str(line);
                }
                text.push('\n');
            }
        }
        Value::String(plain) => {
            text.push_str(&scalar(plain));
            text.push('\n');
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
            text.push_str(&value.to_string());
            text.push('\n');
        }
    }
}

/// Quotes what would read as something else.
fn scalar(text: &str) -> String {
    let is_plain_start = |c: char| c.is_ascii_alphabetic() || matches!(c, '/' | '_' | '+' | '.');
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./:@+=, ()".contains(c);
    let looks_like = ["true", "false", "null", "yes", "no", "on", "off", "y", "n"];
    let reads_as_text = text.chars().next().is_some_and(is_plain_start)
        && text.chars().all(is_plain)
        && !text.contains(": ")
        && !text.ends_with([':', ' '])
        && text.chars().any(|c| c.is_ascii_alphabetic() || c == '+')
        && !looks_like.contains(&text.to_ascii_lowercase().as_str())
        && text.parse::<f64>().is_err();
    if reads_as_text { text.into() } else { Value::from(text).to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn prints_like_yaml() {
        let value = json!({"kind": "X", "apiVersion": "v1", "data": {"f": "a\nb\n", "n": 1, "t": "1", "y": "yes"},
            "list": [{"name": "a", "more": [1, {"x": []}]}, "b", {}], "empty": {}, "no": null, "url": "http://a:1/b"});
        let text = "apiVersion: v1\nkind: X\ndata:\n  f: |\n    a\n    b\n  \"n\": 1\n  t: \"1\"\n  \"y\": \"yes\"\nempty: {}\n\
                    list:\n- more:\n  - 1\n  - x: []\n  name: a\n- b\n- {}\n\"no\": null\nurl: http://a:1/b\n";
        assert_eq!(print(&value), text);
    }

    #[test]
    fn equal_texts_have_no_diff() {
        assert_eq!(diff("a\n", "a\n", ("live", "desired")), "");
        assert_eq!(diff("a\n", "b\n", ("live", "desired")), "--- live\n+++ desired\n@@ -1 +1 @@\n-a\n+b\n");
    }
}
