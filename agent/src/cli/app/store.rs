//! Where are Applications read and written: in the cluster, by the person's own rights, or by the API of an agent?

use crate::cli::app::remote::Remote;
use crate::cli::failure::Failure;
use crate::cli::person;
use clap::ArgMatches;
use cluster::{Cluster, Priority};
use model::Object;
use serde_json::Value;

/// Where Applications are.
pub(crate) enum Store {
    /// In the cluster.
    Cluster(Cluster),
    /// At an agent.
    Remote(Remote),
}

impl Store {
    /// Finds out which one is meant; sends nothing yet.
    pub(crate) async fn open(arguments: &ArgMatches) -> Result<Self, Failure> {
        if let Some(remote) = Remote::of(arguments)? {
            return Ok(Self::Remote(remote));
        }
        let (cluster, _) = person::connect(arguments).await?;
        Ok(Self::Cluster(cluster))
    }

    /// Lists Applications of a namespace or of all, and says of what cannot be read.
    pub(crate) async fn list(
        &self,
        namespace: Option<&str>,
        selector: &str,
    ) -> Result<(Vec<Value>, Vec<String>), Failure> {
        let cluster = match self {
            Self::Cluster(cluster) => cluster,
            Self::Remote(remote) => {
                let list = remote.list(&[("selector", selector)]).await?;
                return Ok((list["items"].as_array().cloned().unwrap_or_default(), Vec::new()));
            }
        };
        let what = namespace.map_or_else(
            || "list the Applications of all namespaces".to_owned(),
            |namespace| format!("list the Applications of namespace {namespace}"),
        );
        let listed = cluster.list(&crate::watching::applications(), namespace, selector).await;
        let overview = listed.map_err(|error| Failure::of_listing(&what, &error))?;
        Ok((overview.objects.into_iter().map(Object::into_value).collect(), overview.unreadable))
    }

    /// Reads an Application.
    pub(crate) async fn get(&self, namespace: &str, name: &str) -> Result<Value, Failure> {
        let cluster = match self {
            Self::Cluster(cluster) => cluster,
            Self::Remote(remote) => return remote.get(name).await,
        };
        let endpoint = crate::watching::applications();
        let found = cluster.get_at(Priority::User, &endpoint, namespace, name).await;
        let found = found
            .map_err(|error| Failure::of_call(&format!("read Application {namespace}/{name}"), &error))?;
        found.ok_or_else(|| {
            Failure::not_found(format!(
                "there is no Application {name} in namespace {namespace} (tautline app list -A lists those that are)"
            ))
        })
    }
}
