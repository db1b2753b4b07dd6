//! How do old releases go? Their objects first, then they themselves, each only as it was seen.

use super::{Store, endpoint};
use cluster::{DeleteOptions, Priority, Propagation};
use model::{CallError, ErrorClass, ObjectKey, names};
use release::Head;
use serde_json::json;

impl Store {
    /// Trims the releases of one app, which are in order of their numbers, to what [`release::trim`] keeps: `limit` is its
    /// `revisionHistoryLimit`. Returns those that are left, and the first call that failed; what it left undone, the next trim
    /// does. Where nothing is to be trimmed, nothing is asked.
    pub(crate) async fn trim(&self, heads: Vec<Head>, limit: usize) -> (Vec<Head>, Option<CallError>) {
        let plan = release::trim(&heads, limit);
        let mut left = Vec::with_capacity(heads.len());
        let mut failure = None;
        for head in heads {
            let number = head.record.number;
            let is_idle = failure.is_some();
            let outcome = if !is_idle && plan.delete.contains(&number) {
                self.delete(&head).await.map(|()| None)
            } else if !is_idle && plan.strip.contains(&number) {
                self.strip(&head).await
            } else {
                Ok(Some(head.clone()))
            };
            left.extend(outcome.unwrap_or_else(|error| {
                failure = Some(error);
                Some(head)
            }));
        }
        (left, failure)
    }

    /// Takes the objects out of a release; `None` where it is gone.
    async fn strip(&self, head: &Head) -> Result<Option<Head>, CallError> {
        self.delete_parts(head).await?;
        let patch =
            json!({"metadata": {"resourceVersion": head.resource_version}, "data": {"payload": null}});
        let patched = self
            .cluster
            .merge_patch_at(
                Priority::Background,
                &endpoint(),
                (&self.namespace, &head.secret()),
                &patch,
                names::FIELD_MANAGER,
            )
            .await;
        match patched {
            Ok(secret) => Ok(Some(head.stripped(secret.resource_version()))),
            Err(error) if error.class == ErrorClass::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Deletes a release; a half-deleted one is deleted by the next trim, for its head goes last.
    async fn delete(&self, head: &Head) -> Result<(), CallError> {
        self.delete_parts(head).await?;
        self.delete_secret(&head.secret(), &head.resource_version).await
    }

    async fn delete_parts(&self, head: &Head) -> Result<(), CallError> {
        for name in head.part_secrets() {
            // Only what is of our type goes, and only as it was seen.
            let Some(part) = self.get(Priority::Background, &name).await? else { continue };
            if part["type"] == names::RELEASE_TYPE {
                let version = part["metadata"]["resourceVersion"].as_str().unwrap_or_default();
                self.delete_secret(&name, version).await?;
            }
        }
        Ok(())
    }

    async fn delete_secret(&self, name: &str, version: &str) -> Result<(), CallError> {
        let key = ObjectKey::new("", "Secret", &self.namespace, name);
        let options = DeleteOptions {
            uid: String::new(),
            resource_version: version.into(),
            propagation: Propagation::Background,
            priority: Priority::Background,
        };
        self.cluster.delete(&endpoint(), &key, &options).await.map(drop)
    }
}
