//! What may be deleted? Three witnesses before any deletion: the inventory lists it, the live object proves it, the
//! project permits it.

use crate::{Plan, kinds, skipped, staged};
use model::{App, Comparison, LiveDigest, ObjectKey, Timestamp};
use std::collections::{BTreeMap, BTreeSet};

/// Who wants the pruning, and since when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Prune {
    /// Nobody: what Git no longer has stays.
    No,
    /// Auto-sync with `prune`, since the start of its sync.
    Automated(Timestamp),
    /// A person's `operation` with `prune`, since the start of its sync.
    Person(Timestamp),
    /// Who goes back to what was stable, since the start of that: only what was created since then.
    Created(Timestamp),
}

/// What becomes of one object that Git no longer has.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Decision {
    Delete,
    Skip(&'static str),
    Wait,
}

/// Sorts what Git no longer has into deletions, skipped and unconfirmed ones, and adds them to `plan`.
///
/// `permits` is the project's word on each object; `was_created` says whether a sync created it since the app was stable.
pub fn add(
    plan: &mut Plan,
    app: &App,
    comparison: &Comparison,
    live: &BTreeMap<ObjectKey, LiveDigest>,
    prune: Prune,
    (permits, was_created): (impl Fn(&ObjectKey) -> bool, impl Fn(&LiveDigest) -> bool),
) {
    let mut deletions = Vec::new();
    for key in comparison.to_prune() {
        let Some(digest) = live.get(key) else { continue };
        let is_extra = matches!(prune, Prune::Created(_)) && !was_created(digest);
        if is_extra {
            plan.skipped.push(skipped(
                key,
                &digest.version,
                "ignored (it was there before, or may have been)",
            ));
            continue;
        }
        match decide(app, digest, prune, permits(key), comparison.is_complete) {
            Decision::Delete => deletions.push(key.clone()),
            Decision::Skip(why) => plan.skipped.push(skipped(key, &digest.version, why)),
            Decision::Wait => plan.unconfirmed.push(key.clone()),
        }
    }
    plan.prunes = staged(deletions.into_iter());
    plan.prunes.reverse();
}

fn decide(app: &App, live: &LiveDigest, prune: Prune, permitted: bool, is_complete: bool) -> Decision {
    if app.is_read_only() {
        return Decision::Skip("ignored (the app is read-only)");
    }
    if !is_complete {
        return Decision::Skip("ignored (the cluster could not be seen whole)");
    }
    if live.is_owned {
        return Decision::Skip("ignored (another object owns it)");
    }
    if !permitted {
        return Decision::Skip("ignored (the project does not permit it)");
    }
    if app.prune_disabled || live.keep_on_prune {
        return Decision::Skip("ignored (no prune)");
    }
    let since = match prune {
        Prune::No => return Decision::Skip("ignored (requires pruning)"),
        Prune::Automated(_) if kinds::holds_data(&live.key.group_kind()) && !live.delete_allowed => {
            return Decision::Skip(
                "ignored (its deletion loses data: sync with prune by hand, or set tautline.dev/delete: allow on it)",
            );
        }
        // Whoever else holds on to it has put something into it since.
        Prune::Created(_) if kinds::holds_data(&live.key.group_kind()) || live.has_finalizers => {
            return Decision::Skip(
                "ignored (its deletion may lose data: delete it by hand if nobody needs it)",
            );
        }
        Prune::Automated(since) | Prune::Person(since) | Prune::Created(since) => since,
    };
    let confirmed = app.deletion_approved.is_some_and(|at| at.as_millis() / 1000 >= since.as_millis() / 1000);
    if live.prune_needs_confirmation && !confirmed { Decision::Wait } else { Decision::Delete }
}

/// Returns whether an object that was to be pruned still proves to be its app's and still may go: it may have changed since
/// the plan was made, and the deletion names the version that is known now.
pub fn is_still_deletable(app: &App, live: &LiveDigest, (instance, part_of): (&str, &str)) -> bool {
    live.is_proven(instance, part_of) && !live.is_owned && !live.keep_on_prune && !app.prune_disabled
}

/// What becomes of the objects of an Application that is deleted.
#[derive(Debug, Default)]
pub struct Cascaded<'a> {
    /// What is deleted.
    pub going: Vec<&'a LiveDigest>,
    /// What would be, if the project permitted it: it stays.
    pub not_permitted: Vec<&'a LiveDigest>,
}

/// Returns what the deletion of an Application deletes: everything that proves to be its own, save what says to be
/// kept, CRDs, the Application itself and what its project does not permit (Argo CD app deletion documentation).
///
/// `permits` is the project's word on each object.
pub fn cascade<'a>(
    app: &App,
    live: impl Iterator<Item = &'a LiveDigest>,
    owner: (&str, &str),
    own_key: &ObjectKey,
    permits: impl Fn(&ObjectKey) -> bool,
) -> Cascaded<'a> {
    let (instance, part_of) = owner;
    if app.is_read_only() || app.delete_disabled {
        return Cascaded::default();
    }
    let own = live.filter(|live| {
        !live.is_owned
            && live.is_proven(instance, part_of)
            && !live.keep_on_delete
            && live.key != *own_key
            && !kinds::is_crd(&live.key.group_kind())
    });
    let (going, not_permitted) = own.partition(|live| permits(&live.key));
    Cascaded { going, not_permitted }
}

/// Returns what the objects of an app ask for that we do not act on yet, sorted: where nothing is rendered, they tell
/// whether the app is read-only.
pub fn not_yet<'a>(live: impl Iterator<Item = &'a LiveDigest>, owner: (&str, &str)) -> Vec<String> {
    let (instance, part_of) = owner;
    let proven = live.filter(|live| live.is_proven(instance, part_of));
    let fields: BTreeSet<&str> =
        proven.flat_map(|live| live.not_yet.iter()).map(|not_yet| not_yet.field.as_str()).collect();
    fields.into_iter().map(str::to_owned).collect()
}
