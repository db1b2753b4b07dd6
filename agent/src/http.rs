//! What do callers of the API get?

use crate::agent::Agent;
use crate::apps::AppEntry;
use crate::judge;
use crate::refusal;
use crate::stored::Stored;
use crate::writing::Writing;
use api::{ApiError, AppRef, Body, DriftFormat, ListQuery, Reply, Request, SyncBody};
use cluster::{Cluster, Priority};
use drift::Rules;
use model::{AppKey, CallError, ErrorClass, Object, ObjectKey, names};
use serde_json::{Value, json};
use tokio::sync::oneshot;

impl Agent {
    /// Answers a request, at once or when the API server has answered.
    pub(crate) fn answer(&mut self, request: Request) {
        match request {
            Request::List { query, reply } => self.list(query, reply),
            Request::Get { app, refresh, reply } => self.get_app(&app, refresh.as_deref(), reply),
            Request::Sync { app, body, reply } => self.sync_app(&app, &body, reply),
            Request::Drift { app, format, reply } => self.drift(&app, format, reply),
        }
    }

    /// Answers with the Applications as they are now; reading thousands of them takes a while and holds nothing up.
    fn list(&self, query: ListQuery, reply: oneshot::Sender<Reply>) {
        let stored: Vec<Stored> = self.apps.values().map(|entry| entry.stored.clone()).collect();
        tokio::task::spawn_blocking(move || {
            let versions = stored.iter().filter_map(|app| app.resource_version.parse::<u64>().ok());
            let newest = versions.max().map(|version| version.to_string()).unwrap_or_default();
            let list = api::dto::list(stored.iter().map(Stored::value), &query, &newest);
            send(reply, Ok(Body::Json(list)));
        });
    }

    fn find(&self, app: &AppRef) -> Result<(AppKey, &AppEntry), ApiError> {
        let namespace = app.namespace.clone().unwrap_or_else(|| self.config.namespace.clone());
        let key = AppKey::new(namespace, app.name.clone());
        let Some(entry) = self.apps.get(&key) else {
            return Err(ApiError::not_found(format!(
                "there is no application `{}` in namespace `{}`; `GET /api/v1/applications` lists those that are",
                key.name, key.namespace
            )));
        };
        app.check_project(&entry.stored.project)?;
        Ok((key, entry))
    }

    fn get_app(&mut self, app: &AppRef, refresh: Option<&str>, reply: oneshot::Sender<Reply>) {
        let (key, raw) = match self.find(app) {
            Ok((key, entry)) => (key, entry.stored.value()),
            Err(error) => return send(reply, Err(error)),
        };
        let Some(refresh) = refresh else {
            return send(reply, Ok(Body::Json(api::dto::application(&raw))));
        };
        if application::skips_reconcile(&raw) {
            let message = format!(
                "the application is left alone as long as its annotation {} says so",
                names::SKIP_RECONCILE
            );
            return send(reply, Err(ApiError::failed_precondition(message)));
        }
        if !self.may_write {
            return send(reply, Err(not_the_writer(self.writing())));
        }
        self.refresh(key, refresh, reply);
    }

    fn sync_app(&mut self, app: &AppRef, body: &SyncBody, reply: oneshot::Sender<Reply>) {
        let (key, entry) = match self.find(app) {
            Ok(found) => found,
            Err(error) => return send(reply, Err(error)),
        };
        if let Some(why) = rules_out_syncs(&entry.stored.value()) {
            return send(reply, Err(ApiError::ruled_out(why)));
        }
        if entry.stored.has_operation {
            return send(
                reply,
                Err(ApiError::failed_precondition("another operation is already in progress")),
            );
        }
        let mut patch = json!({"operation": body.operation("")});
        patch["metadata"] = json!({"resourceVersion": &entry.stored.resource_version});
        self.patch_app(key, patch, reply);
    }

    fn patch_app(&self, key: AppKey, patch: Value, reply: oneshot::Sender<Reply>) {
        if !self.may_write {
            return send(reply, Err(not_the_writer(self.writing())));
        }
        let cluster = self.cluster.clone();
        tokio::spawn(async move {
            let endpoint = crate::watching::applications();
            let place = (key.namespace.as_str(), key.name.as_str());
            let patched =
                cluster.merge_patch_at(Priority::User, &endpoint, place, &patch, names::FIELD_MANAGER).await;
            let answer = patched
                .map(|object| Body::Json(api::dto::application(&object.into_value())))
                .map_err(refusal);
            send(reply, answer);
        });
    }

    fn drift(&mut self, app: &AppRef, format: DriftFormat, reply: oneshot::Sender<Reply>) {
        let (entry, key) = match self.find(app) {
            Ok((key, entry)) => (entry, key),
            Err(error) => return send(reply, Err(error)),
        };
        let (Some(set), Some(app)) = (entry.current().cloned(), entry.app.clone()) else {
            return send(
                reply,
                Err(ApiError::failed_precondition(
                    "what Git wants of this application is not known; see its conditions",
                )),
            );
        };
        // Where others hold fields there may be something that a person added; the app is Synced all the same.
        let is_shared =
            |object: &ObjectKey| self.live.get(object).is_some_and(|live| live.has_other_managers);
        let differing: Vec<(ObjectKey, bool)> = entry
            .state
            .comparison
            .iter()
            .flat_map(|comparison| comparison.objects.iter())
            .map(|object| (object.key.clone(), object.sync == Some(model::SyncStatus::OutOfSync)))
            .filter(|(object, is_out_of_sync)| *is_out_of_sync || is_shared(object))
            .collect();
        let lookups: Vec<Lookup> = differing
            .into_iter()
            .map(|(object, is_out_of_sync)| Lookup {
                is_out_of_sync,
                desired: set.objects.get(&object).map(|kept| kept.open().object),
                gvk: set
                    .objects
                    .gvk(&object)
                    .or_else(|| self.live.get(&object).map(|live| live.digest.gvk())),
                rules: judge::rules(&app, &object),
                key: object,
            })
            .collect();
        let status = entry
            .state
            .comparison
            .as_ref()
            .map_or("Unknown", |comparison| comparison.sync.as_str())
            .to_owned();
        let revision = set.summary.revision.as_str().to_owned();
        let (cluster, discovery) = (self.cluster.clone(), std::sync::Arc::clone(&self.discovery));
        tokio::spawn(async move {
            let mut objects = Vec::new();
            let mut text = format!("application {key} at {revision}: {status}\n");
            for lookup in lookups {
                let live = match lookup.live(&cluster, &discovery).await {
                    Ok(live) => live,
                    Err(error) => {
                        let why = refusal::unread(error, &lookup.key);
                        text.extend(["# ", &lookup.key.to_string(), ": ", &why, "\n"]);
                        objects.push(unread(&lookup.key, &why));
                        continue;
                    }
                };
                if live.is_none() && lookup.desired.is_none() {
                    continue;
                }
                let report = drift::report(lookup.desired.as_ref(), live.as_ref(), &lookup.rules, None);
                if report.is_empty() && !lookup.is_out_of_sync {
                    continue;
                }
                for line in report.to_string().lines() {
                    text.push_str("# ");
                    text.push_str(line);
                    text.push('\n');
                }
                text.push_str(&drift::unified(lookup.desired.as_ref(), live.as_ref()));
                objects.push(report.to_json());
            }
            let body = match format {
                DriftFormat::Json => Body::Json(json!({
                    "application": key.to_string(), "revision": revision, "status": status, "objects": objects,
                })),
                DriftFormat::Text => Body::Text(text),
            };
            send(reply, Ok(body));
        });
    }
}

/// An object of a drift report that nobody could read.
fn unread(key: &ObjectKey, why: &str) -> Value {
    let ObjectKey { group, kind, namespace, name } = key;
    json!({"group": group, "kind": kind, "namespace": namespace, "name": name, "error": why})
}

struct Lookup {
    key: ObjectKey,
    is_out_of_sync: bool,
    desired: Option<Object>,
    gvk: Option<model::GroupVersionKind>,
    rules: Rules,
}

impl Lookup {
    async fn live(
        &self,
        cluster: &Cluster,
        discovery: &cluster::Discovery,
    ) -> Result<Option<Object>, model::CallError> {
        let Some(endpoint) = self.gvk.as_ref().and_then(|gvk| discovery.endpoint(gvk)) else {
            return Ok(None);
        };
        let found = cluster.get_at(Priority::User, &endpoint, &self.key.namespace, &self.key.name).await?;
        Ok(found.and_then(|value| Object::from_value(value).ok()))
    }
}

/// Says why no sync of an Application is begun, so that an operation would stand there unanswered.
fn rules_out_syncs(raw: &Value) -> Option<String> {
    if application::deletion(raw).is_some() {
        Some("the application is being deleted; nothing of it is synced any more".into())
    } else if application::skips_reconcile(raw) {
        Some(format!(
            "the application is left alone as long as its annotation {} says so; remove the annotation, then sync",
            names::SKIP_RECONCILE
        ))
    } else {
        None
    }
}

fn not_the_writer(why: Writing) -> ApiError {
    let why = why.as_str();
    ApiError::unavailable(format!(
        "this replica does not write now ({why}); ask the one that does, or again in a moment"
    ))
}

/// Returns what a caller is told whose request the API server refused.
pub(crate) fn refusal(error: CallError) -> ApiError {
    match error.class {
        ErrorClass::Conflict => ApiError::conflict("the application changed meanwhile; ask again"),
        ErrorClass::NotFound => ApiError::not_found("the application is gone"),
        ErrorClass::Withheld => not_the_writer(Writing::LeaseNotHeld),
        ErrorClass::Forbidden
        | ErrorClass::Invalid
        | ErrorClass::Denied
        | ErrorClass::NoSuchKind
        | ErrorClass::Gone
        | ErrorClass::Throttled
        | ErrorClass::Unavailable => ApiError::unavailable(error.message),
    }
}

pub(crate) fn send(reply: oneshot::Sender<Reply>, answer: Reply) {
    // A caller that went away wants no answer.
    let _unheard = reply.send(answer);
}
