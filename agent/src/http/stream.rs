//! What changes of Applications, as it happens?

use super::send;
use crate::agent::Agent;
use api::{Body, ListQuery, Listed, Reply};
use std::sync::Arc;
use tokio::sync::oneshot;

impl Agent {
    /// Begins a stream; what is written into it is no work of the loop's.
    pub(super) fn stream(&self, query: ListQuery, since: Option<u64>, reply: oneshot::Sender<Reply>) {
        let subscription = self.feed.subscribe(query, since, || self.listed());
        send(reply, subscription.map(|begun| Body::Stream(Box::new(begun))));
    }

    /// Returns all Applications as they are now.
    pub(super) fn listed(&self) -> Vec<Arc<Listed>> {
        self.apps.values().map(|entry| Arc::clone(&entry.stored.listed)).collect()
    }
}
