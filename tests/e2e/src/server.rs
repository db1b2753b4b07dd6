//! How does a test answer HTTP, plain or by TLS?

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Result, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::kube::DEADLINE;

/// What was asked.
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) query: String,
    /// By names in lower case.
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: Vec<u8>,
}

/// Lets requests through, or has them wait.
#[derive(Clone, Default)]
pub(crate) struct Gate(Arc<(Mutex<Queue>, Condvar)>);

#[derive(Default)]
struct Queue {
    is_closed: bool,
    n_waiting: usize,
}

impl Gate {
    /// Has requests wait from now on.
    pub(crate) fn close(&self) {
        self.queue().is_closed = true;
    }

    /// Lets those through that wait, and what comes.
    pub(crate) fn open(&self) {
        self.queue().is_closed = false;
        self.0.1.notify_all();
    }

    /// Waits while it is closed.
    pub(crate) fn pass(&self) {
        self.queue().n_waiting += 1;
        self.0.1.notify_all();
        let queue = self.0.1.wait_while(self.queue(), |queue| queue.is_closed);
        queue.unwrap_or_else(PoisonError::into_inner).n_waiting -= 1;
    }

    /// Waits until so many wait.
    ///
    /// # Panics
    /// After [`DEADLINE`].
    pub(crate) fn wait_for(&self, n_waiting: usize) {
        let (queue, waited) = (self.queue(), &self.0.1);
        let waited = waited.wait_timeout_while(queue, DEADLINE, |queue| queue.n_waiting < n_waiting);
        let waited = waited.unwrap_or_else(PoisonError::into_inner).1;
        assert!(!waited.timed_out(), "{n_waiting} requests did not come in {DEADLINE:?}");
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Serves one request per connection on a free port of 127.0.0.1 until the process ends. `answer` returns head and body as they are sent; a failure
/// of its breaks the connection.
///
/// # Panics
/// When no port is free.
pub(crate) fn serve(
    tls: Option<Arc<ServerConfig>>,
    answer: impl Fn(&Request) -> Result<Vec<u8>> + Send + Sync + 'static,
) -> SocketAddr {
    listen(move |stream| converse(stream, tls.clone(), &answer))
}

/// Listens on a free port of 127.0.0.1 until the process ends; each connection has a thread of its own.
///
/// # Panics
/// When no port is free.
pub(crate) fn listen(converse: impl Fn(TcpStream) -> Result<()> + Send + Sync + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let address = listener.local_addr().expect("it listens");
    let converse = Arc::new(converse);
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let converse = Arc::clone(&converse);
            // A connection that breaks is the other side's to notice.
            std::thread::spawn(move || drop(converse(stream)));
        }
    });
    address
}

/// Returns what a server with this certificate and key (PEM) needs.
///
/// # Panics
/// When they cannot be read.
pub(crate) fn tls(certificate: &Path, key: &Path) -> Arc<ServerConfig> {
    // Whoever is second finds it installed.
    drop(rustls::crypto::ring::default_provider().install_default());
    let certificates = CertificateDer::pem_file_iter(certificate).expect("the certificate is there");
    let certificates = certificates.collect::<std::result::Result<_, _>>().expect("it is PEM");
    let key = PrivateKeyDer::from_pem_file(key).expect("the key is there");
    let config = ServerConfig::builder().with_no_client_auth().with_single_cert(certificates, key);
    Arc::new(config.expect("they belong together"))
}

/// Reads a body whose length nobody said before: a push has one.
fn chunks(reader: &mut impl BufRead) -> std::io::Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let length = usize::from_str_radix(line.trim(), 16).map_err(std::io::Error::other)?;
        let mut chunk = vec![0; length + 2];
        reader.read_exact(&mut chunk)?;
        chunk.truncate(length);
        if chunk.is_empty() {
            return Ok(body);
        }
        body.append(&mut chunk);
    }
}

/// Returns an answer of a media type.
pub(crate) fn with_body(status: &str, media_type: &str, body: &[u8]) -> Vec<u8> {
    let length = body.len();
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: {media_type}\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n"
    );
    [head.as_bytes(), body].concat()
}

fn converse(
    stream: TcpStream,
    tls: Option<Arc<ServerConfig>>,
    answer: &impl Fn(&Request) -> Result<Vec<u8>>,
) -> Result<()> {
    match tls {
        None => exchange(stream, answer),
        Some(config) => {
            let connection = ServerConnection::new(config).map_err(std::io::Error::other)?;
            exchange(StreamOwned::new(connection, stream), answer)
        }
    }
}

fn exchange(mut stream: impl Read + Write, answer: &impl Fn(&Request) -> Result<Vec<u8>>) -> Result<()> {
    let Some(request) = read(&mut BufReader::new(&mut stream))? else { return Ok(()) };
    stream.write_all(&answer(&request)?)?;
    stream.flush()
}

/// Reads a request; none where the other side has closed the connection.
pub(crate) fn read(reader: &mut impl BufRead) -> Result<Option<Request>> {
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
    let is_chunked = headers.get("transfer-encoding").is_some_and(|coding| coding == "chunked");
    let length = headers.get("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    if is_chunked {
        body = chunks(reader)?;
    } else {
        reader.read_exact(&mut body)?;
    }
    Ok(Some(Request { method: method.into(), path: path.into(), query: query.into(), headers, body }))
}
