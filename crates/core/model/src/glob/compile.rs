//! How does the text of a pattern become steps?

use super::{BadPattern, Glob, Step};

/// Longest pattern, in characters. Argo CD has no limit; no pattern of a person comes near.
const MAX_PATTERN: usize = 4_096;
/// Deepest nesting of braces.
const MAX_BRACES: usize = 16;

/// The literal ends of a pattern that is text, a star that crosses everything, and text.
fn ends(steps: &[Step], separators: &[char]) -> Option<(String, String)> {
    let star = |step: &Step| *step == Step::All || *step == Step::Many && separators.is_empty();
    let at = steps.iter().position(star)?;
    let literal = |steps: &[Step]| -> Option<String> {
        steps
            .iter()
            .map(|step| if let Step::Char(character) = step { Some(*character) } else { None })
            .collect()
    };
    let (prefix, suffix) = (literal(&steps[..at])?, literal(&steps[at + 1..steps.len() - 1])?);
    (!prefix.is_empty() && !suffix.is_empty()).then_some((prefix, suffix))
}

/// Whose patterns.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialect {
    Gobwas,
    Path,
}

const OPEN: BadPattern = BadPattern("a `[` is not closed");
const EMPTY: BadPattern = BadPattern("a `[` holds nothing");

/// A pattern half read.
pub(super) struct Compiler {
    pattern: Vec<char>,
    at: usize,
    dialect: Dialect,
    steps: Vec<Step>,
}

impl Compiler {
    pub(super) fn new(pattern: &str, dialect: Dialect) -> Result<Self, BadPattern> {
        let pattern: Vec<char> = pattern.chars().take(MAX_PATTERN + 1).collect();
        if pattern.len() > MAX_PATTERN {
            return Err(BadPattern("it is longer than 4096 characters"));
        }
        Ok(Self { pattern, at: 0, dialect, steps: Vec::new() })
    }

    pub(super) fn compile(mut self, separators: &[char]) -> Result<Glob, BadPattern> {
        self.sequence(0)?;
        self.steps.push(Step::End);
        let ends = if self.dialect == Dialect::Gobwas { ends(&self.steps, separators) } else { None };
        Ok(Glob { steps: self.steps, separators: separators.to_vec(), ends })
    }

    /// Compiles up to the end or, within braces, up to a comma or the closing brace, which it leaves.
    fn sequence(&mut self, braces: usize) -> Result<(), BadPattern> {
        while let Some(character) = self.peek() {
            let has_braces = self.dialect == Dialect::Gobwas;
            match character {
                ',' | '}' if braces > 0 => return Ok(()),
                '}' if has_braces => return Err(BadPattern("a `}` closes nothing")),
                '{' if has_braces => self.alternatives(braces + 1)?,
                '[' => self.class()?,
                '*' => self.star(),
                '?' => self.single(Step::One),
                '\\' => {
                    self.at += 1;
                    let literal = self.peek().ok_or(BadPattern("a `\\` stands at its end"))?;
                    self.single(Step::Char(literal));
                }
                literal => self.single(Step::Char(literal)),
            }
        }
        if braces > 0 { Err(BadPattern("a `{` is not closed")) } else { Ok(()) }
    }

    fn star(&mut self) {
        let n_stars = self.pattern[self.at..].iter().take_while(|character| **character == '*').count();
        self.at += n_stars;
        let crosses = n_stars > 1 && self.dialect == Dialect::Gobwas;
        self.steps.push(if crosses { Step::All } else { Step::Many });
    }

    fn single(&mut self, step: Step) {
        self.at += 1;
        self.steps.push(step);
    }

    /// `{a,b}`: a fork to each alternative, and a jump from each to what follows.
    fn alternatives(&mut self, braces: usize) -> Result<(), BadPattern> {
        if braces > MAX_BRACES {
            return Err(BadPattern("braces are nested more than 16 deep"));
        }
        let fork = self.steps.len();
        self.steps.push(Step::Fork(Vec::new()));
        let (mut begins, mut ends) = (Vec::new(), Vec::new());
        loop {
            self.at += 1;
            begins.push(self.steps.len());
            self.sequence(braces)?;
            ends.push(self.steps.len());
            self.steps.push(Step::Jump(0));
            if self.peek() == Some('}') {
                self.at += 1;
                break;
            }
        }
        let after = self.steps.len();
        for end in ends {
            self.steps[end] = Step::Jump(after);
        }
        self.steps[fork] = Step::Fork(begins);
        Ok(())
    }

    fn class(&mut self) -> Result<(), BadPattern> {
        self.at += 1;
        let negation = if self.dialect == Dialect::Gobwas { '!' } else { '^' };
        let is_negated = self.peek() == Some(negation);
        if is_negated {
            self.at += 1;
        }
        let ranges = match self.dialect {
            Dialect::Gobwas => self.range_or_list()?,
            Dialect::Path => self.ranges()?,
        };
        self.single(Step::Class { is_negated, ranges });
        Ok(())
    }

    /// What gobwas reads between brackets: one range, or a list in which `-` has no meaning.
    fn range_or_list(&mut self) -> Result<Vec<(char, char)>, BadPattern> {
        if self.pattern.get(self.at + 1) == Some(&'-') {
            let (low, high) = (self.pattern[self.at], *self.pattern.get(self.at + 2).ok_or(OPEN)?);
            self.at += 3;
            return match self.peek() {
                Some(']') if low <= high => Ok(vec![(low, high)]),
                Some(']') => Err(BadPattern("a range runs backwards")),
                Some(_) => Err(BadPattern("a range is not the only one between its brackets")),
                None => Err(OPEN),
            };
        }
        let mut list = Vec::new();
        while self.peek() != Some(']') {
            let character = self.class_character().ok_or(OPEN)?;
            list.push((character, character));
        }
        if list.is_empty() { Err(EMPTY) } else { Ok(list) }
    }

    /// What Go reads between brackets: characters and ranges.
    fn ranges(&mut self) -> Result<Vec<(char, char)>, BadPattern> {
        let mut ranges = Vec::new();
        loop {
            match self.peek().ok_or(OPEN)? {
                ']' if !ranges.is_empty() => return Ok(ranges),
                ']' => return Err(EMPTY),
                '-' => return Err(BadPattern("a range has no beginning")),
                _ => {}
            }
            let low = self.class_character().ok_or(OPEN)?;
            let mut high = low;
            if self.peek() == Some('-') {
                self.at += 1;
                high = match self.peek() {
                    Some(']' | '-') => return Err(BadPattern("a range has no end")),
                    Some(_) | None => self.class_character().ok_or(OPEN)?,
                };
            }
            ranges.push((low, high));
        }
    }

    fn class_character(&mut self) -> Option<char> {
        if self.peek() == Some('\\') {
            self.at += 1;
        }
        let character = self.peek()?;
        self.at += 1;
        Some(character)
    }

    fn peek(&self) -> Option<char> {
        self.pattern.get(self.at).copied()
    }
}
