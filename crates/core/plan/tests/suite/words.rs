//! How do the tests speak of objects? `Kind name word word ...`, one object per line.

use model::{
    App, AppKey, Automated, Destination, Directory, Evidence, Health, HealthStatus, LiveDigest, Match,
    NotYet, ObjectKey, Source, digest, tracking::TrackingId,
};
use std::collections::BTreeMap;

pub(crate) const INSTANCE: &str = "shop";
pub(crate) const PART_OF: &str = "part";

/// Names an object by `Kind name`; the group follows from the kind.
pub(crate) fn key(text: &str) -> ObjectKey {
    let (kind, name) = text.split_once(' ').expect("`Kind name`");
    let group = match kind {
        "CustomResourceDefinition" => "apiextensions.k8s.io",
        "Deployment" => "apps",
        "Application" => "argoproj.io",
        _ => "",
    };
    let namespace = match kind {
        "CustomResourceDefinition" | "Namespace" | "PersistentVolume" => "",
        _ => "ns",
    };
    ObjectKey::new(group, kind, namespace, name)
}

/// Makes a live object that is proven to be ours, in sync and without an opinion on health, and changes it word by
/// word.
pub(crate) fn live(text: &str) -> LiveDigest {
    let mut words = text.split_whitespace();
    let (kind, name) = (words.next().expect("a kind"), words.next().expect("a name"));
    let key = key(&format!("{kind} {name}"));
    let mut live = LiveDigest {
        version: "v1".into(),
        uid: format!("uid-{name}"),
        resource_version: "1".into(),
        tracking: Some(TrackingId::new(INSTANCE, &key, "ns")),
        has_instance_label: true,
        part_of: PART_OF.into(),
        is_owned: false,
        has_finalizers: false,
        is_deleting: false,
        matching: Match::InSync,
        health: None,
        evidence: Evidence::None,
        available: None,
        progress: digest(b"0"),
        health_ignored: false,
        keep_on_prune: false,
        keep_on_delete: false,
        delete_allowed: false,
        prune_needs_confirmation: false,
        delete_needs_confirmation: false,
        ignore_extraneous: false,
        not_yet: Vec::new(),
        images: Vec::new(),
        links: Vec::new(),
        key,
    };
    words.for_each(|word| change(&mut live, word));
    live
}

fn change(live: &mut LiveDigest, word: &str) {
    match word {
        "drifted" => live.matching = Match::Drifted,
        "undecided" => live.matching = Match::Undecided,
        "owned" => live.is_owned = true,
        "finalized" => live.has_finalizers = true,
        "untracked" => live.tracking = None,
        "copied" => live.tracking = Some(TrackingId::new(INSTANCE, &key("Deployment parent"), "ns")),
        "foreign" => live.tracking = Some(TrackingId::new("other", &live.key, "ns")),
        "unlabelled" => live.has_instance_label = false,
        "moved" => live.part_of = "another".into(),
        "keep" => live.keep_on_prune = true,
        "keep-on-delete" => live.keep_on_delete = true,
        "allow" => live.delete_allowed = true,
        "confirm" => live.prune_needs_confirmation = true,
        "confirm-delete" => live.delete_needs_confirmation = true,
        "wave" => live.not_yet.push(NotYet { field: format!("{}: wave", live.key.name) }),
        "extraneous" => live.ignore_extraneous = true,
        "condemns" => live.evidence = Evidence::Condemns,
        "unjudged-health" => live.health_ignored = true,
        word if word.starts_with("link=") => live.links.push(word["link=".len()..].into()),
        word => match (HealthStatus::parse(word), word.strip_prefix("image=")) {
            (Some(status), _) => live.health = Some(Health::new(status, "")),
            (None, Some(image)) => live.images.push(image.into()),
            (None, None) => panic!("no such word: {word}"),
        },
    }
}

/// Makes live objects of lines; blank lines do not count.
pub(crate) fn cluster(lines: &str) -> BTreeMap<ObjectKey, LiveDigest> {
    lines
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .map(live)
        .map(|live| (live.key.clone(), live))
        .collect()
}

/// Makes an app with auto-sync and prune.
pub(crate) fn app() -> App {
    App {
        uid: "uid".into(),
        project: "default".into(),
        source: Source {
            repo_url: "https://example.com/shop".into(),
            path: "app".into(),
            target_revision: "main".into(),
            directory: Directory::default(),
        },
        destination: Destination {
            server: "https://kubernetes.default.svc".into(),
            name: String::new(),
            namespace: "ns".into(),
        },
        automated: Some(Automated { prune: true, self_heal: true, allow_empty: false }),
        ..App::named(AppKey::new("argocd", "shop"))
    }
}
