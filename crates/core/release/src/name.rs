//! Under which name does a release lie?

use model::{AppKey, digest};

/// What all names begin with.
const PREFIX: &str = "tautline-release.";

/// Longest app name that stands in full, in bytes. With the prefix, the number and a part's number it stays below the 253
/// that a DNS subdomain may have.
const LONGEST: usize = 200;

/// Names the Secret of a release: `tautline-release.<app>.v<number>`.
///
/// A name that is too long is cut, and its hash put behind it. That is one character longer than any name that stands in
/// full, so no app is called like another one's short form.
pub fn head_name(app: &AppKey, number: u64) -> String {
    format!("{PREFIX}{}.v{number}", short(&app.name))
}

/// Names the Secret of one further part of a release, counted from 1.
pub fn part_name(app: &AppKey, number: u64, part: usize) -> String {
    format!("{}.p{part}", head_name(app, number))
}

/// Reads the app's name, as far as it stands there, and the number off a Secret's name; a part's name is its release's.
pub(crate) fn parse(secret: &str) -> Option<(&str, u64)> {
    let rest = secret.strip_prefix(PREFIX)?;
    let of_number = |text: &str| text.strip_prefix('v').and_then(digits);
    let (before, last) = rest.rsplit_once('.')?;
    if let Some(number) = of_number(last) {
        return Some((before, number));
    }
    last.strip_prefix('p').and_then(digits)?;
    let (app, number) = before.rsplit_once('.')?;
    Some((app, of_number(number)?))
}

/// Reads a number written the way we write it.
fn digits(text: &str) -> Option<u64> {
    let number: u64 = text.parse().ok()?;
    (number.to_string() == text).then_some(number)
}

fn short(name: &str) -> String {
    if name.len() <= LONGEST {
        return name.to_owned();
    }
    let hash = digest(name.as_bytes()).short(32);
    let mut cut = LONGEST - hash.len();
    while !name.is_char_boundary(cut) {
        cut -= 1;
    }
    // A dash may stand beside a dash, a dot may not stand beside either.
    let start = name[..cut].replace('.', "-");
    format!("{start:-<width$}-{hash}", width = LONGEST - hash.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn app(name: &str) -> AppKey {
        AppKey::new("argocd", name)
    }

    fn is_subdomain(name: &str) -> bool {
        let is_label = |label: &str| {
            let ends = |c: Option<char>| c.is_some_and(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
            ends(label.chars().next())
                && ends(label.chars().last())
                && label.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
        };
        name.len() <= 253 && name.split('.').all(is_label)
    }

    #[test]
    fn names_say_app_and_number() {
        assert_eq!(head_name(&app("shop"), 3), "tautline-release.shop.v3");
        assert_eq!(part_name(&app("shop"), 3, 1), "tautline-release.shop.v3.p1");
        assert_eq!(parse("tautline-release.shop.v3"), Some(("shop", 3)));
        assert_eq!(parse("tautline-release.shop.v3.p12"), Some(("shop", 3)));
        assert_eq!(parse("tautline-release.a.v1.p2.v3"), Some(("a.v1.p2", 3)));
        for other in
            ["shop.v3", "tautline-release.shop", "tautline-release.shop.v03", "tautline-release.shop.v+3", ""]
        {
            assert_eq!(parse(other), None, "{other}");
        }
    }

    #[test]
    fn long_names_stay_names_and_stay_apart() {
        let mut seen = BTreeSet::new();
        for length in [1, 199, 200, 201, 202, 253] {
            for last in ["a", "b"] {
                let name = format!("{}{last}", "a.".repeat(130)[..length - 1].replace("a.", "a-"));
                let head = part_name(&app(&name), u64::MAX, 9_999);
                assert!(is_subdomain(&head), "{head}");
                assert!(seen.insert(head), "{name}");
            }
        }
        let dotted = format!("{}z", "a.".repeat(126));
        assert!(is_subdomain(&head_name(&app(&dotted), 1)), "{}", head_name(&app(&dotted), 1));
        let shortened = short(&dotted);
        assert_eq!(shortened.len(), LONGEST + 1, "no name that stands in full is as long");
        assert_ne!(short(&shortened), shortened);
    }
}
