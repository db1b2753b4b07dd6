//! Which key are releases sealed with? One that is made once and lies in a Secret of the agent's own namespace.

use super::endpoint;
use cluster::{Cluster, Priority};
use model::{CallError, ErrorClass, Object, base64_decode, base64_encode, names};
use release::Key;
use ring::rand::{SecureRandom as _, SystemRandom};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::time::Instant;

/// How long a key is used before it is looked at again: one that was deleted is found out soon, and no release costs a read.
const FRESH: Duration = Duration::from_mins(1);

/// The key, and when it was read.
pub(super) struct Keeper {
    cluster: Cluster,
    namespace: String,
    known: Mutex<Option<(Key, Instant)>>,
}

impl Keeper {
    pub(super) fn new(cluster: Cluster, namespace: &str) -> Self {
        Self { cluster, namespace: namespace.into(), known: Mutex::new(None) }
    }

    /// Returns the key; `None` where there is none, and so no release that it could have sealed.
    pub(super) async fn to_read(&self) -> Result<Option<Key>, CallError> {
        self.read(&mut *self.known.lock().await).await
    }

    /// Returns the key, and makes one where there is none: then no earlier release is used any more. Of many first releases at
    /// once, one makes it and the others wait.
    pub(super) async fn to_write(&self) -> Result<Key, CallError> {
        let mut known = self.known.lock().await;
        if let Some(key) = self.read(&mut known).await? {
            return Ok(key);
        }
        let mut bytes = [0; Key::LENGTH];
        SystemRandom::new()
            .fill(&mut bytes)
            .map_err(|_| CallError::new(ErrorClass::Unavailable, "the system gives no random numbers"))?;
        match self.cluster.create(&endpoint(), &self.secret(&bytes)?, names::FIELD_MANAGER).await {
            Ok(_) => {
                tracing::info!("made the key of releases (Secret {}/{})", self.namespace, names::RELEASE_KEY);
            }
            // Another replica was first.
            Err(error) if error.status == Some(409) => {}
            Err(error) => return Err(error),
        }
        // What is stored counts, whoever stored it.
        self.read(&mut known).await?.ok_or_else(|| {
            CallError::new(ErrorClass::Conflict, "the key of releases went right after it had been made")
        })
    }

    async fn read(&self, known: &mut Option<(Key, Instant)>) -> Result<Option<Key>, CallError> {
        if let Some((key, at)) = known.as_ref()
            && at.elapsed() < FRESH
        {
            return Ok(Some(key.clone()));
        }
        *known = self.stored().await?.map(|key| (key, Instant::now()));
        Ok(known.as_ref().map(|(key, _)| key.clone()))
    }

    async fn stored(&self) -> Result<Option<Key>, CallError> {
        let found =
            self.cluster.get_at(Priority::Apply, &endpoint(), &self.namespace, names::RELEASE_KEY).await?;
        let Some(secret) = found else { return Ok(None) };
        let bytes = secret["data"]["key"].as_str().and_then(base64_decode);
        let key = bytes.and_then(|bytes| Key::new(&bytes)).ok_or_else(|| self.damaged())?;
        Ok(Some(key))
    }

    fn damaged(&self) -> CallError {
        let (namespace, name) = (&self.namespace, names::RELEASE_KEY);
        CallError::new(
            ErrorClass::Invalid,
            format!(
                "Secret {namespace}/{name} has no key of {} bytes as `key`, so no release can be read or written: restore it \
                 from a backup, or delete it to begin anew without the releases that there are",
                Key::LENGTH
            ),
        )
    }

    fn secret(&self, bytes: &[u8]) -> Result<Object, CallError> {
        let secret: Value = json!({
            "apiVersion": "v1", "kind": "Secret", "type": "Opaque",
            "metadata": {
                "name": names::RELEASE_KEY, "namespace": self.namespace,
                "labels": {"app.kubernetes.io/part-of": "tautline"},
            },
            "data": {"key": base64_encode(bytes)},
        });
        Object::from_value(secret).map_err(|why| CallError::new(ErrorClass::Invalid, why.to_string()))
    }
}
