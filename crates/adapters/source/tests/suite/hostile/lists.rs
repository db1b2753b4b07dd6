//! What does a list of refs cost that is long, or has no end?

use super::*;

// N51: a list of refs that never ends, as slowly as no timeout of a socket would notice
#[tokio::test]
async fn a_list_of_refs_that_never_ends_stops_only_itself_and_is_given_up() {
    let it = Served::in_place(Place::with(|config| {
        (config.threads, config.per_host) = (2, 1);
        config.timeout = Duration::from_secs(4);
    }));
    let (sender, given_up) = std::sync::mpsc::channel();
    let address = serve(move |_, stream| {
        let told = endless_refs(stream, || std::thread::sleep(Duration::from_millis(5)));
        // Whoever waits for it may have failed.
        let _unheard = sender.send(());
        told
    });
    let endless = at(&format!("http://{address}/a"));
    for _ in 0..2 {
        let error = it.place.sources.refs(&endless).await.unwrap_err();
        assert_eq!(error.kind, Kind::TimedOut, "{error}");
    }
    assert_eq!(it.read("").await, "a.yaml: 1");
    let gone = given_up.recv_timeout(Duration::from_mins(1));
    assert!(gone.is_ok(), "it is still listened to, by a thread that nobody else can have");
}

/// Goes on with a list of refs until the other side is gone.
fn endless_refs(stream: &mut TcpStream, pause: impl Fn()) -> std::io::Result<()> {
    let tip = "1".repeat(40);
    stream.write_all(head(REFS).as_bytes())?;
    stream.write_all(&piece(&refs(&tip, "")))?;
    for number in 0.. {
        let lines = (0..10).map(|n| line(format!("{tip} refs/heads/branch-{number}{n}\n").as_bytes()));
        stream.write_all(&piece(&lines.collect::<Vec<_>>().concat()))?;
        pause();
    }
    Ok(())
}

// N51: a list of refs that never ends, as fast as it can be sent
#[test]
fn a_list_of_refs_that_never_ends_takes_no_more_memory_than_it_may() {
    passes_alone("lists::alone_with_a_list_of_refs_that_never_ends", |_| {});
}

#[tokio::test]
async fn alone_with_a_list_of_refs_that_never_ends() {
    if !is_alone() {
        return;
    }
    let it = Served::in_place(Place::with(|config| config.timeout = Duration::from_mins(5)));
    let address = serve(|_, stream| endless_refs(stream, || {}));
    let url = format!("http://{address}/a");
    let error = it.place.sources.refs(&at(&url)).await.unwrap_err();
    let limit = format!("repository {url} lists more refs than fit into 256 MB");
    assert_eq!((error.kind, error.message), (Kind::TooLarge, limit));
    assert!(peak() < 400, "{} MB", peak());
    assert_eq!(it.read("").await, "a.yaml: 1", "on the same threads");
}

// N6: a million refs
#[test]
fn a_million_refs_are_listed_within_bounds() {
    passes_alone("lists::alone_with_a_million_refs", |_| {});
}

#[tokio::test]
async fn alone_with_a_million_refs() {
    if !is_alone() {
        return;
    }
    let it = Served::in_place(Place::with(|config| config.timeout = Duration::from_mins(2)));
    let tip = it.repo.git.refname_to_id("refs/heads/main").unwrap().to_string();
    let address = serve(move |_, stream| {
        let mut list = refs(&tip, "ofs-delta");
        for number in 0..1_000_000 {
            // Every second one has a name that no Git would take.
            let dots = if number % 2 == 0 { "" } else { ".." };
            list.extend(line(format!("{tip} refs/heads/some-branch-{number}{dots}\n").as_bytes()));
        }
        list.extend(b"0000");
        stream.write_all(&whole(REFS, &list))
    });
    let found = it.place.sources.refs(&at(&format!("http://{address}/a"))).await.unwrap();
    assert_eq!((found.names.len(), found.n_ignored), (500_001, 500_000));
    assert!(peak() < 400, "{} MB", peak());
}
