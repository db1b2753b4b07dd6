//! What does a watch do while the server is away, refuses, or talks nonsense?

use super::*;
use serde_json::json;

#[tokio::test(start_paused = true)]
async fn endless_410_does_not_hurry() {
    let started = Instant::now();
    let mut script = Vec::new();
    for _ in 0..8 {
        script.push(page(10, "", &[]));
        script.push(expired());
    }
    let (_, asked) = told(script).await;
    assert_eq!(asked.len(), 17);
    assert!(started.elapsed() > Duration::from_secs(15), "{:?}", started.elapsed());
}

#[tokio::test(start_paused = true)]
async fn blindness_is_told_once_per_class_and_ends() {
    let forbidden = || Reply::Full(403, r#"{"kind":"Status","message":"no"}"#.into());
    let (told, asked) = told(vec![
        forbidden(),
        forbidden(),
        Reply::Refused,
        Reply::Full(500, r#"{"kind":"Status","message":"etcdserver: leader changed"}"#.into()),
        page(10, "", &[]),
        ended(&[bookmark(10)]),
        forbidden(),
        forbidden(),
        page(20, "", &[]),
        ended(&[bookmark(21)]),
    ])
    .await;
    assert_eq!(
        told,
        [
            "began",
            "blind: Forbidden",
            "began",
            "began",
            "blind: Unavailable",
            "began",
            "began",
            "listed",
            "seeing",
            "blind: Forbidden",
            "began",
            "listed",
            "seeing",
        ]
    );
    assert_eq!(asked[5..], ["watch 10", "watch 10", "watch 10", "list limit=2", "watch 20", "watch 21"]);
}

#[tokio::test(start_paused = true)]
async fn whoever_may_list_and_not_watch_stays_blind_until_a_watch_opens() {
    let forbidden = || Reply::Full(403, r#"{"kind":"Status","message":"no"}"#.into());
    let (told, asked) = told(vec![
        page(10, "", &[]),
        forbidden(),
        forbidden(),
        page(20, "", &[]),
        forbidden(),
        page(30, "", &[]),
        ended(&[bookmark(31)]),
    ])
    .await;
    assert_eq!(told, ["began", "listed", "blind: Forbidden", "began", "listed", "began", "listed", "seeing"]);
    assert_eq!(asked[4..], ["watch 20", "list limit=2", "watch 30", "watch 31"]);
}

#[tokio::test(start_paused = true)]
async fn a_failing_server_is_left_alone_for_longer_and_longer() {
    let started = Instant::now();
    let (told, asked) = told((0..8).map(|_| Reply::Refused).collect()).await;
    assert_eq!(asked.len(), 9);
    assert_eq!(told.iter().filter(|line| line.starts_with("blind")).count(), 1);
    let elapsed = started.elapsed();
    assert!(elapsed > Duration::from_secs(40) && elapsed < Duration::from_secs(130), "{elapsed:?}");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_always_closes_at_once_is_not_hammered() {
    let started = Instant::now();
    let mut script = vec![page(10, "", &[])];
    script.extend((0..6).map(|_| stream(&[], Then::Close)));
    let (told, asked) = told(script).await;
    assert_eq!(told, ["began", "listed", "seeing"]);
    assert_eq!(asked.len(), 8);
    assert!(started.elapsed() > Duration::from_secs(10), "{:?}", started.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_silent_connection_is_replaced() {
    let started = Instant::now();
    let (told, asked) =
        told(vec![page(10, "", &[]), stream(&[bookmark(12)], Then::Silence), ended(&[])]).await;
    assert_eq!(told, ["began", "listed", "seeing"]);
    assert_eq!(asked[..3], ["list limit=2", "watch 10", "watch 12"]);
    assert!(started.elapsed() < Duration::from_secs(130), "{:?}", started.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_server_that_lost_its_past_is_listed_again() {
    let too_large = r#"{"kind":"Status","message":"Timeout: Too large resource version: 10, current: 3"}"#;
    let unreadable = r#"{"kind":"Status","message":"resourceVersion: Invalid value: \"10\": strconv"}"#;
    for reply in [
        Reply::Full(504, too_large.into()),
        Reply::Full(500, unreadable.into()),
        Reply::Full(400, unreadable.into()),
        stream(&[error(504, "Too large resource version")], Then::Close),
    ] {
        let (mut told, asked) = told(vec![page(10, "", &[]), reply, page(3, "", &[])]).await;
        // The last of them comes after the watch was opened.
        told.retain(|line| line != "seeing");
        assert_eq!(told, ["began", "listed", "began", "listed"]);
        assert_eq!(asked, ["list limit=2", "watch 10", "list limit=2", "watch 3"]);
    }
}

#[tokio::test(start_paused = true)]
async fn something_else_than_json_is_an_error_and_not_skipped() {
    let (told, asked) = told(vec![
        page(10, "", &[]),
        Reply::Chunks(vec![b"<html>proxy</html>".to_vec()], Then::Close),
        ended(&[bookmark(11)]),
    ])
    .await;
    assert_eq!(told, ["began", "listed", "seeing"]);
    assert_eq!(asked, ["list limit=2", "watch 10", "watch 10", "watch 11"]);
}

#[tokio::test(start_paused = true)]
async fn a_throttled_watch_waits_as_asked_and_does_not_list() {
    let started = Instant::now();
    let busy = || Reply::Header(429, "retry-after", "20", String::new());
    let (told, asked) = told(vec![page(10, "", &[]), busy(), busy(), ended(&[bookmark(11)])]).await;
    assert_eq!(told, ["began", "listed", "blind: Throttled", "seeing"]);
    assert_eq!(asked, ["list limit=2", "watch 10", "watch 10", "watch 10", "watch 11"]);
    assert!(started.elapsed() > Duration::from_secs(40));
}

#[tokio::test(start_paused = true)]
async fn dropping_the_handle_ends_the_watch() {
    let (cluster, asked) = cluster(vec![page(10, "", &[]), quiet()]);
    let (sender, mut receiver) = mpsc::channel(8);
    let spec = WatchSpec::all(Endpoint::new("v1", "ConfigMap", "configmaps", true));
    let handle = cluster.watch(spec, sender, WatchId(0));
    assert_eq!(receiver.recv().await, Some((WatchId(0), WatchEvent::Began)));
    assert_eq!(receiver.recv().await, Some((WatchId(0), WatchEvent::Listed("10".into()))));
    assert_eq!(receiver.recv().await, Some((WatchId(0), WatchEvent::Seeing)));
    drop(handle);
    assert_eq!(receiver.recv().await, None);
    assert!(asked.lock().unwrap().len() <= 2);
}

#[tokio::test(start_paused = true)]
async fn what_is_too_long_is_refused_in_time() {
    let mut long = vec![b' '; 65 << 20];
    long[0] = b'{';
    let mut event_too_long = br#"{"type":"ADDED","object":{"data":""#.to_vec();
    event_too_long.extend(vec![b'x'; 33 << 20]);
    event_too_long.extend(b"\"}}");
    let (told, asked) = told(vec![
        Reply::Chunks(vec![long], Then::Close),
        page(10, "", &[item("x", 1)]),
        Reply::Chunks(
            vec![event_too_long, event("ADDED", "n", 11).into_bytes()],
            Then::CloseLater(Duration::from_secs(5)),
        ),
    ])
    .await;
    assert_eq!(
        told,
        [
            "began",
            "began",
            "Listed ConfigMap a/x 1",
            "listed",
            "seeing",
            "bad /: longer than 32 MiB",
            "Added ConfigMap a/n 11"
        ]
    );
    assert_eq!(asked, ["list limit=2", "list limit=1", "watch 10", "watch 11"]);
}

#[tokio::test(start_paused = true)]
async fn an_error_printed_over_many_lines_is_one_wherever_it_comes_apart() {
    let status = |code: u16, message: &str| {
        let status =
            json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "code": code, "message": message});
        serde_json::to_string_pretty(&json!({"type": "ERROR", "object": status})).unwrap()
    };
    let listed: fn() -> Reply = || page(20, "", &[]);
    let followed: fn() -> Reply = || ended(&[bookmark(20)]);
    for (error, after, asked_after) in [
        (status(410, "too old resource version"), listed, ["list limit=2", "watch 20"]),
        (status(500, "etcdserver: leader changed"), followed, ["watch 11", "watch 20"]),
    ] {
        // What was told before the error stays told.
        let stream = format!("{}{error}\n", event("ADDED", "n", 11)).into_bytes();
        let lines = stream.split_inclusive(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
        let bytes = stream.iter().map(|byte| vec![*byte]).collect();
        for chunks in [vec![stream.clone()], lines, bytes] {
            let script = vec![page(10, "", &[]), Reply::Chunks(chunks, Then::Close), after()];
            let (told, asked) = told(script).await;
            assert_eq!(told[..4], ["began", "listed", "seeing", "Added ConfigMap a/n 11"], "{error}");
            assert_eq!(asked[..2], ["list limit=2", "watch 10"], "{error}");
            assert_eq!(asked[2..], asked_after, "{error}");
        }
    }
}

/// One member of a gzip stream (RFC 1952), whose bytes are stored as they are.
fn member(bytes: &[u8]) -> Vec<u8> {
    let length = u16::try_from(bytes.len()).unwrap();
    let sum = bytes.iter().fold(u32::MAX, |sum, byte| {
        let low = sum ^ u32::from(*byte);
        (0..8).fold(low, |sum, _| if sum & 1 == 1 { (sum >> 1) ^ 0xedb8_8320 } else { sum >> 1 })
    });
    let head = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff, 1];
    let lengths = [length.to_le_bytes(), (!length).to_le_bytes()].concat();
    let end = [(!sum).to_le_bytes(), u32::from(length).to_le_bytes()].concat();
    [&head[..], &lengths, bytes, &end].concat()
}

/// We never ask for it, which `connect_tests.rs` sees to; who is on the way may do it all the same, in one member or several.
#[tokio::test(start_paused = true)]
async fn what_comes_compressed_is_neither_an_empty_list_nor_an_event() {
    let members = |parts: &[&str]| {
        let bytes = parts.iter().flat_map(|part| member(part.as_bytes())).collect();
        Reply::Chunks(vec![bytes], Then::Close)
    };
    let list = [r#"{"metadata":{"resourceVersion":"9"},"items":["#, "]}"];
    let (told, asked) = told(vec![
        members(&list),
        page(10, "", &[item("x", 1)]),
        members(&[&event("DELETED", "x", 11), &event("ADDED", "n", 12)]),
        page(20, "", &[item("x", 1)]),
        ended(&[event("ADDED", "n", 21)]),
    ])
    .await;
    assert_eq!(
        told,
        [
            "began",
            "blind: Unavailable",
            "began",
            "Listed ConfigMap a/x 1",
            "listed",
            "seeing",
            "blind: Unavailable",
            "began",
            "Listed ConfigMap a/x 1",
            "listed",
            "seeing",
            "Added ConfigMap a/n 21",
        ]
    );
    assert_eq!(asked, ["list limit=2", "list limit=2", "watch 10", "list limit=2", "watch 20", "watch 21"]);
}
