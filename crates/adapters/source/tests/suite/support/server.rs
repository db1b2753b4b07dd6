//! Which server do the tests talk to? `git http-backend` behind a small HTTP server, with bad manners on demand.

use base64::Engine as _;
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Condvar, Mutex};

/// What the server does with each request, by the first part of its path.
pub(crate) struct Server {
    pub(crate) address: String,
    pub(crate) port: u16,
    seen: Arc<Mutex<Vec<Seen>>>,
    gate: Arc<(Mutex<bool>, Condvar)>,
    turns: Turns,
}

/// What happens before requests are answered, each once: by what the request's line holds.
type Turns = Arc<Mutex<Vec<(String, Box<dyn FnOnce() + Send>)>>>;

#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) line: String,
    pub(crate) authorization: Option<String>,
}

struct Request {
    method: String,
    path: String,
    query: String,
    headers: BTreeMap<String, String>,
    body: Vec<u8>,
}

impl Request {
    fn is_push(&self) -> bool {
        self.path.ends_with("git-receive-pack") || self.query.contains("git-receive-pack")
    }
}

impl Server {
    /// Serves the bare repositories in `root`: below `/open/` to anybody, below `/basic/` to ann with the password
    /// `canary`, below `/bearer/` to the token `canary`. `/hang/` never answers, `/gate/` once it is opened, `/status/N/` answers N,
    /// `/readable/` is read by anybody and pushed to by ann, `/unwell/` and `/hangup/` only read. `/mute/` takes no
    /// push and says nothing of it, `/rude/` refuses one in words that are none.
    /// `/to/ADDRESS/` and `/basic-to/ADDRESS/` redirect. `/app/installations/N/` is GitHub's API, whose tokens open `/token/`.
    pub(crate) fn start(root: &Path) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let gate = Arc::new((Mutex::new(false), Condvar::new()));
        let turns = Turns::default();
        let (root, log, door) = (root.to_owned(), Arc::clone(&seen), Arc::clone(&gate));
        let taken = Arc::clone(&turns);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (root, log, door) = (root.clone(), Arc::clone(&log), Arc::clone(&door));
                let turns = Arc::clone(&taken);
                std::thread::spawn(move || converse(stream, &root, &log, (&door, &turns)));
            }
        });
        Self { address: format!("127.0.0.1:{port}"), port, seen, gate, turns }
    }

    /// Does something right before the next request is answered whose method, path and query hold this.
    pub(crate) fn before(&self, request: &str, turn: impl FnOnce() + Send + 'static) {
        self.turns.lock().unwrap().push((request.to_owned(), Box::new(turn)));
    }

    /// Lets requests below `/gate/` be answered, with 500.
    pub(crate) fn open_gate(&self) {
        *self.gate.0.lock().unwrap() = true;
        self.gate.1.notify_all();
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}/{path}", self.address)
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }
}

fn converse(
    stream: TcpStream,
    root: &Path,
    log: &Mutex<Vec<Seen>>,
    ((is_open, opened), turns): (&(Mutex<bool>, Condvar), &Turns),
) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut writer = stream;
    while let Some(request) = read_request(&mut reader) {
        log.lock().unwrap().push(Seen {
            line: format!("{} {}", request.method, request.path),
            authorization: request.headers.get("authorization").cloned(),
        });
        take_turn(turns, &format!("{} {}?{}", request.method, request.path, request.query));
        let (first, rest) = request.path.trim_start_matches('/').split_once('/').unwrap_or(("", ""));
        let authorization = request.headers.get("authorization").map(String::as_str);
        let basic = base64::engine::general_purpose::STANDARD.encode("ann:canary");
        let by_token = base64::engine::general_purpose::STANDARD.encode("x-access-token:canary");
        let is_ann = authorization == Some(&format!("Basic {basic}"));
        let answer = match first {
            "hostile" if request.method == "GET" => hostile(&rest.replace("/info/refs", ""), root),
            "open" | "hostile" => backend(root, rest, &request),
            "basic" if is_ann => backend(root, rest, &request),
            "basic-to" if is_ann => redirect(rest, &request),
            "basic" | "basic-to" => plain(401, "www-authenticate: Basic realm=\"git canary\"\r\n"),
            // Read by anybody, pushed to by ann.
            "readable" if is_ann || !request.is_push() => backend(root, rest, &request),
            // What breaks down at a push, with an answer and without.
            "unwell" | "hangup" if !request.is_push() => backend(root, rest, &request),
            "mute" | "rude" if request.method == "GET" || !request.is_push() => backend(root, rest, &request),
            "mute" => report(&[]),
            "rude" => report(b"ng refs/heads/main \xff\xfe\n"),
            "unwell" => plain(503, ""),
            "hangup" => return,
            "bearer" if authorization == Some("Bearer canary") => backend(root, rest, &request),
            "bearer" => plain(401, "www-authenticate: Bearer\r\n"),
            "app" if rest.starts_with("installations/12/") => {
                drop(reader.read_to_end(&mut Vec::new()));
                return;
            }
            "app" => token(rest, authorization.unwrap_or_default()),
            "token" if authorization == Some(&format!("Basic {by_token}")) => backend(root, rest, &request),
            "readable" | "token" => plain(401, "www-authenticate: Basic realm=\"git\"\r\n"),
            "status" => plain(rest.split('/').next().unwrap().parse().unwrap(), ""),
            "to" => redirect(rest, &request),
            "gate" => {
                drop(opened.wait_while(is_open.lock().unwrap(), |is_open| !*is_open).unwrap());
                plain(500, "")
            }
            "hang" => {
                // Until the other side gives up.
                drop(reader.read_to_end(&mut Vec::new()));
                return;
            }
            "garbage" => b"HTTP/1.1 200 OK\r\ncontent-type: application/x-git-upload-pack-advertisement\r\ncontent-length: 9\r\n\r\nzzzznope\n".to_vec(),
            _ => plain(404, ""),
        };
        if writer.write_all(&answer).is_err() {
            return;
        }
    }
}

fn take_turn(turns: &Turns, line: &str) {
    let turn = {
        let mut turns = turns.lock().unwrap();
        let place = turns.iter().position(|(wanted, _)| line.contains(wanted.as_str()));
        place.map(|place| turns.remove(place).1)
    };
    if let Some(turn) = turn {
        turn();
    }
}

fn plain(status: u16, headers: &str) -> Vec<u8> {
    format!("HTTP/1.1 {status} X\r\n{headers}content-length: 0\r\n\r\n").into_bytes()
}

/// What a push came to.
fn report(line: &[u8]) -> Vec<u8> {
    let mut body = b"000eunpack ok\n".to_vec();
    if !line.is_empty() {
        body.extend_from_slice(format!("{:04x}", line.len() + 4).as_bytes());
        body.extend_from_slice(line);
    }
    body.extend_from_slice(b"0000");
    let head = "HTTP/1.1 200 OK\r\ncontent-type: application/x-git-receive-pack-result\r\ncontent-length:";
    [format!("{head} {}\r\n\r\n", body.len()).into_bytes(), body].concat()
}

/// An advertisement that no Git would make, around the one true branch.
fn hostile(name: &str, root: &Path) -> Vec<u8> {
    let repository = git2::Repository::open_bare(root.join(name)).unwrap();
    let tip = repository.refname_to_id("refs/heads/main").unwrap().to_string();
    let names: [&[u8]; 8] = [
        b"HEAD\0ofs-delta side-band-64k symref=HEAD:refs/heads/main",
        b"refs/heads/../../config",
        b"refs/heads/a\x1b[2Jb",
        b"refs/heads/latin-\xe9",
        b"refs/heads/main",
        b"refs/heads/reorder-\xe2\x80\xae",
        b"refs/heads/x.lock",
        b"refs/heads/\xc3\xa9",
    ];
    let line = |text: &[u8]| [format!("{:04x}", text.len() + 4).as_bytes(), text].concat();
    let mut body = [line(b"# service=git-upload-pack\n"), b"0000".to_vec()].concat();
    for name in names {
        body.extend(line(&[tip.as_bytes(), b" ", name, b"\n"].concat()));
    }
    body.extend_from_slice(b"0000");
    let head =
        "HTTP/1.1 200 OK\r\ncontent-type: application/x-git-upload-pack-advertisement\r\ncontent-length:";
    [format!("{head} {}\r\n\r\n", body.len()).into_bytes(), body].concat()
}

/// Gives a token for an hour to installation 7, one for four minutes to 8, one that opens nothing to 9, and none to others:
/// 11 and 13 have asked too often.
fn token(rest: &str, authorization: &str) -> Vec<u8> {
    let installation = rest.split('/').nth(1).unwrap_or_default();
    let (text, minutes) = match installation {
        "7" => ("canary", 60),
        "8" => ("canary", 4),
        "9" => ("nothing", 60),
        "11" => return plain(403, "x-ratelimit-remaining: 0\r\n"),
        "13" => return plain(429, "retry-after: 60\r\n"),
        _ => {
            let body = format!("{{\"message\": \"no such app: {authorization}\"}}");
            return format!("HTTP/1.1 404 X\r\ncontent-length: {}\r\n\r\n{body}", body.len()).into_bytes();
        }
    };
    let until = jiff::Timestamp::now() + jiff::SignedDuration::from_mins(minutes);
    let body = format!("{{\"token\": \"{text}\", \"expires_at\": \"{until:.0}\"}}");
    // In chunks, as a server may.
    let length = body.len();
    format!("HTTP/1.1 201 X\r\ntransfer-encoding: chunked\r\n\r\n{length:x}\r\n{body}\r\n0\r\n\r\n")
        .into_bytes()
}

/// `ADDRESS/path` becomes `http://ADDRESS/path`.
fn redirect(rest: &str, request: &Request) -> Vec<u8> {
    plain(302, &format!("location: http://{rest}?{}\r\n", request.query))
}

fn read_request(reader: &mut BufReader<TcpStream>) -> Option<Request> {
    let mut line = String::new();
    if reader.read_line(&mut line).ok()? == 0 {
        return None;
    }
    let mut parts = line.split_whitespace();
    let (method, target) = (parts.next()?.to_owned(), parts.next()?.to_owned());
    let (path, query) = target.split_once('?').unwrap_or((&target, ""));
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
    }
    let body = if headers.get("transfer-encoding").is_some_and(|v| v == "chunked") {
        read_chunks(reader)?
    } else {
        let length = headers.get("content-length").and_then(|v| v.parse().ok()).unwrap_or(0);
        let mut body = vec![0; length];
        reader.read_exact(&mut body).ok()?;
        body
    };
    Some(Request { method, path: path.into(), query: query.into(), headers, body })
}

fn read_chunks(reader: &mut BufReader<TcpStream>) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let size = usize::from_str_radix(line.trim(), 16).ok()?;
        let mut chunk = vec![0; size + 2];
        reader.read_exact(&mut chunk).ok()?;
        body.extend_from_slice(&chunk[..size]);
        if size == 0 {
            return Some(body);
        }
    }
}

fn backend(root: &Path, path: &str, request: &Request) -> Vec<u8> {
    let mut child = Command::new("git")
        .args(["-c", "safe.directory=*", "http-backend"])
        .env("GIT_PROJECT_ROOT", PathBuf::from(root))
        .env("GIT_HTTP_EXPORT_ALL", "1")
        .env("PATH_INFO", format!("/{path}"))
        .env("QUERY_STRING", &request.query)
        .env("REQUEST_METHOD", &request.method)
        .env("CONTENT_TYPE", request.headers.get("content-type").map_or("", String::as_str))
        .env("CONTENT_LENGTH", request.body.len().to_string())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("the git program serves the tests' repositories");
    child.stdin.take().unwrap().write_all(&request.body).unwrap();
    let output = child.wait_with_output().unwrap().stdout;
    let end = output.windows(4).position(|w| w == b"\r\n\r\n").unwrap_or(0);
    let (head, body) = (String::from_utf8_lossy(&output[..end]), &output[(end + 4).min(output.len())..]);
    let status = head.lines().find_map(|line| line.strip_prefix("Status: ")).unwrap_or("200 OK");
    let others: Vec<&str> = head.lines().filter(|line| !line.starts_with("Status")).collect();
    let mut answer =
        format!("HTTP/1.1 {status}\r\n{}\r\ncontent-length: {}\r\n\r\n", others.join("\r\n"), body.len())
            .into_bytes();
    answer.extend_from_slice(body);
    answer
}
