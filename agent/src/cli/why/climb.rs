//! Which object of those above it does an Application manage? What a workload makes belongs to the workload.

use super::unread;
use crate::cli::failure::Failure;
use cluster::{Cluster, Discovery, Endpoint, Priority};
use model::{GroupVersionKind, Object, ObjectKey, names, tracking::TrackingId};
use serde_json::Value;

/// How far up owners are followed: nothing in Kubernetes is deeper, and a circle ends.
const HIGHEST: usize = 10;

/// An object that an Application manages, and how it was come to.
#[derive(Debug)]
pub(crate) struct Found {
    /// The objects below it, the one that was asked for first.
    pub below: Vec<ObjectKey>,
    /// The object.
    pub object: Object,
    /// Whose it says it is.
    pub tracking: TrackingId,
}

/// Reads an object, and goes up from owner to owner until one carries a tracking id of its own.
pub(crate) async fn climb(
    cluster: &Cluster,
    discovery: &Discovery,
    endpoint: &Endpoint,
    (namespace, name): (&str, &str),
) -> Result<Found, Failure> {
    let mut object = read(cluster, endpoint, (namespace, name)).await?;
    let mut below = Vec::new();
    for _ in 0..HIGHEST {
        if let Some(tracking) = own_tracking(&object) {
            return Ok(Found { below, object, tracking });
        }
        let Some((gvk, name)) = owner(&object) else { break };
        let Some(endpoint) = discovery.endpoint(&gvk).or_else(|| discovery.preferred(&gvk.group_kind()))
        else {
            break;
        };
        below.push(object.key());
        object = read(cluster, &endpoint, (object.namespace(), &name)).await?;
    }
    below.push(object.key());
    Err(unmanaged(&below, &object))
}

async fn read(
    cluster: &Cluster,
    endpoint: &Endpoint,
    (namespace, name): (&str, &str),
) -> Result<Object, Failure> {
    let namespace = if endpoint.namespaced { namespace } else { "" };
    let key = ObjectKey::new(&endpoint.gvk.group, &endpoint.gvk.kind, namespace, name);
    let what = key.to_string();
    let found = cluster.get_at(Priority::User, endpoint, namespace, name).await;
    let found = found.map_err(|error| unread(&error, &what))?;
    let value = found.ok_or_else(|| Failure::not_found(format!("there is no {what}")))?;
    Object::from_value(value)
        .map_err(|why| Failure::new(crate::exit::OTHER, format!("{what} cannot be read: {why}")))
}

/// Returns the tracking id, if it is the object's own: operators copy annotations to what they make.
fn own_tracking(object: &Object) -> Option<TrackingId> {
    let tracking = TrackingId::parse(object.annotation(names::TRACKING_ID)?)?;
    tracking.refers_to(&object.key()).then_some(tracking)
}

/// Returns the owner that controls an object, or else its first one.
fn owner(object: &Object) -> Option<(GroupVersionKind, String)> {
    let owners = object.metadata()?.get("ownerReferences")?.as_array()?;
    let owner = owners.iter().find(|owner| owner["controller"] == true).or(owners.first())?;
    let text = |field: &str| owner.get(field).and_then(Value::as_str);
    Some((GroupVersionKind::from_api_version(text("apiVersion")?, text("kind")?), text("name")?.to_owned()))
}

fn unmanaged(climbed: &[ObjectKey], top: &Object) -> Failure {
    let names: Vec<String> = climbed.iter().map(ToString::to_string).collect();
    let (first, owners) =
        names.split_first().map_or(("", &[][..]), |(first, owners)| (first.as_str(), owners));
    let owners =
        if owners.is_empty() { String::new() } else { format!(", nor its owner {}", owners.join(", nor ")) };
    let writers: Vec<String> = fields::managers(top)
        .into_iter()
        .filter(|entry| entry.subresource.is_empty() && !entry.manager.is_empty())
        .map(|entry| entry.time.map_or(entry.manager.clone(), |time| format!("{} at {time}", entry.manager)))
        .collect();
    let written = if writers.is_empty() {
        String::new()
    } else {
        format!("; it was written by {}", writers.join(", "))
    };
    Failure::not_found(format!(
        "no Application manages {first}{owners}: it carries no {} of its own{written} (put its manifest into a folder that an \
         Application follows, or make one with tautline app create)",
        names::TRACKING_ID
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn pod(metadata: &Value) -> Object {
        let mut value =
            json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web-1", "namespace": "shop"}});
        for (field, part) in metadata.as_object().unwrap() {
            value["metadata"][field] = part.clone();
        }
        Object::from_value(value).unwrap()
    }

    #[test]
    fn a_copied_tracking_id_is_not_the_objects_own() {
        let tracked =
            |id: &str| own_tracking(&pod(&json!({"annotations": {(names::TRACKING_ID): id}}))).is_some();
        assert!(tracked("shop:/Pod:shop/web-1"));
        assert!(
            !tracked("shop:apps/Deployment:shop/web")
                && !tracked("shop:/Pod:other/web-1")
                && !tracked("shop")
        );
    }

    #[test]
    fn the_owner_that_controls_comes_first() {
        let references = json!({"ownerReferences": [
            {"apiVersion": "v1", "kind": "ConfigMap", "name": "a"},
            {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web-5b", "controller": true}]});
        let (gvk, name) = owner(&pod(&references)).unwrap();
        assert_eq!((gvk.to_string().as_str(), name.as_str()), ("apps/v1 ReplicaSet", "web-5b"));
        assert_eq!(owner(&pod(&json!({}))), None);
    }

    #[test]
    fn what_nobody_manages_says_who_wrote_it_and_what_to_do() {
        let top = pod(&json!({"managedFields": [{"manager": "kubectl-run", "operation": "Update",
            "time": "2026-11-21T07:37:12Z", "fieldsType": "FieldsV1", "fieldsV1": {}}]}));
        let failure = unmanaged(&[top.key()], &top);
        assert_eq!(failure.code, crate::exit::NOT_FOUND);
        assert_eq!(
            failure.message,
            "no Application manages Pod shop/web-1: it carries no argocd.argoproj.io/tracking-id of its own; it was written by \
             kubectl-run at 2026-11-21T07:37:12Z (put its manifest into a folder that an Application follows, or make one with \
             tautline app create)"
        );
    }
}
