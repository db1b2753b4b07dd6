//! What is remembered of one sync?

mod wire;

use model::{AppKey, DesiredHash, ObjectKey, Reason, Revision, Timestamp};
use std::fmt;

pub(crate) use wire::{Bound, read, write};

/// One sync that changed something, in numbers and words; the objects themselves are the payload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Whose release it is.
    pub app: AppKey,
    /// The Application's uid: one that was deleted and made again has no releases of the former.
    pub app_uid: String,
    /// Counts up from 1 within an app.
    pub number: u64,
    /// The content.
    pub hash: DesiredHash,
    /// The commit that brought it.
    pub revision: Revision,
    /// What came of it.
    pub verdict: Verdict,
    /// The bounded word for that, where there is one.
    pub reason: Option<Reason>,
    /// The sentence for that; empty where all went well. At most 4 KiB are kept.
    pub message: String,
    /// Why it was deployed.
    pub cause: Cause,
    /// Who asked for it; empty where the agent did by itself.
    pub initiated_by: String,
    /// How it was rendered, as Argo CD's status says it: `Directory`.
    pub source_type: String,
    /// Repository, as the spec writes it.
    pub repo_url: String,
    /// Folder in the repository.
    pub path: String,
    /// When what happened.
    pub timings: Timings,
    /// The objects that its sync created, in the order given. What goes beyond 128 KiB is left out: it counts as adopted.
    pub created: Vec<ObjectKey>,
    /// The images that its objects name, sorted. What goes beyond 32 KiB is left out.
    pub images: Vec<String>,
    /// How many objects it has.
    pub n_objects: usize,
}

/// When what happened to a release; what did not happen is `None`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timings {
    /// The agent saw the commit, or the request.
    pub seen: Option<Timestamp>,
    /// The first object was sent.
    pub started: Option<Timestamp>,
    /// The last object was applied.
    pub applied: Option<Timestamp>,
    /// Everything was healthy.
    pub healthy: Option<Timestamp>,
    /// It had been healthy for the soak time, or the verdict fell otherwise.
    pub settled: Option<Timestamp>,
    /// What was there before was well again, where this was rolled back.
    pub restored: Option<Timestamp>,
}

/// Words that are written and read back.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$case:meta])* $word:ident,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $($(#[$case])* $word,)* }

        impl $name {
            /// All words.
            pub const ALL: &'static [Self] = &[$(Self::$word,)*];

            /// Returns the word.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$word => stringify!($word),)* }
            }

            /// Reads the word.
            pub fn parse(word: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|known| known.as_str() == word)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

words! {
    /// What came of a release.
    Verdict {
        /// It settled: what can be gone back to.
        Stable,
        /// Its content was condemned, and it stayed.
        Failed,
        /// Its content was condemned, and the stable release before it was restored.
        RolledBack,
        /// Nobody can say whether the content is at fault: what was restored did not become healthy either.
        Inconclusive,
        /// A newer commit or request came before it settled.
        Superseded,
    }
}

words! {
    /// Why a release was deployed.
    Cause {
        /// A commit with other content.
        NewRevision,
        /// Somebody asked.
        Requested,
        /// It was found deployed and healthy: nothing was applied.
        Baseline,
        /// It restores an earlier release.
        Rollback,
    }
}

impl Timings {
    /// Returns when the verdict fell, or else when last anything happened to it.
    pub fn last(&self) -> Option<Timestamp> {
        self.settled.or(self.healthy).or(self.applied).or(self.started).or(self.seen)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_read_as_they_are_written() {
        for verdict in Verdict::ALL {
            assert_eq!(Verdict::parse(verdict.as_str()), Some(*verdict));
        }
        for cause in Cause::ALL {
            assert_eq!(Cause::parse(&cause.to_string()), Some(*cause));
        }
        assert_eq!(Verdict::parse("stable"), None);
    }

    #[test]
    fn the_last_thing_that_happened_is_what_stands_last() {
        let at = Timestamp::from_millis;
        let mut timings = Timings::default();
        assert_eq!(timings.last(), None);
        timings.seen = Some(at(1));
        timings.applied = Some(at(3));
        assert_eq!(timings.last(), Some(at(3)));
        timings.settled = Some(at(9));
        assert_eq!(timings.last(), Some(at(9)));
    }
}
