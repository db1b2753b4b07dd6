//! Is a repository read by SSH with the key of its Secret, once its host key stands in `argocd-ssh-known-hosts-cm`?

use std::fs;

use e2e::{Scene, config_map, is_synced_to};
use lab::{SshServer, ssh_keygen};
use serde_json::{Value, json};

const KNOWN_HOSTS: &str = "argocd-ssh-known-hosts-cm";

fn says(app: &Value, words: &str) -> bool {
    let conditions = app["status"]["conditions"].as_array().into_iter().flatten();
    conditions.into_iter().any(|one| one["message"].as_str().unwrap_or_default().contains(words))
}

fn known_hosts(scene: &Scene, text: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": KNOWN_HOSTS, "namespace": scene.control},
        "data": {"ssh_known_hosts": text}})
}

#[test]
fn a_repository_by_ssh_is_deployed_once_its_host_key_is_vouched_for() {
    let scene = Scene::new("ssh");
    let repo = scene.repo("shop.git");
    let first = repo.write("web.yaml", &config_map("web", "one")).commit("first");
    let file = |name: &str| scene.folder().join(name);
    ssh_keygen("ed25519", &file("client")).unwrap();
    // Two kinds, of which the operator knows the one that libssh2 would not ask for by itself.
    let host = ssh_keygen("ed25519", &file("host")).unwrap();
    ssh_keygen("ecdsa", &file("second")).unwrap();
    let server =
        SshServer::start(&scene.repos(), &file("client.pub"), &[&file("host"), &file("second")]).unwrap();
    let url = format!("ssh://git@127.0.0.1:{}/shop.git", server.port());
    // A template: the key opens everything of that user on that server.
    let key = fs::read_to_string(file("client")).unwrap();
    let labels = json!({"argocd.argoproj.io/secret-type": "repo-creds"});
    let secret = json!({"apiVersion": "v1", "kind": "Secret",
        "metadata": {"name": "ssh", "namespace": scene.control, "labels": labels},
        "stringData": {"url": format!("ssh://git@127.0.0.1:{}", server.port()), "sshPrivateKey": key}});
    scene.create(&secret).unwrap();
    let agent = scene.agent();
    scene.application("shop").set("/spec/source/repoURL", url.as_str()).automated().create();
    scene.wait_app("shop", |app| says(app, " SHA256:") && says(app, "is not known, and neither is any"));
    assert!(scene.config_map("web").is_none());

    let other = ssh_keygen("ed25519", &file("other")).unwrap();
    let at = format!("[127.0.0.1]:{}", server.port());
    scene.create(&known_hosts(&scene, &format!("{at} {other}\n"))).unwrap();
    scene.wait_app("shop", |app| says(app, "is not the one that is known"));

    let text = format!("# ours\n{at} {host}\nnonsense\n");
    scene.patch("v1", "ConfigMap", &scene.control, KNOWN_HOSTS, &json!({"data": {"ssh_known_hosts": text}}));
    scene.wait_app("shop", |app| is_synced_to(app, &first));
    agent.wait_log(|line| {
        line["message"]
            == format!(
                "ConfigMap {KNOWN_HOSTS}: ssh_known_hosts: line 3 is not `hosts kind key`; it is left out"
            )
    });

    // A person who has the rights of the agent reads the same.
    let render = ["render", "--repo", &url, "--control-namespace", &scene.control];
    let rendered = scene.tautline(&render);
    assert_eq!(
        (rendered.code, rendered.err.as_str()),
        (
            0,
            "warning: ConfigMap argocd-ssh-known-hosts-cm: ssh_known_hosts: line 3 is not `hosts kind key`; it is left out\n"
        )
    );
    assert!(rendered.out.contains("name: web"), "{rendered:?}");
    let nowhere = scene.tautline(&[&render[..], &["--kubeconfig", "/nowhere/config"]].concat());
    assert!(nowhere.code == 4 && nowhere.err.contains("needs the key and the host keys"), "{nowhere:?}");

    // What is deployed stays when the keys go.
    scene.delete("v1", "ConfigMap", &scene.control, KNOWN_HOSTS);
    repo.write("web.yaml", &config_map("web", "two")).commit("second");
    let revision = repo.head();
    scene.patch_app("shop", &json!({"metadata": {"annotations": {"argocd.argoproj.io/refresh": "normal"}}}));
    agent.wait_log(|line| line.to_string().contains("is not known, and neither is any"));
    assert_eq!(scene.config_map("web").unwrap()["data"]["key"], "one");
    let unknown = scene.tautline(&render);
    assert!(unknown.code == 6 && unknown.err.contains("is not known, and neither is any"), "{unknown:?}");
    scene.create(&known_hosts(&scene, &text)).unwrap();
    scene.wait_app("shop", |app| is_synced_to(app, &revision));

    let body = key.lines().nth(2).unwrap();
    assert!(!agent.log_text().contains(body) && !scene.app("shop").to_string().contains(body));
}
