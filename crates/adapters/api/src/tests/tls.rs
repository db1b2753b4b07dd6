//! Does TLS keep up with its files, and does nothing else get through?

use super::cluster::FakeCluster;
use crate::{Limits, Listener, Serving, TlsFiles, Transport, serve};
use rcgen::{CertifiedKey, generate_simple_self_signed};
use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

const PATIENCE: Duration = Duration::from_mins(1);

fn certificate() -> (String, String, CertificateDer<'static>) {
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    (cert.pem(), signing_key.serialize_pem(), cert.der().clone())
}

fn files(folder: &Path) -> TlsFiles {
    TlsFiles { certificate: folder.join("tls.crt"), key: folder.join("tls.key") }
}

struct Api {
    serving: Serving,
    _stop: oneshot::Sender<()>,
}

async fn api(files: TlsFiles, limits: Limits) -> std::io::Result<Api> {
    let (requests, _) = mpsc::channel(1);
    let (stop, stopped) = oneshot::channel();
    let listener = Listener {
        addr: "127.0.0.1:0".parse().unwrap(),
        limits,
        reviews: Some(FakeCluster::default().reviews()),
        transport: Transport::Tls(files),
    };
    let serving =
        serve(listener, requests, Arc::default(), async { stopped.await.unwrap_or_default() }).await?;
    Ok(Api { serving, _stop: stop })
}

/// Connects as a client that trusts one certificate.
async fn connect(api: &Api, trusted: &CertificateDer<'static>) -> std::io::Result<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots.add(trusted.clone()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let stream = TcpStream::connect(api.serving.addr).await?;
    let name = "localhost".try_into().unwrap();
    let handshake = TlsConnector::from(Arc::new(config)).connect(name, stream);
    tokio::time::timeout(PATIENCE, handshake).await.expect("a handshake ends")
}

async fn version(stream: &mut TlsStream<TcpStream>) -> String {
    stream.write_all(b"GET /api/version HTTP/1.1\r\nHost: tautline.example\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    let mut part = [0; 1024];
    while !answer.ends_with('}') {
        let n = tokio::time::timeout(PATIENCE, stream.read(&mut part)).await.expect("an answer").unwrap();
        assert_ne!(n, 0, "closed after {answer:?}");
        answer.push_str(std::str::from_utf8(&part[..n]).unwrap());
    }
    answer
}

async fn all(mut stream: impl AsyncRead + Unpin) -> Vec<u8> {
    let mut bytes = Vec::new();
    let _ended = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut bytes)).await.expect("it is closed");
    bytes
}

#[tokio::test]
async fn a_certificate_that_is_renewed_serves_new_connections_and_drops_no_old_one() {
    let folder = tempfile::tempdir().unwrap();
    let files = files(folder.path());
    let (old, new) = (certificate(), certificate());
    std::fs::write(&files.certificate, &old.0).unwrap();
    std::fs::write(&files.key, &old.1).unwrap();
    let api = api(files.clone(), Limits::default()).await.unwrap();
    let mut kept = connect(&api, &old.2).await.unwrap();
    assert!(version(&mut kept).await.starts_with("HTTP/1.1 200"));
    connect(&api, &new.2).await.unwrap_err();

    // Half of a renewal, and a broken one: the old pair stays.
    for half in [new.0.as_str(), "", "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n"] {
        std::fs::write(&files.certificate, half).unwrap();
        tokio::time::sleep(Duration::from_millis(1_100)).await;
        connect(&api, &old.2).await.unwrap();
    }
    std::fs::remove_file(&files.certificate).unwrap();
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    connect(&api, &old.2).await.unwrap();

    std::fs::write(&files.certificate, &new.0).unwrap();
    std::fs::write(&files.key, &new.1).unwrap();
    let end = Instant::now() + PATIENCE;
    let mut renewed = loop {
        match connect(&api, &new.2).await {
            Ok(stream) => break stream,
            Err(error) => assert!(Instant::now() < end, "{error}"),
        }
    };
    assert!(version(&mut renewed).await.starts_with("HTTP/1.1 200"));
    assert!(version(&mut kept).await.starts_with("HTTP/1.1 200"), "the old connection goes on");
}

#[tokio::test]
async fn nothing_but_tls_gets_an_answer_and_a_handshake_has_a_deadline() {
    let folder = tempfile::tempdir().unwrap();
    let files = files(folder.path());
    let (pem, key, _) = certificate();
    std::fs::write(&files.certificate, pem).unwrap();
    std::fs::write(&files.key, key).unwrap();
    let limits = Limits { header_timeout: Duration::from_millis(200), ..Limits::default() };
    let api = api(files, limits).await.unwrap();
    let mut plain = TcpStream::connect(api.serving.addr).await.unwrap();
    plain.write_all(b"GET /api/version HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    let answer = all(plain).await;
    assert!(!answer.starts_with(b"HTTP"), "{}", String::from_utf8_lossy(&answer));
    let silent = TcpStream::connect(api.serving.addr).await.unwrap();
    assert_eq!(all(silent).await, b"");
}

#[tokio::test]
async fn a_certificate_that_cannot_be_used_is_told_at_the_start_without_the_key() {
    let (pem, key, _) = certificate();
    let (_, other_key, _) = certificate();
    for (certificate, key, kind, sentence) in [
        ("", key.as_str(), ErrorKind::InvalidInput, "tls.crt: there is no certificate in it"),
        (pem.as_str(), "s3cret", ErrorKind::InvalidInput, "tls.key: there is no private key in it"),
        (pem.as_str(), other_key.as_str(), ErrorKind::InvalidInput, "tls.crt: it does not go with its key"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let files = files(folder.path());
        std::fs::write(&files.certificate, certificate).unwrap();
        std::fs::write(&files.key, key).unwrap();
        let error = api(files, Limits::default()).await.err().expect("it does not start");
        assert_eq!(error.kind(), kind);
        assert!(error.to_string().contains(sentence) && !error.to_string().contains("s3cret"), "{error}");
    }
    let error = api(files(Path::new("/nowhere")), Limits::default()).await.err().expect("it does not start");
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.to_string().starts_with("/nowhere/tls.crt: "), "{error}");
}
