//! How does live differ from Git, and does the caller want to read it or to work with it?

use super::{Answering, Call};
use crate::{DriftFormat, Request, answer};
use futures::FutureExt as _;
use warp::http::header::{ACCEPT, HeaderMap};

pub(super) fn answer(call: Call) -> Answering {
    async move {
        let app = call.app()?;
        let format = format(&call.headers);
        let place = call.place_for_much().await?;
        let drift = call.ask(|reply| Request::Drift { app, format, reply }).await?;
        Ok(answer::held(answer::body(drift), place))
    }
    .boxed()
}

/// Chooses text where the caller likes it better than JSON; JSON where it does not care.
fn format(headers: &HeaderMap) -> DriftFormat {
    let accepted: Vec<&str> = headers
        .get_all(ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|v| v.split(','))
        .collect();
    let liking = |media_types: &[&str]| {
        let matching = accepted.iter().filter_map(|item| {
            let mut parts = item.split(';').map(str::trim);
            let media_type = parts.next()?.to_ascii_lowercase();
            let quality = parts.find_map(|part| part.strip_prefix("q=")).and_then(|q| q.parse::<f32>().ok());
            media_types.contains(&media_type.as_str()).then_some(quality.unwrap_or(1.0))
        });
        matching.fold(0.0_f32, f32::max)
    };
    if liking(&["text/plain", "text/*"]) > liking(&["application/json", "application/*"]) {
        DriftFormat::Text
    } else {
        DriftFormat::Json
    }
}
