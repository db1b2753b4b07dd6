//! Does a live object match what Git wants? The three levels of drift, put together.

use crate::live::{Baseline, LiveEntry, Unjudged, digest_of};
use crate::wanted::Wanted;
use crate::workloads::Assessment;
use drift::{ByHand, Outcome, Rules};
use model::{App, Digest, LiveDigest, Match, Object, ObjectKey, names};
use serde_json::Value;

/// What judging an object by itself gives.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Judgement {
    /// It is in sync or it is not; what later events are compared with.
    Known(Match, Option<Baseline>),
    /// Only the API server can tell.
    Ask,
}

/// Judges a live object by what it says itself: level 1, then level 2, then an earlier level 3.
pub(crate) fn judge(app: &App, wanted: &Wanted, live: &Object, baseline: Option<&Baseline>) -> Judgement {
    let rules = rules(app, &live.key());
    let baseline = baseline.filter(|baseline| baseline.desired == wanted.digest);
    if lost_own_labels(&wanted.object, live) {
        return Judgement::Known(Match::Drifted, None);
    }
    let fingerprint = drift::fingerprint(&wanted.object, live, &rules);
    if let (Some(fingerprint), Some(known)) = (&fingerprint, baseline)
        && known.fingerprint.as_ref() == Some(fingerprint)
        && !others_added(app, wanted, live, &rules)
    {
        return Judgement::Known(Match::InSync, Some(known.clone()));
    }
    let in_sync = |values| {
        let baseline = Baseline { desired: wanted.digest, fingerprint, values };
        Judgement::Known(Match::InSync, Some(baseline))
    };
    if live.api_version() != wanted.object.api_version() {
        return Judgement::Ask;
    }
    match drift::compare(&wanted.object, live, &rules, options(app)) {
        Outcome::InSync => in_sync(None),
        Outcome::Drifted => Judgement::Known(Match::Drifted, None),
        Outcome::NeedsDryRun => {
            let values = drift::values_at_desired(&wanted.object, live, &rules);
            if baseline.is_some_and(|known| known.values == Some(values)) {
                in_sync(Some(values))
            } else {
                Judgement::Ask
            }
        }
    }
}

/// Returns whether others put something beside our fields that has to go. Our own fields do not show it, so a fingerprint
/// does not either; without another manager there is nothing to look for.
fn others_added(app: &App, wanted: &Wanted, live: &Object, rules: &Rules) -> bool {
    has_other_managers(live) && drift::compare(&wanted.object, live, rules, options(app)) == Outcome::Drifted
}

/// Returns whether anybody but us holds fields of the object itself.
fn has_other_managers(live: &Object) -> bool {
    let entries =
        live.metadata().and_then(|metadata| metadata.get("managedFields")).and_then(Value::as_array);
    entries.into_iter().flatten().any(|entry| {
        let text = |field: &str| entry.get(field).and_then(Value::as_str).unwrap_or_default();
        text("subresource").is_empty() && !text("manager").starts_with(names::FIELD_MANAGER)
    })
}

/// Judges a live object by what a dry-run of our apply gave.
pub(crate) fn judge_dry_run(
    app: &App,
    wanted: &Wanted,
    live: &Object,
    dry_run: &Object,
) -> (Match, Option<Baseline>) {
    let rules = rules(app, &live.key());
    if drift::compare_dry_run(dry_run, live, &rules) {
        let values = Some(drift::values_at_desired(&wanted.object, live, &rules));
        let fingerprint = drift::fingerprint(&wanted.object, live, &rules);
        (Match::InSync, Some(Baseline { desired: wanted.digest, fingerprint, values }))
    } else {
        (Match::Drifted, None)
    }
}

/// Takes what the API server answered to our own apply: whatever it is, it is what Git wants.
pub(crate) fn after_apply(app: &App, wanted: &Wanted, stored: &Object) -> Baseline {
    let rules = rules(app, &stored.key());
    Baseline {
        desired: wanted.digest,
        fingerprint: drift::fingerprint(&wanted.object, stored, &rules),
        values: Some(drift::values_at_desired(&wanted.object, stored, &rules)),
    }
}

/// Returns what an object is judged by: what Git wants of it, and what counts as a difference.
pub(crate) fn question(app: &App, object: &ObjectKey, wanted: Digest) -> Digest {
    let rules = &rules(app, object).pointers;
    model::digest(format!("{wanted};{rules:?};{:?}", app.added_fields).as_bytes())
}

/// Returns what an apply does about what people set by hand beside what Git wants; `was_there` says whether all of that was
/// there before.
pub(crate) fn by_hand(app: &App, was_there: bool) -> ByHand {
    match app.added_fields {
        model::AddedFields::Remove => ByHand::Goes,
        model::AddedFields::Keep if was_there => ByHand::GoesInPlaceOfOurs,
        model::AddedFields::Keep => ByHand::Stays,
    }
}

/// Returns whether an apply may have to take fields over from other tools first.
pub(crate) fn takes_over(app: &App, wanted: &Wanted, live: &Object) -> bool {
    drift::adoption::adopt_with(&wanted.object, live, by_hand(app, true)).is_some()
}

/// Returns the ignore rules for an object.
pub(crate) fn rules(app: &App, key: &ObjectKey) -> Rules {
    drift::rules_for(&app.ignore_differences, key)
}

/// Returns what counts as drift for an app.
pub(crate) fn options(app: &App) -> drift::Options<'static> {
    drift::Options { added_fields: app.added_fields, hand_tools: drift::HAND_TOOLS }
}

/// Returns whether somebody took our own metadata off an object that we applied. One that we never applied has none, and
/// that is no drift: it is waiting to be taken over.
pub(crate) fn lost_own_labels(wanted: &Object, live: &Object) -> bool {
    if !fields::managers(live).iter().any(|entry| entry.is_apply_of(names::FIELD_MANAGER)) {
        return false;
    }
    let differs = |label| wanted.label(label) != live.label(label);
    differs(names::INSTANCE_LABEL)
        || differs(names::PART_OF_LABEL)
        || wanted.annotation(names::TRACKING_ID) != live.annotation(names::TRACKING_ID)
}

/// Makes the entry of an object as it was read, not judged yet.
pub(crate) fn entry(
    object: Object,
    instance_label: &str,
    assessment: Assessment,
    old: Option<LiveEntry>,
) -> LiveEntry {
    let managers = fields::managers(&object);
    let replicas = fields::Path::fields(&["spec", "replicas"]);
    let mut digest: LiveDigest = digest_of(&object, instance_label, assessment);
    // Until it is judged it counts as what it was.
    let (matching, baseline, heat, is_checking) = old
        .map_or((model::Match::Undecided, None, drift::Heat::default(), false), |old| {
            (old.digest.matching, old.baseline, old.heat, old.is_checking)
        });
    digest.matching = matching;
    LiveEntry {
        owns_replicas: managers
            .iter()
            .any(|entry| entry.is_apply_of(names::FIELD_MANAGER) && entry.owns(&replicas)),
        has_other_managers: has_other_managers(&object),
        digest,
        baseline,
        unjudged: Some(Unjudged::Tree(Box::new(object))),
        heat,
        judged_by: None,
        takes_over: None,
        is_checking,
        checks_again: false,
        is_listed_anew: false,
    }
}
