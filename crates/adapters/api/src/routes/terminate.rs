//! How is a sync ended?

use super::{Answering, Call};
use crate::{Request, answer};
use futures::FutureExt as _;

pub(super) fn answer(call: Call) -> Answering {
    async move {
        let app = call.app()?;
        call.ask(|reply| Request::Terminate { app, reply }).await.map(answer::body)
    }
    .boxed()
}
