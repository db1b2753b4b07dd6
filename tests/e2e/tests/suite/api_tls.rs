//! Does the program speak TLS with the certificate of its files, and nothing else, also once they were replaced?
#![expect(clippy::unwrap_used, reason = "what cannot be done is a failed test")]

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::time::Instant;

use e2e::{Agent, DEADLINE, Scene, Told, config_map};
use rcgen::{CertifiedKey, generate_simple_self_signed};

/// A certificate for 127.0.0.1 that vouches for itself.
struct Pair {
    certificate: String,
    key: String,
    /// A file with the certificate, for whoever is to trust it.
    trusted: PathBuf,
}

impl Pair {
    fn new(scene: &Scene, name: &str) -> Self {
        let CertifiedKey { cert, signing_key } =
            generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
        let (certificate, key) = (cert.pem(), signing_key.serialize_pem());
        // What is in a key must not be told by anybody, in whatever form.
        scene.canaries().add(name, key.lines().nth(1).unwrap());
        let trusted = scene.folder().join(name);
        fs::write(&trusted, &certificate).unwrap();
        Self { certificate, key, trusted }
    }
}

struct Place {
    scene: Scene,
    agent: Agent,
    certificate: PathBuf,
    key: PathBuf,
}

/// Replaces a file as a whole, as whoever renews certificates does.
fn replace(path: &Path, text: &str) {
    let fresh = path.with_extension("fresh");
    fs::write(&fresh, text).unwrap();
    fs::rename(&fresh, path).unwrap();
}

impl Place {
    fn new(name: &str, first: impl FnOnce(&Scene) -> Pair) -> (Self, Pair) {
        let scene = Scene::new(name);
        let pair = first(&scene);
        let (certificate, key) = (scene.folder().join("tls.crt"), scene.folder().join("tls.key"));
        replace(&certificate, &pair.certificate);
        replace(&key, &pair.key);
        let options = [("--tls-cert", &certificate), ("--tls-key", &key)];
        let options = options.map(|(name, path)| [name.to_owned(), path.display().to_string()]);
        let mut settings = scene.settings();
        settings.options = options.concat();
        let agent = scene.start(settings);
        scene.deployed("shop", &[("web.yaml", &config_map("web", "one"))]);
        (Self { scene, agent, certificate, key }, pair)
    }

    /// Asks over a connection of its own, as somebody who trusts one certificate and no other.
    fn ask(&self, trusted: &Pair) -> Told {
        let server = format!("https://{}", self.agent.api());
        let (control, ca) = (self.scene.control.as_str(), trusted.trusted.display().to_string());
        self.scene
            .tautline(&["app", "get", "shop", "-n", control, "--server", &server, "--ca", &ca, "-o", "name"])
    }

    fn n_told(&self, text: &str) -> usize {
        let is_it =
            |line: &&serde_json::Value| line["message"].as_str().is_some_and(|said| said.contains(text));
        self.agent.log().iter().filter(is_it).count()
    }
}

#[test]
fn files_that_are_replaced_count_for_the_next_connection_and_broken_ones_for_none() {
    const KEPT: &str = "the API goes on with the certificate that it has";
    const RENEWED: &str = "the API speaks TLS with a new certificate";
    let (place, old) = Place::new("api-tls", |scene| Pair::new(scene, "old.crt"));
    let new = Pair::new(&place.scene, "new.crt");
    let told = place.ask(&old);
    assert_eq!((told.code, told.out.trim()), (0, "application.argoproj.io/shop"), "{told:?}");
    assert_ne!(place.ask(&new).code, 0, "a certificate that is not there yet");

    // A broken file, half of a renewal, and none at all: each is told once, and the last good pair stays.
    let (broken, half) = ("-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n", &*new.certificate);
    for (n_told, text) in [(1, Some(broken)), (2, Some(half)), (3, None)] {
        match text {
            Some(text) => replace(&place.certificate, text),
            None => fs::remove_file(&place.certificate).unwrap(),
        }
        let end = Instant::now() + DEADLINE;
        while place.n_told(KEPT) < n_told {
            assert_eq!(place.ask(&old).code, 0);
            assert!(Instant::now() < end, "{text:?} is not told:\n{}", place.agent.log_text());
        }
        assert_eq!(place.ask(&old).code, 0);
    }
    assert_eq!((place.n_told(KEPT), place.n_told(RENEWED)), (3, 0), "{}", place.agent.log_text());
    let line = place.agent.wait_log(|line| line["message"].as_str().is_some_and(|text| text.contains(KEPT)));
    assert!(line["error"].as_str().unwrap().starts_with(&place.certificate.display().to_string()), "{line}");

    replace(&place.key, &new.key);
    replace(&place.certificate, &new.certificate);
    let end = Instant::now() + DEADLINE;
    while place.ask(&new).code != 0 {
        assert!(Instant::now() < end, "the new pair is not used:\n{}", place.agent.log_text());
    }
    assert_ne!(place.ask(&old).code, 0, "the old certificate is not served any more");
    assert_eq!(place.n_told(RENEWED), 1, "{}", place.agent.log_text());
}

#[test]
fn who_speaks_no_tls_is_not_answered() {
    let (place, pair) = Place::new("api-plain", |scene| Pair::new(scene, "own.crt"));
    let mut plain = TcpStream::connect(place.agent.api()).unwrap();
    plain.set_read_timeout(Some(DEADLINE)).unwrap();
    write!(plain, "GET /api/v1/applications HTTP/1.1\r\nHost: {}\r\n\r\n", place.agent.api()).unwrap();
    let mut answer = Vec::new();
    // A reset is an end as well.
    drop(plain.read_to_end(&mut answer));
    let text = String::from_utf8_lossy(&answer);
    assert!(!text.contains("HTTP") && !text.contains("shop"), "{text}");

    let server = format!("http://{}", place.agent.api());
    let told = place.scene.tautline(&["app", "list", "-n", &place.scene.control, "--server", &server]);
    assert!(told.code != 0 && told.out.is_empty(), "{told:?}");
    assert_eq!(place.ask(&pair).code, 0);
    assert_eq!(place.agent.probe("/readyz").status, 200, "probes speak no TLS, and need none");
}

#[test]
fn files_that_cannot_be_used_are_told_at_the_start() {
    let scene = Scene::new("api-no-tls");
    let (one, other) = (Pair::new(&scene, "one.crt"), Pair::new(&scene, "other.crt"));
    let (certificate, key) = (scene.folder().join("tls.crt"), scene.folder().join("tls.key"));
    let kubeconfig = scene.lab.kubeconfig().display().to_string();
    let cache = scene.settings().cache.display().to_string();
    let (crt, pem) = (certificate.display().to_string(), key.display().to_string());
    for (text, key_text, expected) in [
        (None, &one.key, "No such file or directory"),
        (Some(""), &one.key, "there is no certificate in it"),
        (Some(&*one.certificate), &other.key, "it does not go with its key"),
    ] {
        drop(fs::remove_file(&certificate));
        if let Some(text) = text {
            fs::write(&certificate, text).unwrap();
        }
        fs::write(&key, key_text).unwrap();
        let options = ["--kubeconfig", &kubeconfig, "--namespace", &scene.control, "--cache-dir", &cache];
        let listen =
            ["--listen", "127.0.0.1:0", "--probes", "127.0.0.1:0", "--tls-cert", &crt, "--tls-key", &pem];
        let told = scene.tautline(&[&["run"], &options[..], &listen].concat());
        assert!(told.code != 0 && told.err.contains(expected) && told.err.contains(&crt), "{told:?}");
    }
}
