//! How much of a report does an app's status hold, and when is one written whole again after another was too large?

use application::status::Detail;
use engine::Report;
use model::{CallError, OperationPhase, Timestamp};

/// How much of an app's reports the API server stores.
#[derive(Debug, Default)]
pub(crate) struct Fit {
    detail: Detail,
    /// Size of the report that was too large last.
    too_large: Option<Size>,
}

/// What makes a report large, and which sync it tells of.
#[derive(Debug)]
struct Size {
    sync: Option<Sync>,
    n_objects: usize,
    n_failures: usize,
    n_conditions: usize,
}

/// A stretch of a sync: one of its tries, or its end.
#[derive(Debug, PartialEq)]
struct Sync {
    started_at: Timestamp,
    retries: u32,
    phase: OperationPhase,
}

impl Fit {
    /// Returns how much of a report is to be written.
    pub(crate) fn detail_of(&mut self, report: &Report) -> Detail {
        if self.too_large.as_ref().is_some_and(|too_large| too_large.is_outdated_by(&Size::of(report))) {
            *self = Self::default();
        }
        self.detail
    }

    /// Takes in that a report was too large; returns whether it can be written with less detail.
    pub(crate) fn was_too_large(&mut self, report: &Report) -> bool {
        let Some(less) = self.detail.less() else { return false };
        *self = Self { detail: less, too_large: Some(Size::of(report)) };
        true
    }
}

impl Size {
    fn of(report: &Report) -> Self {
        let operation = report.operation.as_ref();
        let results = operation.into_iter().flat_map(|operation| &operation.results);
        Self {
            sync: operation.map(|operation| Sync {
                started_at: operation.started_at,
                retries: operation.retries,
                phase: operation.phase,
            }),
            n_objects: report.comparison.as_ref().map_or(0, |comparison| comparison.objects.len()),
            n_failures: results.filter(|result| result.outcome.is_failure()).count(),
            n_conditions: report.conditions.len(),
        }
    }

    /// Returns whether a report of the size `new` may fit although this one did not. Another sync may: what was too much may
    /// have been the words of failures, which nobody counts. Within one try it may not, for while objects are deleted each
    /// report of progress has fewer.
    fn is_outdated_by(&self, new: &Self) -> bool {
        if self.sync != new.sync {
            return true;
        }
        let is_over = new.sync.as_ref().is_none_or(|sync| sync.phase.is_completed());
        is_over
            && (new.n_objects < self.n_objects
                || new.n_failures < self.n_failures
                || new.n_conditions < self.n_conditions)
    }
}

/// Returns whether a status was refused for its size: the API server has a limit for requests, one for what it sends to
/// etcd, and etcd one for what it takes.
pub(crate) fn is_too_large(error: &CallError) -> bool {
    error.status == Some(413)
        || ["too large", "message larger than max"].iter().any(|text| error.message.contains(text))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use Detail::{Failures, Whole, Words};
    use OperationPhase::{Failed, Running};
    use engine::{Condition, ConditionKind, OperationReport};
    use model::{
        Comparison, DesiredHash, ErrorClass, Evidence, Health, ObjectKey, ObjectOutcome, ObjectResult,
        ObjectStatus, SyncStatus,
    };
    use std::sync::Arc;

    /// A report of a sync that began in this second; while it runs, and without objects, failures and conditions.
    pub(crate) fn report(second: i64) -> Report {
        let operation = OperationReport {
            phase: Running,
            message: String::new(),
            started_at: Timestamp::from_millis(second * 1000),
            finished_at: None,
            retries: 0,
            results: Vec::new(),
            revision: None,
            hash: None,
            operation: None,
            selective: Vec::new(),
            heals: 0,
            reason: None,
            is_condemned: false,
            is_release: false,
            headway: None,
        };
        Report {
            sync: SyncStatus::OutOfSync,
            revision: None,
            hash: None,
            health: Health::healthy(),
            comparison: None,
            conditions: Vec::new(),
            operation: Some(operation),
            clear_operation: false,
            clear_refresh: false,
            clear_request: false,
            source_type: String::new(),
            held: None,
            quarantine: engine::Quarantine::default(),
        }
    }

    /// The same once it failed, and so for some objects.
    fn failed(second: i64, n_failures: usize) -> Report {
        let mut report = report(second);
        let operation = report.operation.as_mut().unwrap();
        operation.phase = Failed;
        operation.finished_at = Some(Timestamp::from_millis(second * 1000 + 500));
        with_failures(report, n_failures)
    }

    fn with_failures(mut report: Report, n_failures: usize) -> Report {
        let result = |n| ObjectResult {
            key: key(n),
            version: "v1".into(),
            outcome: ObjectOutcome::Failed(ErrorClass::Invalid, "no".into()),
            images: Vec::new(),
        };
        report.operation.as_mut().unwrap().results = (0..n_failures).map(result).collect();
        report
    }

    fn with_objects(mut report: Report, n_objects: usize) -> Report {
        let object = |n| ObjectStatus {
            key: key(n),
            version: "v1".into(),
            sync: Some(SyncStatus::Synced),
            health: None,
            evidence: Evidence::None,
            available: None,
            is_live: true,
            requires_pruning: false,
            requires_confirmation: false,
            refused: String::new(),
        };
        report.comparison = Some(Arc::new(Comparison {
            hash: DesiredHash(model::digest(b"")),
            objects: (0..n_objects).map(object).collect(),
            sync: SyncStatus::Synced,
            health: Health::healthy(),
            is_complete: true,
            is_settled: true,
            progress: model::digest(b""),
            unseen: Vec::new(),
            shared: Vec::new(),
            images: Vec::new(),
            links: Vec::new(),
        }));
        report
    }

    fn with_conditions(mut report: Report, n_conditions: usize) -> Report {
        let condition =
            |n| Condition { kind: ConditionKind::ComparisonError, message: format!("problem {n}") };
        report.conditions = (0..n_conditions).map(condition).collect();
        report
    }

    fn key(n: usize) -> ObjectKey {
        ObjectKey::new("", "ConfigMap", "shop", &format!("object-{n}"))
    }

    /// What the API server stored of a report only in words.
    fn cut(report: &Report) -> Fit {
        let mut fit = Fit::default();
        for detail in [Whole, Failures] {
            assert_eq!(fit.detail_of(report), detail);
            assert!(fit.was_too_large(report));
        }
        assert_eq!(fit.detail_of(report), Words);
        assert!(!fit.was_too_large(report), "there is nothing left to leave out");
        fit
    }

    #[test]
    fn another_sync_is_told_whole_again_whatever_it_lists() {
        let large = with_objects(failed(10, 3), 3);
        assert_eq!(cut(&large).detail_of(&with_objects(failed(20, 3), 3)), Whole);
        assert_eq!(cut(&failed(10, 3)).detail_of(&failed(20, 3)), Whole, "neither has a comparison");
    }

    #[test]
    fn the_end_of_a_sync_and_each_of_its_tries_is_told_whole_again() {
        let running = with_failures(report(10), 3);
        let mut repeated = running.clone();
        repeated.operation.as_mut().unwrap().retries = 1;
        assert_eq!(cut(&running).detail_of(&failed(10, 3)), Whole);
        assert_eq!(cut(&running).detail_of(&repeated), Whole);
    }

    #[test]
    fn fewer_objects_failures_or_conditions_may_fit() {
        let large = with_conditions(with_objects(failed(10, 3), 3), 3);
        for smaller in [
            with_conditions(with_objects(failed(10, 3), 2), 3),
            with_conditions(with_objects(failed(10, 2), 3), 3),
            with_conditions(with_objects(failed(10, 3), 3), 2),
        ] {
            assert_eq!(cut(&large).detail_of(&smaller), Whole);
        }
    }

    #[test]
    fn a_report_that_is_no_smaller_is_not_tried_whole_again() {
        let large = with_conditions(with_objects(failed(10, 3), 3), 3);
        let larger = with_conditions(with_objects(failed(10, 4), 5), 6);
        let mut fit = cut(&large);
        for same in [&large, &larger, &large] {
            assert_eq!(fit.detail_of(same), Words);
        }
    }

    #[test]
    fn progress_of_one_sync_is_not_tried_whole_again_however_its_objects_go() {
        let progress = |n| with_objects(with_failures(report(10), n), n);
        let mut fit = cut(&progress(9));
        for n in (0..9).rev() {
            assert_eq!(fit.detail_of(&progress(n)), Words, "{n}");
        }
        assert_eq!(fit.detail_of(&with_objects(failed(10, 0), 0)), Whole);
    }
}
