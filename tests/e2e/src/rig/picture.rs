//! How does the cluster look, apart from what differs from life to life?

use std::collections::{BTreeMap, BTreeSet};

use model::AppKey;
use serde_json::{Value, json};

use super::objects::KINDS;
use super::scenario::{Scenario, Stage};
use crate::scene::Scene;

/// What people see of a scene at one moment: what each object says, which object it is, and what the Applications tell.
#[derive(Clone, Debug, Default)]
pub(crate) struct Picture {
    pub(crate) objects: BTreeMap<String, Value>,
    pub(crate) uids: BTreeMap<String, String>,
    pub(crate) apps: BTreeMap<String, Value>,
}

impl Picture {
    pub(crate) fn take(scenario: Scenario, stage: &Stage) -> Self {
        let scene = &stage.scene;
        let text = scene.kubectl(&["-n", &stage.namespace, "get", KINDS, "-o", "json"]);
        let list: Value = serde_json::from_str(&text).expect("kubectl prints JSON");
        let mut objects = list["items"].as_array().cloned().unwrap_or_default();
        objects.extend(scene.get("rbac.authorization.k8s.io/v1", "ClusterRole", "", &scene.unique("shop")));
        let mut picture = Self::default();
        for object in &objects {
            picture.put(object, scene);
        }
        for name in scenario.apps() {
            picture.apps.insert((*name).to_owned(), told(&scene.app(name), stage));
        }
        picture
    }

    fn put(&mut self, object: &Value, scene: &Scene) {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let name = text(&object["metadata"]["name"]).replace(&scene.namespace, "NS");
        let is_ours = ["shop-", "rival-", "bystander"].iter().any(|prefix| name.starts_with(prefix));
        // Those on their way out are the controllers' matter.
        if !is_ours || !object["metadata"]["deletionTimestamp"].is_null() {
            return;
        }
        let name = format!("{}/{name}", text(&object["kind"]));
        self.uids.insert(name.clone(), text(&object["metadata"]["uid"]));
        self.objects.insert(name, unnamed(&said(object), scene));
    }

    /// Returns the objects that were there before and are others now.
    pub(crate) fn made_anew(&self, before: &Self) -> BTreeSet<String> {
        let is_other =
            |(name, uid): &(&String, &String)| before.uids.get(*name).is_some_and(|old| old != *uid);
        self.uids.iter().filter(is_other).map(|(name, _)| name.clone()).collect()
    }

    /// Returns the picture without some objects, named as `ConfigMap/web`.
    pub(crate) fn without(&self, left_out: &[&str]) -> Self {
        let mut picture = self.clone();
        picture.objects.retain(|name, _| !left_out.contains(&name.as_str()));
        picture.uids.retain(|name, _| !left_out.contains(&name.as_str()));
        for app in picture.apps.values_mut() {
            let name = |entry: &Value| {
                format!("{}/{}", entry[0].as_str().unwrap_or_default(), entry[2].as_str().unwrap_or_default())
            };
            if let Some(resources) = app["resources"].as_array_mut() {
                resources.retain(|entry| !left_out.contains(&name(entry).as_str()));
            }
        }
        picture
    }

    /// Says what is not as in the other picture.
    pub(crate) fn differences(&self, expected: &Self) -> Vec<String> {
        let objects = self.objects_unlike(expected).into_iter();
        objects.chain(differences(&self.apps, &expected.apps)).collect()
    }

    /// Says which objects are not as in the other picture.
    pub(crate) fn objects_unlike(&self, expected: &Self) -> Vec<String> {
        differences(&self.objects, &expected.objects)
    }
}

fn differences(seen: &BTreeMap<String, Value>, expected: &BTreeMap<String, Value>) -> Vec<String> {
    let names: BTreeSet<&String> = seen.keys().chain(expected.keys()).collect();
    let differing = names.into_iter().filter(|name| seen.get(*name) != expected.get(*name));
    differing
        .map(|name| {
            let text =
                |side: &BTreeMap<String, Value>| side.get(name).map_or("absent".into(), Value::to_string);
            format!("{name} is {}, not {}", text(seen), text(expected))
        })
        .collect()
}

/// Returns an object without ids, versions, times, and what controllers wrote. Of who owns its fields it says what is ours.
fn said(object: &Value) -> Value {
    let mut object = object.clone();
    let managers = object["metadata"]["managedFields"].as_array().into_iter().flatten();
    let ours = managers.filter(|entry| entry["manager"] == "tautline");
    let owned: Vec<Value> =
        ours.map(|entry| json!([entry["operation"], entry["subresource"], entry["fieldsV1"]])).collect();
    object["owned"] = owned.into();
    for (place, fields) in [
        ("", &["status"][..]),
        ("/metadata", &["uid", "resourceVersion", "creationTimestamp", "generation", "managedFields"]),
        ("/metadata/annotations", &["deployment.kubernetes.io/revision"]),
        ("/spec", if object["kind"] == "Service" { &["clusterIP", "clusterIPs"] } else { &[] }),
    ] {
        if let Some(map) = object.pointer_mut(place).and_then(Value::as_object_mut) {
            map.retain(|field, _| !fields.contains(&field.as_str()));
        }
    }
    object
}

/// Replaces what is called differently in each scene.
fn unnamed(value: &Value, scene: &Scene) -> Value {
    let mut text = value.to_string();
    let label = model::tracking::instance_label(None, &scene.control);
    for (own, general) in [(&scene.control, "CONTROL"), (&scene.namespace, "NS"), (&label, "INSTANCE")] {
        text = text.replace(own.as_str(), general);
    }
    for app in ["shop", "rival"] {
        let key = AppKey { namespace: scene.control.clone(), name: app.into() };
        text = text.replace(&model::tracking::part_of_label(&key), app);
    }
    serde_json::from_str(&text).expect("names are no syntax")
}

/// Returns what an Application says that is the same each time: status, inventory, history, how the last sync ended.
fn told(app: &Value, stage: &Stage) -> Value {
    let status = &app["status"];
    let nth = |revision: &Value| {
        let known = stage.commits.iter().position(|commit| revision == commit.as_str());
        known.map_or_else(|| "another".to_owned(), |n| format!("commit {n}"))
    };
    let list = |name: &str| status[name].as_array().cloned().unwrap_or_default();
    let resources: Vec<Value> = list("resources")
        .iter()
        .map(|r| json!([r["kind"], r["namespace"], r["name"], r["status"], r["health"]["status"]]))
        .collect();
    let conditions: BTreeSet<String> = list("conditions").iter().map(|c| c["type"].to_string()).collect();
    let own = app["metadata"]["annotations"]["tautline.dev/state"].as_str().unwrap_or("{}");
    let own: Value = serde_json::from_str(own).unwrap_or_default();
    let told = json!({
        "sync": [status["sync"]["status"], nth(&status["sync"]["revision"])],
        "health": status["health"]["status"],
        "resources": resources,
        "history": list("history").iter().map(|entry| nth(&entry["revision"])).collect::<Vec<_>>(),
        "phase": status["operationState"]["phase"],
        "conditions": conditions,
        "condemned": own["condemned"] == true,
        "held": [own["held"]["stage"], nth(&own["held"]["revision"]), nth(&own["held"]["bad"]["revision"])],
        "quarantined": own["quarantine"].as_array().into_iter().flatten().map(|bad| nth(&bad["revision"])).collect::<Vec<_>>(),
        "operation": app["operation"],
    });
    unnamed(&told, &stage.scene)
}
