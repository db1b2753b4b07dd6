//! What came of an Application, as far as the Application itself tells, and how is that told?
//!
//! An agent decides by all that it knows, and answers over HTTP. Whoever has only the cluster lets the same functions decide
//! by what the status tells of that ([`recall`]), and gets the same words in the same form.

use crate::cli::output::{self, Output};
use crate::cli::paint::Paint;
use crate::cli::table::Table;
use crate::exit::DIFFERENCE;
use crate::facts::{Facts, short};
use crate::recall;
use crate::tools::{print, talk};
use crate::waits;
use engine::waiting::{self, Outcome, Verdict, Wanted, Word};
use model::{AppKey, Revision, printable};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::process::ExitCode;

/// Returns the revisions that an Application is at, was at or is going to: a wait is decided by which of them hold the
/// wanted one. One that cannot be deployed is told by its beginning only.
pub(crate) fn revisions(raw: &Value) -> BTreeSet<Revision> {
    waiting::revisions(&recall::state(raw).0).into_iter().cloned().collect()
}

/// Decides a wait for a revision by an Application as it is now.
pub(crate) fn of_revision(raw: &Value, wanted: &Wanted) -> Outcome {
    let (state, app) = recall::state(raw);
    waiting::outcome(&state, &app, wanted)
}

/// Decides a wait for whatever comes of an Application: of the sync that somebody asked for, else of what it follows.
pub(crate) fn of_now(raw: &Value) -> Outcome {
    let (state, app) = recall::state(raw);
    if app.operation.is_some()
        && let Some(outcome) = waiting::of_request(&state, &app)
    {
        return outcome;
    }
    let revision = waiting::followed(&state).cloned();
    let wanted = Wanted {
        reached: revision.iter().cloned().collect(),
        revision,
        was_reached: false,
        has_looked: true,
    };
    waiting::outcome(&state, &app, &wanted)
}

/// Decides the sync that was asked for by this `operation`.
pub(crate) fn of_sync(raw: &Value, operation: &Value) -> Outcome {
    let (state, mut app) = recall::state(raw);
    let told = &raw["status"]["operationState"]["operation"];
    let is_open = raw["operation"] == *operation;
    if told == operation && !is_open && state.run().is_none() {
        // Somebody asks for another one already.
        app.operation = None;
    }
    let outcome = waiting::of_request(&state, &app).filter(|_| is_open || told == operation);
    outcome.unwrap_or_else(|| {
        let message = "the sync was taken back, or another one followed it; tautline app history lists what was deployed";
        let revision = waiting::followed(&state).cloned().unwrap_or_else(|| Revision::new(""));
        let word = Word::Superseded;
        Outcome::Decided(Verdict { word, revision, sync: None, object: None, message: message.into() })
    })
}

/// Writes a verdict as the API does, with what a sync did to each object where that is asked for.
pub(crate) fn body(key: &AppKey, verdict: &Verdict, results_of: Option<&Value>) -> Value {
    // A status tells when the last sync began, which need not be the one that decided.
    let (_, mut body) = waits::verdict_json(key, &Verdict { sync: None, ..verdict.clone() });
    let results = results_of.map(|raw| Facts(raw).list("/status/operationState/syncResult/resources"));
    if let Some(results) = results.filter(|results| !results.is_empty()) {
        body["resources"] = json!(results);
    }
    body
}

/// Prints how a wait ended, by the API's answer; anything but `Deployed` is a bad verdict.
pub(crate) fn conclude(body: &Value, output: Output) -> ExitCode {
    let code = if body["verdict"] == Word::Deployed.as_str() { 0 } else { DIFFERENCE };
    let text = match output {
        Output::Json => output::json(body),
        Output::Yaml => manifest::to_yaml(body),
        Output::Name => {
            // The name stands there already, alone.
            talk(line(body, Paint::Plain).trim_end());
            return ExitCode::from(code);
        }
        Output::Table | Output::Wide => {
            let paint = Paint::of_stdout();
            format!("{}{}", results(body, paint), line(body, paint))
        }
    };
    print(&text, ExitCode::from(code))
}

fn line(body: &Value, paint: Paint) -> String {
    let text = |field: &str| body[field].as_str().unwrap_or_default();
    let revision = short(text("revision"));
    let revision = if revision.is_empty() { revision } else { format!(" {revision}") };
    let (word, message) = (paint.word(text("verdict")), printable(text("message")));
    format!("{word}{}: {message}\n", printable(&revision))
}

/// Writes what a sync did to each object.
fn results(body: &Value, paint: Paint) -> String {
    let mut table = Table::new(&["KIND", "NAME", "RESULT", "MESSAGE"]);
    for result in Facts(body).list("/resources") {
        let of = Facts(result);
        let kind = model::GroupKind::new(of.text("/group"), of.text("/kind")).to_string();
        let [status, message] = [of.text("/status"), of.text("/message")].map(str::to_owned);
        table.push(&[kind, of.in_namespace(), status, message]);
    }
    if table.is_empty() { String::new() } else { table.text(paint) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(outcome: &Outcome) -> String {
        match outcome {
            Outcome::Decided(verdict) => format!("{}: {}", verdict.word.as_str(), verdict.message),
            Outcome::Waits(what) => format!("waits for {what}"),
        }
    }

    /// An Application that is well, changed by a merge patch in small.
    fn app(changes: &[(&str, Value)]) -> Value {
        let mut app = json!({
            "metadata": {"name": "shop", "namespace": "argocd", "annotations": {}},
            "spec": {
                "project": "default", "source": {"repoURL": "https://git.example.com/shop", "path": "."},
                "destination": {"name": "in-cluster", "namespace": "shop"}, "syncPolicy": {"automated": {}},
            },
            "status": {
                "sync": {"status": "Synced", "revision": "a"}, "health": {"status": "Healthy"}, "conditions": [],
                "operationState": {
                    "phase": "Succeeded", "message": "all applied", "syncResult": {"revision": "a"},
                    "operation": {"initiatedBy": {"automated": true}, "sync": {"revision": "a"}},
                    "startedAt": "2026-11-21T07:37:12Z", "finishedAt": "2026-11-21T07:37:13Z",
                },
            },
        });
        for (pointer, value) in changes {
            let (parent, field) = pointer.rsplit_once('/').unwrap();
            app.pointer_mut(parent).unwrap()[field] = value.clone();
        }
        app
    }

    /// Our annotation after a sync that failed.
    fn failed(is_condemned: bool) -> (&'static str, Value) {
        let mut own = application::State::default();
        own.attempted = Some(model::DesiredHash(model::digest(b"a")));
        (own.reason, own.is_condemned) = (Some(model::Reason::ApplyHeld), is_condemned);
        ("/metadata/annotations", json!({ model::names::STATE_ANNOTATION: own.write() }))
    }

    const SYNC: &str = "/status/sync/status";
    const HEALTH: &str = "/status/health/status";
    const PHASE: &str = "/status/operationState/phase";
    const MESSAGE: &str = "/status/operationState/message";

    /// A way in which an Application differs from one that is well, and the word for it.
    type Case<'a> = (&'a [(&'a str, Value)], &'a str);

    #[test]
    fn the_word_that_ends_a_wait() {
        let condition = |kind: &str, message: &str| json!([{"type": kind, "message": message}]);
        let conditions = "/status/conditions";
        let out = || (SYNC, json!("OutOfSync"));
        let cases: &[Case<'_>] = &[
            (&[], "Deployed: everything is as Git wants it, and healthy"),
            (
                &[(PHASE, json!("Failed")), (MESSAGE, json!("no progress")), (HEALTH, json!("Progressing"))],
                "Failed: no progress",
            ),
            (
                &[out(), (PHASE, json!("Failed")), (MESSAGE, json!("no room")), failed(true)],
                "Failed: no room",
            ),
            (&[out(), (PHASE, json!("Failed")), (MESSAGE, json!("no room")), failed(false)], "Held: no room"),
            (&[("/operation", json!({"sync": {}}))], "waits for the sync that was asked for to begin"),
            (
                &[(PHASE, json!("Running")), ("/status/operationState/finishedAt", json!(null))],
                "waits for the sync to settle: all applied",
            ),
            (&[(conditions, condition("InvalidSpecError", "no path"))], "Held: no path"),
            (
                &[
                    out(),
                    (PHASE, json!("Failed")),
                    (
                        conditions,
                        condition("ComparisonError", "Failed to load target state at b: bad.yaml:3: x"),
                    ),
                ],
                "Failed: b cannot be deployed: bad.yaml:3: x",
            ),
            (
                &[
                    (SYNC, json!("Unknown")),
                    (conditions, condition("ComparisonError", "Failed to load target state: no branch")),
                ],
                "Held: no branch",
            ),
            (
                &[("/metadata/deletionTimestamp", json!("2026-11-21T07:37:12Z"))],
                "Superseded: the Application is being deleted",
            ),
            (&[("/status", json!({}))], "waits for the repository to say which commit that is"),
        ];
        for (changes, expected) in cases {
            assert_eq!(told(&of_now(&app(changes))), *expected, "{changes:?}");
        }
        let mut left = app(&[]);
        left["metadata"]["annotations"]["argocd.argoproj.io/skip-reconcile"] = "true".into();
        assert!(told(&of_now(&left)).starts_with("Held: the Application is left alone"));
    }

    #[test]
    fn a_sync_that_is_stuck_holds_its_own_revision_and_not_the_one_that_mends_it() {
        let stuck = app(&[
            (SYNC, json!("OutOfSync")),
            (PHASE, json!("Running")),
            ("/status/operationState/retryCount", json!(2)),
            (
                MESSAGE,
                json!("one or more objects failed: quota. Retrying attempt #2 at 2026-11-21T07:38:00Z."),
            ),
        ]);
        let held = "Held: one or more objects failed: quota; it is tried again at 2026-11-21T07:38:00Z";
        assert_eq!(told(&of_now(&stuck)), held);
        let wanted = |reached: &[&str]| Wanted {
            revision: Some(Revision::new("b")),
            reached: reached.iter().map(|revision| Revision::new(*revision)).collect(),
            was_reached: false,
            has_looked: true,
        };
        assert_eq!(
            told(&of_revision(&stuck, &wanted(&["a"]))),
            held,
            "what is stuck holds the wanted commit"
        );
        assert_eq!(
            told(&of_revision(&stuck, &wanted(&[]))),
            "waits for b to come to what the Application follows, which is at a and does not hold it"
        );
        assert_eq!(revisions(&stuck), BTreeSet::from([Revision::new("a")]));
    }

    #[test]
    fn a_sync_that_was_asked_for_ends_as_it_ended() {
        let operation = json!({"initiatedBy": {"username": "ada"}, "sync": {"dryRun": true}});
        let asked = ("/status/operationState/operation", operation.clone());
        let of_sync = |raw: &Value| told(&of_sync(raw, &operation));
        assert_eq!(of_sync(&app(std::slice::from_ref(&asked))), "Deployed: all applied");
        assert_eq!(of_sync(&app(&[asked.clone(), (PHASE, json!("Error"))])), "Failed: all applied");
        let again = app(&[asked.clone(), ("/operation", operation.clone())]);
        assert_eq!(of_sync(&again), "waits for the sync that was asked for to begin");
        // Somebody else asks for another one: this one is over all the same.
        assert_eq!(of_sync(&app(&[asked, ("/operation", json!({"sync": {}}))])), "Deployed: all applied");
        assert!(
            of_sync(&app(&[])).starts_with("Superseded: the sync was taken back, or another one followed it")
        );
    }

    #[test]
    fn how_it_ended_is_one_line() {
        let body = json!({"verdict": "Held", "revision": "e062505269aeaf62c7e2b9fd3f2af285cdfb809d", "message": "no\nroom"});
        assert_eq!(line(&body, Paint::Plain), "Held e062505: no\\nroom\n");
    }

    #[test]
    fn what_a_sync_did_is_told_object_by_object() {
        let body = json!({"resources": [
            {"group": "apps", "kind": "Deployment", "namespace": "shop", "name": "web", "status": "Synced", "message": "created"},
            {"kind": "Namespace", "name": "shop", "status": "SyncFailed", "message": "no\u{1b}"}]});
        assert_eq!(
            results(&body, Paint::Plain),
            "KIND              NAME       RESULT       MESSAGE\n\
             Deployment.apps   shop/web   Synced       created\n\
             Namespace         shop       SyncFailed   no\\u{1b}\n"
        );
    }
}
