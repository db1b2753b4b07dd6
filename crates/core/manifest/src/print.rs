//! How is a value written, so that kubectl and people read the same from it?

use serde_json::Value;

/// Writes a value as YAML of which kubectl reads the same value back: text that YAML 1.1 would take for a boolean, a
/// number, null or a date is quoted.
pub fn to_yaml(value: &Value) -> String {
    let options = serde_saphyr::ser_options! {
        compact_list_indent: true,
        // Long lines stay as they are: people search for them, and folding is hard to read.
        folded_wrap_chars: usize::MAX,
    };
    serde_saphyr::to_string_with_options(value, options).expect("every JSON value can be written as YAML")
}
