//! What is one Application like?

use super::{not_the_writer, send};
use crate::agent::Agent;
use api::{ApiError, AppRef, Body, Reply};
use model::names;
use tokio::sync::oneshot;

impl Agent {
    /// Answers with an Application, where it is asked for once it was looked at anew.
    pub(super) fn get_app(&mut self, app: &AppRef, refresh: Option<&str>, reply: oneshot::Sender<Reply>) {
        let (key, raw) = match self.find(app) {
            Ok((key, entry)) => (key, entry.stored.value()),
            Err(error) => return send(reply, Err(error)),
        };
        let Some(refresh) = refresh else {
            return send(reply, Ok(Body::Json(api::dto::application(&raw))));
        };
        if application::skips_reconcile(&raw) {
            let message = format!(
                "the application is left alone as long as its annotation {} says so",
                names::SKIP_RECONCILE
            );
            return send(reply, Err(ApiError::failed_precondition(message)));
        }
        if !self.may_write {
            return send(reply, Err(not_the_writer(self.writing())));
        }
        self.refresh(&key, refresh, reply);
    }
}
