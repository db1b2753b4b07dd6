//! Which version of the agent is this?

use super::{Answering, Call};
use crate::{Body, answer};
use futures::FutureExt as _;
use serde_json::json;

pub(super) fn answer(_: Call) -> Answering {
    let version = concat!("v", env!("CARGO_PKG_VERSION"));
    async move { Ok(answer::body(Body::Json(json!({ "Version": version })))) }.boxed()
}
