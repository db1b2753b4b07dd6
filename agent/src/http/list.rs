//! Which Applications are there?

use super::send;
use crate::agent::Agent;
use crate::stored::Stored;
use api::{Body, ListQuery, Reply};
use tokio::sync::oneshot;

impl Agent {
    /// Answers with the Applications as they are now; reading thousands of them takes a while and holds nothing up.
    pub(super) fn list(&self, query: ListQuery, reply: oneshot::Sender<Reply>) {
        let stored: Vec<Stored> = self.apps.values().map(|entry| entry.stored.clone()).collect();
        tokio::task::spawn_blocking(move || {
            let versions = stored.iter().filter_map(|app| app.resource_version.parse::<u64>().ok());
            let newest = versions.max().map(|version| version.to_string()).unwrap_or_default();
            let list = api::dto::list(stored.iter().map(Stored::value), &query, &newest);
            send(reply, Ok(Body::Json(list)));
        });
    }
}
