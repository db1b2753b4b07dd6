//! What changes of Applications, as it happens?

use super::{Answering, Call};
use crate::lines::Lines;
use crate::{ApiError, Body, Request, answer, query};
use futures::FutureExt as _;
use warp::http::header::{ACCEPT, HeaderMap};

pub(super) fn answer(call: Call) -> Answering {
    async move {
        let (query, since) = query::stream(&call.pairs)?;
        let last_event = call.headers.get("last-event-id").and_then(|value| value.to_str().ok());
        let since = last_event.or(since.as_deref()).filter(|text| !matches!(*text, "" | "0"));
        let since = since.map(|text| text.parse::<u64>().map_err(|_| no_version(text))).transpose()?;
        let place = call.place_to_wait().await?;
        match call.ask(|reply| Request::Stream { query, since, reply }).await? {
            Body::Stream(subscription) => Ok(answer::lines(*subscription, lines(&call.headers), Some(place))),
            other @ (Body::Json(_) | Body::Text(_) | Body::Verdict(..)) => Ok(answer::body(other)),
        }
    }
    .boxed()
}

fn no_version(text: &str) -> ApiError {
    ApiError::invalid(format!(
        "`resourceVersion` is what a list, an Application or an event's id said, and {text:?} is none of these"
    ))
}

fn lines(headers: &HeaderMap) -> Lines {
    let accepted = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
    if accepted.into_iter().any(|value| value.contains("text/event-stream")) {
        Lines::Events
    } else {
        Lines::Json
    }
}
