//! What goes over the wire, once through kube and hyper and a real socket?

use super::*;
use crate::Endpoint;
use model::ErrorClass;
use std::io::Write as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

/// Answers one connection after the other with canned bytes, and closes each; returns what was asked.
async fn serve(listener: TcpListener, answers: Vec<&'static str>) -> Vec<String> {
    let mut asked = Vec::new();
    for answer in answers {
        let (mut socket, _) = listener.accept().await.unwrap();
        let mut request = vec![0; 10_000];
        let n = socket.read(&mut request).await.unwrap();
        asked.push(String::from_utf8(request[..n].to_vec()).unwrap());
        socket.write_all(answer.as_bytes()).await.unwrap();
        socket.shutdown().await.unwrap();
    }
    asked
}

fn kubeconfig(server: &str, user: &str) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    write!(
        file,
        "{{apiVersion: v1, kind: Config, current-context: c, contexts: [{{name: c, context: {{cluster: c, user: u}}}}], \
         clusters: [{{name: c, cluster: {{server: '{server}'}}}}], users: [{{name: u, user: {user}}}]}}"
    )
    .unwrap();
    file
}

async fn connect(file: &tempfile::NamedTempFile) -> Cluster {
    Cluster::connect(Access {
        kubeconfig: Some(file.path().into()),
        user_agent: "tautline/0.1".into(),
        in_flight: 32,
        call_timeout: Duration::from_secs(10),
    })
    .await
    .unwrap()
}

#[tokio::test]
async fn requests_are_plain_and_sent_once() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server = format!("http://{}", listener.local_addr().unwrap());
    let answers = vec![
        "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\n{}",
        "HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\nconnection: close\r\ncontent-length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 100\r\n\r\n{\"cut\":",
        "",
    ];
    let serving = tokio::spawn(serve(listener, answers));
    let file = kubeconfig(&server, "{token: t}");
    let cluster = connect(&file).await;
    assert_eq!(cluster.url(), server);
    let endpoint = Endpoint::new("v1", "ConfigMap", "configmaps", true);
    assert!(cluster.get(&endpoint, "a", "x").await.is_ok());
    let mut messages = Vec::new();
    for _ in 0..3 {
        let error = cluster.get(&endpoint, "a", "x").await.unwrap_err();
        assert_eq!(error.class, ErrorClass::Unavailable);
        messages.push(error.message.replace(&server, "SERVER"));
    }
    assert_eq!(messages[0], "the API server answered 503 Service Unavailable");
    assert_eq!(messages[1], "the connection broke in the middle of the answer");
    assert!(messages[2].starts_with("failed to reach SERVER: "), "{}", messages[2]);
    // One connection per call: nothing was repeated behind our back.
    let asked = serving.await.unwrap();
    let head = asked[0].to_lowercase();
    assert!(head.starts_with("get /api/v1/namespaces/a/configmaps/x http/1.1\r\n"), "{head}");
    for line in
        ["user-agent: tautline/0.1\r\n", "authorization: bearer t\r\n", "accept: application/json\r\n"]
    {
        assert!(head.contains(line), "{head}");
    }
    assert!(!head.contains("accept-encoding"), "{head}");
    assert_eq!(cluster.requests(), [("get", "ConfigMap".into(), 4)]);
}

// N19: what a plugin of a kubeconfig prints
#[tokio::test]
async fn what_a_credential_plugin_prints_is_not_told() {
    let plugin = "{exec: {apiVersion: client.authentication.k8s.io/v1, interactiveMode: Never, command: sh, \
                  args: [-c, 'echo hush; echo hush >&2; exit 3']}}";
    let file = kubeconfig("http://127.0.0.1:9", plugin);
    let access = Access {
        kubeconfig: Some(file.path().into()),
        user_agent: "tautline/0.1".into(),
        in_flight: 1,
        call_timeout: Duration::from_secs(10),
    };
    // kube runs the plugin while it prepares the connection.
    let text = match Cluster::connect(access).await {
        Ok(cluster) => {
            let endpoint = Endpoint::new("v1", "ConfigMap", "configmaps", true);
            cluster.get(&endpoint, "a", "x").await.unwrap_err().message
        }
        Err(error) => format!("{error:#}"),
    };
    assert!(!text.contains("hush"), "{text}");
    assert!(text.contains("credential plugin failed"), "{text}");
}

#[tokio::test]
async fn a_kubeconfig_that_cannot_be_read_is_named() {
    let access = Access {
        kubeconfig: Some("/nowhere/kubeconfig".into()),
        user_agent: String::new(),
        in_flight: 1,
        call_timeout: Duration::from_secs(10),
    };
    let error = Cluster::connect(access).await.err().unwrap();
    assert!(format!("{error:#}").starts_with("read kubeconfig /nowhere/kubeconfig: "), "{error:#}");
}

// N19: the text of a kubeconfig
/// Parsers quote what they stumble over, and the lines before it.
#[tokio::test]
async fn a_kubeconfig_that_is_wrong_is_told_without_its_text() {
    let users = "kind: Config\nusers:\n- name: a\n  user:\n    token: canary-token\n";
    for (text, place) in [
        (format!("{users}    password: [canary-password\n"), "at line 6, column 15"),
        (format!("{users}\tusername: canary-password\n"), "at line 5"),
        ("kind: Config\nusers: canary-token\n".into(), "at line 2, column 8"),
        ("canary-token".into(), "at line 1, column 1"),
    ] {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        let access = Access {
            kubeconfig: Some(file.path().into()),
            user_agent: String::new(),
            in_flight: 1,
            call_timeout: Duration::from_secs(10),
        };
        let told = format!("{:#}", Cluster::connect(access).await.err().unwrap());
        let expected =
            format!("read kubeconfig {}: it is no valid kubeconfig {place}", file.path().display());
        assert!(told.starts_with(&expected), "{told}");
        assert!(!told.contains("canary"), "{told}");
    }
}
