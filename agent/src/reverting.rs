//! When is a commit that was bad taken back in Git, and with which words?
//!
//! ```text
//! Effect::Revert of each app ─▶ queue: one entry per repository, branch and commit
//!                                 │ once nobody else is still finding out about that commit
//!                                 ▼
//!                        Sources::revert ─▶ Event::Reverted for all of them, and a poll
//! ```

use crate::agent::Agent;
use crate::input::Input;
use crate::repo::wait;
use engine::{Event, Reversal};
use model::{App, AppKey, HeldStage, Reason};
use source::{Part, Repository, Revert, RevertPolicy, RevertTo, Reverted, SourceError};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long the apps that are rolled back wait for others that still find out about the same commit: one commit that breaks
/// several is taken back once.
const GATHERS: Duration = Duration::from_mins(1);
/// After a failure that may pass, it is tried again as if that many looks at the repository had failed before: after some 15
/// seconds, and up to five minutes.
const PATIENCE: u32 = 3;
/// Longest line of a message.
const WIDTH: usize = 100;

/// What is taken back by one commit: a normalised URL, what the apps follow, and the commit that was bad.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Wrong {
    url: String,
    branch: String,
    commit: String,
}

/// What waits to be taken back.
#[derive(Default)]
pub(crate) struct Reverting(BTreeMap<Wrong, Waiting>);

struct Waiting {
    policy: RevertPolicy,
    /// What was rolled back because of it.
    apps: BTreeMap<AppKey, (Arc<App>, Reversal)>,
    /// Until when others are waited for, and after a failure until when nothing is tried.
    until: Instant,
    n_failed: u32,
    is_pushing: bool,
}

impl Reverting {
    /// Returns when something is to be looked at although nothing happens.
    pub(crate) fn next_due(&self) -> Option<Instant> {
        self.0.values().filter(|waiting| !waiting.is_pushing).map(|waiting| waiting.until).min()
    }
}

impl Agent {
    /// Has a commit taken back, where that is wanted of its repository.
    pub(crate) fn revert(&mut self, key: &AppKey, app: &Arc<App>, reversal: Reversal) {
        let Some((id, repo)) = self.repos.of(key) else { return };
        let secrets = self.settings.secrets();
        let Some(policy) = source::reverts(&secrets, &repo.repository.url, &app.project) else { return };
        let wrong = Wrong {
            url: id.url.clone(),
            branch: app.source.target_revision.clone(),
            commit: reversal.bad.revision.as_str().into(),
        };
        let waiting = self.reverting.0.entry(wrong).or_insert_with(|| Waiting {
            policy: policy.clone(),
            apps: BTreeMap::new(),
            until: Instant::now() + GATHERS,
            n_failed: 0,
            is_pushing: false,
        });
        waiting.apps.insert(key.clone(), (Arc::clone(app), reversal));
    }

    /// Takes back what is ripe for it.
    pub(crate) fn push_reverts(&mut self) {
        if self.reverting.0.is_empty() {
            return;
        }
        if !self.may_write {
            // Whoever writes next is asked anew.
            self.reverting.0.clear();
            return;
        }
        let now = Instant::now();
        let mut queue = std::mem::take(&mut self.reverting.0);
        queue.retain(|wrong, waiting| {
            if waiting.is_pushing {
                return true;
            }
            waiting.apps.retain(|key, (_, reversal)| self.is_held_for(key, reversal));
            let is_ripe =
                waiting.until <= now || (waiting.n_failed == 0 && !self.is_undecided(wrong, waiting));
            if is_ripe {
                waiting.is_pushing = self.push_revert(wrong, waiting);
            }
            waiting.is_pushing || !(is_ripe || waiting.apps.is_empty())
        });
        self.reverting.0 = queue;
    }

    /// Returns whether an app is still kept away from what is to be taken back: Git may have moved on.
    fn is_held_for(&self, key: &AppKey, reversal: &Reversal) -> bool {
        let hold = self.apps.get(key).and_then(|entry| entry.state.hold.as_ref());
        hold.is_some_and(|hold| hold.held.bad.hash == reversal.bad.hash && !hold.held.was_reverted)
    }

    /// Returns whether some other app of the branch is still finding out about the commit.
    fn is_undecided(&self, wrong: &Wrong, waiting: &Waiting) -> bool {
        let is_of = |revision: &model::Revision| revision.as_str() == wrong.commit;
        let followers =
            self.repos.iter().filter(|(id, _)| id.url == wrong.url).flat_map(|(_, repo)| &repo.followers);
        let others =
            followers.filter(|(key, target)| **target == wrong.branch && !waiting.apps.contains_key(*key));
        others.filter_map(|(key, _)| self.apps.get(key)).any(|entry| {
            let state = &entry.state;
            let soaking = state.soak.as_ref().map(|soak| &soak.run);
            let runs = state.run().into_iter().chain(soaking).filter_map(|run| run.desired.as_ref());
            let is_restoring = state.hold.as_ref().is_some_and(|hold| {
                hold.held.stage == HeldStage::Restoring && is_of(&hold.held.bad.revision)
            });
            is_restoring
                || state.rendering.as_ref().is_some_and(is_of)
                || runs.map(|desired| &desired.revision).any(is_of)
        })
    }

    /// Pushes a revert; returns whether it is on its way.
    fn push_revert(&self, wrong: &Wrong, waiting: &Waiting) -> bool {
        let Some(repository) = waiting.apps.keys().find_map(|key| self.repos.of(key)) else { return false };
        let repository: Repository = repository.1.repository.clone();
        let revert = revert(wrong, waiting, self.settings.url.as_deref());
        let (sources, wrong) = (self.sources.clone(), wrong.clone());
        self.spawn(async move {
            let outcome = sources.revert(&repository, &revert).await;
            Input::Reverted(wrong, outcome)
        });
        true
    }

    /// Takes in what came of a revert.
    pub(crate) fn reverted(&mut self, wrong: &Wrong, outcome: Result<Reverted, SourceError>) {
        let Some(waiting) = self.reverting.0.get_mut(wrong) else { return };
        let commit = model::Revision::new(wrong.commit.as_str());
        let outcome = match outcome {
            Ok(Reverted::Pushed { revision, branch, left }) => {
                for sentence in left {
                    tracing::warn!(repository = wrong.url, reason = %Reason::Reverted, "{sentence}");
                }
                Ok(format!("pushed {} to {branch}, which takes {} back", revision.short(), commit.short()))
            }
            Ok(Reverted::Nothing(sentence)) => {
                Ok(format!("{} is not taken back: {sentence}", commit.short()))
            }
            Err(error) if error.is_transient() => {
                waiting.is_pushing = false;
                waiting.n_failed += 1;
                waiting.until =
                    Instant::now() + wait(Duration::ZERO, waiting.n_failed + PATIENCE, &wrong.url);
                let reason = Reason::RevertFailed.as_str();
                tracing::warn!(
                    repository = wrong.url,
                    reason,
                    "{} cannot be taken back, and is tried again: {error}",
                    commit.short()
                );
                return;
            }
            Err(error) => Err(format!("{} cannot be taken back in Git: {error}", commit.short())),
        };
        let Some(waiting) = self.reverting.0.remove(wrong) else { return };
        for (key, (_, reversal)) in waiting.apps {
            self.event(&key, Event::Reverted { hash: reversal.bad.hash, outcome: outcome.clone() });
        }
        self.repos.hint(&wrong.url, Instant::now());
    }
}

/// Makes what is pushed.
fn revert(wrong: &Wrong, waiting: &Waiting, url: Option<&str>) -> Revert {
    let first = waiting.apps.values().next();
    let bad = first.map(|(_, reversal)| reversal.bad.revision.clone());
    let bad = bad.unwrap_or_else(|| model::Revision::new(wrong.commit.as_str()));
    Revert {
        branch: wrong.branch.clone(),
        own_branch: (waiting.policy.to == RevertTo::Own).then(|| format!("tautline/revert-{}", bad.short())),
        parts: waiting.apps.values().map(|(app, reversal)| part(app, reversal)).collect(),
        message: message(&bad, &waiting.apps, url),
        author: waiting.policy.author.clone(),
        at: crate::clock::now(),
        bad,
    }
}

fn part(app: &App, reversal: &Reversal) -> Part {
    let directory = app.source.directory.clone();
    Part {
        folder: source::Folder { path: app.source.path.clone(), recurse: directory.recurse },
        filter: Arc::new(move |relative: &str| crate::desired::is_read(relative, &directory)),
        good: reversal.at.revision.clone(),
    }
}

/// Tells in a commit's message what happened, with trailers for machines.
fn message(
    bad: &model::Revision,
    apps: &BTreeMap<AppKey, (Arc<App>, Reversal)>,
    url: Option<&str>,
) -> String {
    let who = match apps.len() {
        1 => apps.keys().map(|key| key.name.clone()).collect(),
        n => format!("{n} Applications"),
    };
    let were = if apps.len() == 1 { "was" } else { "were" };
    let mut lines = vec![format!("Revert {}: {who} {were} rolled back", bad.short()), String::new()];
    for (key, (_, reversal)) in apps {
        lines.extend(wrapped(&format!("{key}: {}.", reversal.story.trim_end_matches('.'))));
        lines.push(String::new());
    }
    lines.push(format!("Reverted-commit: {}", bad.as_str()));
    for (key, (_, reversal)) in apps {
        let Reversal { bad, at, .. } = reversal;
        lines.push(format!("Application: {key}"));
        lines.push(format!("Verdict: {} ({})", Reason::RolledBack, bad.reason));
        lines.push(format!("Restored: {} (release {})", at.revision.as_str(), at.number));
        lines.extend(url.map(|url| format!("Link: {}/applications/{key}", url.trim_end_matches('/'))));
    }
    lines.join("\n")
}

/// Breaks a sentence into lines.
fn wrapped(text: &str) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.is_empty() => line.push_str(word),
            Some(line) if line.chars().count() + 1 + word.chars().count() <= WIDTH => {
                line.push(' ');
                line.push_str(word);
            }
            Some(_) | None => lines.push(word.to_owned()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::{Bad, DesiredHash, Revision, Stable, Timestamp, digest};
    use source::Identity;

    fn reversal(story: &str) -> Reversal {
        let hash = DesiredHash(digest(b"b"));
        let at = Timestamp::from_millis(0);
        Reversal {
            bad: Bad {
                hash,
                revision: Revision::new("b".repeat(40)),
                reason: Reason::Degraded,
                message: String::new(),
                seen_at: None,
                applied_at: None,
                started_at: at,
                failed_at: at,
            },
            at: Stable { number: 7, hash, revision: Revision::new("a".repeat(40)), is_baseline: false },
            story: story.into(),
        }
    }

    fn waiting(stories: &[(&str, &str)]) -> Waiting {
        let author = Identity { name: "Tautline".into(), mail: "t@example.com".into() };
        let app = |name: &str| Arc::new(App::named(AppKey::new("argocd", name)));
        Waiting {
            policy: RevertPolicy { to: RevertTo::Own, author },
            apps: stories
                .iter()
                .map(|(name, story)| (AppKey::new("argocd", *name), (app(name), reversal(story))))
                .collect(),
            until: Instant::now(),
            n_failed: 0,
            is_pushing: false,
        }
    }

    #[test]
    fn the_message_says_what_happened_and_what_others_said_is_no_trailer() {
        let wrong = Wrong { url: "u".into(), branch: "main".into(), commit: "b".repeat(40) };
        let forged =
            format!("because {}\n\nReverted-commit: cccc\nApplication: argocd/other", "it fails ".repeat(20));
        let waiting =
            waiting(&[("shop", &forged), ("till", "Rolled back to aaaaaaa (release 7), because it fails.")]);
        let revert = revert(&wrong, &waiting, Some("https://cd.example.com/"));
        assert_eq!(revert.own_branch.as_deref(), Some("tautline/revert-bbbbbbb"));
        let (text, trailers) = revert.message.rsplit_once("\n\n").unwrap();
        assert!(
            text.starts_with(
                "Revert bbbbbbb: 2 Applications were rolled back\n\nargocd/shop: because it fails"
            ),
            "{text}"
        );
        assert!(
            text.contains("\n\nargocd/till: Rolled back to aaaaaaa (release 7), because it fails."),
            "{text}"
        );
        assert!(text.lines().all(|line| line.chars().count() <= WIDTH), "{text}");
        let (a, b) = ("a".repeat(40), "b".repeat(40));
        let of = |name: &str| {
            format!(
                "Application: argocd/{name}\nVerdict: RolledBack (Degraded)\nRestored: {a} (release 7)\n\
                 Link: https://cd.example.com/applications/argocd/{name}"
            )
        };
        assert_eq!(trailers, format!("Reverted-commit: {b}\n{}\n{}", of("shop"), of("till")));
    }
}
