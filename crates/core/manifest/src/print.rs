//! How is a value written, so that kubectl and people read the same from it?

use serde::ser::{Serialize, SerializeMap as _, SerializeSeq as _, Serializer};
use serde_json::Value;

/// Writes a value as YAML of which kubectl reads the same value back: text that YAML 1.1 would take for a boolean, a
/// number, null or a date is quoted. Text of several lines is a block wherever readers agree on blocks. What a terminal would
/// act on is escaped.
pub fn to_yaml(value: &Value) -> String {
    let options = serde_saphyr::ser_options! {
        // Long lines stay as they are: people search for them, and folding is hard to read.
        folded_wrap_chars: usize::MAX,
    };
    let text = serde_saphyr::to_string_with_options(&Printed(value), options)
        .expect("every JSON value can be written as YAML");
    // They stand in double quotes.
    model::printable_json(&text).into_owned()
}

/// A value that chooses the style of its texts.
struct Printed<'a>(&'a Value);

impl Serialize for Printed<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Value::String(text) if needs_escapes(text) => {
                serde_saphyr::DoubleQuoted(text.as_str()).serialize(serializer)
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
                self.0.serialize(serializer)
            }
            Value::Array(items) => {
                let mut list = serializer.serialize_seq(Some(items.len()))?;
                for item in items {
                    list.serialize_element(&Printed(item))?;
                }
                list.end()
            }
            Value::Object(fields) => {
                let mut map = serializer.serialize_map(Some(fields.len()))?;
                for (name, value) in fields {
                    map.serialize_entry(name, &Printed(value))?;
                }
                map.end()
            }
        }
    }
}

/// Returns whether a text must not be a block or plain: kubectl's reader takes tabs and blanks at the beginning of a
/// block's lines, and YAML 1.1's additional line breaks, otherwise than YAML 1.2 does. People take what is not seen, or
/// turns text around, for something else.
fn needs_escapes(text: &str) -> bool {
    let is_special = |c: char| model::is_active(c) && c != '\n';
    text.contains(is_special)
        || text.contains('\n') && (text.starts_with([' ', '\n']) || text.trim().is_empty())
}
