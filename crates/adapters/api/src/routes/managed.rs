//! What are an Application's objects in Git and in the cluster?

use super::{Answering, Call};
use crate::{Request, answer, query};
use futures::FutureExt as _;

pub(super) fn answer(call: Call) -> Answering {
    async move {
        let (app, filter) = query::objects(call.name.clone(), &call.pairs)?;
        call.ask(|reply| Request::Managed { app, filter, reply }).await.map(answer::body)
    }
    .boxed()
}
