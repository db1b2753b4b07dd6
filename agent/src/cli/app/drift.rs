//! How does live differ from Git? As `kubectl diff`: a diff, and the exit code 1 where there is one.

use crate::cli::app::store::Store;
use crate::cli::app_side::AppSide;
use crate::cli::changes::{self, Action, Change};
use crate::cli::checkout::Checkout;
use crate::cli::failure::Failure;
use crate::cli::output;
use crate::cli::paint::Paint;
use crate::cli::person::text;
use crate::cli::plan::changes_at;
use crate::exit::{DIFFERENCE, FORBIDDEN};
use crate::tools::{print, talk};
use clap::ArgMatches;
use model::{AppKey, ObjectKey, Revision, SyncStatus};
use serde_json::{Value, json};
use std::process::ExitCode;

/// Prints how an Application differs from the commit that it was compared with last.
pub(crate) async fn run(arguments: &ArgMatches) -> Result<ExitCode, Failure> {
    let key = AppKey::new(text(arguments, "namespace"), text(arguments, "name"));
    let form = text(arguments, "output");
    let cluster = match Store::open(arguments).await? {
        Store::Cluster(cluster) => cluster,
        Store::Remote(remote) => return remote.drift(&key.name, &form).await,
    };
    let side = AppSide::read(&cluster, &key).await?;
    let checkout = Checkout::of_app(&cluster, &key.namespace, &side.app).await?;
    let revision = match crate::facts::Facts(&side.raw).revision() {
        "" => checkout.resolve(&side.app.source.target_revision).await?,
        known => Revision::new(known),
    };
    let changes = changes_at(&cluster, &side, &checkout, &revision, false).await?;
    let different: Vec<&Change> = changes.iter().filter(|change| change.action != Action::Same).collect();
    let code = match different[..] {
        [] => 0,
        _ if different.iter().any(|change| change.is_forbidden) => FORBIDDEN,
        _ => DIFFERENCE,
    };
    if let Some(structured) = output::structured(&form, &as_json(&key, &revision, &different)) {
        return Ok(print(&structured, ExitCode::from(code)));
    }
    let objects = format!("{} object{}", different.len(), if different.len() == 1 { "" } else { "s" });
    talk(&match status(&different) {
        SyncStatus::Synced => format!("Application {key} is as Git has it at {}", revision.short()),
        SyncStatus::Unknown => format!("Application {key} may not have {objects} of {}", revision.short()),
        SyncStatus::OutOfSync => format!("Application {key} differs from {} in {objects}", revision.short()),
    });
    Ok(print(&Paint::of_stdout().diff(&changes::diffs(&changes)), ExitCode::from(code)))
}

fn status(different: &[&Change]) -> SyncStatus {
    match different {
        [] => SyncStatus::Synced,
        // What is another app's, or is not taken, does not tell.
        _ if different.iter().all(|change| change.action == Action::Refused) => SyncStatus::Unknown,
        _ => SyncStatus::OutOfSync,
    }
}

/// Tells it as the API does.
fn as_json(key: &AppKey, revision: &Revision, different: &[&Change]) -> Value {
    let object = |change: &&Change| {
        let ObjectKey { group, kind, namespace, name } = &change.key;
        let unknown = || json!({"group": group, "kind": kind, "namespace": namespace, "name": name, "message": change.why});
        change.report.as_ref().map_or_else(unknown, drift::Report::to_json)
    };
    let objects: Vec<Value> = different.iter().map(object).collect();
    json!({"application": key.to_string(), "revision": revision.as_str(), "status": status(different).as_str(), "objects": objects})
}
