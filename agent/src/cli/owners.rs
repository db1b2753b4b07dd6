//! Whose are the objects that an app wants, by what the cluster holds? The agent's own decision, from what the status of each
//! Application lists.

use crate::cli::app::applications;
use crate::cli::failure::Failure;
use crate::exit::FORBIDDEN;
use crate::facts::Facts;
use crate::tools::talk;
use cluster::Cluster;
use engine::claims::Claims;
use model::{AppKey, Object, ObjectKey, names, tracking};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// Who wants which objects, and whose label says what.
pub(crate) struct Owners {
    app: AppKey,
    claims: Claims,
    by_part_of: BTreeMap<String, AppKey>,
}

impl Owners {
    /// Asks which Applications there are beside the one that wants these objects; none where they may not be listed.
    pub(crate) async fn read(
        cluster: &Cluster,
        app: &AppKey,
        wanted: BTreeSet<ObjectKey>,
    ) -> Result<Self, Failure> {
        let others = match applications(cluster, &app.namespace).await {
            Ok(others) => others,
            Err(failure) if failure.code == FORBIDDEN => {
                let namespace = &app.namespace;
                talk(&format!(
                    "warning: the Applications of namespace {namespace} may not be listed; going on as if no other one wanted these objects"
                ));
                Vec::new()
            }
            Err(failure) => return Err(failure),
        };
        Ok(Self::of(app, wanted, &others))
    }

    fn of(app: &AppKey, wanted: BTreeSet<ObjectKey>, others: &[Value]) -> Self {
        let (mut claims, mut by_part_of) = (Claims::default(), BTreeMap::new());
        for other in others {
            let key = application::app_key(other);
            by_part_of.insert(tracking::part_of_label(&key), key.clone());
            // What was never compared may want whatever it holds.
            if !Facts(other).revision().is_empty() {
                claims.set(&key, listed(other));
            }
        }
        by_part_of.insert(tracking::part_of_label(app), app.clone());
        claims.set(app, wanted);
        Self { app: app.clone(), claims, by_part_of }
    }

    /// Returns the app that owns an object instead.
    pub(crate) fn owner_instead(&self, key: &ObjectKey, live: Option<&Object>) -> Option<&AppKey> {
        let label = live.and_then(|live| live.label(names::PART_OF_LABEL));
        let holder = label.and_then(|label| self.by_part_of.get(label));
        self.claims.owner_instead_of(&self.app, key, holder)
    }

    /// Returns whether another app wants an object that Git does not want here any more: it moves there, and is not deleted.
    pub(crate) fn is_moving(&self, key: &ObjectKey) -> bool {
        self.claims.others(&self.app, key).next().is_some()
    }
}

/// Returns what an Application wants by its status: what it lists, but for what Git does not have any more.
fn listed(app: &Value) -> BTreeSet<ObjectKey> {
    let entries = Facts(app).list("/status/resources").iter();
    let key = |entry: &Value| {
        let of = Facts(entry);
        let [group, kind, namespace, name] =
            ["/group", "/kind", "/namespace", "/name"].map(|field| of.text(field));
        ObjectKey::new(group, kind, namespace, name)
    };
    entries.filter(|entry| entry["requiresPruning"] != true).map(key).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn key(name: &str) -> ObjectKey {
        ObjectKey::new("", "ConfigMap", "shop", name)
    }

    fn app(name: &str, resources: &Value) -> Value {
        json!({"metadata": {"namespace": "argocd", "name": name},
            "status": {"sync": {"revision": "a"}, "resources": resources}})
    }

    fn live(name: &str, holder: &str) -> Object {
        let label = tracking::part_of_label(&AppKey::new("argocd", holder));
        let labels = json!({ (names::PART_OF_LABEL): label });
        let object = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"namespace": "shop", "name": name, "labels": labels}});
        Object::from_value(object).unwrap()
    }

    #[test]
    fn who_holds_an_object_that_it_wants_owns_it_and_else_the_first_by_name() {
        let entry = |name: &str, gone: bool| json!({"kind": "ConfigMap", "namespace": "shop", "name": name, "requiresPruning": gone});
        let new = json!({"metadata": {"namespace": "argocd", "name": "new"}});
        let till = app("till", &json!([entry("held", false), entry("moved", true), entry("free", false)]));
        let bar = app("bar", &json!([entry("first", false)]));
        let wanted = ["held", "moved", "free", "first", "unknown", "ours"].map(key).into();
        let owners = Owners::of(&AppKey::new("argocd", "shop"), wanted, &[till, bar, new]);
        let owner = |name: &str, live: Option<Object>| {
            owners.owner_instead(&key(name), live.as_ref()).map(|owner| owner.name.clone())
        };
        assert_eq!(owner("held", Some(live("held", "till"))).as_deref(), Some("till"));
        assert_eq!(owner("held", Some(live("held", "shop"))), None, "it is held here");
        assert_eq!(owner("moved", Some(live("moved", "till"))), None, "Git does not have it there any more");
        assert_eq!(owner("free", None), None, "the first by name is this one");
        assert_eq!(owner("first", None).as_deref(), Some("bar"));
        assert_eq!(owner("unknown", Some(live("unknown", "new"))).as_deref(), Some("new"));
        assert_eq!(owner("ours", Some(live("ours", "nobody"))), None, "no such app is there");
        assert!(owners.is_moving(&key("free")) && !owners.is_moving(&key("moved")));
    }
}
