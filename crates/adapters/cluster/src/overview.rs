//! Which objects of a kind are there now? One look, held whole: what a person asks for once.

use crate::call::{Call, Verb, unavailable};
use crate::decode::{self, Page, PageMetadata};
use crate::endpoint::with_query;
use crate::gate::Priority;
use crate::{Cluster, Endpoint};
use http::Method;
use model::{CallError, Object};

/// Objects per page.
const PAGE: &str = "500";

/// All objects of a kind at one moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Overview {
    /// Those that can be read, in the server's order: by namespace and name.
    pub objects: Vec<Object>,
    /// Those that cannot: `namespace/name: what is wrong`.
    pub unreadable: Vec<String>,
}

impl Cluster {
    /// Lists the objects of a kind, page by page: of one namespace or of all, with labels or with any.
    pub async fn list(
        &self,
        endpoint: &Endpoint,
        namespace: Option<&str>,
        label_selector: &str,
    ) -> Result<Overview, CallError> {
        let mut overview = Overview::default();
        let mut next = String::new();
        loop {
            let mut query = vec![("limit", PAGE)];
            query
                .extend([("labelSelector", label_selector)].into_iter().filter(|(_, text)| !text.is_empty()));
            query.extend([("continue", next.as_str())].into_iter().filter(|(_, text)| !text.is_empty()));
            let url = with_query(&endpoint.collection(namespace), &query);
            let call = Call::new(Verb::List, endpoint, Method::GET, url).with_priority(Some(Priority::User));
            let body = self.call(call).await?.body;
            next = overview.add(&body, endpoint)?.r#continue;
            if next.is_empty() {
                return Ok(overview);
            }
        }
    }
}

impl Overview {
    fn add(&mut self, body: &[u8], endpoint: &Endpoint) -> Result<PageMetadata, CallError> {
        let text = String::from_utf8_lossy(body);
        let page: Page<'_> = serde_json::from_str(&text)
            .map_err(|_| unavailable("the API server's answer to a list cannot be read"))?;
        for item in page.items.unwrap_or_default() {
            match decode::object(item.get(), &endpoint.gvk) {
                Ok(object) => self.objects.push(object),
                Err(bad) => {
                    self.unreadable.push(format!("{}/{}: {}", bad.namespace, bad.name, bad.sentence));
                }
            }
        }
        Ok(page.metadata)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake::{Reply, cluster};
    use model::ErrorClass;

    #[tokio::test]
    async fn pages_make_one_overview_and_a_bad_object_stops_only_itself() {
        let first = r#"{"metadata":{"continue":"more"},"items":[{"metadata":{"name":"a","namespace":"n"}}]}"#;
        let second = r#"{"metadata":{},"items":[{"metadata":{"name":"b","namespace":"n","labels":7}},
            {"metadata":{"name":"c","namespace":"n"}}]}"#;
        let (cluster, asked) = cluster(vec![Reply::Full(200, first.into()), Reply::Full(200, second.into())]);
        let endpoint = Endpoint::new("v1", "ConfigMap", "configmaps", true);
        let overview = cluster.list(&endpoint, Some("n"), "a=b").await.unwrap();
        let names: Vec<&str> = overview.objects.iter().map(Object::name).collect();
        assert_eq!(names, ["a", "c"]);
        assert_eq!(overview.objects[0].kind(), "ConfigMap");
        assert_eq!(overview.unreadable, ["n/b: metadata.labels or annotations is not a map of text"]);
        assert_eq!(
            *asked.lock().unwrap(),
            [
                "GET /api/v1/namespaces/n/configmaps?limit=500&labelSelector=a%3Db",
                "GET /api/v1/namespaces/n/configmaps?limit=500&labelSelector=a%3Db&continue=more",
            ]
        );
    }

    #[tokio::test]
    async fn half_a_list_is_none() {
        let first = r#"{"metadata":{"continue":"more"},"items":[{"metadata":{"name":"a"}}]}"#;
        let (cluster, _) = cluster(vec![Reply::Full(200, first.into()), Reply::Full(403, String::new())]);
        let endpoint = Endpoint::new("v1", "Node", "nodes", false);
        assert_eq!(cluster.list(&endpoint, None, "").await.unwrap_err().class, ErrorClass::Forbidden);
    }
}
