//! How often, how fast and how well is deployed?

use super::{refusal, send};
use crate::agent::Agent;
use crate::clock::now;
use crate::releases::{Store, view};
use api::{Body, ListQuery, Reply};
use model::AppKey;
use release::Delivery;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use tokio::sync::oneshot;

impl Agent {
    /// Answers with the figures of the Applications that were asked for, each and together. The one who writes knows the
    /// releases; others list them.
    pub(super) fn delivery(&self, query: &ListQuery, mut reply: oneshot::Sender<Reply>) {
        // All of them: what the store knows of others it forgets.
        let apps: Vec<(AppKey, String, bool)> = self
            .apps
            .iter()
            .map(|(key, entry)| {
                let stored = &entry.stored;
                (key.clone(), stored.uid.to_string(), stored.listed.head.is_asked_for(query))
            })
            .collect();
        let (store, is_known) = (self.releases.clone(), self.may_write && self.releases.has_listed());
        tokio::spawn(async move {
            let listed = async { if is_known { Ok(()) } else { store.list_all().await.map(drop) } };
            let listed = tokio::select! {
                listed = listed => listed,
                () = reply.closed() => return,
            };
            send(reply, listed.map_err(refusal).map(|()| Body::Json(figures(&store, &apps))));
        });
    }
}

fn figures(store: &Store, apps: &[(AppKey, String, bool)]) -> Value {
    let all = apps.iter().map(|(key, uid, _)| (key, uid.as_str()));
    let known: BTreeMap<&AppKey, Delivery> = store.deliveries(all, now()).into_iter().collect();
    let mut total = Delivery::default();
    let chosen = apps.iter().filter(|(_, _, is_chosen)| *is_chosen);
    let each = chosen.map(|(key, _, _)| {
        let delivery = known.get(key).cloned().unwrap_or_default();
        total.add(&delivery);
        of_app(key, &delivery)
    });
    let items: Vec<Value> = each.collect();
    json!({"total": view::delivery(&total), "items": items})
}

fn of_app(key: &AppKey, delivery: &Delivery) -> Value {
    let mut told = view::delivery(delivery);
    told["namespace"] = key.namespace.as_str().into();
    told["name"] = key.name.as_str().into();
    told
}
