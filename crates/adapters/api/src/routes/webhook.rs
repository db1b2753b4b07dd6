//! How is a webhook taken in? It is answered before anything follows from it.

use super::{Answering, Call};
use crate::{ApiError, Reply, Webhooks, answer};
use futures::FutureExt as _;
use warp::http::StatusCode;

pub(super) fn answer(mut call: Call) -> Answering {
    async move {
        let webhooks = call.webhooks();
        let mut counted = webhooks.begin();
        let body = receive(&mut call, &webhooks).await?;
        counted.accept();
        let mut response = answer::body(body);
        *response.status_mut() = StatusCode::ACCEPTED;
        Ok(response)
    }
    .boxed()
}

async fn receive(call: &mut Call, webhooks: &Webhooks) -> Reply {
    let body = call.json_body_in(webhooks.bodies()).await.map_err(|error| match error.status {
        415 => ApiError::unsupported_type(
            "webhooks are read as plain JSON: choose the content type application/json at the sender",
        ),
        _ => error,
    })?;
    webhooks.receive(&call.headers, &body)
}
