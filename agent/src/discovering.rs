//! Which kinds are there, and what follows when some come or go?

use crate::agent::{Agent, Watched};
use crate::defined::is_established;
use crate::input::Input;
use crate::live::Sight;
use cluster::{Origin, WatchEvent};
use engine::Event;
use model::{AppKey, CallError, ErrorClass, GroupVersionKind, ObjectOutcome, ObjectResult};
use std::sync::Arc;
use std::time::Duration;

/// How long to wait before an API group that does not answer is asked again.
const DISCOVERY_WAIT: Duration = Duration::from_secs(10);

impl Agent {
    /// A kind may have come or gone: discovery is asked again, once for a burst.
    pub(crate) fn definition_event(&mut self, event: &WatchEvent) {
        match event {
            // Only what is established is served; other changes of a CRD do not matter here.
            WatchEvent::Object(object, Origin::Modified | Origin::Added) if is_established(object) => {
                self.discover_kind(plan::kinds::defined_by(object));
            }
            WatchEvent::Deleted(..) => self.discover(),
            WatchEvent::Object(_, Origin::Modified | Origin::Added | Origin::Listed)
            | WatchEvent::Began
            | WatchEvent::Listed(_)
            | WatchEvent::Undecodable { .. }
            | WatchEvent::Blind { .. }
            | WatchEvent::Seeing => {}
        }
    }

    /// Asks which kinds there are.
    pub(crate) fn discover(&mut self) {
        self.discover_kind(None);
    }

    /// Asks anew if something could not be applied for want of its kind: one that comes with an aggregated API is told by no
    /// definition that is watched.
    pub(crate) fn discover_missed(&mut self, results: &[ObjectResult]) {
        let is_missed = |result: &ObjectResult| {
            matches!(&result.outcome, ObjectOutcome::Failed(ErrorClass::NoSuchKind, _))
        };
        if results.iter().any(is_missed) {
            self.discover();
        }
    }

    /// Asks which kinds there are, for a while until one of them is: a CRD is established before discovery tells of it.
    fn discover_kind(&mut self, kind: Option<model::GroupKind>) {
        if self.is_discovering {
            self.discovers_again = true;
            return;
        }
        self.is_discovering = true;
        let cluster = self.cluster.clone();
        self.spawn(async move {
            let is_told = |discovery: &cluster::Discovery| {
                kind.as_ref().is_none_or(|kind| discovery.preferred(kind).is_some())
            };
            Input::Discovered(cluster.discover_until(is_told).await.map(Box::new))
        });
    }

    /// Says which API groups do not answer, and asks again in a while: nothing tells when they do.
    pub(crate) fn tell_failed_groups(&mut self) {
        let failed = self.discovery.failed_groups();
        if !failed.is_empty() {
            tracing::warn!(groups = failed.join(", "), "API groups do not answer; their kinds wait");
            self.discover_later();
        }
    }

    /// Asks again in a while; whoever wants to know before does not wait for that.
    fn discover_later(&mut self) {
        if !std::mem::replace(&mut self.discovers_later, true) {
            self.spawn(async {
                tokio::time::sleep(DISCOVERY_WAIT).await;
                Input::DiscoveryDue
            });
        }
    }

    /// It is time to ask again.
    pub(crate) fn discovery_due(&mut self) {
        self.discovers_later = false;
        self.discover();
    }

    /// Takes in which kinds there are.
    pub(crate) fn discovered(&mut self, outcome: Result<Box<cluster::Discovery>, CallError>) {
        self.is_discovering = false;
        if std::mem::take(&mut self.discovers_again) {
            self.discover();
        }
        match outcome {
            Err(error) => {
                tracing::warn!(%error, "the API server's kinds could not be read; those known stay");
                self.discover_later();
            }
            Ok(discovery) if *discovery == *self.discovery => {
                if !discovery.failed_groups().is_empty() {
                    self.discover_later();
                }
            }
            Ok(discovery) => {
                self.discovery = Arc::new(*discovery);
                self.kinds_changed();
                self.tell_failed_groups();
            }
        }
    }

    fn kinds_changed(&mut self) {
        // A version that is watched may not be served any more.
        self.idle_kinds.is_due = true;
        let unserved: Vec<GroupVersionKind> = self
            .live
            .kinds
            .values()
            .filter(|watch| watch.handle.is_none())
            .map(|watch| watch.gvk.clone())
            .collect();
        for gvk in unserved {
            self.watch_kind(&gvk);
        }
        let gone: Vec<model::GroupKind> = self
            .live
            .kinds
            .iter()
            .filter(|(kind, watch)| watch.handle.is_some() && self.discovery.is_absent(kind))
            .map(|(kind, _)| kind.clone())
            .collect();
        for kind in gone {
            self.kind_gone(&kind);
        }
        let guessed: Vec<AppKey> = self
            .apps
            .iter()
            .filter(|(_, entry)| entry.current().is_some_and(|set| set.has_unknown_kinds))
            .map(|(key, _)| key.clone())
            .collect();
        for key in guessed {
            self.rerender(&key);
        }
        for (key, entry) in &mut self.apps {
            if entry.undecided.ask_again() {
                self.dirty.insert(key.clone());
            }
        }
        self.event_for_all(&Event::GroundChanged);
    }

    /// The API server does not serve a kind any more: its objects went with it.
    fn kind_gone(&mut self, kind: &model::GroupKind) {
        self.watches.retain(|_, watched| *watched != Watched::Kind(kind.clone()));
        for key in self.live.keys_of(kind) {
            self.touch(&key);
            self.live.remove(&key);
        }
        if let Some(watch) = self.live.kinds.get_mut(kind) {
            watch.handle = None;
        }
        self.sight_changed(kind, Sight::NoSuchKind);
    }
}
