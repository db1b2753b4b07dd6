//! Which conditions does an Application carry? Argo CD's words (application conditions documentation).

use std::fmt;

/// Types of conditions that we write. Those of other types in a status are somebody else's and are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ConditionKind {
    /// The Application or its project rules it out.
    InvalidSpecError,
    /// Git or the cluster could not be read or compared.
    ComparisonError,
    /// Auto-sync does not go on.
    SyncError,
    /// Something else went wrong: a setting cannot be read, or the status is too large.
    UnknownError,
    /// Another app owns objects of this one.
    SharedResourceWarning,
    /// An object stands twice in the manifests.
    RepeatedResourceWarning,
    /// Git holds objects of kinds that are left out by the settings.
    ExcludedResourceWarning,
    /// A check that the app declares does not hold, or cannot be made. Ours; Argo CD has none like it.
    CheckWarning,
    /// The deletion does not go on.
    DeletionError,
    /// A commit turned out bad, and the app was brought back to what was stable. Ours; Argo CD has none like it.
    RolledBack,
}

impl ConditionKind {
    /// Every type.
    pub const ALL: &'static [Self] = &[
        Self::InvalidSpecError,
        Self::ComparisonError,
        Self::SyncError,
        Self::UnknownError,
        Self::SharedResourceWarning,
        Self::RepeatedResourceWarning,
        Self::ExcludedResourceWarning,
        Self::CheckWarning,
        Self::DeletionError,
        Self::RolledBack,
    ];

    /// Returns the word that the status uses.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InvalidSpecError => "InvalidSpecError",
            Self::ComparisonError => "ComparisonError",
            Self::SyncError => "SyncError",
            Self::UnknownError => "UnknownError",
            Self::SharedResourceWarning => "SharedResourceWarning",
            Self::RepeatedResourceWarning => "RepeatedResourceWarning",
            Self::ExcludedResourceWarning => "ExcludedResourceWarning",
            Self::CheckWarning => "CheckWarning",
            Self::DeletionError => "DeletionError",
            Self::RolledBack => "RolledBack",
        }
    }

    /// Reads the word; `None` for types that we do not write.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.as_str() == word)
    }
}

impl fmt::Display for ConditionKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One condition of an Application.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Condition {
    /// Its type.
    pub kind: ConditionKind,
    /// The sentence.
    pub message: String,
}

impl Condition {
    /// Makes a condition.
    pub fn new(kind: ConditionKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }
}
