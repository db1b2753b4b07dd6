//! What did a container write last, and what was told about an object? Asked once, when a commit turns out bad.
//!
//! Both may be long, late or refused; whoever asks goes on without them. What comes back is as the cluster has it: secrets are
//! not taken out here.

use crate::call::{Call, Verb};
use crate::endpoint::with_query;
use crate::gate::Priority;
use crate::{Cluster, Endpoint};
use http::Method;
use model::{CallError, ErrorClass, ObjectKey, Timestamp};
use serde_json::Value;
use std::time::Duration;

/// Longest wait for either answer: somebody waits for the verdict. What is applied goes first all the same.
const DEADLINE: Duration = Duration::from_secs(3);
/// Longest log that is asked for, in bytes; kubelets count runes and may write a little more.
const LOG_BYTES: &str = "65536";
/// Longest log that is taken.
const LONGEST_LOG: usize = 4 * 65536;
/// Most events that are asked for: the server sorts them by name, not by age.
const MOST_EVENTS: &str = "200";
/// Longest list of events that is taken, in bytes.
const LONGEST_EVENTS: usize = 2 << 20;

/// Which run of a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogOf {
    /// The one that runs, or that ended last where none does.
    Current,
    /// The one before it, or else the current one where there was none.
    Previous,
}

/// One event about an object, as somebody told it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeenEvent {
    /// One word.
    pub reason: String,
    /// The sentence.
    pub message: String,
    /// How often it was told; at least 1.
    pub count: i64,
    /// When it was told last; `None` where it does not say.
    pub last_seen: Option<Timestamp>,
}

impl Cluster {
    /// Reads the last lines that a container wrote.
    ///
    /// # Errors
    /// What the call said, such as that the container never ran.
    pub async fn container_log(
        &self,
        (namespace, pod, container): (&str, &str, &str),
        of: LogOf,
        n_lines: usize,
    ) -> Result<String, CallError> {
        let pods = Endpoint::new("v1", "Pod", "pods", true);
        let path = format!("{}/log", pods.object(namespace, pod)?);
        let lines = n_lines.to_string();
        let query = vec![("container", container), ("tailLines", lines.as_str()), ("limitBytes", LOG_BYTES)];
        if of == LogOf::Previous {
            let before = [query.as_slice(), &[("previous", "true")]].concat();
            match self.log_at(&pods, with_query(&path, &before)).await {
                // Kubelets forget the earlier run when they restart.
                Err(error) if matches!(error.class, ErrorClass::Invalid | ErrorClass::NotFound) => {}
                answer => return answer,
            }
        }
        self.log_at(&pods, with_query(&path, &query)).await
    }

    async fn log_at(&self, pods: &Endpoint, url: String) -> Result<String, CallError> {
        let mut call = Call::new(Verb::Log, pods, Method::GET, url).with_priority(Some(Priority::Background));
        // The log is plain text, the refusal JSON.
        call.accept = "*/*";
        call.timeout = Some(DEADLINE.min(self.inner.call_timeout));
        call.longest = LONGEST_LOG;
        Ok(String::from_utf8_lossy(&self.call(call).await?.body).into_owned())
    }

    /// Lists the newest events about an object, the newest last: those told since `since`, `most` of them.
    ///
    /// # Errors
    /// What the call said, or that the answer is no list.
    pub async fn events_about(
        &self,
        key: &ObjectKey,
        since: Timestamp,
        most: usize,
    ) -> Result<Vec<SeenEvent>, CallError> {
        let events = Endpoint::new("v1", "Event", "events", true);
        let selector = format!("involvedObject.kind={},involvedObject.name={}", key.kind, key.name);
        // What is told of objects of the whole cluster stands in this namespace.
        let namespace = if key.namespace.is_empty() { "default" } else { key.namespace.as_str() };
        let query = [("fieldSelector", selector.as_str()), ("limit", MOST_EVENTS)];
        let url = with_query(&events.collection(Some(namespace)), &query);
        let mut call =
            Call::new(Verb::List, &events, Method::GET, url).with_priority(Some(Priority::Background));
        call.timeout = Some(DEADLINE.min(self.inner.call_timeout));
        call.longest = LONGEST_EVENTS;
        let answer = self.call(call).await?.json()?;
        let items = answer["items"].as_array().map(Vec::as_slice).unwrap_or_default();
        let is_of_group = |event: &&Value| {
            let version = event["involvedObject"]["apiVersion"].as_str().unwrap_or_default();
            version.is_empty() || version.split_once('/').map_or("", |(group, _)| group) == key.group
        };
        let mut seen: Vec<SeenEvent> = items.iter().filter(is_of_group).map(read).collect();
        seen.retain(|event| event.last_seen.is_none_or(|at| at >= since));
        seen.sort_by_key(|event| event.last_seen);
        Ok(seen.split_off(seen.len().saturating_sub(most)))
    }
}

/// Reads an event of either API: the older one counts, the newer one has series.
fn read(event: &Value) -> SeenEvent {
    let text = |pointer: &str| event.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    let times = ["/series/lastObservedTime", "/lastTimestamp", "/eventTime", "/metadata/creationTimestamp"];
    let count = [&event["series"]["count"], &event["count"]].into_iter().find_map(Value::as_i64);
    SeenEvent {
        reason: text("/reason").into(),
        message: text("/message").into(),
        count: count.unwrap_or(1).max(1),
        last_seen: times.iter().find_map(|pointer| text(pointer).parse().ok()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake::{Reply, cluster};
    use serde_json::json;

    const WEB: (&str, &str, &str) = ("shop", "web-1", "app");

    #[tokio::test]
    async fn the_last_lines_of_a_container_are_asked_for() {
        let (cluster, asked) = cluster(vec![Reply::Full(200, "a\nb\n".into())]);
        assert_eq!(cluster.container_log(WEB, LogOf::Current, 20).await.unwrap(), "a\nb\n");
        let url = "GET /api/v1/namespaces/shop/pods/web-1/log?container=app&tailLines=20&limitBytes=65536";
        assert_eq!(*asked.lock().unwrap(), [url]);
    }

    #[tokio::test]
    async fn where_there_was_no_run_before_the_current_one_is_read() {
        let refusal = json!({"kind": "Status", "code": 400, "reason": "BadRequest",
            "message": "previous terminated container \"app\" in pod \"web-1\" not found"});
        let (cluster, asked) =
            cluster(vec![Reply::Full(400, refusal.to_string()), Reply::Full(200, "now".into())]);
        assert_eq!(cluster.container_log(WEB, LogOf::Previous, 20).await.unwrap(), "now");
        let asked = asked.lock().unwrap();
        assert!(asked[0].ends_with("&previous=true") && !asked[1].contains("previous"), "{asked:?}");
        assert_eq!(asked.len(), 2);
    }

    #[tokio::test]
    async fn a_refused_log_is_an_error_and_is_asked_for_once() {
        let (cluster, asked) = cluster(vec![Reply::Full(403, String::new())]);
        let error = cluster.container_log(WEB, LogOf::Previous, 20).await.unwrap_err();
        assert_eq!(error.class, ErrorClass::Forbidden);
        assert_eq!(asked.lock().unwrap().len(), 1);
    }

    #[tokio::test]
    async fn a_log_without_end_is_given_up() {
        let (cluster, _) = cluster(vec![Reply::Full(200, "x".repeat(LONGEST_LOG + 1))]);
        assert!(cluster.container_log(WEB, LogOf::Current, 20).await.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_does_not_come_is_waited_for_for_three_seconds() {
        let begin = tokio::time::Instant::now();
        let (cluster, _) = cluster(vec![Reply::Silence, Reply::Silence]);
        assert!(cluster.container_log(WEB, LogOf::Current, 20).await.is_err());
        assert_eq!(begin.elapsed(), DEADLINE);
        let pod = ObjectKey::new("", "Pod", "shop", "web-1");
        assert!(cluster.events_about(&pod, Timestamp::from_millis(0), 5).await.is_err());
        assert_eq!(begin.elapsed(), 2 * DEADLINE);
    }

    #[tokio::test]
    async fn the_newest_events_come_last_and_older_ones_and_those_of_other_groups_not_at_all() {
        let event = |name: &str, at: &str, version: &str| {
            json!({"reason": name, "message": "m", "count": 3, "lastTimestamp": at,
                "involvedObject": {"apiVersion": version}})
        };
        let list = json!({"items": [
            event("second", "2026-01-01T10:00:02Z", "v1"),
            event("first", "2026-01-01T10:00:01Z", "v1"),
            event("before", "2026-01-01T09:59:59Z", "v1"),
            event("other", "2026-01-01T10:00:02Z", "example.com/v1"),
            {"reason": "third", "message": "n", "eventTime": "2026-01-01T10:00:00.5Z",
                "series": {"count": 7, "lastObservedTime": "2026-01-01T10:00:03.25Z"}},
        ]});
        let replies = vec![Reply::Full(200, list.to_string()), Reply::Full(200, list.to_string())];
        let (cluster, asked) = cluster(replies);
        let pod = ObjectKey::new("", "Pod", "shop", "web-1");
        let since = "2026-01-01T10:00:00Z".parse().unwrap();
        let events = cluster.events_about(&pod, since, 5).await.unwrap();
        let told: Vec<_> = events.iter().map(|event| (event.reason.as_str(), event.count)).collect();
        assert_eq!(told, [("first", 3), ("second", 3), ("third", 7)]);
        assert_eq!(cluster.events_about(&pod, since, 1).await.unwrap()[0].reason, "third");
        let url = "GET /api/v1/namespaces/shop/events?fieldSelector=involvedObject.kind%3DPod%2CinvolvedObject.name%3Dweb-1&limit=200";
        assert_eq!(asked.lock().unwrap()[0], url);
    }
}
