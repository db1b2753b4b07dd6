//! Which kinds are there, and what follows when some come or go?

use crate::agent::{Agent, Watched};
use crate::clock::now;
use crate::defined::is_established;
use crate::input::Input;
use crate::live::{KindWatch, Sight};
use cluster::{Discovery, Origin, WatchEvent};
use engine::Event;
use model::{
    AppKey, CallError, ErrorClass, GroupKind, GroupVersionKind, Object, ObjectOutcome, ObjectResult,
};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

/// How long to wait before an API group that does not answer is asked again.
const DISCOVERY_WAIT: Duration = Duration::from_secs(10);

/// What is being asked about kinds, and which are defined.
#[derive(Default)]
pub(crate) struct Discovering {
    /// Whether an answer is under way.
    is_asking: bool,
    /// Whether that is to be asked once more.
    asks_again: bool,
    /// Whether a time to ask again is set.
    asks_later: bool,
    /// What the next answer should show.
    expected: Vec<Expected>,
    /// The kinds of CRDs that are established, by the CRD's name. Whatever discovery says, such a kind is not gone.
    defined: BTreeMap<String, GroupKind>,
    /// The same, of the list under way.
    listed: Option<BTreeMap<String, GroupKind>>,
}

/// What discovery tells some time after a CRD does.
enum Expected {
    /// The kind is served.
    Served(GroupKind),
    /// It is not any more.
    Gone(GroupKind),
}

impl Expected {
    fn is_told(&self, discovery: &Discovery) -> bool {
        match self {
            Self::Served(kind) => discovery.preferred(kind).is_some(),
            Self::Gone(kind) => discovery.preferred(kind).is_none(),
        }
    }
}

impl Discovering {
    fn defines(&self, kind: &GroupKind) -> bool {
        self.defined.values().any(|defined| defined == kind)
    }

    /// Takes in a CRD as it is.
    fn define(&mut self, crd: &Object) {
        let kind = plan::kinds::defined_by(crd).filter(|_| is_established(crd));
        for defined in [Some(&mut self.defined), self.listed.as_mut()].into_iter().flatten() {
            match &kind {
                Some(kind) => drop(defined.insert(crd.name().to_owned(), kind.clone())),
                None => drop(defined.remove(crd.name())),
            }
        }
    }
}

impl Agent {
    /// A kind may have come or gone: discovery is asked again, once for a burst.
    pub(crate) fn definition_event(&mut self, event: &WatchEvent) {
        match event {
            WatchEvent::Object(object, origin) => {
                self.discovering.define(object);
                // Only what is established is served; other changes of a CRD do not matter here.
                if *origin != Origin::Listed && is_established(object) {
                    let kind = plan::kinds::defined_by(object);
                    self.discovering.expected.extend(kind.map(Expected::Served));
                    self.discover();
                }
            }
            WatchEvent::Deleted(key, _) => {
                let kind = self.discovering.defined.remove(&key.name);
                self.discovering.expected.extend(kind.map(Expected::Gone));
                self.discover();
            }
            WatchEvent::Began => self.discovering.listed = Some(BTreeMap::new()),
            WatchEvent::Listed(_) => {
                if let Some(listed) = self.discovering.listed.take() {
                    self.discovering.defined = listed;
                }
                self.doubt_defined();
            }
            WatchEvent::Undecodable { .. } | WatchEvent::Blind { .. } | WatchEvent::Seeing => {}
        }
    }

    /// Asks anew where a kind that concerns us counts as absent and is defined.
    fn doubt_defined(&mut self) {
        let is_wrong = |kind: &GroupKind| self.discovery.lacks(kind) && self.discovering.defines(kind);
        if self.live.kinds.keys().any(is_wrong) {
            self.discover();
        }
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

    /// Asks which kinds there are: for a while until it is told what is expected, for a CRD is established, or gone, before
    /// discovery tells of it. What is told of the kinds that concern us is asked for twice before one counts as absent.
    pub(crate) fn discover(&mut self) {
        if self.discovering.is_asking {
            self.discovering.asks_again = true;
            return;
        }
        self.discovering.is_asking = true;
        let expected = std::mem::take(&mut self.discovering.expected);
        let known = self.live.kinds.keys().cloned();
        let known: BTreeSet<GroupKind> =
            known.chain(self.kinds.known().map(GroupVersionKind::group_kind)).collect();
        let (cluster, before) = (self.cluster.clone(), Arc::clone(&self.discovery));
        self.spawn(async move {
            let is_told = |discovery: &Discovery| expected.iter().all(|kind| kind.is_told(discovery));
            let mut outcome = cluster.discover_until(is_told).await.map(Box::new);
            if let Ok(discovery) = &mut outcome {
                cluster.confirm(discovery, &known, before.absent()).await;
            }
            Input::Discovered(outcome)
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
        if !std::mem::replace(&mut self.discovering.asks_later, true) {
            self.spawn(async {
                tokio::time::sleep(DISCOVERY_WAIT).await;
                Input::DiscoveryDue
            });
        }
    }

    /// It is time to ask again.
    pub(crate) fn discovery_due(&mut self) {
        self.discovering.asks_later = false;
        self.discover();
    }

    /// Takes in which kinds there are.
    pub(crate) fn discovered(&mut self, outcome: Result<Box<Discovery>, CallError>) {
        self.discovering.is_asking = false;
        if std::mem::take(&mut self.discovering.asks_again) {
            self.discover();
        }
        match outcome {
            Err(error) => {
                tracing::warn!(%error, "the API server's kinds could not be read; those known stay");
                self.discover_later();
            }
            Ok(mut discovery) => {
                for kind in self.live.kinds.keys().filter(|kind| self.discovering.defines(kind)) {
                    if discovery.lacks(kind) {
                        discovery.doubt(kind);
                    }
                }
                self.take_discovery(*discovery);
            }
        }
    }

    fn take_discovery(&mut self, discovery: Discovery) {
        let is_same = discovery.serves_as(&self.discovery);
        self.discovery = Arc::new(discovery);
        self.review_kinds();
        if !is_same {
            self.kinds_changed();
            self.tell_failed_groups();
        } else if !self.discovery.failed_groups().is_empty() {
            self.discover_later();
        }
    }

    /// Looks at kinds anew that are not watched, or not served any more.
    fn review_kinds(&mut self) {
        let watches = self.live.kinds.values();
        let unserved: Vec<GroupVersionKind> =
            watches.filter(|watch| watch.handle.is_none()).map(|watch| watch.gvk.clone()).collect();
        for gvk in unserved {
            self.watch_kind(&gvk);
        }
        let served = self.live.kinds.iter().filter(|(_, watch)| watch.handle.is_some());
        let gone: Vec<GroupKind> =
            served.map(|(kind, _)| kind).filter(|kind| self.discovery.is_absent(kind)).cloned().collect();
        for kind in gone {
            self.kind_gone(&kind);
        }
    }

    /// Says of a kind that is not served how far it is seen: one that certainly is not there is seen whole, for there is
    /// nothing of it. As long as nobody knows that, whatever depends on it waits.
    pub(crate) fn look_for_kind(&mut self, gvk: &GroupVersionKind) {
        let kind = gvk.group_kind();
        let is_lacking = self.discovery.lacks(&kind);
        let sight = if self.discovery.is_absent(&kind) {
            Sight::NoSuchKind
        } else if is_lacking {
            Sight::Listing
        } else {
            let why = if self.discovering.defines(&kind) {
                "its CRD is there, but the API server does not serve it".to_owned()
            } else {
                format!("its API group {} does not answer", kind.group)
            };
            Sight::Blind(now(), CallError::new(ErrorClass::Unavailable, why))
        };
        let is_unconfirmed = sight == Sight::Listing;
        if let Some(watch) = self.live.kinds.get_mut(&kind) {
            watch.gvk = gvk.clone();
            self.sight_changed(&kind, sight);
        } else {
            let watch = KindWatch { gvk: gvk.clone(), handle: None, sight, is_filtered: true, seen: None };
            self.live.kinds.insert(kind, watch);
        }
        if is_unconfirmed {
            self.discover();
        }
    }

    fn kinds_changed(&mut self) {
        // A version that is watched may not be served any more.
        self.idle_kinds.is_due = true;
        let guessed: Vec<AppKey> = self
            .apps
            .iter()
            .filter(|(_, entry)| {
                entry.current().is_some_and(|set| set.has_unknown_kinds || !set.fits(&self.discovery))
            })
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
    fn kind_gone(&mut self, kind: &GroupKind) {
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
