//! How is a request's body read without giving the caller our memory or our time?

use crate::body_room::{BodyRoom, Share};
use crate::{ApiError, Limits};
use futures::StreamExt as _;
use std::pin::pin;
use std::sync::Arc;
use warp::http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap};
use warp::{Buf, Stream};

/// Reads a JSON body whole, with or without a declared length, beside the others of the room. The content type is what Argo
/// CD asks for on every change: a page of another site cannot send it unasked.
pub(crate) async fn read<B: Buf>(
    headers: &HeaderMap,
    stream: impl Stream<Item = Result<B, warp::Error>>,
    limits: Limits,
    room: &Arc<BodyRoom>,
) -> Result<Vec<u8>, ApiError> {
    if !is_json(headers) {
        return Err(ApiError::unsupported_type("a change needs the header `content-type: application/json`"));
    }
    if headers.contains_key(CONTENT_ENCODING) {
        return Err(ApiError::unsupported_type("compressed request bodies are not read"));
    }
    if declared_length(headers).is_some_and(|length| length > limits.max_body as u64) {
        return Err(too_large(limits));
    }
    let share = room.begin();
    tokio::time::timeout(limits.body_timeout, collect(stream, limits, share)).await.unwrap_or_else(|_| {
        Err(ApiError::slow(format!("the request's body did not arrive within {:?}", limits.body_timeout)))
    })
}

async fn collect<B: Buf>(
    stream: impl Stream<Item = Result<B, warp::Error>>,
    limits: Limits,
    mut share: Share,
) -> Result<Vec<u8>, ApiError> {
    let mut stream = pin!(stream);
    let mut bytes = Vec::new();
    loop {
        let part = tokio::select! {
            biased;
            () = share.given_up() => return Err(ApiError::slow(
                "so many bodies are on their way that this one, the oldest, was given up; send it again at once",
            )),
            part = stream.next() => part,
        };
        let Some(part) = part else { return Ok(bytes) };
        let mut part = part.map_err(|_| ApiError::invalid("the request's body was cut off"))?;
        if bytes.len() + part.remaining() > limits.max_body {
            return Err(too_large(limits));
        }
        share.add(part.remaining());
        while part.has_remaining() {
            let chunk = part.chunk();
            bytes.extend_from_slice(chunk);
            let n_read = chunk.len();
            part.advance(n_read);
        }
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let value = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let media_type = value.split(';').next().unwrap_or_default().trim();
    media_type.eq_ignore_ascii_case("application/json")
}

fn declared_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

fn too_large(limits: Limits) -> ApiError {
    ApiError::too_large(format!("the request's body is larger than {} bytes", limits.max_body))
}
