//! How does a person roll back, have a commit left alone, or let Git decide again?

use super::{Answering, Call};
use crate::{ReleaseAsk, Request, answer, rollback_body};
use futures::FutureExt as _;

pub(super) fn roll_back(mut call: Call) -> Answering {
    async move {
        let app = call.app()?;
        let (app, what) = rollback_body::read(app, &call.json_body().await?)?;
        let username = call.username();
        call.ask(|reply| Request::OfReleases { app, what, username, reply }).await.map(answer::body)
    }
    .boxed()
}

pub(super) fn leave_alone(call: Call) -> Answering {
    ask(call, ReleaseAsk::Quarantine)
}

pub(super) fn resume(call: Call) -> Answering {
    ask(call, ReleaseAsk::Resume)
}

fn ask(call: Call, what: ReleaseAsk) -> Answering {
    async move {
        let (app, username) = (call.app()?, call.username());
        call.ask(|reply| Request::OfReleases { app, what, username, reply }).await.map(answer::body)
    }
    .boxed()
}
