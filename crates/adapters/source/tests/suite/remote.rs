//! Are repositories on servers read, and what do their errors say?

use crate::support::server::Server;
use crate::support::{Place, Repo, at, folder, read, try_read, with};
use source::{Credentials, Kind};
use std::time::Duration;

fn ann(password: &str) -> Credentials {
    Credentials::Basic { username: "ann".into(), password: password.into() }
}

/// A place with one repository `app.git` behind a server.
pub(crate) struct Served {
    pub(crate) place: Place,
    pub(crate) repo: Repo,
    pub(crate) server: Server,
}

impl Served {
    pub(crate) fn new() -> Self {
        Self::in_place(Place::new())
    }

    pub(crate) fn in_place(place: Place) -> Self {
        let repo = place.repo("app.git");
        repo.commit("main", &[("a.yaml", "1")]);
        let server = Server::start(&place.folder.path().join("repos"));
        Self { place, repo, server }
    }

    pub(crate) async fn read(&self, target: &str) -> String {
        self.read_at("open/app.git", Credentials::None, target).await
    }

    pub(crate) async fn read_at(&self, path: &str, credentials: Credentials, target: &str) -> String {
        read(&self.place.sources, &with(&self.server.url(path), credentials), target, "").await
    }

    pub(crate) fn n_fetches(&self) -> usize {
        self.server.seen().iter().filter(|seen| seen.line.starts_with("POST")).count()
    }
}

#[tokio::test]
async fn whatever_moves_is_fetched_once() {
    let it = Served::new();
    assert_eq!(it.read("main").await, "a.yaml: 1");
    assert_eq!(it.read("").await, "a.yaml: 1");
    assert_eq!(it.n_fetches(), 1, "the commit was there");
    let second = it.repo.commit("main", &[("a.yaml", "2")]);
    it.repo.commit("dev", &[("a.yaml", "dev")]);
    assert_eq!(it.read("main").await, "a.yaml: 2");
    assert_eq!(it.read("dev").await, "a.yaml: dev");
    assert_eq!(it.read(&second.as_str()[..9]).await, "a.yaml: 2");
    assert_eq!(it.n_fetches(), 2, "a fetch brings all branches");
    let source = at(&it.server.url("open/app.git"));
    for (short, expected) in
        [("0123456", "no commit begins with \"0123456\""), ("-x", "\"-x\" is not the beginning of a SHA")]
    {
        let error = it.place.sources.expand_short(&source, short).await.unwrap_err();
        assert_eq!((error.kind, error.message.as_str()), (Kind::RevisionNotFound, expected));
    }
    assert_eq!(it.place.clones().len(), 1);
    let other_name = it.server.url("open/app").replace("http", "HTTP");
    assert_eq!(read(&it.place.sources, &at(&format!("{other_name}.git/")), "", "").await, "a.yaml: 2");
    assert_eq!((it.n_fetches(), it.place.clones().len()), (2, 1), "one clone for all spellings");
}

#[tokio::test]
async fn force_pushed_deleted_and_renamed_branches_are_ordinary() {
    let it = Served::new();
    let first = it.repo.commit("main", &[("a.yaml", "2")]);
    assert_eq!(it.read("main").await, "a.yaml: 2");
    it.repo.delete("refs/heads/main");
    it.repo.commit("main", &[("a.yaml", "forced")]);
    assert_eq!(it.read("main").await, "a.yaml: forced");
    assert_eq!(it.read(first.as_str()).await, "a.yaml: 2", "what was fetched before stays");
    it.repo.delete("refs/heads/main");
    it.repo.commit("main/sub", &[("a.yaml", "below")]);
    assert!(it.read("main").await.starts_with("RevisionNotFound: no branch, tag or commit \"main\""));
    assert_eq!(it.read("main/sub").await, "a.yaml: below");
    it.repo.delete("refs/heads/main/sub");
    let told = it.read("").await;
    assert_eq!(told, "RevisionNotFound: the repository is empty (push a first commit)");
}

#[tokio::test]
async fn refs_beside_branches_and_lone_commits_are_had_where_the_server_gives_them() {
    let it = Served::new();
    it.read("main").await;
    let pull = it.repo.commit("temporary", &[("a.yaml", "pull")]);
    it.repo.delete("refs/heads/temporary");
    it.repo.set("refs/pull/7/head", &pull);
    assert_eq!(it.read("refs/pull/7/head").await, "a.yaml: pull");
    let lone = it.repo.commit("temporary", &[("a.yaml", "lone")]);
    it.repo.delete("refs/heads/temporary");
    let told = it.read(lone.as_str()).await;
    assert!(told.starts_with("RevisionNotFound: commit "), "{told}");
    it.repo.git.config().unwrap().set_bool("uploadpack.allowAnySHA1InWant", true).unwrap();
    assert_eq!(it.read(lone.as_str()).await, "a.yaml: lone");
}

// N6: such names from a server
#[tokio::test]
async fn hostile_refs_are_passed_over() {
    let it = Served::new();
    for target in ["main", "", "\u{e9}"] {
        assert_eq!(it.read_at("hostile/app.git", Credentials::None, target).await, "a.yaml: 1", "{target}");
    }
    let refs = it.place.sources.refs(&at(&it.server.url("hostile/app.git"))).await.unwrap();
    let names: Vec<&str> = refs.names.keys().map(String::as_str).collect();
    assert_eq!((names, refs.n_ignored), (vec!["refs/heads/main", "refs/heads/\u{e9}"], 5));
    assert_eq!(refs.default_branch.as_deref(), Some("refs/heads/main"));
}

#[tokio::test]
async fn credentials_open_what_they_should() {
    let it = Served::new();
    let bearer = |token: &str| Credentials::Bearer(token.into());
    assert_eq!(it.read_at("basic/app.git", ann("canary"), "").await, "a.yaml: 1");
    assert_eq!(it.read_at("bearer/app.git", bearer("canary"), "").await, "a.yaml: 1");
    for (path, credentials, expected) in [
        ("basic/app.git", Credentials::None, "wants credentials (add a repository Secret"),
        ("basic/app.git", ann("wrong"), "refuses the credentials (see the repository Secret"),
        ("basic/app.git", bearer("canary"), "refuses the credentials"),
        ("bearer/app.git", bearer("wrong"), "refuses the credentials"),
        ("bearer/app.git", ann("canary"), "refuses the credentials"),
        ("status/403/x", ann("canary"), "refuses access (403)"),
        ("status/401/x", ann("canary"), "refuses the credentials"),
    ] {
        let told = it.read_at(path, credentials, "").await;
        assert!(told.starts_with("Authentication: repository ") && told.contains(expected), "{path}: {told}");
    }
    let in_url = it.server.url("basic/app.git").replace("http://", "http://ann:canary@");
    let url = source::RepoUrl::parse(&in_url).unwrap();
    let credentials = source::pick(&[], &url, "default").unwrap();
    let repository = source::Repository::new(url, credentials);
    assert_eq!(read(&it.place.sources, &repository, "", "").await, "a.yaml: 1");
}

#[tokio::test]
async fn what_others_fetched_needs_credentials_of_ones_own() {
    let it = Served::new();
    let revision = it.repo.commit("main", &[("a.yaml", "private")]);
    assert_eq!(it.read_at("basic/app.git", ann("canary"), "").await, "a.yaml: private");
    for credentials in [Credentials::None, ann("guess")] {
        let stranger = with(&it.server.url("basic/app.git"), credentials);
        let read = it.place.sources.read(&stranger, &revision, &folder(""), |_| true).await;
        assert_eq!(read.unwrap_err().kind, Kind::Authentication);
        let commit = it.place.sources.commit(&stranger, &revision).await;
        assert_eq!(commit.unwrap_err().kind, Kind::Authentication);
    }
}

#[tokio::test]
async fn each_failure_has_its_kind_and_sentence() {
    let it = Served::new();
    for (path, expected) in [
        ("open/none.git", "RepositoryNotFound: repository "),
        ("status/404/x", "RepositoryNotFound: repository "),
        ("status/500/x", "Unavailable: repository "),
        ("status/429/x", "Unavailable: repository "),
        ("garbage/x", "Unavailable: repository "),
        ("to/localhost:1/open/app.git", "Unavailable: repository "),
    ] {
        let told = it.read_at(path, Credentials::None, "").await;
        assert!(told.starts_with(expected) && told.contains(&it.server.address), "{path}: {told}");
        assert_eq!(told.contains("redirected to another server"), path.starts_with("to/"), "{told}");
    }
    for url in ["http://127.0.0.1:1/x", "https://127.0.0.1:1/x", "http://no-such-host.invalid/x"] {
        let told = read(&it.place.sources, &at(url), "", "").await;
        assert!(told.starts_with(&format!("Unavailable: repository {url} cannot be reached: ")), "{told}");
    }
    let not_tls = it.server.url("open/app.git").replace("http://", "https://");
    assert!(
        read(&it.place.sources, &at(&not_tls), "", "").await.starts_with("Unavailable: repository https://")
    );
}

// N51: a server that says nothing
#[tokio::test]
async fn a_host_that_never_answers_stops_only_itself() {
    let it = Served::in_place(Place::with(|config| {
        (config.threads, config.per_host) = (3, 2);
        config.timeout = Duration::from_secs(4);
    }));
    let healthy = Server::start(&it.place.folder.path().join("repos"));
    let dead: Vec<_> = (0..6)
        .map(|n| {
            let (sources, dead) = (it.place.sources.clone(), at(&it.server.url(&format!("hang/{n}"))));
            tokio::spawn(async move { try_read(&sources, &dead, "", "").await })
        })
        .collect();
    tokio::task::yield_now().await;
    let alive = at(&healthy.url("open/app.git"));
    for content in ["1", "2", "3"] {
        it.repo.commit("main", &[("a.yaml", content)]);
        assert_eq!(read(&it.place.sources, &alive, "", "").await, format!("a.yaml: {content}"));
    }
    for call in dead {
        let error = call.await.unwrap().unwrap_err();
        assert_eq!((error.kind, error.is_transient()), (Kind::TimedOut, true));
        assert!(error.message.starts_with("no answer from 127.0.0.1:"), "{error}");
    }
    let hung = it.server.seen().iter().filter(|seen| seen.line.contains("hang")).count();
    assert!(hung <= 2, "at most two calls to one host at once, not {hung}");
    it.repo.commit("main", &[("a.yaml", "4")]);
    assert_eq!(read(&it.place.sources, &alive, "", "").await, "a.yaml: 4", "while its threads still hang");
}

#[tokio::test]
async fn a_call_nobody_waits_for_is_not_made() {
    let it = Served::in_place(Place::with(|config| (config.threads, config.per_host) = (1, 1)));
    let (sources, first) = (it.place.sources.clone(), at(&it.server.url("gate/first")));
    let first = tokio::spawn(async move { sources.refs(&first).await });
    while it.server.seen().is_empty() {
        tokio::task::yield_now().await;
    }
    let second = at(&it.server.url("status/500/second"));
    let second = tokio::time::timeout(Duration::from_millis(1), it.place.sources.refs(&second)).await;
    assert!(second.is_err(), "it waits for the only thread, and then nobody waits for it");
    it.server.open_gate();
    assert_eq!(first.await.unwrap().unwrap_err().kind, Kind::Unavailable);
    assert_eq!(it.read("").await, "a.yaml: 1");
    assert!(it.server.seen().iter().all(|seen| !seen.line.contains("second")));
}

// N51: a pack above the limit
#[tokio::test]
async fn a_fetch_above_the_limit_ends() {
    let it = Served::in_place(Place::with(|config| config.max_fetch = 10_000));
    let mut noise = String::new();
    for n in 0..20_000 {
        noise.push_str(&model::digest(format!("{n}").as_bytes()).to_string());
    }
    it.repo.commit("main", &[("a.yaml", &noise)]);
    assert!(it.read("").await.starts_with("TooLarge: repository "), "{}", it.read("").await);
}

// N14: rules and proxies in the home folder
/// Runs a test of this program again, as a process whose home folder holds a hostile Git configuration.
#[test]
fn the_configuration_of_the_machine_is_ignored() {
    let home = tempfile::tempdir().unwrap();
    let rule = "[url \"http://127.0.0.1:1/\"]\n\tinsteadOf = http://127.0.0.1\n[http]\n\tproxy = http://127.0.0.1:1\n";
    std::fs::write(home.path().join(".gitconfig"), rule).unwrap();
    std::fs::create_dir(home.path().join("git")).unwrap();
    std::fs::write(home.path().join("git/config"), rule).unwrap();
    let run = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "remote::whatever_moves_is_fetched_once"])
        .env("HOME", home.path())
        .env("XDG_CONFIG_HOME", home.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&run.stdout);
    assert!(run.status.success() && said.contains("1 passed"), "{said}");
}
