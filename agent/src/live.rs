//! What is in the cluster, as far as it concerns us? Digests of objects, fed by watches.

use crate::workloads::Assessment;
use cluster::WatchHandle;
use drift::{Fingerprint, Heat};
use model::{
    CallError, Digest, GroupKind, GroupVersionKind, LiveDigest, Match, Object, ObjectKey, Timestamp, digest,
    names, tracking::TrackingId,
};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// Everything that we know of the cluster's objects.
#[derive(Default)]
pub(crate) struct LiveView {
    /// One watch per kind, at the version that manifests use.
    pub kinds: BTreeMap<GroupKind, KindWatch>,
    /// Uids of objects that were seen to be gone, so that late answers do not bring them back; a bounded memory.
    pub gone: BTreeMap<ObjectKey, String>,
    objects: BTreeMap<ObjectKey, Box<LiveEntry>>,
    /// Labels with what carries them.
    by_part_of: BTreeSet<(String, ObjectKey)>,
    /// How many objects of a kind do not carry our label.
    unlabelled: BTreeMap<GroupKind, usize>,
    /// What came in this turn and was not judged at once.
    fresh: Vec<ObjectKey>,
}

/// The watch of one kind.
pub(crate) struct KindWatch {
    /// Kind and version.
    pub gvk: GroupVersionKind,
    /// Keeps the watch going.
    pub handle: Option<WatchHandle>,
    /// How far it sees.
    pub sight: Sight,
    /// Whether only objects with our instance label are shown.
    pub is_filtered: bool,
    /// Keys seen since the list under way began.
    pub seen: Option<BTreeSet<ObjectKey>>,
}

/// How far a watch sees.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Sight {
    /// The first list is under way.
    Listing,
    /// Everything has been seen and events arrive.
    Clear,
    /// Events do not arrive, since a time, because of something.
    Blind(Timestamp, CallError),
    /// The API server does not serve the kind: there is nothing to see.
    NoSuchKind,
}

/// What we keep of one object.
#[derive(Clone, Debug)]
pub(crate) struct LiveEntry {
    /// What apps are compared by.
    pub digest: LiveDigest,
    /// What later events are compared with.
    pub baseline: Option<Baseline>,
    /// Whether fields of other tools have to be taken over before an apply; `None` where that was not looked at.
    pub takes_over: Option<bool>,
    /// What it was judged by; something else since means that it has to be judged again.
    pub judged_by: Option<Digest>,
    /// The whole object, only until it could be judged.
    pub unjudged: Option<Unjudged>,
    /// Whether our apply entry holds `spec.replicas`.
    pub owns_replicas: bool,
    /// Whether tools that we adopt from, or hand tools, hold fields.
    pub has_other_managers: bool,
    /// How often it was changed and changed back lately.
    pub heat: Heat,
    /// Whether a check with the API server is under way.
    pub is_checking: bool,
    /// Whether something newer was seen meanwhile that only another check can judge.
    pub checks_again: bool,
    /// Whether what the list under way shows counts whatever its resourceVersion: it was known before that began.
    pub is_listed_anew: bool,
}

/// An object that could not be judged yet: what Git wants of it may not be known for hours. Most are judged in the turn in
/// which they came; after that they are kept as text, for a tree of JSON takes up to ten times as much.
#[derive(Clone, Debug)]
pub(crate) enum Unjudged {
    /// As it came.
    Tree(Box<Object>),
    /// As JSON.
    Text(Box<str>),
}

impl Unjudged {
    /// Returns the object.
    pub(crate) fn open(self) -> Object {
        match self {
            Self::Tree(object) => *object,
            Self::Text(text) => {
                let value = serde_json::from_str(&text).expect("the text was written from JSON");
                Object::from_value(value).expect("the text was written from an object")
            }
        }
    }

    fn pack(self) -> Self {
        match self {
            Self::Tree(object) => Self::Text(object.into_value().to_string().into()),
            Self::Text(text) => Self::Text(text),
        }
    }
}

/// What an object looked like when it was known to be in sync with a desired object.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Baseline {
    /// Which desired object.
    pub desired: Digest,
    /// The fields that we own, with their values.
    pub fingerprint: Option<Fingerprint>,
    /// Live's values at desired's paths, after a dry-run said that they are right.
    pub values: Option<Digest>,
}

impl LiveView {
    /// Returns an object.
    pub(crate) fn get(&self, key: &ObjectKey) -> Option<&LiveEntry> {
        self.objects.get(key).map(Box::as_ref)
    }

    /// Returns an object for editing; its labels stay as they are.
    pub(crate) fn get_mut(&mut self, key: &ObjectKey) -> Option<&mut LiveEntry> {
        self.objects.get_mut(key).map(Box::as_mut)
    }

    /// Puts an object in, in the place of an older one.
    pub(crate) fn insert(&mut self, entry: LiveEntry) {
        let key = entry.digest.key.clone();
        self.remove(&key);
        self.by_part_of.insert((entry.digest.part_of.clone(), key.clone()));
        if !entry.digest.has_instance_label {
            *self.unlabelled.entry(key.group_kind()).or_default() += 1;
        }
        if entry.unjudged.is_some() {
            self.fresh.push(key.clone());
        }
        self.objects.insert(key, Box::new(entry));
    }

    /// Ends a turn: what was not judged in it takes less room from now on.
    pub(crate) fn pack_unjudged(&mut self) {
        for key in std::mem::take(&mut self.fresh) {
            if let Some(entry) = self.objects.get_mut(&key) {
                entry.unjudged = entry.unjudged.take().map(Unjudged::pack);
            }
        }
    }

    /// A list of a kind begins: it is believed over what was known before. The numbers of a cluster that was restored from a
    /// backup are lower than those that we know.
    pub(crate) fn list_begins(&mut self, kind: &GroupKind) {
        let known = self.objects.iter_mut().filter(|(key, _)| key.group_kind() == *kind);
        known.for_each(|(_, entry)| entry.is_listed_anew = true);
        if let Some(watch) = self.kinds.get_mut(kind) {
            watch.seen = Some(BTreeSet::new());
        }
    }

    /// A list of a kind is complete: what is known of it now is as new as what comes.
    pub(crate) fn list_ends(&mut self, kind: &GroupKind) -> BTreeSet<ObjectKey> {
        let known = self.objects.iter_mut().filter(|(key, _)| key.group_kind() == *kind);
        known.for_each(|(_, entry)| entry.is_listed_anew = false);
        self.kinds.get_mut(kind).and_then(|watch| watch.seen.take()).unwrap_or_default()
    }

    /// Takes an object out.
    pub(crate) fn remove(&mut self, key: &ObjectKey) -> Option<LiveEntry> {
        let entry = *self.objects.remove(key)?;
        self.by_part_of.remove(&(entry.digest.part_of.clone(), key.clone()));
        let unlabelled = self.unlabelled.get_mut(&key.group_kind());
        if let Some(count) = unlabelled.filter(|_| !entry.digest.has_instance_label) {
            *count -= 1;
        }
        Some(entry)
    }

    /// Returns whether an object that was read shows nothing newer than what is known.
    pub(crate) fn is_old(&self, key: &ObjectKey, resource_version: &str) -> bool {
        self.objects.get(key).is_some_and(|entry| {
            let known = entry.digest.resource_version.as_str();
            known == resource_version || !(entry.is_listed_anew || is_newer(resource_version, known))
        })
    }

    /// Returns the keys of objects that carry an app's part-of label.
    pub(crate) fn part_of<'a>(&'a self, label: &'a str) -> impl Iterator<Item = &'a ObjectKey> + use<'a> {
        let first = (label.to_owned(), ObjectKey::new("", "", "", ""));
        let from = self.by_part_of.range(first..);
        from.take_while(move |(other, _)| other == label).map(|(_, key)| key)
    }

    /// Returns whether some object of a kind that concerns us does not carry our label.
    pub(crate) fn has_unlabelled(&self, kind: &GroupKind) -> bool {
        self.unlabelled.get(kind).is_some_and(|count| *count > 0)
    }

    /// Returns how many objects are known.
    pub(crate) fn len(&self) -> usize {
        self.objects.len()
    }

    /// Returns whether some object of a kind is known.
    pub(crate) fn has_any(&self, kind: &GroupKind) -> bool {
        let first = ObjectKey::new(&kind.group, &kind.kind, "", "");
        self.objects.range(first..).next().is_some_and(|(key, _)| key.is_kind(&kind.group, &kind.kind))
    }

    /// Returns the keys of a kind.
    pub(crate) fn keys_of(&self, kind: &GroupKind) -> Vec<ObjectKey> {
        self.objects.keys().filter(|key| key.group_kind() == *kind).cloned().collect()
    }

    /// Returns whether a kind has been listed whole and its events arrive.
    pub(crate) fn sees(&self, kind: &GroupKind) -> bool {
        self.kinds.get(kind).is_some_and(|watch| matches!(watch.sight, Sight::Clear | Sight::NoSuchKind))
    }

    /// Says why a kind is not seen, and since when.
    pub(crate) fn obstacle(&self, kind: &GroupKind) -> Option<String> {
        match self.kinds.get(kind).map(|watch| &watch.sight) {
            None | Some(Sight::Listing) => Some(format!("{kind} has not been listed yet")),
            Some(Sight::Blind(since, why)) => {
                Some(format!("{kind} is not seen since {since}: {}", why.message))
            }
            Some(Sight::Clear | Sight::NoSuchKind) => None,
        }
    }

    /// Returns whether changes of a kind are not told, whatever was listed.
    pub(crate) fn is_blind(&self, kind: &GroupKind) -> bool {
        self.kinds.get(kind).is_some_and(|watch| matches!(watch.sight, Sight::Blind(..)))
    }

    /// Returns whether a kind's first list is still under way.
    pub(crate) fn is_listing(&self, kind: &GroupKind) -> bool {
        self.kinds.get(kind).is_none_or(|watch| watch.sight == Sight::Listing)
    }
}

/// Returns whether one resourceVersion is newer than another. They are numbers in every API server in use, and comparing
/// them is documented since Kubernetes 1.35; where one is no number, whatever comes later counts as newer.
pub(crate) fn is_newer(new: &str, old: &str) -> bool {
    match (new.parse::<u64>(), old.parse::<u64>()) {
        (Ok(new), Ok(old)) => new > old,
        (Ok(_) | Err(_), _) => new != old,
    }
}

/// Makes the digest of a live object; `matching` is decided apart.
pub(crate) fn digest_of(object: &Object, instance_label: &str, assessment: Assessment) -> LiveDigest {
    let option = |option: &str| object.annotation_lists(names::SYNC_OPTIONS, option);
    let keeps = object.annotation(names::HELM_RESOURCE_POLICY) == Some("keep");
    let metadata = object.metadata();
    let owners = metadata.and_then(|m| m.get("ownerReferences")).and_then(Value::as_array);
    LiveDigest {
        key: object.key(),
        version: object.gvk().version,
        uid: object.uid().into(),
        resource_version: object.resource_version().into(),
        tracking: object.annotation(names::TRACKING_ID).and_then(TrackingId::parse),
        has_instance_label: object.label(names::INSTANCE_LABEL) == Some(instance_label),
        part_of: object.label(names::PART_OF_LABEL).unwrap_or_default().into(),
        is_owned: owners.is_some_and(|owners| !owners.is_empty()),
        has_finalizers: metadata
            .and_then(|m| m.get("finalizers"))
            .and_then(Value::as_array)
            .is_some_and(|all| !all.is_empty()),
        is_deleting: object.is_deleting(),
        matching: Match::Undecided,
        health: assessment.health,
        evidence: assessment.evidence,
        available: health::available(object),
        progress: progress(object),
        health_ignored: object.annotation(names::IGNORE_HEALTHCHECK) == Some("true"),
        keep_on_prune: option("Prune=false") || keeps,
        keep_on_delete: option("Delete=false") || keeps,
        delete_allowed: object.annotation(names::DELETE_ANNOTATION) == Some("allow"),
        prune_needs_confirmation: option("Prune=confirm"),
        delete_needs_confirmation: option("Delete=confirm"),
        ignore_extraneous: object.annotation_lists(names::COMPARE_OPTIONS, "IgnoreExtraneous"),
        not_yet: application::object_not_yet(object),
        images: images(object),
        links: health::links(object),
    }
}

/// Hashes what shows that an object gets on: counts and conditions, neither messages nor times.
fn progress(object: &Object) -> Digest {
    let status = object.get("status").and_then(Value::as_object);
    let counts = status.into_iter().flatten().filter(|(_, value)| value.is_number());
    let counts = counts.map(|(field, value)| format!("{field}={value}"));
    let conditions = status.and_then(|s| s.get("conditions")).and_then(Value::as_array);
    let conditions = conditions.into_iter().flatten().map(|c| format!("{}={}", c["type"], c["status"]));
    let generation = object.generation().unwrap_or_default().to_string();
    let text: Vec<String> = std::iter::once(generation).chain(counts).chain(conditions).collect();
    digest(text.join(";").as_bytes())
}

/// Returns the images of an object's containers, sorted and unique.
pub(crate) fn images(object: &Object) -> Vec<String> {
    let mut found = BTreeSet::new();
    let pod_spec = ["/spec/template/spec", "/spec/jobTemplate/spec/template/spec", "/spec"];
    let value = object.get("spec");
    if value.is_some() {
        let whole = Value::Object(object.fields().clone());
        for pointer in pod_spec {
            for list in ["containers", "initContainers"] {
                let containers = whole.pointer(&format!("{pointer}/{list}")).and_then(Value::as_array);
                let images = containers.into_iter().flatten().filter_map(|c| c.get("image")?.as_str());
                found.extend(images.map(str::to_owned));
            }
        }
    }
    found.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn object(name: &str) -> Object {
        let value = json!({
            "apiVersion": "v1", "kind": "ConfigMap", "data": {"ratio": "0.1"},
            "metadata": {"name": name, "namespace": "shop", "uid": "u", "resourceVersion": "7",
                "labels": {names::PART_OF_LABEL: "argocd.shop"}},
        });
        Object::from_value(value).unwrap()
    }

    fn view(names: &[&str]) -> LiveView {
        let mut view = LiveView::default();
        for name in names {
            let assessment = Assessment { health: None, evidence: model::Evidence::None };
            view.insert(crate::judge::entry(object(name), "ours", assessment, None));
        }
        view
    }

    #[test]
    fn what_waits_to_be_judged_is_kept_as_it_came() {
        let mut view = view(&["early", "late"]);
        let take = |view: &mut LiveView, name: &str| {
            view.get_mut(&object(name).key()).and_then(|entry| entry.unjudged.take())
        };
        assert!(matches!(take(&mut view, "early"), Some(Unjudged::Tree(_))));
        view.pack_unjudged();
        assert!(take(&mut view, "early").is_none());
        let packed = take(&mut view, "late").unwrap();
        assert!(matches!(packed, Unjudged::Text(_)));
        assert_eq!(packed.open(), object("late"));
    }

    #[test]
    fn an_app_s_objects_are_those_of_its_own_label() {
        let mut view = view(&["b", "a"]);
        let names =
            |view: &LiveView, label| view.part_of(label).map(|key| key.name.clone()).collect::<Vec<_>>();
        assert_eq!(names(&view, "argocd.shop"), ["a", "b"]);
        assert!(names(&view, "argocd.shop2").is_empty() && names(&view, "argocd.sho").is_empty());
        assert!(view.remove(&object("a").key()).is_some());
        assert_eq!(names(&view, "argocd.shop"), ["b"]);
    }
}
