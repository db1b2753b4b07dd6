//! What is known of one Application?

use super::{Answering, Call};
use crate::{Request, answer, query};
use futures::FutureExt as _;

pub(super) fn answer(call: Call) -> Answering {
    async move {
        let (app, refresh, fields) = query::get(call.name.clone(), &call.pairs)?;
        let application = call.ask(|reply| Request::Get { app, refresh, reply }).await?;
        Ok(answer::body(fields.narrow(application)))
    }
    .boxed()
}
