//! What does an agent tell of Applications as they change? The same as a watch of the cluster, however often the connection
//! breaks.
//!
//! ```text
//!  list ──▶ stream from there on ──▶ it ends: the same place again, after a pause
//!    ▲                                   │
//!    └─── the place is not known any more┘
//! ```

use crate::cli::app::remote::{Remote, unanswered};
use crate::cli::app::watch::Which;
use crate::cli::failure::Failure;
use crate::exit::{OTHER, TIMEOUT};
use crate::tools::talk;
use api::client::{Event, Events};
use cluster::{Origin, WatchEvent};
use model::{Object, printable};
use serde_json::Value;
use std::collections::VecDeque;
use std::time::Duration;

/// Pause before an agent that was lost is asked again: the first one, and the longest.
const PAUSES: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(10));

/// An agent's Applications as they change.
pub(crate) struct Stream {
    remote: Remote,
    selector: String,
    name: String,
    /// Up to which resourceVersion everything was told; none where it has to be listed.
    place: Option<String>,
    events: Option<Box<Events>>,
    /// What was heard and is not told yet.
    heard: VecDeque<WatchEvent>,
    /// Whether the agent ever answered: one that never did is no agent that was lost.
    has_answered: bool,
    /// Whether it was told that the agent is lost.
    is_lost: bool,
    pause: Duration,
}

impl Stream {
    /// Makes one; asks for nothing yet.
    pub(crate) fn new(remote: Remote, which: &Which<'_>) -> Self {
        Self {
            remote,
            selector: which.selector.to_owned(),
            name: which.name.to_owned(),
            place: None,
            events: None,
            heard: VecDeque::new(),
            has_answered: false,
            is_lost: false,
            pause: PAUSES.0,
        }
    }

    /// Returns what happens next.
    ///
    /// # Errors
    /// What does not get better by asking again.
    pub(crate) async fn next(&mut self) -> Result<WatchEvent, Failure> {
        loop {
            if let Some(event) = self.heard.pop_front() {
                return Ok(event);
            }
            if let Err(failure) = self.listen().await {
                self.events = None;
                self.lost(failure).await?;
            }
        }
    }

    /// Does one thing to hear more.
    async fn listen(&mut self) -> Result<(), Failure> {
        if let Some(events) = &mut self.events {
            let event = events.next().await.map_err(|error| unanswered(&error))?;
            let event = event.ok_or_else(|| Failure::new(OTHER, "the agent has ended the stream"))?;
            return self.take(event);
        }
        let place = self.place.clone().unwrap_or_default();
        let which = [("selector", self.selector.as_str()), ("name", self.name.as_str())];
        if place.is_empty() {
            let list = self.remote.list(&which).await?;
            let version = list["metadata"]["resourceVersion"].as_str().filter(|version| !version.is_empty());
            let version = version.ok_or_else(|| Failure::new(OTHER, "it is no agent that answers there"))?;
            self.place = Some(version.to_owned());
            self.has_answered = true;
            self.heard.extend(listed(&list));
            return Ok(());
        }
        let [selector, name] = which;
        self.events = self.remote.changes(&[selector, name, ("resourceVersion", &place)]).await?;
        if self.events.is_none() {
            self.place = None;
            self.rest().await;
        }
        Ok(())
    }

    /// Takes in one event.
    fn take(&mut self, event: Event) -> Result<(), Failure> {
        (self.is_lost, self.pause) = (false, PAUSES.0);
        let said: Value = serde_json::from_str(&event.data).unwrap_or_default();
        if let Some(error) = said["error"].as_object() {
            if error.get("http_code") == Some(&410.into()) {
                self.place = None;
            }
            let message = error.get("message").and_then(Value::as_str).unwrap_or("the stream has ended");
            return Err(Failure::new(OTHER, message));
        }
        self.heard.extend(changed(said["result"].clone()));
        self.place = event.id.or_else(|| self.place.take());
        Ok(())
    }

    /// Tells once that the agent is lost, and waits before it is asked again.
    async fn lost(&mut self, failure: Failure) -> Result<(), Failure> {
        let may_pass = matches!(failure.code, OTHER | TIMEOUT);
        if !may_pass || !self.has_answered {
            return Err(failure);
        }
        if !self.is_lost {
            self.is_lost = true;
            talk(&format!("warning: {}; asking again", printable(&failure.message)));
        }
        self.rest().await;
        Ok(())
    }

    /// Waits longer each time, until something is heard.
    async fn rest(&mut self) {
        tokio::time::sleep(self.pause).await;
        self.pause = (self.pause * 2).min(PAUSES.1);
    }
}

/// Tells a list as a watch does.
fn listed(list: &Value) -> Vec<WatchEvent> {
    let items = list["items"].as_array().into_iter().flatten();
    let version = list["metadata"]["resourceVersion"].as_str().unwrap_or_default();
    let told = items.map(|app| object(app.clone(), Origin::Listed));
    std::iter::once(WatchEvent::Began)
        .chain(told)
        .chain([WatchEvent::Listed(version.to_owned()), WatchEvent::Seeing])
        .collect()
}

/// Tells a change as a watch does; nothing where none is told, as by a sign of life.
fn changed(mut result: Value) -> Option<WatchEvent> {
    let app = result["application"].take();
    match result["type"].as_str()? {
        "ADDED" => Some(object(app, Origin::Added)),
        "MODIFIED" => Some(object(app, Origin::Modified)),
        "DELETED" => Some(match object(app, Origin::Modified) {
            WatchEvent::Object(object, _) => WatchEvent::Deleted(object.key(), object),
            unreadable => unreadable,
        }),
        _ => None,
    }
}

fn object(app: Value, origin: Origin) -> WatchEvent {
    let text = |pointer: &str| app.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
    let [name, namespace] = ["/metadata/name", "/metadata/namespace"].map(text);
    match Object::from_value(app) {
        Ok(object) => WatchEvent::Object(object, origin),
        Err(_) => WatchEvent::Undecodable {
            name,
            namespace,
            sentence: "what the agent says is no object",
            head: None,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn app(name: &str) -> Value {
        json!({"apiVersion": "argoproj.io/v1alpha1", "kind": "Application", "metadata": {"name": name, "namespace": "argocd"}})
    }

    fn told(events: impl IntoIterator<Item = WatchEvent>) -> Vec<String> {
        let word = |event: WatchEvent| match event {
            WatchEvent::Began => "began".into(),
            WatchEvent::Object(object, origin) => format!("{origin:?} {}", object.name()),
            WatchEvent::Deleted(key, _) => format!("deleted {}", key.name),
            WatchEvent::Listed(version) => format!("listed {version}"),
            WatchEvent::Undecodable { name, .. } => format!("unreadable {name}"),
            WatchEvent::Blind { .. } => "blind".into(),
            WatchEvent::Seeing => "seeing".into(),
        };
        events.into_iter().map(word).collect()
    }

    #[test]
    fn what_an_agent_says_is_what_a_watch_tells() {
        let list = json!({"metadata": {"resourceVersion": "7"}, "items": [app("shop"), {"metadata": {"name": "odd"}}]});
        assert_eq!(told(listed(&list)), ["began", "Listed shop", "unreadable odd", "listed 7", "seeing"]);
        let change = |kind: &str| told(changed(json!({"type": kind, "application": app("shop")})));
        assert_eq!(change("ADDED"), ["Added shop"]);
        assert_eq!(change("MODIFIED"), ["Modified shop"]);
        assert_eq!(change("DELETED"), ["deleted shop"]);
        assert!(change("BOOKMARK").is_empty() && changed(Value::Null).is_none());
    }
}
