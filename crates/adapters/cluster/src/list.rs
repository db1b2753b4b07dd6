//! What is in the cluster now? A list, page by page, never held whole.

use crate::call::{Call, Verb, is_too_long, unavailable};
use crate::decode::{self, Page, PageMetadata};
use crate::endpoint::with_query;
use crate::watch::{Origin, Stopped, WatchEvent, Watcher};
use http::Method;
use model::{CallError, ErrorClass};
use std::time::Duration;

/// Longest time for one page.
const PAGE_TIMEOUT: Duration = Duration::from_mins(1);

/// Longest page that we take, in bytes; a longer one is asked for in smaller pieces.
const LONGEST_PAGE: usize = 64 << 20;

/// Most objects per page, however slow a list is.
const LARGEST_PAGE: u32 = 10_000;

impl Watcher {
    /// Lists once; returns the resourceVersion to watch from, or nothing after a failure, which it has waited out.
    pub(crate) async fn list(&mut self) -> Result<Option<String>, Stopped> {
        self.tell(WatchEvent::Began).await?;
        let mut next = String::new();
        loop {
            let read = match self.page(&next).await {
                Ok(body) => self.tell_page(&body).await?,
                Err(error) => Err(error),
            };
            let metadata = match read {
                Ok(metadata) => metadata,
                Err(error) => {
                    self.list_failed(error, !next.is_empty()).await?;
                    return Ok(None);
                }
            };
            if metadata.r#continue.is_empty() {
                self.tell(WatchEvent::Listed(metadata.resource_version.clone())).await?;
                self.saw();
                return Ok(Some(metadata.resource_version));
            }
            next = metadata.r#continue;
        }
    }

    async fn list_failed(&mut self, error: CallError, is_continued: bool) -> Result<(), Stopped> {
        if is_too_long(&error) && self.page > 1 {
            self.page = (self.page / 4).max(1);
            return Ok(());
        }
        let is_expired = is_continued && matches!(error.class, ErrorClass::Gone | ErrorClass::Invalid);
        if is_expired {
            // The token lives some minutes; larger pages need fewer of them.
            self.page = self.page.saturating_mul(4).min(LARGEST_PAGE);
            if self.backoff.failures() == 0 {
                self.backoff.failed(None);
                return Ok(());
            }
        }
        self.failed(error).await
    }

    async fn page(&self, next: &str) -> Result<Vec<u8>, CallError> {
        let limit = self.page.to_string();
        let mut query = vec![("limit", limit.as_str())];
        if !next.is_empty() {
            query.push(("continue", next));
        }
        query.extend(self.selectors());
        let path = self.spec.endpoint.collection(self.spec.namespace.as_deref());
        let mut call = Call::new(Verb::List, &self.spec.endpoint, Method::GET, with_query(&path, &query));
        call.timeout = Some(PAGE_TIMEOUT);
        call.longest = LONGEST_PAGE;
        Ok(self.cluster.call(call).await?.body)
    }

    /// Tells a page's items, each read when there is room for it: as trees of JSON they take ten times the page.
    async fn tell_page(&mut self, body: &[u8]) -> Result<Result<PageMetadata, CallError>, Stopped> {
        let (text, is_lossy) = match std::str::from_utf8(body) {
            Ok(text) => (std::borrow::Cow::Borrowed(text), false),
            Err(_) => (String::from_utf8_lossy(body), true),
        };
        let Ok(page) = serde_json::from_str::<Page>(&text) else {
            return Ok(Err(unavailable("the API server's answer to a list cannot be read")));
        };
        for item in page.items.unwrap_or_default() {
            let event = self.read(item.get(), is_lossy);
            self.tell(event).await?;
        }
        Ok(Ok(page.metadata))
    }

    fn read(&self, item: &str, is_lossy: bool) -> WatchEvent {
        // Which items held the bad bytes shows by what replaced them.
        let read = if is_lossy && item.contains('\u{fffd}') {
            Err(decode::bad(item, "not valid UTF-8"))
        } else {
            decode::object(item, &self.spec.endpoint.gvk)
        };
        match read {
            Ok(object) => WatchEvent::Object(object, Origin::Listed),
            Err(bad) => bad.into(),
        }
    }
}
