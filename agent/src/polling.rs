//! What does one look at a repository find out?

use crate::agent::Agent;
use crate::input::Input;
use crate::repo::Due;
use model::Revision;
use source::{Refs, Repository, Resolution, SourceError, Sources};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

/// What one look at a repository came to.
pub(crate) type Polled = Result<Found, SourceError>;

/// What one look at a repository found out.
#[derive(Default)]
pub(crate) struct Found {
    /// By target revision. What is found is here.
    pub targets: BTreeMap<String, Result<Revision, SourceError>>,
    /// By a name that somebody waits for; none for what may be the beginning of a SHA, which takes another look.
    pub names: BTreeMap<String, Result<Option<Revision>, SourceError>>,
    /// By target revision: what it was at, where it went back to a commit before that.
    pub went_back: BTreeMap<String, Revision>,
    /// How many refs are ignored because of their names.
    pub n_ignored: usize,
}

impl Agent {
    /// Starts the polls that are due.
    pub(crate) fn poll_due(&mut self) {
        // Apps come one by one when the agent starts, and one look answers them all.
        if !self.has_listed_apps {
            return;
        }
        for due in self.repos.take_due(Instant::now()) {
            self.metrics.polls.add(1);
            let names = self.names_waited_for(&due.id);
            let (sources, id) = (self.sources.clone(), due.id.clone());
            let task = self.spawn_task(async move {
                let (id, number) = (due.id.clone(), due.number);
                Input::Polled(id, number, poll(&sources, due, names).await)
            });
            self.repos.polling(&id, task);
        }
    }
}

async fn poll(sources: &Sources, due: Due, names: BTreeSet<String>) -> Polled {
    let Due { repository, targets, known, .. } = due;
    let refs = sources.refs(&repository).await?;
    let mut found = Found { n_ignored: refs.n_ignored, ..Found::default() };
    for name in names {
        let answer = match refs.resolve(&name) {
            Resolution::Commit(revision) => Ok(Some(revision)),
            Resolution::Short(_) => Ok(None),
            Resolution::Unknown => Err(refs.unknown(&name)),
        };
        found.names.insert(name, answer);
    }
    for target in targets {
        let answer = resolve(sources, &repository, &refs, &target).await;
        if let (Ok(new), Some(old)) = (&answer, known.get(&target))
            && new != old
            && sources.is_ancestor(&repository, new, old).await.unwrap_or(false)
        {
            found.went_back.insert(target.clone(), old.clone());
        }
        found.targets.insert(target, answer);
    }
    Ok(found)
}

/// Asks a repository for its refs, resolves these, and fetches what is missing.
pub(crate) async fn look_up(
    sources: &Sources,
    repository: &Repository,
    names: &[String],
) -> Result<BTreeMap<String, Result<Revision, SourceError>>, SourceError> {
    let refs = sources.refs(repository).await?;
    let mut found = BTreeMap::new();
    for name in names {
        let answer = resolve(sources, repository, &refs, name).await;
        found.insert(name.clone(), answer);
    }
    Ok(found)
}

async fn resolve(
    sources: &Sources,
    repository: &Repository,
    refs: &Refs,
    name: &str,
) -> Result<Revision, SourceError> {
    match refs.resolve(name) {
        Resolution::Commit(revision) => {
            sources.fetch(repository, refs, &revision).await?;
            Ok(revision)
        }
        Resolution::Short(short) => sources.expand_short(repository, &short).await,
        Resolution::Unknown => Err(refs.unknown(name)),
    }
}
