//! How does an app compare with its cluster? The roll-up is Argo CD's (its sync status documentation).

use model::{
    Comparison, DesiredHash, Digest, Evidence, Health, LiveDigest, Match, ObjectKey, ObjectStatus,
    SyncStatus, digest,
};
use std::collections::{BTreeMap, BTreeSet};

/// One desired object, as far as comparing whole apps needs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DesiredObject {
    /// What identifies it.
    pub key: ObjectKey,
    /// The version that the manifest has.
    pub version: String,
}

/// An object that the status lists and that nobody has seen to be the app's so far.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inherited {
    /// The version that the status names.
    pub version: String,
    /// Why it cannot be taken over; empty while that is under way.
    pub obstacle: String,
}

/// Everything that a comparison looks at.
#[derive(Clone, Debug)]
pub struct Side<'a> {
    /// Hash of the desired set.
    pub hash: DesiredHash,
    /// The desired objects.
    pub desired: &'a [DesiredObject],
    /// Digests of live objects: those of desired keys, and all that carry the app's part-of label.
    pub live: &'a BTreeMap<ObjectKey, LiveDigest>,
    /// Why desired objects are not to be applied: another app owns them, the project forbids them.
    pub refused: &'a BTreeMap<ObjectKey, String>,
    /// What the status lists and is not settled yet: it stays listed, so that it is not lost.
    pub inherited: &'a BTreeMap<ObjectKey, Inherited>,
    /// Keys of kinds that could not be listed whole.
    pub blind: &'a BTreeSet<ObjectKey>,
    /// Keys of objects of which the API server does not tell how they compare.
    pub unclear: &'a BTreeSet<ObjectKey>,
    /// Whether all kinds in the inventory have been listed whole.
    pub is_complete: bool,
    /// The app's tracking instance name and its part-of label.
    pub owner: (&'a str, &'a str),
    /// The Application's own key: an app that manages itself does not wait for its own health.
    pub own_key: &'a ObjectKey,
    /// `Prune=false` for the whole app changes nothing here, `Prune=confirm` on a live object does.
    pub shared: &'a [String],
    /// Why some kinds or objects cannot be seen or compared: sentences.
    pub unseen: &'a [String],
}

/// Compares desired with live. `aggregate` rolls health up (`health::aggregate`).
pub fn compare(side: &Side<'_>, aggregate: impl Fn(&[ObjectStatus]) -> Health) -> Comparison {
    let desired: BTreeMap<&ObjectKey, &DesiredObject> = side.desired.iter().map(|d| (&d.key, d)).collect();
    let mut objects: Vec<ObjectStatus> = desired.values().map(|d| desired_status(side, d)).collect();
    let extras = side.live.values().filter(|live| !desired.contains_key(&live.key));
    objects.extend(extras.filter_map(|live| extra_status(side, live)));
    let known: BTreeSet<ObjectKey> = objects.iter().map(|object| object.key.clone()).collect();
    let inherited = side.inherited.iter().filter(|(key, _)| !known.contains(*key));
    objects.extend(inherited.map(|(key, inherited)| inherited_status(key, inherited)));
    objects.sort_by(|a, b| a.key.cmp(&b.key));
    let undecided = |o: &ObjectStatus| {
        o.sync == Some(SyncStatus::Unknown)
            && o.is_live
            && o.refused.is_empty()
            && !side.blind.contains(&o.key)
            && !side.unclear.contains(&o.key)
    };
    let images: BTreeSet<String> = side.live.values().flat_map(|live| live.images.iter().cloned()).collect();
    let links: BTreeSet<String> = side.live.values().flat_map(|live| live.links.iter().cloned()).collect();
    Comparison {
        hash: side.hash,
        sync: roll_up(side, &objects),
        health: aggregate(&objects),
        is_complete: side.is_complete && side.blind.is_empty(),
        is_settled: !objects.iter().any(undecided),
        progress: progress(side.live),
        shared: side.shared.to_vec(),
        unseen: side.unseen.to_vec(),
        images: images.into_iter().collect(),
        links: links.into_iter().collect(),
        objects,
    }
}

fn desired_status(side: &Side<'_>, desired: &DesiredObject) -> ObjectStatus {
    let live = side.live.get(&desired.key);
    let refused = side.refused.get(&desired.key).cloned().unwrap_or_default();
    let is_hidden = side.inherited.get(&desired.key).is_some_and(|inherited| inherited.obstacle.is_empty());
    let sync = match live {
        _ if side.blind.contains(&desired.key) => SyncStatus::Unknown,
        _ if !refused.is_empty() => SyncStatus::Unknown,
        _ if side.unclear.contains(&desired.key) => SyncStatus::Unknown,
        None if is_hidden => SyncStatus::Unknown,
        None => SyncStatus::OutOfSync,
        Some(live) => match live.matching {
            Match::InSync => SyncStatus::Synced,
            Match::Drifted => SyncStatus::OutOfSync,
            Match::Undecided => SyncStatus::Unknown,
        },
    };
    let judged = live.filter(|live| !live.health_ignored && live.key != *side.own_key);
    ObjectStatus {
        key: desired.key.clone(),
        version: desired.version.clone(),
        sync: Some(sync),
        health: judged.and_then(|live| live.health.clone()),
        evidence: judged.map_or(Evidence::None, |live| evidence(side, live)),
        available: judged.and_then(|live| live.available),
        is_live: live.is_some() || is_hidden,
        requires_pruning: false,
        requires_confirmation: live.is_some_and(|live| live.delete_needs_confirmation),
        refused,
    }
}

/// What was last seen of an object whose kind cannot be seen now proves nothing.
fn evidence(side: &Side<'_>, live: &LiveDigest) -> Evidence {
    if side.blind.contains(&live.key) { live.evidence.min(Evidence::Holds) } else { live.evidence }
}

/// An extra object counts only if it proves to be the app's: labels can be copied by operators, tracking ids too.
fn extra_status(side: &Side<'_>, live: &LiveDigest) -> Option<ObjectStatus> {
    let (instance, part_of) = side.owner;
    if live.is_owned || !live.is_proven(instance, part_of) {
        return None;
    }
    Some(ObjectStatus {
        key: live.key.clone(),
        version: live.version.clone(),
        sync: Some(SyncStatus::OutOfSync),
        health: live.health.clone().filter(|_| !live.health_ignored),
        evidence: if live.health_ignored { Evidence::None } else { evidence(side, live) },
        available: live.available,
        is_live: true,
        requires_pruning: true,
        requires_confirmation: live.prune_needs_confirmation || live.delete_needs_confirmation,
        refused: String::new(),
    })
}

/// What may be the app's and may not: it is neither applied nor pruned, and the app is not said to be Synced.
fn inherited_status(key: &ObjectKey, inherited: &Inherited) -> ObjectStatus {
    ObjectStatus {
        key: key.clone(),
        version: inherited.version.clone(),
        sync: Some(SyncStatus::Unknown),
        health: None,
        evidence: Evidence::None,
        available: None,
        is_live: true,
        requires_pruning: false,
        requires_confirmation: false,
        refused: inherited.obstacle.clone(),
    }
}

fn roll_up(side: &Side<'_>, objects: &[ObjectStatus]) -> SyncStatus {
    let counts = |o: &&ObjectStatus| {
        !(o.requires_pruning && side.live.get(&o.key).is_some_and(|l| l.ignore_extraneous))
    };
    let statuses: BTreeSet<SyncStatus> = objects.iter().filter(counts).filter_map(|o| o.sync).collect();
    if statuses.contains(&SyncStatus::OutOfSync) {
        SyncStatus::OutOfSync
    } else if statuses.contains(&SyncStatus::Unknown) || !side.is_complete || !side.blind.is_empty() {
        SyncStatus::Unknown
    } else {
        SyncStatus::Synced
    }
}

fn progress(live: &BTreeMap<ObjectKey, LiveDigest>) -> Digest {
    let mut bytes = Vec::with_capacity(live.len() * 32);
    for digest in live.values() {
        bytes.extend_from_slice(digest.progress.bytes());
    }
    digest(&bytes)
}
