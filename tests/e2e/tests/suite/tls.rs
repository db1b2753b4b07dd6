//! What does a repository behind TLS get: with a certificate that proves who it is, and with one that does not?
#![expect(clippy::unwrap_used, reason = "what cannot be done is a failed test")]

use std::fs;
use std::path::PathBuf;

use e2e::{GitServer, Scene, condition, config_map, is_synced_to, sync_status};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};
use serde_json::json;

/// Someone who signs certificates.
struct Authority {
    folder: PathBuf,
    parameters: CertificateParams,
    key: KeyPair,
}

impl Authority {
    fn new(scene: &Scene, name: &str) -> Self {
        let folder = scene.folder().join(name);
        fs::create_dir(&folder).unwrap();
        let mut parameters = CertificateParams::default();
        // By its name a certificate is told from that of who signed it.
        parameters.distinguished_name.push(DnType::CommonName, name);
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        fs::write(folder.join("ca.crt"), parameters.self_signed(&key).unwrap().pem()).unwrap();
        Self { folder, parameters, key }
    }

    /// Serves the scene's repositories with a certificate for a host, changed by `change`.
    fn serve(&self, scene: &Scene, host: &str, change: impl FnOnce(&mut CertificateParams)) -> GitServer {
        let mut parameters = CertificateParams::new([host.to_owned()]).unwrap();
        parameters.distinguished_name.push(DnType::CommonName, "a Git server");
        change(&mut parameters);
        let key = KeyPair::generate().unwrap();
        let issuer = Issuer::from_params(&self.parameters, &self.key);
        let certificate = parameters.signed_by(&key, &issuer).unwrap();
        let path = |name: &str| self.folder.join(format!("{host}{name}"));
        fs::write(path(".crt"), certificate.pem()).unwrap();
        fs::write(path(".key"), key.serialize_pem()).unwrap();
        GitServer::start_tls(scene.repos(), &path(".crt"), &path(".key"))
    }
}

// N17: strangers, expired and misnamed certificates, and insecure in a Secret
#[test]
fn only_a_server_that_proves_who_it_is_gets_the_credentials() {
    let scene = Scene::new("tls");
    let (ours, theirs) = (Authority::new(&scene, "ours"), Authority::new(&scene, "theirs"));
    let mut settings = scene.settings();
    let trusted = ours.folder.join("ca.crt").display().to_string();
    settings.environment.insert("SSL_CERT_FILE".into(), trusted);
    settings.environment.insert("RUST_LOG".into(), "trace".into());
    let agent = scene.start(settings);
    let repo = scene.repo("shop");
    repo.write("web.yaml", &config_map("web", "one")).write("near/near.yaml", &config_map("near", "one"));
    let revision = repo.commit("first");

    let localhost = |name: &'static str, server: GitServer, expected: &'static str| {
        let url = server.url("shop").replace("127.0.0.1", "localhost");
        (name, server, url, expected)
    };
    let address = |name: &'static str, server: GitServer, expected: &'static str| {
        let url = server.url("shop");
        (name, server, url, expected)
    };
    let invalid = "has a certificate that is not trusted: the SSL certificate is invalid (see ";
    let no_name = "has a certificate that does not name localhost (write the URL with a host that it names, or have one \
                   issued with the DNS name localhost among its subject alternative names)";
    let no_address = "has a certificate that does not name 127.0.0.1 (write the URL with a host that it names, or have \
                      one issued with the IP address 127.0.0.1 among its subject alternative names)";
    let expired = ours.serve(&scene, "localhost", |p| p.not_after = date_time_ymd(2020, 1, 1));
    let servers = [
        localhost("fine", ours.serve(&scene, "localhost", |_| ()), ""),
        localhost("wrong", ours.serve(&scene, "localhost", |_| ()), "refuses the credentials (see "),
        localhost("stranger", theirs.serve(&scene, "localhost", |_| ()), invalid),
        localhost("expired", expired, invalid),
        localhost("elsewhere", ours.serve(&scene, "git.example.com", |_| ()), no_name),
        localhost("addressed", ours.serve(&scene, "127.0.0.1", |_| ()), no_name),
        address("named", ours.serve(&scene, "localhost", |_| ()), no_address),
        address("moved", ours.serve(&scene, "127.0.0.2", |_| ()), no_address),
        address("nearby", ours.serve(&scene, "127.0.0.1", |_| ()), ""),
    ];
    for (name, server, url, _) in &servers {
        server.ask_for("ann", if *name == "wrong" { "another" } else { "canary-83" });
        // No Secret makes the agent talk to a stranger.
        let secret = json!({
            "apiVersion": "v1", "kind": "Secret",
            "metadata": {
                "name": name, "namespace": scene.control, "labels": {"argocd.argoproj.io/secret-type": "repository"},
            },
            "stringData": {
                "url": url, "username": "ann", "password": "canary-83", "insecure": "true",
            },
        });
        scene.create(&secret).unwrap();
        let path = if *name == "nearby" { "near" } else { "." };
        scene.application(name).set("/spec/source/repoURL", url.as_str()).path(path).automated().create();
    }
    for (name, server, url, expected) in servers.iter().filter(|(.., expected)| !expected.is_empty()) {
        let app = scene.wait_app(name, |app| !condition(app, "ComparisonError").is_empty());
        let expected = format!("Failed to load target state: repository {url} {expected}");
        let told = condition(&app, "ComparisonError");
        assert!(told.starts_with(&expected), "{name}: {told}");
        assert_eq!(sync_status(&app), "Unknown", "{name}");
        // It had to prove itself before it was told who asks.
        assert_eq!(server.was_told("canary-83"), *name == "wrong", "{name}");
    }
    for name in ["fine", "nearby"] {
        scene.wait_app(name, |app| is_synced_to(app, &revision));
    }
    assert_eq!(scene.config_map("web").unwrap()["data"]["key"], "one");

    let apps: String = servers.iter().map(|(name, ..)| scene.app(name).to_string()).collect();
    let shown =
        [("log", agent.log_text()), ("Applications", apps), ("metrics", agent.probe("/metrics").body)];
    assert!(shown[0].1.contains("\"level\":\"TRACE\""), "the log is not what was asked for");
    // The password as it is and as it is sent, and what the agent shows to the API server.
    let token = scene.lab.admin_token().unwrap_or("canary-83");
    for (place, text) in shown {
        for secret in ["canary-83", "Y2FuYXJ5LTgz", "YW5uOmNhbmFyeS04Mw", token] {
            assert!(!text.contains(secret), "the {place} show a credential");
        }
    }
}

// N16: from TLS to plain text
#[test]
fn a_redirect_out_of_tls_gets_no_credentials() {
    let scene = Scene::new("downgrade");
    let ours = Authority::new(&scene, "ours");
    let mut settings = scene.settings();
    let trusted = ours.folder.join("ca.crt").display().to_string();
    settings.environment.insert("SSL_CERT_FILE".into(), trusted);
    let _agent = scene.start(settings);
    scene.repo("shop").write("web.yaml", &config_map("web", "one")).commit("first");
    // Who listens there is never told anything, although it would let everybody in.
    let plain = GitServer::start(scene.repos());
    let server = ours.serve(&scene, "localhost", |_| ());
    server.redirect_to(&plain.url("shop").replace("127.0.0.1", "localhost"));
    let url = server.url("shop").replace("127.0.0.1", "localhost");
    for (name, credentials) in [
        ("basic", json!({"username": "ann", "password": "canary-of-ann"})),
        ("bearer", json!({"bearerToken": "canary-of-a-token"})),
    ] {
        let mut data = credentials;
        data["url"] = url.as_str().into();
        data["project"] = name.into();
        let labels = json!({"argocd.argoproj.io/secret-type": "repository"});
        let metadata = json!({"name": name, "namespace": scene.control, "labels": labels});
        scene
            .create(&json!({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": data}))
            .unwrap();
        let spec = json!({"sourceRepos": ["*"], "destinations": [{"server": "*", "namespace": "*"}]});
        let metadata = json!({"name": name, "namespace": scene.control});
        let project = json!({"apiVersion": "argoproj.io/v1alpha1", "kind": "AppProject", "metadata": metadata, "spec": spec});
        scene.create(&project).unwrap();
        let app =
            scene.application(name).set("/spec/source/repoURL", url.as_str()).set("/spec/project", name);
        app.automated().create();
        let app = scene.wait_app(name, |app| !condition(app, "ComparisonError").is_empty());
        assert_eq!(sync_status(&app), "Unknown", "{app:#}");
    }
    assert_eq!(plain.n_told(), 0, "credentials went out of TLS");
    assert!(scene.config_map("web").is_none());
}
