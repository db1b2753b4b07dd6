//! Which connections have work under way, and which only wait for their caller?
//!
//! A connection that waits for its caller, for a head, a body, or for answers to be taken, may be ended to make room for
//! another. One for which the agent works, or whose answer lasts, may not.

use futures::StreamExt as _;
use http_body_util::BodyExt as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use warp::Reply as _;
use warp::hyper::body::Body as _;
use warp::reply::Response;

/// One request of a connection; counted there while it is under way.
pub(crate) struct UnderWay {
    /// Requests of the connection that are under way.
    count: Arc<AtomicUsize>,
    is_counted: AtomicBool,
}

impl UnderWay {
    /// Counts a request until it is dropped, or waits for its caller.
    pub(crate) fn begin(count: &Arc<AtomicUsize>) -> Arc<Self> {
        count.fetch_add(1, Ordering::Relaxed);
        Arc::new(Self { count: Arc::clone(count), is_counted: AtomicBool::new(true) })
    }

    /// From now on it waits for its caller.
    pub(crate) fn pause(&self) {
        if self.is_counted.swap(false, Ordering::Relaxed) {
            self.count.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// The caller has sent what it had to send.
    pub(crate) fn go_on(&self) {
        if !self.is_counted.swap(true, Ordering::Relaxed) {
            self.count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Counts an answer that is written bit by bit to its end; one that is whole only has to be taken.
    pub(crate) fn until_written(self: Arc<Self>, response: Response) -> Response {
        if response.body().size_hint().exact().is_some() {
            return response;
        }
        let (head, body) = response.into_parts();
        let parts = body.into_data_stream().inspect(move |_| self.go_on());
        Response::from_parts(head, warp::reply::stream(parts).into_response().into_body())
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.pause();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_counts_once_and_only_while_the_caller_need_do_nothing() {
        let count = Arc::new(AtomicUsize::new(0));
        let now = || count.load(Ordering::Relaxed);
        let request = UnderWay::begin(&count);
        let other = UnderWay::begin(&count);
        assert_eq!(now(), 2);
        request.pause();
        request.pause();
        assert_eq!(now(), 1);
        request.go_on();
        request.go_on();
        assert_eq!(now(), 2);
        other.pause();
        drop(other);
        assert_eq!(now(), 1);
        let lasts = warp::reply::stream(futures::stream::pending::<Result<&'static str, std::io::Error>>());
        let answer = Arc::clone(&request).until_written(lasts.into_response());
        drop(request);
        assert_eq!(now(), 1, "the answer lasts");
        drop(answer);
        assert_eq!(now(), 0);
        drop(UnderWay::begin(&count).until_written("all".into_response()));
        assert_eq!(now(), 0);
    }
}
