//! How does live differ from Git?

use super::{READS_AT_ONCE, send};
use crate::agent::Agent;
use crate::apps::AppEntry;
use crate::desired::DesiredSet;
use crate::judge;
use crate::refusal;
use api::{ApiError, AppRef, Body, DriftFormat, Reply};
use cluster::{Cluster, Discovery, Priority};
use drift::Rules;
use futures::StreamExt as _;
use model::{App, CallError, Object, ObjectKey, SyncStatus};
use serde_json::{Value, json};
use std::sync::Arc;
use tokio::sync::oneshot;

impl Agent {
    /// Answers with the objects that differ, each read anew; that takes as long as the API server does, and holds nothing up.
    /// It ends with the caller.
    pub(super) fn drift(&self, app: &AppRef, format: DriftFormat, mut reply: oneshot::Sender<Reply>) {
        let (key, entry) = match self.find(app) {
            Ok(found) => found,
            Err(error) => return send(reply, Err(error)),
        };
        let (Some(set), Some(app)) = (entry.current(), &entry.app) else {
            return send(reply, Err(unknown()));
        };
        let comparison = entry.state.comparison.as_ref();
        let status = comparison.map_or("Unknown", |comparison| comparison.sync.as_str()).to_owned();
        let revision = set.summary.revision.as_str().to_owned();
        let lookups = self.differing(entry, set, app);
        let (cluster, discovery) = (self.cluster.clone(), Arc::clone(&self.discovery));
        tokio::spawn(async move {
            let text = format!("application {key} at {revision}: {status}\n");
            let mut told = Told { objects: Vec::new(), text };
            let reads = lookups.into_iter().map(|lookup| {
                let (cluster, discovery) = (cluster.clone(), Arc::clone(&discovery));
                async move {
                    let live = lookup.live(&cluster, &discovery).await;
                    (lookup, live)
                }
            });
            let mut reads = futures::stream::iter(reads).buffered(READS_AT_ONCE);
            loop {
                tokio::select! {
                    read = reads.next() => match read {
                        Some((lookup, live)) => told.add(&lookup, live),
                        None => break,
                    },
                    () = reply.closed() => return,
                }
            }
            let body = match format {
                DriftFormat::Json => Body::Json(json!({
                    "application": key.to_string(), "revision": revision, "status": status,
                    "objects": told.objects,
                })),
                DriftFormat::Text => Body::Text(told.text),
            };
            send(reply, Ok(body));
        });
    }

    /// Returns the objects that may differ.
    fn differing(&self, entry: &AppEntry, set: &DesiredSet, app: &App) -> Vec<Lookup> {
        // Where others hold fields there may be something that a person added; the app is Synced all the same.
        let is_shared =
            |object: &ObjectKey| self.live.get(object).is_some_and(|live| live.has_other_managers);
        let objects = entry.state.comparison.iter().flat_map(|comparison| comparison.objects.iter());
        let statuses = objects.map(|object| (&object.key, object.sync == Some(SyncStatus::OutOfSync)));
        statuses
            .filter(|(object, is_out_of_sync)| *is_out_of_sync || is_shared(object))
            .map(|(object, is_out_of_sync)| Lookup { is_out_of_sync, ..self.lookup(object, set, app) })
            .collect()
    }

    /// Returns what is needed to put what Git wants of an object beside what is there.
    pub(super) fn lookup(&self, object: &ObjectKey, set: &DesiredSet, app: &App) -> Lookup {
        let wanted = set.objects.gvk(object);
        Lookup {
            is_out_of_sync: false,
            desired: set.objects.get(object).map(|kept| kept.open().object),
            gvk: wanted.or_else(|| self.live.get(object).map(|live| live.digest.gvk())),
            rules: judge::rules(app, object),
            key: object.clone(),
        }
    }
}

/// What is answered where nothing can be put beside what is there.
pub(super) fn unknown() -> ApiError {
    ApiError::failed_precondition("what Git wants of this application is not known; see its conditions")
}

/// What was found so far.
struct Told {
    objects: Vec<Value>,
    text: String,
}

impl Told {
    fn add(&mut self, lookup: &Lookup, live: Result<Option<Object>, CallError>) {
        let live = match live {
            Ok(live) => live,
            Err(error) => {
                let why = refusal::unread(error, &lookup.key);
                self.text.extend(["# ", &lookup.key.to_string(), ": ", &why, "\n"]);
                self.objects.push(unread(&lookup.key, &why));
                return;
            }
        };
        if live.is_none() && lookup.desired.is_none() {
            return;
        }
        let report = drift::report(lookup.desired.as_ref(), live.as_ref(), &lookup.rules, None);
        if report.is_empty() && !lookup.is_out_of_sync {
            return;
        }
        for line in report.to_string().lines() {
            self.text.extend(["# ", line, "\n"]);
        }
        self.text.push_str(&drift::unified(lookup.desired.as_ref(), live.as_ref()));
        self.objects.push(report.to_json());
    }
}

/// An object of a drift report that nobody could read.
fn unread(key: &ObjectKey, why: &str) -> Value {
    let ObjectKey { group, kind, namespace, name } = key;
    json!({"group": group, "kind": kind, "namespace": namespace, "name": name, "error": why})
}

/// An object, and what Git wants of it.
pub(super) struct Lookup {
    pub(super) key: ObjectKey,
    pub(super) is_out_of_sync: bool,
    pub(super) desired: Option<Object>,
    pub(super) gvk: Option<model::GroupVersionKind>,
    pub(super) rules: Rules,
}

impl Lookup {
    /// Reads the object as it is now.
    pub(super) async fn live(
        &self,
        cluster: &Cluster,
        discovery: &Discovery,
    ) -> Result<Option<Object>, CallError> {
        let Some(endpoint) = self.gvk.as_ref().and_then(|gvk| discovery.endpoint(gvk)) else {
            return Ok(None);
        };
        // A report of hundreds of objects is not before what syncs have to do.
        let priority = Priority::Background;
        let found = cluster.get_at(priority, &endpoint, &self.key.namespace, &self.key.name).await?;
        Ok(found.and_then(|value| Object::from_value(value).ok()))
    }
}
