//! Which release is an app held at, and which commit was bad?

use crate::{DesiredHash, Reason, Revision, Timestamp, digest};

/// A release that settled: what a rollback goes back to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stable {
    /// Its number.
    pub number: u64,
    /// Hash of what it deployed.
    pub hash: DesiredHash,
    /// The commit.
    pub revision: Revision,
    /// Whether it was found there, rather than deployed by us: until one of the app's changes has settled, nothing is rolled
    /// back by itself.
    pub is_baseline: bool,
}

impl Stable {
    /// Returns what stands for nothing at all: an app whose first deploy failed goes back to that where it asks for it.
    pub fn nothing() -> Self {
        let hash = DesiredHash(digest(b"nothing"));
        Self { number: 0, hash, revision: Revision::new(""), is_baseline: false }
    }

    /// Returns whether it stands for nothing at all.
    pub fn is_nothing(&self) -> bool {
        self.number == 0
    }
}

/// Content that failed by its own fault: auto-sync leaves it alone, whatever commit carries it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bad {
    /// Hash of the content.
    pub hash: DesiredHash,
    /// The commit that brought it.
    pub revision: Revision,
    /// Why it failed, in one word.
    pub reason: Reason,
    /// The sentence.
    pub message: String,
    /// When the commit was seen, where that is known.
    pub seen_at: Option<Timestamp>,
    /// When the last object of it was applied, where that is known.
    pub applied_at: Option<Timestamp>,
    /// When the sync of it began.
    pub started_at: Timestamp,
    /// When that failed.
    pub failed_at: Timestamp,
}

/// An app that is kept at a release instead of what Git wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// The release.
    pub at: Stable,
    /// What it was left for.
    pub bad: Bad,
    /// How far that has come.
    pub stage: HeldStage,
    /// Whether the commit is tried again by itself.
    pub again: Again,
    /// Whether it is done with taking the commit back in Git, whatever came of that.
    pub was_reverted: bool,
    /// Whether the commit is tried once more when the ground is firm again: it was not, yet.
    pub has_chance: bool,
    /// Whether no commit ends that, but a person who resumes.
    pub until_resumed: bool,
}

impl Held {
    /// Returns whether auto-sync leaves content alone that is not quarantined: it was held up, and less served meanwhile.
    pub fn leaves_alone(&self, hash: DesiredHash) -> bool {
        let is_left = match self.again {
            Again::At(..) | Again::No => true,
            Again::Now(_) | Again::Quarantined => false,
        };
        is_left && self.bad.hash == hash
    }
}

/// Whether a commit is tried again by itself that an app was taken back from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Again {
    /// Its content was at fault: the quarantine says so.
    Quarantined,
    /// It was only held up, and is tried again at this time; how often the app was taken back from it so far.
    At(Timestamp, u32),
    /// It is being tried again.
    Now(u32),
    /// It was only held up, too often to be tried once more.
    No,
}

/// What a person asks for beside a sync.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReleaseRequest {
    /// What.
    pub what: Asked,
    /// Who asks; empty where unknown.
    pub username: String,
    /// What tells one request from another of the same words: when it was made.
    pub stamp: String,
}

/// What a person may ask for beside a sync.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asked {
    /// Back to a release, and kept there until the next commit, or until somebody resumes.
    RollBack {
        /// Which.
        to: Stable,
        /// Until when.
        until_resumed: bool,
    },
    /// Git decides again, also where its content had failed.
    Resume,
    /// What Git holds now is left alone.
    Quarantine,
    /// Something that cannot be read; why.
    Unreadable(String),
}

/// How far an app is back at a release.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HeldStage {
    /// It is on its way.
    Restoring,
    /// It is there.
    Restored,
    /// It was there all along: Git came back to what had failed before.
    Kept,
    /// It is there, and not healthy either, as it was before: the commit is probably not to blame.
    Inconclusive(String),
    /// It could not be brought there; why. A person is needed.
    Failed(String),
}

impl HeldStage {
    /// Returns the word that status and log use.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Restoring => "Restoring",
            Self::Restored => "Restored",
            Self::Kept => "Kept",
            Self::Inconclusive(_) => "Inconclusive",
            Self::Failed(_) => "Failed",
        }
    }

    /// Reads the word; `why` is the sentence that some come with.
    pub fn parse(word: &str, why: &str) -> Option<Self> {
        [
            Self::Restoring,
            Self::Restored,
            Self::Kept,
            Self::Inconclusive(why.into()),
            Self::Failed(why.into()),
        ]
        .into_iter()
        .find(|stage| stage.as_str() == word)
    }

    /// Returns the sentence that it comes with; empty for none.
    pub fn why(&self) -> &str {
        match self {
            Self::Restoring | Self::Restored | Self::Kept => "",
            Self::Inconclusive(why) | Self::Failed(why) => why,
        }
    }
}
