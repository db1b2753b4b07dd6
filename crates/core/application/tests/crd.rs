//! The CRDs: their form, their size, and that `manifests/crds/` is fresh.
#![expect(clippy::unwrap_used, reason = "a failed helper is a failed test")]

mod argo_cd;

use application::{crd, wire};
use serde_json::{Value, json};
use std::collections::BTreeSet;

fn walk(schema: &Value, path: &str, visit: &mut dyn FnMut(&Value, &str)) {
    visit(schema, path);
    for (name, schema) in schema["properties"].as_object().into_iter().flatten() {
        walk(schema, &format!("{path}.{name}"), visit);
    }
    for part in ["items", "additionalProperties"] {
        if schema[part].is_object() {
            walk(&schema[part], &format!("{path}[]"), visit);
        }
    }
}

fn schema(crd: &Value) -> &Value {
    &crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
}

#[test]
fn kubectl_apply_without_server_side_can_hold_them() {
    for crd in [crd::application(), crd::app_project()] {
        assert!(crd.to_string().len() < 262_144, "{} bytes", crd.to_string().len());
    }
}

#[test]
fn schemas_are_structural() {
    const KNOWN: &[&str] = &[
        "type",
        "format",
        "description",
        "properties",
        "required",
        "items",
        "additionalProperties",
        "enum",
        "minLength",
        "maxLength",
        "pattern",
        "anyOf",
        "x-kubernetes-int-or-string",
        "x-kubernetes-preserve-unknown-fields",
    ];
    for crd in [crd::application(), crd::app_project()] {
        walk(schema(&crd), "", &mut |schema, path| {
            for key in schema.as_object().unwrap().keys() {
                assert!(KNOWN.contains(&key.as_str()), "{path}: {key}");
            }
            let is_typed = schema["type"].is_string() || schema["x-kubernetes-int-or-string"] == true;
            assert!(is_typed, "{path} has no type");
            assert!(
                !(schema["properties"].is_object() && schema["additionalProperties"].is_object()),
                "{path}"
            );
        });
    }
}

#[test]
fn status_is_free_and_no_subresource_splits_the_write() {
    for crd in [crd::application(), crd::app_project()] {
        let status = &schema(&crd)["properties"]["status"];
        assert_eq!(status["type"], "object");
        assert_eq!(status["x-kubernetes-preserve-unknown-fields"], true);
        assert_eq!(crd["spec"]["versions"][0]["subresources"], json!({}));
        assert_eq!(crd["spec"]["conversion"], json!({"strategy": "None"}));
    }
}

#[test]
fn names_and_columns_are_argo_cds() {
    let app = crd::application();
    assert_eq!(app["metadata"]["name"], "applications.argoproj.io");
    assert_eq!(app["spec"]["names"]["shortNames"], json!(["app", "apps"]));
    let columns: Vec<&str> = app["spec"]["versions"][0]["additionalPrinterColumns"]
        .as_array()
        .unwrap()
        .iter()
        .map(|c| c["name"].as_str().unwrap())
        .collect();
    assert_eq!(columns, ["Sync Status", "Health Status", "Revision", "Project"]);
    let project = crd::app_project();
    assert_eq!(project["metadata"]["name"], "appprojects.argoproj.io");
    assert_eq!(project["spec"]["names"]["shortNames"], json!(["appproj", "appprojs"]));
}

/// No stricter than Argo CD's: what stands in etcd under theirs must be writable under ours.
#[test]
fn what_is_required_is_what_argo_cd_requires() {
    const REQUIRED: &[(&str, &[&str])] = &[
        ("", &["metadata", "spec"]),
        (".spec", &["destination", "project"]),
        ("source", &["repoURL"]),
        ("sources[]", &["repoURL"]),
        ("extVars[]", &["name", "value"]),
        ("tlas[]", &["name", "value"]),
        ("env[]", &["name", "value"]),
        ("info[]", &["name", "value"]),
        ("replicas[]", &["count", "name"]),
        ("ignoreDifferences[]", &["kind"]),
        ("resources[]", &["kind", "name"]),
        ("sourceHydrator", &["drySource", "syncSource"]),
        ("drySource", &["path", "repoURL", "targetRevision"]),
        ("syncSource", &["path", "targetBranch"]),
        ("hydrateTo", &["targetBranch"]),
        ("Whitelist[]", &["group", "kind"]),
        ("Blacklist[]", &["group", "kind"]),
        ("roles[]", &["name"]),
        ("jwtTokens[]", &["iat"]),
        ("signatureKeys[]", &["keyID"]),
        ("sourceIntegrity", &["git"]),
        ("git", &["policies"]),
        ("policies[]", &["gpg", "repos"]),
        ("repos[]", &["url"]),
        ("gpg", &["keys", "mode"]),
        ("destinationServiceAccounts[]", &["defaultServiceAccount", "server"]),
    ];
    for crd in [crd::application(), crd::app_project()] {
        walk(schema(&crd), "", &mut |schema, path| {
            let Some(required) = schema["required"].as_array() else { return };
            let mut required: Vec<&str> = required.iter().map(|r| r.as_str().unwrap()).collect();
            required.sort_unstable();
            let is_known = REQUIRED.iter().any(|(end, names)| {
                (path == *end || (!end.is_empty() && path.ends_with(end))) && required == *names
            });
            assert!(is_known, "{path} requires {required:?}");
        });
    }
}

#[test]
fn manifests_are_fresh() {
    for (name, text) in crd::files() {
        let path = format!("{}/../../../manifests/crds/{name}", env!("CARGO_MANIFEST_DIR"));
        #[expect(clippy::disallowed_methods, reason = "the test compares a file")]
        let stored = std::fs::read_to_string(path).unwrap();
        assert!(stored == text, "{name} is stale: cargo run -p application --example manifests");
    }
}

#[test]
fn yaml_reads_back_and_holds_no_bare_lookalikes_of_booleans() {
    let text = crd::all_yaml();
    let documents: Vec<Value> = serde_yaml::Deserializer::from_str(&text)
        .map(|document| serde::Deserialize::deserialize(document).unwrap())
        .collect();
    assert_eq!(documents, [crd::application(), crd::app_project()]);
    for line in text.lines() {
        let scalar = line.rsplit(": ").next().unwrap_or_default().trim_start_matches([' ', '-']);
        assert!(!["y", "n", "yes", "no", "on", "off"].contains(&scalar), "{line}");
    }
}

/// Every field of the specification documents: what we write back is what was there.
#[test]
fn wire_types_lose_nothing() {
    let path = format!("{}/../../../fixtures/application/every_field.yaml", env!("CARGO_MANIFEST_DIR"));
    #[expect(clippy::disallowed_methods, reason = "tests read their fixtures")]
    let text = std::fs::read_to_string(path).unwrap();
    let mut documents = serde_yaml::Deserializer::from_str(&text)
        .map(|document| <Value as serde::Deserialize>::deserialize(document).unwrap());
    let (app, project) = (documents.next().unwrap(), documents.next().unwrap());
    let typed: wire::Application = serde_json::from_value(app.clone()).unwrap();
    assert_eq!(serde_json::to_value(typed).unwrap(), app);
    let typed: wire::AppProject = serde_json::from_value(project.clone()).unwrap();
    assert_eq!(serde_json::to_value(typed).unwrap(), project);
    covers(&app["spec"], &schema(&crd::application())["properties"]["spec"], "spec");
    covers(&app["operation"], &schema(&crd::application())["properties"]["operation"], "operation");
    covers(&project["spec"], &schema(&crd::app_project())["properties"]["spec"], "spec");
}

/// The fixture must hold each field of the schema at least once per level that it describes.
fn covers(value: &Value, schema: &Value, path: &str) {
    if let Some(items) = value.as_array() {
        return items.iter().for_each(|item| covers(item, &schema["items"], path));
    }
    for (name, value) in value.as_object().into_iter().flatten() {
        if schema["x-kubernetes-preserve-unknown-fields"] == true
            || schema["additionalProperties"].is_object()
        {
            return;
        }
        let known = schema["properties"].get(name);
        assert!(known.is_some(), "{path}.{name} is not in the schema");
        covers(value, known.unwrap(), &format!("{path}.{name}"));
    }
}

/// What Argo CD stores, ours stores: every field of its own CRDs is in ours with the same type, and nothing that it takes is
/// refused for being missing or of another kind.
#[test]
fn every_field_of_argo_cds_own_crds_is_here() {
    let mut wrong = Vec::new();
    for (theirs, ours) in argo_cd::definitions().into_iter().zip([crd::application(), crd::app_project()]) {
        assert_eq!(theirs["metadata"]["name"], ours["metadata"]["name"]);
        for part in ["spec", "operation"] {
            let property = |crd: &Value| schema(crd)["properties"][part].clone();
            compare(&property(&theirs), &property(&ours), part, &mut wrong);
        }
    }
    // Our own settings, and a field that the next version of Argo CD brings.
    wrong.retain(|wrong| !wrong.ends_with(".directory.disableExtensionFilter is ours alone"));
    let ours = ["spec.syncPolicy.rollback is ours alone", "spec.syncPolicy.tautline is ours alone"];
    assert_eq!(wrong, ours);
}

/// Compares two schemas field by field.
fn compare(theirs: &Value, ours: &Value, path: &str, wrong: &mut Vec<String>) {
    // Where ours is free, whatever is written stays.
    if theirs.is_null() || ours["x-kubernetes-preserve-unknown-fields"] == true {
        return;
    }
    for rule in ["type", "x-kubernetes-int-or-string", "x-kubernetes-preserve-unknown-fields"] {
        if theirs[rule] != ours[rule] {
            wrong.push(format!("{path}: {rule} is {}, and {} in Argo CD", ours[rule], theirs[rule]));
        }
    }
    for bound in ["enum", "pattern", "minLength", "maxLength", "minimum", "maximum", "anyOf"] {
        if !ours[bound].is_null()
            && ours[bound] != theirs[bound]
            && ours["x-kubernetes-int-or-string"] != true
        {
            wrong.push(format!("{path}: {bound} refuses what Argo CD takes"));
        }
    }
    let required = |schema: &Value| -> BTreeSet<String> {
        schema["required"].as_array().into_iter().flatten().map(ToString::to_string).collect()
    };
    let needed = required(ours);
    wrong
        .extend(needed.difference(&required(theirs)).map(|name| format!("{path}: {name} need not be there")));
    let names = |schema: &Value| -> BTreeSet<String> {
        schema["properties"].as_object().into_iter().flatten().map(|(name, _)| name.clone()).collect()
    };
    wrong.extend(names(ours).difference(&names(theirs)).map(|name| format!("{path}.{name} is ours alone")));
    wrong.extend(names(theirs).difference(&names(ours)).map(|name| format!("{path}.{name} is missing")));
    for name in names(theirs).intersection(&names(ours)) {
        let property = |schema: &Value| schema["properties"][name].clone();
        compare(&property(theirs), &property(ours), &format!("{path}.{name}"), wrong);
    }
    compare(&theirs["items"], &ours["items"], &format!("{path}[]"), wrong);
    compare(&theirs["additionalProperties"], &ours["additionalProperties"], &format!("{path}{{}}"), wrong);
}
