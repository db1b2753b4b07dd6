//! How do the tests speak of an app? `auto prune heal op prune dry`, one word per fact.

use model::{
    App, AppKey, Asked, Backoff, Bound, Cascade, Check, Deletion, Destination, Directory, HttpProbe, NoData,
    NotYet, Operation, Probe, QueryProbe, Refresh, ReleaseRequest, ResourceSelector, Retry, Scheme, Seconds,
    Source, Stable, Timestamp,
};

/// Makes an app of words. `auto` alone has neither pruning nor self-heal; words after `op` are the operation's.
pub(crate) fn app(words: &str) -> App {
    let words: Vec<&str> = words.split_whitespace().collect();
    let (spec, operation) = match words.iter().position(|word| *word == "op") {
        Some(at) => (&words[..at], Some(&words[at + 1..])),
        None => (&words[..], None),
    };
    let mut app = plain();
    for word in spec {
        change(&mut app, word);
    }
    app.operation = operation.map(read_operation);
    app
}

fn change(app: &mut App, word: &str) {
    let (word, value) = word.split_once('=').unwrap_or((word, ""));
    match word {
        "auto" => {
            app.automated.get_or_insert_default();
        }
        "prune" => app.automated.get_or_insert_default().prune = true,
        "heal" => app.automated.get_or_insert_default().self_heal = true,
        "allow-empty" => app.automated.get_or_insert_default().allow_empty = true,
        "limit" => {
            let limit = value.parse().expect("a number");
            app.retry = Some(Retry { limit, backoff: Backoff::default() });
        }
        "needs" => app.not_yet.push(NotYet { field: value.into() }),
        "refresh" => {
            app.refresh = Some(Refresh::Normal);
            app.refresh_stamp = value.into();
        }
        "hard-refresh" => {
            app.refresh = Some(Refresh::Hard);
            app.refresh_stamp = value.into();
        }
        "terminate" => app.terminate = true,
        "skip" => app.skip_reconcile = true,
        "after-settle" => app.prunes_after_settling = true,
        "approved" => app.deletion_approved = Some(seconds(value)),
        "deleted" => {
            let cascade = match value {
                "background" => Cascade::Background,
                "orphan" => Cascade::Orphan,
                _ => Cascade::Foreground,
            };
            app.deletion = Some(Deletion { requested_at: Timestamp::from_millis(0), cascade });
        }
        "rollback" => app.rollback.policy = Some(value.parse().expect("a policy")),
        "rollback-to" => {
            app.request = Some(asked(Asked::RollBack { to: release(value), until_resumed: false }));
        }
        "hold-at" => app.request = Some(asked(Asked::RollBack { to: release(value), until_resumed: true })),
        "resume" => app.request = Some(asked(Asked::Resume)),
        "quarantine" => app.request = Some(asked(Asked::Quarantine)),
        "first" => app.rollback.first_deploy = value.parse().expect("keep or remove"),
        "grace" => app.rollback.degraded_grace = Seconds::new(value.parse().expect("a number")),
        "soak" => app.rollback.soak = Seconds::new(value.parse().expect("a number")),
        "check" => app.checks.push(check(value)),
        "branch" => app.source.target_revision = value.into(),
        "manual" => {}
        other => panic!("no such word: {other}"),
    }
}

/// Makes a check of its name; `errors` is a query.
pub(crate) fn check(name: &str) -> Check {
    let probe = match name {
        "errors" => Probe::Query(QueryProbe {
            expr: "errors".into(),
            bound: Bound::AtMostTimes(1.5),
            no_data: NoData::Fail,
        }),
        _ => Probe::Http(HttpProbe {
            namespace: "ns".into(),
            service: name.into(),
            port: "80".into(),
            path: "/".into(),
            scheme: Scheme::Http,
            statuses: vec![200],
            within: Seconds::new(1),
        }),
    };
    Check { name: name.into(), probe }
}

fn asked(what: Asked) -> ReleaseRequest {
    ReleaseRequest { what, username: "jo".into(), stamp: String::new() }
}

/// Makes a release of `3:a`.
fn release(text: &str) -> Stable {
    let (number, name) = text.split_once(':').expect("number:name");
    let number = number.parse().expect("a number");
    Stable { number, hash: super::hash(name), revision: super::revision(name), is_baseline: false }
}

fn seconds(text: &str) -> Timestamp {
    Timestamp::from_millis(text.parse::<i64>().expect("seconds") * 1000)
}

fn read_operation(words: &[&str]) -> Operation {
    let mut operation = Operation::default();
    for word in words {
        let (word, value) = word.split_once('=').unwrap_or((word, ""));
        match word {
            "prune" => operation.prune = true,
            "dry" => operation.dry_run = true,
            "at" => operation.revision = value.into(),
            "by" => operation.username = value.into(),
            "limit" => operation.retry_limit = Some(value.parse().expect("a number")),
            "needs" => operation.not_yet.push(NotYet { field: value.into() }),
            "only" => operation.resources.push(ResourceSelector {
                group: String::new(),
                kind: "ConfigMap".into(),
                namespace: String::new(),
                name: value.into(),
            }),
            other => panic!("no such word: {other}"),
        }
    }
    operation
}

fn plain() -> App {
    App {
        uid: "uid".into(),
        project: "default".into(),
        source: Source {
            repo_url: "https://example.com/shop".into(),
            path: "app".into(),
            target_revision: "main".into(),
            directory: Directory::default(),
        },
        destination: Destination { server: String::new(), name: "in-cluster".into(), namespace: "ns".into() },
        ..App::named(AppKey::new("argocd", "shop"))
    }
}
