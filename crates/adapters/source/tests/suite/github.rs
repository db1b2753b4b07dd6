//! Does a GitHub App log in with a token, and is it asked for no more often than needed?

use crate::remote::Served;
use crate::revert::{part, revert, show};
use crate::support::read;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ring::signature::{KeyPair as _, RSA_PKCS1_2048_8192_SHA256, RsaKeyPair, UnparsedPublicKey};
use serde_json::Value;
use source::{Config, RepoUrl, Repository, RepositorySecret, Reverted, SecretKind, Sources, pick};
use std::collections::BTreeMap;
use std::fs;
use std::time::{Duration, Instant};

/// A server with a repository, and the key of an app.
struct App {
    it: Served,
    key: String,
}

impl App {
    fn new() -> Self {
        let it = Served::new();
        let file = it.place.folder.path().join("app.pem");
        lab::ssh_keygen("pkcs1", &file).unwrap();
        Self { key: fs::read_to_string(file).unwrap(), it }
    }

    fn fields(&self, installation: &str) -> BTreeMap<String, Vec<u8>> {
        let api = self.it.server.url("");
        let fields = [
            ("url", api.as_str()),
            ("githubAppID", "12"),
            ("githubAppInstallationID", installation),
            ("githubAppPrivateKey", self.key.as_str()),
            ("githubAppEnterpriseBaseUrl", api.as_str()),
        ];
        fields.map(|(name, value)| (name.to_owned(), value.as_bytes().to_vec())).into()
    }

    fn repository(&self, path: &str, installation: &str) -> Repository {
        let secret = RepositorySecret::from_data(SecretKind::Template, &self.fields(installation)).unwrap();
        let url = RepoUrl::parse(&self.it.server.url(path)).unwrap();
        let access = pick(&[secret], &url, "default").unwrap();
        Repository::new(url, access)
    }

    async fn read(&self, installation: &str) -> String {
        read(&self.it.place.sources, &self.repository("token/app.git", installation), "main", "").await
    }

    /// Returns what GitHub was told, each time.
    fn claims(&self) -> Vec<String> {
        let seen = self.it.server.seen().into_iter().filter(|seen| seen.line.starts_with("POST /app/"));
        seen.filter_map(|seen| Some(seen.authorization?.strip_prefix("Bearer ")?.to_owned())).collect()
    }

    fn pair(&self) -> RsaKeyPair {
        let body: String = self.key.lines().filter(|line| !line.starts_with('-')).collect();
        RsaKeyPair::from_der(&STANDARD.decode(body).unwrap()).unwrap()
    }
}

#[tokio::test]
async fn one_token_serves_until_shortly_before_its_end() {
    let app = App::new();
    assert_eq!(app.read("7").await, "a.yaml: 1");
    app.it.repo.commit("main", &[("a.yaml", "2")]);
    assert_eq!(app.read("7").await, "a.yaml: 2");
    let claims = app.claims();
    assert_eq!(claims.len(), 1, "the token is good for an hour");

    let (signed, signature) = claims[0].rsplit_once('.').unwrap();
    let pair = app.pair();
    let public = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, pair.public_key());
    public.verify(signed.as_bytes(), &URL_SAFE_NO_PAD.decode(signature).unwrap()).unwrap();
    let part = |place: usize| -> Value {
        let text = URL_SAFE_NO_PAD.decode(signed.split('.').nth(place).unwrap()).unwrap();
        serde_json::from_slice(&text).unwrap()
    };
    assert_eq!(part(0), serde_json::json!({"alg": "RS256", "typ": "JWT"}));
    let (claim, now) = (part(1), jiff::Timestamp::now().as_second());
    let (issued, expires) = (claim["iat"].as_i64().unwrap(), claim["exp"].as_i64().unwrap());
    assert_eq!(claim["iss"], "12");
    assert!(issued <= now - 60 && expires > now && expires - issued <= 600, "{claim} at {now}");

    // Four minutes are too few for whoever is about to fetch.
    assert_eq!(app.read("8").await, "a.yaml: 2");
    let n_claims = app.claims().len();
    assert_eq!(app.read("8").await, "a.yaml: 2");
    assert!(app.claims().len() > n_claims);
}

#[tokio::test]
async fn a_revert_is_pushed_with_the_token() {
    let app = App::new();
    app.it.repo.git.config().unwrap().set_bool("http.receivepack", true).unwrap();
    let good = app.it.repo.commit("main", &[("web/a.yaml", "1")]);
    let bad = app.it.repo.commit("main", &[("web/a.yaml", "2")]);
    let wanted = revert(&bad, vec![part("web", &good)]);
    let done = app.it.place.sources.revert(&app.repository("token/app.git", "7"), &wanted).await.unwrap();
    assert!(matches!(done, Reverted::Pushed { .. }), "{done:?}");
    assert_eq!((show(&app.it.repo, "main").as_str(), app.claims().len()), ("web/a.yaml: 1", 1));
}

// N19: keys, claims and tokens of GitHub Apps
#[tokio::test]
async fn what_github_refuses_is_told_without_key_claim_or_token() {
    let app = App::new();
    let told = app.read("10").await;
    let expected = format!(
        "Authentication: GitHub App 12, installation 10, gets no token from http://{}",
        app.it.server.address
    );
    assert!(told.starts_with(&expected) && told.contains("answered 404: no such app: Bearer ***"), "{told}");

    // A token that opens nothing is not kept.
    let told = app.read("9").await;
    assert!(told.contains("refuses the credentials"), "{told}");
    let n_claims = app.claims().len();
    let again = app.read("9").await;
    assert!(app.claims().len() > n_claims && again == told, "{again}");

    let repository = app.repository("token/app.git", "7");
    let printed = format!("{told} {repository:?} {:?} {:?}", repository.credentials, app.it.place.sources);
    let line = app.key.lines().nth(1).unwrap();
    for secret in [line, "canary", app.claims()[0].as_str()] {
        assert!(!printed.contains(secret), "{printed}");
    }

    // The same for SSH, of which GitHub's tokens open nothing.
    let mut by_ssh = repository.clone();
    by_ssh.url = RepoUrl::parse("ssh://git@127.0.0.1:1/app.git").unwrap();
    let told = read(&app.it.place.sources, &by_ssh, "main", "").await;
    assert!(
        told.starts_with("Unavailable: repository ssh://git@127.0.0.1:1/app.git cannot be reached"),
        "{told}"
    );
}

#[tokio::test]
async fn being_asked_too_often_passes_and_says_nothing_against_the_app() {
    let app = App::new();
    for (installation, status) in [("11", 403), ("13", 429)] {
        let told = app.read(installation).await;
        let expected = format!("its API answered {status}, for it was asked too often");
        assert!(told.starts_with("Unavailable: GitHub App 12") && told.contains(&expected), "{told}");
        // Nor is it asked again at once.
        let n_claims = app.claims().len();
        assert_eq!((app.read(installation).await, app.claims().len()), (told, n_claims));
    }
}

#[tokio::test]
async fn all_repositories_of_an_app_wait_for_github_together() {
    let app = App::new();
    let mut config = Config::new(app.it.place.folder.path().join("hanging"));
    config.timeout = Duration::from_secs(3);
    let sources = Sources::open(config).unwrap();
    let began = Instant::now();
    let reads: Vec<_> = (0..20)
        .map(|_| {
            let (sources, repository) = (sources.clone(), app.repository("token/app.git", "12"));
            tokio::spawn(async move { read(&sources, &repository, "main", "").await })
        })
        .collect();
    for told in reads {
        let told = told.await.unwrap();
        assert!(told.starts_with("TimedOut: GitHub App 12, installation 12"), "{told}");
    }
    assert!(app.claims().len() <= 3, "{:?}", app.claims().len());
    // One after the other they would wait for a minute.
    assert!(began.elapsed() < Duration::from_secs(45), "{:?}", began.elapsed());
}

#[test]
fn a_secret_with_half_an_app_is_told_which_field_is_wrong() {
    let app = App::new();
    let small = "-----BEGIN RSA PRIVATE KEY-----\ncanary00\n-----END RSA PRIVATE KEY-----";
    for (field, value, expected) in [
        ("githubAppInstallationID", "", "field githubAppInstallationID is no number"),
        ("githubAppID", "", "field githubAppID is no number"),
        ("githubAppID", "Iv1.canary", "field githubAppID is no number"),
        ("githubAppPrivateKey", "canary", "field githubAppPrivateKey is no key in PEM"),
        ("githubAppPrivateKey", small, "field githubAppPrivateKey is no RSA key"),
        (
            "githubAppEnterpriseBaseUrl",
            "http://ghe.ex/api/v3",
            "field githubAppEnterpriseBaseUrl is no URL such as",
        ),
        (
            "githubAppEnterpriseBaseUrl",
            "http://127.0.0.1.evil/",
            "field githubAppEnterpriseBaseUrl is no URL",
        ),
        (
            "githubAppEnterpriseBaseUrl",
            "https://u:canary@ghe.ex/",
            "field githubAppEnterpriseBaseUrl is no URL",
        ),
    ] {
        let mut fields = app.fields("7");
        fields.insert(field.into(), value.into());
        let told = RepositorySecret::from_data(SecretKind::Repository, &fields).unwrap_err();
        assert!(told.starts_with(expected) && !told.contains("canary"), "{field} {value}: {told}");
    }
}
