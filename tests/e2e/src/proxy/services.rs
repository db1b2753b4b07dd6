//! What do Services answer whose pods no network leads to? The test says so, in the place of the API server that would pass the request
//! on; what it does not answer for is the API server's to refuse.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::Proxy;
use crate::server::{self, Request};

/// Returns status and body for a path and a query.
type Service = Arc<dyn Fn(&str, &str) -> (u16, String) + Send + Sync>;

/// The Services that a test answers for, by their path.
#[derive(Default)]
pub(crate) struct Services(Mutex<BTreeMap<String, Service>>);

impl Services {
    /// Answers for a Service from now on: `web:80` of a namespace.
    pub(crate) fn put(
        &self,
        (namespace, service): (&str, &str),
        answer: impl Fn(&str, &str) -> (u16, String) + Send + Sync + 'static,
    ) {
        let path = format!("/api/v1/namespaces/{namespace}/services/{service}/proxy");
        self.all().insert(path, Arc::new(answer));
    }

    /// Returns what a Service answers to a request, if it is for one.
    pub(crate) fn answer(&self, request: &Request) -> Option<Vec<u8>> {
        let (service, path) = {
            let all = self.all();
            let found = all.iter().find_map(|(prefix, service)| {
                let path = request.path.strip_prefix(prefix.as_str())?;
                Some((Arc::clone(service), path.to_owned()))
            });
            found?
        };
        let (status, body) = service(&path, &request.query);
        Some(server::with_body(&format!("{status} As The Test Says"), "text/plain", body.as_bytes()))
    }

    fn all(&self) -> MutexGuard<'_, BTreeMap<String, Service>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Proxy {
    /// Answers for a Service, such as `web:80` of a namespace, in the place of its pods: `answer` gets path and query.
    pub fn serves(
        &self,
        service: (&str, &str),
        answer: impl Fn(&str, &str) -> (u16, String) + Send + Sync + 'static,
    ) {
        self.shared.services.put(service, answer);
    }
}
