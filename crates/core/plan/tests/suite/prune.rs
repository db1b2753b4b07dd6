//! What is deleted, what stays and why, and what waits for a person?

use crate::words::{INSTANCE, PART_OF, app, cluster, key, live};
use model::{
    App, Comparison, DesiredHash, Health, LiveDigest, NotYet, ObjectKey, ObjectOutcome, Timestamp, digest,
};
use plan::prune::{Prune, add, cascade, is_still_deletable, not_yet};
use plan::{DesiredObject, Plan, Side, compare, kinds};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

const START: Timestamp = Timestamp::from_millis(1_000_000);

fn comparison(live: &BTreeMap<ObjectKey, LiveDigest>, desired: &[&str], is_complete: bool) -> Comparison {
    let desired: Vec<_> =
        desired.iter().map(|text| DesiredObject { key: key(text), version: "v1".into() }).collect();
    let side = Side {
        hash: DesiredHash(digest(b"desired")),
        desired: &desired,
        live,
        refused: &BTreeMap::new(),
        inherited: &BTreeMap::new(),
        blind: &BTreeSet::new(),
        unclear: &BTreeSet::new(),
        is_complete,
        owner: (INSTANCE, PART_OF),
        own_key: &key("Application shop"),
        shared: &[],
        unseen: &[],
    };
    compare(&side, |_| Health::healthy())
}

/// Returns one line per stage of deletions, per object that stays, and per object that waits.
fn text(app: &App, live: &str, prune: Prune, is_complete: bool, permitted: bool) -> String {
    let live = cluster(live);
    let comparison = comparison(&live, &["ConfigMap wanted"], is_complete);
    let mut plan = Plan::default();
    add(
        &mut plan,
        app,
        &comparison,
        &live,
        prune,
        (|_: &ObjectKey| permitted, |live: &LiveDigest| live.key.name.starts_with("new")),
    );
    let names = |keys: &[ObjectKey]| {
        keys.iter().map(|k| format!("{} {}", k.kind, k.name)).collect::<Vec<_>>().join(", ")
    };
    let mut lines: Vec<String> =
        plan.prunes.iter().map(|stage| format!("delete {}", names(&stage.keys))).collect();
    lines.extend(plan.skipped.iter().map(|result| match &result.outcome {
        ObjectOutcome::PruneSkipped(why) => format!("{} {}: {why}", result.key.kind, result.key.name),
        other => panic!("{other:?}"),
    }));
    if !plan.unconfirmed.is_empty() {
        lines.push(format!("ask for {}", names(&plan.unconfirmed)));
    }
    lines.join("\n")
}

#[test]
fn what_changed_since_the_plan_was_made_stays() {
    let goes = |text: &str| is_still_deletable(&app(), &live(text), (INSTANCE, PART_OF));
    assert!(goes("ConfigMap old"));
    for word in ["untracked", "copied", "foreign", "unlabelled", "moved", "keep", "owned"] {
        assert!(!goes(&format!("ConfigMap old {word}")), "{word}");
    }
    let kept = App { prune_disabled: true, ..app() };
    assert!(!is_still_deletable(&kept, &live("ConfigMap old"), (INSTANCE, PART_OF)));
}

fn person(live: &str) -> String {
    text(&app(), live, Prune::Person(START), true, true)
}

fn automated(live: &str) -> String {
    text(&app(), live, Prune::Automated(START), true, true)
}

#[test]
fn going_back_deletes_what_was_created_since_and_nothing_else() {
    let going_back = |live: &str| text(&app(), live, Prune::Created(START), true, true);
    assert_eq!(going_back("ConfigMap new"), "delete ConfigMap new");
    let before = "ignored (it was there before, or may have been)";
    assert_eq!(going_back("ConfigMap old"), format!("ConfigMap old: {before}"));
    let data = "ignored (its deletion may lose data: delete it by hand if nobody needs it)";
    for object in ["PersistentVolumeClaim new", "Namespace new", "ConfigMap new finalized"] {
        let name = object.trim_end_matches(" finalized");
        assert_eq!(going_back(object), format!("{name}: {data}"));
    }
    assert_eq!(going_back("ConfigMap new keep"), "ConfigMap new: ignored (no prune)");
}

#[test]
fn what_git_no_longer_has_goes_in_reverse_order() {
    let live = "ConfigMap wanted
                ConfigMap a
                ConfigMap b
                Deployment d
                Service s
                ServiceAccount sa";
    let expected =
        "delete Deployment d\ndelete Service s\ndelete ConfigMap a, ConfigMap b\ndelete ServiceAccount sa";
    assert_eq!(automated(live), expected);
    assert_eq!(person(live), expected);
}

#[test]
fn a_person_who_names_objects_prunes_only_those() {
    let stage = |keys: &[&str]| plan::Stage { keys: keys.iter().map(|text| key(text)).collect() };
    let mut plan = Plan {
        prunes: vec![stage(&["Deployment a"]), stage(&["ConfigMap a", "ConfigMap b"])],
        unconfirmed: vec![key("ConfigMap c")],
        ..Plan::default()
    };
    let everything = plan.clone();
    plan.delete_only(&plan::Selection::All);
    assert_eq!(plan, everything);
    let named = model::ResourceSelector {
        group: String::new(),
        kind: "ConfigMap".into(),
        namespace: String::new(),
        name: "b".into(),
    };
    plan.delete_only(&plan::Selection::Named(vec![named]));
    assert_eq!(plan, Plan { prunes: vec![stage(&["ConfigMap b"])], ..Plan::default() });
}

// N39: a prune
#[test]
fn what_does_not_prove_to_be_ours_is_not_even_mentioned() {
    let words = ["owned", "copied", "foreign", "untracked", "unlabelled", "moved"];
    for word in words {
        assert_eq!(person(&format!("ConfigMap a {word}")), "", "{word}");
    }
}

#[test]
fn each_reason_to_leave_an_object_alone_is_told() {
    let plain = "ConfigMap a";
    let with = |change: &dyn Fn(&mut App), live: &str, prune, is_complete, permitted| {
        let mut app = app();
        change(&mut app);
        text(&app, live, prune, is_complete, permitted)
    };
    let none: &dyn Fn(&mut App) = &|_| {};
    let read_only: &dyn Fn(&mut App) = &|app| app.not_yet = vec![NotYet { field: "spec.source.helm".into() }];
    let disabled: &dyn Fn(&mut App) = &|app| app.prune_disabled = true;
    let by = Prune::Person(START);
    let rows = [
        (with(none, plain, Prune::No, true, true), "ignored (requires pruning)"),
        (with(none, "ConfigMap a keep", by, true, true), "ignored (no prune)"),
        (with(disabled, plain, by, true, true), "ignored (no prune)"),
        (with(none, plain, by, false, true), "ignored (the cluster could not be seen whole)"),
        (with(none, plain, by, true, false), "ignored (the project does not permit it)"),
        (with(read_only, plain, by, true, true), "ignored (the app is read-only)"),
    ];
    for (found, expected) in rows {
        assert_eq!(found, format!("ConfigMap a: {expected}"));
    }
}

#[test]
fn kinds_that_hold_data_go_only_by_a_person_or_by_consent_on_the_object() {
    let reason =
        "ignored (its deletion loses data: sync with prune by hand, or set tautline.dev/delete: allow on it)";
    for kind in ["Namespace", "PersistentVolume", "PersistentVolumeClaim", "CustomResourceDefinition"] {
        assert_eq!(automated(&format!("{kind} a")), format!("{kind} a: {reason}"));
        assert_eq!(automated(&format!("{kind} a allow")), format!("delete {kind} a"));
        assert_eq!(person(&format!("{kind} a")), format!("delete {kind} a"));
        assert_eq!(person(&format!("{kind} a keep allow")), format!("{kind} a: ignored (no prune)"));
        let nobody = text(&app(), &format!("{kind} a allow"), Prune::No, true, true);
        assert_eq!(nobody, format!("{kind} a: ignored (requires pruning)"));
    }
}

#[test]
fn consent_counts_from_the_second_in_which_the_sync_began() {
    let approved = |millis: i64, prune| {
        let mut app = app();
        app.deletion_approved = Some(Timestamp::from_millis(millis));
        text(&app, "ConfigMap a confirm", prune, true, true)
    };
    let late = Prune::Automated(Timestamp::from_millis(1_000_900));
    assert_eq!(automated("ConfigMap a confirm"), "ask for ConfigMap a");
    assert_eq!(person("ConfigMap a confirm"), "ask for ConfigMap a");
    assert_eq!(approved(999_999, Prune::Person(START)), "ask for ConfigMap a");
    assert_eq!(approved(1_000_000, Prune::Person(START)), "delete ConfigMap a");
    assert_eq!(approved(1_000_000, late), "delete ConfigMap a", "annotations have whole seconds");
    assert_eq!(approved(1_000_000, Prune::No), "ConfigMap a: ignored (requires pruning)");
    assert_eq!(person("ConfigMap a confirm\nConfigMap b"), "delete ConfigMap b\nask for ConfigMap a");
}

#[test]
fn an_object_that_is_gone_meanwhile_is_passed_over() {
    let live = cluster("ConfigMap a");
    let comparison = comparison(&live, &[], true);
    let mut plan = Plan::default();
    add(
        &mut plan,
        &app(),
        &comparison,
        &BTreeMap::new(),
        Prune::Person(START),
        (|_: &ObjectKey| true, |_: &LiveDigest| false),
    );
    assert!(plan.is_empty());
}

#[test]
fn an_object_that_got_an_owner_meanwhile_stays() {
    let comparison = comparison(&cluster("ConfigMap a"), &[], true);
    let mut plan = Plan::default();
    let live = cluster("ConfigMap a owned");
    add(
        &mut plan,
        &app(),
        &comparison,
        &live,
        Prune::Person(START),
        (|_: &ObjectKey| true, |_: &LiveDigest| false),
    );
    assert!(plan.prunes.is_empty());
}

fn cascaded(app: &App, lines: &str) -> String {
    let live = cluster(lines);
    let cascaded = cascade(app, live.values(), (INSTANCE, PART_OF), &key("Application shop"), |_| true);
    assert!(cascaded.not_permitted.is_empty());
    named(&cascaded.going)
}

fn named(live: &[&LiveDigest]) -> String {
    live.iter().map(|live| format!("{} {}", live.key.kind, live.key.name)).collect::<Vec<_>>().join(", ")
}

#[test]
fn deletion_of_an_application_takes_what_is_its_own() {
    let lines = "ConfigMap a keep confirm
                 Namespace n
                 PersistentVolumeClaim p
                 Application child
                 Application shop
                 CustomResourceDefinition c allow
                 ConfigMap kept keep-on-delete
                 ConfigMap child owned
                 ConfigMap copy copied
                 ConfigMap stranger foreign
                 ConfigMap bare untracked
                 ConfigMap plain unlabelled
                 ConfigMap elsewhere moved";
    assert_eq!(
        cascaded(&app(), lines),
        "ConfigMap a, Namespace n, PersistentVolumeClaim p, Application child"
    );
    let mut disabled = app();
    disabled.delete_disabled = true;
    assert_eq!(cascaded(&disabled, lines), "");
    let mut read_only = app();
    read_only.not_yet = vec![NotYet { field: "spec.sources".into() }];
    assert_eq!(cascaded(&read_only, lines), "");
}

// N31: a prune
#[test]
fn what_the_project_does_not_permit_stays() {
    let live = cluster("ConfigMap a\nSecret a\nSecret kept keep-on-delete\nSecret stranger foreign");
    let permits = |key: &ObjectKey| key.kind != "Secret";
    let cascaded = cascade(&app(), live.values(), (INSTANCE, PART_OF), &key("Application shop"), permits);
    assert_eq!(named(&cascaded.going), "ConfigMap a");
    assert_eq!(named(&cascaded.not_permitted), "Secret a");
}

#[test]
fn what_live_objects_ask_for_is_named_where_they_are_the_app_s_own() {
    let lines = "ConfigMap b wave
                 ConfigMap a wave keep-on-delete
                 ConfigMap plain
                 ConfigMap stranger wave foreign
                 CustomResourceDefinition c wave";
    assert_eq!(not_yet(cluster(lines).values(), (INSTANCE, PART_OF)), ["a: wave", "b: wave", "c: wave"]);
}

fn any_object() -> impl Strategy<Value = String> {
    let kind = prop::sample::select(vec![
        "ConfigMap",
        "Deployment",
        "Namespace",
        "PersistentVolumeClaim",
        "CustomResourceDefinition",
    ]);
    let words = prop::sample::subsequence(
        vec![
            "drifted",
            "owned",
            "copied",
            "unlabelled",
            "moved",
            "keep",
            "keep-on-delete",
            "allow",
            "confirm",
            "extraneous",
        ],
        0..4,
    );
    (kind, 0..6, words).prop_map(|(kind, n, words)| format!("{kind} o{n} {}", words.join(" ")))
}

proptest! {
    // N39: any inventory
    #[test]
    fn only_what_is_extra_and_proven_is_ever_deleted(
        lines in prop::collection::vec(any_object(), 0..12),
        desired in prop::sample::subsequence(vec!["ConfigMap o0", "ConfigMap o1", "Deployment o0", "Namespace o2"], 0..4),
        is_complete: bool,
        permitted: bool,
        is_automated: bool,
    ) {
        let live = cluster(&lines.join("\n"));
        let comparison = comparison(&live, &desired, is_complete);
        let extra: BTreeSet<&ObjectKey> = comparison.to_prune().collect();
        let prune = if is_automated { Prune::Automated(START) } else { Prune::Person(START) };
        let mut plan = Plan::default();
        add(&mut plan, &app(), &comparison, &live, prune, (|_: &ObjectKey| permitted, |live: &LiveDigest| live.key.name.starts_with("new")));
        let deleted: Vec<&ObjectKey> = plan.prunes.iter().flat_map(|stage| &stage.keys).collect();
        for key in &deleted {
            let object = &live[*key];
            prop_assert!(extra.contains(key) && object.is_proven(INSTANCE, PART_OF) && !object.is_owned);
            prop_assert!(is_complete && permitted && !object.keep_on_prune && !object.prune_needs_confirmation);
            prop_assert!(!is_automated || object.delete_allowed || !kinds::holds_data(&key.group_kind()));
        }
        let told: BTreeSet<&ObjectKey> =
            deleted.iter().copied().chain(plan.skipped.iter().map(|r| &r.key)).chain(&plan.unconfirmed).collect();
        prop_assert_eq!(told, extra, "every extra object is deleted, asked for or skipped with a reason");
        prop_assert_eq!(plan.stages.len(), 0);
    }

    // N39: a deletion with its app
    #[test]
    fn cascade_never_takes_what_is_not_proven(lines in prop::collection::vec(any_object(), 0..12)) {
        let live = cluster(&lines.join("\n"));
        let own = live.keys().next().cloned().unwrap_or_else(|| key("Application shop"));
        let permits = |key: &ObjectKey| !key.kind.starts_with('D');
        for object in cascade(&app(), live.values(), (INSTANCE, PART_OF), &own, permits).going {
            prop_assert!(permits(&object.key));
            prop_assert!(object.is_proven(INSTANCE, PART_OF) && !object.is_owned && !object.keep_on_delete);
            prop_assert!(object.key != own && !kinds::is_crd(&object.key.group_kind()));
        }
    }
}

#[test]
fn the_language_makes_ours_by_default() {
    assert!(live("ConfigMap a").is_proven(INSTANCE, PART_OF));
}
