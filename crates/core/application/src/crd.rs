//! What do clusters need to know of Applications and AppProjects?
//!
//! The two CRDs carry Argo CD's names and no less than Argo CD's fields, so each installs over the other and back without
//! loss. `spec` and `operation` are checked in full and become the ground truth of [`crate::read`]; `status` is
//! free-form, which makes the dearest write of all, that of an Application, 1.65 times as quick. There is no status
//! subresource: `status`, `operation` and annotations change in one write, and `argocd app terminate-op` works.

use crate::wire;
use schemars::{JsonSchema, generate::SchemaSettings};
use serde_json::{Map, Value, json};
use std::sync::LazyLock;

/// API group of both kinds.
pub const GROUP: &str = "argoproj.io";
/// The only version of both kinds.
pub const VERSION: &str = "v1alpha1";

/// Returns the CRD of Applications.
pub fn application() -> Value {
    let columns = json!([
        {"name": "Sync Status", "type": "string", "jsonPath": ".status.sync.status"},
        {"name": "Health Status", "type": "string", "jsonPath": ".status.health.status"},
        {"name": "Revision", "type": "string", "jsonPath": ".status.sync.revision", "priority": 10},
        {"name": "Project", "type": "string", "jsonPath": ".spec.project", "priority": 10}
    ]);
    let names = json!({
        "kind": "Application", "listKind": "ApplicationList", "plural": "applications", "singular": "application",
        "shortNames": ["app", "apps"]
    });
    crd(&names, &columns, &APPLICATION_SCHEMA)
}

/// Returns the CRD of AppProjects.
pub fn app_project() -> Value {
    let names = json!({
        "kind": "AppProject", "listKind": "AppProjectList", "plural": "appprojects", "singular": "appproject",
        "shortNames": ["appproj", "appprojs"]
    });
    crd(&names, &json!([]), &APP_PROJECT_SCHEMA)
}

/// Returns both CRDs as YAML documents: what `tautline crd` prints and what `manifests/crds/` holds in one file each.
pub fn all_yaml() -> String {
    files().into_iter().flat_map(|(_, text)| ["---\n".into(), text]).collect()
}

/// Returns the files of `manifests/crds/`, by name.
pub fn files() -> Vec<(&'static str, String)> {
    vec![("applications.yaml", yaml(&application())), ("appprojects.yaml", yaml(&app_project()))]
}

/// Writes a value of our own as YAML.
pub fn yaml(value: &Value) -> String {
    serde_yaml::to_string(value).expect("JSON values with text keys are always YAML")
}

/// Structural schema of Applications: what their `spec` and `operation` may hold. Made once, for every read needs it.
pub(crate) static APPLICATION_SCHEMA: LazyLock<Value> = LazyLock::new(|| {
    top_level(
        schema_of::<wire::Application>(),
        "Application says what a namespace should hold, from which source, and how to keep it so.",
    )
});

/// Structural schema of AppProjects.
pub(crate) static APP_PROJECT_SCHEMA: LazyLock<Value> = LazyLock::new(|| {
    top_level(
        schema_of::<wire::AppProject>(),
        "AppProject says what its Applications may take from where, and what they may change where.",
    )
});

fn crd(names: &Value, columns: &Value, schema: &Value) -> Value {
    let plural = names["plural"].as_str().unwrap_or_default();
    let mut version = json!({
        "name": VERSION, "served": true, "storage": true, "subresources": {},
        "schema": {"openAPIV3Schema": schema},
    });
    if columns.as_array().is_some_and(|list| !list.is_empty()) {
        version["additionalPrinterColumns"] = columns.clone();
    }
    json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {
            "name": format!("{plural}.{GROUP}"),
            "labels": {"app.kubernetes.io/name": format!("{plural}.{GROUP}"), "app.kubernetes.io/part-of": "tautline"},
        },
        "spec": {
            "group": GROUP, "names": names, "scope": "Namespaced", "conversion": {"strategy": "None"},
            "versions": [version],
        },
    })
}

fn top_level(mut schema: Value, description: &str) -> Value {
    let properties = &mut schema["properties"];
    properties["apiVersion"] = json!({"type": "string", "description": "Version of this object's form."});
    properties["kind"] = json!({"type": "string", "description": "Kind of this object."});
    properties["metadata"] = json!({"type": "object"});
    properties["status"] = json!({
        "type": "object", "x-kubernetes-preserve-unknown-fields": true,
        "description": "What the controller found and did; in Argo CD's form, and not validated.",
    });
    schema["description"] = description.into();
    schema["required"] = json!(["metadata", "spec"]);
    schema
}

fn schema_of<T: JsonSchema>() -> Value {
    let generator = SchemaSettings::openapi3().with(|s| s.inline_subschemas = true).into_generator();
    structural(generator.into_root_schema_for::<T>().to_value())
}

/// Leaves of a generated schema what the API server's structural schemas know. Absent fields are simply absent, so
/// nothing is nullable, as with Argo CD's.
fn structural(schema: Value) -> Value {
    let Value::Object(fields) = schema else { return json!({"x-kubernetes-preserve-unknown-fields": true}) };
    let mut kept = Map::new();
    for (key, value) in fields {
        match (key.as_str(), value) {
            ("$schema" | "title" | "nullable" | "default" | "components", _) => {}
            ("properties", Value::Object(map)) => {
                let map: Map<_, _> =
                    map.into_iter().map(|(name, schema)| (name, structural(schema))).collect();
                kept.insert(key, Value::Object(map));
            }
            ("items" | "additionalProperties", value) => {
                kept.insert(key, structural(value));
            }
            ("description", Value::String(text)) => {
                kept.insert(key, text.split_whitespace().collect::<Vec<_>>().join(" ").into());
            }
            (_, value) => {
                kept.insert(key, value);
            }
        }
    }
    Value::Object(kept)
}
