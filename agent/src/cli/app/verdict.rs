//! What came of an Application, or of a revision of it, as far as the Application itself tells?
//!
//! An agent decides by all that it knows (`engine::waiting`), and answers over HTTP. Whoever has only the cluster sees the
//! status that the agent wrote, and finds the same words in it.

use crate::cli::app::facts::{Facts, short};
use engine::waiting::Word;
use serde_json::Value;

/// How often a sync has to fail before a wait ends with it, as in `engine::waiting`.
const PATIENT_TRIES: u64 = 2;

/// Whether the status is about the revision that is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reached {
    /// It is, or none in particular is waited for.
    Yes,
    /// Not any more: it was before.
    NoLonger,
    /// Not yet.
    NotYet,
}

/// Where a wait stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It ends, with a word and why.
    Decided(Word, String),
    /// It goes on; what it waits for, as a sentence says it after "waits for".
    Waits(String),
}

/// Decides a wait by an Application as it is now.
pub(crate) fn outcome(app: &Value, reached: Reached) -> Outcome {
    let facts = Facts(app);
    if let Some(outcome) = obstacle(facts).or_else(|| under_way(facts)) {
        return outcome;
    }
    match reached {
        Reached::Yes => at_revision(facts),
        Reached::NoLonger => {
            let message = format!("{} took its place", short(facts.revision()));
            Outcome::Decided(Word::Superseded, message)
        }
        Reached::NotYet => Outcome::Waits("the agent to see that revision".into()),
    }
}

/// How a condition begins that says why a commit cannot be deployed, with the commit after it.
const CANNOT_BE_DEPLOYED: &str = "Failed to load target state at ";

/// Returns the commit that an Application was looked at for last: the one that it is compared with, or one that cannot be
/// deployed, of which the status tells the beginning only.
pub(crate) fn looked_at(app: &Value) -> &str {
    let facts = Facts(app);
    let refused =
        condition(facts, "ComparisonError").and_then(|message| message.strip_prefix(CANNOT_BE_DEPLOYED));
    let refused = refused.and_then(|rest| rest.split_once(':')).map(|(revision, _)| revision);
    refused.unwrap_or(facts.revision())
}

/// Decides a sync that was asked for, once it is over.
pub(crate) fn of_sync(app: &Value) -> Outcome {
    let facts = Facts(app);
    obstacle(facts).or_else(|| under_way(facts)).unwrap_or_else(|| tried(facts))
}

/// What keeps everything from happening until a person changes it.
fn obstacle(facts: Facts<'_>) -> Option<Outcome> {
    if application::deletion(facts.0).is_some() {
        return Some(Outcome::Decided(Word::Superseded, "the Application is being deleted".into()));
    }
    if application::skips_reconcile(facts.0) {
        let message = "the Application is left alone as long as its annotation skip-reconcile says so";
        return Some(Outcome::Decided(Word::Held, message.into()));
    }
    let invalid = condition(facts, "InvalidSpecError");
    invalid.map(|message| Outcome::Decided(Word::Held, message.to_owned()))
}

fn under_way(facts: Facts<'_>) -> Option<Outcome> {
    if !facts.0["operation"].is_null() {
        return Some(Outcome::Waits("the sync that was asked for to begin".into()));
    }
    if !matches!(facts.phase(), "Running" | "Terminating") {
        return None;
    }
    let message = facts.text("/status/operationState/message");
    let tries = facts.0.pointer("/status/operationState/retryCount").and_then(Value::as_u64).unwrap_or(0);
    if tries >= PATIENT_TRIES && !facts.text("/status/operationState/finishedAt").is_empty() {
        return Some(Outcome::Decided(Word::Held, message.to_owned()));
    }
    Some(Outcome::Waits(format!("the sync under way: {message}")))
}

fn at_revision(facts: Facts<'_>) -> Outcome {
    if let Some(message) = condition(facts, "ComparisonError") {
        let word = if message.starts_with(CANNOT_BE_DEPLOYED) { Word::Failed } else { Word::Held };
        return Outcome::Decided(word, message.to_owned());
    }
    if let Some(message) = condition(facts, "SyncError").filter(|message| message.starts_with("Read-only")) {
        return Outcome::Decided(Word::Held, message.to_owned());
    }
    let is_well = matches!(facts.health(), "Healthy" | "Suspended");
    let about = facts.text("/status/operationState/syncResult/revision");
    let has_failed = about == facts.revision() && matches!(facts.phase(), "Failed" | "Error");
    match facts.sync() {
        "Synced" if is_well => {
            Outcome::Decided(Word::Deployed, "everything is as Git wants it, and healthy".into())
        }
        // It was applied, and what it changed did not become healthy in time.
        "Synced" if has_failed => tried(facts),
        "Synced" if facts.health() == "Degraded" => {
            let message = format!("everything is as Git wants it, but Degraded: {}", facts.message());
            Outcome::Decided(Word::Failed, message)
        }
        "Synced" => Outcome::Waits(format!("healthy objects: {}", facts.message())),
        "OutOfSync" if has_failed => tried(facts),
        "OutOfSync" if !is_automated(facts) => {
            let message =
                "the Application differs from it, is not synced automatically, and nobody asked for a sync";
            Outcome::Decided(Word::NotRequested, message.into())
        }
        "OutOfSync" => Outcome::Waits("the sync to begin".into()),
        _ => Outcome::Waits("the comparison with the cluster".into()),
    }
}

/// Decides by the last sync, which is over.
fn tried(facts: Facts<'_>) -> Outcome {
    let message = facts.text("/status/operationState/message").to_owned();
    match facts.phase() {
        "Succeeded" => Outcome::Decided(Word::Deployed, message),
        "" => Outcome::Waits("the sync to begin".into()),
        _ => Outcome::Decided(Word::Failed, message),
    }
}

fn is_automated(facts: Facts<'_>) -> bool {
    let automated = facts.0.pointer("/spec/syncPolicy/automated");
    automated.is_some_and(|automated| automated.is_object() && automated["enabled"] != false)
}

fn condition<'a>(facts: Facts<'a>, kind: &str) -> Option<&'a str> {
    let found = facts.list("/status/conditions").iter().find(|condition| condition["type"] == kind);
    found.map(|condition| condition["message"].as_str().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn told(outcome: &Outcome) -> String {
        match outcome {
            Outcome::Decided(word, message) => format!("{}: {message}", word.as_str()),
            Outcome::Waits(what) => format!("waits for {what}"),
        }
    }

    /// An Application that is well, changed by a merge patch in small.
    fn app(changes: &[(&str, Value)]) -> Value {
        let mut app = json!({
            "metadata": {"annotations": {}},
            "spec": {"syncPolicy": {"automated": {}}},
            "status": {"sync": {"status": "Synced", "revision": "a"}, "health": {"status": "Healthy"}, "conditions": [],
                "operationState": {"phase": "Succeeded", "message": "all applied", "syncResult": {"revision": "a"}}},
        });
        for (pointer, value) in changes {
            let (parent, field) = pointer.rsplit_once('/').unwrap();
            app.pointer_mut(parent).unwrap()[field] = value.clone();
        }
        app
    }

    #[test]
    fn the_word_that_ends_a_wait() {
        let condition = |kind: &str, message: &str| json!([{"type": kind, "message": message}]);
        let out = || ("/status/sync/status", json!("OutOfSync"));
        let cases: &[(&[(&str, Value)], &str)] = &[
            (&[], "Deployed: everything is as Git wants it, and healthy"),
            (&[("/status/health/status", json!("Progressing"))], "waits for healthy objects: "),
            (
                &[
                    ("/status/health/status", json!("Progressing")),
                    ("/status/operationState/phase", json!("Failed")),
                    ("/status/operationState/message", json!("no progress")),
                ],
                "Failed: no progress",
            ),
            (
                &[("/status/health/status", json!("Degraded"))],
                "Failed: everything is as Git wants it, but Degraded: ",
            ),
            (&[out()], "waits for the sync to begin"),
            (
                &[out(), ("/spec/syncPolicy", json!({}))],
                "NotRequested: the Application differs from it, is not synced automatically, and nobody asked for a sync",
            ),
            (
                &[
                    out(),
                    ("/status/operationState/phase", json!("Failed")),
                    ("/status/operationState/message", json!("no room")),
                ],
                "Failed: no room",
            ),
            (&[("/operation", json!({"sync": {}}))], "waits for the sync that was asked for to begin"),
            (
                &[("/status/operationState/phase", json!("Running"))],
                "waits for the sync under way: all applied",
            ),
            (
                &[(
                    "/status/operationState",
                    json!({"phase": "Running", "retryCount": 2, "finishedAt": "x", "message": "quota"}),
                )],
                "Held: quota",
            ),
            (&[("/status/conditions", condition("InvalidSpecError", "no path"))], "Held: no path"),
            (
                &[out(), ("/status/conditions", condition("SyncError", "Read-only: no hooks"))],
                "Held: Read-only: no hooks",
            ),
            (
                &[
                    ("/status/sync/status", json!("Unknown")),
                    (
                        "/status/conditions",
                        condition("ComparisonError", "Failed to load target state at a: bad"),
                    ),
                ],
                "Failed: Failed to load target state at a: bad",
            ),
            (
                &[
                    ("/status/sync/status", json!("Unknown")),
                    (
                        "/status/conditions",
                        condition("ComparisonError", "Failed to load target state: no branch"),
                    ),
                ],
                "Held: Failed to load target state: no branch",
            ),
            (&[("/status/sync/status", json!("Unknown"))], "waits for the comparison with the cluster"),
            (
                &[("/metadata/deletionTimestamp", json!("2026-11-21T07:37:12Z"))],
                "Superseded: the Application is being deleted",
            ),
        ];
        for (changes, expected) in cases {
            assert_eq!(told(&outcome(&app(changes), Reached::Yes)), *expected, "{changes:?}");
        }
        let mut left = app(&[]);
        left["metadata"]["annotations"]["argocd.argoproj.io/skip-reconcile"] = "true".into();
        assert!(told(&outcome(&left, Reached::Yes)).starts_with("Held: the Application is left alone"));
    }

    #[test]
    fn a_commit_that_cannot_be_deployed_was_looked_at() {
        assert_eq!(looked_at(&app(&[])), "a");
        let refused = |message: &str| json!([{"type": "ComparisonError", "message": message}]);
        let bad = app(&[(
            "/status/conditions",
            refused("Failed to load target state at 0587f88: app/web.yaml:3: x"),
        )]);
        assert_eq!(looked_at(&bad), "0587f88");
        assert_eq!(
            looked_at(&app(&[("/status/conditions", refused("Failed to load target state: no branch"))])),
            "a"
        );
    }

    #[test]
    fn another_revision_is_waited_for_until_it_was_there() {
        assert_eq!(told(&outcome(&app(&[]), Reached::NotYet)), "waits for the agent to see that revision");
        assert_eq!(told(&outcome(&app(&[]), Reached::NoLonger)), "Superseded: a took its place");
    }

    #[test]
    fn a_sync_that_was_asked_for_ends_as_it_ended() {
        assert_eq!(told(&of_sync(&app(&[]))), "Deployed: all applied");
        assert_eq!(
            told(&of_sync(&app(&[("/status/operationState/phase", json!("Error"))]))),
            "Failed: all applied"
        );
        assert_eq!(
            told(&of_sync(&app(&[("/operation", json!({}))]))),
            "waits for the sync that was asked for to begin"
        );
    }
}
