//! How well is an object or an app?

use std::fmt;

/// Health in Argo CD's words and order, best first (Argo CD health documentation).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum HealthStatus {
    /// Does what it should.
    Healthy,
    /// Deliberately stopped.
    Suspended,
    /// Not there yet, may get there by itself.
    Progressing,
    /// Not in the cluster.
    Missing,
    /// Failed, or cannot get there without help.
    Degraded,
    /// Could not be assessed.
    Unknown,
}

impl HealthStatus {
    /// Returns the word that status, API and metrics use.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Healthy => "Healthy",
            Self::Suspended => "Suspended",
            Self::Progressing => "Progressing",
            Self::Missing => "Missing",
            Self::Degraded => "Degraded",
            Self::Unknown => "Unknown",
        }
    }

    /// Reads the word.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Healthy, Self::Suspended, Self::Progressing, Self::Missing, Self::Degraded, Self::Unknown]
            .into_iter()
            .find(|status| status.as_str() == word)
    }
}

impl fmt::Display for HealthStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Health with the sentence that explains it; the message is empty where there is nothing to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Health {
    /// The verdict.
    pub status: HealthStatus,
    /// Why; the cause that a person needs.
    pub message: String,
}

impl Health {
    /// Makes a verdict with its reason.
    pub fn new(status: HealthStatus, message: impl Into<String>) -> Self {
        Self { status, message: message.into() }
    }

    /// Healthy, with nothing to say.
    pub fn healthy() -> Self {
        Self::new(HealthStatus::Healthy, "")
    }
}
