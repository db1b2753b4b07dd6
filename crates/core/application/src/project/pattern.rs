//! Does one of a project's patterns match? Globs, some of which forbid what follows their `!`.

use model::glob::{BadPattern, Glob};
use std::fmt;

/// A pattern as the project writes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pattern {
    text: String,
    glob: Glob,
    is_denial: bool,
    is_anything: bool,
}

impl Pattern {
    /// A glob over a repository's normalised URL: `*` stays inside one part of the path, a lone `*` is anything.
    pub(super) fn repo(text: &str) -> Result<Self, BadPattern> {
        let (is_denial, bare) = denial(text);
        let glob = Glob::gobwas(&crate::repo::normalise(bare), &['/'])?;
        Ok(Self { text: text.into(), glob, is_denial, is_anything: bare == "*" })
    }

    /// A glob over a cluster or a namespace; `*` crosses everything and `!` forbids.
    pub(super) fn destination(text: &str) -> Result<Self, BadPattern> {
        let (is_denial, bare) = denial(text);
        Ok(Self { text: text.into(), glob: Glob::gobwas(bare, &[])?, is_denial, is_anything: bare == "*" })
    }

    /// A glob over a namespace of Applications.
    pub(super) fn namespace(text: &str) -> Result<Self, BadPattern> {
        let glob = Glob::gobwas(text, &[])?;
        Ok(Self { text: text.into(), glob, is_denial: false, is_anything: text == "*" })
    }

    /// A pattern over a group, a kind or a name, as Go's `path.Match` reads it.
    pub(super) fn path(text: &str) -> Result<Self, BadPattern> {
        let glob = Glob::path_match(text)?;
        Ok(Self { text: text.into(), glob, is_denial: false, is_anything: text == "*" })
    }

    /// The pattern that matches anything.
    pub(super) fn anything() -> Self {
        Self::destination("*").expect("`*` is a pattern")
    }

    /// Returns whether the text is what the pattern means; a denial means everything but what it names.
    pub(super) fn matches(&self, text: &str) -> bool {
        (self.is_anything || self.glob.matches(text)) != self.is_denial
    }

    /// Returns whether the pattern forbids.
    pub(super) fn is_denial(&self) -> bool {
        self.is_denial
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Returns the first of some patterns that forbids.
pub(super) fn first_denial<'a>(patterns: impl IntoIterator<Item = &'a Pattern>) -> Option<&'a Pattern> {
    patterns.into_iter().find(|pattern| pattern.is_denial)
}

fn denial(text: &str) -> (bool, &str) {
    text.strip_prefix('!').map_or((false, text), |bare| (true, bare))
}
