//! How often, how fast and how well is deployed?

use super::{refusal, send};
use crate::agent::Agent;
use crate::clock::now;
use crate::releases::view;
use api::{Body, ListQuery, Reply};
use model::AppKey;
use release::{Delivery, History};
use serde_json::{Value, json};
use tokio::sync::oneshot;

impl Agent {
    /// Answers with the figures of the Applications that were asked for, each and together, reckoned from their releases as they
    /// lie in the cluster.
    pub(super) fn delivery(&self, query: &ListQuery, mut reply: oneshot::Sender<Reply>) {
        let chosen = self.apps.iter().filter(|(_, entry)| entry.stored.listed.head.is_asked_for(query));
        let apps: Vec<(AppKey, String)> =
            chosen.map(|(key, entry)| (key.clone(), entry.stored.uid.to_string())).collect();
        let store = self.releases.clone();
        tokio::spawn(async move {
            let listed = tokio::select! {
                listed = store.list_all() => listed,
                () = reply.closed() => return,
            };
            let answer = listed.map_err(refusal).map(|listing| {
                let mut total = Delivery::default();
                let each = apps.iter().map(|(key, uid)| {
                    let own = listing.of(key, uid);
                    let delivery = History::of(own.heads.iter().map(|head| &head.record)).delivery(now());
                    total.add(&delivery);
                    of_app(key, &delivery)
                });
                let items: Vec<Value> = each.collect();
                Body::Json(json!({"total": view::delivery(&total), "items": items}))
            });
            send(reply, answer);
        });
    }
}

fn of_app(key: &AppKey, delivery: &Delivery) -> Value {
    let mut told = view::delivery(delivery);
    told["namespace"] = key.namespace.as_str().into();
    told["name"] = key.name.as_str().into();
    told
}
