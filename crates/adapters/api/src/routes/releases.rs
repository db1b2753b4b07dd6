//! What was deployed, release by release?

use super::{Answering, Call};
use crate::{ApiError, Request, answer, query};
use futures::FutureExt as _;

pub(super) fn all(call: Call) -> Answering {
    async move {
        let app = call.app()?;
        let place = call.place_for_much().await?;
        let releases = call.ask(|reply| Request::Releases { app, reply }).await?;
        Ok(answer::held(answer::body(releases), place))
    }
    .boxed()
}

pub(super) fn one(call: Call) -> Answering {
    async move {
        let (app, number) = (call.app()?, number(&call.id)?);
        let place = call.place_for_much().await?;
        let release = call.ask(|reply| Request::Release { app, number, reply }).await?;
        Ok(answer::held(answer::body(release), place))
    }
    .boxed()
}

pub(super) fn delivery(call: Call) -> Answering {
    async move {
        let query = query::chosen(&call.pairs)?;
        let place = call.place_for_much().await?;
        let delivery = call.ask(|reply| Request::Delivery { query, reply }).await?;
        Ok(answer::held(answer::body(delivery), place))
    }
    .boxed()
}

/// Reads a release's number, written the way it is told.
fn number(text: &str) -> Result<u64, ApiError> {
    let number = text.parse::<u64>().ok().filter(|number| number.to_string() == text);
    number.ok_or_else(|| ApiError::invalid(format!("the id of a release is a number, not {text:?}")))
}
