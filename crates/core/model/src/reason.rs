//! Why did something happen? One bounded word, the same in log, metric, event, condition and fixture.

use std::fmt;

macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// One bounded word for why something happened.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Reason { $($(#[$doc])* $name,)* }

        impl Reason {
            /// Every reason, in the order of their names here.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// Returns the word.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => stringify!($name),)* }
            }

            /// Reads the word.
            pub fn parse(word: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|reason| reason.as_str() == word)
            }
        }
    };
}

reasons! {
    /// A commit with other content was seen.
    NewRevision,
    /// The spec changed.
    SpecChanged,
    /// Live objects differ and self-heal is on.
    SelfHeal,
    /// A person or a machine asked.
    Requested,
    /// A failed sync is repeated.
    Retry,
    /// A comparison gave another status than before.
    Compared,
    /// The sync did what it should.
    Synced,
    /// An object was refused for its content.
    Refused,
    /// Applying failed in a way that may pass.
    ApplyHeld,
    /// Objects did not become healthy before the deadline.
    HealthTimeout,
    /// An object turned out broken.
    Degraded,
    /// A newer commit or request took over.
    Superseded,
    /// Somebody asked to end the sync.
    Terminated,
    /// The repository could not be read.
    SourceUnavailable,
    /// It can be read again.
    SourceAvailable,
    /// The revision, path or manifests are wrong.
    SourceInvalid,
    /// The set of manifests is empty and that is not allowed.
    WouldWipe,
    /// The app uses something that is not supported yet.
    NotYet,
    /// The project forbids something.
    NotPermitted,
    /// Objects that another tool deployed are taken over.
    TakeOver,
    /// Git asks for what would let another tool write beside us.
    OneWriter,
    /// Another app owns the object.
    Shared,
    /// Somebody else keeps changing the object back.
    Fight,
    /// The object was changed by somebody else.
    Drift,
    /// The Application is being deleted.
    Deleted,
    /// Content that failed by its own fault is left alone from now on.
    Quarantined,
    /// The app goes back to what was stable.
    RollingBack,
    /// The app is back at what was stable.
    RolledBack,
    /// It is back there and not healthy either.
    Inconclusive,
    /// It could not be brought back.
    RollbackFailed,
    /// A commit that was bad was taken back in Git, or need not be.
    Reverted,
    /// It could not be.
    RevertFailed,
    /// A release settled, and can be gone back to.
    Stable,
    /// A check that the app declares does not hold.
    CheckFailed,
    /// It holds again.
    CheckPassed,
    /// It could not be found out whether it holds.
    CheckUnknown,
    /// Something waits for a person's consent.
    NeedsConfirmation,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
