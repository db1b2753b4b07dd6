//! Which objects of a kind are there now? One look, held whole: what a person asks for once.

use crate::call::{Call, Verb, is_too_long, unavailable};
use crate::decode::{self, Page, PageMetadata};
use crate::endpoint::with_query;
use crate::gate::Priority;
use crate::watch::WatchSpec;
use crate::{Cluster, Endpoint};
use http::Method;
use model::{CallError, Object};

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
        let spec = WatchSpec {
            namespace: namespace.map(str::to_owned),
            label_selector: label_selector.into(),
            ..WatchSpec::all(endpoint.clone())
        };
        let mut overview = Overview::default();
        self.list_each(Priority::User, spec, |read| match read {
            Ok(object) => overview.objects.push(object),
            Err(sentence) => overview.unreadable.push(sentence),
        })
        .await?;
        Ok(overview)
    }

    /// Lists objects and hands over one after the other, so that no more than a page is held: what cannot be read as
    /// `namespace/name: what is wrong`. After an error, what was handed over is half a list. Pages that are longer than we take
    /// are asked for in smaller pieces.
    pub async fn list_each(
        &self,
        priority: Priority,
        mut spec: WatchSpec,
        mut take: impl FnMut(Result<Object, String>) + Send,
    ) -> Result<(), CallError> {
        let mut next = String::new();
        loop {
            let limit = spec.page.to_string();
            let mut query = vec![("limit", limit.as_str())];
            query.extend(
                [
                    ("labelSelector", spec.label_selector.as_str()),
                    ("fieldSelector", &spec.field_selector),
                    ("continue", &next),
                ]
                .into_iter()
                .filter(|(_, text)| !text.is_empty()),
            );
            let url = with_query(&spec.endpoint.collection(spec.namespace.as_deref()), &query);
            let call = Call::new(Verb::List, &spec.endpoint, Method::GET, url).with_priority(Some(priority));
            match self.call(call).await {
                Ok(answer) => next = hand_over(&answer.body, &spec.endpoint, &mut take)?.r#continue,
                Err(error) if is_too_long(&error) && spec.page > 1 => {
                    spec.page = (spec.page / 4).max(1);
                    continue;
                }
                Err(error) => return Err(error),
            }
            if next.is_empty() {
                return Ok(());
            }
        }
    }
}

fn hand_over(
    body: &[u8],
    endpoint: &Endpoint,
    take: &mut impl FnMut(Result<Object, String>),
) -> Result<PageMetadata, CallError> {
    let text = String::from_utf8_lossy(body);
    let page: Page<'_> = serde_json::from_str(&text)
        .map_err(|_| unavailable("the API server's answer to a list cannot be read"))?;
    for item in page.items.unwrap_or_default() {
        take(
            decode::object(item.get(), &endpoint.gvk)
                .map_err(|bad| format!("{}/{}: {}", bad.namespace, bad.name, bad.sentence)),
        );
    }
    Ok(page.metadata)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake::{Reply, Then, cluster};
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
    async fn a_page_that_is_too_long_is_asked_for_in_smaller_ones() {
        let long = vec![vec![b' '; 1 << 20]; 33];
        let (cluster, asked) = cluster(vec![
            Reply::Chunks(long, Then::Close),
            Reply::Full(200, r#"{"metadata":{},"items":[{"metadata":{"name":"a"}}]}"#.into()),
        ]);
        let spec = WatchSpec {
            field_selector: "type=x".into(),
            page: 50,
            ..WatchSpec::all(Endpoint::new("v1", "Secret", "secrets", true))
        };
        let mut n_objects = 0;
        cluster.list_each(Priority::Background, spec, |_| n_objects += 1).await.unwrap();
        assert_eq!(n_objects, 1);
        assert_eq!(
            *asked.lock().unwrap(),
            [
                "GET /api/v1/secrets?limit=50&fieldSelector=type%3Dx",
                "GET /api/v1/secrets?limit=12&fieldSelector=type%3Dx",
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
