//! How do people who run `kubectl describe` learn what happened?
//!
//! By core/v1 Events. The same news again raises the count of the Event that is there, as client-go's recorder does: the
//! name is made from what the Event says, so that this holds across restarts of the agent, too.

use crate::Priority;
use crate::watch::now;
use crate::{Cluster, Endpoint};
use model::{CallError, ErrorClass, Object, Timestamp, digest, names};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// Longest note that the API server takes, in bytes.
const LONGEST_NOTE: usize = 1024;

/// How many Events we remember to count.
const MOST_REMEMBERED: usize = 1_000;

/// Whether an Event is good or bad news.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventType {
    /// It is how things should be.
    Normal,
    /// Somebody may have to look.
    Warning,
}

/// The object that an Event is about.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Regarding {
    /// Such as `argoproj.io/v1alpha1`.
    pub api_version: String,
    /// Its kind.
    pub kind: String,
    /// Its namespace; empty for cluster-scoped objects, whose Events live in `default`.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its uid: `kubectl describe` asks for it.
    pub uid: String,
    /// Its resourceVersion; may be empty.
    pub resource_version: String,
}

/// An Event to write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventDraft {
    /// What it is about.
    pub regarding: Regarding,
    /// Good or bad news.
    pub r#type: EventType,
    /// One word, such as `SelfHeal`.
    pub reason: String,
    /// A sentence; cut at 1,024 bytes.
    pub message: String,
    /// One word for what was done, such as `Sync`.
    pub action: String,
}

/// What was told how often, and since when.
#[derive(Default)]
pub(crate) struct Memory(Mutex<BTreeMap<String, Series>>);

#[derive(Clone, Copy)]
struct Series {
    count: u64,
    told: Timestamp,
}

impl Cluster {
    /// Writes an Event, or counts it once more: one request as a rule.
    pub async fn event(&self, draft: &EventDraft) -> Result<(), CallError> {
        let endpoint = Endpoint::new("v1", "Event", "events", true);
        let object = manifest(draft, now())?;
        let (namespace, name) = (object.namespace().to_owned(), object.name().to_owned());
        if let Some(count) = self.inner.events.count(&name) {
            match self.raise(&endpoint, &namespace, &name, count + 1).await {
                // Events live for an hour; this one is over.
                Err(error) if error.class == ErrorClass::NotFound => {}
                result => return result,
            }
        }
        match self.create_at(Priority::Background, &endpoint, &object, names::FIELD_MANAGER).await {
            Ok(_) => {
                self.inner.events.note(&name, 1);
                Ok(())
            }
            // Written before we were restarted.
            Err(error) if error.class == ErrorClass::Conflict => {
                let live = self.get(&endpoint, &namespace, &name).await?;
                let count = live.and_then(|live| live["count"].as_u64()).unwrap_or(1);
                self.raise(&endpoint, &namespace, &name, count + 1).await
            }
            Err(error) => Err(error),
        }
    }

    async fn raise(
        &self,
        endpoint: &Endpoint,
        namespace: &str,
        name: &str,
        count: u64,
    ) -> Result<(), CallError> {
        let patch = json!({"count": count, "lastTimestamp": now().to_string()});
        self.merge_patch_at(Priority::Background, endpoint, (namespace, name), &patch, names::FIELD_MANAGER)
            .await?;
        self.inner.events.note(name, count);
        Ok(())
    }
}

impl Memory {
    fn count(&self, name: &str) -> Option<u64> {
        self.series().get(name).map(|series| series.count)
    }

    fn note(&self, name: &str, count: u64) {
        let mut series = self.series();
        series.insert(name.into(), Series { count, told: now() });
        if series.len() > MOST_REMEMBERED {
            let oldest = series.iter().min_by_key(|(_, series)| series.told).map(|(name, _)| name.clone());
            if let Some(oldest) = oldest {
                series.remove(&oldest);
            }
        }
    }

    fn series(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Series>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn manifest(draft: &EventDraft, now: Timestamp) -> Result<Object, CallError> {
    let EventDraft { regarding, reason, message, action, .. } = draft;
    let namespace = if regarding.namespace.is_empty() { "default" } else { regarding.namespace.as_str() };
    let kind = match draft.r#type {
        EventType::Normal => "Normal",
        EventType::Warning => "Warning",
    };
    let what = [regarding.uid.as_str(), kind, reason, message, action].join("\u{0}");
    // Names of Events are DNS subdomains of at most 253 characters.
    let stem: String = regarding.name.chars().take(230).collect();
    let value: Value = json!({
        "apiVersion": "v1", "kind": "Event",
        "metadata": {
            "namespace": namespace,
            "name": format!("{stem}.{}", digest(what.as_bytes()).short(16)),
        },
        "involvedObject": involved(regarding),
        "type": kind, "reason": reason, "message": cut(message), "action": action,
        "firstTimestamp": now.to_string(), "lastTimestamp": now.to_string(), "count": 1,
        "source": {"component": names::FIELD_MANAGER},
        "reportingComponent": names::FIELD_MANAGER, "reportingInstance": names::FIELD_MANAGER,
    });
    Object::from_value(value).map_err(|why| CallError::new(ErrorClass::Invalid, why.0))
}

fn involved(regarding: &Regarding) -> Value {
    let fields = [
        ("apiVersion", &regarding.api_version),
        ("kind", &regarding.kind),
        ("namespace", &regarding.namespace),
        ("name", &regarding.name),
        ("uid", &regarding.uid),
        ("resourceVersion", &regarding.resource_version),
    ];
    fields
        .into_iter()
        .filter(|(_, text)| !text.is_empty())
        .map(|(field, text)| (field.to_owned(), Value::from(text.as_str())))
        .collect::<serde_json::Map<_, _>>()
        .into()
}

fn cut(message: &str) -> &str {
    let mut end = message.len().min(LONGEST_NOTE);
    while !message.is_char_boundary(end) {
        end -= 1;
    }
    &message[..end]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake::{Reply, cluster};

    fn draft(message: &str) -> EventDraft {
        EventDraft {
            regarding: Regarding {
                api_version: "argoproj.io/v1alpha1".into(),
                kind: "Application".into(),
                namespace: "argocd".into(),
                name: "shop".into(),
                uid: "u".into(),
                ..Regarding::default()
            },
            r#type: EventType::Warning,
            reason: "Refused".into(),
            message: message.into(),
            action: "Sync".into(),
        }
    }

    fn written() -> String {
        r#"{"apiVersion":"v1","kind":"Event","metadata":{"name":"x"},"count":4}"#.into()
    }

    #[tokio::test]
    async fn the_same_news_is_counted_and_other_news_is_new() {
        let (cluster, asked) = cluster((0..4).map(|_| Reply::Full(201, written())).collect());
        for message in ["a", "a", "a", "b"] {
            cluster.event(&draft(message)).await.unwrap();
        }
        let asked = asked.lock().unwrap();
        let verbs: Vec<&str> = asked.iter().map(|line| line.split(' ').next().unwrap()).collect();
        assert_eq!(verbs, ["POST", "PATCH", "PATCH", "POST"]);
        assert!(asked[0].starts_with("POST /api/v1/namespaces/argocd/events?fieldManager=tautline "));
        assert!(asked[2].contains("/events/shop.") && asked[2].contains("{\"count\":3,"), "{}", asked[2]);
    }

    #[tokio::test]
    async fn what_was_told_before_a_restart_is_counted_on() {
        let (cluster, asked) = cluster(vec![
            Reply::Full(409, r#"{"kind":"Status"}"#.into()),
            Reply::Full(200, written()),
            Reply::Full(200, written()),
        ]);
        cluster.event(&draft("a")).await.unwrap();
        assert!(asked.lock().unwrap()[2].contains("{\"count\":5,"));
    }

    #[tokio::test]
    async fn an_event_that_expired_is_written_anew() {
        let missing = r#"{"kind":"Status","details":{"kind":"events"}}"#;
        let (cluster, asked) = cluster(vec![
            Reply::Full(201, written()),
            Reply::Full(404, missing.into()),
            Reply::Full(201, written()),
        ]);
        for _ in 0..2 {
            cluster.event(&draft("a")).await.unwrap();
        }
        assert!(asked.lock().unwrap()[2].starts_with("POST"));
    }

    #[test]
    fn what_kubectl_describe_needs_is_there() {
        let event = manifest(&draft(&"ü".repeat(1_000)), Timestamp::from_millis(0)).unwrap().into_value();
        assert_eq!(
            event["involvedObject"],
            json!({
                "apiVersion": "argoproj.io/v1alpha1", "kind": "Application", "namespace": "argocd",
                "name": "shop", "uid": "u"
            })
        );
        assert_eq!(event["message"].as_str().unwrap().len(), LONGEST_NOTE);
        assert_eq!(event["firstTimestamp"], "1970-01-01T00:00:00Z");
        assert_eq!(event["metadata"]["namespace"], "argocd");
        let mut nowhere = draft("a");
        nowhere.regarding.namespace = String::new();
        assert_eq!(manifest(&nowhere, Timestamp::from_millis(0)).unwrap().namespace(), "default");
    }

    #[test]
    fn memory_stays_bounded() {
        let memory = Memory::default();
        for n in 0..MOST_REMEMBERED + 50 {
            memory.note(&n.to_string(), 1);
        }
        assert_eq!(memory.series().len(), MOST_REMEMBERED);
    }
}
