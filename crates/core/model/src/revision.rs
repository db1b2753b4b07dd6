//! Which commit, and which content?

use crate::Digest;
use std::fmt;

/// Bytes that the name of a branch, tag, commit or range of versions may have: Git's servers take no longer ones, and reading
/// a range takes longer the longer it is.
pub const LONGEST_TARGET: usize = 250;

/// A resolved commit: 40 hexadecimal digits, lower case.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Revision(String);

impl Revision {
    /// Takes a commit's full SHA; the caller resolved it.
    pub fn new(sha: impl Into<String>) -> Self {
        Self(sha.into())
    }

    /// Returns the full SHA.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the seven digits that people read.
    pub fn short(&self) -> &str {
        self.0.get(..7).unwrap_or(&self.0)
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What rendering gave, as one value: equal hashes mean that there is nothing new to deploy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DesiredHash(pub Digest);

impl fmt::Display for DesiredHash {
    /// Writes `v1:` and 64 digits; the version is part of every stored hash.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "v1:{}", self.0)
    }
}

impl DesiredHash {
    /// Reads what `Display` wrote.
    pub fn parse(text: &str) -> Option<Self> {
        Digest::from_hex(text.strip_prefix("v1:")?).map(Self)
    }
}
