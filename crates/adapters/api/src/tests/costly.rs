//! What do answers that take much leave to the others, and one caller to another?

use super::cluster::FakeCluster;
use super::sockets::{connect, read_to_end, status};
use crate::access::Admission;
use crate::routes::filter;
use crate::{Body, Limits, Listener, Request, Transport, serve};
use serde_json::json;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use warp::filters::BoxedFilter;
use warp::reply::Response;

const DRIFT: &str = "/api/v1/applications/web/drift";
const LIST: &str = "/api/v1/applications";
/// All that takes much.
const COSTLY: [&str; 6] = [
    DRIFT,
    LIST,
    "/api/v1/applications/web/managed-resources",
    "/api/v1/applications?limit=101",
    "/api/v1/applications?selector=team%3Dshop&fields=items.metadata.name",
    "/api/v1/applications?projects=shop",
];
const CHEAP: [&str; 4] = [
    "/api/v1/applications/web",
    "/api/v1/applications?limit=100",
    "/api/v1/applications?name=web",
    "/api/version",
];

/// The API before an agent that answers what is cheap at once, and what takes much never. What it was asked of the latter is
/// kept, with where its answers would go.
fn api(admission: Admission, limits: Limits) -> (BoxedFilter<(Response,)>, Arc<Mutex<Vec<Request>>>) {
    let (requests, mut asked) = mpsc::channel(8);
    let kept = Arc::<Mutex<Vec<Request>>>::default();
    let keeper = Arc::clone(&kept);
    tokio::spawn(async move {
        while let Some(request) = asked.recv().await {
            match request {
                Request::Get { reply, .. } => drop(reply.send(Ok(Body::Json(json!({}))))),
                Request::List { query, reply } if !query.is_costly() => {
                    drop(reply.send(Ok(Body::Json(json!({})))));
                }
                other => keeper.lock().unwrap().push(other),
            }
        }
    });
    (filter(requests, Arc::default(), limits, admission), kept)
}

async fn get(api: BoxedFilter<(Response,)>, path: String, token: &'static str) -> (u16, String, String) {
    let request = warp::test::request().path(&path).header("host", "localhost");
    let response = request.header("authorization", format!("Bearer {token}")).reply(&api).await;
    let retry = response.headers().get("retry-after").map_or("", |value| value.to_str().unwrap());
    let retry = retry.to_owned();
    (response.status().as_u16(), retry, String::from_utf8(response.body().to_vec()).unwrap())
}

/// Sends requests that nobody answers, and returns when they are with the agent.
async fn fill(
    api: &BoxedFilter<(Response,)>,
    path: &str,
    token: &'static str,
    many: usize,
) -> Vec<JoinHandle<(u16, String, String)>> {
    let sent = (0..many).map(|_| tokio::spawn(get(api.clone(), path.to_owned(), token))).collect();
    // By the paused clock: until nothing else is to be done.
    tokio::time::sleep(Duration::from_millis(1)).await;
    sent
}

#[tokio::test(start_paused = true)]
async fn what_takes_much_is_answered_eight_at_a_time_and_keeps_nobody_else_waiting() {
    for filling in COSTLY {
        let (api, kept) = api(Admission::Everyone, Limits::default());
        let open = fill(&api, filling, "", 8).await;
        assert_eq!(kept.lock().unwrap().len(), 8, "{filling}");
        for costly in COSTLY {
            let begun = Instant::now();
            let (status, retry, body) = get(api.clone(), costly.to_owned(), "").await;
            assert_eq!((status, retry.as_str()), (429, "1"), "{costly} beside {filling}: {body}");
            assert!(body.contains("8 lists, drifts, managed-resources and releases are under way"), "{body}");
            assert_eq!(begun.elapsed(), Duration::from_secs(2), "it waits a little");
        }
        for cheap in CHEAP {
            let begun = Instant::now();
            assert_eq!(get(api.clone(), cheap.to_owned(), "").await.0, 200, "{cheap} beside {filling}");
            assert_eq!(begun.elapsed(), Duration::ZERO, "{cheap} beside {filling}");
        }
        assert_eq!(kept.lock().unwrap().len(), 8, "the agent is not asked what is refused");
        // Callers that leave give their places back.
        open.iter().for_each(JoinHandle::abort);
        fill(&api, DRIFT, "", 1).await;
        assert_eq!(kept.lock().unwrap().len(), 9, "{filling}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_comes_free_is_for_who_waits() {
    let (api, kept) = api(Admission::Everyone, Limits::default());
    let _open = fill(&api, LIST, "", 8).await;
    let waiting = tokio::spawn(get(api.clone(), LIST.to_owned(), ""));
    tokio::time::sleep(Duration::from_secs(1)).await;
    for _ in 0..2 {
        let Request::List { reply, .. } = kept.lock().unwrap().remove(0) else { panic!("no list") };
        reply.send(Ok(Body::Json(json!({"items": []})))).unwrap();
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert_eq!(kept.lock().unwrap().len(), 7, "the ninth is asked for by now");
    kept.lock().unwrap().clear();
    assert_eq!(waiting.await.unwrap().0, 503, "nobody answers it");
}

#[tokio::test(start_paused = true)]
async fn one_user_has_at_most_half_of_the_places() {
    let cluster = FakeCluster::with(&["ada may get argocd/web", "bob may get argocd/web"]);
    cluster.edit(|state| state.tokens.insert("bob".into()));
    let limits = Limits { max_long: 6, ..Limits::default() };
    let (api, kept) = api(Admission::new(Some(cluster.reviews())), limits);
    for (path, half, sentence) in [
        (
            DRIFT,
            4,
            "4 lists, drifts, managed-resources and releases are under way, which is as many as one caller",
        ),
        ("/api/v1/applications/web/wait", 3, "3 waits and streams of yours are open"),
    ] {
        let _ada = fill(&api, path, "ada", half).await;
        assert_eq!(kept.lock().unwrap().len(), half);
        let (status, retry, body) = get(api.clone(), path.to_owned(), "ada").await;
        assert_eq!((status, retry.as_str()), (429, "1"), "{body}");
        assert!(body.contains(sentence), "{body}");
        let _bob = fill(&api, path, "bob", half).await;
        assert_eq!(kept.lock().unwrap().len(), 2 * half, "there is room for somebody else");
        assert_eq!(get(api.clone(), path.to_owned(), "bob").await.0, 429);
        kept.lock().unwrap().clear();
    }
}

/// Reads the beginning of an answer.
async fn begins(stream: &mut TcpStream) -> String {
    let mut part = [0; 256];
    let n = tokio::io::AsyncReadExt::read(stream, &mut part).await.unwrap();
    String::from_utf8_lossy(&part[..n]).into_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_holds_its_place_until_it_is_read() {
    // More than the sockets of both ends hold.
    const LARGE: usize = 32 * 1024 * 1024;
    let (requests, mut asked) = mpsc::channel(8);
    let limits = Limits { max_costly: 2, costly_patience: Duration::from_millis(100), ..Limits::default() };
    let listener =
        Listener { addr: "127.0.0.1:0".parse().unwrap(), limits, reviews: None, transport: Transport::Plain };
    let serving = serve(listener, requests, Arc::default(), std::future::pending()).await.unwrap();
    let text = "x".repeat(LARGE);
    tokio::spawn(async move {
        while let Some(request) = asked.recv().await {
            let Request::Drift { reply, .. } = request else { panic!("{request:?}") };
            drop(reply.send(Ok(Body::Text(text.clone()))));
        }
    });
    let request = format!("GET {DRIFT} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    let mut open = Vec::new();
    for _ in 0..2 {
        let mut stream = connect(serving.addr, &request).await;
        let head = begins(&mut stream).await;
        assert_eq!(status(&head), "200");
        assert!(head.to_lowercase().contains(&format!("content-length: {LARGE}")), "{head}");
        open.push(stream);
    }
    let further = begins(&mut connect(serving.addr, &request).await).await;
    assert_eq!(status(&further), "429", "two are being read");
    let rest = read_to_end(&mut open.remove(0)).await;
    assert!(rest.len() > LARGE - 256 && rest.len() <= LARGE && rest.ends_with("xxx"), "{}", rest.len());
    let mut next = connect(serving.addr, &request).await;
    assert_eq!(status(&begins(&mut next).await), "200", "one was read to its end");
    assert_eq!(status(&begins(&mut connect(serving.addr, &request).await).await), "429");
    // Who goes away gives its place back, whatever was left to read.
    drop(open);
    let end = std::time::Instant::now() + Duration::from_mins(1);
    while status(&begins(&mut connect(serving.addr, &request).await).await) != "200" {
        assert!(std::time::Instant::now() < end, "the place of who left is still taken");
    }
    serving.task.abort();
}
