//! When is a failed sync repeated, and when is drift corrected again?

use crate::state::Attempt;
use model::{App, Backoff, ObjectKey, Operation, Seconds, Timestamp};
use std::collections::{BTreeMap, BTreeSet};

/// First wait between corrections of drift (Argo CD `--self-heal-backoff-timeout-seconds`).
const HEAL_FIRST: Seconds = Seconds::new(2);
/// Longest wait between corrections of drift (Argo CD `--self-heal-backoff-cap-seconds`).
const HEAL_CAP: Seconds = Seconds::new(300);
/// Growth of that wait (Argo CD `--self-heal-backoff-factor`).
const HEAL_FACTOR: f64 = 3.0;

/// Returns when the sync that failed at `finished_at` after `retries` repeats is tried again; `None` for never.
///
/// The limit is the operation's, else the spec's. Where neither sets one, a manual sync is not repeated (Argo CD) and an
/// automated one is repeated for ever: only failures that hold a commit come here, and they pass.
pub(crate) fn next_attempt(
    app: &App,
    operation: Option<&Operation>,
    retries: u32,
    finished_at: Timestamp,
) -> Option<Timestamp> {
    let limit = match operation {
        Some(operation) => operation.retry_limit.or(app.retry.map(|retry| retry.limit)).unwrap_or(0),
        None => app.retry.map_or(-1, |retry| retry.limit),
    };
    let backoff = app.retry.map_or_else(Backoff::default, |retry| retry.backoff);
    (limit < 0 || i64::from(retries) < limit).then(|| finished_at + wait(backoff, retries))
}

/// Returns when going back is tried again that could not be applied at `now` after `retries` repeats.
pub(crate) fn next_rollback(retries: u32, now: Timestamp) -> Timestamp {
    now + wait(Backoff::default(), retries)
}

/// Returns the longest wait before any repeat.
pub(crate) fn longest_wait(app: &App) -> Seconds {
    app.retry.map_or_else(Backoff::default, |retry| retry.backoff).max
}

/// Returns the wait before repeat number `retries + 1`.
fn wait(backoff: Backoff, retries: u32) -> Seconds {
    let exponent = i32::try_from(retries).unwrap_or(i32::MAX);
    backoff.duration.scaled(backoff.factor.powi(exponent), backoff.max)
}

/// How often each object was corrected in a row, and when last. Somebody who keeps changing one object back slows down the
/// corrections of that one, and of no other.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Heals(BTreeMap<ObjectKey, (u32, Timestamp)>);

impl Heals {
    /// Counts a correction of objects.
    pub(crate) fn corrected(&mut self, keys: &BTreeSet<ObjectKey>, now: Timestamp) {
        self.0.retain(|_, (times, at)| !heals_forgotten(*times, *at, now));
        for key in keys {
            let times = self.0.get(key).map_or(0, |(times, _)| *times);
            self.0.insert(key.clone(), (times.saturating_add(1), now));
        }
    }

    /// Returns when each was corrected last.
    pub(crate) fn times_mut(&mut self) -> impl Iterator<Item = &mut Timestamp> {
        self.0.values_mut().map(|(_, at)| at)
    }

    /// Forgets all: something else is deployed.
    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    /// Returns how often an object was corrected in a row, and when it may be again. What an earlier life of the agent
    /// corrected last stands in the status.
    pub(crate) fn next(&self, key: &ObjectKey, last: Option<&Attempt>, now: Timestamp) -> (u32, Timestamp) {
        let told = || last.filter(|last| last.selective.iter().any(|selector| selector.matches(key)));
        let known = self.0.get(key).copied();
        let (times, at) = known
            .or_else(|| told().map(|last| (last.heals, last.finished_at)))
            .filter(|(times, at)| !heals_forgotten(*times, *at, now))
            .unwrap_or((0, now));
        (times, next_heal(times, at))
    }
}

/// Returns when drift may be corrected again after `heals` corrections in a row: at once, then 2, 6, 18 ... 300 s.
pub(crate) fn next_heal(heals: u32, finished_at: Timestamp) -> Timestamp {
    match heals.checked_sub(1) {
        None => finished_at,
        Some(exponent) => {
            let exponent = i32::try_from(exponent).unwrap_or(i32::MAX);
            finished_at + HEAL_FIRST.scaled(HEAL_FACTOR.powi(exponent), HEAL_CAP)
        }
    }
}

/// Returns whether the last correction is so long ago that counting starts anew.
pub(crate) fn heals_forgotten(heals: u32, finished_at: Timestamp, now: Timestamp) -> bool {
    now.since(finished_at) > Seconds::new(600) || heals == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heal_waits_grow_to_the_cap() {
        let base = Timestamp::from_millis(0);
        let waits: Vec<i64> = (0..8).map(|n| next_heal(n, base).as_millis() / 1000).collect();
        assert_eq!(waits, [0, 2, 6, 18, 54, 162, 300, 300]);
    }

    #[test]
    fn retry_waits_grow_to_the_maximum() {
        let waits: Vec<i64> = (0..8).map(|n| wait(Backoff::default(), n).as_millis() / 1000).collect();
        assert_eq!(waits, [5, 10, 20, 40, 80, 160, 180, 180]);
    }
}
