//! How does the lab talk to its API server while it boots?
//!
//! A boot makes a dozen requests; a kubectl process for each would cost more than the boot itself.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use serde_json::Value;

/// The longest silence that a request may meet, a watch included.
const PATIENCE: Duration = Duration::from_mins(1);

/// A client of one API server on 127.0.0.1, with a connection per request.
pub(crate) struct Http {
    port: u16,
    token: String,
    tls: Arc<ClientConfig>,
}

/// What the server said.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: String,
}

impl Http {
    /// Trusts `authority` (a DER certificate) only.
    pub(crate) fn new(port: u16, token: &str, authority: Vec<u8>) -> Result<Self> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from(authority)).context("trust the lab's certificate authority")?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .context("choose TLS versions")?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self { port, token: token.to_owned(), tls: Arc::new(tls) })
    }

    /// Reads one path.
    pub(crate) fn get(&self, path: &str) -> Result<Answer> {
        self.answer("GET", path, "")
    }

    /// Creates an object; one that exists is left as it is.
    pub(crate) fn create(&self, path: &str, object: &Value) -> Result<()> {
        let answer = self.answer("POST", path, &object.to_string())?;
        if !matches!(answer.status, 200..=299 | 409) {
            bail!("create an object at {path}: {} {}", answer.status, answer.body);
        }
        Ok(())
    }

    /// Waits until `is_done` holds for an object that a watch of `path` (a collection, with query) shows.
    pub(crate) fn wait(&self, path: &str, is_done: impl Fn(&Value) -> bool) -> Result<()> {
        let mut events = self.send("GET", path, "")?;
        let status = head(&mut events)?;
        if status != 200 {
            bail!("watch {path}: status {status}");
        }
        for line in events.lines() {
            let event: Value =
                serde_json::from_str(&line.context("read a watch event")?).context("parse a watch event")?;
            if is_done(&event["object"]) {
                return Ok(());
            }
        }
        bail!("watch {path}: the server ended it before what we wait for happened")
    }

    fn answer(&self, method: &str, path: &str, body: &str) -> Result<Answer> {
        let mut stream = self.send(method, path, body)?;
        let status = head(&mut stream)?;
        let mut body = Vec::new();
        stream.read_to_end(&mut body).context("read the answer")?;
        Ok(Answer { status, body: String::from_utf8_lossy(&body).into_owned() })
    }

    /// Speaks HTTP/1.0, in which an answer ends with its connection: nothing to count or to join.
    fn send(&self, method: &str, path: &str, body: &str) -> Result<BufReader<impl Read>> {
        let socket =
            TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).context("connect to the API server")?;
        socket.set_read_timeout(Some(PATIENCE)).context("limit reading")?;
        socket.set_write_timeout(Some(PATIENCE)).context("limit writing")?;
        let name = ServerName::try_from("localhost").context("name the server")?;
        let session = ClientConnection::new(Arc::clone(&self.tls), name).context("begin TLS")?;
        let mut stream = StreamOwned::new(session, socket);
        write!(
            stream,
            "{method} {path} HTTP/1.0\r\nHost: localhost\r\nAuthorization: Bearer {}\r\nAccept: */*\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            self.token,
            body.len()
        )
        .and_then(|()| stream.flush())
        .with_context(|| format!("send {method} {path}"))?;
        Ok(BufReader::new(stream))
    }
}

/// Reads up to the empty line that ends the head of an answer, and returns the status.
fn head(stream: &mut impl BufRead) -> Result<u16> {
    let mut first = String::new();
    stream.read_line(&mut first).context("read the status line")?;
    let status = first.split(' ').nth(1).and_then(|code| code.parse().ok());
    let mut line = String::new();
    while stream.read_line(&mut line).context("read a header")? > 2 {
        line.clear();
    }
    status.with_context(|| format!("understand the status line {first:?}"))
}

/// Tells whether the etcd at a port of 127.0.0.1 can serve requests.
pub(crate) fn is_healthy(port: u16) -> bool {
    let ask = || -> Result<u16> {
        let mut socket = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).context("connect to etcd")?;
        socket.set_read_timeout(Some(PATIENCE)).context("limit reading")?;
        socket.write_all(b"GET /health HTTP/1.0\r\n\r\n").context("ask etcd")?;
        head(&mut BufReader::new(socket))
    };
    ask().is_ok_and(|status| status == 200)
}
