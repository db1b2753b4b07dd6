//! Does the client ask as it should, and does it tell what went wrong?

use crate::client::{Client, Unanswered, escape};
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
