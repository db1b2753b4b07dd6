//! Does a watch tell everything once, whatever the server does?

#[path = "watch_fault_tests.rs"]
mod faults;

use super::*;
use crate::fake::{Asked, Reply, Then, cluster};

fn item(name: &str, version: u64) -> String {
    format!(
        r#"{{"metadata":{{"name":"{name}","namespace":"a","resourceVersion":"{version}"}},"data":{{"é":"{{["}}}}"#
    )
}

fn page(version: u64, next: &str, items: &[String]) -> Reply {
    Reply::Full(
        200,
        format!(
            r#"{{"kind":"ConfigMapList","metadata":{{"resourceVersion":"{version}","continue":"{next}"}},"items":[{}]}}"#,
            items.join(",")
        ),
    )
}

fn event(kind: &str, name: &str, version: u64) -> String {
    format!("{{\"type\":\"{kind}\",\"object\":{}}}\n", item(name, version))
}

fn bookmark(version: u64) -> String {
    format!("{{\"type\":\"BOOKMARK\",\"object\":{{\"metadata\":{{\"resourceVersion\":\"{version}\"}}}}}}\n")
}

fn error(code: u16, message: &str) -> String {
    // Over several lines, as some servers print it.
    format!(
        "{{\n\"type\": \"ERROR\",\n\"object\": {{\n\"kind\": \"Status\",\n\"code\": {code},\n\"message\": \"{message}\"}}}}\n"
    )
}

fn stream(events: &[String], after: Then) -> Reply {
    Reply::Chunks(events.iter().map(|event| event.clone().into_bytes()).collect(), after)
}

/// A stream that lasted, and that the server ended.
fn ended(events: &[String]) -> Reply {
    stream(events, Then::CloseLater(Duration::from_secs(5)))
}

fn expired() -> Reply {
    Reply::Full(410, r#"{"kind":"Status","reason":"Expired","code":410}"#.into())
}

fn quiet() -> Reply {
    stream(&[], Then::Silence)
}

fn text(event: WatchEvent) -> String {
    match event {
        WatchEvent::Began => "began".into(),
        WatchEvent::Object(object, origin) => {
            format!("{origin:?} {} {}", object.key(), object.resource_version())
        }
        WatchEvent::Deleted(key, object) => format!("deleted {key} {}", object.resource_version()),
        WatchEvent::Listed(_) => "listed".into(),
        WatchEvent::Undecodable { name, namespace, sentence, .. } => {
            format!("bad {namespace}/{name}: {sentence}")
        }
        WatchEvent::Blind { why, .. } => format!("blind: {:?}", why.class),
        WatchEvent::Seeing => "seeing".into(),
    }
}

/// What a run of the script told until it came to its last reply, which says nothing; and what it asked.
async fn told(mut script: Vec<Reply>) -> (Vec<String>, Vec<String>) {
    let n = script.len();
    script.push(Reply::Silence);
    let (cluster, asked) = cluster(script);
    let spec = WatchSpec {
        label_selector: "l=1".into(),
        page: 2,
        ..WatchSpec::all(Endpoint::new("v1", "ConfigMap", "configmaps", true))
    };
    let (sender, mut receiver) = mpsc::channel(1);
    let handle = cluster.watch(spec, sender, WatchId(7));
    let mut told = Vec::new();
    loop {
        tokio::select! {
            biased;
            event = receiver.recv() => {
                let (id, event) = event.unwrap();
                assert_eq!(id, WatchId(7));
                told.push(text(event));
            }
            // Time is paused: it moves only when nobody has anything to do.
            () = tokio::time::sleep(Duration::from_millis(100)) => {
                if asked.lock().unwrap().len() > n {
                    break;
                }
            }
        }
    }
    drop(handle);
    (told, requests(&asked))
}

/// Requests, shortened to what differs between them.
fn requests(asked: &Asked) -> Vec<String> {
    let asked = asked.lock().unwrap();
    let short = |line: &String| {
        let line = line.strip_prefix("GET /api/v1/configmaps?").unwrap();
        assert!(line.ends_with("&labelSelector=l%3D1"), "{line}");
        let line = line.trim_end_matches("&labelSelector=l%3D1");
        match line.strip_prefix("watch=true&allowWatchBookmarks=true&resourceVersion=") {
            Some(rest) => format!("watch {}", rest.split('&').next().unwrap()),
            None => format!("list {line}"),
        }
    };
    asked.iter().map(short).collect()
}

#[tokio::test(start_paused = true)]
async fn lists_page_by_page_then_watches_and_goes_on_where_it_was() {
    let (told, asked) = told(vec![
        page(10, "next", &[item("x", 1), item("y", 2)]),
        page(10, "", &[item("z", 3)]),
        ended(&[event("ADDED", "n", 11), event("MODIFIED", "x", 12), event("DELETED", "y", 13)]),
        ended(&[bookmark(20)]),
        // Told twice: passed on, because telling twice harms nobody.
        ended(&[event("MODIFIED", "x", 21), event("MODIFIED", "x", 21)]),
    ])
    .await;
    assert_eq!(
        told,
        [
            "began",
            "Listed ConfigMap a/x 1",
            "Listed ConfigMap a/y 2",
            "Listed ConfigMap a/z 3",
            "listed",
            "seeing",
            "Added ConfigMap a/n 11",
            "Modified ConfigMap a/x 12",
            "deleted ConfigMap a/y 13",
            "Modified ConfigMap a/x 21",
            "Modified ConfigMap a/x 21",
        ]
    );
    assert_eq!(
        asked,
        ["list limit=2", "list limit=2&continue=next", "watch 10", "watch 13", "watch 20", "watch 21"]
    );
}

#[tokio::test(start_paused = true)]
async fn both_shapes_of_410_list_again_and_blind_nobody() {
    for gone in [expired(), stream(&[error(410, "too old resource version")], Then::Close)] {
        let (mut told, asked) =
            told(vec![page(10, "", &[item("x", 1)]), gone, page(20, "", &[]), ended(&[bookmark(21)])]).await;
        // One of them comes after the watch was opened.
        told.retain(|line| line != "seeing");
        assert_eq!(told, ["began", "Listed ConfigMap a/x 1", "listed", "began", "listed"]);
        assert_eq!(asked, ["list limit=2", "watch 10", "list limit=2", "watch 20", "watch 21"]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_cut_in_an_object_or_in_a_character_goes_on_before_it() {
    let added = event("ADDED", "n", 11).into_bytes();
    for cut in [1, 30, added.len() - 12, added.len() - 2] {
        let (told, asked) = told(vec![
            page(10, "", &[]),
            Reply::Chunks(vec![added[..cut].to_vec()], Then::Break),
            ended(&[event("ADDED", "n", 11)]),
        ])
        .await;
        assert_eq!(asked, ["list limit=2", "watch 10", "watch 10", "watch 11"], "cut at {cut}");
        assert_eq!(told, ["began", "listed", "seeing", "Added ConfigMap a/n 11"], "cut at {cut}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_lasted_and_broke_goes_on_at_once() {
    let (told, asked) = told(vec![
        page(10, "", &[]),
        Reply::Chunks(vec![bookmark(12).into_bytes()], Then::BreakLater(Duration::from_secs(9))),
        ended(&[event("ADDED", "n", 13)]),
    ])
    .await;
    assert_eq!(told, ["began", "listed", "seeing", "Added ConfigMap a/n 13"]);
    assert_eq!(asked, ["list limit=2", "watch 10", "watch 12", "watch 13"]);
}

#[tokio::test(start_paused = true)]
async fn an_expired_page_begins_the_list_anew_with_larger_pages() {
    let (told, asked) =
        told(vec![page(10, "next", &[item("x", 1), item("y", 2)]), expired(), page(20, "", &[item("y", 2)])])
            .await;
    assert_eq!(
        told,
        [
            "began",
            "Listed ConfigMap a/x 1",
            "Listed ConfigMap a/y 2",
            "began",
            "Listed ConfigMap a/y 2",
            "listed"
        ]
    );
    assert_eq!(asked, ["list limit=2", "list limit=2&continue=next", "list limit=8", "watch 20"]);
}

// N49: in a list and in a watch
#[tokio::test(start_paused = true)]
async fn one_bad_object_stops_only_itself() {
    let deep = format!(
        r#"{{"metadata":{{"name":"deep","namespace":"a","resourceVersion":"12"}},"spec":{}{}}}"#,
        "[".repeat(5_000),
        "]".repeat(5_000)
    );
    let typed = r#"{"metadata":{"name":"typed","labels":7}}"#.to_owned();
    let (told, asked) = told(vec![
        page(10, "", &[item("x", 1), deep.clone(), typed.clone(), "null".into(), item("z", 3)]),
        ended(&[
            event("ADDED", "n", 11),
            format!("{{\"type\":\"ADDED\",\"object\":{deep}}}\n"),
            format!("{{\"type\":\"DELETED\",\"object\":{deep}}}\n"),
            "{\"type\":3}\n".into(),
            event("STRANGE", "s", 14),
            event("ADDED", "o", 15),
        ]),
    ])
    .await;
    assert_eq!(
        told,
        [
            "began",
            "Listed ConfigMap a/x 1",
            "bad a/deep: nested deeper than 100 levels",
            "bad /typed: metadata.labels or annotations is not a map of text",
            "bad /: not a map",
            "Listed ConfigMap a/z 3",
            "listed",
            "seeing",
            "Added ConfigMap a/n 11",
            "bad a/deep: nested deeper than 100 levels",
            "deleted ConfigMap a/deep 12",
            "bad /: not a watch event",
            "bad a/s: an event of an unknown type",
            "Added ConfigMap a/o 15",
        ]
    );
    assert_eq!(asked, ["list limit=2", "watch 10", "watch 15"]);
}

// N49: bytes that are no text
#[tokio::test(start_paused = true)]
async fn bad_bytes_stop_only_their_object() {
    let bad = |text: String| {
        let mut bytes = text.into_bytes();
        let place = bytes.iter().position(|byte| *byte == 0xc3).unwrap();
        bytes[place] = 0xff;
        bytes
    };
    let body = [
        br#"{"metadata":{"resourceVersion":"10"},"items":["#.as_slice(),
        item("x", 1).as_bytes(),
        b",",
        &bad(item("bytes", 2)),
        b"]}",
    ]
    .concat();
    let (told, _) = told(vec![
        Reply::Chunks(vec![body], Then::Close),
        Reply::Chunks(
            vec![bad(event("ADDED", "bytes", 11)), event("ADDED", "n", 12).into_bytes()],
            Then::CloseLater(Duration::from_secs(5)),
        ),
    ])
    .await;
    assert_eq!(
        told,
        [
            "began",
            "Listed ConfigMap a/x 1",
            "bad a/bytes: not valid UTF-8",
            "listed",
            "seeing",
            "bad a/bytes: not valid UTF-8",
            "Added ConfigMap a/n 12"
        ]
    );
}
