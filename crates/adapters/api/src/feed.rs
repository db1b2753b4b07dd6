//! What changed lately, for all who watch Applications?
//!
//! ```text
//!  agent ──told, listed──▶ ring of changes ◀──next── stream ─ its own place in the ring
//!                              │                       ▲
//!                              └── one wake ─▶ pump ───┘ wakes all
//! ```
//!
//! The agent's loop puts a change into the ring and wakes one task, however many streams there are. A stream reads at its own
//! pace; one that is slower than the ring is long, is cut off. Places are resourceVersions, as in Kubernetes: they survive a
//! restart of the agent, which forgets the ring, but not what it listed.

use crate::listed::Head;
use crate::{ApiError, ListQuery, Listed, Projection};
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{Notify, watch};

/// How many changes are kept for those who come back.
const LONGEST: usize = 4096;
/// How many bytes of Applications they may hold.
const LARGEST: usize = 32 * 1024 * 1024;
/// How many ways to write one change are remembered: most streams ask for the same fields.
const WRITTEN: usize = 4;

/// What happened to an Application.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It is there.
    Added,
    /// It is another than before.
    Modified,
    /// It is gone; this is what it was last.
    Deleted,
}

impl Kind {
    fn as_str(self) -> &'static str {
        match self {
            Self::Added => "ADDED",
            Self::Modified => "MODIFIED",
            Self::Deleted => "DELETED",
        }
    }
}

/// The agent's end: what is told here reaches all streams. They end when it is dropped.
#[derive(Debug)]
pub struct Feed(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    ring: Mutex<Ring>,
    wake: Notify,
    told: watch::Sender<()>,
}

#[derive(Debug, Default)]
struct Ring {
    changes: VecDeque<Arc<Change>>,
    /// Number of the first of them; each has the next number.
    first: u64,
    n_bytes: usize,
    /// The newest resourceVersion that was seen.
    version: u64,
    /// The same when the list under way, or the last one, began.
    before_list: u64,
    /// Whoever knows less than this resourceVersion may have missed something; `None` before anything was listed.
    floor: Option<u64>,
    is_closed: bool,
}

#[derive(Debug)]
struct Change {
    kind: Kind,
    /// Where it stands in the order of resourceVersions.
    version: u64,
    app: Arc<Listed>,
    /// What the Application was chosen by before; none where it is new.
    before: Option<Head>,
    /// How it was written for whom.
    written: Mutex<Vec<(Kind, Projection, Arc<str>)>>,
}

impl Default for Feed {
    fn default() -> Self {
        Self(Arc::new(Shared { ring: Mutex::default(), wake: Notify::new(), told: watch::Sender::new(()) }))
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        self.0.ring().is_closed = true;
        self.0.told.send_replace(());
        self.0.wake.notify_one();
    }
}

impl Shared {
    fn ring(&self) -> MutexGuard<'_, Ring> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Feed {
    /// Tells of a change. `before` is what the Application was, where it was; `version` the resourceVersion of a deletion.
    pub fn tell(&self, kind: Kind, app: &Arc<Listed>, before: Option<&Listed>, version: Option<u64>) {
        let mut ring = self.0.ring();
        // What was found by a list is told late, under the number of the list.
        ring.version = ring.version.max(version.unwrap_or(app.head.version));
        let change = Change {
            kind,
            version: ring.version,
            app: Arc::clone(app),
            before: before.map(|before| before.head.clone()),
            written: Mutex::default(),
        };
        ring.push(change);
        drop(ring);
        self.0.wake.notify_one();
    }

    /// Notes that a list begins.
    pub fn list_begins(&self) {
        let mut ring = self.0.ring();
        ring.before_list = ring.version;
    }

    /// Notes that all Applications were listed as of a resourceVersion. What was deleted before that and found missing by the
    /// list is told after it.
    pub fn listed(&self, version: u64) {
        let mut ring = self.0.ring();
        if version < ring.before_list {
            // Another cluster, or one that was restored: what its numbers meant is no longer so.
            ring.forget();
            (ring.version, ring.floor) = (version, None);
        }
        ring.version = ring.version.max(version);
        ring.floor.get_or_insert(version);
    }

    /// Returns the newest resourceVersion that was seen.
    pub fn version(&self) -> u64 {
        self.0.ring().version
    }

    /// Begins a stream: with all Applications as they are now, or with what changed since a resourceVersion.
    ///
    /// # Errors
    /// 410 where that is too long ago; 503 before anything was listed.
    pub fn subscribe(
        &self,
        query: ListQuery,
        since: Option<u64>,
        all: impl FnOnce() -> Vec<Arc<Listed>>,
    ) -> Result<Subscription, ApiError> {
        let ring = self.0.ring();
        let Some(floor) = ring.floor else {
            return Err(ApiError::unavailable("the applications are not listed yet; try again in a moment"));
        };
        if since.is_some_and(|since| since < floor) {
            return Err(too_old());
        }
        // Of what is as old as the floor nothing was forgotten; deletions that a list found have its number.
        let next = since.map_or(ring.end(), |since| ring.after(since));
        let version = ring.version;
        drop(ring);
        let now = if since.is_none() { all() } else { Vec::new() };
        Ok(Subscription {
            shared: Arc::clone(&self.0),
            woken: self.0.told.subscribe(),
            next,
            query,
            now,
            version,
        })
    }

    /// Wakes streams when something was told, until the feed is dropped: to wake hundreds takes longer than the agent's
    /// loop may stand still.
    pub fn pump(&self) -> impl Future<Output = ()> + Send + 'static {
        let shared = Arc::clone(&self.0);
        async move {
            while !shared.ring().is_closed {
                shared.wake.notified().await;
                shared.told.send_replace(());
            }
        }
    }
}

impl Ring {
    fn push(&mut self, change: Change) {
        self.n_bytes += change.app.size();
        self.changes.push_back(Arc::new(change));
        while self.changes.len() > LONGEST || self.n_bytes > LARGEST {
            let Some(oldest) = self.changes.pop_front() else { return };
            self.first += 1;
            self.n_bytes -= oldest.app.size();
            self.floor = self.floor.map(|floor| floor.max(oldest.version));
        }
    }

    fn forget(&mut self) {
        // One more, so that whoever has heard everything has lost its place as well.
        self.first += self.changes.len() as u64 + 1;
        self.changes.clear();
        self.n_bytes = 0;
    }

    /// Returns the number that the next change gets.
    fn end(&self) -> u64 {
        self.first + self.changes.len() as u64
    }

    /// Returns the number of the first change after a resourceVersion.
    fn after(&self, version: u64) -> u64 {
        self.first + self.changes.partition_point(|change| change.version <= version) as u64
    }
}

/// What a caller is told who knows too little to go on.
fn too_old() -> ApiError {
    ApiError::gone(
        "too old resource version: what changed since is not known any more; begin anew, without resourceVersion",
    )
}

/// One stream, not begun yet.
#[derive(Debug)]
pub struct Subscription {
    shared: Arc<Shared>,
    woken: watch::Receiver<()>,
    next: u64,
    query: ListQuery,
    /// What there is now, where the stream begins with that.
    now: Vec<Arc<Listed>>,
    version: u64,
}

/// What a stream has to say next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Said {
    /// A message, and the resourceVersion to come back with, once everything before it was told.
    Message(Arc<str>, Option<u64>),
    /// The stream ends, for a reason.
    Ended(ApiError),
}

impl Subscription {
    /// Sorts what there is now, and leaves away what nobody asks for.
    pub(crate) fn begin(&mut self) {
        let query = &self.query;
        self.now.retain(|app| app.head.is_asked_for(query));
        // The last one first: they are taken from the end.
        self.now.sort_by(|one, other| other.head.place().cmp(&one.head.place()));
    }

    /// Returns what is to be said, if anything.
    pub(crate) fn poll(&mut self) -> Option<Said> {
        if let Some(app) = self.now.pop() {
            // Until all of them are told, there is nothing to come back with.
            let version = self.now.is_empty().then_some(self.version);
            let message = message(Kind::Added, &app.shown(), &self.query.fields);
            return Some(Said::Message(message, version));
        }
        loop {
            let change = {
                let ring = self.shared.ring();
                if ring.is_closed {
                    return Some(Said::Ended(ApiError::unavailable(
                        "the agent is stopping; come back in a moment",
                    )));
                }
                let Some(at) = self.next.checked_sub(ring.first) else { return Some(Said::Ended(too_old())) };
                let at = usize::try_from(at).unwrap_or(usize::MAX);
                Arc::clone(ring.changes.get(at)?)
            };
            self.next += 1;
            self.version = change.version;
            if let Some(kind) = change.kind_for(&self.query) {
                let message = change.written(kind, &self.query.fields);
                return Some(Said::Message(message, Some(change.version)));
            }
        }
    }

    /// Returns the resourceVersion up to which everything was told.
    pub(crate) fn version(&self) -> u64 {
        self.version
    }

    /// Waits until something was told since this was last waited for.
    pub(crate) async fn changed(&mut self) {
        // The sender is kept by `shared`.
        let _told = self.woken.changed().await;
    }
}

impl Change {
    /// Returns what the change is to who asks for some of the Applications: one that begins to fit is new to them.
    fn kind_for(&self, query: &ListQuery) -> Option<Kind> {
        let fits = self.app.head.is_asked_for(query);
        let did_fit = self.before.as_ref().is_some_and(|before| before.is_asked_for(query));
        match (self.kind, did_fit, fits) {
            (Kind::Deleted, ..) => (fits || did_fit).then_some(Kind::Deleted),
            (Kind::Added, _, true) | (Kind::Modified, false, true) => Some(Kind::Added),
            (Kind::Modified, true, true) => Some(Kind::Modified),
            (Kind::Modified | Kind::Added, true, false) => Some(Kind::Deleted),
            (Kind::Modified | Kind::Added, false, false) => None,
        }
    }

    /// Writes the change, once for all who want the same of it.
    fn written(&self, kind: Kind, fields: &Projection) -> Arc<str> {
        let mut known = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        let is_it = |(of, with, _): &&(Kind, Projection, Arc<str>)| *of == kind && with == fields;
        if let Some((.., text)) = known.iter().find(is_it) {
            return Arc::clone(text);
        }
        let mut app = self.app.shown();
        if self.kind == Kind::Deleted {
            // What it was last has an older one, and whoever comes back with that hears of its end once more.
            app["metadata"]["resourceVersion"] = json!(self.version.to_string());
        }
        let text = message(kind, &app, fields);
        if known.len() < WRITTEN {
            known.push((kind, fields.clone(), Arc::clone(&text)));
        }
        text
    }
}

/// Writes what happened to an Application, as Argo CD's streams do.
fn message(kind: Kind, app: &Value, fields: &Projection) -> Arc<str> {
    let event = json!({ "type": kind.as_str(), "application": app });
    fields.apply(json!({ "result": event })).to_string().into()
}

#[cfg(test)]
mod tests;
