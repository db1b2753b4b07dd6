//! Is a target revision a range of versions rather than a name?

/// Returns whether Argo CD would read the text as a semver constraint over tags (Masterminds/semver rules): `1.*`,
/// `^1.2`, `>=1 <2`, `1.2 - 1.4`, `1.x || 2.x`. A plain version such as `v1.2.3` is a name.
pub(crate) fn is_constraint(text: &str) -> bool {
    let alternatives: Vec<&str> = text.split("||").map(str::trim).collect();
    let is_plain = alternatives.len() == 1 && is_version(text.trim(), false);
    !is_plain && alternatives.iter().all(|part| is_conjunction(part))
}

fn is_conjunction(text: &str) -> bool {
    if let Some((low, high)) = text.split_once(" - ") {
        return is_version(low.trim(), true) && is_version(high.trim(), true);
    }
    let mut rest = text.trim_start();
    if rest.is_empty() {
        return false;
    }
    while !rest.is_empty() {
        let version = rest.trim_start_matches(['=', '!', '<', '>', '~', '^']);
        if rest.len() - version.len() > 2 {
            return false;
        }
        let version = version.trim_start();
        let end = version.find([',', ' ', '=', '!', '<', '>', '~', '^']).unwrap_or(version.len());
        if !is_version(&version[..end], true) {
            return false;
        }
        rest = version[end..].trim_start_matches([',', ' ']);
    }
    true
}

fn is_version(text: &str, wildcards: bool) -> bool {
    let text = text.strip_prefix('v').unwrap_or(text);
    let core = text.split(['-', '+']).next().unwrap_or_default();
    let suffix = text.get(core.len() + 1..);
    let parts: Vec<&str> = core.split('.').collect();
    let is_part = |part: &&str| {
        let is_wildcard = wildcards && matches!(*part, "x" | "X" | "*");
        is_wildcard || (!part.is_empty() && part.bytes().all(|b| b.is_ascii_digit()))
    };
    let is_suffix = |text: &str| {
        !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-.+".contains(&b))
    };
    parts.len() <= 3 && parts.iter().all(is_part) && suffix.is_none_or(is_suffix)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_told_from_names() {
        for text in [
            "1.*",
            "^1.2",
            "~1.2.3",
            ">=1.0.0",
            ">= 1 < 2",
            ">=1,<2",
            "1.x",
            "*",
            "1.2 - 1.4",
            "1.x || 2.x",
            "=1.2.3",
            "!=1",
        ] {
            assert!(is_constraint(text), "{text}");
        }
        for text in [
            "",
            "main",
            "v1.2.3",
            "1.2",
            "1",
            "1.2.3-rc.1+b",
            "release-1.x",
            "HEAD",
            "abcdef1",
            "1.2.3.4",
            "feature/x",
            "||",
        ] {
            assert!(!is_constraint(text), "{text}");
        }
    }
}
