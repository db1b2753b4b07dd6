//! What does an Application's status say, and which write makes it say so?
//!
//! The status is Argo CD's, field by field (Application status documentation), with two decisions of our own. Health of
//! objects is written inline and `resourceHealthSource` left out: there is no resource tree in Redis to read it from.
//! And one merge patch carries status, our state, consumed annotations and `operation: null`, guarded by the
//! resourceVersion that was read: a lost race is a conflict, never a lost update. Lists are always sent whole, and what
//! only moves a timestamp is not written at all, so that our own write's echo and a restart start nothing.

mod history;
mod merge;
mod operation;
mod remembered;

pub use operation::{OperationState, result, result_line};
pub use remembered::{
    LastOperation, condition_messages, deployed_not_yet, inventory, is_listed_by_argo_cd, last_operation,
    listed_kinds,
};

use crate::condition::{Condition, ConditionKind};
use crate::read::metadata_annotation;
use crate::state::State;
use model::{Health, ObjectStatus, Revision, SyncStatus, Timestamp, is_web_link, names};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// Everything that a status is made from.
#[derive(Clone, Debug, PartialEq)]
pub struct Draft {
    /// How the app compares; `None` keeps what the status says.
    pub sync: Option<SyncPart>,
    /// The app's health.
    pub health: Health,
    /// One entry per object; `None` keeps what the status lists.
    pub objects: Option<Vec<ObjectStatus>>,
    /// Images of the live objects; `None` keeps what the status lists.
    pub images: Option<Vec<String>>,
    /// Links to what the live objects publish; those that the Application itself names come beside them. `None` keeps what
    /// the status lists.
    pub links: Option<Vec<String>>,
    /// Every condition of the types that we write; those that the status has beyond them go.
    pub conditions: Vec<Condition>,
    /// The sync under way or the last one; `None` keeps what the status says.
    pub operation: Option<OperationState>,
    /// Whether the sync becomes an entry of history.
    pub append_history: bool,
    /// Argo CD's word for the kind of source, such as `Directory`; `None` keeps what the status says.
    pub source_type: Option<String>,
    /// Whether `operation` is to be removed.
    pub clear_operation: bool,
    /// Whether the refresh annotations are to be removed.
    pub clear_refresh: bool,
    /// Whether what a person asked for beside a sync is done, so that its annotation goes.
    pub clear_request: bool,
    /// Our own state; `None` keeps it.
    pub state: Option<State>,
    /// When the comparison began.
    pub reconciled_at: Timestamp,
}

/// How the app compares. What was compared, `comparedTo`, is copied from the spec as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyncPart {
    /// Sync status.
    pub status: SyncStatus,
    /// The resolved revision.
    pub revision: Option<Revision>,
}

/// Returns the merge patch that makes `raw`, an Application as read, say what `draft` says; `None` when it says so
/// already, apart from timestamps.
pub fn patch(raw: &Value, draft: &Draft, control_namespace: &str, now: Timestamp) -> Option<Value> {
    let old = raw.get("status").cloned().unwrap_or_else(|| json!({}));
    let new = next_status(raw, draft, control_namespace, now);
    let status = merge::diff(&old, &Value::Object(new.clone()));
    let annotations = annotations(raw, draft);
    let clears = draft.clear_operation && raw.get("operation").is_some_and(|operation| !operation.is_null());
    if status.is_none() && annotations.is_empty() && !clears {
        return None;
    }
    let mut stamped = new;
    stamped.insert("reconciledAt".into(), draft.reconciled_at.to_string().into());
    let mut metadata = Map::new();
    if let Some(version) = raw.pointer("/metadata/resourceVersion") {
        metadata.insert("resourceVersion".into(), version.clone());
    }
    if !annotations.is_empty() {
        metadata.insert("annotations".into(), Value::Object(annotations));
    }
    let mut patch = json!({"metadata": metadata});
    if let Some(status) = merge::diff(&old, &Value::Object(stamped)) {
        patch["status"] = status;
    }
    if clears {
        patch["operation"] = Value::Null;
    }
    Some(patch)
}

/// Returns whether all that a [`patch`] tells is another revision (and when the app was last looked at).
pub fn moves_the_revision_alone(patch: &Value) -> bool {
    let names = |value: &Value| value.as_object().map(|fields| fields.keys().cloned().collect::<Vec<_>>());
    let is_status = patch.get("operation").is_none() && patch.pointer("/metadata/annotations").is_none();
    let fields = names(&patch["status"]).unwrap_or_default();
    is_status
        && fields.iter().all(|field| field == "sync" || field == "reconciledAt")
        && names(&patch["status"]["sync"]).is_some_and(|fields| fields == ["revision"])
}

/// Conditions of one type that a status holds where nothing else fits.
const MOST_OF_A_TYPE: usize = 20;

/// How much a status holds: the API server stores objects of about a megabyte and a half.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Detail {
    /// Everything.
    #[default]
    Whole,
    /// Of the sync's results those that failed.
    Failures,
    /// No lists: the objects stay listed as they were, of the conditions the first of each type are told, and one more says so.
    Words,
}

impl Detail {
    /// Returns what to try once this was too large; `None` where nothing is left to leave out.
    pub fn less(self) -> Option<Self> {
        match self {
            Self::Whole => Some(Self::Failures),
            Self::Failures => Some(Self::Words),
            Self::Words => None,
        }
    }
}

impl Draft {
    /// Leaves out what does not fit.
    #[must_use]
    pub fn cut(mut self, detail: Detail) -> Self {
        let results = self.operation.as_mut().map(|operation| &mut operation.results);
        match (detail, results) {
            (Detail::Failures, Some(results)) => results.retain(|result| result.outcome.is_failure()),
            (Detail::Words, Some(results)) => results.clear(),
            (Detail::Whole, _) | (_, None) => {}
        }
        if detail == Detail::Words {
            (self.objects, self.images, self.links) = (None, None, None);
            let n_left_out = self.leave_out_conditions();
            self.conditions.push(Condition::new(ConditionKind::UnknownError, too_large_sentence(n_left_out)));
        }
        self
    }

    /// Leaves out the conditions that are too many of their type; returns how many. No type goes missing: that an app is
    /// read-only is remembered by its condition.
    fn leave_out_conditions(&mut self) -> usize {
        let n_all = self.conditions.len();
        let mut n_told = BTreeMap::new();
        self.conditions.retain(|condition| {
            let n_of_type = n_told.entry(condition.kind).or_insert(0);
            *n_of_type += 1;
            *n_of_type <= MOST_OF_A_TYPE
        });
        n_all - self.conditions.len()
    }
}

fn too_large_sentence(n_left_out: usize) -> String {
    let conditions = match n_left_out {
        0 => String::new(),
        n => format!(
            ". Of its conditions there are the first {MOST_OF_A_TYPE} of each type, and {n} more are left out"
        ),
    };
    format!(
        "the status is too large to be stored: it lists the objects as they were while it fitted, and no \
         results{conditions}. Split the app, or lower spec.revisionHistoryLimit"
    )
}

fn next_status(raw: &Value, draft: &Draft, control_namespace: &str, now: Timestamp) -> Map<String, Value> {
    let mut status = raw.get("status").and_then(Value::as_object).cloned().unwrap_or_default();
    if let Some(sync) = &draft.sync {
        set(&mut status, "sync", sync_part(raw, sync));
    }
    let health = health_part(status.get("health"), &draft.health, now);
    set(&mut status, "health", health);
    if let Some(objects) = &draft.objects {
        set(&mut status, "resources", resources(objects));
        set(&mut status, "resourceHealthSource", Value::Null);
    }
    let mut summary = status.get("summary").and_then(Value::as_object).cloned().unwrap_or_default();
    if let Some(images) = &draft.images {
        set(&mut summary, "images", json!(images));
    }
    if let Some(links) = &draft.links {
        set(&mut summary, "externalURLs", json!(all_links(raw, links)));
    }
    set(&mut status, "summary", Value::Object(summary));
    let conditions = conditions(status.get("conditions"), &draft.conditions, now);
    set(&mut status, "conditions", conditions);
    if let Some(operation) = &draft.operation {
        if draft.append_history {
            let history = history::append(raw, operation, now);
            set(&mut status, "history", history);
        }
        let value = operation::state(raw, operation);
        set(&mut status, "operationState", value);
    }
    if let Some(source_type) = &draft.source_type {
        set(&mut status, "sourceType", source_type.as_str().into());
    }
    set(&mut status, "controllerNamespace", control_namespace.into());
    status
}

/// Sets a field, removing it where the value says nothing; nothing said by absence or by an empty value is the same.
fn set(map: &mut Map<String, Value>, field: &str, value: Value) {
    if !says_nothing(&value) {
        map.insert(field.into(), value);
    } else if map.get(field).is_some_and(|old| !says_nothing(old)) {
        map.remove(field);
    }
}

fn says_nothing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(_) | Value::Number(_) => false,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(map) => map.is_empty(),
    }
}

fn all_links<'a>(raw: &'a Value, of_objects: &'a [String]) -> BTreeSet<&'a str> {
    let annotations = raw.pointer("/metadata/annotations").and_then(Value::as_object).into_iter().flatten();
    let own = annotations.filter(|(name, _)| name.starts_with(names::LINK_PREFIX));
    let own = own.filter_map(|(_, link)| link.as_str()).filter(|link| is_web_link(link));
    own.chain(of_objects.iter().map(String::as_str)).collect()
}

fn sync_part(raw: &Value, sync: &SyncPart) -> Value {
    let spec = &raw["spec"];
    let mut compared = Map::new();
    let source = if says_nothing(&spec["sources"]) { "source" } else { "sources" };
    for field in [source, "destination", "ignoreDifferences"] {
        set(&mut compared, field, spec[field].clone());
    }
    let mut part = Map::new();
    set(&mut part, "status", sync.status.as_str().into());
    set(&mut part, "comparedTo", Value::Object(compared));
    set(&mut part, "revision", sync.revision.as_ref().map_or("", |revision| revision.as_str()).into());
    Value::Object(part)
}

fn health_part(old: Option<&Value>, health: &Health, now: Timestamp) -> Value {
    let same = old.filter(|old| old["status"] == health.status.as_str());
    let since = same.and_then(|old| old.get("lastTransitionTime").cloned());
    let mut part = Map::new();
    set(&mut part, "status", health.status.as_str().into());
    set(&mut part, "message", health.message.as_str().into());
    set(&mut part, "lastTransitionTime", since.unwrap_or_else(|| now.to_string().into()));
    Value::Object(part)
}

fn resources(objects: &[ObjectStatus]) -> Value {
    let mut objects: Vec<&ObjectStatus> = objects.iter().collect();
    objects.sort_by(|a, b| a.key.cmp(&b.key));
    objects.into_iter().map(resource).collect()
}

fn resource(object: &ObjectStatus) -> Value {
    let mut entry = Map::new();
    let key = &object.key;
    for (field, text) in [
        ("group", &key.group),
        ("version", &object.version),
        ("kind", &key.kind),
        ("namespace", &key.namespace),
        ("name", &key.name),
    ] {
        set(&mut entry, field, text.as_str().into());
    }
    set(&mut entry, "status", object.sync.map_or("", SyncStatus::as_str).into());
    if let Some(health) = &object.health {
        let mut part = Map::new();
        set(&mut part, "status", health.status.as_str().into());
        set(&mut part, "message", health.message.as_str().into());
        set(&mut entry, "health", Value::Object(part));
    }
    for (field, on) in [
        ("requiresPruning", object.requires_pruning),
        ("requiresDeletionConfirmation", object.requires_confirmation),
    ] {
        if on {
            entry.insert(field.into(), true.into());
        }
    }
    Value::Object(entry)
}

fn conditions(old: Option<&Value>, ours: &[Condition], now: Timestamp) -> Value {
    let old: Vec<&Value> = old.and_then(Value::as_array).into_iter().flatten().collect();
    let is_ours = |entry: &Value| entry["type"].as_str().is_some_and(|t| ConditionKind::parse(t).is_some());
    let mut all: Vec<Value> = old.iter().copied().filter(|entry| !is_ours(entry)).cloned().collect();
    for Condition { kind, message } in ours {
        let known = old.iter().find(|e| e["type"] == kind.as_str() && e["message"] == message.as_str());
        let since = known.map_or_else(|| now.to_string().into(), |e| e["lastTransitionTime"].clone());
        all.push(json!({"type": kind.as_str(), "message": message, "lastTransitionTime": since}));
    }
    let order = |entry: &Value| ["type", "message"].map(|f| entry[f].as_str().unwrap_or_default().to_owned());
    all.sort_by_key(order);
    all.dedup_by(|a, b| order(a) == order(b));
    Value::Array(all)
}

fn annotations(raw: &Value, draft: &Draft) -> Map<String, Value> {
    let mut changed = Map::new();
    if draft.clear_refresh {
        // Without a hydrator nobody else would ever take its annotation off.
        let has_hydrator = raw.pointer("/spec/sourceHydrator").is_some_and(|hydrator| !hydrator.is_null());
        let of_hydrator = [names::HYDRATE, names::HYDRATE_TIMESTAMP].into_iter().filter(|_| !has_hydrator);
        for name in [names::REFRESH, names::REFRESH_TIMESTAMP].into_iter().chain(of_hydrator) {
            if metadata_annotation(raw, name).is_some() {
                changed.insert(name.into(), Value::Null);
            }
        }
    }
    if draft.clear_request && metadata_annotation(raw, names::REQUEST_ANNOTATION).is_some() {
        changed.insert(names::REQUEST_ANNOTATION.into(), Value::Null);
    }
    if let Some(state) = &draft.state {
        let text = state.write();
        if metadata_annotation(raw, names::STATE_ANNOTATION) != Some(text.as_str()) {
            changed.insert(names::STATE_ANNOTATION.into(), text.into());
        }
    }
    changed
}
