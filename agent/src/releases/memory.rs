//! What is remembered of releases that were listed and written, for metrics: how well is delivered?

use super::Store;
use model::{AppKey, Timestamp};
use release::{Delivery, History, Listing, Record};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The history of each app, by the Application's name and uid.
#[derive(Default)]
pub(super) struct Memory {
    histories: Mutex<BTreeMap<(AppKey, String), History>>,
    /// Whether all were listed once.
    is_whole: AtomicBool,
}

impl Memory {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<(AppKey, String), History>> {
        self.histories.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes in what there is. What was written while it was listed is newer, and stays.
    pub(super) fn listed(&self, listing: &Listing) {
        let mut found: BTreeMap<(AppKey, String), History> = BTreeMap::new();
        for head in &listing.heads {
            found.entry(of(&head.record)).or_default().push(&head.record);
        }
        let mut known = self.lock();
        for (app, history) in found {
            let is_news = known.get(&app).is_none_or(|old| old.newest() <= history.newest());
            if is_news {
                known.insert(app, history);
            }
        }
        self.is_whole.store(true, Ordering::Release);
    }

    /// Takes in what was written.
    pub(super) fn wrote(&self, record: &Record) {
        self.lock().entry(of(record)).or_default().push(record);
    }
}

impl Store {
    /// Returns whether it has listed all releases: whoever has been the only writer since then knows them all.
    pub(crate) fn has_listed(&self) -> bool {
        self.memory.is_whole.load(Ordering::Acquire)
    }

    /// Reckons how well these apps are delivered, each by its name and uid, by what this process has listed and written; what it
    /// knows of others is forgotten.
    pub(crate) fn deliveries<'a>(
        &self,
        apps: impl Iterator<Item = (&'a AppKey, &'a str)>,
        now: Timestamp,
    ) -> Vec<(&'a AppKey, Delivery)> {
        let mut known = self.memory.lock();
        let mut kept = BTreeMap::new();
        let mut deliveries = Vec::new();
        for (key, uid) in apps {
            let app = (key.clone(), uid.to_owned());
            if let Some(history) = known.remove(&app) {
                deliveries.push((key, history.delivery(now)));
                kept.insert(app, history);
            }
        }
        *known = kept;
        deliveries
    }
}

fn of(record: &Record) -> (AppKey, String) {
    (record.app.clone(), record.app_uid.clone())
}
