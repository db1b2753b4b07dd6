//! How is a webhook taken in? It is answered before anything follows from it.

use super::{Answering, Call};
use crate::{ApiError, Reply, answer};
use futures::FutureExt as _;
use warp::http::StatusCode;

pub(super) fn answer(mut call: Call) -> Answering {
    async move {
        let received = receive(&mut call).await;
        call.webhooks().count(&received);
        let mut response = answer::body(received?);
        *response.status_mut() = StatusCode::ACCEPTED;
        Ok(response)
    }
    .boxed()
}

async fn receive(call: &mut Call) -> Reply {
    let webhooks = call.webhooks();
    // Anybody may send one, so few bodies are in memory at a time; the others wait in their sockets.
    call.wait_for_caller();
    let _turn = webhooks.turn().await;
    let body = call.json_body().await.map_err(|error| match error.status {
        415 => ApiError::unsupported_type(
            "webhooks are read as plain JSON: choose the content type application/json at the sender",
        ),
        _ => error,
    })?;
    webhooks.receive(&call.headers, &body)
}
