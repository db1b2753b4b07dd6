//! How is a sync asked for?

use crate::applications::patch_application;
use crate::cli::app::follow::{self, Limit};
use crate::cli::app::store::Store;
use crate::cli::app::{verdict, view};
use crate::cli::failure::Failure;
use crate::cli::output::Output;
use crate::cli::person::text;
use crate::exit::OTHER;
use crate::http::rules_out_syncs;
use crate::tools::print;
use api::SyncBody;
use clap::ArgMatches;
use cluster::{Cluster, Priority};
use model::{AppKey, ResourceSelector};
use serde_json::{Value, json};
use std::process::ExitCode;
use std::time::Duration;

/// Field manager of what a person changes in Applications by this program.
pub(crate) const MANAGER: &str = "tautline-cli";

/// Asks for a sync, and waits for its end where that is wanted.
pub(crate) async fn run(arguments: &ArgMatches) -> Result<ExitCode, Failure> {
    let limit = Limit::new(arguments.get_one::<Duration>("timeout").copied().expect("it has a default"));
    let key = AppKey::new(text(arguments, "namespace"), text(arguments, "name"));
    let (output, waits) = (Output::of(arguments), arguments.get_flag("wait"));
    let body = body(arguments)?;
    let store = Store::open(arguments).await?;
    let asked = match &store {
        Store::Cluster(cluster) => ask(cluster, &key, &body).await?,
        Store::Remote(remote) => remote.sync(&key.name, &body).await?,
    };
    let how = if body.dry_run { "dry run asked for" } else { "sync asked for" };
    let done = match output {
        Output::Name => print(&view::name(&asked), ExitCode::SUCCESS),
        Output::Json | Output::Yaml if !waits => print(&view::document(&asked, output), ExitCode::SUCCESS),
        _ if !waits => print(&format!("{} {how}\n", view::name(&asked).trim_end()), ExitCode::SUCCESS),
        _ => ExitCode::SUCCESS,
    };
    if !waits {
        return Ok(done);
    }
    let body = match store {
        Store::Cluster(cluster) => of_cluster(&cluster, &key, &asked["operation"], limit).await?,
        Store::Remote(remote) => remote.wait(&key, &[("sync", "true")], limit).await?,
    };
    Ok(verdict::conclude(&body, output))
}

/// Waits for the end of a sync by what the cluster tells.
async fn of_cluster(
    cluster: &Cluster,
    key: &AppKey,
    operation: &Value,
    limit: Limit,
) -> Result<Value, Failure> {
    let judge = async |app: &Value| Ok(verdict::of_sync(app, operation));
    let (verdict, app) = follow::until(cluster, key, limit, judge).await?;
    let is_told = app["status"]["operationState"]["operation"] == *operation;
    Ok(verdict::body(key, &verdict, is_told.then_some(&app)))
}

fn body(arguments: &ArgMatches) -> Result<SyncBody, Failure> {
    let resources = arguments.get_many::<String>("resource").into_iter().flatten();
    Ok(SyncBody {
        revision: text(arguments, "revision"),
        prune: arguments.get_flag("prune"),
        dry_run: arguments.get_flag("dry-run"),
        resources: resources.map(|text| selector(text)).collect::<Result<_, _>>()?,
        ..SyncBody::default()
    })
}

/// Reads `GROUP:KIND:NAME` or `GROUP:KIND:NAMESPACE/NAME`, as argocd does.
fn selector(text: &str) -> Result<ResourceSelector, Failure> {
    let mut parts = text.splitn(3, ':');
    let (group, kind, name) = (parts.next(), parts.next(), parts.next().unwrap_or_default());
    let (namespace, name) = name.split_once('/').unwrap_or(("", name));
    let kind = kind.unwrap_or_default();
    if kind.is_empty() || name.is_empty() || name.contains('/') {
        return Err(Failure::usage(format!(
            "--resource {text:?} is not of the form GROUP:KIND:NAME or GROUP:KIND:NAMESPACE/NAME (for the core group: :Service:web)"
        )));
    }
    let [group, kind, namespace, name] =
        [group.unwrap_or_default(), kind, namespace, name].map(str::to_owned);
    Ok(ResourceSelector { group, kind, namespace, name })
}

/// Writes the `operation` into the Application, as it was read; returns what it is like then.
async fn ask(cluster: &Cluster, key: &AppKey, body: &SyncBody) -> Result<Value, Failure> {
    let app = Store::Cluster(cluster.clone()).get(&key.namespace, &key.name).await?;
    if let Some(why) = rules_out_syncs(&app) {
        return Err(Failure::new(OTHER, why));
    }
    if !app["operation"].is_null() {
        return Err(Failure::new(
            OTHER,
            format!("Application {key}: another operation is already in progress"),
        ));
    }
    // Whoever may write Applications may say any name; it is for those who read the history.
    let user = std::env::var("USER").unwrap_or_default();
    let patch = json!({
        "metadata": {"resourceVersion": app["metadata"]["resourceVersion"]},
        "operation": body.operation(&user),
    });
    let patched = patch_application(cluster, (Priority::User, MANAGER), key, &patch).await;
    let patched =
        patched.map_err(|error| Failure::of_call(&format!("ask for a sync of Application {key}"), &error))?;
    Ok(patched.into_value())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_are_named_as_argocd_names_them() {
        let shown = |text: &str| {
            selector(text)
                .map(|s| [s.group, s.kind, s.namespace, s.name].join("|"))
                .map_err(|failure| failure.code)
        };
        assert_eq!(shown("apps:Deployment:web").as_deref(), Ok("apps|Deployment||web"));
        assert_eq!(shown(":Service:shop/web").as_deref(), Ok("|Service|shop|web"));
        assert_eq!(
            shown("rbac.authorization.k8s.io:ClusterRole:system:x").as_deref(),
            Ok("rbac.authorization.k8s.io|ClusterRole||system:x")
        );
        for text in
            ["", "web", "apps:Deployment", "apps:Deployment:", "apps::web", ":Service:a/b/c", ":Service:a/"]
        {
            assert_eq!(shown(text), Err(crate::exit::USAGE), "{text}");
        }
    }
}
