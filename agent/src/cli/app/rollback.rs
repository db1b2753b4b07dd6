//! How does a person roll back, have a commit left alone, or let Git decide again?

use crate::applications::patch_application;
use crate::cli::app::store::Store;
use crate::cli::app::sync::MANAGER;
use crate::cli::app::view;
use crate::cli::failure::Failure;
use crate::cli::output::Output;
use crate::cli::person::text;
use crate::clock::now;
use crate::exit::OTHER;
use crate::releases::{self, choice};
use crate::status::own_state;
use crate::tools::print;
use clap::ArgMatches;
use cluster::{Cluster, Priority};
use model::{AppKey, Asked, ReleaseRequest, names};
use serde_json::{Value, json};
use std::process::ExitCode;

/// Goes back to a release.
pub(crate) async fn back(arguments: &ArgMatches) -> Result<ExitCode, Failure> {
    let id = arguments.get_one::<u64>("id").copied();
    let until_resumed = arguments.get_flag("until-resumed");
    let store = Store::open(arguments).await?;
    let key = AppKey::new(text(arguments, "namespace"), text(arguments, "name"));
    let asked =
        match &store {
            Store::Remote(remote) => {
                let body = json!({"id": id, "hold": if until_resumed { "resumed" } else { "commit" }});
                remote.of_releases(&key.name, ("POST", "/rollback"), &body).await?
            }
            Store::Cluster(cluster) => {
                let app = store.get(&key.namespace, &key.name).await?;
                let uid = app["metadata"]["uid"].as_str().unwrap_or_default();
                let kept = releases::Store::new(cluster.clone(), &key.namespace);
                let listing = kept.list(&key, uid).await;
                let listing = listing
                    .map_err(|error| Failure::of_call(&format!("read the releases of {key}"), &error))?;
                let own = own_state(&app);
                let chosen = choice::choose(&key, &listing, id, own.attempted.or(own.desired));
                let to = chosen.map_err(|(why, is_absent)| {
                    if is_absent { Failure::not_found(why) } else { Failure::new(OTHER, why) }
                })?;
                ask(cluster, &key, Asked::RollBack { to, until_resumed }).await?
            }
        };
    Ok(told(arguments, &asked, "rollback asked for"))
}

/// Lets Git decide again.
pub(crate) async fn resume(arguments: &ArgMatches) -> Result<ExitCode, Failure> {
    simple(arguments, "DELETE", Asked::Resume, "resumed").await
}

/// Has what Git holds now left alone.
pub(crate) async fn quarantine(arguments: &ArgMatches) -> Result<ExitCode, Failure> {
    simple(arguments, "POST", Asked::Quarantine, "quarantine asked for").await
}

async fn simple(arguments: &ArgMatches, method: &str, what: Asked, done: &str) -> Result<ExitCode, Failure> {
    let store = Store::open(arguments).await?;
    let key = AppKey::new(text(arguments, "namespace"), text(arguments, "name"));
    let asked = match &store {
        Store::Remote(remote) => remote.of_releases(&key.name, (method, "/quarantine"), &json!({})).await?,
        Store::Cluster(cluster) => ask(cluster, &key, what).await?,
    };
    Ok(told(arguments, &asked, done))
}

/// Writes what is asked for into the Application; an agent takes it from there.
async fn ask(cluster: &Cluster, key: &AppKey, what: Asked) -> Result<Value, Failure> {
    let username = std::env::var("USER").unwrap_or_default();
    let request = ReleaseRequest { what, username, stamp: now().to_string() };
    let text = application::release_request(&request);
    let patch = json!({"metadata": {"annotations": {names::REQUEST_ANNOTATION: text}}});
    let patched = patch_application(cluster, (Priority::User, MANAGER), key, &patch).await;
    let patched = patched.map_err(|error| Failure::of_call(&format!("change Application {key}"), &error))?;
    Ok(patched.into_value())
}

fn told(arguments: &ArgMatches, app: &Value, done: &str) -> ExitCode {
    match Output::of(arguments) {
        Output::Name => print(&view::name(app), ExitCode::SUCCESS),
        output @ (Output::Json | Output::Yaml) => print(&view::document(app, output), ExitCode::SUCCESS),
        Output::Table | Output::Wide => {
            print(&format!("{} {done}\n", view::name(app).trim_end()), ExitCode::SUCCESS)
        }
    }
}
