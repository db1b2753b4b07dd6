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
//!
//! A place is where the watch of Applications has come to, and nothing else: an answer to a write of ours overtakes the watch,
//! and what a list shows comes in no order. Such changes are told at once and are no places. Whoever comes back may hear of
//! them twice, and misses nothing.

use crate::listed::Head;
use crate::{ApiError, ListQuery, Listed, Projection};
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{Notify, watch};

/// How many changes are kept for those who come back.
const LONGEST: usize = 4096;
/// How many bytes of Applications they may hold at most.
const LARGEST: usize = 32 * 1024 * 1024;
/// How many they may hold where there are few Applications.
const LEAST: usize = 2 * 1024 * 1024;
/// How many times as much they may hold as the Applications themselves take: who comes back after a few changes of each finds
/// them all, and what there is of them says what the agent takes.
const TIMES: usize = 4;
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

/// How the agent knows of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// The watch told it, so that everything older was told before.
    Watch,
    /// A list, or an answer to a call: what is older may be told after it.
    Other,
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
    /// How many bytes the Applications take that there are.
    n_now: usize,
    /// The resourceVersion that the watch has come to.
    version: u64,
    /// What it had come to when, each with the number of the first change that was not told by then.
    places: VecDeque<(u64, u64)>,
    /// The highest resourceVersion of those that were no places and are not known any more.
    lost: u64,
    /// Whether a list is under way.
    is_listing: bool,
    /// Whether anything was listed.
    is_listed: bool,
    is_closed: bool,
}

#[derive(Debug)]
struct Change {
    kind: Kind,
    /// Its own resourceVersion.
    version: u64,
    /// The same where everything up to that was told once it was.
    place: Option<u64>,
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
    /// Tells of a change at a resourceVersion. `before` is what the Application was, where it was.
    pub fn tell(&self, kind: Kind, app: &Arc<Listed>, before: Option<&Listed>, (by, version): (By, u64)) {
        let mut ring = self.0.ring();
        let (was, is) = (before.map_or(0, Listed::size), app.size());
        let is = if kind == Kind::Deleted { 0 } else { is };
        ring.n_now = (ring.n_now + is).saturating_sub(was);
        let place = (by == By::Watch && !ring.is_listing).then(|| ring.version.max(version));
        let change = Change {
            kind,
            version,
            place,
            app: Arc::clone(app),
            before: before.map(|before| before.head.clone()),
            written: Mutex::default(),
        };
        ring.push(change);
        if let Some(place) = place {
            ring.advance(place);
        }
        drop(ring);
        self.0.wake.notify_one();
    }

    /// Notes that the watch has come to a resourceVersion: all that it had to say up to there was told.
    pub fn watched(&self, version: u64) {
        let mut ring = self.0.ring();
        if !ring.is_listing && version > ring.version {
            ring.advance(version);
        }
    }

    /// Notes that a list begins.
    pub fn list_begins(&self) {
        self.0.ring().is_listing = true;
    }

    /// Notes that all Applications were listed as of a resourceVersion, and what the list shows or misses was told.
    pub fn listed(&self, version: u64) {
        let mut ring = self.0.ring();
        ring.is_listing = false;
        if version < ring.version {
            // Another cluster, or one that was restored: what its numbers meant is no longer so.
            ring.forget();
        }
        ring.is_listed = true;
        ring.advance(version);
    }

    /// Returns the resourceVersion that the watch has come to: whoever knows all Applications as they are now comes back with
    /// it.
    pub fn version(&self) -> u64 {
        self.0.ring().version
    }

    /// Returns how many changes are kept for those who come back, and how many bytes of Applications they hold, about.
    pub fn kept(&self) -> (usize, usize) {
        let ring = self.0.ring();
        (ring.changes.len(), ring.n_bytes)
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
        if !ring.is_listed {
            return Err(ApiError::unavailable("the applications are not listed yet; try again in a moment"));
        }
        let next = since.map_or(Some(ring.end()), |since| ring.after(since)).ok_or_else(too_old)?;
        let version = since.map_or(ring.version, |since| since.min(ring.version));
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
        self.n_bytes += change.size();
        self.changes.push_back(Arc::new(change));
        let most = (TIMES * self.n_now).clamp(LEAST, LARGEST);
        while self.changes.len() > LONGEST || self.n_bytes > most {
            let Some(oldest) = self.changes.pop_front() else { return };
            self.first += 1;
            self.n_bytes -= oldest.size();
            if oldest.place.is_none() {
                self.lost = self.lost.max(oldest.version);
            }
        }
        while self.places.front().is_some_and(|(_, next)| *next < self.first) {
            self.places.pop_front();
        }
    }

    /// Takes in that the watch has come to a resourceVersion, and all that it had to say was told.
    fn advance(&mut self, version: u64) {
        self.version = version;
        let end = self.end();
        // Where nothing was told since the last place, that leads to the same.
        if self.places.back().is_none_or(|(_, next)| *next != end) {
            self.places.push_back((version, end));
        }
    }

    fn forget(&mut self) {
        // One more, so that whoever has heard everything has lost its place as well.
        self.first += self.changes.len() as u64 + 1;
        self.changes.clear();
        self.places.clear();
        (self.n_bytes, self.lost) = (0, 0);
    }

    /// Returns the number that the next change gets.
    fn end(&self) -> u64 {
        self.first + self.changes.len() as u64
    }

    /// Returns the number of the first change that may be news to who knows everything up to a place; `None` where something
    /// since then is not known any more. Some come back with the resourceVersion of what they heard last instead, which may be
    /// no place: they know what was told before that.
    fn after(&self, version: u64) -> Option<u64> {
        let passed = self.places.partition_point(|(place, _)| *place <= version);
        let (place, next) = self.places.get(passed.checked_sub(1)?)?;
        let is_it = |change: &Arc<Change>| change.place.is_none() && change.version == version;
        let heard = self.changes.iter().position(is_it).map(|at| self.first + at as u64 + 1);
        if heard.is_none() && *place != version && version <= self.lost {
            return None;
        }
        Some(heard.map_or(*next, |heard| heard.min(*next)))
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
    /// A message, and the resourceVersion to come back with, where everything up to that was told.
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
                let Some(change) = ring.changes.get(at) else {
                    self.version = ring.version;
                    return None;
                };
                Arc::clone(change)
            };
            self.next += 1;
            self.version = change.place.unwrap_or(self.version);
            if let Some(kind) = change.kind_for(&self.query) {
                let message = change.written(kind, &self.query.fields);
                return Some(Said::Message(message, change.place));
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
    /// Returns how much memory it takes, about, without what is written of it for streams.
    fn size(&self) -> usize {
        self.app.size() + self.before.as_ref().map_or(0, Head::size) + size_of::<Self>()
    }

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
