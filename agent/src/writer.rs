//! When is a status written? One write at a time per app, the newest report wins, and an equal status costs nothing.

use crate::agent::{Agent, now};
use crate::input::Input;
use crate::status;
use engine::Report;
use model::{AppKey, CallError, ErrorClass, Object, names};
use std::time::Duration;

impl Agent {
    /// Writes a report into the Application's status.
    pub(crate) fn write_status(&mut self, key: &AppKey, report: Box<Report>) {
        self.tell_status(key, &report);
        let Some(entry) = self.apps.get_mut(key) else { return };
        entry.writer.next = Some(report);
        self.next_write(key);
    }

    /// Writes the last report again if somebody else changed what it says.
    pub(crate) fn rewrite_status(&mut self, key: &AppKey) {
        let Some(entry) = self.apps.get_mut(key) else { return };
        if entry.writer.next.is_none() {
            entry.writer.next.clone_from(&entry.state.reported);
        }
        self.next_write(key);
    }

    /// Starts every write that waited for the lease.
    pub(crate) fn start_writes(&mut self) {
        let keys: Vec<AppKey> = self.apps.keys().cloned().collect();
        for key in keys {
            self.next_write(&key);
        }
    }

    fn next_write(&mut self, key: &AppKey) {
        let may_write = self.may_write;
        let Some(entry) = self.apps.get_mut(key) else { return };
        if entry.writer.is_writing || !may_write {
            return;
        }
        let (Some(report), Some(app)) = (entry.writer.next.take(), entry.app.as_ref()) else { return };
        let mut own = status::own_state(&entry.raw);
        for (object, uid) in &entry.created {
            own.mark_created(object, uid);
        }
        let patch = status::patch(&entry.raw, app, &report, &own, &self.identity.control_namespace, now());
        let Some(patch) = patch else { return };
        let too_large = application::status::too_large(&entry.raw, &self.identity.control_namespace, now());
        entry.writer.is_writing = true;
        entry.writer.current = Some(report);
        let wait = backoff(entry.writer.n_failed);
        self.metrics.status_writes.add(1);
        let (cluster, key) = (self.cluster.clone(), key.clone());
        self.spawn(async move {
            if !wait.is_zero() {
                tokio::time::sleep(wait).await;
            }
            let endpoint = crate::watching::applications();
            let outcome =
                cluster.merge_patch(&endpoint, &key.namespace, &key.name, &patch, names::FIELD_MANAGER).await;
            let outcome = match (outcome, too_large) {
                (Err(error), Some(short))
                    if error.status == Some(413) || error.message.contains("too large") =>
                {
                    cluster
                        .merge_patch(&endpoint, &key.namespace, &key.name, &short, names::FIELD_MANAGER)
                        .await
                }
                (outcome, _) => outcome,
            };
            let outcome = match outcome {
                // Somebody wrote in between: what they wrote is what the next try starts from.
                Err(error) if error.class == ErrorClass::Conflict => reread(&cluster, &key, error).await,
                other => other.map(|object| (object, true)),
            };
            Input::StatusWritten(key, outcome.map(|(object, is_written)| (Box::new(object), is_written)))
        });
    }

    /// Takes in whether a status was written.
    pub(crate) fn status_written(&mut self, key: &AppKey, outcome: Result<(Box<Object>, bool), CallError>) {
        let Some(entry) = self.apps.get_mut(key) else { return };
        entry.writer.is_writing = false;
        let report = entry.writer.current.take();
        match outcome {
            Ok((object, true)) => {
                entry.writer.n_failed = 0;
                entry.created.clear();
                self.application_seen(key, *object);
            }
            Ok((object, false)) => {
                entry.writer.next = entry.writer.next.take().or(report);
                self.application_seen(key, *object);
            }
            Err(error) if error.class == ErrorClass::NotFound => {}
            Err(error) => {
                tracing::warn!(app = %key, %error, "the status could not be written");
                entry.writer.n_failed += 1;
                if entry.writer.next.is_none() {
                    entry.writer.next = report;
                }
            }
        }
        self.next_write(key);
    }
}

async fn reread(
    cluster: &cluster::Cluster,
    key: &AppKey,
    error: CallError,
) -> Result<(Object, bool), CallError> {
    let found = cluster.get(&crate::watching::applications(), &key.namespace, &key.name).await?;
    let object = found.and_then(|value| Object::from_value(value).ok());
    object.map(|object| (object, false)).ok_or(CallError { class: ErrorClass::NotFound, ..error })
}

/// Returns the wait before a write is repeated.
fn backoff(n_failed: u32) -> Duration {
    if n_failed == 0 {
        Duration::ZERO
    } else {
        Duration::from_millis(250).saturating_mul(1 << n_failed.min(7))
    }
}
