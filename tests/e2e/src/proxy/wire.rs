//! How do requests and answers travel between the agent and a server, so that a fault can stop them at any byte?

use std::io::{BufRead, BufReader, Error, Read, Result, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use crate::server::Request;

/// The answer to one request, as it comes.
pub(crate) type Far = BufReader<Box<dyn Read>>;

/// Where the API server is, or the Git server.
pub(crate) struct Upstream {
    address: String,
    tls: Option<Arc<ClientConfig>>,
}

impl Upstream {
    /// Takes the address as `https://HOST:PORT`, and the authority (PEM) that is trusted.
    ///
    /// # Panics
    /// When the authority cannot be read.
    pub(crate) fn new(url: &str, authority: &Path) -> Self {
        // Whoever is second finds it installed.
        drop(rustls::crypto::ring::default_provider().install_default());
        let mut roots = RootCertStore::empty();
        let authority = CertificateDer::from_pem_file(authority).expect("the lab has an authority");
        roots.add(authority).expect("it is a certificate");
        let tls = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
        let address = url.trim_start_matches("https://").trim_end_matches('/').to_owned();
        Self { address, tls: Some(Arc::new(tls)) }
    }

    /// Takes the address of a server without TLS.
    pub(crate) fn plain(address: SocketAddr) -> Self {
        Self { address: address.to_string(), tls: None }
    }

    /// Sends a request over a connection of its own; returns the socket as well, by which others may cut it.
    pub(crate) fn send(&self, request: &Request) -> Result<(Far, TcpStream)> {
        let mut socket = TcpStream::connect(&self.address)?;
        let cut = socket.try_clone()?;
        let Some(tls) = &self.tls else {
            socket.write_all(&written(request))?;
            return Ok((BufReader::new(Box::new(socket)), cut));
        };
        let host = self.address.rsplit_once(':').map_or(self.address.as_str(), |(host, _)| host);
        let name = ServerName::try_from(host.to_owned()).map_err(Error::other)?;
        let session = ClientConnection::new(Arc::clone(tls), name).map_err(Error::other)?;
        let mut stream = StreamOwned::new(session, socket);
        stream.write_all(&written(request))?;
        stream.flush()?;
        Ok((BufReader::new(Box::new(stream)), cut))
    }
}

fn written(request: &Request) -> Vec<u8> {
    let query = if request.query.is_empty() { String::new() } else { format!("?{}", request.query) };
    let mut head = format!("{} {}{query} HTTP/1.1\r\n", request.method, request.path);
    let kept = request.headers.iter().filter(|(name, _)| *name != "connection" && *name != "content-length");
    for (name, value) in kept {
        head.extend([name, ": ", value, "\r\n"]);
    }
    head.extend(["connection: close\r\ncontent-length: ", &request.body.len().to_string(), "\r\n\r\n"]);
    [head.as_bytes(), &request.body].concat()
}

/// An answer up to its body.
pub(crate) struct Head {
    pub(crate) status: u16,
    line: String,
    headers: Vec<(String, String)>,
}

impl Head {
    pub(crate) fn read(reader: &mut impl BufRead) -> Result<Self> {
        let line = line(reader)?;
        let status = line.split(' ').nth(1).and_then(|code| code.parse().ok());
        let status = status.ok_or_else(|| Error::other(format!("no status line: {line:?}")))?;
        let mut headers = Vec::new();
        loop {
            let line = self::line(reader)?;
            let Some((name, value)) = line.split_once(':') else { break };
            headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
        Ok(Self { status, line, headers })
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Returns the head as it is passed on, before a body that is framed in another way.
    pub(crate) fn written(&self, framing: &str) -> String {
        let mut text = format!("{}\r\n", self.line);
        let framings = ["content-length", "transfer-encoding", "connection"];
        for (name, value) in self.headers.iter().filter(|(name, _)| !framings.contains(&name.as_str())) {
            text.extend([name, ": ", value, "\r\n"]);
        }
        text + framing + "\r\n\r\n"
    }

    /// Reads the whole body.
    pub(crate) fn body(&self, reader: &mut impl BufRead) -> Result<Vec<u8>> {
        let mut body = Vec::new();
        if self.is_chunked() {
            while let Some(chunk) = chunk(reader)? {
                body.extend(chunk);
            }
        } else if let Some(length) = self.header("content-length").and_then(|length| length.parse().ok()) {
            body.resize(length, 0);
            reader.read_exact(&mut body)?;
        } else if !matches!(self.status, 204 | 304) {
            reader.read_to_end(&mut body)?;
        }
        Ok(body)
    }

    pub(crate) fn is_chunked(&self) -> bool {
        self.header("transfer-encoding").is_some_and(|encoding| encoding.eq_ignore_ascii_case("chunked"))
    }
}

/// Returns the next chunk of a body that comes in chunks; none at its end.
pub(crate) fn chunk(reader: &mut impl BufRead) -> Result<Option<Vec<u8>>> {
    let size = line(reader)?;
    let size = usize::from_str_radix(size.split(';').next().unwrap_or_default(), 16).map_err(Error::other)?;
    let mut bytes = vec![0; size];
    reader.read_exact(&mut bytes)?;
    line(reader)?;
    Ok((size > 0).then_some(bytes))
}

/// Returns bytes as one chunk.
pub(crate) fn chunked(bytes: &[u8]) -> Vec<u8> {
    [format!("{:x}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat()
}

/// Reads a line without its end.
fn line(reader: &mut impl BufRead) -> Result<String> {
    let mut line = String::new();
    reader.read_line(&mut line)?;
    Ok(line.trim_end().to_owned())
}
