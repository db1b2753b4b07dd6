//! What is counted?

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A number that only grows; clones count together.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counter(Arc<AtomicU64>);

impl Counter {
    /// Adds.
    pub(crate) fn add(&self, n: usize) {
        self.0.fetch_add(n as u64, Ordering::Relaxed);
    }

    /// Returns the count.
    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Counters of what costs something.
#[derive(Clone, Debug, Default)]
pub(crate) struct Metrics {
    /// Revisions rendered for an app, caches not counted.
    pub renders: Counter,
    /// Objects applied.
    pub applies: Counter,
    /// Questions to the API server about single objects.
    pub checks: Counter,
    /// Polls of repositories.
    pub polls: Counter,
    /// Events that were not written because too many were under way.
    pub events_dropped: Counter,
    /// Status writes.
    pub status_writes: Counter,
}
