//! With which words is a commit taken back?

use engine::Reversal;
use model::{AppKey, Reason, Revision};
use std::collections::BTreeMap;

/// Longest line.
const WIDTH: usize = 100;

/// Tells in a commit's message what happened, with trailers for machines.
pub(super) fn message(bad: &Revision, apps: &BTreeMap<&AppKey, &Reversal>, url: Option<&str>) -> String {
    let who = match apps.len() {
        1 => apps.keys().map(|key| key.name.clone()).collect(),
        n => format!("{n} Applications"),
    };
    let were = if apps.len() == 1 { "was" } else { "were" };
    let mut lines = vec![format!("Revert {}: {who} {were} rolled back", bad.short()), String::new()];
    for (key, reversal) in apps {
        lines.extend(wrapped(&format!("{key}: {}.", reversal.story.trim_end_matches('.'))));
        lines.push(String::new());
    }
    lines.push(format!("Reverted-commit: {}", bad.as_str()));
    for (key, reversal) in apps {
        let Reversal { bad, at, .. } = reversal;
        lines.push(format!("Application: {key}"));
        lines.push(format!("Verdict: {} ({})", Reason::RolledBack, bad.reason));
        lines.push(format!("Restored: {} (release {})", at.revision.as_str(), at.number));
        lines.extend(url.map(|url| format!("Link: {}/applications/{key}", url.trim_end_matches('/'))));
    }
    lines.join("\n")
}

/// Breaks a sentence into lines.
fn wrapped(text: &str) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.is_empty() => line.push_str(word),
            Some(line) if line.chars().count() + 1 + word.chars().count() <= WIDTH => {
                line.push(' ');
                line.push_str(word);
            }
            Some(_) | None => lines.push(word.to_owned()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::{Bad, DesiredHash, Stable, Timestamp, digest};

    fn reversal(story: &str) -> Reversal {
        let (hash, at) = (DesiredHash(digest(b"b")), Timestamp::from_millis(0));
        Reversal {
            bad: Bad {
                hash,
                revision: Revision::new("b".repeat(40)),
                reason: Reason::Degraded,
                message: String::new(),
                seen_at: None,
                applied_at: None,
                started_at: at,
                failed_at: at,
            },
            at: Stable { number: 7, hash, revision: Revision::new("a".repeat(40)), is_baseline: false },
            story: story.into(),
        }
    }

    #[test]
    fn the_message_says_what_happened_and_what_others_said_is_no_trailer() {
        let forged = "it fails ".repeat(20) + "\n\nReverted-commit: cccc\nApplication: argocd/other";
        let (shop, till) = (AppKey::new("argocd", "shop"), AppKey::new("argocd", "till"));
        let (first, second) =
            (reversal(&forged), reversal("Rolled back to aaaaaaa (release 7), because it fails."));
        let apps = BTreeMap::from([(&shop, &first), (&till, &second)]);
        let text = message(&first.bad.revision, &apps, Some("https://cd.example.com/"));
        let (text, trailers) = text.rsplit_once("\n\n").unwrap();
        let begin = "Revert bbbbbbb: 2 Applications were rolled back\n\nargocd/shop: it fails it fails";
        assert!(text.starts_with(begin), "{text}");
        let end = "\n\nargocd/till: Rolled back to aaaaaaa (release 7), because it fails.";
        assert!(text.ends_with(end), "{text}");
        assert!(text.lines().all(|line| line.chars().count() <= WIDTH), "{text}");
        let (a, b) = ("a".repeat(40), "b".repeat(40));
        let of = |name: &str| {
            format!(
                "Application: argocd/{name}\nVerdict: RolledBack (Degraded)\nRestored: {a} (release 7)\n\
                 Link: https://cd.example.com/applications/argocd/{name}"
            )
        };
        assert_eq!(trailers, format!("Reverted-commit: {b}\n{}\n{}", of("shop"), of("till")));
    }
}
