//! Which objects that Argo CD deployed get our labels, and by which apply?

use fields::managers;
use model::{Object, names, tracking::TrackingId};
use serde_json::{Value, json};

/// The app whose an object has to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owner<'a> {
    /// Its name in tracking ids.
    pub instance: &'a str,
    /// Argo CD's `installationID`, which its objects carry where it is set.
    pub installation_id: Option<&'a str>,
    /// Value of [`names::INSTANCE_LABEL`].
    pub instance_label: &'a str,
    /// Value of [`names::PART_OF_LABEL`].
    pub part_of: &'a str,
}

/// Returns the body of an apply by [`names::TRACK_MANAGER`] that puts our two labels on a live object, where its tracking id
/// says that it is the app's and nothing on it says otherwise; `None` also where it carries them. What we once applied
/// and carries them no more was released by whoever took them off. The body names live's uid and resourceVersion, so that
/// an object that changed, or went, meanwhile is a conflict.
pub fn labels(live: &Object, owner: &Owner<'_>) -> Option<Object> {
    let wanted = [(names::INSTANCE_LABEL, owner.instance_label), (names::PART_OF_LABEL, owner.part_of)];
    let has_all = wanted.iter().all(|(label, value)| live.label(label) == Some(value));
    let has_others =
        wanted.iter().any(|(label, value)| live.label(label).is_some_and(|other| other != *value));
    let was_applied = managers(live).iter().any(|entry| entry.is_apply_of(names::FIELD_MANAGER));
    if has_all || has_others || was_applied || !is_tracked(live, owner) || is_owned(live) {
        return None;
    }
    let mut body = json!({
        "apiVersion": live.api_version(),
        "kind": live.kind(),
        "metadata": {
            "name": live.name(), "uid": live.uid(), "resourceVersion": live.resource_version(),
            "labels": {names::INSTANCE_LABEL: owner.instance_label, names::PART_OF_LABEL: owner.part_of},
        },
    });
    if !live.namespace().is_empty() {
        body["metadata"]["namespace"] = live.namespace().into();
    }
    Object::from_value(body).ok()
}

/// Operators copy annotations to children, so the id has to name the object itself; an object of another installation has
/// another annotation beside it (Argo CD resource tracking documentation).
fn is_tracked(live: &Object, owner: &Owner<'_>) -> bool {
    let id = live.annotation(names::TRACKING_ID).and_then(TrackingId::parse);
    let is_of_installation =
        owner.installation_id.is_none_or(|id| live.annotation(names::INSTALLATION_ID) == Some(id));
    is_of_installation && id.is_some_and(|id| id.instance == owner.instance && id.refers_to(&live.key()))
}

fn is_owned(live: &Object) -> bool {
    let owners = live.metadata().and_then(|metadata| metadata.get("ownerReferences"));
    owners.and_then(Value::as_array).is_some_and(|owners| !owners.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Rules, adoption::adopt, fingerprint};

    const OWNER: Owner<'_> =
        Owner { instance: "shop", installation_id: None, instance_label: "us", part_of: "part" };

    /// An object as Argo CD leaves it, changed by a merge of metadata.
    fn live(change: &Value) -> Object {
        let mut object = json!({"apiVersion": "v1", "kind": "ConfigMap", "data": {"a": "1"},
            "metadata": {"name": "c", "namespace": "ns", "uid": "u", "resourceVersion": "7",
                "annotations": {"argocd.argoproj.io/tracking-id": "shop:/ConfigMap:ns/c"}}});
        for (field, value) in change.as_object().unwrap() {
            object["metadata"][field] = value.clone();
        }
        Object::from_value(object).unwrap()
    }

    fn tracked(id: &str) -> Value {
        json!({"annotations": {"argocd.argoproj.io/tracking-id": id}})
    }

    #[test]
    fn the_body_holds_the_labels_and_what_guards_it_and_nothing_else() {
        assert_eq!(
            labels(&live(&json!({})), &OWNER).unwrap().into_value(),
            json!({"apiVersion": "v1", "kind": "ConfigMap",
                "metadata": {"name": "c", "namespace": "ns", "uid": "u", "resourceVersion": "7",
                    "labels": {"tautline.dev/instance": "us", "tautline.dev/part-of": "part"}}})
        );
    }

    #[test]
    fn only_an_object_whose_id_names_itself_and_the_app_is_taken() {
        let takes = |change: Value| labels(&live(&change), &OWNER).is_some();
        assert!(takes(tracked("shop:/ConfigMap:ns/c")));
        assert!(!takes(json!({"annotations": {}})));
        assert!(!takes(tracked("nonsense")));
        assert!(!takes(tracked("shop-2:/ConfigMap:ns/c")), "another app's");
        assert!(!takes(tracked("shop:/ConfigMap:ns/parent")), "a copy of its parent's");
        assert!(!takes(tracked("shop:/Secret:ns/c")));
        assert!(!takes(tracked("shop:/ConfigMap:elsewhere/c")));
        let parent = json!([{"kind": "Deployment", "name": "parent"}]);
        assert!(!takes(json!({"ownerReferences": parent})), "somebody's child");
    }

    #[test]
    fn what_says_that_it_is_another_s_is_left_alone() {
        let takes = |labelled: Value| labels(&live(&json!({"labels": labelled})), &OWNER).is_some();
        assert!(takes(json!({"app": "x"})));
        assert!(takes(json!({"tautline.dev/instance": "us"})), "half of it is there");
        assert!(!takes(json!({"tautline.dev/instance": "us", "tautline.dev/part-of": "part"})));
        assert!(!takes(json!({"tautline.dev/instance": "them"})));
        assert!(!takes(json!({"tautline.dev/instance": "us", "tautline.dev/part-of": "another"})));
    }

    #[test]
    fn where_an_installation_is_named_the_object_has_to_name_it() {
        let owner = Owner { installation_id: Some("i"), ..OWNER };
        let of = |installation: &str| {
            let mut change = tracked("shop:/ConfigMap:ns/c");
            change["annotations"][names::INSTALLATION_ID] = installation.into();
            live(&change)
        };
        assert!(labels(&of("i"), &owner).is_some());
        assert!(labels(&of("j"), &owner).is_none());
        assert!(labels(&live(&json!({})), &owner).is_none());
        assert!(labels(&of("j"), &OWNER).is_some(), "without the setting nobody asks");
    }

    #[test]
    fn what_we_applied_ourselves_was_released() {
        let entry = |manager: &str, operation: &str| {
            let fields = json!({"f:data": {"f:a": {}}});
            let entry =
                json!({"manager": manager, "operation": operation, "apiVersion": "v1", "fieldsV1": fields});
            live(&json!({"managedFields": [entry]}))
        };
        assert!(labels(&entry("argocd-controller", "Apply"), &OWNER).is_some());
        assert!(labels(&entry("tautline-track", "Apply"), &OWNER).is_some());
        assert!(labels(&entry("tautline", "Apply"), &OWNER).is_none());
    }

    #[test]
    fn the_entry_that_it_leaves_is_not_ours_to_compare_or_to_fold() {
        let entry = |manager: &str, fields: Value| json!({"manager": manager, "operation": "Apply", "apiVersion": "v1", "fieldsV1": fields});
        let track = json!({"f:metadata": {"f:labels": {"f:tautline.dev/instance": {}, "f:tautline.dev/part-of": {}}}});
        let argo = json!({"f:data": {"f:a": {}, "f:b": {}}});
        let labelled = json!({"tautline.dev/instance": "us", "tautline.dev/part-of": "part"});
        let managed = json!([entry("argocd-controller", argo), entry("tautline-track", track)]);
        let mut live = live(&json!({"labels": labelled, "managedFields": managed}));
        let desired = Object::from_value(json!({"apiVersion": "v1", "kind": "ConfigMap", "data": {"a": "1"},
            "metadata": {"name": "c", "namespace": "ns", "labels": labelled}}))
        .unwrap();
        assert_eq!(fingerprint(&desired, &live, &Rules::default()), None);
        assert_eq!(adopt(&desired, &live), None);
        // What Git dropped is folded out of the tool's entry, and the other entry stays as it is.
        live.fields_mut().insert("data".into(), json!({"a": "1", "b": "2"}));
        let patch = adopt(&desired, &live).unwrap();
        let entries = patch[0]["value"].as_array().unwrap();
        assert!(entries.contains(&managed[1]), "{patch}");
    }
}
