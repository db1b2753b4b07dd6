//! What if the authority of the API server is replaced? The agent concludes nothing, and goes on once its file is replaced, too.
#![expect(clippy::unwrap_used, reason = "what cannot be done is a failed test")]

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use e2e::{Proxy, Scene, TlsFront, config_map, is_condemned, is_synced_to, operation_phase};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};

/// The file is read anew once a minute, and connections are tried at intervals.
const REREAD: Duration = Duration::from_mins(4);

/// An authority, and the certificate and key of a server on 127.0.0.1 that it vouches for: three PEM files.
fn authority(scene: &Scene, name: &str) -> [PathBuf; 3] {
    let (key, server_key) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
    let mut parameters = CertificateParams::default();
    parameters.distinguished_name.push(DnType::CommonName, name);
    parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let own = parameters.self_signed(&key).unwrap();
    let server = CertificateParams::new(["127.0.0.1".to_owned()]).unwrap();
    let server = server.signed_by(&server_key, &Issuer::from_params(&parameters, &key)).unwrap();
    let files =
        ["ca.crt", "server.crt", "server.key"].map(|file| scene.folder().join(format!("{name}-{file}")));
    for (file, text) in files.iter().zip([own.pem(), server.pem(), server_key.serialize_pem()]) {
        fs::write(file, text).unwrap();
    }
    files
}

#[test]
fn an_authority_that_is_replaced_is_taken_up_without_a_restart() {
    let scene = Scene::new("authority");
    let (old, new) = (authority(&scene, "old"), authority(&scene, "new"));
    let trusted = scene.folder().join("trusted.crt");
    fs::copy(&old[0], &trusted).unwrap();
    let proxy = Proxy::start(&scene);
    let front = TlsFront::start(&proxy, &old[1], &old[2]);
    let text = fs::read_to_string(scene.lab.kubeconfig()).unwrap();
    let text = text.replace(scene.lab.url(), &format!("https://{}", front.address()));
    let text = text.replace(&scene.lab.ca_file().display().to_string(), &trusted.display().to_string());
    let mut settings = scene.settings();
    settings.kubeconfig = scene.folder().join("fronted.kubeconfig");
    fs::write(&settings.kubeconfig, text).unwrap();
    let agent = scene.start(settings);
    let files = [("web.yaml", config_map("web", "one")), ("old.yaml", config_map("old", "one"))];
    let repo = scene.deployed("shop", &files.each_ref().map(|(path, text)| (*path, text.as_str())));
    let before = scene.app("shop");

    front.replace(&new[1], &new[2]);
    agent.wait_log(|line| line.to_string().contains("UnknownIssuer"));
    let revision =
        repo.write("app/web.yaml", &config_map("web", "two")).remove("app/old.yaml").commit("second");
    agent.wait_probe("/metrics", |_| agent.metric("tautline_renders_total") == 2);
    assert_eq!(scene.app("shop")["metadata"]["resourceVersion"], before["metadata"]["resourceVersion"]);
    assert_eq!(agent.probe("/healthz").status, 200, "a restart would not help");

    fs::copy(&new[0], &trusted).unwrap();
    let key = ("argoproj.io/v1alpha1", "Application", scene.control.as_str(), "shop");
    let app = scene.wait_object_for(REREAD, key, |app| app.is_some_and(|app| is_synced_to(app, &revision)));
    let app = app.unwrap();
    assert!(operation_phase(&app) == "Succeeded" && !is_condemned(&app), "{app:#}");
    assert_eq!(scene.config_map("web").unwrap()["data"]["key"], "two");
    scene.wait_config_map("old", |old| old.is_none());
}
