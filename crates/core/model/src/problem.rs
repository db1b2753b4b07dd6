//! What did a user get wrong, and where?

use crate::printable;
use std::fmt;

/// Where in a repository something stands.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Place {
    /// Path from the repository's root; empty where no file is at fault.
    pub file: String,
    /// Line from 1; 0 where unknown.
    pub line: u32,
    /// Column from 1; 0 where unknown.
    pub column: u32,
}

impl fmt::Display for Place {
    /// Writes `file:line:column`, leaving out what is unknown.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&printable(&self.file))?;
        if self.line > 0 {
            write!(f, ":{}", self.line)?;
            if self.column > 0 {
                write!(f, ":{}", self.column)?;
            }
        }
        Ok(())
    }
}

/// One mistake in what a user gave us: what is wrong, where, and what to do next. Holds no secret values.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// Where it stands.
    pub place: Place,
    /// The sentence, without a full stop at its end.
    pub message: String,
    /// What to do next; empty where the message says it.
    pub help: String,
}

impl Problem {
    /// Makes a problem without a place.
    pub fn new(message: impl Into<String>) -> Self {
        Self { place: Place::default(), message: message.into(), help: String::new() }
    }

    /// Says where.
    #[must_use]
    pub fn at(mut self, file: &str, line: u32, column: u32) -> Self {
        self.place = Place { file: file.into(), line, column };
        self
    }

    /// Says what to do next.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = help.into();
        self
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.place.file.is_empty() {
            write!(f, "{}: ", self.place)?;
        }
        f.write_str(&printable(&self.message))?;
        if !self.help.is_empty() {
            write!(f, " ({})", printable(&self.help))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // N56: problems
    #[test]
    fn nothing_that_a_terminal_acts_on_is_written() {
        let problem = Problem::new("key \u{1b}[2J\u{7} in \u{202e}é").at("a\r.yaml", 3, 0).help("\n");
        assert_eq!(problem.to_string(), r"a\r.yaml:3: key \u{1b}[2J\u{7} in \u{202e}é (\n)");
    }
}
