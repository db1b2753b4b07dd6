//! When may something be asked again that the server has turned away? Not before the time that it named.

use crate::backoff;
use model::CallError;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// Until when nothing is asked of an API group: each may have a server of its own.
#[derive(Debug, Default)]
pub(crate) struct Pauses(Mutex<BTreeMap<String, Instant>>);

impl Pauses {
    /// Takes in how a call ended: 429 and 503 may say for how long to stay away.
    pub(crate) fn note<T>(&self, group: &str, result: &Result<T, CallError>) {
        let Err(CallError { status: Some(429 | 503), retry_after: Some(asked), .. }) = result else {
            return;
        };
        // How long at most was decided where the answer was read.
        let asked = Duration::from_millis(u64::try_from(asked.as_millis()).unwrap_or_default());
        let until = Instant::now() + asked;
        let mut pauses = self.lock();
        let known = pauses.entry(group.to_owned()).or_insert(until);
        *known = until.max(*known);
    }

    /// Waits until something may be asked of a group. Those that waited do not come all at once.
    pub(crate) async fn wait(&self, group: &str) {
        while let Some(left) = self.left(group) {
            tokio::time::sleep(backoff::a_little_more(left)).await;
        }
    }

    fn left(&self, group: &str) -> Option<Duration> {
        let mut pauses = self.lock();
        let left = pauses.get(group)?.saturating_duration_since(Instant::now());
        if left.is_zero() {
            pauses.remove(group);
            return None;
        }
        Some(left)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Instant>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake::{Asked, Reply, server};
    use crate::gate::Priority;
    use crate::{ApplyOptions, Cluster, Endpoint};
    use model::{ErrorClass, Object};
    use serde_json::json;

    fn config_maps() -> Endpoint {
        Endpoint::new("v1", "ConfigMap", "configmaps", true)
    }

    async fn apply(cluster: &Cluster) -> Result<(), CallError> {
        let object =
            json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "namespace": "ns"}});
        let options = ApplyOptions {
            manager: "tautline".into(),
            force: true,
            dry_run: false,
            priority: Priority::Apply,
        };
        let object = Object::from_value(object).unwrap();
        cluster.apply(&config_maps(), &object, &options).await.map(drop)
    }

    /// A server that turns the first request for `ConfigMaps` away, and answers all others.
    fn busy(status: u16, seconds: &'static str, message: &'static str) -> (Cluster, Asked) {
        let mut is_first = true;
        server(move |request| {
            if request.url.contains("configmaps") && std::mem::take(&mut is_first) {
                let body = json!({"kind": "Status", "code": status, "message": message}).to_string();
                return Reply::Header(status, "retry-after", seconds, body);
            }
            let kind = if request.url.contains("configmaps") { "ConfigMap" } else { "Deployment" };
            Reply::Full(200, json!({"apiVersion": "v1", "kind": kind, "metadata": {"name": "a"}}).to_string())
        })
    }

    #[tokio::test(start_paused = true)]
    async fn no_call_of_the_group_comes_before_the_time_that_the_server_named() {
        let denied = "admission webhook \"tenant.example\" denied the request: later";
        for (status, seconds, message, least) in [
            (429, "20", "too many requests", 20),
            (503, "3", "", 3),
            (429, "3600", "", 30),
            (503, "", "", 0),
            (429, "20", denied, 0),
        ] {
            let (cluster, asked) = busy(status, seconds, message);
            let begun = Instant::now();
            let class = apply(&cluster).await.unwrap_err().class;
            assert!(matches!(class, ErrorClass::Throttled | ErrorClass::Unavailable), "{status}");
            let deployments = Endpoint::new("apps/v1", "Deployment", "deployments", true);
            cluster.get(&deployments, "ns", "a").await.unwrap();
            assert!(begun.elapsed().is_zero(), "another group may have another server");
            let maps = config_maps();
            let (one, other) = tokio::join!(apply(&cluster), cluster.get(&maps, "ns", "a"));
            one.unwrap();
            other.unwrap();
            let waited = begun.elapsed().as_millis();
            assert!((least * 1_000..=least * 1_100).contains(&waited), "{status} {seconds}: {waited} ms");
            assert_eq!(asked.lock().unwrap().len(), 4);
            apply(&cluster).await.unwrap();
            assert_eq!(begun.elapsed().as_millis(), waited, "once");
        }
    }
}
