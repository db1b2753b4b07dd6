//! How does the API learn who calls it and what they may? It asks the cluster, past the loop.

use crate::config::Config;
use api::{Question, Reviews};
use cluster::{Cluster, Wish};
use futures::FutureExt;
use std::sync::Arc;

/// Returns who knows callers; `None` where they are not asked who they are.
pub(crate) fn of(config: &Config, cluster: &Cluster) -> Option<Reviews> {
    if !config.api.authenticate {
        return None;
    }
    let audiences: Arc<[String]> = config.api.audiences.clone().into();
    let (for_tokens, for_rights) = (cluster.clone(), cluster.clone());
    Some(Reviews {
        identify: Arc::new(move |token| {
            let (cluster, audiences) = (for_tokens.clone(), Arc::clone(&audiences));
            async move { cluster.review_token(token.text(), &audiences).await }.boxed()
        }),
        allows: Arc::new(move |user, question| {
            let cluster = for_rights.clone();
            async move {
                let Question { verb, namespace, name } = &question;
                cluster.review_access(&user, Wish { verb: verb.as_str(), namespace, name }).await
            }
            .boxed()
        }),
        namespace: config.namespace.clone(),
    })
}
