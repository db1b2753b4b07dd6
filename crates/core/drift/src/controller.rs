//! Who scales Argo CD's own application controller up? A person who goes back to it, and never we: it would write beside us.

use crate::replicas;
use model::{IgnoreRule, Object, names};
use serde_json::Value;

/// Takes the replicas of Argo CD's application controller in the control namespace out of what Git wants, where Git has
/// any; returns a sentence about it. Nothing is written while the controller has replicas, so whatever is applied meets it
/// scaled to zero, or makes it so.
pub fn keep_down(desired: &mut Object, control_namespace: &str) -> Option<String> {
    let is_controller = desired.key().is_kind("apps", "StatefulSet")
        && desired.namespace() == control_namespace
        && desired.name() == names::ARGO_CD_CONTROLLER;
    if !is_controller || replicas::of(desired).and_then(Value::as_i64) == Some(0) {
        return None;
    }
    let spec = desired.fields_mut().get_mut("spec").and_then(Value::as_object_mut)?;
    spec.insert("replicas".into(), 0.into());
    Some(format!(
        "{} is applied with 0 replicas, whatever Git says: it is Argo CD's controller and would write beside Tautline; to go \
         back to it, scale it up by hand",
        desired.key()
    ))
}

/// Returns the rule by which a controller that somebody scales up is no drift.
pub fn rule(control_namespace: &str) -> IgnoreRule {
    IgnoreRule {
        group: "apps".into(),
        kind: "StatefulSet".into(),
        namespace: control_namespace.into(),
        name: names::ARGO_CD_CONTROLLER.into(),
        json_pointers: vec!["/spec/replicas".into()],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules_for;
    use serde_json::json;

    fn stateful_set(namespace: &str, name: &str, spec: &Value) -> Object {
        Object::from_value(json!({"apiVersion": "apps/v1", "kind": "StatefulSet",
            "metadata": {"name": name, "namespace": namespace}, "spec": spec}))
        .unwrap()
    }

    #[test]
    fn the_controller_is_applied_without_replicas_whatever_git_says() {
        for spec in [json!({"replicas": 2, "paused": true}), json!({"paused": true})] {
            let mut object = stateful_set("argocd", "argocd-application-controller", &spec);
            assert!(keep_down(&mut object, "argocd").unwrap().contains("0 replicas"));
            assert_eq!(object.get("spec"), Some(&json!({"replicas": 0, "paused": true})));
            assert_eq!(keep_down(&mut object, "argocd"), None, "Git says so already");
        }
        assert_eq!(
            rules_for(
                &[rule("argocd")],
                &stateful_set("argocd", "argocd-application-controller", &json!({})).key()
            )
            .pointers,
            ["/spec/replicas"]
        );
    }

    #[test]
    fn others_are_left_as_git_has_them() {
        let spec = json!({"replicas": 2});
        for (namespace, name) in [("elsewhere", "argocd-application-controller"), ("argocd", "argocd-redis")]
        {
            let mut object = stateful_set(namespace, name, &spec);
            assert_eq!(keep_down(&mut object, "argocd"), None);
            assert_eq!(object.get("spec"), Some(&spec));
            assert!(rules_for(&[rule("argocd")], &object.key()).pointers.is_empty());
        }
    }
}
