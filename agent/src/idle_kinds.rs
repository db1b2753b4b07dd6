//! Which kinds do apps still have, and at which versions? Watches follow Git to another version, and what nobody has any
//! more is neither watched nor recorded.

use crate::agent::Agent;
use crate::live::Sight;
use cluster::Endpoint;
use engine::takeover::Inheritance;
use model::{GroupKind, GroupVersionKind};
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

/// How often it is looked for kinds that nobody has any more.
const INTERVAL: Duration = Duration::from_secs(10);
/// How long nobody has had a recorded kind before it is forgotten: longer than any call of an earlier writer may last.
const GRACE: Duration = Duration::from_mins(1);

/// Kinds that are not used, and since when.
#[derive(Default)]
pub(crate) struct IdleKinds {
    /// Whether a version may have changed.
    pub is_due: bool,
    looked: Option<Instant>,
    since: BTreeMap<GroupKind, Instant>,
}

impl IdleKinds {
    /// Returns whether it is time to look, and counts from now on if so.
    fn take_due(&mut self, now: Instant) -> bool {
        let is_due = self.is_due || self.looked.is_none_or(|last| now.duration_since(last) >= INTERVAL);
        if is_due {
            self.is_due = false;
            self.looked = Some(now);
        }
        is_due
    }

    /// Takes in which kinds are not used now; returns those that have not been for long enough.
    fn take_idle(&mut self, idle: BTreeSet<GroupKind>, now: Instant) -> BTreeSet<GroupKind> {
        self.since.retain(|kind, _| idle.contains(kind));
        for kind in idle {
            self.since.entry(kind).or_insert(now);
        }
        let long = self.since.iter().filter(|(_, since)| now.duration_since(**since) >= GRACE);
        long.map(|(kind, _)| kind.clone()).collect()
    }
}

/// Returns where a kind is to be watched if that is elsewhere than now: at a version that Git holds. The present one stays as
/// long as some app wants it, for apps may hold several.
fn moved(
    present: &GroupVersionKind,
    wanted: Option<&BTreeSet<String>>,
    endpoint: impl Fn(&GroupVersionKind) -> Option<Endpoint>,
    preferred: Option<Endpoint>,
) -> Option<Endpoint> {
    let is_wanted = |version: &String| wanted.is_none_or(|wanted| wanted.contains(version));
    let at = |version: &String| endpoint(&GroupVersionKind { version: version.clone(), ..present.clone() });
    let stays = at(&present.version);
    if stays.is_some() && is_wanted(&present.version) {
        return None;
    }
    let newest = || wanted.into_iter().flatten().rev().find_map(at);
    match preferred {
        Some(preferred) if is_wanted(&preferred.gvk.version) => Some(preferred),
        // What Git wants is not served: any version shows what there is.
        other => newest().or_else(|| if stays.is_some() { None } else { other }),
    }
}

impl Agent {
    /// Lets the watches of kinds follow what apps have.
    pub(crate) fn tend_kinds(&mut self) {
        let now = Instant::now();
        if !self.has_listed_apps || !self.idle_kinds.take_due(now) {
            return;
        }
        let wanted = self.wanted_versions();
        self.follow_versions(&wanted);
        let idle: BTreeSet<GroupKind> =
            self.live.kinds.keys().filter(|kind| self.is_idle(kind, &wanted)).cloned().collect();
        let long = self.idle_kinds.take_idle(idle.clone(), now);
        self.forget_kinds(&idle, &long);
    }

    /// Returns at which versions Git wants objects of each kind.
    fn wanted_versions(&self) -> BTreeMap<GroupKind, BTreeSet<String>> {
        let mut wanted: BTreeMap<GroupKind, BTreeSet<String>> = BTreeMap::new();
        let sets = self.apps.values().flat_map(|entry| entry.sets.values());
        let mut last = None;
        for (key, kept) in sets.flat_map(|set| set.objects.iter()) {
            let name = (key.group.as_str(), key.kind.as_str(), kept.version());
            // Most follow one of the same kind.
            if last.replace(name) != Some(name) {
                let gvk = kept.gvk(key);
                wanted.entry(gvk.group_kind()).or_default().insert(gvk.version);
            }
        }
        wanted
    }

    fn follow_versions(&mut self, wanted: &BTreeMap<GroupKind, BTreeSet<String>>) {
        let discovery = &self.discovery;
        let open = self.live.kinds.iter().filter(|(_, watch)| watch.handle.is_some());
        let moved: Vec<Endpoint> = open
            .filter_map(|(kind, watch)| {
                let endpoint = |gvk: &GroupVersionKind| discovery.endpoint(gvk);
                moved(&watch.gvk, wanted.get(kind), endpoint, discovery.preferred(kind))
            })
            .collect();
        for endpoint in moved {
            self.watch_at(endpoint);
        }
        if self.may_write {
            for watch in self.live.kinds.values().filter(|watch| watch.handle.is_some()) {
                self.kinds.move_to(&watch.gvk);
            }
            self.record(std::iter::empty());
        }
    }

    /// Returns whether no app has, wants or may have objects of a kind: none is seen, and it is seen whole.
    fn is_idle(&self, kind: &GroupKind, wanted: &BTreeMap<GroupKind, BTreeSet<String>>) -> bool {
        let Some(watch) = self.live.kinds.get(kind) else { return false };
        let is_whole = matches!(watch.sight, Sight::Clear | Sight::NoSuchKind) && watch.seen.is_none();
        let is_inherited = |inheritance: &Inheritance| {
            inheritance.objects().keys().any(|object| object.group_kind() == *kind)
        };
        is_whole
            && !wanted.contains_key(kind)
            && !self.live.has_any(kind)
            && !self.apps.values().any(|entry| {
                entry.listed.contains(kind) || entry.inheritance.as_ref().is_some_and(is_inherited)
            })
    }

    /// Forgets kinds: those that were never recorded at once, and those that were when nothing can come of them any more.
    fn forget_kinds(&mut self, idle: &BTreeSet<GroupKind>, long: &BTreeSet<GroupKind>) {
        let may_drop = self.may_write && self.turns.n_stages == 0 && self.kinds.is_at_rest();
        for kind in idle {
            match self.kinds.version(kind) {
                None => self.unwatch(kind),
                Some(_) if may_drop && long.contains(kind) => {
                    tracing::info!(%kind, "nothing of this kind is left: it is not watched any more");
                    self.kinds.drop_kind(kind);
                    self.unwatch(kind);
                }
                Some(_) => {}
            }
        }
        if may_drop {
            self.record(std::iter::empty());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gvk(version: &str) -> GroupVersionKind {
        GroupVersionKind::from_api_version(&format!("autoscaling/{version}"), "HorizontalPodAutoscaler")
    }

    fn at(version: &str) -> Endpoint {
        Endpoint::new(
            &format!("autoscaling/{version}"),
            "HorizontalPodAutoscaler",
            "horizontalpodautoscalers",
            true,
        )
    }

    /// Present version, versions that Git wants, versions that are served (the first is preferred), where it moves to.
    const CASES: &[(&str, &[&str], &[&str], &str)] = &[
        ("v1", &["v1"], &["v2", "v1"], "-"),
        ("v1", &["v2"], &["v2", "v1"], "v2"),
        ("v2", &["v1"], &["v2", "v1"], "v1"),
        ("v1", &["v1", "v2"], &["v2", "v1"], "-"),
        ("v2", &["v1", "v2"], &["v2", "v1"], "-"),
        ("v1", &["v2", "v2beta1"], &["v2", "v1", "v2beta1"], "v2"),
        ("v1beta1", &["v2", "v3"], &["v1", "v2", "v3"], "v3"),
        ("v1", &[], &["v2", "v1"], "-"),
        ("v1beta1", &[], &["v2", "v1"], "v2"),
        ("v1beta1", &["v1beta1"], &["v2", "v1"], "v2"),
        ("v1", &["v9"], &["v2", "v1"], "-"),
        ("v1", &["v9"], &[], "-"),
    ];

    #[test]
    fn a_watch_moves_to_a_version_that_git_holds_and_no_further_than_it_has_to() {
        for (present, wanted, served, expected) in CASES {
            let versions: BTreeSet<String> = wanted.iter().map(ToString::to_string).collect();
            let versions = (!versions.is_empty()).then_some(&versions);
            let endpoint =
                |gvk: &GroupVersionKind| served.contains(&gvk.version.as_str()).then(|| at(&gvk.version));
            let preferred = served.first().map(|version| at(version));
            let moved = moved(&gvk(present), versions, endpoint, preferred);
            let moved = moved.map_or("-".to_owned(), |endpoint| endpoint.gvk.version);
            assert_eq!(moved, *expected, "{present}, {wanted:?} of {served:?}");
        }
    }

    #[test]
    fn a_kind_is_idle_for_long_only_if_it_was_so_all_the_time() {
        let mut idle = IdleKinds::default();
        let start = Instant::now();
        let of = |names: &[&str]| names.iter().map(|name| GroupKind::new("", *name)).collect::<BTreeSet<_>>();
        let mut at =
            |seconds: u64, names: &[&str]| idle.take_idle(of(names), start + Duration::from_secs(seconds));
        assert_eq!(at(0, &["A", "B"]), of(&[]));
        assert_eq!(at(30, &["A"]), of(&[]));
        assert_eq!(at(59, &["A", "B"]), of(&[]));
        assert_eq!(at(60, &["A", "B"]), of(&["A"]));
        assert_eq!(at(119, &["B"]), of(&["B"]));
    }

    #[test]
    fn it_is_looked_at_intervals_and_when_a_version_may_have_changed() {
        let (mut idle, start) = (IdleKinds::default(), Instant::now());
        let after = |seconds| start + Duration::from_secs(seconds);
        assert!(idle.take_due(start) && !idle.take_due(after(9)));
        idle.is_due = true;
        assert!(idle.take_due(after(9)) && !idle.take_due(after(10)) && idle.take_due(after(19)));
    }
}
