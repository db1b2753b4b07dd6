//! Which Applications are there?

use super::send;
use crate::agent::Agent;
use api::{Body, ListQuery, Reply};
use std::sync::Arc;
use tokio::sync::oneshot;

impl Agent {
    /// Answers with the Applications as they are now; reading thousands of them takes a while and holds nothing up. Lists that
    /// may be long are made one after the other, since rendering needs the same few threads.
    pub(super) fn list(&self, query: ListQuery, mut reply: oneshot::Sender<Reply>) {
        let (listed, newest) = (self.listed(), self.feed.version().to_string());
        let turns = query.is_costly().then(|| Arc::clone(&self.list_turns));
        let make = move |reply: oneshot::Sender<Reply>| {
            if !reply.is_closed() {
                let list = api::list(listed.iter().map(AsRef::as_ref), &query, &newest);
                send(reply, Ok(Body::Json(list)));
            }
        };
        let Some(turns) = turns else {
            tokio::task::spawn_blocking(move || make(reply));
            return;
        };
        tokio::spawn(async move {
            let turn = tokio::select! {
                turn = turns.acquire_owned() => turn,
                () = reply.closed() => return,
            };
            tokio::task::spawn_blocking(move || {
                make(reply);
                drop(turn);
            });
        });
    }
}
