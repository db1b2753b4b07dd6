//! Does a failure speak against the commit, or only hold it up?

use std::fmt;

/// What a failure says about the commit that brought it; ordered by weight.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Evidence {
    /// Nothing: the object is well, or has no opinion.
    None,
    /// It may pass: retried with back-off, never held against the commit.
    Holds,
    /// It will not pass: the content is wrong.
    Condemns,
}

impl Evidence {
    /// Returns the word that logs and fixtures use.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "None",
            Self::Holds => "Holds",
            Self::Condemns => "Condemns",
        }
    }
}

impl fmt::Display for Evidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
