//! How is a stream written, and when does it end?

use crate::feed::Said;
use crate::places::Place;
use crate::{ApiError, Subscription};
use futures::Stream;
use serde_json::json;
use std::convert::Infallible;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};

/// How many messages wait for a reader; what else there is stays where all read it.
const QUEUE: usize = 4;
/// How long nothing may be said, so that both ends see whether the other one is there.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// How long a reader may take none of it.
const PATIENCE: Duration = Duration::from_secs(30);

/// How messages are told from each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lines {
    /// One JSON value per line; an empty line is a heartbeat.
    Json,
    /// Server-sent events.
    Events,
}

impl Lines {
    fn message(self, text: &str, version: Option<u64>) -> String {
        match (self, version) {
            (Self::Json, _) => format!("{text}\n"),
            (Self::Events, None) => format!("data: {text}\n\n"),
            (Self::Events, Some(version)) => format!("id: {version}\ndata: {text}\n\n"),
        }
    }

    /// Both ends learn that the other one is there, and a reader of events how far it has come.
    fn heartbeat(self, version: u64) -> String {
        match self {
            Self::Json => "\n".to_owned(),
            Self::Events => format!(": alive\nid: {version}\n\n"),
        }
    }

    /// The last line, as grpc-gateway writes errors into a stream.
    pub(crate) fn error(self, error: &ApiError) -> String {
        let text = json!({ "error": {
            "grpc_code": error.code, "http_code": error.status, "code": error.code, "message": error.message,
        } });
        self.message(&text.to_string(), None)
    }
}

/// Writes a stream until it ends or nobody reads it.
pub(crate) fn write(
    subscription: Subscription,
    lines: Lines,
    place: Option<Place>,
) -> impl Stream<Item = Result<String, Infallible>> + Send + Sync + 'static {
    let (sender, mut receiver) = mpsc::channel(QUEUE);
    let (given_up, mut last) = oneshot::channel();
    tokio::spawn(fill(subscription, lines, sender, given_up));
    futures::stream::poll_fn(move |context| {
        // It goes with the stream.
        let _kept = &place;
        receiver.poll_recv(context).map(|text| text.or_else(|| last.try_recv().ok()).map(Ok))
    })
}

/// What a reader is told that took nothing for [`PATIENCE`], should it read on after all.
fn not_read() -> ApiError {
    ApiError::gone(format!(
        "nothing of this stream was read for {PATIENCE:?}; come back with the resourceVersion of what was told last"
    ))
}

/// Writes what there is to say into `sender`. For the last line of a reader that is given up there is no room in it, so that one
/// goes another way.
async fn fill(
    mut subscription: Subscription,
    lines: Lines,
    sender: mpsc::Sender<String>,
    given_up: oneshot::Sender<String>,
) {
    subscription.begin();
    loop {
        let (text, is_last) = match subscription.poll() {
            Some(Said::Message(text, version)) => (lines.message(&text, version), false),
            Some(Said::Ended(error)) => (lines.error(&error), true),
            None => {
                tokio::select! {
                    () = subscription.changed() => continue,
                    () = sender.closed() => return,
                    () = tokio::time::sleep(HEARTBEAT) => (lines.heartbeat(subscription.version()), false),
                }
            }
        };
        match tokio::time::timeout(PATIENCE, sender.send(text)).await {
            Ok(Ok(())) if !is_last => {}
            // All is said, or nobody reads any more.
            Ok(_) => return,
            Err(_) => {
                // Whoever reads none of it does not hear of this either, most of the time.
                let _unheard = given_up.send(lines.error(&not_read()));
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::feed::{By, Kind};
    use crate::{Feed, ListQuery, Listed};
    use futures::StreamExt as _;
    use serde_json::Value;
    use std::sync::Arc;
    use tokio::time::Instant;

    const BOTH: [Lines; 2] = [Lines::Json, Lines::Events];

    /// A feed that has listed nothing yet, and a stream of it.
    fn stream(lines: Lines) -> (Feed, impl Stream<Item = String> + Unpin) {
        let feed = Feed::default();
        feed.listed(7);
        tokio::spawn(feed.pump());
        let subscription = feed.subscribe(ListQuery::default(), None, Vec::new).unwrap();
        (feed, write(subscription, lines, None).map(|text| text.unwrap()))
    }

    fn tell(feed: &Feed, version: u64) {
        let app = json!({"metadata": {"name": "web", "namespace": "argocd", "resourceVersion": version.to_string()}});
        feed.tell(
            Kind::Modified,
            &Arc::new(Listed::new(&app)),
            Some(&Listed::new(&app)),
            (By::Watch, version),
        );
    }

    /// The JSON of a message, in either form.
    fn json_of(text: &str) -> Value {
        let line = text.lines().find_map(|line| line.strip_prefix("data: ")).unwrap_or(text);
        serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {text:?}"))
    }

    #[tokio::test(start_paused = true)]
    async fn silence_is_broken_every_fifteen_seconds_and_only_then() {
        for (lines, heartbeat) in [(Lines::Json, "\n"), (Lines::Events, ": alive\nid: 7\n\n")] {
            let (feed, mut stream) = stream(lines);
            for _ in 0..3 {
                let begun = Instant::now();
                assert_eq!(stream.next().await.unwrap(), heartbeat);
                assert_eq!(begun.elapsed().as_secs(), 15, "{lines:?}");
            }
            // A message counts as well as a heartbeat, and the next one has 15 s again.
            tokio::time::sleep(Duration::from_secs(10)).await;
            tell(&feed, 9);
            let begun = Instant::now();
            let text = stream.next().await.unwrap();
            assert_eq!(json_of(&text)["result"]["type"], "MODIFIED");
            assert!(begun.elapsed() < Duration::from_secs(1), "{lines:?}");
            let text = stream.next().await.unwrap();
            assert_eq!((text.replace("id: 9", "id: 7").as_str(), begun.elapsed().as_secs()), (heartbeat, 15));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_reads_nothing_for_half_a_minute_is_given_up_and_told_so() {
        for lines in BOTH {
            let (feed, mut stream) = stream(lines);
            (8..30).for_each(|version| tell(&feed, version));
            tokio::time::sleep(Duration::from_secs(31)).await;
            let rest: Vec<String> = stream.by_ref().collect().await;
            assert_eq!(rest.len(), QUEUE + 1, "{lines:?}: what waited, and why it ends");
            let last = json_of(rest.last().unwrap());
            assert_eq!(last["error"]["http_code"], 410, "{last}");
            assert!(last["error"]["message"].as_str().unwrap().contains("was read for 30s"), "{last}");
            assert!(stream.next().await.is_none());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_reads_slowly_hears_everything() {
        for lines in BOTH {
            let (feed, mut stream) = stream(lines);
            (8..20).for_each(|version| tell(&feed, version));
            for version in 8..20 {
                tokio::time::sleep(Duration::from_secs(29)).await;
                let told = json_of(&stream.next().await.unwrap());
                let told = &told["result"]["application"]["metadata"]["resourceVersion"];
                assert_eq!(*told, version.to_string(), "{lines:?}");
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_agent_that_stops_says_so_at_once_and_last() {
        for lines in BOTH {
            let (feed, mut stream) = stream(lines);
            drop(feed);
            let begun = Instant::now();
            let last = json_of(&stream.next().await.unwrap());
            assert_eq!((&last["error"]["http_code"], begun.elapsed()), (&json!(503), Duration::ZERO));
            assert!(stream.next().await.is_none());
        }
    }
}
