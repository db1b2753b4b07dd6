//! Why could a repository not be read, and may it be tried again?

use std::fmt;

/// What kind of failure it was; the engine branches on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// The URL is not one that we would give to Git.
    InvalidUrl,
    /// The operator does not allow this repository (`--local-repos`), or its server does not allow a push.
    NotPermitted,
    /// Something that we do not do yet; the app is read-only.
    NotSupported,
    /// The server wants credentials, or other ones.
    Authentication,
    /// The server cannot prove who it is.
    Untrusted,
    /// No such repository, or these credentials may not see it.
    RepositoryNotFound,
    /// No such branch, tag or commit.
    RevisionNotFound,
    /// The commit has no such folder.
    PathNotFound,
    /// The content of the commit is refused.
    Invalid,
    /// More than the limits of [`crate::Config`].
    TooLarge,
    /// Network or disk: it may pass by itself.
    Unavailable,
    /// No answer before the deadline: it may pass by itself.
    TimedOut,
    /// The caller went away.
    Cancelled,
}

/// One failure: a sentence that names what is wrong, and what to do next. Holds no secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceError {
    /// What kind of failure.
    pub kind: Kind,
    /// The sentence, without a full stop at its end.
    pub message: String,
    /// What to do next; empty where the message says it.
    pub help: String,
}

impl SourceError {
    /// Makes an error of a kind.
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), help: String::new() }
    }

    /// Says what to do next.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = help.into();
        self
    }

    /// Returns whether the server may want credentials, or other ones: some say of a repository that is closed to the
    /// caller that there is none.
    pub fn lacks_credentials(&self) -> bool {
        matches!(self.kind, Kind::Authentication | Kind::RepositoryNotFound)
    }

    /// Returns whether it is the commit that is wrong, so that reading it again finds the same, rather than the way to it: a
    /// password that is wrong now may be right when it is read next.
    pub fn is_of_content(&self) -> bool {
        matches!(self.kind, Kind::PathNotFound | Kind::Invalid | Kind::TooLarge)
    }

    /// Returns whether the failure may pass without anybody changing anything.
    pub fn is_transient(&self) -> bool {
        match self.kind {
            Kind::Unavailable | Kind::TimedOut | Kind::Cancelled => true,
            Kind::InvalidUrl
            | Kind::NotPermitted
            | Kind::NotSupported
            | Kind::Authentication
            | Kind::Untrusted
            | Kind::RepositoryNotFound
            | Kind::RevisionNotFound
            | Kind::PathNotFound
            | Kind::Invalid
            | Kind::TooLarge => false,
        }
    }
}

impl fmt::Display for SourceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        if !self.help.is_empty() {
            write!(f, " ({})", self.help)?;
        }
        Ok(())
    }
}

impl std::error::Error for SourceError {}

/// What stopped work on an object database.
#[derive(Debug)]
pub(crate) enum Fault {
    /// Told to the caller as it is.
    Source(SourceError),
    /// The commit is not in the database.
    Missing,
    /// The database is damaged: an object is absent or is not what its id says.
    Damaged(String),
}

impl From<SourceError> for Fault {
    fn from(error: SourceError) -> Self {
        Self::Source(error)
    }
}

impl From<git2::Error> for Fault {
    /// Every error of libgit2 while it reads a database means damage, except those of the operating system, which
    /// say that we ran out of something.
    fn from(error: git2::Error) -> Self {
        if error.class() == git2::ErrorClass::Os || error.class() == git2::ErrorClass::NoMemory {
            let message = format!("reading the object database failed: {}", printable(error.message()));
            return Self::Source(SourceError::new(Kind::Unavailable, message));
        }
        Self::Damaged(printable(error.message()))
    }
}

/// Makes text from outside fit for a log line: one line, no control characters, at most 300 characters.
pub(crate) fn printable(text: &str) -> String {
    let clean = text.trim().chars().map(|c| if is_hidden(c) { ' ' } else { c });
    clean.take(300).collect::<String>().trim_end().to_owned()
}

/// Returns whether a character changes how others read without being seen: controls, and the marks that reorder
/// text (Unicode TR 36).
pub(crate) fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}
