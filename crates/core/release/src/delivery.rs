//! How well is delivered? Four figures over the releases of the last 30 days, as far as their records reach.
//!
//! They are those of the DORA reports (<https://dora.dev/guides/dora-metrics-four-keys/>): how often something is deployed, how
//! long that takes, how often it fails, and how long it then takes until all is well again. Baselines and rollbacks are no
//! changes, and neither is what was superseded or of which nobody can say whether it was at fault.

use crate::{Cause, Record, Timings, Verdict};
use model::{Seconds, Timestamp};
use std::collections::VecDeque;

/// How far back is looked.
pub const WINDOW: Seconds = Seconds::new(30 * DAY);

/// Most releases that are remembered of an app.
const MOST: usize = 1_000;
const DAY: i64 = 24 * 60 * 60;

/// What the figures of one app are made of: its releases in their order, without anything that takes room.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct History(VecDeque<Point>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Point {
    number: u64,
    verdict: Verdict,
    cause: Cause,
    timings: Timings,
}

/// The figures of one app, or of several together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Delivery {
    /// Since when is counted: 30 days ago, or where the records begin; `None` where there is nothing to count.
    pub from: Option<Timestamp>,
    /// Until when.
    pub to: Option<Timestamp>,
    /// Changes that settled.
    pub deployments: usize,
    /// Changes that failed, whether they were rolled back or not.
    pub failures: usize,
    /// From when a change was seen until it settled, of each that did.
    lead_times: Vec<Seconds>,
    /// From the start of what failed until all was well again, each time.
    restores: Vec<Seconds>,
}

impl History {
    /// Takes the releases of one app, in the order of their numbers.
    pub fn of<'a>(records: impl IntoIterator<Item = &'a Record>) -> Self {
        let mut history = Self::default();
        for record in records {
            history.push(record);
        }
        history
    }

    /// Adds the newest release, or what the newest one came to after all.
    pub fn push(&mut self, record: &Record) {
        let Record { number, verdict, cause, timings, .. } = *record;
        if self.newest() == Some(number) {
            self.0.pop_back();
        }
        if self.0.len() == MOST {
            self.0.pop_front();
        }
        self.0.push_back(Point { number, verdict, cause, timings });
    }

    /// Returns the number of the newest release.
    pub fn newest(&self) -> Option<u64> {
        self.0.back().map(|point| point.number)
    }

    /// Reckons the figures of the 30 days until `now`.
    pub fn delivery(&self, now: Timestamp) -> Delivery {
        let mut delivery = Delivery::default();
        let begin = now - WINDOW;
        let Some(first) = self.0.iter().find_map(|point| point.timings.last()) else { return delivery };
        delivery.from = Some(first.max(begin));
        delivery.to = Some(now);
        let mut broken_since = None;
        for point in &self.0 {
            let Some(at) = point.timings.last() else { continue };
            point.count_into(&mut delivery, at >= begin);
            if let Some(restore) = point.restores(at, &mut broken_since)
                && at >= begin
            {
                delivery.restores.push(restore);
            }
        }
        delivery
    }
}

impl Point {
    fn count_into(&self, delivery: &mut Delivery, is_recent: bool) {
        let is_change = matches!(self.cause, Cause::NewRevision | Cause::Requested);
        if !is_change || !is_recent {
            return;
        }
        match self.verdict {
            Verdict::Stable => {
                delivery.deployments += 1;
                if let (Some(from), Some(to)) = (self.begin(), self.timings.settled) {
                    delivery.lead_times.push(to.since(from));
                }
            }
            Verdict::Failed | Verdict::RolledBack => delivery.failures += 1,
            Verdict::Inconclusive | Verdict::Superseded => {}
        }
    }

    /// Returns how long something was broken that is well again with this release; several failures in a row are one.
    fn restores(&self, at: Timestamp, broken_since: &mut Option<Timestamp>) -> Option<Seconds> {
        let begin = self.timings.started.unwrap_or(at);
        let well_at = match self.verdict {
            Verdict::Stable => at,
            Verdict::RolledBack => {
                broken_since.get_or_insert(begin);
                self.timings.restored.unwrap_or(at)
            }
            Verdict::Failed => {
                broken_since.get_or_insert(begin);
                return None;
            }
            Verdict::Inconclusive | Verdict::Superseded => return None,
        };
        broken_since.take().map(|since| well_at.since(since))
    }

    fn begin(&self) -> Option<Timestamp> {
        self.timings.seen.or(self.timings.started)
    }
}

impl Delivery {
    /// Counts other apps' figures in.
    pub fn add(&mut self, other: &Self) {
        self.from = self.from.into_iter().chain(other.from).min();
        self.to = self.to.max(other.to);
        self.deployments += other.deployments;
        self.failures += other.failures;
        self.lead_times.extend(&other.lead_times);
        self.restores.extend(&other.restores);
    }

    /// Returns how many changes settled a day; what is younger than a day counts as one.
    #[expect(clippy::cast_precision_loss, reason = "counts and milliseconds stay far below 2^52")]
    pub fn deployments_per_day(&self) -> Option<f64> {
        let length = self.to?.since(self.from?).as_millis() as f64 / 1_000.0;
        Some(self.deployments as f64 / (length / DAY as f64).max(1.0))
    }

    /// Returns the share of changes that failed, from 0 to 1; `None` where there was none.
    #[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^52")]
    pub fn change_failure_rate(&self) -> Option<f64> {
        let all = self.deployments + self.failures;
        (all > 0).then(|| self.failures as f64 / all as f64)
    }

    /// Returns the median of how long changes took from being seen until they had settled.
    pub fn lead_time(&self) -> Option<Seconds> {
        median(&self.lead_times)
    }

    /// Returns the median of how long it took until all was well again.
    pub fn time_to_restore(&self) -> Option<Seconds> {
        median(&self.restores)
    }
}

/// Of an even number the lower one of the two in the middle: a time that somebody really waited.
fn median(times: &[Seconds]) -> Option<Seconds> {
    let mut sorted = times.to_vec();
    sorted.sort_unstable();
    sorted.get(sorted.len().checked_sub(1)? / 2).copied()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seal::tests::record;
    use proptest::prelude::*;

    const NOW: Timestamp = Timestamp::from_millis(100 * DAY * 1_000);

    /// A release that began so many seconds before now, and took so long until its verdict.
    fn point(verdict: Verdict, cause: Cause, ago: i64, took: i64) -> Record {
        let started = NOW - Seconds::new(ago);
        let timings = Timings {
            seen: Some(started - Seconds::new(5)),
            started: Some(started),
            settled: Some(started + Seconds::new(took)),
            ..Timings::default()
        };
        let number = u64::try_from(100 * DAY - ago).unwrap();
        Record { number, verdict, cause, timings, ..record() }
    }

    fn delivery(records: &[Record]) -> Delivery {
        History::of(records).delivery(NOW)
    }

    #[test]
    fn nothing_gives_no_figures() {
        let none = delivery(&[]);
        assert_eq!(none, Delivery::default());
        assert_eq!((none.deployments_per_day(), none.change_failure_rate()), (None, None));
        assert_eq!((none.lead_time(), none.time_to_restore()), (None, None));
    }

    #[test]
    fn changes_are_counted_and_timed() {
        use {Cause::*, Verdict::*};
        let found = delivery(&[
            point(Stable, Baseline, 10 * DAY, 0),
            point(Stable, NewRevision, 8 * DAY, 15),
            point(Superseded, NewRevision, 7 * DAY, 15),
            point(Stable, Requested, 6 * DAY, 25),
            point(Inconclusive, NewRevision, 5 * DAY, 15),
            point(RolledBack, NewRevision, 4 * DAY, 60),
            point(Stable, Rollback, 4 * DAY - 60, 10),
            point(Stable, NewRevision, 3 * DAY, 95),
        ]);
        assert_eq!((found.deployments, found.failures), (3, 1));
        assert_eq!(found.lead_time(), Some(Seconds::new(30)), "the median of 20, 30 and 100 s");
        assert_eq!(found.change_failure_rate(), Some(0.25));
        assert_eq!(found.deployments_per_day(), Some(0.3), "in ten days");
        assert_eq!(found.time_to_restore(), Some(Seconds::new(60)));
    }

    #[test]
    fn what_is_broken_is_broken_until_all_is_well_again() {
        use {Cause::*, Verdict::*};
        let twice = delivery(&[
            point(Failed, NewRevision, 1_000, 60),
            point(Failed, NewRevision, 800, 60),
            point(Stable, NewRevision, 500, 100),
        ]);
        assert_eq!(twice.time_to_restore(), Some(Seconds::new(600)), "from the first that failed");
        let mut restored = point(RolledBack, NewRevision, 1_000, 60);
        restored.timings.restored = Some(NOW - Seconds::new(900));
        assert_eq!(delivery(&[restored]).time_to_restore(), Some(Seconds::new(100)));
        assert_eq!(
            delivery(&[point(Failed, NewRevision, 1_000, 60)]).time_to_restore(),
            None,
            "it is broken still"
        );
    }

    #[test]
    fn what_is_older_than_thirty_days_does_not_count() {
        use {Cause::*, Verdict::*};
        let found = delivery(&[
            point(Stable, NewRevision, 90 * DAY, 15),
            point(RolledBack, NewRevision, 80 * DAY, 15),
            point(Stable, NewRevision, 15 * DAY, 15),
        ]);
        assert_eq!((found.deployments, found.failures, found.time_to_restore()), (1, 0, None));
        assert_eq!(found.from, Some(NOW - WINDOW));
        assert_eq!(found.deployments_per_day(), Some(1.0 / 30.0));
    }

    #[test]
    fn a_later_verdict_counts_instead_of_the_first() {
        let failed = point(Verdict::Failed, Cause::NewRevision, 1_000, 60);
        let mut history = History::of([&failed]);
        history.push(&Record { verdict: Verdict::RolledBack, ..failed });
        let found = history.delivery(NOW);
        assert_eq!((found.failures, found.time_to_restore()), (1, Some(Seconds::new(60))));
    }

    #[test]
    fn several_apps_make_one_figure() {
        use {Cause::*, Verdict::*};
        let mut total = Delivery::default();
        total.add(&delivery(&[point(Stable, NewRevision, 10 * DAY, 5)]));
        total.add(&delivery(&[]));
        total.add(&delivery(&[point(Failed, NewRevision, 2 * DAY, 5), point(Stable, NewRevision, DAY, 95)]));
        assert_eq!((total.deployments, total.failures), (2, 1));
        assert_eq!(total.lead_time(), Some(Seconds::new(10)));
        let per_day = total.deployments_per_day().unwrap();
        assert!((per_day - 0.2).abs() < 0.001, "{per_day}: since the first app's records begin");
    }

    proptest! {
        #[test]
        fn figures_stay_in_their_bounds(
            releases in prop::collection::vec((0_usize..5, 0_usize..4, 0_i64..60 * DAY, 0_i64..3_600), 0..30),
        ) {
            let of = |(n, (verdict, cause, ago, took)): (usize, &(usize, usize, i64, i64))| Record {
                number: n as u64,
                ..point(Verdict::ALL[*verdict], Cause::ALL[*cause], *ago, *took)
            };
            let records: Vec<Record> = releases.iter().enumerate().map(of).collect();
            let found = delivery(&records);
            prop_assert!(found.deployments + found.failures <= records.len());
            prop_assert!(found.change_failure_rate().is_none_or(|rate| (0.0..=1.0).contains(&rate)));
            prop_assert!(found.deployments_per_day().is_none_or(f64::is_finite));
            prop_assert!(found.from.is_none_or(|from| from >= NOW - WINDOW));
        }
    }
}
