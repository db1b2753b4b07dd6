//! How does live differ from Git? As `kubectl diff`: a diff, and the exit code 1 where there is one.

use crate::cli::app::store::Store;
use crate::cli::app_side::AppSide;
use crate::cli::changes::{self, Action};
use crate::cli::checkout::Checkout;
use crate::cli::failure::Failure;
use crate::cli::paint::Paint;
use crate::cli::person::text;
use crate::cli::plan::changes_at;
use crate::exit::{DIFFERENCE, FORBIDDEN};
use crate::tools::{print, talk};
use clap::ArgMatches;
use model::{AppKey, Revision};
use std::process::ExitCode;

/// Prints how an Application differs from the commit that it was compared with last.
pub(crate) async fn run(arguments: &ArgMatches) -> Result<ExitCode, Failure> {
    let key = AppKey::new(text(arguments, "namespace"), text(arguments, "name"));
    let cluster = match Store::open(arguments).await? {
        Store::Cluster(cluster) => cluster,
        Store::Remote(remote) => return remote.drift(&key.name).await,
    };
    let side = AppSide::read(&cluster, &key).await?;
    let checkout = Checkout::of_app(&cluster, &key.namespace, &side.app).await?;
    let revision = match crate::facts::Facts(&side.raw).revision() {
        "" => checkout.resolve(&side.app.source.target_revision).await?,
        known => Revision::new(known),
    };
    let changes = changes_at(&cluster, &side, &checkout, &revision, false).await?;
    let n_different = changes.iter().filter(|change| change.action != Action::Same).count();
    if n_different == 0 {
        talk(&format!("Application {key} is as Git has it at {}", revision.short()));
        return Ok(ExitCode::SUCCESS);
    }
    let plural = if n_different == 1 { "" } else { "s" };
    talk(&format!("Application {key} differs from {} in {n_different} object{plural}", revision.short()));
    let code = if changes.iter().any(|change| change.is_forbidden) { FORBIDDEN } else { DIFFERENCE };
    Ok(print(&Paint::of_stdout().diff(&changes::diffs(&changes)), ExitCode::from(code)))
}
