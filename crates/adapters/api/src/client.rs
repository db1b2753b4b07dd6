//! How does a program ask an agent? One request over a connection of its own: a command line asks for little.
//!
//! ```text
//! Client ── connect ─▶ TCP, TLS where the URL says https ─ HTTP/1.1 ─▶ Answer, bounded, in time
//!                                                                  └─▶ Events, one after the other
//! ```

mod events;

pub use events::{Event, Events, Opened};

use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST, HeaderValue};
use hyper::{Method, Request, Response, Uri, http};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{self, CertificateError, ClientConfig, RootCertStore};

/// Longest answer, in bytes.
const LONGEST: usize = 256 << 20;

/// Longest time to open a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Why an agent could not be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unanswered {
    /// The URL, the token or the authority cannot be used.
    Unusable,
    /// Nobody answers there, or not what an agent answers.
    Unreachable,
    /// Whoever answers does not prove to be who was asked. Nothing was sent, the token neither.
    Untrusted,
    /// No answer in time.
    TimedOut,
}

/// Why there is no answer: a sentence without the token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientError {
    /// What kind of failure.
    pub kind: Unanswered,
    /// The sentence.
    pub message: String,
}

impl fmt::Display for ClientError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for ClientError {}

/// What an agent answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// The body.
    pub body: Vec<u8>,
}

impl Answer {
    /// Returns the body as JSON; null where it is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// Returns the sentence of an error, or the status where there is none.
    pub fn message(&self) -> String {
        let said = self.json()["message"].as_str().map(str::to_owned);
        said.unwrap_or_else(|| format!("the answer has status {}", self.status))
    }
}

/// An agent's API.
#[derive(Clone)]
pub struct Client {
    url: Uri,
    host: String,
    port: u16,
    tls: Option<TlsConnector>,
    token: Option<HeaderValue>,
}

impl Client {
    /// Prepares to ask the agent at `http://host:port` or `https://host:port`, with a bearer token, and with an authority's
    /// certificates in a file (PEM) instead of the machine's.
    ///
    /// # Errors
    /// What cannot be used. A token goes to another machine by TLS only.
    pub fn new(server: &str, token: Option<&str>, authority: Option<&Path>) -> Result<Self, ClientError> {
        // A password may stand in any of it but in what follows the last `@`, up to the path.
        let shown = server.rsplit_once('@').map_or(server, |(_, rest)| rest);
        let shown = shown.split_once("://").map_or(shown, |(_, rest)| rest).split(['/', '?', '#']).next();
        let shown = shown.unwrap_or_default();
        let unusable = |why: &str| failed(Unanswered::Unusable, format!("{shown:?} is no server: {why}"));
        if server.contains('@') {
            return Err(unusable("it names a user; give a token by --token-file or TAUTLINE_TOKEN"));
        }
        let url: Uri = server.parse().map_err(|_| unusable("it is no URL"))?;
        let host = url.host().ok_or_else(|| unusable("write http://HOST:PORT or https://HOST:PORT"))?;
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let is_tls = match url.scheme_str() {
            Some("http") => false,
            Some("https") => true,
            Some(_) | None => return Err(unusable("write http://HOST:PORT or https://HOST:PORT")),
        };
        if !url.path().trim_end_matches('/').is_empty() || url.query().is_some() {
            return Err(unusable("it goes on after the port"));
        }
        if token.is_some() && !is_tls && !is_loopback(&host) {
            return Err(unusable("a token goes to another machine by https only"));
        }
        let port = url.port_u16().unwrap_or(if is_tls { 443 } else { 80 });
        let tls = if is_tls { Some(connector(authority)?) } else { None };
        Ok(Self { host, port, tls, token: token.map(bearer).transpose()?, url })
    }

    /// Asks for a path with its query, as a media type.
    ///
    /// # Errors
    /// When there is no answer; an answer that says no is one.
    pub async fn get(&self, path: &str, accept: &str, timeout: Duration) -> Result<Answer, ClientError> {
        self.send(Method::GET, path, accept, None, timeout).await
    }

    /// Posts JSON to a path.
    ///
    /// # Errors
    /// As [`Self::get`].
    pub async fn post(&self, path: &str, body: &Value, timeout: Duration) -> Result<Answer, ClientError> {
        self.send(Method::POST, path, "application/json", Some(body), timeout).await
    }

    /// Deletes what a path names.
    ///
    /// # Errors
    /// As [`Self::get`].
    pub async fn delete(&self, path: &str, timeout: Duration) -> Result<Answer, ClientError> {
        self.send(Method::DELETE, path, "application/json", None, timeout).await
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        accept: &str,
        body: Option<&Value>,
        timeout: Duration,
    ) -> Result<Answer, ClientError> {
        let mut request = self.request(method, path).header(ACCEPT, accept);
        if body.is_some() {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        let body = body.map(Value::to_string).unwrap_or_default();
        let request = request.body(Full::new(Bytes::from(body)));
        let request = request.map_err(|error| failed(Unanswered::Unusable, format!("{path}: {error}")))?;
        self.in_time(timeout, self.exchange(request)).await
    }

    /// Begins a request that says who asks whom.
    fn request(&self, method: Method, path: &str) -> http::request::Builder {
        let request = Request::builder().method(method).uri(path).header(HOST, self.authority());
        match &self.token {
            Some(token) => request.header(AUTHORIZATION, token.clone()),
            None => request,
        }
    }

    async fn in_time<T>(
        &self,
        timeout: Duration,
        asked: impl Future<Output = Result<T, ClientError>>,
    ) -> Result<T, ClientError> {
        let late = |_| {
            let message = format!("no answer from {} within {} s", self.authority(), timeout.as_secs());
            Err(failed(Unanswered::TimedOut, message))
        };
        tokio::time::timeout(timeout, asked).await.unwrap_or_else(late)
    }

    fn authority(&self) -> String {
        self.url.authority().map_or_else(String::new, |authority| {
            // Whoever writes a password into the URL does not see it sent.
            authority.as_str().rsplit('@').next().unwrap_or_default().to_owned()
        })
    }

    async fn exchange(&self, request: Request<Full<Bytes>>) -> Result<Answer, ClientError> {
        let (response, _connection) = self.begin(request).await?;
        self.whole(response).await
    }

    /// Reads an answer to its end.
    async fn whole(&self, response: Response<Incoming>) -> Result<Answer, ClientError> {
        let status = response.status().as_u16();
        let body = Limited::new(response.into_body(), LONGEST).collect().await;
        let body = body.map_err(|error| self.unreachable(&error.to_string()))?;
        Ok(Answer { status, body: body.to_bytes().to_vec() })
    }

    /// Connects, asks, and returns the beginning of the answer, whose rest comes as long as the connection is kept.
    async fn begin(
        &self,
        request: Request<Full<Bytes>>,
    ) -> Result<(Response<Incoming>, Connection), ClientError> {
        let address = (self.host.as_str(), self.port);
        let connected = tokio::time::timeout(CONNECT_TIMEOUT, TcpStream::connect(address)).await;
        let stream = connected
            .map_err(|_| self.unreachable("no connection in time"))?
            .map_err(|error| self.unreachable(&error.to_string()))?;
        let Some(tls) = &self.tls else { return self.over(stream, request).await };
        let name =
            ServerName::try_from(self.host.clone()).map_err(|error| self.unreachable(&error.to_string()))?;
        let stream = tls.connect(name, stream).await.map_err(|error| self.not_proven(&error))?;
        self.over(stream, request).await
    }

    async fn over(
        &self,
        stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
        request: Request<Full<Bytes>>,
    ) -> Result<(Response<Incoming>, Connection), ClientError> {
        let broken = |error: hyper::Error| self.unreachable(&error.to_string());
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(broken)?;
        // It ends with the answer; what breaks it is told by the answer.
        let connection = Connection(tokio::spawn(connection));
        let response = sender.send_request(request).await.map_err(broken)?;
        Ok((response, connection))
    }

    /// Says why there is no TLS.
    fn not_proven(&self, error: &std::io::Error) -> ClientError {
        let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
        let why = match inner {
            Some(rustls::Error::InvalidCertificate(why)) => certificate(why),
            Some(rustls::Error::InvalidMessage(_)) => {
                return self.unreachable("it does not speak TLS");
            }
            Some(_) | None => return self.unreachable(&error.to_string()),
        };
        failed(Unanswered::Untrusted, format!("{} does not prove who it is: {why}", self.authority()))
    }

    fn unreachable(&self, why: &str) -> ClientError {
        failed(Unanswered::Unreachable, format!("cannot reach {}: {why}", self.authority()))
    }
}

/// A connection, which ends when this is dropped.
#[derive(Debug)]
struct Connection(JoinHandle<Result<(), hyper::Error>>);

impl Drop for Connection {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Says what is wrong with a certificate, and what to do next.
fn certificate(why: &CertificateError) -> String {
    match why {
        // One of a stranger who takes the name of an authority that is trusted has a bad signature.
        CertificateError::UnknownIssuer | CertificateError::BadSignature => {
            "no authority that is trusted here signed its certificate (name a file with that of its authority by --ca)"
                .into()
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "its certificate is for another host (write the URL with a host that it names)".into()
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "its certificate has expired (have it renewed)".into()
        }
        other => format!("its certificate is not accepted: {other}"),
    }
}

fn failed(kind: Unanswered, message: String) -> ClientError {
    ClientError { kind, message }
}

fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn bearer(token: &str) -> Result<HeaderValue, ClientError> {
    let mut value = HeaderValue::from_str(&format!("Bearer {}", token.trim()))
        .map_err(|_| failed(Unanswered::Unusable, "the token holds what no header may hold".into()))?;
    value.set_sensitive(true);
    Ok(value)
}

fn connector(authority: Option<&Path>) -> Result<TlsConnector, ClientError> {
    let mut roots = RootCertStore::empty();
    match authority {
        Some(file) => {
            let unusable = |why: String| {
                failed(
                    Unanswered::Unusable,
                    format!("certificates of {} cannot be used: {why}", file.display()),
                )
            };
            let certificates =
                CertificateDer::pem_file_iter(file).map_err(|error| unusable(error.to_string()))?;
            for certificate in certificates {
                let certificate = certificate.map_err(|error| unusable(error.to_string()))?;
                roots.add(certificate).map_err(|error| unusable(error.to_string()))?;
            }
            if roots.is_empty() {
                return Err(unusable("there are none".into()));
            }
        }
        None => {
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
    }
    let config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}

/// Escapes a text for one segment of a path, or for a value of a query (RFC 3986).
pub fn escape(text: &str) -> String {
    let byte = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    text.bytes().map(byte).collect()
}
