//! What came of a revision? Waits for one verdict.

use crate::applications::patch_application;
use crate::cli::app::follow::{self, Limit};
use crate::cli::app::store::Store;
use crate::cli::app::sync::MANAGER;
use crate::cli::app::verdict;
use crate::cli::checkout::Checkout;
use crate::cli::failure::Failure;
use crate::cli::output::Output;
use crate::cli::person::text;
use crate::tools::talk;
use clap::ArgMatches;
use cluster::{Cluster, Priority};
use engine::waiting::{self, Outcome};
use model::{AppKey, Revision, names, printable};
use serde_json::{Value, json};
use source::{Kind, SourceError};
use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::Duration;

/// How long a repository that does not answer is left alone.
const BETWEEN: Duration = Duration::from_secs(2);

/// Waits for the verdict on an Application, or on a revision of it.
pub(crate) async fn run(arguments: &ArgMatches) -> Result<ExitCode, Failure> {
    let limit = Limit::new(arguments.get_one::<Duration>("timeout").copied().expect("it has a default"));
    let key = AppKey::new(text(arguments, "namespace"), text(arguments, "name"));
    let revision = text(arguments, "revision");
    let body = match Store::open(arguments).await? {
        Store::Cluster(cluster) => of_cluster(&cluster, &key, &revision, limit).await?,
        Store::Remote(remote) => remote.wait(&key, &[("revision", &revision)], limit).await?,
    };
    Ok(verdict::conclude(&body, Output::of(arguments)))
}

/// Waits for the verdict on an Application that was just made, and prints it.
pub(crate) async fn verdict(
    cluster: &Cluster,
    key: &AppKey,
    timeout: Duration,
    output: Output,
) -> Result<ExitCode, Failure> {
    let judge = async |app: &Value| Ok(verdict::of_now(app));
    let (verdict, _) = follow::until(cluster, key, Limit::new(timeout), judge).await?;
    Ok(verdict::conclude(&verdict::body(key, &verdict, None), output))
}

/// Waits for the verdict by what the cluster tells.
async fn of_cluster(cluster: &Cluster, key: &AppKey, name: &str, limit: Limit) -> Result<Value, Failure> {
    // What asks Git is large, and asked once.
    let begin = Box::pin(async {
        let app = Store::Cluster(cluster.clone()).get(&key.namespace, &key.name).await?;
        let wanted = if name.is_empty() { None } else { Some(Wanted::find(cluster, key, &app, name).await?) };
        Ok((wanted, look_now(cluster, key, &app).await))
    });
    let (mut wanted, is_asked) = limit.within(key, "the repository and the cluster to answer", begin).await?;
    let judge = async |app: &Value| {
        if is_asked && is_to_be_looked_at(app) {
            return Ok(Outcome::Waits("the agent to look at the repository".into()));
        }
        Ok(match &mut wanted {
            None => verdict::of_now(app),
            Some(wanted) => wanted.judge(app).await,
        })
    };
    let (verdict, _) = follow::until(cluster, key, limit, judge).await?;
    Ok(verdict::body(key, &verdict, None))
}

/// The commit that is waited for.
struct Wanted {
    known: waiting::Wanted,
    revision: Revision,
    /// Where it is asked which commits come after it.
    checkout: Checkout,
    /// Which of those that the Application was at do.
    holds: BTreeMap<Revision, bool>,
    /// What was told of the repository last.
    told: String,
}

impl Wanted {
    /// Finds out what a name stands for; a repository that does not answer is asked again.
    async fn find(cluster: &Cluster, key: &AppKey, raw: &Value, name: &str) -> Result<Self, Failure> {
        let app = application::read(raw).map_err(|problems| {
            let wrong: Vec<String> = problems.iter().map(ToString::to_string).collect();
            Failure::new(crate::exit::OTHER, format!("Application {key} is wrong: {}", wrong.join("; ")))
        })?;
        let checkout = Checkout::of_app(cluster, &key.namespace, &app).await?;
        let mut told = String::new();
        let revision = loop {
            match checkout.find(name).await {
                Ok(revision) => break revision,
                Err(error) if error.is_transient() => warn(&mut told, &error),
                Err(error) => return Err(checkout.failed(&error)),
            }
            tokio::time::sleep(BETWEEN).await;
        };
        let known = waiting::Wanted {
            revision: Some(revision.clone()),
            has_looked: true,
            ..waiting::Wanted::default()
        };
        Ok(Self { known, revision, checkout, holds: BTreeMap::new(), told })
    }

    /// Decides by the Application, as far as the repository tells how commits relate.
    async fn judge(&mut self, app: &Value) -> Outcome {
        self.known.reached.clear();
        for revision in verdict::revisions(app) {
            match self.holds(&revision).await {
                Ok(true) => {
                    self.known.reached.insert(revision);
                }
                Ok(false) => {}
                Err(error) => {
                    warn(&mut self.told, &error);
                    return Outcome::Waits("the repository to answer".into());
                }
            }
        }
        self.known.was_reached |= !self.known.reached.is_empty();
        verdict::of_revision(app, &self.known)
    }

    /// Returns whether a commit that the Application is at is the wanted one or comes after it.
    async fn holds(&mut self, at: &Revision) -> Result<bool, SourceError> {
        if *at == self.revision {
            return Ok(true);
        }
        if let Some(known) = self.holds.get(at) {
            return Ok(*known);
        }
        match self.checkout.relation(&self.revision, at.as_str()).await {
            Ok(holds) => {
                self.holds.insert(at.clone(), holds);
                Ok(holds)
            }
            Err(error) if error.is_transient() => Err(error),
            // A force-push took it away; or the agent knows it already, and it is not seen from here yet.
            Err(error) if error.kind == Kind::RevisionNotFound => Ok(false),
            Err(error) => {
                warn(&mut self.told, &error);
                Ok(false)
            }
        }
    }
}

fn warn(told: &mut String, error: &SourceError) {
    let sentence = error.to_string();
    if *told != sentence {
        talk(&format!("warning: the repository does not tell: {}", printable(&sentence)));
        *told = sentence;
    }
}

/// Asks the agent to look at Git now; returns whether it was asked. Whoever may not do that waits for its next look.
async fn look_now(cluster: &Cluster, key: &AppKey, app: &Value) -> bool {
    if is_left_alone(app) {
        return false;
    }
    let patch = json!({"metadata": {"annotations": {(names::REFRESH): "normal"}}});
    let asked = patch_application(cluster, (Priority::User, MANAGER), key, &patch).await;
    if let Err(error) = &asked {
        talk(&format!("warning: the agent looks at Git when it does: {}", printable(&error.message)));
    }
    asked.is_ok()
}

/// Returns whether the agent has not answered the request yet: what it tells may be of before.
fn is_to_be_looked_at(app: &Value) -> bool {
    app["metadata"]["annotations"][names::REFRESH].is_string() && !is_left_alone(app)
}

/// Returns whether the agent does not look at Git for an Application, whoever asks.
fn is_left_alone(app: &Value) -> bool {
    application::skips_reconcile(app) || application::deletion(app).is_some()
}
