//! What are an Application's objects in Git and in the cluster?

use super::{Answering, Call};
use crate::{Request, answer, query};
use futures::FutureExt as _;

pub(super) fn answer(call: Call) -> Answering {
    async move {
        let (app, filter) = query::objects(call.name.clone(), &call.pairs)?;
        let place = call.place_for_much().await?;
        let managed = call.ask(|reply| Request::Managed { app, filter, reply }).await?;
        Ok(answer::held(answer::body(managed), place))
    }
    .boxed()
}
