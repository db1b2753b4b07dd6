//! Whose is this object? Argo CD's tracking id and our own labels (Argo CD resource tracking documentation).

use crate::{AppKey, ObjectKey, digest, names};
use std::fmt;

/// Argo CD's tracking id: `<instance>:<group>/<kind>:<namespace>/<name>`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TrackingId {
    /// `<name>` of an app in the control namespace, `<namespace>_<name>` of one elsewhere.
    pub instance: String,
    /// The object that the id was made for; its namespace is the app's destination for cluster-scoped objects.
    pub object: ObjectKey,
}

impl TrackingId {
    /// Makes the id that an app puts on an object. `destination` stands in where the object has no namespace.
    pub fn new(instance: &str, object: &ObjectKey, destination: &str) -> Self {
        let mut object = object.clone();
        if object.namespace.is_empty() {
            object.namespace = destination.into();
        }
        Self { instance: instance.into(), object }
    }

    /// Reads an id; anything that is not exactly of the form is no tracking.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.splitn(3, ':');
        let (instance, kind, name) = (parts.next()?, parts.next()?, parts.next()?);
        let (group, kind) = once(kind, '/')?;
        let (namespace, name) = once(name, '/')?;
        Some(Self { instance: instance.into(), object: ObjectKey::new(group, kind, namespace, name) })
    }

    /// Returns whether the id was made for `key`: operators copy annotations to children, whose ids then name
    /// the parent. The namespace of cluster-scoped objects does not count.
    pub fn refers_to(&self, key: &ObjectKey) -> bool {
        self.object.group == key.group
            && self.object.kind == key.kind
            && self.object.name == key.name
            && (key.namespace.is_empty() || self.object.namespace == key.namespace)
    }
}

impl fmt::Display for TrackingId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ObjectKey { group, kind, namespace, name } = &self.object;
        write!(f, "{}:{group}/{kind}:{namespace}/{name}", self.instance)
    }
}

fn once(text: &str, separator: char) -> Option<(&str, &str)> {
    let (left, right) = text.split_once(separator)?;
    (!right.contains(separator)).then_some((left, right))
}

/// Returns the value of [`names::INSTANCE_LABEL`]: a hash of `installationID` or else of the control namespace.
pub fn instance_label(installation_id: Option<&str>, control_namespace: &str) -> String {
    let seed = installation_id
        .map_or_else(|| format!("namespace:{control_namespace}"), |id| format!("installation:{id}"));
    digest(seed.as_bytes()).short(16)
}

/// Returns the value of [`names::PART_OF_LABEL`]: a hash of the app's namespace and name.
pub fn part_of_label(app: &AppKey) -> String {
    digest(format!("{}/{}", app.namespace, app.name).as_bytes()).short(16)
}

/// Returns whether a metadata path holds what we put there ourselves, which is never drift.
pub fn is_own_metadata(map: &str, key: &str) -> bool {
    match map {
        "labels" => key == names::INSTANCE_LABEL || key == names::PART_OF_LABEL,
        "annotations" => key == names::TRACKING_ID || key == names::INSTALLATION_ID,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_writes() {
        for text in [
            "guestbook:apps/Deployment:web/ui",
            "guestbook:/Service:web/ui",
            "guestbook:rbac.authorization.k8s.io/ClusterRole:web/reader",
            "guestbook:rbac.authorization.k8s.io/ClusterRole:web/system:reader",
            "team-a_guestbook:/ConfigMap:web/cfg",
        ] {
            assert_eq!(TrackingId::parse(text).unwrap().to_string(), text);
        }
    }

    #[test]
    fn refuses_other_forms() {
        for text in ["", "a", "a:b", "a:b:c", "a:b/c:d", "a:b/c/d:e/f", "a:b/c:d/e/f"] {
            assert_eq!(TrackingId::parse(text), None, "{text}");
        }
    }

    // N39: an id that somebody copied
    #[test]
    fn copied_ids_do_not_refer_to_the_copy() {
        let id = TrackingId::parse("guestbook:apps/Deployment:web/ui").unwrap();
        assert!(id.refers_to(&ObjectKey::new("apps", "Deployment", "web", "ui")));
        assert!(!id.refers_to(&ObjectKey::new("apps", "ReplicaSet", "web", "ui-1")));
        assert!(!id.refers_to(&ObjectKey::new("apps", "Deployment", "other", "ui")));
    }
}
