//! What does an app want done about a commit that turns out bad, and how soon is it called bad or good?

use crate::{App, Seconds};
use std::fmt;
use std::str::FromStr;

/// Longest time without progress that a sync may take, where nobody says otherwise (README, "How long a sync may take").
pub const SYNC_DEADLINE: Seconds = Seconds::new(300);
/// How long everything has to stay healthy before a state counts as stable, where nobody says otherwise.
pub const SOAK: Seconds = Seconds::new(10);
/// How long an object may be Degraded before it counts, where nobody says otherwise: a pod may restart once while its
/// database comes up.
pub const DEGRADED_GRACE: Seconds = Seconds::new(15);
/// The longest soak and the longest grace that may be asked for: whoever waits longer never rolls back in time.
pub const LONGEST_WAIT: Seconds = Seconds::new(3600);

/// What an app wants done about a bad commit. What it leaves open is filled in by its project, then by the agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RollbackSettings {
    /// What the app, or else its project, asks for; `None` leaves it to [`App::rollback_policy`].
    pub policy: Option<RollbackPolicy>,
    /// The agent's default (`--rollback`), for apps with automated sync.
    pub agent: RollbackPolicy,
    /// What becomes of a first deploy that fails.
    pub first_deploy: FirstDeploy,
    /// How long everything has to stay healthy before a state counts as stable.
    pub soak: Seconds,
    /// How long an object may be Degraded by the content's own fault before the commit is condemned.
    pub degraded_grace: Seconds,
}

impl Default for RollbackSettings {
    fn default() -> Self {
        Self {
            policy: None,
            agent: RollbackPolicy::default(),
            first_deploy: FirstDeploy::default(),
            soak: SOAK,
            degraded_grace: DEGRADED_GRACE,
        }
    }
}

impl App {
    /// Returns what is done about a bad commit: what the app or its project says, else the agent's default where the app syncs
    /// by itself; where people sync, people decide.
    pub fn rollback_policy(&self) -> RollbackPolicy {
        match (self.rollback.policy, &self.automated) {
            (Some(policy), _) => policy,
            (None, Some(_)) => self.rollback.agent,
            (None, None) => RollbackPolicy::Manual,
        }
    }
}

/// Who goes back to the stable release when a commit is condemned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum RollbackPolicy {
    /// The agent does, at once.
    #[default]
    Automatic,
    /// The sync fails and stays as it is, the commit is left alone from then on; a person may roll back.
    Manual,
    /// The sync fails and stays as it is; nothing more is made of it.
    Off,
}

impl RollbackPolicy {
    /// All of them, as they are written.
    pub const WORDS: [&str; 3] = ["automatic", "manual", "off"];

    /// Returns how it is written in annotations, fields and options.
    pub fn word(self) -> &'static str {
        match self {
            Self::Automatic => "automatic",
            Self::Manual => "manual",
            Self::Off => "off",
        }
    }
}

impl fmt::Display for RollbackPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

impl FromStr for RollbackPolicy {
    type Err = UnknownWord;

    /// Reads exactly what [`RollbackPolicy::word`] writes.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        [Self::Automatic, Self::Manual, Self::Off]
            .into_iter()
            .find(|policy| policy.word() == text)
            .ok_or(UnknownWord)
    }
}

/// What becomes of an app's first deploy where it fails: there is no stable release to go back to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum FirstDeploy {
    /// It stays as it is, and is told.
    #[default]
    Keep,
    /// What the sync created is deleted again.
    Remove,
}

impl FirstDeploy {
    /// All of them, as they are written.
    pub const WORDS: [&str; 2] = ["keep", "remove"];

    /// Returns how it is written in annotations and fields.
    pub fn word(self) -> &'static str {
        match self {
            Self::Keep => "keep",
            Self::Remove => "remove",
        }
    }
}

impl FromStr for FirstDeploy {
    type Err = UnknownWord;

    /// Reads exactly what [`FirstDeploy::word`] writes.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        [Self::Keep, Self::Remove].into_iter().find(|choice| choice.word() == text).ok_or(UnknownWord)
    }
}

/// An app asks that all that is pruned goes only once the new state has settled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AfterSettling;

impl AfterSettling {
    /// How it is written.
    pub const WORD: &str = "after-settle";
}

impl FromStr for AfterSettling {
    type Err = UnknownWord;

    /// Reads [`AfterSettling::WORD`] and nothing else.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == Self::WORD { Ok(Self) } else { Err(UnknownWord) }
    }
}

/// A text is none of the words that a setting has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownWord;

impl fmt::Display for UnknownWord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("is none of the words that may stand here")
    }
}

impl std::error::Error for UnknownWord {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{AppKey, Automated};

    #[test]
    fn what_is_said_wins_over_the_agents_default_which_is_for_automated_apps() {
        let app = |policy, agent, automated| App {
            rollback: RollbackSettings { policy, agent, ..RollbackSettings::default() },
            automated,
            ..App::named(AppKey::new("argocd", "shop"))
        };
        let on = Some(Automated::default());
        for agent in [RollbackPolicy::Automatic, RollbackPolicy::Manual, RollbackPolicy::Off] {
            assert_eq!(app(None, agent, on).rollback_policy(), agent, "an automated app gets the default");
            assert_eq!(app(None, agent, None).rollback_policy(), RollbackPolicy::Manual, "{agent}");
            for said in [RollbackPolicy::Automatic, RollbackPolicy::Manual, RollbackPolicy::Off] {
                assert_eq!(app(Some(said), agent, on).rollback_policy(), said, "{agent}");
                assert_eq!(app(Some(said), agent, None).rollback_policy(), said, "{agent}, no auto-sync");
            }
        }
    }

    #[test]
    fn words_are_read_as_they_are_written_and_no_other_is() {
        for word in RollbackPolicy::WORDS {
            assert_eq!(word.parse::<RollbackPolicy>().unwrap().word(), word);
        }
        for word in FirstDeploy::WORDS {
            assert_eq!(word.parse::<FirstDeploy>().unwrap().word(), word);
        }
        for word in ["", "Automatic", "auto", " off", "true"] {
            assert_eq!(word.parse::<RollbackPolicy>(), Err(UnknownWord), "{word}");
            assert_eq!(word.parse::<FirstDeploy>(), Err(UnknownWord), "{word}");
        }
    }
}
