//! Is there anything new to deploy? One value stands for everything that an app wants.

use model::{DesiredHash, Object, digest};
use serde_json::Value;
use std::fmt::Write as _;

/// Returns the hash of an app's objects as [`crate::arrange`] gives them, before our own labels and annotations are added.
///
/// Equal hashes mean equal objects, in whatever order and from whatever files. The definition is load-bearing, for stored
/// hashes must survive an upgrade: SHA-256 over one line per object, sorted by key, each its JSON without blanks, keys sorted
/// by bytes, floats as Rust's shortest scientific form.
pub fn desired_hash(objects: &[&Object]) -> DesiredHash {
    let mut sorted: Vec<_> = objects.iter().map(|object| (object.key(), *object)).collect();
    sorted.sort_by(|(a, _), (b, _)| a.cmp(b));
    let mut text = String::new();
    for (_, object) in sorted {
        write_fields(object.fields().iter().collect(), &mut text);
        text.push('\n');
    }
    DesiredHash(digest(text.as_bytes()))
}

/// Writes JSON. Not `serde_json`'s own text: a feature of that crate, or a release of it, may change order or floats.
fn write(value: &Value, text: &mut String) {
    match value {
        Value::Number(number) if number.is_f64() => {
            let float = number.as_f64().unwrap_or_default();
            write!(text, "{float:e}").expect("writing to a string does not fail");
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            write!(text, "{value}").expect("writing to a string does not fail");
        }
        Value::Array(items) => {
            text.push('[');
            for (i, item) in items.iter().enumerate() {
                separate(i, text);
                write(item, text);
            }
            text.push(']');
        }
        Value::Object(fields) => write_fields(fields.iter().collect(), text),
    }
}

fn write_fields(mut fields: Vec<(&String, &Value)>, text: &mut String) {
    fields.sort_by_key(|(name, _)| *name);
    text.push('{');
    for (i, (name, value)) in fields.into_iter().enumerate() {
        separate(i, text);
        write(&Value::String(name.clone()), text);
        text.push(':');
        write(value, text);
    }
    text.push('}');
}

fn separate(index: usize, text: &mut String) {
    if index > 0 {
        text.push(',');
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Scope, arrange, parse};

    fn hash(text: &str) -> String {
        let (parsed, problems) = parse("a.yaml", text.as_bytes());
        assert_eq!(problems, []);
        let arranged = arrange(parsed, "shop", &|_| Scope::Namespaced);
        let mut objects: Vec<_> = arranged.objects.iter().map(|parsed| &parsed.object).collect();
        objects.reverse();
        desired_hash(&objects).to_string()
    }

    const OBJECTS: &str = "
apiVersion: v1
kind: Secret
metadata: {name: s, creationTimestamp: null}
stringData: {password: \"a\\tb\u{e9}\\u0001\"}
status: {}
---
apiVersion: example.com/v1
kind: Widget
metadata: {name: w, namespace: shop}
spec: {half: 0.5, large: 1e30, small: -1.5e-9, whole: 3.0, max: 18446744073709551615, on: on, none: ~, list: [1, {b: 1, a: 2}]}
";

    /// If this fails, every app of every user syncs after the upgrade and forgets its quarantine.
    #[test]
    fn the_hash_is_pinned() {
        assert_eq!(hash(OBJECTS), "v1:fb86907e649ebd5ef28c3bcd372a270eff925f7efcf6a0412ea7689e57680900");
        assert_eq!(
            desired_hash(&[]).to_string(),
            "v1:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        );
    }

    #[test]
    fn order_and_form_do_not_count() {
        let (secret, widget) = OBJECTS.split_once("---\n").unwrap();
        let reordered = format!("{widget}---\n# comment\n{secret}");
        assert_eq!(hash(&reordered), hash(OBJECTS));
        let data =
            OBJECTS.replace("stringData: {password: \"a\\tb\u{e9}\\u0001\"}", "data: {password: YQliw6kB}");
        assert_ne!(data, OBJECTS);
        assert_eq!(hash(&data), hash(OBJECTS));
        let namespace = OBJECTS.replace(", namespace: shop", "");
        assert_eq!(hash(&namespace), hash(OBJECTS));
    }

    #[test]
    fn content_counts() {
        for (old, new) in [
            ("half: 0.5", "half: 0.25"),
            ("name: w", "name: v"),
            ("[1, {", "[{"),
            ("v1\nkind: W", "v2\nkind: W"),
        ] {
            assert_ne!(hash(&OBJECTS.replace(old, new)), hash(OBJECTS), "{old}");
        }
    }
}
