//! What in a URL may be refused, decoded and shown?

use crate::error::{Kind, SourceError, is_hidden};

/// Refuses what no kind of URL may hold: options, transport helpers, and characters that nobody sees.
pub(super) fn refuse_smuggling(text: &str) -> Result<(), SourceError> {
    if text.is_empty() {
        return Err(SourceError::new(Kind::InvalidUrl, "repository URL is empty"));
    }
    if text.chars().any(|c| is_hidden(c) || c.is_whitespace()) {
        return Err(invalid(text, "holds a blank, control or invisible character"));
    }
    if decoded(text).chars().any(is_hidden) {
        return Err(invalid(text, "holds an encoded control character"));
    }
    if text.starts_with('-') {
        return Err(invalid(text, "looks like an option"));
    }
    let helper = text.split_once("::").map(|(helper, _)| helper);
    if helper
        .is_some_and(|name| !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-'))
    {
        return Err(invalid(text, "names a transport helper").help("use https:// instead"));
    }
    Ok(())
}

/// Refuses paths that climb or are read otherwise elsewhere.
pub(super) fn refuse_climbing(path: &str, text: &str) -> Result<(), SourceError> {
    let path = decoded(path);
    if path.contains('\\') || path.split('/').any(|segment| segment == ".." || segment == ".") {
        return Err(invalid(text, "has `.`, `..` or a backslash in its path"));
    }
    Ok(())
}

pub(super) fn invalid(text: &str, why: &str) -> SourceError {
    SourceError::new(Kind::InvalidUrl, format!("repository URL {} {why}", masked(text)))
}

/// Returns the text as far as it may be printed: nothing before the last `@`, nothing after a `?`.
pub(super) fn masked(text: &str) -> String {
    let text = text.split(['?', '#']).next().unwrap_or_default();
    let (scheme, rest) = text.split_once("://").map_or(("", text), |(scheme, rest)| (scheme, rest));
    let rest = rest.rsplit_once('@').map_or_else(|| rest.to_owned(), |(_, rest)| format!("***@{rest}"));
    let separator = if scheme.is_empty() { "" } else { "://" };
    let shown: String = format!("{scheme}{separator}{rest}").chars().take(200).collect();
    format!("{shown:?}")
}

/// Decodes `%xx`; what is not UTF-8 afterwards is replaced.
pub(super) fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        let code = tail.get(..2).and_then(|hex| std::str::from_utf8(hex).ok());
        match code.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) if first == b'%' => {
                bytes.push(byte);
                rest = &tail[2..];
            }
            _ => {
                bytes.push(first);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
