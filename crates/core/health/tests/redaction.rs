//! Does anything of a secret get through, whatever it looks like and wherever it stands?

use health::{Redaction, text};
use proptest::prelude::*;

/// Secrets of any look. An asterisk is what stands for them; blanks are merged where they are told.
const SECRET: &str = "[!-)+-~]{4,30}";
/// What stands around them: words, marks and controls.
const AROUND: &str = "[ -~\u{1b}\u{202e}äß]{0,30}";

fn log(parts: &[(String, usize)], secrets: &[String]) -> String {
    let pieces = parts.iter().map(|(around, n)| format!("{around}{}", secrets[n % secrets.len()]));
    pieces.collect::<Vec<_>>().join("\n")
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(500) })]

    // N20: any values, in logs
    #[test]
    fn no_value_that_is_known_is_told(
        secrets in prop::collection::vec(SECRET, 1..5),
        parts in prop::collection::vec((AROUND, 0..5_usize), 1..8),
    ) {
        let redaction = Redaction::new(secrets.iter().cloned());
        let told = redaction.log(&log(&parts, &secrets), 20);
        for line in &told {
            for secret in &secrets {
                prop_assert!(!line.contains(secret.as_str()), "{secret:?} is in {line:?}");
            }
        }
    }

    // N20: files in Secrets, of which a program tells one value
    #[test]
    fn no_value_of_a_file_in_a_secret_is_told(name in "[a-z]{1,9}", value in "[!-)+-9;-<>-~]{6,30}", around in AROUND) {
        let value = value.trim_matches(|c| "\"',;".contains(c)).to_owned();
        prop_assume!(value.len() >= 6);
        for file in [format!("{name}={value}\nb=c"), format!("{name}: {value}\n"), format!("{name}: \"{value}\"\n")] {
            let line = Redaction::new([file]).line(&format!("{around} {value}"));
            prop_assert!(!line.contains(&value), "{value:?} is in {line:?}");
        }
    }

    // N56: logs of containers
    #[test]
    fn what_is_told_is_one_short_line_that_no_terminal_acts_on(raw in "\\PC{0,400}|[\u{0}-\u{20}\u{7f}-\u{9f}]{0,50}") {
        let told = Redaction::default().line(&raw);
        prop_assert!(told.chars().count() <= text::LONGEST);
        prop_assert!(!told.chars().any(char::is_control), "{told:?}");
    }
}
