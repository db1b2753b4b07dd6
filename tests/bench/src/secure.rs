//! What do callers send over TLS, whole requests and what never becomes one?

use crate::http::{Answer, PATIENCE, read};
use anyhow::Context as _;
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use std::io::Write as _;
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

/// The beginning of a handshake: a record that announces 512 bytes, and the first of a `ClientHello` (RFC 8446, 5.1 and 4).
pub(crate) const UNFINISHED: &[u8] = &[22, 3, 1, 2, 0, 1];

/// A connection over TLS.
pub(crate) type Stream = StreamOwned<ClientConnection, TcpStream>;

/// Who trusts the one certificate of an agent.
pub(crate) struct Caller {
    config: Arc<ClientConfig>,
    to: SocketAddr,
}

/// Writes a certificate for 127.0.0.1 that vouches for itself, and its key; returns both files and the certificate.
pub(crate) fn certificate(folder: &Path) -> anyhow::Result<((PathBuf, PathBuf), CertificateDer<'static>)> {
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed(["127.0.0.1".to_owned()]).context("make a certificate")?;
    let files = (folder.join("tls.crt"), folder.join("tls.key"));
    std::fs::write(&files.0, cert.pem()).context("write the certificate")?;
    std::fs::write(&files.1, signing_key.serialize_pem()).context("write its key")?;
    Ok((files, cert.der().clone()))
}

impl Caller {
    /// Makes a caller of one address.
    pub(crate) fn new(to: SocketAddr, trusted: CertificateDer<'static>) -> anyhow::Result<Self> {
        let mut roots = RootCertStore::empty();
        roots.add(trusted).context("trust the certificate")?;
        let config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
        Ok(Self { config: Arc::new(config), to })
    }

    /// Connects, and sends bytes outside of TLS.
    pub(crate) fn plain(&self, bytes: &[u8]) -> anyhow::Result<TcpStream> {
        let mut stream =
            TcpStream::connect_timeout(&self.to, PATIENCE).with_context(|| format!("reach {}", self.to))?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        stream.write_all(bytes)?;
        Ok(stream)
    }

    /// Connects by TLS, and sends the beginning of a request.
    pub(crate) fn begin(&self, bytes: &[u8]) -> anyhow::Result<Stream> {
        let name = ServerName::from(self.to.ip());
        let client = ClientConnection::new(Arc::clone(&self.config), name).context("begin TLS")?;
        let mut stream = StreamOwned::new(client, self.plain(&[])?);
        stream.write_all(bytes).and_then(|()| stream.flush()).context("send over TLS")?;
        Ok(stream)
    }

    /// Sends one request over a connection of its own, in HTTP/1.0.
    pub(crate) fn send(&self, head: &str, body: &[u8]) -> anyhow::Result<Answer> {
        let begin = Instant::now();
        let to = self.to;
        let (first, headers) = head.split_once('\n').unwrap_or((head, ""));
        let length = body.len();
        let mut request =
            format!("{first} HTTP/1.0\r\nHost: {to}\r\nContent-Length: {length}\r\n{headers}\r\n")
                .into_bytes();
        request.extend_from_slice(body);
        read(self.begin(&request)?, begin).with_context(|| format!("read what {first} is answered with"))
    }
}
