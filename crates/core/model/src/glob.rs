//! Does a pattern match a text? The two dialects that Argo CD's settings are written in.
//!
//! | Dialect | Used for | `*` | `**` | `?` | `[a-z]` | `{a,b}` |
//! |---|---|---|---|---|---|---|
//! | [`Glob::gobwas`] | directory files, `ignoreDifferences`, source repositories | no separators | anything | one, no separator | yes, `[!a]` | yes |
//! | [`Glob::path_match`] | Go's `path.Match`: project roles, Git generators | no `/` | as `*` | one, no `/` | yes, `[^a]` | no |
//!
//! Matching follows all readings of a pattern at once, so its cost is bounded by pattern length times text length.

mod compile;

use compile::{Compiler, Dialect};
use std::fmt;

/// Why a pattern is none; the text is a lowercase fragment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadPattern(pub &'static str);

impl fmt::Display for BadPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for BadPattern {}

/// A pattern, ready to match.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Glob {
    /// A small machine: each step consumes a character or goes on to other steps.
    steps: Vec<Step>,
    separators: Vec<char>,
    /// Literal text before and after a single star that crosses everything. gobwas lets the two overlap, so that
    /// `d/**/x` matches `d/x`, and people's patterns rely on it.
    ends: Option<(String, String)>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    /// This character, then the next step.
    Char(char),
    /// Any character but a separator, then the next step.
    One,
    /// Any characters but separators.
    Many,
    /// Any characters.
    All,
    /// One character inside (or, negated, outside) the ranges.
    Class { is_negated: bool, ranges: Vec<(char, char)> },
    /// Goes on at each of these.
    Fork(Vec<usize>),
    /// Goes on there.
    Jump(usize),
    /// The pattern is satisfied if the text ends here.
    End,
}

/// Matches a text against a gobwas pattern; see [`Glob::gobwas`].
///
/// # Errors
/// When the pattern is malformed or too long.
pub fn gobwas(pattern: &str, text: &str, separators: &[char]) -> Result<bool, BadPattern> {
    Ok(Glob::gobwas(pattern, separators)?.matches(text))
}

/// Matches a text against a pattern of Go's `path.Match`; see [`Glob::path_match`].
///
/// # Errors
/// When the pattern is malformed or too long.
pub fn path_match(pattern: &str, text: &str) -> Result<bool, BadPattern> {
    Ok(Glob::path_match(pattern)?.matches(text))
}

impl Glob {
    /// Compiles a pattern as `github.com/gobwas/glob` reads it. Without separators `*` matches anything.
    ///
    /// # Errors
    /// When the pattern is malformed or too long.
    pub fn gobwas(pattern: &str, separators: &[char]) -> Result<Self, BadPattern> {
        Compiler::new(pattern, Dialect::Gobwas)?.compile(separators)
    }

    /// Compiles a pattern as Go's `path.Match` reads it.
    ///
    /// # Errors
    /// When the pattern is malformed or too long.
    pub fn path_match(pattern: &str) -> Result<Self, BadPattern> {
        Compiler::new(pattern, Dialect::Path)?.compile(&['/'])
    }

    /// Returns whether the whole text matches.
    pub fn matches(&self, text: &str) -> bool {
        if let Some((prefix, suffix)) = &self.ends {
            return text.starts_with(prefix.as_str()) && text.ends_with(suffix.as_str());
        }
        let mut now = Steps::new(self.steps.len());
        let mut next = Steps::new(self.steps.len());
        self.reach(0, &mut now);
        for character in text.chars() {
            next.clear();
            for &at in &now.list {
                self.advance(at, character, &mut next);
            }
            if next.list.is_empty() {
                return false;
            }
            std::mem::swap(&mut now, &mut next);
        }
        now.list.iter().any(|&at| self.steps[at] == Step::End)
    }

    fn advance(&self, at: usize, character: char, next: &mut Steps) {
        let is_separator = || self.separators.contains(&character);
        match &self.steps[at] {
            Step::Char(expected) if *expected == character => self.reach(at + 1, next),
            Step::One if !is_separator() => self.reach(at + 1, next),
            Step::Many if !is_separator() => self.reach(at, next),
            Step::All => self.reach(at, next),
            Step::Class { is_negated, ranges } => {
                let is_inside = ranges.iter().any(|(low, high)| (*low..=*high).contains(&character));
                // Both packages let a negated class stand for a separator.
                if is_inside != *is_negated {
                    self.reach(at + 1, next);
                }
            }
            Step::Char(_) | Step::One | Step::Many | Step::Fork(_) | Step::Jump(_) | Step::End => {}
        }
    }

    /// Adds a step and all that can follow it without a character.
    fn reach(&self, at: usize, steps: &mut Steps) {
        let mut open = vec![at];
        while let Some(at) = open.pop() {
            if !steps.add(at) {
                continue;
            }
            match &self.steps[at] {
                Step::Many | Step::All => open.push(at + 1),
                Step::Fork(targets) => open.extend(targets),
                Step::Jump(target) => open.push(*target),
                Step::Char(_) | Step::One | Step::Class { .. } | Step::End => {}
            }
        }
    }
}

/// A set of steps with its members in a list.
struct Steps {
    has: Vec<bool>,
    list: Vec<usize>,
}

impl Steps {
    fn new(n_steps: usize) -> Self {
        Self { has: vec![false; n_steps], list: Vec::new() }
    }

    fn add(&mut self, at: usize) -> bool {
        let is_new = !std::mem::replace(&mut self.has[at], true);
        if is_new {
            self.list.push(at);
        }
        is_new
    }

    fn clear(&mut self) {
        for at in self.list.drain(..) {
            self.has[at] = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Answers of the Go packages themselves.
    const CASES: &str = include_str!("../../../../fixtures/glob/cases.tsv");

    fn answer(dialect: &str, pattern: &str, text: &str) -> String {
        let result = match dialect {
            "." => gobwas(pattern, text, &[]),
            "/" => gobwas(pattern, text, &['/']),
            _ => path_match(pattern, text),
        };
        result.map_or("error".into(), |matches| matches.to_string())
    }

    #[test]
    fn answers_as_the_go_packages_do() {
        let mut wrong = Vec::new();
        for line in CASES.lines().filter(|line| !line.starts_with('#')) {
            let fields: Vec<_> = line.split('\t').collect();
            let (dialect, pattern, text) = (fields[0], fields[1], fields[2]);
            let expected = *fields.get(4).unwrap_or(&fields[3]);
            let found = answer(dialect, pattern, text);
            if found != expected {
                wrong.push(format!("{line}, we say {found}"));
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }

    // N50: globs
    #[test]
    fn cost_is_bounded() {
        let text = "a".repeat(5_000);
        let pattern = format!("{}b", "*a".repeat(200));
        assert_eq!(gobwas(&pattern, &text, &[]), Ok(false));
        assert_eq!(gobwas(&"{a,a}".repeat(100), &text[..100], &[]), Ok(true));
        assert!(Glob::gobwas(&"a".repeat(5_000), &[]).is_err());
        assert!(Glob::gobwas(&"{".repeat(100), &[]).is_err());
    }
}
