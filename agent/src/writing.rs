//! Do we write, and why not?

use crate::argo_cd::Presence;

/// Whether we are the one writer, in the word that the metric uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Writing {
    /// We are.
    Allowed,
    /// Argo CD's own controller has replicas in the namespace.
    ArgoCdRuns,
    /// Whether it does may not be seen.
    ArgoCdMayRun,
    /// Another replica holds the lease, or nobody could take it yet.
    LeaseNotHeld,
    /// Whether Argo CD's controller runs here has not been seen yet.
    NotLookedYet,
}

impl Writing {
    /// Decides by the lease and by what was seen of Argo CD's controller: what a person has to change comes before what passes.
    pub(crate) fn of(holds_lease: bool, argo_cd: Presence) -> Self {
        match (argo_cd, holds_lease) {
            (Presence::Runs, _) => Self::ArgoCdRuns,
            (Presence::Forbidden, _) => Self::ArgoCdMayRun,
            (Presence::Absent | Presence::NotLookedYet, false) => Self::LeaseNotHeld,
            (Presence::Absent, true) => Self::Allowed,
            (Presence::NotLookedYet, true) => Self::NotLookedYet,
        }
    }

    /// Returns whether we write.
    pub(crate) fn is_allowed(self) -> bool {
        self == Self::Allowed
    }

    /// Returns the word.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Allowed => "Writing",
            Self::ArgoCdRuns => "ArgoCdRuns",
            Self::ArgoCdMayRun => "ArgoCdMayRun",
            Self::LeaseNotHeld => "LeaseNotHeld",
            Self::NotLookedYet => "NotLookedYet",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_word_says_why_nothing_is_written() {
        for (holds_lease, argo_cd, word) in [
            (true, Presence::Absent, "Writing"),
            (true, Presence::Runs, "ArgoCdRuns"),
            (false, Presence::Runs, "ArgoCdRuns"),
            (true, Presence::Forbidden, "ArgoCdMayRun"),
            (false, Presence::Forbidden, "ArgoCdMayRun"),
            (false, Presence::Absent, "LeaseNotHeld"),
            (false, Presence::NotLookedYet, "LeaseNotHeld"),
            (true, Presence::NotLookedYet, "NotLookedYet"),
        ] {
            let writing = Writing::of(holds_lease, argo_cd);
            assert_eq!((writing.as_str(), writing.is_allowed()), (word, word == "Writing"));
        }
    }
}
