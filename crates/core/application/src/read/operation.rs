//! What does a requested sync ask for?

use super::{Flags, read_retry, text};
use crate::findings::Findings;
use crate::options::{self, Meaning};
use crate::{crd, honoured, repo, schema, wire};
use model::{LONGEST_TARGET, NotYet, Operation, ResourceSelector, Retry};
use serde_json::Value;

/// Reads `operation`. Whatever is wrong with it, or not supported, is told in `not_yet` and makes it refused; the app
/// itself stays as it is.
pub(super) fn read(raw: &Value, spec: &Value, app: Flags, retry: Option<Retry>) -> Option<Operation> {
    let mut cleaned = raw.get("operation").filter(|operation| !operation.is_null())?.clone();
    let mut findings = Findings::default();
    let fits = schema::clean(
        &mut cleaned,
        &crd::APPLICATION_SCHEMA["properties"]["operation"],
        "operation",
        &mut findings,
    );
    let parsed: wire::Operation =
        fits.then(|| serde_json::from_value(cleaned.clone()).ok()).flatten().unwrap_or_default();
    honoured::others(&without_strategy(cleaned), "operation", honoured::OPERATION, &mut findings);
    check(&parsed, spec, app, retry, &mut findings);
    let sync = parsed.sync.unwrap_or_default();
    Some(Operation {
        // What is too long is refused above, and carried no further.
        revision: text(sync.revision.as_ref().filter(|revision| revision.len() <= LONGEST_TARGET)),
        prune: sync.prune == Some(true),
        dry_run: sync.dry_run == Some(true),
        resources: sync.resources.iter().flatten().map(selector).collect(),
        username: parsed.initiated_by.map(|by| text(by.username.as_ref())).unwrap_or_default(),
        retry_limit: parsed.retry.and_then(|retry| retry.limit),
        not_yet: reasons(findings),
    })
}

/// Both strategies come to the same while hooks make an app read-only; `force` alone asks for something of its own.
fn without_strategy(mut operation: Value) -> Value {
    if let Some(strategy) = operation.pointer_mut("/sync/syncStrategy")
        && honoured::is_blank(strategy)
    {
        *strategy = Value::Null;
    }
    operation
}

fn check(
    operation: &wire::Operation,
    spec: &Value,
    app: Flags,
    retry: Option<Retry>,
    findings: &mut Findings,
) {
    let Some(sync) = &operation.sync else {
        return findings.problem("operation.sync", "is missing: no operation specified");
    };
    repo::check_revision(&text(sync.revision.as_ref()), "operation.sync.revision", findings);
    let source = sync.source.as_ref().and_then(|source| serde_json::to_value(source).ok());
    if source.is_some_and(|source| !honoured::is_blank(&source) && pruned(&source) != pruned(&spec["source"]))
    {
        findings.not_yet("operation.sync.source (other than the spec's)");
    }
    for option in sync.sync_options.iter().flatten() {
        check_option(option, app, findings);
    }
    if let Some(wanted) = operation.retry.as_ref().filter(|retry| retry.backoff.is_some()) {
        let wanted = read_retry(wanted, "operation.retry", findings).backoff;
        if wanted != retry.map(|retry| retry.backoff).unwrap_or_default() {
            findings.not_yet("operation.retry.backoff (other than the spec's)");
        }
    }
}

/// An operation's options replace the spec's in Argo CD. Here they may repeat them, or say what is so already.
fn check_option(option: &str, app: Flags, findings: &mut Findings) {
    let same = match options::meaning(option) {
        Meaning::NoEffect => true,
        Meaning::CreateNamespace => app.create_namespace,
        Meaning::NoPrune => app.no_prune,
        Meaning::NoDelete => app.no_delete,
        Meaning::ConfirmPrune | Meaning::ConfirmDelete | Meaning::NotYet | Meaning::Unknown => false,
    };
    if !same {
        findings.not_yet(format!("operation.sync.syncOptions: {}", option.trim()));
    }
}

fn reasons(findings: Findings) -> Vec<NotYet> {
    let (problems, not_yet) = findings.into_parts();
    problems.into_iter().map(|problem| NotYet { field: problem.message }).chain(not_yet).collect()
}

fn selector(wire: &wire::SyncResource) -> ResourceSelector {
    ResourceSelector {
        group: text(wire.group.as_ref()),
        kind: text(wire.kind.as_ref()),
        namespace: text(wire.namespace.as_ref()),
        name: text(wire.name.as_ref()),
    }
}

/// Returns a value without what says nothing, so that `directory: {}` equals its absence.
fn pruned(value: &Value) -> Value {
    match value {
        Value::Object(map) => Value::Object(
            map.iter().filter(|(_, v)| !honoured::is_blank(v)).map(|(k, v)| (k.clone(), pruned(v))).collect(),
        ),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => value.clone(),
    }
}
