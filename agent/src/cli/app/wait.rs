//! What came of a revision? Waits for one verdict.

use crate::applications::patch_application;
use crate::cli::app::follow;
use crate::cli::app::store::Store;
use crate::cli::app::sync::MANAGER;
use crate::cli::app::verdict::{self, Outcome, Reached};
use crate::cli::checkout::Checkout;
use crate::cli::failure::Failure;
use crate::cli::person::text;
use crate::tools::talk;
use clap::ArgMatches;
use cluster::{Cluster, Priority};
use model::{AppKey, Revision, names, printable};
use serde_json::{Value, json};
use std::process::ExitCode;
use std::time::Duration;

/// Waits for the verdict on an Application, or on a revision of it.
pub(crate) async fn run(arguments: &ArgMatches) -> Result<ExitCode, Failure> {
    let key = AppKey::new(text(arguments, "namespace"), text(arguments, "name"));
    let timeout = arguments.get_one::<Duration>("timeout").copied().expect("it has a default");
    let revision = text(arguments, "revision");
    match Store::open(arguments).await? {
        Store::Cluster(cluster) => verdict(&cluster, &key, &revision, timeout).await,
        Store::Remote(remote) => remote.wait(&key, &revision, timeout).await,
    }
}

/// Waits for the verdict, and prints it.
pub(crate) async fn verdict(
    cluster: &Cluster,
    key: &AppKey,
    name: &str,
    timeout: Duration,
) -> Result<ExitCode, Failure> {
    let app = Store::Cluster(cluster.clone()).get(&key.namespace, &key.name).await?;
    let mut wanted = Wanted { revision: None, checkout: None, was_reached: false };
    if !name.is_empty() {
        wanted = Wanted::find(cluster, key, &app, name).await?;
        look_now(cluster, key).await;
    }
    let judge = async |app: &Value| {
        let reached = wanted.reached(verdict::looked_at(app)).await?;
        Ok::<Outcome, Failure>(verdict::outcome(app, reached))
    };
    let (ended, _) = follow::until(cluster, key, timeout, judge).await?;
    Ok(ended.print())
}

/// What is waited for.
struct Wanted {
    /// The commit; `None` for whatever the Application follows.
    revision: Option<Revision>,
    /// Where it is asked which commits come after it.
    checkout: Option<Checkout>,
    /// Whether the Application was at such a commit.
    was_reached: bool,
}

impl Wanted {
    async fn find(cluster: &Cluster, key: &AppKey, raw: &Value, name: &str) -> Result<Self, Failure> {
        let app = application::read(raw).map_err(|problems| {
            let wrong: Vec<String> = problems.iter().map(ToString::to_string).collect();
            Failure::new(crate::exit::DIFFERENCE, format!("Application {key} is wrong: {}", wrong.join("; ")))
        })?;
        let checkout = Checkout::of_app(cluster, &key.namespace, &app).await?;
        let revision = checkout.resolve(name).await?;
        Ok(Self { revision: Some(revision), checkout: Some(checkout), was_reached: false })
    }

    /// Returns whether the commit that an Application is at is the wanted one, or comes after it.
    async fn reached(&mut self, at: &str) -> Result<Reached, Failure> {
        let Some(wanted) = &self.revision else { return Ok(Reached::Yes) };
        let holds = match &self.checkout {
            _ if at == wanted.as_str() => true,
            Some(checkout) if !at.is_empty() => checkout.holds(wanted, &checkout.resolve(at).await?).await?,
            Some(_) | None => false,
        };
        self.was_reached |= holds;
        Ok(match (holds, self.was_reached) {
            (true, _) => Reached::Yes,
            (false, true) => Reached::NoLonger,
            (false, false) => Reached::NotYet,
        })
    }
}

/// Asks the agent to look at Git now. Whoever may not do that waits for its next look.
async fn look_now(cluster: &Cluster, key: &AppKey) {
    let patch = json!({"metadata": {"annotations": {(names::REFRESH): "normal"}}});
    if let Err(error) = patch_application(cluster, (Priority::User, MANAGER), key, &patch).await {
        talk(&format!("warning: the agent looks at Git when it does: {}", printable(&error.message)));
    }
}
