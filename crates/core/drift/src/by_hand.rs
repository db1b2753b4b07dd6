//! What did people put beside what Git wants, and what into its place?

use crate::adoption::{foldable, without_replicas};
use crate::gap::{Gap, gaps};
use crate::ownership::beyond;
use crate::rules::is_like;
use crate::sides::Sides;
use fields::{ManagerEntry, Path, Step};
use model::Object;
use serde_json::Value;
use std::collections::BTreeSet;

/// Field managers of people, as globs: what they add stays theirs unless an app says otherwise.
pub const HAND_TOOLS: &[&str] = &["kubectl*", "k9s", "before-first-apply"];

/// What becomes of fields that people set by hand beside what Git wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ByHand {
    /// They stay theirs.
    Stays,
    /// List items that stand in the place of one of Git's go. Only where Git's was there before: else it is new, and
    /// nobody put anything into its place.
    GoesInPlaceOfOurs,
    /// All of it goes (`tautline.dev/added-fields: remove`).
    Goes,
}

impl ByHand {
    /// Returns what goes: per entry of a hand tool the topmost paths.
    pub(crate) fn going(self, sides: &Sides<'_>) -> Vec<(usize, Path)> {
        match self {
            Self::Stays => Vec::new(),
            Self::GoesInPlaceOfOurs => replacements(sides),
            Self::Goes => additions(sides, HAND_TOOLS),
        }
    }
}

/// Returns what people added by hand: per entry of a hand tool the topmost paths outside desired that are not deploying
/// leftovers. An entry that holds a whole object (of whoever created it) also holds every default; of such an entry only
/// list items and entries of free maps count.
pub(crate) fn additions(sides: &Sides<'_>, hand_tools: &[&str]) -> Vec<(usize, Path)> {
    let mut found = Vec::new();
    for entry in &sides.ownership.entries {
        let is_hand = hand_tools.iter().any(|glob| is_like(glob, &entry.manager));
        if !is_hand || !entry.subresource.is_empty() || entry.api_version != sides.desired.api_version() {
            continue;
        }
        let added = entry.fields.difference(&foldable(sides, entry)).within(&sides.had);
        let is_whole = is_whole_object(entry, sides.live);
        for path in beyond(&without_replicas(added), &sides.wanted) {
            if is_removable(&path) && (!is_whole || is_unit(&path)) {
                found.push((entry.position, path));
            }
        }
    }
    found
}

/// Returns the list items by hand from whose list an item of Git is missing: a person who changes what tells an item from
/// its neighbours (the number of a port, the name of a container) takes one out and puts another in.
fn replacements(sides: &Sides<'_>) -> Vec<(usize, Path)> {
    let list_of = |path: &Path| match path.0.split_last() {
        Some((Step::Key(_) | Step::Value(_), list)) => Some(list.to_vec()),
        Some((Step::Field(_) | Step::Index(_), _)) | None => None,
    };
    let differences = gaps(&sides.wanted, &sides.had, &sides.ownership.all, sides.own());
    let missing = differences.iter().filter(|difference| difference.gap == Gap::Missing);
    let robbed: BTreeSet<Vec<Step>> = missing.filter_map(|difference| list_of(&difference.path)).collect();
    if robbed.is_empty() {
        return Vec::new();
    }
    let mut items = additions(sides, HAND_TOOLS);
    items.retain(|(_, path)| list_of(path).is_some_and(|list| robbed.contains(&list)));
    items
}

/// Returns whether an entry is of a tool that people use.
pub(crate) fn is_hand_tool(entry: &ManagerEntry) -> bool {
    entry.subresource.is_empty() && HAND_TOOLS.iter().any(|glob| is_like(glob, &entry.manager))
}

/// Whether an entry was written by whoever created the object, or stands for all writes before the first apply.
fn is_whole_object(entry: &ManagerEntry, live: &Object) -> bool {
    let created = live.metadata().and_then(|m| m.get("creationTimestamp")).and_then(Value::as_str);
    let created = created.and_then(|text| text.parse().ok());
    entry.manager == "before-first-apply"
        || entry.manager == "kubectl-client-side-apply"
        || (created.is_some() && entry.time == created)
}

fn is_unit(path: &Path) -> bool {
    match path.0.as_slice() {
        [.., Step::Key(_) | Step::Value(_)] => true,
        [.., Step::Field(map), Step::Field(_)] => {
            matches!(map.as_str(), "labels" | "annotations" | "data" | "binaryData" | "matchLabels")
        }
        _ => false,
    }
}

/// What the API server or a controller depends on is not taken away as a stray edit, and neither is the trace of
/// `kubectl rollout restart`: taking it away would restart everything once more.
fn is_removable(path: &Path) -> bool {
    if path.0.last() == Some(&Step::field("kubectl.kubernetes.io/restartedAt")) {
        return false;
    }
    match path.0.as_slice() {
        [Step::Field(top)] => top != "metadata" && top != "spec",
        [Step::Field(top), Step::Field(field), ..] if top == "metadata" => {
            field == "labels" || field == "annotations"
        }
        [Step::Field(top), Step::Field(field), ..] if top == "spec" => !matches!(
            field.as_str(),
            "clusterIP"
                | "clusterIPs"
                | "ipFamilies"
                | "ipFamilyPolicy"
                | "nodeName"
                | "volumeName"
                | "finalizers"
        ),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Rules;
    use serde_json::json;

    #[test]
    fn added_by_hand_is_what_a_person_set_and_nobody_depends_on() {
        let (creation, later) = ("2026-01-01T10:00:00Z", "2026-01-01T11:00:00Z");
        let added = |time: &str, fields: Value| {
            let entry = json!({"manager": "kubectl-edit", "operation": "Update", "apiVersion": "v1", "time": time,
                "fieldsV1": fields});
            let value = json!({"apiVersion": "v1", "kind": "ConfigMap", "data": {"a": "1", "b": "2"},
                "metadata": {"name": "c", "creationTimestamp": creation, "managedFields": [entry]}});
            let mut live = Object::from_value(value).unwrap();
            live.set_annotation("kubectl.kubernetes.io/restartedAt", "now");
            live.fields_mut().insert("spec".into(), json!({"x": 1, "clusterIP": "None"}));
            live.metadata_mut().insert("finalizers".into(), json!(["f"]));
            let desired = json!({"apiVersion": "v1", "kind": "ConfigMap", "data": {"a": "1"}, "metadata": {"name": "c"}});
            let desired = Object::from_value(desired).unwrap();
            let sides = Sides::of(&desired, &live, &Rules::default());
            let paths = additions(&sides, HAND_TOOLS);
            paths.iter().map(|(_, path)| path.to_string()).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(added(later, json!({"f:data": {"f:b": {}}, "f:spec": {"f:x": {}}})), "data.b spec.x");
        assert_eq!(added(creation, json!({"f:data": {"f:b": {}}, "f:spec": {"f:x": {}}})), "data.b");
        assert_eq!(added(later, json!({"f:spec": {"f:clusterIP": {}}})), "");
        assert_eq!(added(later, json!({"f:metadata": {"f:finalizers": {"v:\"f\"": {}}}})), "");
        let restarted = json!({"f:metadata": {"f:annotations": {"f:kubectl.kubernetes.io/restartedAt": {}}}});
        assert_eq!(added(later, restarted), "");
    }

    #[test]
    fn in_place_of_ours_is_an_item_beside_a_gap() {
        let object = |ports: Value, managed: Value| {
            let value = json!({"apiVersion": "v1", "kind": "Service", "spec": {"ports": ports},
                "metadata": {"name": "web", "managedFields": managed}});
            Object::from_value(value).unwrap()
        };
        let port = |number: u16| json!({"port": number, "protocol": "TCP"});
        let owner = |manager: &str, operation: &str, numbers: &[u16]| {
            let item = |number: &u16| {
                (format!("k:{{\"port\":{number},\"protocol\":\"TCP\"}}"), json!({".": {}, "f:port": {}}))
            };
            let items: serde_json::Map<String, Value> = numbers.iter().map(item).collect();
            json!({"manager": manager, "operation": operation, "apiVersion": "v1",
                "fieldsV1": {"f:spec": {"f:ports": items}}})
        };
        let going = |wanted: &[u16], had: &[u16], managed: Value| {
            let list = |numbers: &[u16]| numbers.iter().map(|number| port(*number)).collect();
            let (desired, live) = (object(list(wanted), json!([])), object(list(had), managed));
            let sides = Sides::of(&desired, &live, &Rules::default());
            let paths = ByHand::GoesInPlaceOfOurs.going(&sides);
            paths.iter().map(|(_, path)| path.to_string()).collect::<Vec<_>>().join(" ")
        };
        let by = |manager| json!([owner("tautline", "Apply", &[80]), owner(manager, "Update", &[81])]);
        let item = "spec.ports[port=81,protocol=\"TCP\"]";
        assert_eq!(going(&[80], &[81], by("kubectl-edit")), item);
        assert_eq!(going(&[80, 443], &[80, 81], by("k9s")), item);
        assert_eq!(going(&[80], &[80, 81], by("kubectl-edit")), "", "nothing is missing");
        assert_eq!(going(&[80], &[81], by("some-controller")), "", "not by hand");
    }
}
