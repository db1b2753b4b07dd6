//! Where do releases lie, and how are they written and read? The only place that does either.
//!
//! ```text
//! list_all()                          -> Listing            at the start: one paged list; Listing::of(app, uid) takes one app's out
//! list(app, uid)                      -> Listing            one app's, for a person who asks
//! payload(app, uid, number, priority) -> (Head, [object])   or why it is not used, or the failed call
//! write(record, payload)              -> Head               or whose its number is, or the failed call
//! trim(heads, limit)                  -> heads that are left, and the call that failed
//! deliveries(apps, now)               -> how well each is delivered, by what was listed and written
//! ```
//!
//! All but the last are `async` functions over a `Store`, which is cheap to clone; clones share what they remember for the last,
//! and else keep nothing of a release: the loop keeps the `Listing`s, gives a new release `release::next_number(&listing)`, and puts what `write` returns behind the others. All may be
//! repeated, after a failure or a crash: what is there already counts as done. Writes are sent only while the lease is held, like
//! all others.

pub(crate) mod choice;
mod key;
mod memory;
mod trimming;
pub(crate) mod view;

#[cfg(test)]
mod tests;

use cluster::{Cluster, Endpoint, Priority, WatchSpec};
use key::Keeper;
use memory::Memory;
use model::{AppKey, CallError, Object, names, tracking};
use release::{Head, Key, Listing, Payload, Record, Refusal, Why};
use serde_json::{Value, json};
use std::fmt;
use std::sync::Arc;

/// Releases per page of a list: each may be as large as a Secret may be.
const PAGE: u32 = 50;

/// How many numbers are tried where others have taken them.
const TRIES: u32 = 16;

/// The releases of the apps in one namespace.
#[derive(Clone)]
pub(crate) struct Store {
    cluster: Cluster,
    namespace: String,
    key: Arc<Keeper>,
    memory: Arc<Memory>,
}

/// Why the objects of a release are not to be had.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum NoPayload {
    /// They are not used; the sentence says why and what to do.
    Refused(Box<Refusal>),
    /// They could not be read.
    Call(CallError),
}

/// Why a release was not written.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum NotWritten {
    /// Other Secrets have its name, and those of the numbers that follow; this is the last of them.
    Taken(Box<Refusal>),
    /// A call failed; the same may be written again.
    Call(CallError),
}

impl From<CallError> for NoPayload {
    fn from(error: CallError) -> Self {
        Self::Call(error)
    }
}

impl From<CallError> for NotWritten {
    fn from(error: CallError) -> Self {
        Self::Call(error)
    }
}

impl fmt::Display for NoPayload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(refusal) => refusal.fmt(f),
            Self::Call(error) => write!(f, "the release could not be read: {error}"),
        }
    }
}

impl fmt::Display for NotWritten {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Taken(refusal) => write!(f, "the release could not be stored: {refusal}"),
            Self::Call(error) => write!(f, "the release could not be stored: {error}"),
        }
    }
}

/// Returns where Secrets are served.
fn endpoint() -> Endpoint {
    Endpoint::new("v1", "Secret", "secrets", true)
}

/// Selects what begins a release, of one app or of all.
fn heads_of(app: Option<&AppKey>) -> String {
    let whose = app.map_or_else(String::new, |app| format!("={}", tracking::part_of_label(app)));
    format!("{}{whose},!{}", names::RELEASE_OF_LABEL, names::RELEASE_PART_LABEL)
}

impl Store {
    /// Keeps releases in a namespace: that of the Applications, which is the agent's own, where the key lies too.
    pub(crate) fn new(cluster: Cluster, namespace: &str) -> Self {
        let key = Arc::new(Keeper::new(cluster.clone(), namespace));
        Self { cluster, namespace: namespace.into(), key, memory: Arc::default() }
    }

    /// Returns the releases of all apps, without their objects, and what only looks like some.
    ///
    /// # Errors
    /// A call failed, or the key cannot be read. Nothing is known then.
    pub(crate) async fn list_all(&self) -> Result<Listing, CallError> {
        let listing = self.listed(Priority::Background, None).await?;
        self.memory.listed(&listing);
        Ok(listing)
    }

    /// Returns the releases of one Application, without their objects, and what only looks like some.
    ///
    /// # Errors
    /// As [`Store::list_all`].
    pub(crate) async fn list(&self, app: &AppKey, uid: &str) -> Result<Listing, CallError> {
        Ok(self.listed(Priority::User, Some(app)).await?.of(app, uid))
    }

    async fn listed(&self, priority: Priority, app: Option<&AppKey>) -> Result<Listing, CallError> {
        let key = self.key.to_read().await?;
        let spec = WatchSpec {
            namespace: Some(self.namespace.clone()),
            label_selector: heads_of(app),
            field_selector: format!("type={}", names::RELEASE_TYPE),
            page: PAGE,
            ..WatchSpec::all(endpoint())
        };
        let mut listing = Listing::default();
        let take = |read: Result<Object, String>| match read {
            Ok(secret) => listing.add(&secret.into_value(), key.as_ref()),
            Err(sentence) => tracing::warn!("a release cannot be read and is not used: Secret {sentence}"),
        };
        self.cluster.list_each(priority, spec, take).await?;
        listing.sort();
        Ok(listing)
    }

    /// Returns a release with its objects, as they were packed: without our own tracking metadata. They are what the release
    /// says; what the project permits is for the caller to ask again.
    ///
    /// # Errors
    /// It is not used, or could not be read.
    pub(crate) async fn payload(
        &self,
        app: &AppKey,
        uid: &str,
        number: u64,
        priority: Priority,
    ) -> Result<(Head, Vec<Value>), NoPayload> {
        let key = self.key.to_read().await?;
        let secret = self.get(priority, &release::head_name(app, number)).await?;
        let Some(secret) = secret else {
            return Err(NoPayload::Refused(Box::new(Refusal::absent(app, number))));
        };
        let head = release::open_head(&secret, key.as_ref()).map_err(NoPayload::Refused)?;
        head.belongs_to(app, uid).map_err(NoPayload::Refused)?;
        let mut parts = Vec::new();
        for name in head.part_secrets().iter().filter(|_| head.has_payload()) {
            parts.extend(self.get(priority, name).await?);
        }
        let part = |name: &str| parts.iter().find(|part| part["metadata"]["name"] == name);
        release::open_payload(&secret, part, key.as_ref()).map_err(NoPayload::Refused)
    }

    /// Writes a release: its parts first and its head last, so that what a crash leaves is no release. One that is there with the
    /// same content is done; one of the same number and hash is replaced whole, for a verdict that comes later, so that its
    /// payload is to be given again. What else has its number, be it planted or another replica's, stays, and it takes the
    /// next one: the head that comes back says which.
    ///
    /// # Errors
    /// Many numbers in a row are others', or a call failed.
    pub(crate) async fn write(&self, record: &Record, payload: Option<&Payload>) -> Result<Head, NotWritten> {
        let key = self.key.to_write().await?;
        let mut record = record.clone();
        let mut tries = 1;
        loop {
            match self.write_numbered(&key, &record, payload).await {
                Err(NotWritten::Taken(refusal)) if tries < TRIES => {
                    tracing::warn!("{refusal}; release {} is taken instead", record.number.saturating_add(1));
                    record.number = record.number.saturating_add(1);
                    tries += 1;
                }
                written => {
                    if let Ok(head) = &written {
                        self.memory.wrote(&head.record);
                    }
                    return written;
                }
            }
        }
    }

    async fn write_numbered(
        &self,
        key: &Key,
        record: &Record,
        payload: Option<&Payload>,
    ) -> Result<Head, NotWritten> {
        let mut secrets = release::seal(record, payload, key, release::ROOM);
        let Some(head) = secrets.pop() else { return Err(gone_meanwhile().into()) };
        // Parts are written before it is known whether the head's name is free: they would be another's.
        if !secrets.is_empty()
            && let Some(there) =
                self.get(Priority::Apply, &release::head_name(&record.app, record.number)).await?
        {
            same(&there, key, record)?;
        }
        for part in secrets {
            self.write_part(part).await?;
        }
        if let Some(created) = self.create(head.clone()).await? {
            return release::open_head(&created, Some(key)).map_err(NotWritten::Taken);
        }
        let there = self.get(Priority::Apply, &release::head_name(&record.app, record.number)).await?;
        let Some(there) = there else { return Err(gone_meanwhile().into()) };
        let known = same(&there, key, record)?;
        if there["data"] == head["data"] {
            return Ok(known);
        }
        let written = self.replace_data(&there, &head).await?;
        release::open_head(&written, Some(key)).map_err(NotWritten::Taken)
    }

    /// Writes a part. What an earlier try left under its name is no release's: the head would have come after it.
    async fn write_part(&self, part: Value) -> Result<(), NotWritten> {
        let name = part["metadata"]["name"].as_str().unwrap_or_default().to_owned();
        if self.create(part.clone()).await?.is_some() {
            return Ok(());
        }
        let Some(there) = self.get(Priority::Apply, &name).await? else {
            return Err(gone_meanwhile().into());
        };
        if there["type"] != names::RELEASE_TYPE {
            return Err(NotWritten::Taken(Box::new(taken(&there))));
        }
        if there["data"] != part["data"] {
            self.replace_data(&there, &part).await?;
        }
        Ok(())
    }

    /// Creates a Secret; `None` where there is one of its name.
    async fn create(&self, secret: Value) -> Result<Option<Value>, CallError> {
        let Ok(secret) = Object::from_value(secret) else { return Ok(None) };
        match self.cluster.create(&endpoint(), &secret, names::FIELD_MANAGER).await {
            Ok(created) => Ok(Some(created.into_value())),
            Err(error) if error.status == Some(409) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Gives a Secret the data, the labels and the owner of another one, unless it was changed since it was read.
    async fn replace_data(&self, there: &Value, wanted: &Value) -> Result<Value, CallError> {
        let mut data = wanted["data"].clone();
        for (entry, _) in there["data"].as_object().into_iter().flatten() {
            if data.get(entry).is_none() {
                data[entry] = Value::Null;
            }
        }
        let (metadata, wanted) = (&there["metadata"], &wanted["metadata"]);
        let patch = json!({
            "metadata": {
                "resourceVersion": metadata["resourceVersion"], "labels": wanted["labels"],
                "ownerReferences": wanted["ownerReferences"],
            },
            "data": data,
        });
        let name = metadata["name"].as_str().unwrap_or_default();
        let patched = self
            .cluster
            .merge_patch(&endpoint(), &self.namespace, name, &patch, names::FIELD_MANAGER)
            .await?;
        Ok(patched.into_value())
    }

    async fn get(&self, priority: Priority, name: &str) -> Result<Option<Value>, CallError> {
        self.cluster.get_at(priority, &endpoint(), &self.namespace, name).await
    }
}

/// Opens what lies under the name of a release, where it is the same one.
fn same(there: &Value, key: &Key, record: &Record) -> Result<Head, NotWritten> {
    let known = release::open_head(there, Some(key)).map_err(NotWritten::Taken)?;
    let is_same = known.record.hash == record.hash && known.belongs_to(&record.app, &record.app_uid).is_ok();
    let other = Refusal { why: Why::Foreign, ..Refusal::absent(&record.app, record.number) };
    if is_same { Ok(known) } else { Err(NotWritten::Taken(Box::new(other))) }
}

/// Says that a Secret that is none of ours has the name of one.
fn taken(secret: &Value) -> Refusal {
    let text = |field: &str| secret["metadata"][field].as_str().unwrap_or_default().to_owned();
    Refusal {
        namespace: text("namespace"),
        secret: text("name"),
        app: String::new(),
        number: None,
        label: String::new(),
        why: Why::Damaged("its Secret has another type"),
    }
}

/// What was there a moment ago is not there any more: the same may be written again.
fn gone_meanwhile() -> CallError {
    CallError::new(model::ErrorClass::Conflict, "a Secret of the release went while it was written")
}
