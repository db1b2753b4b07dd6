//! Do we write, and why not?

/// Whether we are the one writer, in the word that the metric uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Writing {
    /// We are.
    Allowed,
    /// Argo CD's own controller has replicas in the namespace.
    ArgoCdRuns,
    /// Another replica holds the lease, or nobody could take it yet.
    LeaseNotHeld,
    /// Whether Argo CD's controller runs here has not been seen yet.
    NotLookedYet,
}

impl Writing {
    /// Decides by the lease and by what was seen of Argo CD's controller: what a person has to change comes before what passes.
    pub(crate) fn of(holds_lease: bool, has_looked: bool, argo_cd_runs: bool) -> Self {
        if argo_cd_runs {
            Self::ArgoCdRuns
        } else if !holds_lease {
            Self::LeaseNotHeld
        } else if has_looked {
            Self::Allowed
        } else {
            Self::NotLookedYet
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
        for (holds_lease, has_looked, argo_cd_runs, word) in [
            (true, true, false, "Writing"),
            (true, true, true, "ArgoCdRuns"),
            (false, true, true, "ArgoCdRuns"),
            (false, true, false, "LeaseNotHeld"),
            (false, false, false, "LeaseNotHeld"),
            (true, false, false, "NotLookedYet"),
        ] {
            let writing = Writing::of(holds_lease, has_looked, argo_cd_runs);
            assert_eq!((writing.as_str(), writing.is_allowed()), (word, word == "Writing"));
        }
    }
}
