//! With which certificate is TLS spoken, and what if its files change?
//!
//! Whoever renews a certificate replaces files, and does not tell. So the files are looked at when somebody connects, once a
//! second at most. Connections that are open keep what they have. A pair that cannot be used, such as a new certificate
//! whose key is not there yet, changes nothing: the last good pair stays, and the log tells.

use model::{Digest, digest};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// How long what was read counts as what is there.
const FRESH: Duration = Duration::from_secs(1);

/// Where a certificate is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// PEM file with the certificate and those that lead to its authority.
    pub certificate: PathBuf,
    /// PEM file with its private key.
    pub key: PathBuf,
}

/// A certificate in use.
pub(crate) struct Tls {
    files: TlsFiles,
    state: Mutex<State>,
}

struct State {
    acceptor: TlsAcceptor,
    /// What stood in the files, used or not, or why they could not be read.
    seen: Digest,
    looked: Instant,
}

impl Tls {
    /// Reads the files for the first time.
    ///
    /// # Errors
    /// What reading said, or `InvalidInput` where they hold no certificate with its key.
    pub(crate) fn open(files: TlsFiles) -> io::Result<Self> {
        let read = read(&files)?;
        let acceptor = read.acceptor(&files)?;
        let state = State { acceptor, seen: read.digest(), looked: Instant::now() };
        Ok(Self { files, state: Mutex::new(state) })
    }

    /// Returns what the next connection is to speak. Reading two small files is quicker than a turn among the threads that
    /// render.
    pub(crate) fn acceptor(&self) -> TlsAcceptor {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.looked.elapsed() >= FRESH {
            state.looked = Instant::now();
            self.look(&mut state);
        }
        state.acceptor.clone()
    }

    fn look(&self, state: &mut State) {
        let read = read(&self.files);
        let failed = |error: &io::Error| digest(error.to_string().as_bytes());
        let seen = read.as_ref().map_or_else(failed, Pair::digest);
        if seen == state.seen {
            return;
        }
        state.seen = seen;
        match read.and_then(|pair| pair.acceptor(&self.files)) {
            Ok(acceptor) => {
                state.acceptor = acceptor;
                tracing::info!("the API speaks TLS with a new certificate");
            }
            Err(error) => tracing::warn!(%error, "the API goes on with the certificate that it has"),
        }
    }
}

/// What stands in the files.
struct Pair {
    certificate: Vec<u8>,
    key: Vec<u8>,
}

fn read(files: &TlsFiles) -> io::Result<Pair> {
    let read = |path: &Path| {
        let named = |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", path.display()));
        std::fs::read(path).map_err(named)
    };
    Ok(Pair { certificate: read(&files.certificate)?, key: read(&files.key)? })
}

impl Pair {
    fn digest(&self) -> Digest {
        let (certificate, key) = (digest(&self.certificate), digest(&self.key));
        digest(&[*certificate.bytes(), *key.bytes()].concat())
    }

    /// Nothing of the key is in an error: the parser's words are not passed on.
    fn acceptor(&self, files: &TlsFiles) -> io::Result<TlsAcceptor> {
        let unusable = |path: &Path, what: &str| {
            io::Error::new(io::ErrorKind::InvalidInput, format!("{}: {what}", path.display()))
        };
        let chain: Vec<_> = CertificateDer::pem_slice_iter(&self.certificate)
            .collect::<Result<_, _>>()
            .map_err(|_| unusable(&files.certificate, "it is no PEM file"))?;
        if chain.is_empty() {
            return Err(unusable(&files.certificate, "there is no certificate in it"));
        }
        let key = PrivateKeyDer::from_pem_slice(&self.key)
            .map_err(|_| unusable(&files.key, "there is no private key in it"))?;
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(io::Error::other)?
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .map_err(|error| {
                unusable(&files.certificate, &format!("it does not go with its key ({error})"))
            })?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(TlsAcceptor::from(Arc::new(config)))
    }
}
