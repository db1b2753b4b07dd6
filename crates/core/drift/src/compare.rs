//! Does live have what Git wants? Levels 2 and 3: by the two objects alone, and by the API server's answer to a dry-run.

use crate::adoption::leftovers;
use crate::by_hand::additions;
use crate::fingerprint::digest;
use crate::gap::{Difference, Gap, gaps, same};
use crate::sides::Sides;
use crate::subject::subject;
use crate::{Rules, listing};
use model::{AddedFields, Digest, Object};

/// What an app wants of its comparisons.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options<'a> {
    /// What to do with fields that people added by hand.
    pub added_fields: AddedFields,
    /// Globs over the field managers that people use; see [`crate::HAND_TOOLS`].
    pub hand_tools: &'a [&'a str],
}

/// What a comparison of the two objects found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    /// Live has every value that desired sets, and nothing that Git dropped.
    InSync,
    /// They differ, or seem to, and only the API server can say what an apply would change.
    NeedsDryRun,
    /// They differ for sure.
    Drifted,
}

/// Compares without asking anybody. A difference is sure where our last apply no longer owns the field: somebody changed it
/// since, or Git asks for something new. A field that we still own and that has another value was changed on its way in, by
/// a default or a webhook, or has changed in Git; only a dry-run tells.
pub fn compare(desired: &Object, live: &Object, rules: &Rules, options: Options<'_>) -> Outcome {
    if desired.api_version() != live.api_version() {
        return Outcome::NeedsDryRun;
    }
    let sides = Sides::of(desired, live, rules);
    let own = sides.own();
    if !sides.dropped().is_empty() || !leftovers(&sides).is_empty() {
        return Outcome::Drifted;
    }
    let removes_additions = match options.added_fields {
        AddedFields::Remove => true,
        AddedFields::Keep => false,
    };
    if removes_additions && !additions(&sides, options.hand_tools).is_empty() {
        return Outcome::Drifted;
    }
    let is_sure = |difference: &Difference| match difference.gap {
        Gap::Changed | Gap::Missing => own.is_some_and(|own| !own.owns(&difference.path)),
        Gap::Unsure => false,
    };
    let differences = gaps(&sides.wanted, &sides.had, &sides.ownership.all, own);
    if differences.iter().any(is_sure) {
        Outcome::Drifted
    } else if differences.is_empty() && !speaks_another_version(&sides) {
        Outcome::InSync
    } else {
        Outcome::NeedsDryRun
    }
}

/// What our last apply took cannot be told from what Git wants when the paths are another version's.
fn speaks_another_version(sides: &Sides<'_>) -> bool {
    sides.own().is_none() && sides.ownership.own_entry().is_some()
}

/// Returns whether the API server's answer to a dry-run apply equals live, and so nothing would change. Status and what only
/// the API server writes are left out, as are our own metadata and what the rules leave out.
pub fn compare_dry_run(dry_run: &Object, live: &Object, rules: &Rules) -> bool {
    dry_run.gvk() == live.gvk() && same(&subject(dry_run, rules), &subject(live, rules))
}

/// Hashes live's values at desired's paths: what later events are compared with once a dry-run has found an object in sync
/// that has no fingerprint.
pub fn values_at_desired(desired: &Object, live: &Object, rules: &Rules) -> Digest {
    let sides = Sides::of(desired, live, rules);
    let listing = listing::at(&sides.wanted, &sides.had, &sides.ownership.all);
    digest(live.api_version(), listing.iter().map(|(path, value)| (path.clone(), Some(*value))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fingerprint;
    use serde_json::{Value, json};

    fn config_map(data: &Value, managed: &Value) -> Object {
        Object::from_value(json!({"apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"name": "c", "managedFields": managed}, "data": data}))
        .unwrap()
    }

    fn ours(fields: &Value) -> Value {
        json!([{"manager": "tautline", "operation": "Apply", "apiVersion": "v1", "fieldsV1": {"f:data": fields}}])
    }

    fn outcome(desired: &Value, live: &Value, managed: &Value) -> Outcome {
        compare(
            &config_map(desired, &json!([])),
            &config_map(live, managed),
            &Rules::default(),
            Options::default(),
        )
    }

    #[test]
    fn a_difference_is_sure_only_where_we_no_longer_own() {
        let (want, have) = (json!({"a": "1"}), json!({"a": "2"}));
        assert_eq!(outcome(&want, &have, &ours(&json!({"f:b": {}}))), Outcome::Drifted);
        assert_eq!(outcome(&want, &have, &ours(&json!({"f:a": {}}))), Outcome::NeedsDryRun);
        assert_eq!(outcome(&want, &have, &json!([])), Outcome::NeedsDryRun);
        assert_eq!(outcome(&want, &json!({"a": "1", "x": "y"}), &json!([])), Outcome::InSync);
    }

    #[test]
    fn numbers_are_no_text_and_null_is_nothing() {
        let owned = ours(&json!({"f:b": {}}));
        assert_eq!(outcome(&json!({"a": 80}), &json!({"a": "80"}), &owned), Outcome::Drifted);
        assert_eq!(outcome(&json!({"a": 80}), &json!({"a": 80.0}), &owned), Outcome::InSync);
        assert_eq!(outcome(&json!({"a": null, "c": "1"}), &json!({"c": "1"}), &owned), Outcome::InSync);
    }

    #[test]
    fn what_the_server_may_drop_is_asked_for_unless_we_own_it() {
        let (want, have) = (json!({"a": "", "c": "1"}), json!({"c": "1"}));
        assert_eq!(outcome(&want, &have, &json!([])), Outcome::NeedsDryRun);
        assert_eq!(outcome(&want, &have, &ours(&json!({"f:a": {}}))), Outcome::InSync);
    }

    #[test]
    fn what_the_rules_leave_out_is_no_drift() {
        let rules = |pointer: &str| Rules { pointers: vec![pointer.into()] };
        let managed = ours(&json!({"f:a": {}, "f:b": {}}));
        let desired = config_map(&json!({"a": "1", "b": "2"}), &json!([]));
        let edited = json!([
            {"manager": "tautline", "operation": "Apply", "apiVersion": "v1", "fieldsV1": {"f:data": {"f:a": {}}}},
            {"manager": "x", "operation": "Update", "apiVersion": "v1", "fieldsV1": {"f:data": {"f:b": {}}}},
        ]);
        let before = config_map(&json!({"a": "1", "b": "2"}), &managed);
        let after = config_map(&json!({"a": "1", "b": "9"}), &edited);
        let outcome = |pointer| compare(&desired, &after, &rules(pointer), Options::default());
        assert_eq!(
            [outcome("/data/b"), outcome("/data"), outcome("/data/a")],
            [Outcome::InSync, Outcome::InSync, Outcome::Drifted]
        );
        let taken = |live| fingerprint(&desired, live, &rules("/data/b"));
        assert!(taken(&before).is_some());
        assert_eq!(taken(&before), taken(&after));
        assert!(compare_dry_run(&before, &after, &rules("/data/b")));
        assert!(!compare_dry_run(&before, &after, &Rules::default()));
    }

    #[test]
    fn what_git_leaves_to_others_is_not_dropped() {
        let managed = ours(&json!({"f:a": {}, "f:b": {}}));
        let live = config_map(&json!({"a": "1", "b": "2"}), &managed);
        let desired = config_map(&json!({"a": "1"}), &json!([]));
        let rules = Rules { pointers: vec!["/data/b".into()] };
        assert_eq!(compare(&desired, &live, &rules, Options::default()), Outcome::InSync);
        assert_eq!(compare(&desired, &live, &Rules::default(), Options::default()), Outcome::Drifted);
    }

    #[test]
    fn values_at_desired_move_with_what_desired_names_only() {
        let desired = config_map(&json!({"a": "1"}), &json!([]));
        let digest =
            |data: &Value| values_at_desired(&desired, &config_map(data, &json!([])), &Rules::default());
        assert_eq!(digest(&json!({"a": "2"})), digest(&json!({"a": "2", "x": "y"})));
        assert_ne!(digest(&json!({"a": "2"})), digest(&json!({"a": "3"})));
        assert_ne!(digest(&json!({"a": "2"})), digest(&json!({})));
    }
}
