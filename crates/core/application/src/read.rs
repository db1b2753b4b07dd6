//! What does an Application ask for, and what is wrong with it?
//!
//! ```text
//! raw ──schema──▶ misfits told and taken out ──▶ wire types ──▶ App + problems + not-yets
//! ```
//!
//! Where a setting of ours stands both as annotation `tautline.dev/...` and under `spec.syncPolicy.tautline` or
//! `spec.syncPolicy.rollback`, the annotation wins: it is the form that works under Argo CD's CRDs too, and what a person adds
//! in a hurry.

mod checks;
mod metadata;
mod operation;
mod request;
mod rollback;
mod source;

pub(crate) use metadata::{annotation as metadata_annotation, text as metadata_text};
pub use metadata::{app_key, deletion, refresh, skips_reconcile};
pub use request::request as release_request;
pub(crate) use rollback::Setting;

use crate::findings::Findings;
use crate::options::{self, Meaning};
use crate::{crd, duration, honoured, schema, wire};
use model::{AddedFields, App, Automated, Backoff, Destination, IgnoreRule, Problem, Retry, names};
use serde_json::{Map, Value, json};
use std::fmt::Write as _;

/// URL of the cluster that the agent runs in (Argo CD cluster documentation).
pub const IN_CLUSTER_SERVER: &str = "https://kubernetes.default.svc";
/// Name of the cluster that the agent runs in.
pub const IN_CLUSTER_NAME: &str = "in-cluster";

/// Reads an Application as the API server gave it.
///
/// # Errors
/// All problems of its spec and annotations, each with the field's name. A malformed `operation` is none of them: it
/// makes the operation refused (`Operation::not_yet`), not the app invalid.
pub fn read(raw: &Value) -> Result<App, Vec<Problem>> {
    let mut findings = Findings::default();
    let spec = clean_spec(raw, &mut findings);
    honoured::others(&spec, "spec", honoured::SPEC, &mut findings);
    let parsed: wire::ApplicationSpec = match serde_json::from_value(spec.clone()) {
        Ok(parsed) => parsed,
        Err(error) => return Err(vec![Problem::new(format!("spec: {error}"))]),
    };
    let app = app(raw, &spec, &parsed, &mut findings);
    let (problems, not_yet) = findings.into_parts();
    if problems.is_empty() { Ok(App { not_yet, ..app }) } else { Err(problems) }
}

/// Takes over what an Application asks for beside its spec: it is heard even where the spec is wrong, so that a deletion, a
/// refresh or an operation gets its answer.
pub fn requests(raw: &Value, app: App) -> App {
    App {
        operation: operation::read(raw, &Value::Null, Flags::default(), None),
        terminate: is_terminating(raw),
        refresh: refresh(raw),
        refresh_stamp: metadata::refresh_stamp(raw),
        request: request::read(raw),
        skip_reconcile: skips_reconcile(raw),
        deletion: deletion(raw),
        deletion_approved: deletion_approved(raw),
        ..app
    }
}

/// Stands for everything that [`read`] looks at: while it stays the same, an Application asks for the same. Our own writes
/// change the rest of it: the status and what our annotation remembers.
pub fn asked(raw: &Value) -> model::Digest {
    let without = |part: &'static str, changing: &'static [&'static str]| {
        let fields = raw.pointer(part).and_then(Value::as_object).into_iter().flatten();
        fields.filter(move |(field, _)| !changing.contains(&field.as_str()))
    };
    let metadata = without("/metadata", &["annotations", "resourceVersion", "generation", "managedFields"]);
    let annotations = without("/metadata/annotations", &[names::STATE_ANNOTATION]);
    let mut text = format!("{};{};{};", raw["spec"], raw["operation"], is_terminating(raw));
    for (part, (field, value)) in metadata.map(|pair| ('m', pair)).chain(annotations.map(|pair| ('a', pair)))
    {
        // Quoted, so that no two things read alike.
        let _infallible = write!(text, "{part}{field:?}={value};");
    }
    model::digest(text.as_bytes())
}

fn is_terminating(raw: &Value) -> bool {
    raw.pointer("/status/operationState/phase").is_some_and(|phase| phase == "Terminating")
}

fn deletion_approved(raw: &Value) -> Option<model::Timestamp> {
    metadata::annotation(raw, names::DELETION_APPROVED).and_then(|text| text.parse().ok())
}

fn clean_spec(raw: &Value, findings: &mut Findings) -> Value {
    let mut spec = raw.get("spec").cloned().unwrap_or_else(|| json!({}));
    if schema::clean(&mut spec, &crd::APPLICATION_SCHEMA["properties"]["spec"], "spec", findings) {
        spec
    } else {
        Value::Object(Map::new())
    }
}

fn app(raw: &Value, spec: &Value, parsed: &wire::ApplicationSpec, findings: &mut Findings) -> App {
    metadata::check(raw, findings);
    let policy = parsed.sync_policy.clone().unwrap_or_default();
    let flags = sync_options(policy.sync_options.as_deref().unwrap_or_default(), findings);
    let retry = policy.retry.as_ref().map(|retry| read_retry(retry, "spec.syncPolicy.retry", findings));
    let ours = policy.tautline.unwrap_or_default();
    let rollback = policy.rollback.unwrap_or_default();
    let destination = read_destination(parsed.destination.as_ref(), findings);
    App {
        key: app_key(raw),
        uid: metadata::text(raw, "uid").to_owned(),
        project: text(parsed.project.as_ref()).if_empty("default"),
        source: source::read(parsed, spec, findings),
        checks: checks::read(raw, &rollback, &destination.namespace, findings),
        destination,
        automated: policy.automated.filter(|a| a.enabled != Some(false)).map(|automated| Automated {
            prune: automated.prune == Some(true),
            self_heal: automated.self_heal == Some(true),
            allow_empty: automated.allow_empty == Some(true),
        }),
        create_namespace: flags.create_namespace,
        prune_disabled: flags.no_prune,
        prunes_after_settling: rollback::prunes_after_settling(raw, findings),
        delete_disabled: flags.no_delete,
        operation: operation::read(raw, spec, flags, retry),
        retry,
        ignore_differences: ignore_rules(parsed, findings),
        history_limit: history_limit(parsed.revision_history_limit),
        added_fields: added_fields(raw, ours.added_fields.as_deref(), findings),
        sync_deadline: rollback::deadline(raw, &rollback, findings),
        rollback: rollback::settings(raw, &rollback, findings),
        not_yet: Vec::new(),
        terminate: is_terminating(raw),
        refresh: refresh(raw),
        refresh_stamp: metadata::refresh_stamp(raw),
        request: request::read(raw),
        skip_reconcile: skips_reconcile(raw),
        deletion: deletion(raw),
        deletion_approved: deletion_approved(raw),
    }
}

/// What the app's sync options switch on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Flags {
    create_namespace: bool,
    no_prune: bool,
    no_delete: bool,
}

fn sync_options(list: &[String], findings: &mut Findings) -> Flags {
    let mut flags = Flags::default();
    for (index, option) in list.iter().enumerate() {
        let path = format!("spec.syncPolicy.syncOptions[{index}]");
        match options::meaning(option) {
            Meaning::NoEffect => {}
            Meaning::CreateNamespace => flags.create_namespace = true,
            Meaning::NoPrune => flags.no_prune = true,
            Meaning::NoDelete => flags.no_delete = true,
            Meaning::NotYet | Meaning::ConfirmPrune | Meaning::ConfirmDelete => {
                findings.not_yet(format!("spec.syncPolicy.syncOptions: {}", option.trim()));
            }
            Meaning::Unknown => {
                let sentence = format!("there is no sync option `{option}`");
                findings.problem_with_help(&path, sentence, options::help(option));
            }
        }
    }
    flags
}

fn read_retry(retry: &wire::Retry, path: &str, findings: &mut Findings) -> Retry {
    let backoff = retry.backoff.clone().unwrap_or_default();
    let standard = Backoff::default();
    let mut length = |field: &str, text: Option<&str>| {
        let text = text.filter(|text| !text.is_empty())?;
        let read = duration::parse(text);
        if read.is_none() {
            bad_duration(&format!("{path}.backoff.{field}"), findings);
        }
        read
    };
    let first = length("duration", backoff.duration.as_deref()).unwrap_or(standard.duration);
    let max = length("maxDuration", backoff.max_duration.as_deref()).unwrap_or(standard.max);
    let factor = backoff.factor.unwrap_or(2);
    if factor < 1 {
        findings.problem(&format!("{path}.backoff.factor"), "must be at least 1");
    }
    let factor = f64::from(i32::try_from(factor).unwrap_or(i32::MAX));
    Retry { limit: retry.limit.unwrap_or(0), backoff: Backoff { duration: first, factor, max } }
}

fn bad_duration(path: &str, findings: &mut Findings) {
    findings.problem_with_help(path, "is not a length of time", "write it as 30s, 5m or 1h30m");
}

fn read_destination(wire: Option<&wire::Destination>, findings: &mut Findings) -> Destination {
    let wire = wire.cloned().unwrap_or_default();
    let destination = Destination {
        server: text(wire.server.as_ref()),
        name: text(wire.name.as_ref()),
        namespace: text(wire.namespace.as_ref()),
    };
    let path = "spec.destination";
    match (destination.server.as_str(), destination.name.as_str()) {
        ("", "") => {
            let help = format!("set `server: {IN_CLUSTER_SERVER}` for the cluster the agent runs in");
            findings.problem_with_help(path, "neither server nor name is set", help);
        }
        ("", name) if name != IN_CLUSTER_NAME => findings.not_yet(format!("{path}.name (another cluster)")),
        (server, "") if server.trim_end_matches('/') != IN_CLUSTER_SERVER => {
            findings.not_yet(format!("{path}.server (another cluster)"));
        }
        ("", _) | (_, "") => {}
        (_, _) => findings.problem_with_help(path, "both server and name are set", "keep one of them"),
    }
    if !destination.namespace.is_empty() && !is_label(&destination.namespace) {
        let help = "write up to 63 of a-z, 0-9 and -, with - neither first nor last";
        findings.problem_with_help("spec.destination.namespace", "is not the name of a namespace", help);
    }
    destination
}

/// The API server takes no other name for a namespace or a Service (RFC 1123 label).
fn is_label(name: &str) -> bool {
    let is_of_label = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    name.len() <= 63 && name.chars().all(is_of_label) && !name.starts_with('-') && !name.ends_with('-')
}

fn ignore_rules(parsed: &wire::ApplicationSpec, findings: &mut Findings) -> Vec<IgnoreRule> {
    let mut rules = Vec::new();
    for (index, rule) in parsed.ignore_differences.iter().flatten().enumerate() {
        let json_pointers = rule.json_pointers.clone().unwrap_or_default();
        for (at, pointer) in json_pointers.iter().enumerate() {
            if !pointer.starts_with('/') {
                let path = format!("spec.ignoreDifferences[{index}].jsonPointers[{at}]");
                findings.problem_with_help(
                    &path,
                    "is not a JSON pointer",
                    "begin it with /, such as /spec/replicas",
                );
            }
        }
        rules.push(IgnoreRule {
            group: text(rule.group.as_ref()),
            kind: text(rule.kind.as_ref()),
            namespace: text(rule.namespace.as_ref()),
            name: text(rule.name.as_ref()),
            json_pointers,
        });
    }
    rules
}

/// Returns how many entries of history to keep; negative counts as none (Argo CD).
pub(crate) fn history_limit(limit: Option<i64>) -> usize {
    limit.map_or(model::HISTORY, |limit| usize::try_from(limit).unwrap_or(0))
}

fn added_fields(raw: &Value, spec: Option<&str>, findings: &mut Findings) -> AddedFields {
    let annotation = metadata::annotation(raw, names::ADDED_FIELDS_ANNOTATION);
    match annotation.or(spec) {
        None | Some("keep" | "") => AddedFields::Keep,
        Some("remove") => AddedFields::Remove,
        Some(_) => {
            findings.problem(&metadata::path(names::ADDED_FIELDS_ANNOTATION), "must be one of keep, remove");
            AddedFields::Keep
        }
    }
}

fn text(field: Option<&String>) -> String {
    field.cloned().unwrap_or_default()
}

/// Takes a default where a text is empty.
trait IfEmpty {
    fn if_empty(self, default: &str) -> String;
}

impl IfEmpty for String {
    fn if_empty(self, default: &str) -> String {
        if self.is_empty() { default.into() } else { self }
    }
}
