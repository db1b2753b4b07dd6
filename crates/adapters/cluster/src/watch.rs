//! What is in the cluster, and what changes?
//!
//! One task per watch, and one channel for all of them:
//!
//! ```text
//!          ┌────── 410, unknown resourceVersion ──────┐
//!          ▼                                          │
//!   list, page by page ──resourceVersion──▶ watch ──end──▶ watch again from the last resourceVersion
//!          ▲                                  │
//!          └──── Blind, wait ◀────────────────┘ fails twice
//! ```
//!
//! We do not use `kube::runtime::watcher`: it decodes a list as a whole, so that one bad object stops its kind; it never
//! leaves an HTTP 410 at the start of a watch; and it hides what we must tell, since when we are blind. The protocol is
//! that of the Kubernetes documentation, "Efficient detection of changes".

use crate::backoff::{Backoff, spread};
use crate::call::{Call, Verb};
use crate::decode::Bad;
use crate::endpoint::with_query;
use crate::stream::{End, Stream};
use crate::{Cluster, Endpoint};
use http::Method;
use model::{CallError, ErrorClass, Object, ObjectKey, Timestamp};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// How long a watch may last before the server ends it; half of it at least.
const LONGEST_WATCH: Duration = Duration::from_secs(580);

/// A watch that the server ends sooner than this did not work.
const SHORTEST_WATCH: Duration = Duration::from_secs(1);

/// What to watch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WatchSpec {
    /// Which kind, at which version.
    pub endpoint: Endpoint,
    /// Only this namespace; `None` for all.
    pub namespace: Option<String>,
    /// Only objects with these labels; empty for all.
    pub label_selector: String,
    /// Only objects with these fields; empty for all.
    pub field_selector: String,
    /// Objects per page of a list.
    pub page: u32,
}

impl WatchSpec {
    /// Watches all objects of a kind, 500 per page.
    pub fn all(endpoint: Endpoint) -> Self {
        Self {
            endpoint,
            namespace: None,
            label_selector: String::new(),
            field_selector: String::new(),
            page: 500,
        }
    }
}

/// Tells apart the watches that share a channel; the caller numbers them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WatchId(pub u64);

/// How an object came to our knowledge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// It was there when we listed.
    Listed,
    /// It was created, or came to fit the selectors.
    Added,
    /// It was changed.
    Modified,
}

/// What a watch tells.
#[derive(Clone, Debug, PartialEq)]
pub enum WatchEvent {
    /// A list begins, the first or another one: what is not told until `Listed` is gone.
    Began,
    /// An object as it is now. The same state may be told twice.
    Object(Object, Origin),
    /// An object is gone, or no longer fits the selectors; with its last state, of which only the name is sure.
    Deleted(ObjectKey, Object),
    /// The list is complete, as of this resourceVersion: everything not told since `Began` is gone.
    Listed(String),
    /// An object that we cannot read exists, or changed. It counts as told.
    Undecodable {
        /// Its name; empty where not even that can be read.
        name: String,
        /// Its namespace; empty for none.
        namespace: String,
        /// What is wrong with it, without quoting it.
        sentence: &'static str,
        /// Its kind and metadata, where they can be read by themselves.
        head: Option<Box<Object>>,
    },
    /// We do not see changes any more, and go on trying. Told once until `Seeing`, and again when the class changes.
    Blind {
        /// When we last saw.
        since: Timestamp,
        /// Why we do not.
        why: CallError,
    },
    /// The watch is open: for the first time, or again after `Blind`. What happened before has been told. A list alone is
    /// no view: who may list and not watch would be told what there was, and nothing that comes.
    Seeing,
}

/// Keeps a watch alive; dropping it ends the watch.
#[derive(Debug)]
pub struct WatchHandle(JoinHandle<()>);

impl Drop for WatchHandle {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl From<Bad> for WatchEvent {
    fn from(bad: Bad) -> Self {
        let Bad { name, namespace, sentence, head, .. } = bad;
        Self::Undecodable { name, namespace, sentence, head }
    }
}

impl Cluster {
    /// Lists, then watches, until the handle is dropped. Events wait for room in the channel; nothing is lost.
    pub fn watch(
        &self,
        spec: WatchSpec,
        sender: mpsc::Sender<(WatchId, WatchEvent)>,
        id: WatchId,
    ) -> WatchHandle {
        let watcher = Watcher {
            page: spec.page.max(1),
            cluster: self.clone(),
            spec,
            sender,
            id,
            backoff: Backoff::default(),
            seen: now(),
            told: Told::Nothing,
        };
        WatchHandle(tokio::spawn(async move {
            // Ends only when nobody listens any more.
            let _stopped = watcher.run().await;
        }))
    }
}

/// Nobody listens any more.
pub(crate) struct Stopped;

pub(crate) struct Watcher {
    pub(crate) cluster: Cluster,
    pub(crate) spec: WatchSpec,
    sender: mpsc::Sender<(WatchId, WatchEvent)>,
    id: WatchId,
    /// Objects per page: fewer after a page that was too long, more after a list that took too long.
    pub(crate) page: u32,
    pub(crate) backoff: Backoff,
    /// When the server last told us something.
    seen: Timestamp,
    told: Told,
}

/// What was last told of how far we see.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Told {
    Nothing,
    Blind(ErrorClass),
    Seeing,
}

impl Watcher {
    async fn run(mut self) -> Result<(), Stopped> {
        let mut position = None;
        loop {
            position = match position {
                None => self.list().await?,
                Some(version) => self.follow(version).await?,
            };
        }
    }

    /// Watches from a resourceVersion; returns where to go on, or nothing if only a list helps.
    async fn follow(&mut self, version: String) -> Result<Option<String>, Stopped> {
        let response = match self.cluster.open(self.call(&version)).await {
            Ok(response) => response,
            Err(error) => return self.refused(version, error).await,
        };
        self.opened().await?;
        let opened = Instant::now();
        let mut stream = Stream::new(response, version);
        let end = stream.run(self).await?;
        self.seen = now();
        let version = stream.into_version();
        match end {
            End::Clean | End::Idle if opened.elapsed() >= SHORTEST_WATCH => {
                self.backoff.succeeded();
                Ok(Some(version))
            }
            // The server closes at once: no reason to call ourselves blind, but none to hurry either.
            End::Clean | End::Idle => {
                self.pause(None).await;
                Ok(Some(version))
            }
            End::Broken(error) => self.refused(version, error).await,
            End::Expired => {
                self.once_more(None).await;
                Ok(None)
            }
        }
    }

    /// Goes on at once after the first failure, and waits after the next ones.
    async fn once_more(&mut self, error: Option<&CallError>) {
        let wait = self.backoff.failed(error);
        if self.backoff.failures() > 1 {
            tokio::time::sleep(wait).await;
        }
    }

    /// Decides what follows a watch that failed: one more try, then we are blind.
    ///
    /// Whoever was blind lists again. A server whose etcd was restored in the meantime accepts a watch from a
    /// resourceVersion in its future and tells nothing (seen on 1.36.3), so that going on could be blind for ever.
    async fn refused(&mut self, version: String, error: CallError) -> Result<Option<String>, Stopped> {
        let is_first = self.backoff.failures() == 0;
        if error.class == ErrorClass::Throttled {
            // A list would be the worst answer to this.
            if is_first {
                self.pause(Some(&error)).await;
            } else {
                self.failed(error).await?;
            }
            return Ok(Some(version));
        }
        if is_first {
            let is_known = is_known(&error);
            self.once_more(Some(&error)).await;
            return Ok(is_known.then_some(version));
        }
        self.failed(error).await?;
        Ok(None)
    }

    /// Tells that we are blind and waits.
    pub(crate) async fn failed(&mut self, error: CallError) -> Result<(), Stopped> {
        if self.told != Told::Blind(error.class) {
            self.told = Told::Blind(error.class);
            let event = WatchEvent::Blind { since: self.seen, why: error.clone() };
            self.tell(event).await?;
        }
        self.pause(Some(&error)).await;
        Ok(())
    }

    async fn pause(&mut self, error: Option<&CallError>) {
        let wait = self.backoff.failed(error);
        tokio::time::sleep(wait).await;
    }

    /// Notes that the server answers.
    pub(crate) fn saw(&mut self) {
        self.seen = now();
    }

    /// Notes that changes are told from now on.
    async fn opened(&mut self) -> Result<(), Stopped> {
        self.saw();
        if self.told != Told::Seeing {
            self.told = Told::Seeing;
            self.tell(WatchEvent::Seeing).await?;
        }
        Ok(())
    }

    pub(crate) async fn tell(&self, event: WatchEvent) -> Result<(), Stopped> {
        self.sender.send((self.id, event)).await.map_err(|_| Stopped)
    }

    pub(crate) async fn tell_bad(&self, bad: Bad) -> Result<(), Stopped> {
        self.tell(bad.into()).await
    }

    fn call(&self, version: &str) -> Call {
        let timeout = spread(LONGEST_WATCH).as_secs().to_string();
        let mut query = vec![
            ("watch", "true"),
            ("allowWatchBookmarks", "true"),
            ("resourceVersion", version),
            ("timeoutSeconds", &timeout),
        ];
        query.extend(self.selectors());
        let path = self.spec.endpoint.collection(self.spec.namespace.as_deref());
        Call::new(Verb::Watch, &self.spec.endpoint, Method::GET, with_query(&path, &query))
            .with_priority(None)
    }

    pub(crate) fn selectors(&self) -> impl Iterator<Item = (&'static str, &str)> {
        [
            ("labelSelector", self.spec.label_selector.as_str()),
            ("fieldSelector", self.spec.field_selector.as_str()),
        ]
        .into_iter()
        .filter(|(_, selector)| !selector.is_empty())
    }
}

/// Returns whether the server may still know our resourceVersion after a watch that it refused.
fn is_known(error: &CallError) -> bool {
    match error.class {
        // What a server says whose etcd was restored, or another server.
        ErrorClass::Unavailable => !["Too large resource version", "resourceVersion: Invalid value"]
            .iter()
            .any(|text| error.message.contains(text)),
        ErrorClass::Throttled | ErrorClass::Forbidden => true,
        ErrorClass::Gone
        | ErrorClass::Conflict
        | ErrorClass::Invalid
        | ErrorClass::Denied
        | ErrorClass::NotFound
        | ErrorClass::NoSuchKind
        | ErrorClass::Withheld => false,
    }
}

pub(crate) fn now() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

#[cfg(test)]
#[path = "watch_tests.rs"]
mod tests;
