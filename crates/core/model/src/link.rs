//! Which links may be shown to people?

/// Longest link, in bytes.
const LONGEST: usize = 2_000;

/// Returns whether a link, written as `url` or `title|url`, leads to a web page: interfaces would run a `javascript:` one.
pub fn is_web_link(link: &str) -> bool {
    let url = link.rsplit('|').next().unwrap_or(link).trim();
    let scheme = url.split_once("://").map(|(scheme, _)| scheme.to_ascii_lowercase());
    link.len() <= LONGEST
        && !link.chars().any(char::is_control)
        && matches!(scheme.as_deref(), Some("http" | "https"))
}

#[cfg(test)]
mod tests {
    use super::*;

    // N55: the rule itself
    #[test]
    fn only_http_and_https_are_shown() {
        for link in ["https://a", "HTTP://a/b?c=d", "Shop|https://a", " https://a "] {
            assert!(is_web_link(link), "{link}");
        }
        let long = format!("https://a/{}", "b".repeat(LONGEST));
        for link in [
            "",
            "a",
            "//a",
            "javascript:alert(1)",
            "data:text/html,x",
            "https://a|vbscript://x",
            "https://a\nb",
            &long,
        ] {
            assert!(!is_web_link(link), "{link}");
        }
    }
}
