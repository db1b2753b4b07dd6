//! How does a test serve its repositories over HTTP, where nobody hints that they moved?

use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use rustls::ServerConfig;

use crate::server::{self, Gate, Request};

const UNAUTHORIZED: &[u8] = b"HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"git\"\r\n\
Connection: close\r\nContent-Length: 0\r\n\r\n";

/// What a request to a Git server is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GitStep {
    /// Which refs are there?
    Refs,
    /// What do I not have yet?
    Pack,
}

impl GitStep {
    /// Returns what a request is about; none where it is not one to a Git server. With version 2 of the protocol refs are asked
    /// for where packs are.
    pub(crate) fn of(request: &Request) -> Option<Self> {
        let is_refs = || request.body.windows(15).any(|window| window == b"command=ls-refs");
        match () {
            () if request.path.ends_with(".git/info/refs") => Some(Self::Refs),
            () if !request.path.ends_with(".git/git-upload-pack") => None,
            () => Some(if is_refs() { Self::Refs } else { Self::Pack }),
        }
    }
}

/// What goes wrong with a request to a Git server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GitFault {
    /// The connection ends without an answer.
    Drop,
    /// No answer ever comes.
    Hold,
    /// The connection ends in the middle of the answer.
    Truncate,
    /// Another status is answered.
    Refuse(&'static str),
    /// The repository is said to have no refs.
    Empty,
    /// Every second answer is that of another repository of this name, as of a replica that lags behind.
    Replica(&'static str),
}

/// A fault of a server, and how often it came.
#[derive(Default)]
struct Failing {
    fault: Option<(GitStep, GitFault)>,
    n_asked: usize,
    n_failed: usize,
}

/// Serves every repository below a folder as `http://ADDRESS/NAME.git`, by the real `git http-backend`.
pub struct GitServer {
    address: SocketAddr,
    scheme: &'static str,
    gate: Gate,
    authorization: Arc<Mutex<Option<String>>>,
    told: Arc<Mutex<Vec<String>>>,
    n_looks: Arc<AtomicUsize>,
    n_fetches: Arc<AtomicUsize>,
    /// Where everybody is sent instead of being answered.
    elsewhere: Arc<Mutex<Option<String>>>,
    failing: Arc<Mutex<Failing>>,
}

impl GitServer {
    /// Starts to serve; ends with the test.
    ///
    /// # Panics
    /// When no port is free.
    pub fn start(root: PathBuf) -> Self {
        Self::serve(root, None)
    }

    /// The same as `https://ADDRESS/NAME.git`, with a certificate and its key (PEM).
    ///
    /// # Panics
    /// When no port is free, or the certificate cannot be read.
    pub fn start_tls(root: PathBuf, certificate: &Path, key: &Path) -> Self {
        Self::serve(root, Some(server::tls(certificate, key)))
    }

    fn serve(root: PathBuf, tls: Option<Arc<ServerConfig>>) -> Self {
        let scheme = if tls.is_some() { "https" } else { "http" };
        let (gate, authorization) = (Gate::default(), Arc::<Mutex<Option<String>>>::default());
        let told = Arc::<Mutex<Vec<String>>>::default();
        let (n_looks, n_fetches) = (Arc::<AtomicUsize>::default(), Arc::<AtomicUsize>::default());
        let (looks, fetches) = (Arc::clone(&n_looks), Arc::clone(&n_fetches));
        let elsewhere = Arc::<Mutex<Option<String>>>::default();
        let failing = Arc::<Mutex<Failing>>::default();
        let fails = Arc::clone(&failing);
        let (door, wanted, heard) = (gate.clone(), Arc::clone(&authorization), Arc::clone(&told));
        let sends_to = Arc::clone(&elsewhere);
        let address = server::serve(tls, move |request| {
            door.pass();
            looks.fetch_add(usize::from(request.path.ends_with("/info/refs")), Ordering::Relaxed);
            fetches.fetch_add(usize::from(request.path.ends_with("/git-upload-pack")), Ordering::Relaxed);
            let wanted = wanted.lock().unwrap_or_else(PoisonError::into_inner).clone();
            let told = request.headers.get("authorization");
            heard.lock().unwrap_or_else(PoisonError::into_inner).extend(told.cloned());
            if let Some(url) = sends_to.lock().unwrap_or_else(PoisonError::into_inner).as_ref() {
                return Ok(redirect(url, request));
            }
            let is_welcome = wanted.is_none() || wanted.as_ref() == told;
            match due(&fails, request) {
                _ if !is_welcome => Ok(UNAUTHORIZED.into()),
                Some(fault) => fail(fault, &root, request),
                None => backend(&root, &request.path, request),
            }
        });
        Self { address, scheme, gate, authorization, told, n_looks, n_fetches, elsewhere, failing }
    }

    /// Lets nobody in any more but this user with this password.
    pub fn ask_for(&self, user: &str, password: &str) {
        let wanted = format!("Basic {}", BASE64_STANDARD.encode(format!("{user}:{password}")));
        *self.authorization.lock().unwrap_or_else(PoisonError::into_inner) = Some(wanted);
    }

    /// Sends everybody to the repository of another server, for good.
    pub fn redirect_to(&self, url: &str) {
        *self.elsewhere.lock().unwrap_or_else(PoisonError::into_inner) = Some(url.to_owned());
    }

    /// Returns how often somebody said who they are.
    pub fn n_told(&self) -> usize {
        self.told.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Returns whether somebody told it this password.
    pub fn was_told(&self, password: &str) -> bool {
        let told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let plain = told.iter().filter_map(|told| BASE64_STANDARD.decode(told.strip_prefix("Basic ")?).ok());
        plain.into_iter().any(|told| String::from_utf8_lossy(&told).ends_with(&format!(":{password}")))
    }

    /// Returns how often somebody asked which refs there are.
    pub fn n_looks(&self) -> usize {
        self.n_looks.load(Ordering::Relaxed)
    }

    /// Returns how often somebody fetched.
    pub fn n_fetches(&self) -> usize {
        self.n_fetches.load(Ordering::Relaxed)
    }

    /// Returns where it listens.
    pub(crate) fn listens_at(&self) -> SocketAddr {
        self.address
    }

    /// Returns what `repoURL` says.
    pub fn url(&self, name: &str) -> String {
        format!("{}://{}/{name}.git", self.scheme, self.address)
    }

    /// Has requests of a kind go wrong from now on.
    pub fn fail(&self, step: GitStep, fault: GitFault) {
        let failing = Failing { fault: Some((step, fault)), ..Failing::default() };
        *self.failing.lock().unwrap_or_else(PoisonError::into_inner) = failing;
    }

    /// Ends what [`GitServer::fail`] began; returns how many requests went wrong.
    pub fn mend(&self) -> usize {
        let mut failing = self.failing.lock().unwrap_or_else(PoisonError::into_inner);
        failing.fault = None;
        failing.n_failed
    }

    /// Returns how many requests went wrong so far.
    pub fn n_failed(&self) -> usize {
        self.failing.lock().unwrap_or_else(PoisonError::into_inner).n_failed
    }

    /// Leaves requests without an answer, until they are let go.
    pub fn hold(&self) {
        self.gate.close();
    }

    /// Waits until so many requests are held.
    ///
    /// # Panics
    /// When they do not come before the harness's deadline.
    pub fn wait_held(&self, n_requests: usize) {
        self.gate.wait_for(n_requests);
    }

    /// Answers what is held, and what comes.
    pub fn let_go(&self) {
        self.gate.open();
    }
}

/// Sends a request on to the same place of another repository.
fn redirect(url: &str, request: &Request) -> Vec<u8> {
    let place = request.path.split_once(".git/").map_or("", |(_, place)| place);
    let query = &request.query;
    format!("HTTP/1.1 302 Found\r\nLocation: {url}/{place}?{query}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n").into()
}

/// Returns where a repository is: most have a working tree, and their own folder below it.
fn path_of(root: &Path, path: &str) -> String {
    let name = path.trim_start_matches('/').split('/').next().unwrap_or_default();
    if root.join(name).join("HEAD").exists() { path.to_owned() } else { path.replacen(".git/", "/.git/", 1) }
}

/// Returns what befalls a request.
fn due(failing: &Mutex<Failing>, request: &Request) -> Option<GitFault> {
    let mut failing = failing.lock().unwrap_or_else(PoisonError::into_inner);
    let (_, fault) = failing.fault.filter(|(of, _)| GitStep::of(request) == Some(*of))?;
    failing.n_asked += 1;
    if matches!(fault, GitFault::Replica(_)) && failing.n_asked.is_multiple_of(2) {
        return None;
    }
    failing.n_failed += 1;
    Some(fault)
}

fn fail(fault: GitFault, root: &Path, request: &Request) -> std::io::Result<Vec<u8>> {
    match fault {
        GitFault::Drop => Err(std::io::Error::other("as wanted")),
        GitFault::Hold => loop {
            // Until the process of the test ends; whoever asked gives up before.
            std::thread::park();
        },
        GitFault::Truncate => {
            let mut answer = backend(root, &request.path, request)?;
            answer.truncate(answer.len() - answer.len() / 4);
            Ok(answer)
        }
        GitFault::Refuse(status) => Ok(server::with_body(status, "text/plain", b"not now")),
        GitFault::Empty => {
            let refs = b"001e# service=git-upload-pack\n00000000";
            Ok(server::with_body("200 OK", "application/x-git-upload-pack-advertisement", refs))
        }
        GitFault::Replica(name) => {
            let place = request.path.split_once(".git/").map_or("", |(_, place)| place);
            backend(root, &format!("/{name}.git/{place}"), request)
        }
    }
}

/// Has Git answer what is asked of a path.
fn backend(root: &Path, path: &str, request: &Request) -> std::io::Result<Vec<u8>> {
    let mut child = Command::new("git")
        .args(["-c", "safe.directory=*", "http-backend"])
        .env("GIT_PROJECT_ROOT", root)
        .env("GIT_HTTP_EXPORT_ALL", "1")
        .env("PATH_INFO", path_of(root, path))
        .env("QUERY_STRING", &request.query)
        .env("REQUEST_METHOD", &request.method)
        .env("CONTENT_TYPE", request.headers.get("content-type").map_or("", String::as_str))
        .env("CONTENT_LENGTH", request.body.len().to_string())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    child.stdin.take().expect("it is piped").write_all(&request.body)?;
    let output = child.wait_with_output()?.stdout;
    let end = output.windows(4).position(|window| window == b"\r\n\r\n").unwrap_or(0);
    let (head, body) = output.split_at(end);
    let head = String::from_utf8_lossy(head);
    let status = head.lines().find_map(|line| line.strip_prefix("Status: ")).unwrap_or("200 OK");
    let others: Vec<&str> = head.lines().filter(|line| !line.starts_with("Status: ")).collect();
    let length = body.len().saturating_sub(4);
    let head = format!(
        "HTTP/1.1 {status}\r\n{}\r\nConnection: close\r\nContent-Length: {length}",
        others.join("\r\n")
    );
    Ok([head.as_bytes(), body].concat())
}
