//! Which tag is the highest version in a range? Read as Argo CD does, by the rules of Masterminds/semver 3.4.

use model::LONGEST_TARGET;
use semver::{BuildMetadata, Prerelease, Version};

/// A range of versions: alternatives, of which one has to hold.
#[derive(Debug)]
pub(crate) struct Constraint(Vec<Conjunction>);

/// Conditions that all have to hold.
#[derive(Debug)]
struct Conjunction {
    conditions: Vec<Condition>,
    /// Whether one of them names a pre-release: only then are pre-releases looked at.
    admits_prereleases: bool,
}

#[derive(Debug)]
struct Condition {
    operator: Operator,
    version: Version,
    /// The first part that is not given: missing, `x` or `*`.
    open_from: Part,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    Major,
    Minor,
    Patch,
    None,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operator {
    Equal,
    NotEqual,
    Greater,
    Less,
    GreaterOrEqual,
    LessOrEqual,
    Tilde,
    Caret,
}

/// Longer ones first. No operator at all means the same as `=`.
const OPERATORS: [(&str, Operator); 12] = [
    ("!=", Operator::NotEqual),
    (">=", Operator::GreaterOrEqual),
    ("=>", Operator::GreaterOrEqual),
    ("<=", Operator::LessOrEqual),
    ("=<", Operator::LessOrEqual),
    ("~>", Operator::Tilde),
    ("=", Operator::Equal),
    (">", Operator::Greater),
    ("<", Operator::Less),
    ("~", Operator::Tilde),
    ("^", Operator::Caret),
    ("", Operator::Equal),
];

/// Only these are blanks: what else Unicode calls one is part of a name.
const BLANKS: [char; 5] = [' ', '\t', '\n', '\x0c', '\r'];

impl Constraint {
    /// Reads a range such as `1.*`, `^1.2`, `>=1 <2`, `1.2 - 1.4` or `1.x || 2.x`. A plain version such as `v1.2.3` is a
    /// name, and so is everything else: `None`.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        // Whoever names a longer one was told so; what it takes to read one grows faster than its length.
        if text.len() > LONGEST_TARGET || version(text).is_some() {
            return None;
        }
        let text = without_hyphens(text);
        text.split("||").map(conjunction).collect::<Option<_>>().map(Self)
    }

    /// Returns the tag with the highest version in the range, as it is written. Tags that are no versions are passed over;
    /// of equal ones (`1.0` and `v1.0.0`) the first is taken.
    pub(crate) fn highest<'a>(&self, tags: impl Iterator<Item = &'a str>) -> Option<&'a str> {
        let mut best: Option<(Version, &str)> = None;
        for tag in tags {
            let Some(version) = version(tag).filter(|version| self.holds(version)) else { continue };
            if best.as_ref().is_none_or(|(highest, _)| version > *highest) {
                best = Some((version, tag));
            }
        }
        best.map(|(_, tag)| tag)
    }

    fn holds(&self, version: &Version) -> bool {
        self.0.iter().any(|all| {
            (version.pre.is_empty() || all.admits_prereleases)
                && all.conditions.iter().all(|condition| condition.holds(version))
        })
    }
}

impl Condition {
    fn holds(&self, version: &Version) -> bool {
        let own = &self.version;
        match self.operator {
            Operator::Equal if self.open_from == Part::None => version == own,
            Operator::Equal | Operator::Tilde => self.tilde(version),
            Operator::NotEqual => self.differs(version),
            Operator::Greater => self.is_below(version),
            Operator::Less => version < own,
            Operator::GreaterOrEqual => version >= own,
            Operator::LessOrEqual => self.is_not_below(version),
            Operator::Caret => self.caret(version),
        }
    }

    fn same_major(&self, version: &Version) -> bool {
        version.major == self.version.major
    }

    fn same_minor(&self, version: &Version) -> bool {
        version.minor == self.version.minor
    }

    fn tilde(&self, version: &Version) -> bool {
        let own = &self.version;
        let is_zero = (own.major, own.minor, own.patch) == (0, 0, 0);
        // `*`, and by Masterminds' rules `~0.0.0` as well.
        let is_any = is_zero && !matches!(self.open_from, Part::Minor | Part::Patch);
        let is_near = self.same_major(version) && (self.open_from == Part::Minor || self.same_minor(version));
        version >= own && (is_any || is_near)
    }

    fn caret(&self, version: &Version) -> bool {
        let own = &self.version;
        if version < own || !self.same_major(version) {
            return false;
        }
        if own.major > 0 || self.open_from == Part::Minor {
            return true;
        }
        if own.minor > 0 || self.open_from == Part::Patch {
            return self.same_minor(version);
        }
        version.minor == 0 && version.patch == own.patch
    }

    fn differs(&self, version: &Version) -> bool {
        match self.open_from {
            Part::None => version != &self.version,
            _ if !self.same_major(version) => true,
            Part::Minor => false,
            _ if !self.same_minor(version) => true,
            Part::Patch => version.pre != self.version.pre,
            // `!=*`: Masterminds reads it as `!=0.0.0`.
            Part::Major => version != &self.version,
        }
    }

    fn is_below(&self, version: &Version) -> bool {
        if self.open_from == Part::None || !self.same_major(version) {
            return version > &self.version;
        }
        match self.open_from {
            Part::Minor => false,
            Part::Patch => version.minor > self.version.minor,
            Part::Major | Part::None => version > &self.version,
        }
    }

    fn is_not_below(&self, version: &Version) -> bool {
        if self.open_from == Part::None {
            return version <= &self.version;
        }
        let is_minor_above = version.minor > self.version.minor && self.open_from != Part::Minor;
        version.major < self.version.major || (self.same_major(version) && !is_minor_above)
    }
}

/// Reads one alternative: conditions with blanks or one comma between them.
fn conjunction(text: &str) -> Option<Conjunction> {
    let mut conditions = Vec::new();
    let mut rest = unblanked(text);
    loop {
        let (condition, after) = condition(rest)?;
        conditions.push(condition);
        let next = unblanked(after);
        if next.is_empty() {
            break;
        }
        let is_apart = next.len() < after.len() || next.starts_with(',');
        rest = unblanked(next.strip_prefix(',').unwrap_or(next));
        if !is_apart {
            return None;
        }
    }
    let admits_prereleases = conditions.iter().any(|condition| !condition.version.pre.is_empty());
    Some(Conjunction { conditions, admits_prereleases })
}

/// Reads one condition from the beginning of a text; returns what follows it.
fn condition(text: &str) -> Option<(Condition, &str)> {
    let (sign, operator) = OPERATORS.iter().find(|(sign, _)| text.starts_with(sign))?;
    let (pattern, rest) = pattern(unblanked(&text[sign.len()..]))?;
    let [major, minor, patch] = pattern.parts;
    let given = |part: Option<&str>| part.filter(|part| !is_open(part)).map(str::to_owned);
    let (major, minor, patch) = (given(major), given(minor), given(patch));
    let open_from = match (&major, &minor, &patch) {
        (None, ..) => Part::Major,
        (_, None, _) => Part::Minor,
        (_, _, None) => Part::Patch,
        _ => Part::None,
    };
    let number = |part: Option<String>, is_given: bool| {
        part.filter(|_| is_given).map_or(Some(0), |part| part.parse::<u64>().ok())
    };
    let version = Version {
        major: number(major, open_from > Part::Major)?,
        minor: number(minor, open_from > Part::Minor)?,
        patch: number(patch, open_from > Part::Patch)?,
        pre: Prerelease::new(pattern.pre).ok()?,
        build: BuildMetadata::EMPTY,
    };
    Some((Condition { operator: *operator, version, open_from }, rest))
}

/// Reads a whole text as a version: `1`, `v1.2` and leading zeros are fine. What stands behind a `+` counts for nothing.
fn version(text: &str) -> Option<Version> {
    let (pattern, rest) = pattern(text)?;
    let number = |part: Option<&str>| {
        part.map_or(Some(0), |part| part.parse().ok().filter(|_| !part.starts_with('+')))
    };
    let [major, minor, patch] = pattern.parts;
    rest.is_empty().then_some(())?;
    Some(Version {
        major: number(major)?,
        minor: number(minor)?,
        patch: number(patch)?,
        pre: Prerelease::new(pattern.pre).ok()?,
        build: BuildMetadata::EMPTY,
    })
}

/// The pieces of a version that may have wildcards.
struct Pattern<'a> {
    parts: [Option<&'a str>; 3],
    pre: &'a str,
}

/// Reads a version that may have wildcards from the beginning of a text; returns what follows it.
fn pattern(text: &str) -> Option<(Pattern<'_>, &str)> {
    let mut rest = text.strip_prefix('v').unwrap_or(text);
    let mut parts = [None; 3];
    for (place, part) in parts.iter_mut().enumerate() {
        let dotted = if place == 0 { Some(rest) } else { rest.strip_prefix('.') };
        let Some((found, after)) = dotted.and_then(|text| leading(text, is_of_part)) else { break };
        *part = Some(found);
        rest = after;
    }
    parts[0]?;
    let (pre, rest) = suffix(rest, '-');
    let (_, rest) = suffix(rest, '+');
    Some((Pattern { parts, pre }, rest))
}

/// Reads `-a.b` or `+a.b`; nothing where it is not there.
fn suffix(text: &str, sign: char) -> (&str, &str) {
    let Some(begin) = text.strip_prefix(sign) else { return ("", text) };
    let is_of_identifier = |c: char| c.is_ascii_alphanumeric() || c == '-';
    let Some((_, mut rest)) = leading(begin, is_of_identifier) else { return ("", text) };
    while let Some((_, after)) = rest.strip_prefix('.').and_then(|text| leading(text, is_of_identifier)) {
        rest = after;
    }
    (&begin[..begin.len() - rest.len()], rest)
}

/// Splits off the characters that hold; `None` where there is none.
fn leading(text: &str, holds: impl Fn(char) -> bool) -> Option<(&str, &str)> {
    let end = text.find(|c| !holds(c)).unwrap_or(text.len());
    (end > 0).then(|| text.split_at(end))
}

fn unblanked(text: &str) -> &str {
    text.trim_start_matches(BLANKS)
}

fn is_of_part(c: char) -> bool {
    c.is_ascii_digit() || matches!(c, 'x' | 'X' | '*')
}

fn is_open(part: &str) -> bool {
    matches!(part, "x" | "X" | "*")
}

/// Writes `1.2 - 1.4` as `>=1.2, <=1.4`. The blanks around it go, as they do with Masterminds.
fn without_hyphens(text: &str) -> String {
    let (mut written, mut rest) = (String::new(), text);
    while !rest.is_empty() {
        let begin = unblanked(rest);
        let (word, after) = begin.split_at(begin.find(BLANKS).unwrap_or(begin.len()));
        let range = up_to(after).and_then(|(high, behind)| Some((version_at_end(word)?, high, behind)));
        if let Some((low, high, behind)) = range {
            if low.len() < word.len() {
                written.push_str(&rest[..rest.len() - after.len() - low.len()]);
            }
            written.extend([">=", low, ", <=", high, " "]);
            rest = behind;
        } else {
            written.push_str(&rest[..rest.len() - after.len()]);
            rest = after;
        }
    }
    written
}

/// Reads ` - 1.4` from the beginning of a text; returns the version, and what follows it and its blanks.
fn up_to(text: &str) -> Option<(&str, &str)> {
    let hyphen = unblanked(text);
    let behind = hyphen.strip_prefix('-')?;
    let begin = unblanked(behind);
    let is_apart = hyphen.len() < text.len() && begin.len() < behind.len();
    let (_, after) = pattern(begin).filter(|_| is_apart)?;
    Some((&begin[..begin.len() - after.len()], unblanked(after)))
}

/// Returns the longest version that a word ends with.
fn version_at_end(word: &str) -> Option<&str> {
    let mut rest = word;
    while let Some(first) = rest.chars().next() {
        if pattern(rest).is_some_and(|(_, after)| after.is_empty()) {
            return Some(rest);
        }
        // From within a number one comes no further than from its beginning.
        let tried = leading(rest, is_of_part).map_or(first.len_utf8(), |(part, _)| part.len());
        rest = &rest[tried..];
    }
    None
}

#[cfg(test)]
mod tests;
