//! Which Applications are there?

use super::{Answering, Call};
use crate::{Request, answer, query};
use futures::FutureExt as _;

pub(super) fn answer(call: Call) -> Answering {
    async move {
        let query = query::list(&call.pairs)?;
        let fields = query.fields.clone();
        let list = call.ask(|reply| Request::List { query, reply }).await?;
        Ok(answer::body(fields.narrow(list)))
    }
    .boxed()
}
