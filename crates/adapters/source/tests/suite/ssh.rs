//! Are repositories read by SSH, and only from servers that the operator vouched for?

use crate::revert::{part, revert, show};
use crate::support::{Place, Repo, read, try_read};
use lab::{SshServer, ssh_keygen};
use source::{Access, Checks, Credentials, Kind, RepoUrl, Repository, Reverted};
use std::env;
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

/// A place with one repository `app.git` behind a server by SSH.
struct Served {
    place: Place,
    repo: Repo,
    server: SshServer,
    /// The public host key.
    host_key: String,
}

impl Served {
    /// Shows a host key of one kind, and lets in who has a key of another.
    fn new(host: &str, client: &str) -> Self {
        Self::in_place(Place::new(), host, client)
    }

    fn in_place(place: Place, host: &str, client: &str) -> Self {
        let repo = place.repo("app.git");
        repo.commit("main", &[("a.yaml", "1")]);
        let keys = place.folder.path();
        let host_key = ssh_keygen(host, &keys.join("host")).unwrap();
        ssh_keygen(client, &keys.join("client")).unwrap();
        let server =
            SshServer::start(&keys.join("repos"), &keys.join("client.pub"), &[&keys.join("host")]).unwrap();
        Self { place, repo, server, host_key }
    }

    fn url(&self, path: &str) -> String {
        format!("ssh://git@127.0.0.1:{}/{path}", self.server.port())
    }

    fn key(&self, name: &str) -> Credentials {
        let file: PathBuf = self.place.folder.path().join(name);
        Credentials::SshKey(fs::read_to_string(file).unwrap())
    }

    /// Vouches for a key.
    fn know(&self, public: &str) {
        let line = format!("[127.0.0.1]:{} {public}\n", self.server.port());
        assert_eq!(self.place.sources.set_known_hosts(&line), [""; 0]);
    }

    async fn read(&self, path: &str, access: impl Into<Access>) -> String {
        let repository = Repository::new(RepoUrl::parse(&self.url(path)).unwrap(), access);
        read(&self.place.sources, &repository, "main", "").await
    }
}

/// What `ssh-keygen -l` shows of a public key.
fn fingerprint(public: &str) -> String {
    use base64::Engine as _;
    let key = base64::engine::general_purpose::STANDARD.decode(public.split(' ').nth(1).unwrap()).unwrap();
    let digest = ring::digest::digest(&ring::digest::SHA256, &key);
    format!("SHA256:{}", base64::engine::general_purpose::STANDARD_NO_PAD.encode(digest))
}

#[tokio::test]
async fn every_kind_of_key_opens_a_repository() {
    for (host, client) in [("ed25519", "rsa"), ("ecdsa", "ed25519"), ("rsa", "ecdsa")] {
        let it = Served::new(host, client);
        it.know(&it.host_key);
        assert_eq!(it.read("app.git", it.key("client")).await, "a.yaml: 1", "{host} {client}");
        let moved =
            Repo { git: git2::Repository::open(it.place.path("app.git")).unwrap(), path: PathBuf::new() };
        moved.commit("main", &[("a.yaml", "2")]);
        assert_eq!(it.read("app.git", it.key("client")).await, "a.yaml: 2", "{host} {client}");
    }
}

// N17: unknown, changed, and no known hosts at all
#[tokio::test]
async fn a_host_key_that_nobody_vouched_for_is_refused_with_its_fingerprint() {
    let it = Served::new("ed25519", "ed25519");
    let shown = format!("its host key ssh-ed25519 {}", fingerprint(&it.host_key));
    let told = it.read("app.git", it.key("client")).await;
    assert!(told.starts_with("Untrusted: repository ") && told.contains(&shown), "{told}");
    assert!(told.contains("is not known, and neither is any"), "{told}");

    let other = ssh_keygen("ed25519", &it.place.folder.path().join("other")).unwrap();
    it.know(&other);
    let told = it.read("app.git", it.key("client")).await;
    assert!(told.contains(&format!("{shown} is not the one that is known")), "{told}");

    let add = format!("`ssh-keyscan -p {} 127.0.0.1`", it.server.port());
    assert_eq!(it.place.sources.set_known_hosts(&format!("git.ex {other}")), [""; 0]);
    let told = it.read("app.git", it.key("client")).await;
    assert!(told.contains(&format!("{shown} is not known (")) && told.contains(&add), "{told}");
}

// N17: insecure for one repository
#[tokio::test]
async fn what_one_repository_does_not_check_another_does() {
    let it = Served::new("ed25519", "ed25519");
    let second = it.place.repo("strict.git");
    second.commit("main", &[("b.yaml", "2")]);
    let careless = Access { credentials: it.key("client"), checks: Checks::None };
    assert_eq!(it.read("app.git", careless.clone()).await, "a.yaml: 1");
    let told = it.read("strict.git", it.key("client")).await;
    assert!(told.starts_with("Untrusted: "), "{told}");
    // Nor does the same repository, for whoever does not say so.
    let told = it.read("app.git", it.key("client")).await;
    assert!(told.starts_with("Untrusted: "), "{told}");
    it.know(&format!("{}\n@revoked * {}", it.host_key, it.host_key));
    let told = it.read("strict.git", it.key("client")).await;
    assert!(told.contains("is revoked (let the server have another one)"), "{told}");
}

// N19: SSH keys
#[tokio::test]
async fn a_key_that_opens_nothing_is_told_without_a_word_of_it() {
    let it = Served::new("ed25519", "ed25519");
    it.know(&it.host_key);
    let folder = it.place.folder.path();
    ssh_keygen("ed25519", &folder.join("stranger")).unwrap();
    let framed = |body: &str| {
        Credentials::SshKey(format!(
            "-----BEGIN OPENSSH PRIVATE KEY-----\n{body}\n-----END OPENSSH PRIVATE KEY-----\n"
        ))
    };
    let password = Credentials::Basic { username: "git".into(), password: "canary".into() };
    for (access, expected) in [
        (Credentials::None, "wants an SSH key (add a repository Secret with this URL and sshPrivateKey)"),
        (password, "wants an SSH key"),
        (it.key("stranger"), "refuses the SSH key (see that the server knows the public key"),
        (framed("Y2FuYXJ5Y2FuYXJ5"), "cannot be asked with this SSH key: "),
    ] {
        let told = it.read("app.git", access.clone()).await;
        assert!(told.starts_with("Authentication: repository ssh://git@127.0.0.1:"), "{access:?}: {told}");
        assert!(told.contains(expected), "{access:?}: {told}");
        assert!(!told.contains("canary") && !told.contains("Y2FuYXJ5"), "{told}");
    }
    let told = it.read("absent.git", it.key("client")).await;
    assert!(told.starts_with("RepositoryNotFound: repository "), "{told}");
}

#[tokio::test]
async fn a_revert_is_pushed_with_a_key_that_may() {
    let it = Served::new("ed25519", "ed25519");
    let good = it.repo.commit("main", &[("web/a.yaml", "1"), ("z", "")]);
    let bad = it.repo.commit("main", &[("web/a.yaml", "2"), ("z", "")]);
    let wanted = revert(&bad, vec![part("web", &good)]);
    let at = Repository::new(RepoUrl::parse(&it.url("app.git")).unwrap(), it.key("client"));
    let error = it.place.sources.revert(&at, &wanted).await.unwrap_err();
    assert_eq!(error.kind, Kind::Untrusted, "{error}");
    it.know(&it.host_key);
    let error = it.place.sources.revert(&at, &wanted).await.unwrap_err();
    assert_eq!((error.kind, error.is_transient()), (Kind::Authentication, false));
    let expected = format!(
        "the credentials for repository {} may not push to it (ERROR: Permission to /app.git denied to this key.)",
        at.url
    );
    assert_eq!(error.message, expected);
    it.repo.git.config().unwrap().set_bool("daemon.receivepack", true).unwrap();
    let done = it.place.sources.revert(&at, &wanted).await.unwrap();
    assert!(matches!(done, Reverted::Pushed { .. }), "{done:?}");
    assert_eq!(show(&it.repo, "main"), "web/a.yaml: 1, z: ");
}

#[tokio::test]
async fn a_server_that_is_no_ssh_server_is_told() {
    let it = Served::new("ed25519", "ed25519");
    it.know(&it.host_key);
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let answering = std::thread::spawn(move || {
        use std::io::Write as _;
        let (mut stream, _) = listener.accept().unwrap();
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").unwrap();
    });
    let url = RepoUrl::parse(&format!("ssh://git@127.0.0.1:{port}/app.git")).unwrap();
    let told = read(&it.place.sources, &Repository::new(url, it.key("client")), "main", "").await;
    assert!(told.starts_with("Unavailable: repository ") && told.contains("cannot be reached"), "{told}");
    answering.join().unwrap();
}

// N51: servers by SSH that say nothing, or their name and nothing more
#[tokio::test]
async fn a_server_by_ssh_that_falls_silent_stops_only_itself() {
    let limited = Place::with(|config| {
        (config.threads, config.per_host) = (3, 2);
        // Others are read in this time as well, on a machine that may be busy.
        config.timeout = Duration::from_secs(12);
    });
    let it = Served::in_place(limited, "ed25519", "ed25519");
    it.know(&it.host_key);
    for said in ["", "SSH-2.0-OpenSSH_10.0\r\n"] {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("ssh://git@127.0.0.1:{}/app.git", listener.local_addr().unwrap().port());
        let silent = Repository::new(RepoUrl::parse(&url).unwrap(), it.key("client"));
        let sources = it.place.sources.clone();
        let asking = tokio::spawn(async move { try_read(&sources, &silent, "main", "").await });
        let (mut stream, _) = listener.accept().await.unwrap();
        tokio::io::AsyncWriteExt::write_all(&mut stream, said.as_bytes()).await.unwrap();
        // Others on the same host are read meanwhile.
        assert_eq!(it.read("app.git", it.key("client")).await, "a.yaml: 1");
        assert!(!asking.is_finished(), "the others waited for it");
        let ended = tokio::time::timeout(Duration::from_mins(1), asking).await.expect("it ends by its limit");
        let error = ended.unwrap().unwrap_err();
        assert_eq!((error.kind, error.is_transient()), (Kind::TimedOut, true), "{said:?}: {error}");
        assert!(error.message.starts_with("no answer from 127.0.0.1:"), "{error}");
        // The connection is still open: the other end was given up, and not gone.
        drop(stream);
    }
}

/// Set where this program runs in a network of its own, in which port 22 is nobody's.
const APART: &str = "TAUTLINE_TEST_APART";

// What looks like scp names no port. A relative path is below the user's home, an absolute one is another folder.
#[tokio::test]
async fn a_url_like_those_of_scp_asks_for_what_it_says() {
    let place = Place::new();
    let keys = place.folder.path();
    // Made where the program that makes them can be built: there is no way out of the other network.
    let host_key = ssh_keygen("ed25519", &keys.join("host")).unwrap();
    ssh_keygen("ed25519", &keys.join("client")).unwrap();
    if env::var_os(APART).is_none() {
        let name = "ssh::a_url_like_those_of_scp_asks_for_what_it_says";
        let alone = "ip link set lo up && exec \"$0\" --exact \"$1\"";
        let mut again = Command::new("unshare");
        again.args(["--map-root-user", "--net", "sh", "-c", alone]).arg(env::current_exe().unwrap());
        let output = again.arg(name).env(APART, "yes").output().expect("unshare is there");
        assert!(
            output.status.success() && String::from_utf8_lossy(&output.stdout).contains("1 passed"),
            "{output:?}"
        );
        return;
    }
    place.repo("team/app.git").commit("main", &[("a.yaml", "top")]);
    place.repo("home/team/app.git").commit("main", &[("a.yaml", "home")]);
    let _server =
        SshServer::start_at(22, &place.path(""), &keys.join("client.pub"), &[&keys.join("host")]).unwrap();
    assert_eq!(place.sources.set_known_hosts(&format!("127.0.0.1 {host_key}\n")), [""; 0]);
    let key = Credentials::SshKey(fs::read_to_string(keys.join("client")).unwrap());
    for (url, expected) in [
        ("git@127.0.0.1:team/app.git", "home"),
        ("git@127.0.0.1:~/team/app.git", "home"),
        ("ssh://git@127.0.0.1/~/team/app.git", "home"),
        ("ssh://git@127.0.0.1/team/app.git", "top"),
        ("git@127.0.0.1:/team/app.git", "top"),
    ] {
        let repository = Repository::new(RepoUrl::parse(url).unwrap(), key.clone());
        let told = read(&place.sources, &repository, "main", "").await;
        assert_eq!(told, format!("a.yaml: {expected}"), "{url}");
    }
    assert_eq!(place.clones().len(), 2, "one for each repository, however it is spelled");
}
