//! Do an agent and whoever has only the status give the same verdict? Each situation is told to an engine; what it reports
//! is written into an Application; then both are asked.

use crate::cli::app::verdict;
use crate::status;
use application::status::Detail;
use engine::waiting::{self, Outcome, Wanted};
use engine::{Desired, Effect, Event, SourceFailure, State, step};
use model::{
    App, Comparison, DesiredHash, ErrorClass, Evidence, Health, HealthStatus, ObjectKey, ObjectOutcome,
    ObjectResult, ObjectStatus, Problem, Revision, Seconds, SyncStatus, Timestamp, digest,
};
use plan::{Plan, Stage};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::Arc;

/// An app that an engine is told about. Commits are `a`, `b`, `c`, each after the one before; so is what they hold.
struct Shop {
    state: State,
    app: App,
    raw: Value,
    now: Timestamp,
}

fn object(name: &str) -> ObjectKey {
    ObjectKey::new("", "ConfigMap", "shop", name)
}

fn hash(content: &str) -> DesiredHash {
    DesiredHash(digest(content.as_bytes()))
}

fn desired(revision: &str) -> Arc<Desired> {
    Arc::new(Desired {
        revision: Revision::new(revision),
        hash: hash(revision),
        n_objects: 1,
        source_type: "Directory".into(),
        progress_deadline: Seconds::ZERO,
        not_yet: Vec::new(),
        repeated: Vec::new(),
        overruled: Vec::new(),
        lasting: Vec::new(),
    })
}

/// Makes a comparison of `web=synced old=extra db=synced/Degraded`.
fn comparison(revision: &str, words: &str) -> Arc<Comparison> {
    let objects = words.split_whitespace().map(|word| {
        let (name, status) = word.split_once('=').unwrap();
        let (status, health) = status.split_once('/').unwrap_or((status, "Healthy"));
        let is_synced = status == "synced";
        ObjectStatus {
            key: object(name),
            version: "v1".into(),
            sync: Some(if is_synced { SyncStatus::Synced } else { SyncStatus::OutOfSync }),
            health: Some(Health::new(HealthStatus::parse(health).unwrap(), "")),
            evidence: Evidence::Holds,
            available: None,
            is_live: status != "missing",
            requires_pruning: status == "extra",
            requires_confirmation: false,
            refused: String::new(),
        }
    });
    let objects: Vec<ObjectStatus> = objects.collect();
    let differs = objects.iter().any(|object| object.sync == Some(SyncStatus::OutOfSync));
    let worst = objects.iter().filter_map(|object| object.health.as_ref()).map(|health| health.status).max();
    Arc::new(Comparison {
        hash: hash(revision),
        objects,
        sync: if differs { SyncStatus::OutOfSync } else { SyncStatus::Synced },
        health: Health::new(worst.unwrap_or(HealthStatus::Healthy), ""),
        is_complete: true,
        is_settled: true,
        progress: digest(words.as_bytes()),
        shared: Vec::new(),
        unseen: Vec::new(),
        images: Vec::new(),
        links: Vec::new(),
    })
}

fn told(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Decided(verdict) => format!("{}: {}", verdict.word.as_str(), verdict.message),
        Outcome::Waits(what) => format!("waits for {what}"),
    }
}

impl Shop {
    fn new(sync_policy: &Value) -> Self {
        let raw = json!({
            "apiVersion": "argoproj.io/v1alpha1", "kind": "Application",
            "metadata": {"name": "shop", "namespace": "argocd", "uid": "u", "resourceVersion": "1"},
            "spec": {
                "project": "default", "source": {"repoURL": "https://git.example.com/shop", "path": "."},
                "destination": {"name": "in-cluster", "namespace": "shop"}, "syncPolicy": sync_policy,
            },
        });
        let app = application::read(&raw).unwrap();
        let mut shop =
            Self { state: State::new(None, true), app, raw, now: Timestamp::from_millis(1_700_000_000_000) };
        shop.hears(Event::AppChanged);
        shop
    }

    fn hears(&mut self, event: Event) {
        self.now = self.now + Seconds::new(3);
        let state = std::mem::replace(&mut self.state, State::new(None, true));
        let (state, effects) = step(state, event, self.now, &self.app);
        self.state = state;
        for effect in effects {
            let Effect::Report(report) = effect else { continue };
            let own = status::own_state(&self.raw);
            let patch = status::patch(
                &self.raw,
                &self.app,
                (&report, Detail::Whole),
                (&own, None),
                "argocd",
                self.now,
            );
            merge(&mut self.raw, &patch.unwrap_or_default());
        }
        let app = application::read(&self.raw).unwrap();
        if app != self.app {
            self.app = app;
            self.hears(Event::AppChanged);
        }
    }

    /// A commit is pushed, and compared.
    fn pushed(mut self, revision: &str, words: &str) -> Self {
        self.hears(Event::Resolved(Revision::new(revision)));
        self.hears(Event::Rendered(desired(revision)));
        self.compared(revision, words)
    }

    fn compared(mut self, revision: &str, words: &str) -> Self {
        self.hears(Event::Compared(comparison(revision, words)));
        self
    }

    /// The sync that has begun is planned, and applies one object with this outcome.
    fn applied(self, name: &str, outcome: ObjectOutcome) -> Self {
        let stages = vec![Stage { keys: vec![object(name)] }];
        let mut shop = self.planned(Plan { stages, ..Plan::default() });
        let result = ObjectResult { key: object(name), version: "v1".into(), outcome, images: Vec::new() };
        shop.hears(Event::StageDone { sync: shop.state.newest, results: vec![result] });
        shop
    }

    fn planned(mut self, plan: Plan) -> Self {
        self.hears(Event::Planned { sync: self.state.newest, plan });
        self
    }

    /// The agent looks at its clock.
    fn later(mut self, seconds: i64) -> Self {
        self.now = self.now + Seconds::new(seconds);
        self.hears(Event::Woke);
        self
    }

    /// Somebody asks for a sync, whose commit is rendered.
    fn asked(mut self, sync: &Value, revision: &str) -> Self {
        self.raw["operation"] = json!({"sync": sync, "initiatedBy": {"username": "ada"}});
        self.app = application::read(&self.raw).unwrap();
        self.hears(Event::AppChanged);
        self.hears(Event::Prepared { sync: self.state.newest, desired: Ok(desired(revision)) });
        self
    }

    /// Returns what both say of a revision.
    #[track_caller]
    fn says(&self, wanted: &str) -> String {
        let reached = |all: &mut dyn Iterator<Item = Revision>| {
            let reached: BTreeSet<Revision> = all.filter(|revision| revision.as_str() >= wanted).collect();
            let was_reached = !reached.is_empty();
            Wanted { revision: Some(Revision::new(wanted)), reached, was_reached, has_looked: true }
        };
        let known = reached(&mut waiting::revisions(&self.state).into_iter().cloned());
        let by_agent = waiting::outcome(&self.state, &self.app, &known);
        let known = reached(&mut verdict::revisions(&self.raw).into_iter());
        let by_status = verdict::of_revision(&self.raw, &known);
        agreed(&by_agent, &by_status, &self.raw)
    }

    /// Returns what both say of the sync that was asked for.
    #[track_caller]
    fn says_of_the_request(&self, operation: &Value) -> String {
        let by_agent = waiting::of_request(&self.state, &self.app).unwrap();
        agreed(&by_agent, &verdict::of_sync(&self.raw, operation), &self.raw)
    }
}

#[track_caller]
fn agreed(by_agent: &Outcome, by_status: &Outcome, raw: &Value) -> String {
    assert_eq!(told(by_status), told(by_agent), "by the status and by the agent, of {raw:#}");
    let object = |outcome: &Outcome| match outcome {
        Outcome::Decided(verdict) => verdict.object.clone(),
        Outcome::Waits(_) => None,
    };
    assert_eq!(object(by_status), object(by_agent));
    told(by_agent)
}

/// Applies a merge patch (RFC 7386).
fn merge(value: &mut Value, patch: &Value) {
    let Some(fields) = patch.as_object() else { return };
    for (name, change) in fields {
        match change {
            Value::Null => drop(value.as_object_mut().map(|object| object.remove(name))),
            Value::Object(_) => {
                if !value[name].is_object() {
                    value[name] = json!({});
                }
                merge(&mut value[name], change);
            }
            other => value[name] = other.clone(),
        }
    }
}

fn automated(options: &Value) -> Shop {
    Shop::new(&json!({ "automated": options }))
}

/// An automated app that has deployed `a`.
fn deployed(options: &Value) -> Shop {
    let shop = automated(options).pushed("a", "old=synced web=missing");
    shop.applied("web", ObjectOutcome::Created).compared("a", "old=synced web=synced")
}

fn fails(class: ErrorClass) -> ObjectOutcome {
    ObjectOutcome::Failed(class, "no room".into())
}

const FAILED: &str = "one or more objects failed to apply, reason: ConfigMap shop/web: no room";

#[test]
fn what_is_deployed_stays_so_whatever_becomes_of_it() {
    let well = "Deployed: everything is as Git wants it, and healthy";
    assert_eq!(deployed(&json!({})).says("a"), well);
    // Somebody edits, and nothing puts it back.
    let edited = deployed(&json!({})).compared("a", "old=synced web=out");
    let since = "Deployed: successfully synced (all tasks run); by now it is OutOfSync, first of all ConfigMap shop/web";
    assert_eq!(edited.says("a"), since);
    let sick = deployed(&json!({})).compared("a", "old=synced web=synced/Degraded");
    assert_eq!(sick.says("a"), "Deployed: successfully synced (all tasks run); by now it is Degraded: ");
    // Git drops an object, and nothing deletes it.
    let dropped = deployed(&json!({})).pushed("b", "old=extra web=synced");
    let kept =
        "Deployed: everything that Git wants is there; what Git has no longer stays, for pruning is off";
    assert_eq!(dropped.says("b"), kept);
    assert_eq!(dropped.says("a"), kept);
}

#[test]
fn what_waits_for_a_person_holds() {
    let wiped = deployed(&json!({"prune": true})).pushed("b", "old=extra web=extra");
    assert!(wiped.says("b").starts_with("Held: an automated sync would delete everything"));
    let asks = Plan { unconfirmed: vec![object("old")], ..Plan::default() };
    let asks = deployed(&json!({"prune": true})).pushed("b", "old=extra web=synced").planned(asks);
    let asks = asks.compared("b", "old=extra web=synced");
    let said = asks.says("b");
    assert!(said.starts_with("Held: waiting for pruning confirmation of ConfigMap shop/old"), "{said}");
    let mut invalid = deployed(&json!({}));
    let problems = vec![Problem::new("web.yaml:3: no colon")];
    invalid.hears(Event::Resolved(Revision::new("b")));
    invalid.hears(Event::RenderFailed { revision: Revision::new("b"), problems });
    assert_eq!(invalid.says("b"), "Failed: b cannot be deployed: web.yaml:3: no colon");
    assert_eq!(invalid.says("a"), "Deployed: everything is as Git wants it, and healthy");
    let mut locked = deployed(&json!({}));
    let failure =
        SourceFailure { message: "no password".into(), is_transient: false, lacks_credentials: false };
    locked.hears(Event::SourceFailed(failure));
    assert_eq!(locked.says("b"), "Held: no password");
}

#[test]
fn a_sync_that_fails_of_what_may_pass_is_waited_for_and_holds_only_its_own_commit() {
    let begun = deployed(&json!({})).pushed("b", "old=synced web=out");
    let once = begun.applied("web", fails(ErrorClass::Unavailable)).compared("b", "old=synced web=out");
    let said = once.says("b");
    assert!(said.starts_with("waits for the next try at ") && said.ends_with(FAILED), "{said}");
    let twice = once.later(60).applied("web", fails(ErrorClass::Unavailable));
    let stuck = twice.compared("b", "old=synced web=out");
    let said = stuck.says("b");
    assert!(said.starts_with(&format!("Held: {FAILED}; it is tried again at ")), "{said}");
    // What mends it is on its way.
    let waits = "waits for c to come to what the Application follows, which is at b and does not hold it";
    assert_eq!(stuck.says("c"), waits);
    let fault =
        deployed(&json!({})).pushed("b", "old=synced web=out").applied("web", fails(ErrorClass::Invalid));
    let fault = fault.compared("b", "old=synced web=out");
    assert_eq!(fault.says("b"), format!("Failed: {FAILED}"));
    // No repeats: it is over, and nobody's fault.
    let policy = json!({"automated": {}, "retry": {"limit": 0}});
    let over = Shop::new(&policy).pushed("a", "web=missing").applied("web", fails(ErrorClass::Unavailable));
    assert_eq!(over.compared("a", "web=missing").says("a"), format!("Held: {FAILED}"));
}

#[test]
fn what_nobody_asked_for_is_not_requested_and_what_somebody_did_is_deployed() {
    let manual = || Shop::new(&json!({})).pushed("a", "old=extra web=missing");
    let nobody = "NotRequested: the Application differs from it, is not synced automatically, and nobody asked for a sync";
    assert_eq!(manual().says("a"), nobody);
    let begun = manual().asked(&json!({}), "a");
    assert_eq!(begun.says("a"), "waits for the sync under way");
    // What is not pruned stays.
    let synced = begun.applied("web", ObjectOutcome::Created).compared("a", "old=extra web=synced");
    let since = "Deployed: successfully synced (all tasks run); by now it is OutOfSync, first of all ConfigMap shop/old";
    assert_eq!(synced.says("a"), since);
    assert_eq!(synced.pushed("b", "old=extra web=out").says("b"), nobody);
}

#[test]
fn a_dry_run_and_a_sync_of_single_objects_are_judged_by_themselves_and_count_for_no_commit() {
    let nobody = "NotRequested: the Application differs from it, is not synced automatically, and nobody asked for a sync";
    let done = "Deployed: successfully synced";
    for sync in [json!({"dryRun": true}), json!({"resources": [{"kind": "ConfigMap", "name": "web"}]})] {
        let manual = Shop::new(&json!({})).pushed("a", "web=missing").asked(&json!({}), "a");
        let manual = manual.applied("web", ObjectOutcome::Created).compared("a", "web=synced");
        let manual = manual.pushed("b", "db=missing web=out").asked(&sync, "b");
        let operation = manual.raw["operation"].clone();
        assert_eq!(manual.says_of_the_request(&operation), "waits for the sync under way", "{sync}");
        let over = manual.applied("web", ObjectOutcome::Configured).compared("b", "db=missing web=out");
        assert!(over.says_of_the_request(&operation).starts_with(done), "{sync}");
        assert_eq!(over.says("b"), nobody, "{sync}");
        // A sync of the agent's own may follow at once.
        assert!(verdict::of_sync(&over.raw, &json!({"sync": {}})) != verdict::of_sync(&over.raw, &operation));
    }
    let chosen = deployed(&json!({})).pushed("b", "old=synced web=synced");
    let chosen = chosen.asked(&json!({"revision": "a"}), "a").compared("a", "old=synced web=out");
    let operation = chosen.raw["operation"].clone();
    let chosen = chosen.applied("web", ObjectOutcome::Configured).compared("a", "old=synced web=synced");
    let chosen = chosen.compared("b", "old=synced web=synced");
    assert!(chosen.says_of_the_request(&operation).starts_with(done));
}
