//! Which fields that other tools own become ours, so that they go when Git drops them?
//!
//! A field goes with an apply only when nobody else owns it. Tools that deployed an object before us keep their entries, and
//! with them every field that Git drops later. Their entries are therefore folded into ours, by a JSON patch of
//! `metadata.managedFields`, and only where it changes the outcome. The same was done by client-go's `csaupgrade` for
//! kubectl alone (kubernetes/enhancements 555).

use crate::by_hand::{ByHand, is_hand_tool};
use crate::ownership::beyond;
use crate::sides::Sides;
use crate::subject::subject;
use crate::{Rules, replicas};
use fields::{FieldSet, ManagerEntry, Operation, Path};
use model::{Object, names};
use serde_json::{Map, Value, json};

/// Managers of tools that deploy, with the operation by which they own.
const TOOLS: [(&str, Operation); 12] = [
    ("kubectl-client-side-apply", Operation::Update),
    ("before-first-apply", Operation::Update),
    ("kubectl", Operation::Apply),
    ("argocd-controller", Operation::Apply),
    ("argocd-controller", Operation::Update),
    ("helm", Operation::Apply),
    ("helm", Operation::Update),
    ("helm-controller", Operation::Apply),
    ("helm-controller", Operation::Update),
    ("kustomize-controller", Operation::Apply),
    ("kustomize-controller", Operation::Update),
    ("flux", Operation::Apply),
];

/// Returns a JSON patch (RFC 6902) that takes over what other tools own, or `None` where that changes nothing. It replaces
/// `metadata.resourceVersion` with the value read, so that a lost race is a conflict. Before the apply that drops a field of
/// ours, what hand tools own of that field goes, too.
pub fn adopt(desired: &Object, live: &Object) -> Option<Value> {
    adopt_with(desired, live, ByHand::Stays)
}

/// Like [`adopt`], and takes over what of the things that people set by hand is to go with the next apply.
pub fn adopt_with(desired: &Object, live: &Object, by_hand: ByHand) -> Option<Value> {
    let sides = Sides::of(desired, live, &Rules::default());
    let is_needed = !leftovers(&sides).is_empty();
    let folded = |entry: &ManagerEntry| if is_needed { foldable(&sides, entry) } else { FieldSet::default() };
    let dropped = topmost(&dropped(&sides));
    let added = by_hand.going(&sides);

    let mut ours = FieldSet::default();
    let mut changed: Vec<(usize, FieldSet)> = Vec::new();
    for entry in &sides.ownership.entries {
        let mut taken = folded(entry);
        if !entry.subresource.is_empty() || entry.manager == names::FIELD_MANAGER {
            continue;
        }
        for (_, path) in added.iter().filter(|(position, _)| *position == entry.position) {
            taken.extend(&below(&entry.fields, path));
        }
        ours.extend(&taken);
        if is_hand_tool(entry) || is_tool(entry) {
            for path in &dropped {
                taken.extend(&below(&entry.fields, path));
            }
        }
        if !taken.is_empty() {
            changed.push((entry.position, entry.fields.difference(&taken)));
        }
    }
    (!changed.is_empty()).then(|| patch(&sides, &ours, &changed))
}

/// Returns a JSON patch that gives back what was taken over of `before`: the entries that are still `now` as they were once
/// it was `taken`. What anybody wrote since stays.
pub fn give_back(before: &Object, taken: &Object, now: &Object) -> Value {
    let whose =
        |entry: &Value| ["manager", "operation", "apiVersion", "subresource"].map(|f| entry[f].clone());
    let [before, taken, newest] = [before, taken, now].map(raw_entries);
    let find = |entries: &[Value], wanted: &[Value; 4]| {
        entries.iter().find(|entry| whose(entry) == *wanted).cloned()
    };
    let mut owners: Vec<[Value; 4]> = Vec::new();
    for owner in newest.iter().chain(&before).map(whose) {
        if !owners.contains(&owner) {
            owners.push(owner);
        }
    }
    let entries = owners.iter().filter_map(|owner| {
        let entry = find(&newest, owner);
        if entry == find(&taken, owner) { find(&before, owner) } else { entry }
    });
    replacing(&entries.collect(), now.resource_version())
}

fn raw_entries(object: &Object) -> Vec<Value> {
    let entries = object.metadata().and_then(|metadata| metadata.get("managedFields"));
    entries.and_then(Value::as_array).cloned().unwrap_or_default()
}

/// Returns what our next apply drops: fields of ours outside desired that are there. `spec.replicas` is handed over
/// instead ([`replicas::hand_over`]).
pub fn drops(desired: &Object, live: &Object) -> FieldSet {
    dropped(&Sides::of(desired, live, &Rules::default()))
}

fn dropped(sides: &Sides<'_>) -> FieldSet {
    let Some(own) = sides.own() else { return FieldSet::default() };
    without_replicas(own.within(&sides.had).outside(&sides.wanted))
}

/// Returns what deploying tools own outside desired and what therefore would outlive Git: per entry the topmost paths.
pub(crate) fn leftovers(sides: &Sides<'_>) -> Vec<(usize, Path)> {
    let of_entry = |entry: &ManagerEntry| {
        let owned = foldable(sides, entry).within(&sides.had);
        let position = entry.position;
        beyond(&owned, &sides.wanted).into_iter().map(move |path| (position, path)).collect::<Vec<_>>()
    };
    sides.ownership.entries.iter().flat_map(of_entry).collect()
}

/// Returns what of an entry may become ours: paths in desired, in the last-applied annotation, or in the same tool's own
/// Apply entry; in the version of our entry only.
pub(crate) fn foldable(sides: &Sides<'_>, entry: &ManagerEntry) -> FieldSet {
    let Sides { desired, ownership, .. } = sides;
    let version = ownership.own_entry().map_or(desired.api_version(), |own| own.api_version.as_str());
    if !is_tool(entry) || entry.api_version != version {
        return FieldSet::default();
    }
    if entry.operation == Operation::Apply {
        return without_replicas_unless(entry.fields.clone(), desired);
    }
    let mut taken = entry.fields.within(&sides.wanted);
    if let Some(last) = last_applied(sides.live) {
        taken.extend(&entry.fields.within(&subject(&last, &Rules::default())));
    }
    for other in ownership.entries.iter().filter(|other| other.is_apply_of(&entry.manager)) {
        taken.extend(&entry.fields.intersection(&other.fields));
    }
    without_replicas_unless(taken, desired)
}

fn is_tool(entry: &ManagerEntry) -> bool {
    entry.subresource.is_empty() && TOOLS.contains(&(entry.manager.as_str(), entry.operation))
}

fn last_applied(live: &Object) -> Option<Object> {
    let text = live.annotation(names::LAST_APPLIED)?;
    Object::from_value(serde_json::from_str(text).ok()?).ok()
}

/// `spec.replicas` never falls to its default because Git stopped saying it: it stays with whoever has it.
pub(crate) fn without_replicas(set: FieldSet) -> FieldSet {
    if set.owns(&replicas::path()) { set.without(&replicas::path()) } else { set }
}

fn without_replicas_unless(set: FieldSet, desired: &Object) -> FieldSet {
    if replicas::of(desired).is_some() { set } else { without_replicas(set) }
}

fn topmost(set: &FieldSet) -> Vec<Path> {
    let mut paths: Vec<Path> = Vec::new();
    for path in set.members() {
        if !paths.last().is_some_and(|above| path.starts_with(above)) {
            paths.push(path);
        }
    }
    paths
}

fn below(set: &FieldSet, path: &Path) -> FieldSet {
    FieldSet::of(set.members().into_iter().filter(|member| member.starts_with(path)))
}

fn patch(sides: &Sides<'_>, ours: &FieldSet, changed: &[(usize, FieldSet)]) -> Value {
    let mut entries: Vec<Option<Value>> = raw_entries(sides.live).into_iter().map(Some).collect();
    for (position, rest) in changed {
        match entries.get_mut(*position) {
            Some(entry) if rest.is_empty() => *entry = None,
            Some(Some(Value::Object(entry))) => {
                entry.insert("fieldsV1".into(), rest.to_fields_v1());
            }
            Some(_) | None => {}
        }
    }
    let own = sides.ownership.own_entry();
    match own.and_then(|own| entries.get_mut(own.position).map(|entry| (own, entry))) {
        Some((own, Some(Value::Object(entry)))) => {
            entry.insert("fieldsV1".into(), own.fields.union(ours).to_fields_v1());
        }
        Some(_) | None => entries.push(Some(new_entry(sides, ours, changed))),
    }
    let entries: Vec<Value> = entries.into_iter().flatten().collect();
    replacing(&entries.into(), sides.live.resource_version())
}

fn replacing(entries: &Value, resource_version: &str) -> Value {
    json!([
        {"op": "replace", "path": "/metadata/managedFields", "value": entries},
        {"op": "replace", "path": "/metadata/resourceVersion", "value": resource_version},
    ])
}

/// Our first entry carries the newest time of those that went into it.
fn new_entry(sides: &Sides<'_>, ours: &FieldSet, changed: &[(usize, FieldSet)]) -> Value {
    let time = sides
        .ownership
        .entries
        .iter()
        .filter(|entry| changed.iter().any(|(position, _)| *position == entry.position))
        .filter_map(|entry| entry.time)
        .max();
    let mut entry = Map::new();
    entry.insert("manager".into(), names::FIELD_MANAGER.into());
    entry.insert("operation".into(), "Apply".into());
    entry.insert("apiVersion".into(), sides.desired.api_version().into());
    entry.insert("fieldsType".into(), "FieldsV1".into());
    entry.insert("fieldsV1".into(), ours.to_fields_v1());
    if let Some(time) = time {
        entry.insert("time".into(), time.to_string().into());
    }
    Value::Object(entry)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config_map(data: &Value, managed: &Value) -> Object {
        Object::from_value(json!({"apiVersion": "v1", "kind": "ConfigMap", "data": data,
            "metadata": {"name": "c", "resourceVersion": "7", "creationTimestamp": "2026-01-01T10:00:00Z",
                "managedFields": managed}}))
        .unwrap()
    }

    fn entry(manager: &str, operation: &str, version: &str, fields: &[&str]) -> Value {
        let data: Map<String, Value> = fields.iter().map(|field| (format!("f:{field}"), json!({}))).collect();
        json!({"manager": manager, "operation": operation, "apiVersion": version, "fieldsType": "FieldsV1",
            "time": "2026-01-01T10:00:00Z", "fieldsV1": {"f:data": data}})
    }

    fn desired() -> Object {
        config_map(&json!({"a": "1"}), &json!([]))
    }

    fn live(managed: &Value) -> Object {
        config_map(&json!({"a": "1", "b": "2"}), managed)
    }

    #[test]
    fn the_patch_replaces_the_resource_version_and_keeps_times_and_what_it_cannot_read() {
        let unreadable = json!({"manager": "x", "operation": "Update", "fieldsV1": {"?": 1}});
        let managed = json!([unreadable, entry("argocd-controller", "Apply", "v1", &["a", "b"])]);
        assert_eq!(
            adopt(&desired(), &live(&managed)).unwrap(),
            json!([
                {"op": "replace", "path": "/metadata/managedFields",
                    "value": [unreadable, entry("tautline", "Apply", "v1", &["a", "b"])]},
                {"op": "replace", "path": "/metadata/resourceVersion", "value": "7"},
            ])
        );
    }

    #[test]
    fn nothing_is_adopted_where_it_changes_nothing() {
        let adopts = |entry: Value| adopt(&desired(), &live(&json!([entry]))).is_some();
        assert!(adopts(entry("helm", "Apply", "v1", &["b"])));
        assert!(!adopts(entry("helm", "Apply", "v1", &["a"])), "all of it is in Git");
        assert!(!adopts(entry("helm", "Update", "v1", &["b"])), "nobody says that helm set it");
        assert!(!adopts(entry("helm", "Apply", "v2", &["b"])), "paths of another version");
        assert!(!adopts(entry("somebody", "Apply", "v1", &["b"])), "not a tool that we take over from");
        assert!(!adopts(entry("argocd-controller", "Apply", "v1", &["gone"])), "not there any more");
    }

    #[test]
    fn a_tool_s_update_entry_follows_its_own_apply_entry() {
        let managed = json!([
            entry("argocd-controller", "Apply", "v1", &["b"]),
            entry("argocd-controller", "Update", "v1", &["b", "c"]),
        ]);
        let patch = adopt(&desired(), &live(&managed)).unwrap();
        assert_eq!(
            patch[0]["value"],
            json!([
                entry("argocd-controller", "Update", "v1", &["c"]),
                entry("tautline", "Apply", "v1", &["b"])
            ])
        );
    }

    #[test]
    fn a_hand_that_holds_what_we_drop_lets_go() {
        let managed = json!([
            entry("tautline", "Apply", "v1", &["a", "b"]),
            entry("k9s", "Update", "v1", &["b", "c"]),
            entry("somebody", "Update", "v1", &["b"]),
        ]);
        let patch = adopt(&desired(), &live(&managed)).unwrap();
        assert_eq!(patch[0]["value"][1], entry("k9s", "Update", "v1", &["c"]));
        assert_eq!(patch[0]["value"][2], managed[2]);
        assert_eq!(drops(&desired(), &live(&managed)).members(), [Path::fields(&["data", "b"])]);
    }

    #[test]
    fn what_was_taken_over_is_given_back_and_what_was_written_since_stays() {
        let status = |time: &str| {
            json!({"manager": "controller", "operation": "Update", "apiVersion": "v1", "subresource": "status", "time": time,
                "fieldsV1": {}})
        };
        let ours = |fields: &[&str]| entry("tautline", "Apply", "v1", fields);
        let by_hand = |fields: &[&str]| entry("kubectl-edit", "Update", "v1", fields);
        let before = live(&json!([ours(&["a"]), by_hand(&["b"]), status("1")]));
        let patch = adopt_with(&desired(), &before, ByHand::Goes).unwrap();
        let taken = live(&patch[0]["value"]);
        assert_eq!(patch[0]["value"], json!([ours(&["a", "b"]), status("1")]));
        let given_back = |now: Value| give_back(&before, &taken, &live(&now))[0]["value"].clone();
        let all = json!([ours(&["a"]), status("2"), by_hand(&["b"])]);
        assert_eq!(given_back(json!([ours(&["a", "b"]), status("2")])), all);
        let edited_since = json!([ours(&["a"]), by_hand(&["c"])]);
        assert_eq!(given_back(json!([ours(&["a", "b"]), by_hand(&["c"])])), edited_since);
    }

    #[test]
    fn replicas_stay_with_whoever_has_them() {
        let deployment = |replicas: Option<i64>, managed: Value| {
            Object::from_value(json!({"apiVersion": "apps/v1", "kind": "Deployment",
                "metadata": {"name": "web", "managedFields": managed}, "spec": {"replicas": replicas}}))
            .unwrap()
        };
        let managed = json!([{"manager": "argocd-controller", "operation": "Apply", "apiVersion": "apps/v1",
            "fieldsV1": {"f:spec": {"f:replicas": {}}}}]);
        assert_eq!(adopt(&deployment(None, json!([])), &deployment(Some(5), managed)), None);
    }
}
