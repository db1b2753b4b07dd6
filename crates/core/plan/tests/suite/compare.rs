//! How does an app compare with its cluster, object by object and as a whole?

use crate::words::{INSTANCE, PART_OF, cluster, key};
use model::{Comparison, DesiredHash, Evidence, Health, ObjectStatus, digest};
use plan::{DesiredObject, Inherited, Side, compare};

/// What a case says beside its objects.
#[derive(Default)]
struct Case<'a> {
    desired: &'a [&'a str],
    live: &'a str,
    refused: &'a [(&'a str, &'a str)],
    inherited: &'a [(&'a str, &'a str)],
    blind: &'a [&'a str],
    unclear: &'a [&'a str],
    is_incomplete: bool,
}

impl Case<'_> {
    fn compare(&self) -> Comparison {
        let desired: Vec<DesiredObject> =
            self.desired.iter().map(|text| DesiredObject { key: key(text), version: "v2".into() }).collect();
        let refused = self.refused.iter().map(|(text, why)| (key(text), (*why).into())).collect();
        let inherited = |(text, obstacle): &(&str, &str)| {
            (key(text), Inherited { version: "v3".into(), obstacle: (*obstacle).into() })
        };
        let side = Side {
            hash: DesiredHash(digest(b"desired")),
            desired: &desired,
            live: &cluster(self.live),
            refused: &refused,
            inherited: &self.inherited.iter().map(inherited).collect(),
            blind: &self.blind.iter().map(|text| key(text)).collect(),
            unclear: &self.unclear.iter().map(|text| key(text)).collect(),
            is_complete: !self.is_incomplete,
            owner: (INSTANCE, PART_OF),
            own_key: &key("Application shop"),
            shared: &["shared".into()],
            unseen: &["unseen".into()],
        };
        compare(&side, |_| Health::healthy())
    }

    fn text(&self) -> String {
        let comparison = self.compare();
        let mut lines = vec![format!(
            "{}{}{}",
            comparison.sync,
            if comparison.is_complete { "" } else { ", incomplete" },
            if comparison.is_settled { "" } else { ", unsettled" },
        )];
        lines.extend(comparison.objects.iter().map(line));
        lines.join("\n")
    }
}

fn line(object: &ObjectStatus) -> String {
    let mut words = vec![object.sync.map_or("no opinion".into(), |sync| sync.to_string())];
    words.extend(object.health.as_ref().map(|health| health.status.to_string()));
    let flags = [
        (object.is_live, "live"),
        (object.requires_pruning, "prune"),
        (object.requires_confirmation, "confirm"),
    ];
    words.extend(flags.iter().filter(|(is_set, _)| *is_set).map(|(_, word)| (*word).to_owned()));
    if !object.refused.is_empty() {
        words.push(format!("refused: {}", object.refused));
    }
    format!("{} {}: {}", object.key, object.version, words.join(", "))
}

#[test]
fn desired_objects_compare_by_what_is_live() {
    let case = Case {
        desired: &["ConfigMap same", "ConfigMap other", "ConfigMap missing"],
        live: "ConfigMap same Healthy
               ConfigMap other drifted Degraded confirm-delete",
        ..Case::default()
    };
    assert_eq!(
        case.text(),
        "OutOfSync\n\
         ConfigMap ns/missing v2: OutOfSync\n\
         ConfigMap ns/other v2: OutOfSync, Degraded, live, confirm\n\
         ConfigMap ns/same v2: Synced, Healthy, live"
    );
    assert_eq!(case.compare().to_apply().count(), 2);
    assert_eq!(case.compare().to_prune().count(), 0);
}

#[test]
fn what_is_not_known_is_said_to_be_unknown() {
    let undecided =
        Case { desired: &["ConfigMap a"], live: "ConfigMap a undecided Healthy", ..Case::default() };
    assert_eq!(undecided.text(), "Unknown, unsettled\nConfigMap ns/a v2: Unknown, Healthy, live");

    let blind = Case {
        desired: &["ConfigMap a"],
        live: "ConfigMap a drifted",
        blind: &["ConfigMap a"],
        ..Case::default()
    };
    assert_eq!(blind.text(), "Unknown, incomplete\nConfigMap ns/a v2: Unknown, live");
    assert_eq!(blind.compare().to_apply().count(), 0, "nothing is applied on a view that is not whole");

    let unclear = Case {
        desired: &["ConfigMap a", "ConfigMap b"],
        live: "ConfigMap a undecided
               ConfigMap c",
        unclear: &["ConfigMap a", "ConfigMap b"],
        ..Case::default()
    };
    assert_eq!(
        unclear.text(),
        "OutOfSync\n\
         ConfigMap ns/a v2: Unknown, live\n\
         ConfigMap ns/b v2: Unknown\n\
         ConfigMap ns/c v1: OutOfSync, live, prune",
        "the rest is judged and pruned all the same"
    );
    let blind_and_undecided = Case {
        live: "ConfigMap a undecided",
        ..Case { desired: &["ConfigMap a"], blind: &["ConfigMap a"], ..Case::default() }
    };
    assert_eq!(blind_and_undecided.text(), "Unknown, incomplete\nConfigMap ns/a v2: Unknown, live");

    let incomplete =
        Case { is_incomplete: true, desired: &["ConfigMap a"], live: "ConfigMap a", ..Case::default() };
    assert_eq!(incomplete.text(), "Unknown, incomplete\nConfigMap ns/a v2: Synced, live");
}

#[test]
fn refused_objects_are_unknown_and_never_applied() {
    let case = Case {
        desired: &["ConfigMap mine", "ConfigMap theirs", "ConfigMap gone"],
        live: "ConfigMap mine
               ConfigMap theirs drifted",
        refused: &[("ConfigMap theirs", "belongs to app b"), ("ConfigMap gone", "belongs to app c")],
        ..Case::default()
    };
    assert_eq!(
        case.text(),
        "Unknown\n\
         ConfigMap ns/gone v2: Unknown, refused: belongs to app c\n\
         ConfigMap ns/mine v2: Synced, live\n\
         ConfigMap ns/theirs v2: Unknown, live, refused: belongs to app b"
    );
    assert_eq!(case.compare().to_apply().count(), 0);
}

#[test]
fn what_the_status_lists_stays_listed_until_it_is_settled() {
    let under_way = Case {
        desired: &["ConfigMap a", "ConfigMap b"],
        live: "ConfigMap a",
        inherited: &[("ConfigMap b", ""), ("ConfigMap old", "")],
        ..Case::default()
    };
    assert_eq!(
        under_way.text(),
        "Unknown, unsettled\n\
         ConfigMap ns/a v2: Synced, live\n\
         ConfigMap ns/b v2: Unknown, live\n\
         ConfigMap ns/old v3: Unknown, live"
    );
    assert_eq!(under_way.compare().to_apply().chain(under_way.compare().to_prune()).count(), 0);

    let failed = Case {
        desired: &["ConfigMap a", "ConfigMap b"],
        live: "ConfigMap a",
        inherited: &[("ConfigMap b", "forbidden"), ("ConfigMap old", "forbidden")],
        ..Case::default()
    };
    assert_eq!(
        failed.text(),
        "OutOfSync\n\
         ConfigMap ns/a v2: Synced, live\n\
         ConfigMap ns/b v2: OutOfSync\n\
         ConfigMap ns/old v3: Unknown, live, refused: forbidden"
    );
    assert_eq!(failed.compare().to_apply().collect::<Vec<_>>(), [&key("ConfigMap b")]);
    assert_eq!(failed.compare().to_prune().count(), 0);

    let shown = Case { live: "ConfigMap old", inherited: &[("ConfigMap old", "")], ..Case::default() };
    assert_eq!(shown.text(), "OutOfSync\nConfigMap ns/old v1: OutOfSync, live, prune");
}

#[test]
fn extra_objects_count_only_if_they_prove_to_be_ours() {
    let case = Case {
        live: "ConfigMap ours Healthy
               ConfigMap asks confirm
               ConfigMap child owned
               ConfigMap copy copied
               ConfigMap stranger foreign
               ConfigMap bare untracked
               ConfigMap plain unlabelled
               ConfigMap elsewhere moved",
        ..Case::default()
    };
    assert_eq!(
        case.text(),
        "OutOfSync\n\
         ConfigMap ns/asks v1: OutOfSync, live, prune, confirm\n\
         ConfigMap ns/ours v1: OutOfSync, Healthy, live, prune"
    );
}

#[test]
fn a_desired_object_needs_no_proof() {
    let case = Case {
        desired: &["ConfigMap child", "ConfigMap stranger"],
        live: "ConfigMap child owned
               ConfigMap stranger foreign unlabelled",
        ..Case::default()
    };
    assert_eq!(
        case.text(),
        "Synced\nConfigMap ns/child v2: Synced, live\nConfigMap ns/stranger v2: Synced, live"
    );
}

#[test]
fn ignored_extras_are_shown_and_do_not_count() {
    let case = Case {
        desired: &["ConfigMap a"],
        live: "ConfigMap a
               ConfigMap x extraneous",
        ..Case::default()
    };
    assert_eq!(
        case.text(),
        "Synced\nConfigMap ns/a v2: Synced, live\nConfigMap ns/x v1: OutOfSync, live, prune"
    );
    let desired =
        Case { desired: &["ConfigMap a"], live: "ConfigMap a drifted extraneous", ..Case::default() };
    assert!(desired.text().starts_with("OutOfSync"), "the option is about extra objects alone");
}

#[test]
fn the_worst_status_decides() {
    for (live, expected) in [
        ("ConfigMap a\nConfigMap b", "Synced"),
        ("ConfigMap a\nConfigMap b undecided", "Unknown"),
        ("ConfigMap a drifted\nConfigMap b undecided", "OutOfSync"),
    ] {
        let case = Case { desired: &["ConfigMap a", "ConfigMap b"], live, ..Case::default() };
        assert_eq!(case.compare().sync.as_str(), expected, "{live}");
    }
    assert_eq!(Case::default().text(), "Synced", "an app without objects is Synced");
}

#[test]
fn health_that_does_not_count_is_left_out() {
    let case = Case {
        desired: &["Application shop", "Deployment a", "Deployment b"],
        live: "Application shop Progressing
               Deployment a Degraded unjudged-health
               Deployment b Degraded",
        ..Case::default()
    };
    assert_eq!(
        case.text(),
        "Synced\n\
         Deployment.apps ns/a v2: Synced, live\n\
         Deployment.apps ns/b v2: Synced, Degraded, live\n\
         Application.argoproj.io ns/shop v2: Synced, live"
    );
}

#[test]
fn evidence_counts_where_health_does_and_only_as_far_as_it_is_seen() {
    let evidence = |live, blind| {
        let case = Case { desired: &["Deployment a"], live, blind, ..Case::default() };
        case.compare().objects[0].evidence
    };
    assert_eq!(evidence("Deployment a Degraded condemns", &[]), Evidence::Condemns);
    assert_eq!(evidence("Deployment a Degraded condemns", &["Deployment a"]), Evidence::Holds);
    assert_eq!(evidence("Deployment a Degraded condemns unjudged-health", &[]), Evidence::None);
    assert_eq!(evidence("", &[]), Evidence::None);
}

#[test]
fn the_rest_of_a_comparison_is_passed_on() {
    let with = |live| Case { desired: &["Deployment a"], live, ..Case::default() }.compare();
    let comparison = with("Deployment a image=b image=a link=https://b link=https://a");
    assert_eq!(comparison.images, ["a", "b"]);
    assert_eq!(comparison.links, ["https://a", "https://b"]);
    assert_eq!(comparison.shared, ["shared"]);
    assert_eq!(comparison.progress, with("Deployment a drifted").progress);
    assert_ne!(comparison.progress, with("").progress, "an object that came or went is progress");
}

#[test]
fn repeated_desired_keys_are_one_object() {
    let case = Case { desired: &["ConfigMap a", "ConfigMap a"], live: "ConfigMap a", ..Case::default() };
    assert_eq!(case.text(), "Synced\nConfigMap ns/a v2: Synced, live");
}
