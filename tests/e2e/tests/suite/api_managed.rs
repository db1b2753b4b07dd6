//! What does an interface show of an app's objects? Git and the cluster side by side, and no Secret.

use e2e::{Scene, config_map, sync_status};
use serde_json::{Value, json};

#[test]
fn objects_are_shown_side_by_side_and_secrets_masked_whatever_they_are_called() {
    let scene = Scene::new("managed");
    let agent = scene.agent();
    let secret = "apiVersion: v1\nkind: Secret\nmetadata: {name: key}\nstringData: {word: swordfish}\n";
    scene.deployed("shop", &[("web.yaml", &config_map("web", "one")), ("key.yaml", secret)]);
    scene.patch_app("shop", &json!({"spec": {"syncPolicy": null}}));
    scene.wait_app("shop", |app| app["spec"]["syncPolicy"].is_null());
    scene.edit_as("ops", "configmap/web", &json!({"data": {"key": "two"}}));
    scene.wait_app("shop", |app| sync_status(app) == "OutOfSync");
    let get = |query: &str| agent.get(&format!("/api/v1/applications/shop/managed-resources{query}"));
    let all = get("");
    assert_eq!((all.status, all.json()["items"].as_array().unwrap().len()), (200, 2), "{all:?}");
    let only = get("?kind=ConfigMap&name=web").json();
    let item = &only["items"][0];
    assert_eq!(
        (&item["kind"], &item["modified"], &only["items"][1]),
        (&json!("ConfigMap"), &json!(true), &Value::Null)
    );
    let value = |field: &str| {
        let state: Value = serde_json::from_str(item[field].as_str().unwrap()).unwrap();
        state["data"]["key"].clone()
    };
    assert_eq!((value("targetState"), value("liveState")), (json!("one"), json!("two")));
    assert_eq!((value("normalizedLiveState"), value("predictedLiveState")), (json!("two"), json!("one")));
    for query in
        ["", "?kind=Secret", "?kind=secret", "?kind=Secret.v1", "?kind=List", "?group=v1&kind=Secret"]
    {
        let told = get(query).body;
        assert!(!told.contains("swordfish") && !told.contains("c3dvcmRmaXNo"), "{query}: {told}");
    }
    assert!(get("?kind=Secret").body.contains("++++++++"), "it is shown, and masked");
}
