//! How is an Application synced by request?

use super::{Answering, Call};
use crate::{Request, answer, sync_body};
use futures::FutureExt as _;

pub(super) fn answer(mut call: Call) -> Answering {
    async move {
        let app = call.app()?;
        let (app, body) = sync_body::read(app, &call.json_body().await?)?;
        let username = call.username();
        call.ask(|reply| Request::Sync { app, body, username, reply }).await.map(answer::body)
    }
    .boxed()
}
