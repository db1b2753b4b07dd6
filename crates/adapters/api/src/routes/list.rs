//! Which Applications are there?

use super::{Answering, Call};
use crate::{ApiError, Request, answer, query};
use futures::FutureExt as _;

pub(super) fn answer(call: Call) -> Answering {
    async move {
        let query = query::list(&call.pairs)?;
        let fields = query.fields.clone();
        let place = if query.is_costly() { Some(call.place_for_much().await?) } else { None };
        let list = call.ask(|reply| Request::List { query, reply }).await?;
        let Some(place) = place else { return Ok(answer::body(fields.narrow(list))) };
        // To write thousands takes longer than the others may stand still.
        let written = tokio::task::spawn_blocking(move || answer::body(fields.narrow(list))).await;
        let written = written.map_err(|_| ApiError::internal("the list could not be written"))?;
        Ok(answer::held(written, place))
    }
    .boxed()
}
