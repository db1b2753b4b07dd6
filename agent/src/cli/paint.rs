//! What is coloured, and when?

use model::printable;
use std::ffi::OsStr;
use std::io::IsTerminal;

/// Whether words are coloured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Paint {
    /// They are: somebody looks at a terminal.
    Colours,
    /// They are not.
    Plain,
}

impl Paint {
    /// Returns how standard output is written.
    pub(crate) fn of_stdout() -> Self {
        Self::of(&std::io::stdout())
    }

    /// Returns how standard error is written.
    pub(crate) fn of_stderr() -> Self {
        Self::of(&std::io::stderr())
    }

    fn of(stream: &impl IsTerminal) -> Self {
        let says_no = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let terminal = std::env::var_os("TERM").filter(|_| stream.is_terminal());
        Self::on(terminal.as_deref(), says_no)
    }

    /// Returns how a terminal of a kind, if it is one, is written to: in colours only where it can show them, unless
    /// `NO_COLOR` says otherwise (no-color.org).
    fn on(terminal: Option<&OsStr>, says_no: bool) -> Self {
        if terminal.is_some_and(|kind| kind != "dumb") && !says_no { Self::Colours } else { Self::Plain }
    }

    /// Colours a word by what it says; in others what a terminal would act on is escaped.
    pub(crate) fn word(self, word: &str) -> String {
        match (self, colour(word)) {
            (Self::Colours, Some(colour)) => format!("\u{1b}[{colour}m{word}\u{1b}[0m"),
            (Self::Colours | Self::Plain, _) => printable(word).into_owned(),
        }
    }

    /// Colours the lines of a diff.
    pub(crate) fn diff(self, text: &str) -> String {
        let line = |line: &str| {
            let colour = match line.as_bytes().first() {
                Some(b'+') => GREEN,
                Some(b'-') => RED,
                Some(b'@') => CYAN,
                Some(_) | None => return format!("{line}\n"),
            };
            format!("\u{1b}[{colour}m{line}\u{1b}[0m\n")
        };
        match self {
            Self::Colours => text.lines().map(line).collect(),
            Self::Plain => text.to_owned(),
        }
    }
}

const RED: u8 = 31;
const GREEN: u8 = 32;
const YELLOW: u8 = 33;
const MAGENTA: u8 = 35;
const CYAN: u8 = 36;

/// Returns the colour of a word of ours (SGR, ECMA-48).
fn colour(word: &str) -> Option<u8> {
    match word {
        "Synced" | "Healthy" | "Succeeded" | "Deployed" | "create" => Some(GREEN),
        "OutOfSync" | "Progressing" | "Suspended" | "Running" | "Held" | "Superseded" | "change" => {
            Some(YELLOW)
        }
        "Degraded" | "Missing" | "Failed" | "Error" | "Terminating" | "NotRequested" | "RolledBack"
        | "Quarantined" | "Inconclusive" | "delete" | "refused" => Some(RED),
        "Unknown" | "keep" => Some(MAGENTA),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_are_for_terminals_that_can_show_them_and_people_who_want_them() {
        let on = |terminal: Option<&str>, says_no| Paint::on(terminal.map(OsStr::new), says_no);
        assert_eq!(on(Some("xterm"), false), Paint::Colours);
        for (terminal, says_no) in [(None, false), (Some("dumb"), false), (Some("xterm"), true)] {
            assert_eq!(on(terminal, says_no), Paint::Plain, "{terminal:?} {says_no}");
        }
    }

    #[test]
    fn words_are_coloured_by_what_they_say_and_others_are_left_alone() {
        assert_eq!(Paint::Colours.word("Synced"), "\u{1b}[32mSynced\u{1b}[0m");
        assert_eq!(Paint::Colours.word("shop"), "shop");
        assert_eq!(Paint::Colours.word("\u{1b}[2J"), "\\u{1b}[2J");
        assert_eq!(Paint::Plain.word("Degraded"), "Degraded");
        assert_eq!(Paint::Colours.diff("+a\n b\n"), "\u{1b}[32m+a\u{1b}[0m\n b\n");
        assert_eq!(Paint::Plain.diff("+a\n"), "+a\n");
    }
}
