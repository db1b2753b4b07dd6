//! How does a person roll back, have a commit left alone, or let Git decide again?

use super::{not_the_writer, refusal, send};
use crate::agent::Agent;
use crate::applications::patch_application;
use crate::clock::now;
use crate::input::Input;
use crate::releases::choice::choose;
use crate::status::own_state;
use api::{ApiError, AppRef, Body, ReleaseAsk, Reply};
use cluster::Priority;
use model::{Asked, ReleaseRequest, names};
use serde_json::json;
use tokio::sync::oneshot;

impl Agent {
    /// Writes what is asked for into the Application, which its engine takes from there: so it survives whatever happens to this
    /// process.
    pub(super) fn of_releases(
        &self,
        app: &AppRef,
        what: ReleaseAsk,
        username: String,
        reply: oneshot::Sender<Reply>,
    ) {
        let (key, entry) = match self.find(app) {
            Ok(found) => found,
            Err(error) => return send(reply, Err(error)),
        };
        if !self.may_write {
            return send(reply, Err(not_the_writer(self.writing())));
        }
        let uid = entry.stored.uid.to_string();
        let under_way = entry.state.run().and_then(|run| run.desired.as_ref()).map(|desired| desired.hash);
        let own = own_state(&entry.stored.value());
        let running = under_way.or(own.attempted).or(own.desired);
        let (store, cluster, inputs) = (self.releases.clone(), self.cluster.clone(), self.inputs.clone());
        tokio::spawn(async move {
            let what = match what {
                ReleaseAsk::Resume => Asked::Resume,
                ReleaseAsk::Quarantine => Asked::Quarantine,
                ReleaseAsk::RollBack { id, until_resumed } => {
                    let listing = match store.list(&key, &uid).await {
                        Ok(listing) => listing,
                        Err(error) => return send(reply, Err(refusal(error))),
                    };
                    match choose(&key, &listing, id, running) {
                        Ok(to) => Asked::RollBack { to, until_resumed },
                        Err((why, true)) => return send(reply, Err(ApiError::not_found(why))),
                        Err((why, false)) => return send(reply, Err(ApiError::failed_precondition(why))),
                    }
                }
            };
            let request = ReleaseRequest { what, username, stamp: now().to_string() };
            let text = application::release_request(&request);
            let patch = json!({"metadata": {"annotations": {names::REQUEST_ANNOTATION: text}}});
            let by = (Priority::User, names::FIELD_MANAGER);
            let patched = match patch_application(&cluster, by, &key, &patch).await {
                Ok(patched) => patched,
                Err(error) => return send(reply, Err(refusal(error))),
            };
            let body = Body::Json(api::dto::application(&patched.to_value()));
            let _unheard = inputs.send(Input::Patched(key, Box::new(patched)));
            send(reply, Ok(body));
        });
    }
}
