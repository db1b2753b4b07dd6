//! Does the client ask as it should, and does it tell what went wrong?

use crate::client::{Client, Opened, Unanswered, escape};
use serde_json::json;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::time::Duration;

const SOON: Duration = Duration::from_secs(20);

/// Starts a server that gives one answer; returns its URL and what it was asked.
fn server(answer: &'static str) -> (String, std::thread::JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let asked = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = vec![0; 4096];
        let length = stream.read(&mut request).unwrap();
        stream.write_all(answer.as_bytes()).unwrap();
        String::from_utf8_lossy(&request[..length]).into_owned()
    });
    (url, asked)
}

#[tokio::test]
async fn a_question_carries_the_token_and_an_error_its_sentence() {
    let refused = "HTTP/1.1 403 Forbidden\r\nContent-Length: 25\r\n\r\n{\"message\":\"you may not\"}";
    let (url, asked) = server(refused);
    let client = Client::new(&url, Some("sesame\n"), None).unwrap();
    let answer = client.get("/api/v1/applications?fields=a", "text/plain", SOON).await.unwrap();
    assert_eq!((answer.status, answer.message().as_str()), (403, "you may not"));
    let asked = asked.join().unwrap().to_lowercase();
    assert!(asked.starts_with("get /api/v1/applications?fields=a http/1.1\r\n"), "{asked}");
    for header in ["accept: text/plain\r\n", "authorization: bearer sesame\r\n", "host: 127.0.0.1:"] {
        assert!(asked.contains(header), "{header:?} is not in {asked}");
    }
}

#[tokio::test]
async fn what_is_posted_is_json() {
    let (url, asked) = server("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}");
    let client = Client::new(&url, None, None).unwrap();
    let answer = client.post("/x", &json!({"prune": true}), SOON).await.unwrap();
    assert_eq!((answer.status, answer.json()), (200, json!({})));
    let asked = asked.join().unwrap();
    assert!(
        asked.contains("application/json\r\n") && !asked.to_lowercase().contains("authorization"),
        "{asked}"
    );
}

#[tokio::test]
async fn nobody_there_is_told_from_nobody_answering() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let nobody = Client::new(&format!("http://{free}"), None, None).unwrap();
    assert_eq!(nobody.get("/", "*/*", SOON).await.unwrap_err().kind, Unanswered::Unreachable);
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let client = Client::new(&format!("http://{}", silent.local_addr().unwrap()), None, None).unwrap();
    let late = client.get("/", "*/*", Duration::from_millis(50)).await.unwrap_err();
    assert_eq!(late.kind, Unanswered::TimedOut);
}

/// Starts a server with a certificate for `localhost` that nobody knows but who reads the file; returns its URL, the file,
/// and what it was told, which is nothing where no connection came about.
fn encrypted(folder: &std::path::Path) -> (String, std::path::PathBuf, tokio::task::JoinHandle<String>) {
    use tokio_rustls::rustls::{ServerConfig, pki_types::PrivateKeyDer};
    let signed = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let key = PrivateKeyDer::Pkcs8(signed.signing_key.serialize_der().into());
    let config = ServerConfig::builder().with_no_client_auth();
    let config = config.with_single_cert(vec![signed.cert.der().clone()], key).unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(std::sync::Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://localhost:{}", listener.local_addr().unwrap().port());
    listener.set_nonblocking(true).unwrap();
    let listener = tokio::net::TcpListener::from_std(listener).unwrap();
    let told = tokio::spawn(async move {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        let (stream, _) = listener.accept().await.unwrap();
        let Ok(mut stream) = acceptor.accept(stream).await else { return String::new() };
        let mut request = vec![0; 4096];
        let Ok(length) = stream.read(&mut request).await else { return String::new() };
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}").await.unwrap();
        String::from_utf8_lossy(&request[..length]).into_owned()
    });
    let file = folder.join(format!("{}.pem", url.rsplit(':').next().unwrap()));
    std::fs::write(&file, signed.cert.pem()).unwrap();
    (url, file, told)
}

#[tokio::test]
async fn who_does_not_prove_to_be_the_agent_is_told_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (url, known, told) = encrypted(folder.path());
    let client = Client::new(&url, Some("sesame"), Some(&known)).unwrap();
    assert_eq!(client.get("/x", "*/*", SOON).await.unwrap().status, 200);
    assert!(told.await.unwrap().contains("sesame"));

    let (_, other, _) = encrypted(folder.path());
    for authority in [None, Some(other.as_path())] {
        let (url, _, told) = encrypted(folder.path());
        let client = Client::new(&url, Some("sesame"), authority).unwrap();
        let error = client.get("/x", "*/*", SOON).await.unwrap_err();
        assert_eq!(error.kind, Unanswered::Untrusted, "{error}");
        assert!(error.message.contains("no authority that is trusted here"), "{error}");
        assert_eq!(told.await.unwrap(), "");
    }
    let (url, known, told) = encrypted(folder.path());
    let misnamed = Client::new(&url.replace("localhost", "127.0.0.1"), Some("sesame"), Some(&known)).unwrap();
    let error = misnamed.get("/x", "*/*", SOON).await.unwrap_err();
    assert_eq!(error.kind, Unanswered::Untrusted, "{error}");
    assert_eq!(told.await.unwrap(), "");
}

#[tokio::test]
async fn who_speaks_no_tls_is_told_so() {
    let (url, _asked) = server("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
    let client = Client::new(&url.replace("http:", "https:"), Some("sesame"), None).unwrap();
    let error = client.get("/", "*/*", SOON).await.unwrap_err();
    assert_eq!(error.kind, Unanswered::Unreachable);
    assert!(error.message.ends_with("it does not speak TLS"), "{error}");
}

#[tokio::test]
async fn events_come_as_they_are_sent_and_a_refusal_is_an_answer() {
    let sent =
        "HTTP/1.1 200 OK\r\nContent-Length: 40\r\n\r\nid: 7\ndata: {}\n\n: alive\nid: 8\n\ndata: x\n\n";
    let (url, asked) = server(sent);
    let client = Client::new(&url, Some("sesame"), None).unwrap();
    let Opened::Events(mut events) = client.open("/stream?a=b", SOON).await.unwrap() else {
        panic!("it is refused")
    };
    let mut got = Vec::new();
    while let Some(event) = events.next().await.unwrap() {
        got.push((event.id.unwrap_or_default(), event.data));
    }
    let expected = [("7", "{}"), ("8", ""), ("", "x")].map(|(id, data)| (id.to_owned(), data.to_owned()));
    assert_eq!(got, expected);
    let asked = asked.join().unwrap().to_lowercase();
    assert!(asked.contains("accept: text/event-stream\r\n") && asked.contains("bearer sesame"), "{asked}");

    let (url, _asked) = server("HTTP/1.1 410 Gone\r\nContent-Length: 21\r\n\r\n{\"message\":\"too old\"}");
    let client = Client::new(&url, None, None).unwrap();
    let Opened::Refused(answer) = client.open("/stream", SOON).await.unwrap() else { panic!("it is open") };
    assert_eq!((answer.status, answer.message().as_str()), (410, "too old"));

    // What breaks off in the middle is no end.
    let (url, _asked) = server("HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\ndata: x\n\n");
    let client = Client::new(&url, None, None).unwrap();
    let Opened::Events(mut events) = client.open("/stream", SOON).await.unwrap() else {
        panic!("it is refused")
    };
    assert_eq!(events.next().await.unwrap().map(|event| event.data).as_deref(), Some("x"));
    assert_eq!(events.next().await.unwrap_err().kind, Unanswered::Unreachable);
}

#[test]
fn what_cannot_be_used_is_refused_before_anything_is_sent() {
    for server in ["", "nonsense", "ftp://a", "http://a/path", "http://a?x=1", "https://"] {
        assert!(Client::new(server, None, None).is_err(), "{server}");
    }
    let sent_in_the_clear =
        Client::new("http://example.com:8080", Some("sesame"), None).map(drop).unwrap_err();
    assert!(sent_in_the_clear.message.contains("by https only"), "{sent_in_the_clear}");
    assert!(!sent_in_the_clear.message.contains("sesame"));
    assert!(Client::new("http://127.0.0.1:1", Some("a\nb"), None).is_err());
    assert_eq!(escape("a b/c?&é"), "a%20b%2Fc%3F%26%C3%A9");
}

// N19: a password in the URL of the server
#[test]
fn a_password_in_a_url_is_not_shown() {
    for server in
        ["http://bob:s3cret@example.com/x", "https://s3cret@example.com", "s3cret@", "https://a/?t=s3cret"]
    {
        let refused = Client::new(server, None, None).map(drop).unwrap_err();
        assert!(!refused.message.contains("s3cret"), "{refused}");
    }
}
