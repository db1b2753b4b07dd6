//! How do the tests speak of what happens? `compared a: web=out/Healthy old=extra`, one event per line.

use super::{hash, revision};
use engine::{
    Attempt, CascadePass, Desired, Event, NotRecalled, SourceFailure, State, Told, Unreadable, Writes,
};
use model::{
    Available, Check, CommitInfo, Comparison, Culprit, ErrorClass, Evidence, Headway, Health, HealthStatus,
    Look, NotYet, ObjectKey, ObjectOutcome, ObjectResult, ObjectStatus, OperationPhase, Problem, Reason,
    Seconds, Stable, SyncId, SyncStatus, Timestamp, digest,
};
use plan::{Plan, Stage};
use std::sync::Arc;

/// Names an object.
/// Returns the key of a `ConfigMap`, or of a custom resource that is called `widget`.
fn key(name: &str) -> ObjectKey {
    let (group, kind) =
        if name.starts_with("widget") { ("example.com", "Widget") } else { ("", "ConfigMap") };
    ObjectKey::new(group, kind, "ns", name)
}

/// Reads an event. Answers are given to the newest sync unless the line begins with `late`, which answers the first.
pub(crate) fn event(line: &str, state: &State) -> Event {
    let (line, sync) = match line.strip_prefix("late ") {
        Some(rest) => (rest, SyncId(1)),
        None => (line, state.newest),
    };
    let (head, tail) = line.split_once(':').map_or((line, ""), |(head, tail)| (head, tail.trim()));
    let mut words = head.split_whitespace();
    let verb = words.next().expect("a verb");
    let name = words.next().unwrap_or_default();
    match verb {
        "app" => Event::AppChanged,
        "refused" => Event::Refused(vec![Problem::new(tail)]),
        "resolved" => Event::Resolved(revision(name)),
        "overheard" if tail.is_empty() => Event::Overheard(Ok(revision(name))),
        "overheard" => Event::Overheard(Err(failure(tail))),
        "fails" => Event::SourceFailed(failure(tail)),
        "locked" => Event::SourceFailed(SourceFailure { lacks_credentials: true, ..failure(tail) }),
        "blinks" => Event::SourceFailed(SourceFailure { is_transient: true, ..failure(tail) }),
        "rendered" => Event::Rendered(desired(name, tail)),
        "invalid" => Event::RenderFailed { revision: revision(name), problems: vec![Problem::new(tail)] },
        "unsupported" => Event::Unsupported { revision: revision(name), not_yet: needs(tail) },
        "compared" => Event::Compared(Arc::new(comparison(name, tail))),
        "prepared" if name == "nothing" => Event::Prepared { sync, desired: Err(tail.into()) },
        "prepared" => Event::Prepared { sync, desired: Ok(desired(name, tail)) },
        "stable" => Event::Stable(stable(name, tail)),
        "recalled" => Event::Recalled { release: name.parse().expect("a number"), desired: recalled(tail) },
        "reverted" => {
            let outcome = match tail.strip_prefix("failed ") {
                Some(why) => Err(why.into()),
                None => Ok(tail.into()),
            };
            Event::Reverted { hash: hash(name), outcome }
        }
        "checked" => Event::Checked {
            hash: hash(name),
            since: match (words.next(), &state.soak) {
                (Some(since), _) => Timestamp::from_millis(since.parse::<i64>().expect("seconds") * 1000),
                (None, Some(soak)) => soak.run.started_at,
                (None, None) => Timestamp::from_millis(0),
            },
            looks: tail.split(", ").filter(|look| !look.is_empty()).map(look).collect(),
        },
        "differs" => Event::Differs { hash: hash(name), keys: tail.split_whitespace().map(key).collect() },
        "planned" => Event::Planned { sync, plan: plan(tail) },
        "done" => Event::StageDone { sync, results: tail.split(", ").map(result).collect() },
        "culprit" => {
            Event::Culprit { hash: hash(name), reason: Reason::Degraded, culprit: Box::new(culprit(tail)) }
        }
        "cascaded" => Event::Cascaded(pass(tail)),
        "unreadable" => Event::Settings(tail.split_whitespace().map(unreadable).collect()),
        "live" => Event::LiveChanged,
        "ground" => Event::GroundChanged,
        "woke" => Event::Woke,
        "allowed" => Event::Writes(Writes::Allowed),
        "forbidden" => Event::Writes(Writes::Forbidden),
        other => panic!("no such event: {other}"),
    }
}

/// Reads what a check said: `smoke=passed`, `smoke=failed why`.
fn look(text: &str) -> (Check, Look) {
    let (name, said) = text.split_once('=').expect("name=look");
    let (word, why) = said.split_once(' ').unwrap_or((said, ""));
    let look = match word {
        "passed" => Look::Passed,
        "failed" => Look::Failed(why.into()),
        "waits" => Look::Waits(why.into()),
        "unknown" => Look::Unknown(why.into()),
        other => panic!("no such look: {other}"),
    };
    (super::check(name), look)
}

/// Makes the culprit of `web: the last line of its log`, brought by Ann.
pub(crate) fn culprit(log: &str) -> Culprit {
    Culprit {
        object: key("web"),
        pod: "web-1".into(),
        container: "app".into(),
        reason: "Error".into(),
        message: String::new(),
        log: vec![log.into()],
        events: Vec::new(),
        commit: Some(CommitInfo {
            revision: revision("a"),
            author: "Ann <ann@example.com>".into(),
            subject: "new config".into(),
            time: Timestamp::from_millis(0),
        }),
    }
}

/// Makes what can be gone back to of `3: a`, or `3: a found`.
fn stable(number: &str, text: &str) -> Option<Stable> {
    let mut words = text.split_whitespace();
    let name = words.next()?;
    let hash = hash(name.split('-').next().unwrap_or_default());
    let is_baseline = words.next() == Some("found");
    Some(Stable { number: number.parse().expect("a number"), hash, revision: revision(name), is_baseline })
}

/// Makes what a release holds of `a`, or why nobody knows of `lost why` and `blinks why`.
fn recalled(text: &str) -> Result<Arc<Desired>, NotRecalled> {
    match text.split_once(' ') {
        Some((word @ ("lost" | "blinks"), why)) => {
            Err(NotRecalled { message: why.into(), is_transient: word == "blinks" })
        }
        Some((name, words)) => Ok(desired(name, words)),
        None => Ok(desired(text, "")),
    }
}

fn failure(message: &str) -> SourceFailure {
    SourceFailure { message: message.into(), is_transient: false, lacks_credentials: false }
}

/// Makes a setting of `now=x`, `from=60=x` or `locked=x`.
fn unreadable(text: &str) -> Unreadable {
    let (when, rest) = text.split_once('=').expect("when=what");
    let (told, message) = match when {
        "now" => (Told::Now, rest),
        "locked" => (Told::WithoutCredentials, rest),
        "from" => {
            let (at, message) = rest.split_once('=').expect("from=seconds=what");
            (Told::From(Timestamp::from_millis(at.parse::<i64>().expect("seconds") * 1000)), message)
        }
        other => panic!("no such time: {other}"),
    };
    Unreadable { message: message.into(), told }
}

/// Returns what a status says of `needs=x`: what made the app read-only.
pub(crate) fn remembered_not_yet(text: &str) -> Vec<NotYet> {
    let fields = text.split_whitespace().filter_map(|word| word.strip_prefix("needs="));
    fields.map(|field| NotYet { field: field.into() }).collect()
}

fn needs(text: &str) -> Vec<NotYet> {
    text.split_whitespace().map(|field| NotYet { field: field.into() }).collect()
}

/// Makes what Git wants. The revision `b-2` has the content of `b`; `needs=x`, `repeats=x` and `keeps=x` say what is odd.
fn desired(name: &str, words: &str) -> Arc<Desired> {
    let content = name.split('-').next().unwrap_or_default();
    let all = |prefix: &str| -> Vec<String> {
        words.split_whitespace().filter_map(|word| word.strip_prefix(prefix)).map(Into::into).collect()
    };
    Arc::new(Desired {
        revision: revision(name),
        hash: hash(content),
        n_objects: 1,
        source_type: "Directory".into(),
        progress_deadline: all("rollout=")
            .first()
            .map_or(Seconds::ZERO, |s| Seconds::new(s.parse().expect("s"))),
        not_yet: all("needs=").into_iter().map(|field| NotYet { field }).collect(),
        repeated: all("repeats="),
        overruled: all("overrules="),
        lasting: all("keeps="),
    })
}

/// Makes a comparison of `name=status[/health[!][~message]]`, where `!` says that the content is to blame; `incomplete`, `unsettled` and `progress=n` are about the whole.
fn comparison(name: &str, words: &str) -> Comparison {
    let mut comparison = Comparison {
        hash: hash(name),
        objects: Vec::new(),
        sync: SyncStatus::Synced,
        health: Health::healthy(),
        is_complete: true,
        is_settled: true,
        progress: digest(b"0"),
        shared: Vec::new(),
        unseen: Vec::new(),
        images: Vec::new(),
        links: Vec::new(),
    };
    for word in words.split_whitespace() {
        match word.split_once('=') {
            None if word == "incomplete" => comparison.is_complete = false,
            None if word == "unsettled" => comparison.is_settled = false,
            Some(("progress", value)) => comparison.progress = digest(value.as_bytes()),
            Some(("unseen", value)) => comparison.unseen.push(value.into()),
            Some(("shared", value)) => comparison.shared.push(value.into()),
            Some((name, status)) => comparison.objects.push(object(name, status)),
            None => panic!("no such word: {word}"),
        }
    }
    comparison.objects.sort_by(|a, b| a.key.cmp(&b.key));
    let statuses: Vec<SyncStatus> = comparison.objects.iter().filter_map(|o| o.sync).collect();
    comparison.sync = [SyncStatus::OutOfSync, SyncStatus::Unknown]
        .into_iter()
        .find(|status| statuses.contains(status))
        .unwrap_or(if comparison.is_complete { SyncStatus::Synced } else { SyncStatus::Unknown });
    let worst = comparison.objects.iter().filter_map(|o| o.health.as_ref()).map(|h| h.status).max();
    comparison.health = Health::new(worst.unwrap_or(HealthStatus::Healthy), "");
    comparison
}

/// Makes one of `status[/health[!][~message]][+3of4]`, where that many pods of so many serve.
fn object(name: &str, status: &str) -> ObjectStatus {
    let (status, serving) = status.split_once('+').map_or((status, None), |(status, n)| (status, Some(n)));
    let available = serving.map(|serving| {
        let (now, wanted) = serving.split_once("of").expect("n of m");
        Available { now: now.parse().expect("a number"), wanted: wanted.parse().expect("a number") }
    });
    let (status, health) = status.split_once('/').map_or((status, None), |(s, h)| (s, Some(h)));
    let sync = match status {
        "synced" => SyncStatus::Synced,
        "out" | "missing" | "extra" => SyncStatus::OutOfSync,
        "unknown" | "refused" => SyncStatus::Unknown,
        other => panic!("no such status: {other}"),
    };
    let (health, message) = health.map_or((None, ""), |text| {
        let (word, message) = text.split_once('~').unwrap_or((text, ""));
        (Some(word), message)
    });
    let evidence = match health {
        None | Some("Healthy" | "Suspended" | "Missing") => Evidence::None,
        Some(word) if word.ends_with('!') => Evidence::Condemns,
        Some(_) => Evidence::Holds,
    };
    let health = health.map(|word| {
        let status = HealthStatus::parse(word.trim_end_matches('!')).expect("a health status");
        Health::new(status, message.replace('_', " "))
    });
    ObjectStatus {
        key: key(name),
        version: "v1".into(),
        sync: Some(sync),
        health,
        evidence,
        available,
        is_live: status != "missing",
        requires_pruning: status == "extra",
        requires_confirmation: false,
        refused: if status == "refused" { "belongs to another app".into() } else { String::new() },
    }
}

/// Makes a plan of `apply x y | prune z | skip k | ask p`.
fn plan(text: &str) -> Plan {
    let mut plan = Plan::default();
    for part in text.split('|').map(str::trim).filter(|part| !part.is_empty()) {
        let mut words = part.split_whitespace();
        let verb = words.next().expect("a verb");
        let keys: Vec<ObjectKey> = words.map(key).collect();
        match verb {
            "apply" => plan.stages.push(Stage { keys }),
            "prune" => plan.prunes.push(Stage { keys }),
            "ask" => plan.unconfirmed.extend(keys),
            "skip" => plan.skipped.extend(keys.into_iter().map(|key| ObjectResult {
                key,
                version: "v1".into(),
                outcome: ObjectOutcome::PruneSkipped("ignored (requires pruning)".into()),
                images: Vec::new(),
            })),
            other => panic!("no such part: {other}"),
        }
    }
    plan
}

/// Makes a result of `name=outcome`, where failures are `class message`.
fn result(text: &str) -> ObjectResult {
    let (name, outcome) = text.trim().split_once('=').expect("name=outcome");
    let (word, message) = outcome.split_once(' ').unwrap_or((outcome, ""));
    let failed = |class| ObjectOutcome::Failed(class, message.into());
    let outcome = match word {
        "created" => ObjectOutcome::Created,
        "configured" => ObjectOutcome::Configured,
        "unchanged" => ObjectOutcome::Unchanged,
        "pruned" => ObjectOutcome::Pruned,
        "skipped" => ObjectOutcome::PruneSkipped(message.into()),
        "conflict" => failed(ErrorClass::Conflict),
        "forbidden" => failed(ErrorClass::Forbidden),
        "denied" => failed(ErrorClass::Denied),
        "notfound" => failed(ErrorClass::NotFound),
        "gone" => failed(ErrorClass::Gone),
        "throttled" => failed(ErrorClass::Throttled),
        "unavailable" => failed(ErrorClass::Unavailable),
        "withheld" => failed(ErrorClass::Withheld),
        "nokind" => failed(ErrorClass::NoSuchKind),
        "invalid" => failed(ErrorClass::Invalid),
        other => panic!("no such outcome: {other}"),
    };
    ObjectResult { key: key(name), version: "v1".into(), outcome, images: Vec::new() }
}

fn pass(text: &str) -> CascadePass {
    let all = |prefix: &str| -> Vec<String> {
        text.split_whitespace().filter_map(|word| word.strip_prefix(prefix)).map(Into::into).collect()
    };
    CascadePass {
        remaining: all("left="),
        has_conflicts: text.split_whitespace().any(|word| word == "conflicts"),
        unconfirmed: all("asks="),
        failed: all("failed="),
        unseen: all("unseen="),
        not_yet: all("needs="),
        not_permitted: all("kept="),
    }
}

/// Returns when it was, `name=seconds` ago.
fn ago(now: Timestamp, word: &str) -> Timestamp {
    let (_, seconds) = word.split_once('=').expect("name=seconds");
    now - Seconds::new(seconds.parse().expect("seconds"))
}

/// Makes what a status remembers of `phase name`, such as `Running a`; nothing of nothing. It began `since=seconds` ago, and
/// for so long it was `stuck` as it is, or was so before it `moved`.
pub(crate) fn remembered(text: &str, now: Timestamp) -> Option<Attempt> {
    let (phase, rest) = text.split_once(' ')?;
    let mut words = rest.split_whitespace();
    let name = words.next().expect("a revision");
    let mut attempt = Attempt {
        hash: Some(hash(name.split('-').next().unwrap_or_default())),
        revision: revision(name),
        phase: OperationPhase::parse(phase).expect("a phase"),
        reason: Reason::Synced,
        message: "as the status says".into(),
        started_at: now,
        finished_at: now,
        retries: 0,
        results: Vec::new(),
        operation: None,
        selective: Vec::new(),
        heals: 0,
        is_condemned: false,
        may_repeat: false,
        was_blind: false,
        is_old: true,
        headway: None,
    };
    for word in words {
        match word {
            "late" => attempt.reason = Reason::HealthTimeout,
            "condemned" => attempt.is_condemned = true,
            "held" => {}
            "hashless" => attempt.hash = None,
            word if word.starts_with("needs=") => {}
            word if word.starts_with("since=") => attempt.started_at = ago(now, word),
            word if word.starts_with("stuck=") || word.starts_with("moved=") => {
                let since = ago(now, word);
                let progress = digest(if word.starts_with("stuck=") { b"0" } else { b"1" });
                attempt.started_at = since;
                attempt.headway = Some(Headway { tried_at: since, progress, progress_at: since });
            }
            "dry" => attempt.operation.get_or_insert_default().dry_run = true,
            other => panic!("no such word: {other}"),
        }
    }
    Some(attempt)
}
