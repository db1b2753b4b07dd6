//! How does a test serve its repositories over HTTP, where nobody hints that they moved?

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Condvar, Mutex, PoisonError};

/// Serves every repository below a folder as `http://ADDRESS/NAME.git`, by the real `git http-backend`.
pub struct GitServer {
    address: SocketAddr,
    held: Arc<(Mutex<bool>, Condvar)>,
}

struct Request {
    method: String,
    path: String,
    query: String,
    headers: BTreeMap<String, String>,
    body: Vec<u8>,
}

impl GitServer {
    /// Starts to serve; ends with the test.
    ///
    /// # Panics
    /// When no port is free.
    pub fn start(root: PathBuf) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let address = listener.local_addr().expect("it listens");
        let held: Arc<(Mutex<bool>, Condvar)> = Arc::default();
        let shared = Arc::clone(&held);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (root, held) = (root.clone(), Arc::clone(&shared));
                // A connection that breaks is the other side's to notice.
                std::thread::spawn(move || drop(answer(stream, &root, &held)));
            }
        });
        Self { address, held }
    }

    /// Returns what `repoURL` says.
    pub fn url(&self, name: &str) -> String {
        format!("http://{}/{name}.git", self.address)
    }

    /// Leaves requests without an answer, until they are let go.
    pub fn hold(&self) {
        *self.held.0.lock().unwrap_or_else(PoisonError::into_inner) = true;
    }

    /// Answers what is held, and what comes.
    pub fn let_go(&self) {
        *self.held.0.lock().unwrap_or_else(PoisonError::into_inner) = false;
        self.held.1.notify_all();
    }
}

fn answer(
    mut stream: TcpStream,
    root: &Path,
    (is_held, changed): &(Mutex<bool>, Condvar),
) -> std::io::Result<()> {
    let Some(request) = read(&mut BufReader::new(&stream))? else { return Ok(()) };
    let is_held = is_held.lock().unwrap_or_else(PoisonError::into_inner);
    drop(changed.wait_while(is_held, |is_held| *is_held).unwrap_or_else(PoisonError::into_inner));
    stream.write_all(&backend(root, &request)?)
}

fn read(reader: &mut impl BufRead) -> std::io::Result<Option<Request>> {
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 || line.trim_end().is_empty() {
            break;
        }
        lines.push(line.trim_end().to_owned());
    }
    let Some((first, headers)) = lines.split_first() else { return Ok(None) };
    let mut words = first.split(' ');
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let headers: BTreeMap<String, String> = headers
        .iter()
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
        .collect();
    let length = headers.get("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    Ok(Some(Request { method: method.into(), path: path.into(), query: query.into(), headers, body }))
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
