//! What may be shown of text from outside, so that it forges neither lines nor colours?

use std::borrow::Cow;

/// Writes what a terminal would act on, what turns text around and what is not seen at all as escapes, on one line.
pub fn printable(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_active) {
        return Cow::Borrowed(text);
    }
    let written = |c: char| if is_active(c) { c.escape_default().to_string() } else { c.to_string() };
    Cow::Owned(text.chars().map(written).collect())
}

/// Writes the same as JSON does. The text is JSON, or YAML whose texts with such characters stand in double quotes; its
/// line breaks stay.
pub fn printable_json(text: &str) -> Cow<'_, str> {
    let is_active = |c: char| is_active(c) && c != '\n';
    if !text.chars().any(is_active) {
        return Cow::Borrowed(text);
    }
    let written = |c: char| if is_active(c) { format!("\\u{:04x}", u32::from(c)) } else { c.to_string() };
    Cow::Owned(text.chars().map(written).collect())
}

/// Returns whether a character changes how others read: controls, and the marks that are not seen or reorder text (Unicode
/// TR 36).
pub fn is_active(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_a_terminal_acts_on_is_left() {
        assert_eq!(printable("plain é 日本"), "plain é 日本");
        assert_eq!(
            printable("\u{1b}[2J\n{\"level\"\u{9b}\u{202e}\u{200b}"),
            r#"\u{1b}[2J\n{"level"\u{9b}\u{202e}\u{200b}"#
        );
        assert_eq!(printable_json("{\n\"\u{9b}\u{202e}é\"}"), "{\n\"\\u009b\\u202eé\"}");
    }
}
