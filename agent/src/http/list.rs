//! Which Applications are there?

use super::send;
use crate::agent::Agent;
use api::{Body, ListQuery, Reply};
use tokio::sync::oneshot;

impl Agent {
    /// Answers with the Applications as they are now; reading thousands of them takes a while and holds nothing up.
    pub(super) fn list(&self, query: ListQuery, reply: oneshot::Sender<Reply>) {
        let (listed, newest) = (self.listed(), self.feed.version().to_string());
        tokio::task::spawn_blocking(move || {
            let list = api::list(listed.iter().map(AsRef::as_ref), &query, &newest);
            send(reply, Ok(Body::Json(list)));
        });
    }
}
