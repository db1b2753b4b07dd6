//! Does a credential go only where it should, and is it never printed?

use crate::remote::Served;
use crate::support::server::Server;
use crate::support::{at, read, with};
use base64::Engine as _;
use source::{Credentials, RepoUrl, Sources};
use std::collections::BTreeSet;

/// Not a word that a test or a server would say by itself.
const CANARY: &str = "can/ary+7";

fn forms() -> Vec<String> {
    let base64 = |text: &str| base64::engine::general_purpose::STANDARD.encode(text);
    vec![CANARY.into(), "can%2Fary%2B7".into(), base64(CANARY), base64(&format!("ann:{CANARY}"))]
}

fn kinds() -> [Credentials; 2] {
    [
        Credentials::Basic { username: "ann".into(), password: CANARY.into() },
        Credentials::Bearer(CANARY.into()),
    ]
}

async fn everything_said(sources: &Sources, url: &str, credentials: Credentials) -> String {
    let repository = with(url, credentials);
    let error = sources.refs(&repository).await.unwrap_err();
    format!("{error} {error:?} {repository:?} {} {sources:?}", repository.url.normalised())
}

// N19: every failure of a server
#[tokio::test]
async fn no_error_and_no_debug_text_holds_the_secret() {
    let it = Served::new();
    let paths = [
        "basic/app.git",
        "bearer/app.git",
        "status/403/x",
        "status/404/x",
        "status/500/x",
        "garbage/x",
        "to/localhost:1/x",
    ];
    let mut urls: BTreeSet<String> = paths.map(|path| it.server.url(path)).into();
    urls.insert("http://no-such-host.invalid/x".into());
    urls.insert(it.server.url("x").replace("http://", "https://"));
    for url in urls {
        for credentials in kinds() {
            let in_url = url.replace("://", "://ann:can%2Fary%2B7@");
            let said = everything_said(&it.place.sources, &in_url, credentials).await;
            for form in forms() {
                assert!(!said.contains(&form), "{url}: {said}");
            }
        }
    }
}

// N19: a server that says it back
#[tokio::test]
async fn a_server_that_echoes_the_secret_is_scrubbed() {
    let it = Served::new();
    let told = RepoUrl::parse(&format!("https://ann:{CANARY}@h/x y")).unwrap_err().to_string();
    assert!(!told.contains(CANARY), "{told}");
    // The server puts its path into the redirect, from where libgit2 quotes it.
    for credentials in kinds() {
        let url = it.server.url(&format!("to/{CANARY}/x"));
        let said = it.place.sources.refs(&with(&url, credentials)).await.unwrap_err().message;
        let quoted = said.split(": ").skip(1).collect::<String>();
        assert!(!quoted.contains(CANARY), "{said}");
    }
}

// N19: the clone
#[tokio::test]
async fn nothing_on_disk_holds_the_secret() {
    let it = Served::new();
    let good = Credentials::Bearer("canary".into());
    assert_eq!(
        read(&it.place.sources, &with(&it.server.url("bearer/app.git"), good), "", "").await,
        "a.yaml: 1"
    );
    let mut folders = vec![it.place.folder.path().join("cache")];
    let mut n_files = 0;
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            n_files += 1;
            let bytes = std::fs::read(&path).unwrap();
            assert!(!bytes.windows(6).any(|window| window == b"canary"), "{}", path.display());
        }
    }
    assert!(n_files > 3);
}

// N16: another host
#[tokio::test]
async fn redirects_to_another_host_get_no_credentials() {
    let it = Served::new();
    let canary = Server::start(&it.place.folder.path().join("repos"));
    for credentials in kinds() {
        for path in ["to", "basic-to"] {
            let elsewhere = format!("localhost:{}/open/app.git", canary.port);
            let url = it.server.url(&format!("{path}/{elsewhere}"));
            it.place.sources.refs(&with(&url, credentials.clone())).await.unwrap_err();
        }
    }
    assert!(canary.seen().is_empty(), "{:?}", canary.seen());
}

// N16: another port
#[tokio::test]
async fn redirects_on_the_same_host_are_followed() {
    let it = Served::new();
    let url = it.server.url(&format!("to/{}/open/app.git", it.server.address));
    assert_eq!(read(&it.place.sources, &at(&url), "", "").await, "a.yaml: 1");
    let canary = Server::start(&it.place.folder.path().join("repos"));
    let other_port = it.server.url(&format!("to/{}/basic/app.git", canary.address));
    let [basic, _] = kinds();
    let error = it.place.sources.refs(&with(&other_port, basic)).await.unwrap_err();
    assert!(error.message.contains("redirected to another server"), "{error}");
    let sent: Vec<_> = canary.seen().into_iter().filter(|seen| seen.authorization.is_some()).collect();
    assert!(sent.is_empty(), "another port is another server: {sent:?}");
}

/// What is not as it should be, and is said in the README: libgit2 sends headers along to another port of the same host, and
/// asks nobody. Should it cease to, this fails, and what is said there goes.
#[tokio::test]
async fn a_token_follows_a_redirect_to_another_port_of_the_same_host_and_a_password_does_not() {
    let it = Served::new();
    let canary = Server::start(&it.place.folder.path().join("repos"));
    let url = it.server.url(&format!("to/{}/bearer/app.git", canary.address));
    for (credentials, is_sent) in kinds().into_iter().zip([false, true]) {
        drop(it.place.sources.refs(&with(&url, credentials.clone())).await);
        let sent = canary.seen().into_iter().any(|seen| seen.authorization.is_some());
        assert_eq!(sent, is_sent, "{credentials:?}");
    }
}

#[tokio::test]
async fn nothing_is_sent_before_the_server_asks_except_a_token() {
    let it = Served::new();
    let basic = Credentials::Basic { username: "ann".into(), password: "canary".into() };
    it.read_at("open/app.git", basic, "").await;
    assert!(it.server.seen().iter().all(|seen| seen.authorization.is_none()));
}
