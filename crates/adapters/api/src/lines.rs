//! How is a stream written, and when does it end?

use crate::feed::Said;
use crate::{ApiError, Subscription};
use futures::Stream;
use serde_json::json;
use std::convert::Infallible;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, mpsc};

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
    fn error(self, error: &ApiError) -> String {
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
    place: Option<OwnedSemaphorePermit>,
) -> impl Stream<Item = Result<String, Infallible>> + Send + Sync + 'static {
    let (sender, mut receiver) = mpsc::channel(QUEUE);
    tokio::spawn(fill(subscription, lines, sender));
    futures::stream::poll_fn(move |context| {
        // It goes with the stream.
        let _kept = &place;
        receiver.poll_recv(context).map(|text| text.map(Ok))
    })
}

async fn fill(mut subscription: Subscription, lines: Lines, sender: mpsc::Sender<String>) {
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
        let sent = tokio::time::timeout(PATIENCE, sender.send(text)).await;
        // Nobody reads any more, or so slowly that it comes to the same.
        if is_last || !matches!(sent, Ok(Ok(()))) {
            return;
        }
    }
}
