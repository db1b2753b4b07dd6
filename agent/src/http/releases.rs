//! What was deployed of an Application, release by release?

use super::{refusal, send};
use crate::agent::Agent;
use crate::clock::now;
use crate::releases::{NoPayload, Store, choice, view};
use api::{ApiError, AppRef, Body, Reply};
use cluster::Priority;
use model::AppKey;
use release::{Head, History, Listing, Refusal};
use serde_json::{Value, json};
use tokio::sync::oneshot;

/// Whose releases are asked for.
struct Asked {
    store: Store,
    app: AppKey,
    uid: String,
}

impl Agent {
    /// Answers with the releases, the newest last, and with what only looks like some; read anew, so that any replica can tell.
    pub(super) fn releases(&self, app: &AppRef, reply: oneshot::Sender<Reply>) {
        self.answer_of(app, reply, |asked| async move {
            let listing = asked.list().await?;
            let releases: Vec<Value> = listing.heads.iter().map(view::release).collect();
            let refused: Vec<Value> = listing.refused.iter().map(refused).collect();
            let records = listing.heads.iter().map(|head| &head.record);
            let delivery = view::delivery(&History::of(records).delivery(now()));
            Ok(Body::Json(json!({"items": releases, "refused": refused, "delivery": delivery})))
        });
    }

    /// Answers with one release; where its objects are kept with these, and with how they differ from those of the last release
    /// before it whose objects are kept.
    pub(super) fn release(&self, app: &AppRef, number: u64, reply: oneshot::Sender<Reply>) {
        self.answer_of(app, reply, move |asked| async move {
            let listing = asked.list().await?;
            asked.release(&listing, number).await.map(Body::Json)
        });
    }

    /// Answers when the API server has; a caller who goes ends the work.
    fn answer_of<F: Future<Output = Reply> + Send>(
        &self,
        app: &AppRef,
        mut reply: oneshot::Sender<Reply>,
        work: impl FnOnce(Asked) -> F + Send + 'static,
    ) {
        let (key, uid) = match self.find(app) {
            Ok((key, entry)) => (key, entry.stored.uid.to_string()),
            Err(error) => return send(reply, Err(error)),
        };
        let asked = Asked { store: self.releases.clone(), app: key, uid };
        tokio::spawn(async move {
            let answer = tokio::select! {
                answer = work(asked) => answer,
                () = reply.closed() => return,
            };
            send(reply, answer);
        });
    }
}

impl Asked {
    async fn list(&self) -> Result<Listing, ApiError> {
        self.store.list(&self.app, &self.uid).await.map_err(refusal)
    }

    async fn release(&self, listing: &Listing, number: u64) -> Result<Value, ApiError> {
        let place = choice::find(&self.app, listing, number).map_err(|(why, is_absent)| {
            if is_absent { ApiError::not_found(why) } else { ApiError::failed_precondition(why) }
        })?;
        let mut told = view::release(&listing.heads[place]);
        match self.objects(&listing.heads[place]).await? {
            Ok(objects) => {
                told["manifests"] = view::manifests(&objects).into();
                let before = listing.heads[..place].iter().rev().find(|head| head.has_payload());
                if let Some(before) = before
                    && let Ok(older) = self.objects(before).await?
                {
                    let against = before.record.number;
                    let changes = view::changes((against, &older), (number, &objects));
                    told["diff"] = json!({"against": against, "objects": changes});
                }
            }
            Err(why) => told["manifestsMissing"] = why.into(),
        }
        Ok(told)
    }

    /// Returns the objects of a release, or the sentence why there are none.
    async fn objects(&self, head: &Head) -> Result<Result<Vec<Value>, String>, ApiError> {
        let read = self.store.payload(&self.app, &self.uid, head.record.number, Priority::User).await;
        match read {
            Ok((_, objects)) => Ok(Ok(objects)),
            Err(NoPayload::Refused(why)) => Ok(Err(why.to_string())),
            Err(NoPayload::Call(error)) => Err(refusal(error)),
        }
    }
}

fn refused(refusal: &Refusal) -> Value {
    json!({"id": refusal.number, "secret": refusal.secret, "message": refusal.to_string()})
}
