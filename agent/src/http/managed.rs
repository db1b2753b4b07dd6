//! What are an Application's objects in Git and in the cluster?

use super::drift::{Lookup, unknown};
use super::{READS_AT_ONCE, send};
use crate::agent::Agent;
use crate::refusal;
use api::{ApiError, AppRef, Body, ObjectFilter, Reply};
use cluster::{Cluster, Discovery};
use futures::{StreamExt as _, TryStreamExt as _};
use model::{ObjectKey, ObjectStatus, SyncStatus};
use serde_json::{Value, json};
use std::sync::Arc;
use tokio::sync::oneshot;

impl Agent {
    /// Answers with Argo CD's `ResourceDiff` of each object, read anew; that takes as long as the API server does, and holds
    /// nothing up.
    pub(super) fn managed(&self, app: &AppRef, filter: &ObjectFilter, mut reply: oneshot::Sender<Reply>) {
        let (_, entry) = match self.find(app) {
            Ok(found) => found,
            Err(error) => return send(reply, Err(error)),
        };
        let (Some(set), Some(app), Some(comparison)) = (entry.current(), &entry.app, &entry.state.comparison)
        else {
            return send(reply, Err(unknown()));
        };
        let chosen = comparison.objects.iter().filter(|object| is_asked_for(object, filter));
        let lookups: Vec<Lookup> = chosen
            .map(|object| Lookup {
                is_out_of_sync: object.sync == Some(SyncStatus::OutOfSync),
                ..self.lookup(&object.key, set, app)
            })
            .collect();
        let (cluster, discovery) = (self.cluster.clone(), Arc::clone(&self.discovery));
        tokio::spawn(async move {
            let reads = lookups.into_iter().map(|lookup| {
                let (cluster, discovery) = (cluster.clone(), Arc::clone(&discovery));
                async move { resource_diff(&lookup, &cluster, &discovery).await }
            });
            let all = futures::stream::iter(reads).buffered(READS_AT_ONCE).try_collect::<Vec<Value>>();
            let items = tokio::select! {
                items = all => items,
                () = reply.closed() => return,
            };
            send(reply, items.map(|items| Body::Json(json!({"items": items}))));
        });
    }
}

fn is_asked_for(object: &ObjectStatus, filter: &ObjectFilter) -> bool {
    let ObjectKey { group, kind, namespace, name } = &object.key;
    let is = |wanted: &Option<String>, word: &String| wanted.as_ref().is_none_or(|wanted| wanted == word);
    is(&filter.group, group)
        && is(&filter.version, &object.version)
        && is(&filter.kind, kind)
        && is(&filter.namespace, namespace)
        && is(&filter.name, name)
}

async fn resource_diff(lookup: &Lookup, cluster: &Cluster, discovery: &Discovery) -> Result<Value, ApiError> {
    let live = lookup.live(cluster, discovery).await;
    let live = live.map_err(|error| {
        let why = refusal::unread(error, &lookup.key);
        ApiError::unavailable(format!("{}: {why}", lookup.key))
    })?;
    let states = drift::states(lookup.desired.as_ref(), live.as_ref(), &lookup.rules);
    // Argo CD writes them as texts, and the text `null` where there is none.
    let text = |state: Option<Value>| state.unwrap_or_default().to_string();
    let ObjectKey { group, kind, namespace, name } = &lookup.key;
    Ok(json!({
        "group": group, "kind": kind, "namespace": namespace, "name": name,
        "targetState": text(states.target), "liveState": text(states.live),
        "normalizedLiveState": text(states.normalized), "predictedLiveState": text(states.predicted),
        "hook": false, "modified": lookup.is_out_of_sync,
        "resourceVersion": live.as_ref().map_or("", |live| live.resource_version()),
    }))
}
