//! How does text that other controllers wrote become safe and short enough to show?

use crate::redaction::without_likely;

/// Longest message taken over from elsewhere, in characters.
pub const LONGEST: usize = 300;

/// Returns `raw` on one line: control characters and text-direction marks become blanks, blanks are merged,
/// `user:password@` in URLs and what looks like a secret is masked, and what exceeds [`LONGEST`] is cut.
pub fn clean(raw: &str) -> String {
    let shown: String =
        without_likely(raw).chars().map(|c| if is_unprintable(c) { ' ' } else { c }).collect();
    let words: Vec<String> = shown.split_whitespace().map(without_credentials).collect();
    cut(&words.join(" "))
}

/// Joins a reason and a message; either may be empty, and neither is said twice.
pub(crate) fn joined(reason: &str, message: &str) -> String {
    match (reason.is_empty(), message.is_empty()) {
        (true, _) => message.into(),
        (false, true) => reason.into(),
        (false, false) => format!("{reason}: {message}"),
    }
}

/// Control characters steer terminals; direction marks and invisible ones let a text look like another.
fn is_unprintable(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

fn without_credentials(word: &str) -> String {
    let mut rest = word;
    let mut out = String::new();
    while let Some(scheme_end) = rest.find("://").map(|i| i + 3) {
        let (scheme, after) = rest.split_at(scheme_end);
        out.push_str(scheme);
        let authority = after.split(['/', '?', '#', '"']).next().unwrap_or_default();
        match authority.rfind('@') {
            Some(at) => {
                out.push_str("***");
                rest = &after[at..];
            }
            None => rest = after,
        }
    }
    out + rest
}

fn cut(text: &str) -> String {
    if text.chars().count() <= LONGEST {
        return text.into();
    }
    let mut head: String = text.chars().take(LONGEST - 1).collect();
    head.push('…');
    head
}

#[cfg(test)]
mod tests {
    use super::*;

    // N56: messages of objects
    #[test]
    fn one_line_without_control_characters() {
        assert_eq!(
            clean("panic:\n\tat \u{1b}[31mmain\u{1b}[0m\r\n\u{202e}gpj.exe"),
            "panic: at [31mmain [0m gpj.exe"
        );
    }

    #[test]
    fn credentials_in_urls_are_masked() {
        assert_eq!(
            clean(
                r#"Get "https://bob:s3cr@t@reg.example/v2/": refused, see http://x@y and https://reg.example/a@b"#
            ),
            r#"Get "https://***@reg.example/v2/": refused, see http://***@y and https://reg.example/a@b"#
        );
    }

    // N20: what a container leaves behind when it ends
    #[test]
    fn what_looks_like_a_secret_is_masked() {
        assert_eq!(clean("panic: DB_PASSWORD=hunter22 is refused"), "panic: DB_PASSWORD=*** is refused");
    }

    #[test]
    fn long_text_is_cut_at_characters() {
        let text = clean(&"ä".repeat(400));
        assert_eq!(text.chars().count(), LONGEST);
        assert!(text.ends_with("ä…"));
        assert_eq!(clean(&"ä".repeat(LONGEST)), "ä".repeat(LONGEST));
    }
}
