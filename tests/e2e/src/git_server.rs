//! How does a test serve its repositories over HTTP, where nobody hints that they moved?

use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::server::{self, Gate, Request};

/// Serves every repository below a folder as `http://ADDRESS/NAME.git`, by the real `git http-backend`.
pub struct GitServer {
    address: SocketAddr,
    gate: Gate,
}

impl GitServer {
    /// Starts to serve; ends with the test.
    ///
    /// # Panics
    /// When no port is free.
    pub fn start(root: PathBuf) -> Self {
        let gate = Gate::default();
        let shared = gate.clone();
        let address = server::serve(None, move |request| {
            shared.pass();
            backend(&root, request)
        });
        Self { address, gate }
    }

    /// Returns what `repoURL` says.
    pub fn url(&self, name: &str) -> String {
        format!("http://{}/{name}.git", self.address)
    }

    /// Leaves requests without an answer, until they are let go.
    pub fn hold(&self) {
        self.gate.close();
    }

    /// Answers what is held, and what comes.
    pub fn let_go(&self) {
        self.gate.open();
    }
}

/// Has Git answer. The repositories have working trees, and their own folders below them.
fn backend(root: &Path, request: &Request) -> std::io::Result<Vec<u8>> {
    let mut child = Command::new("git")
        .args(["-c", "safe.directory=*", "http-backend"])
        .env("GIT_PROJECT_ROOT", root)
        .env("GIT_HTTP_EXPORT_ALL", "1")
        .env("PATH_INFO", request.path.replacen(".git/", "/.git/", 1))
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
