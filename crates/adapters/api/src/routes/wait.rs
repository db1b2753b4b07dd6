//! What came of a revision?

use super::{Answering, Call};
use crate::{Request, answer, query};
use futures::FutureExt as _;

pub(super) fn answer(call: Call) -> Answering {
    async move {
        let (app, awaited, timeout) = query::wait(call.name.clone(), &call.pairs)?;
        let _place = call.place_to_wait().await?;
        call.ask(|reply| Request::Wait { app, awaited, timeout, reply }).await.map(answer::body)
    }
    .boxed()
}
