//! Why is an object as it is? From the object in the cluster to the line in Git, and to who changed it since.
//!
//! ```text
//! KIND/NAME ─▶ climb: owner of owner … ─▶ tracking id ─▶ Application ─▶ its revision, rendered ─▶ file and line, commit
//!                                                                                             └▶ compared with live
//! ```

mod climb;
mod origin;
mod story;

use crate::cli::failure::Failure;
use crate::cli::output;
use crate::cli::person::{self, text};
use crate::exit::CODES;
use crate::tools::print;
use clap::{Arg, ArgMatches, Command};
use model::ErrorClass;
use std::process::ExitCode;

/// The command `why`.
pub(crate) fn command() -> Command {
    Command::new("why")
        .about("Says where an object comes from: Application, file and line, commit, sync, and who changed it since")
        .after_help(CODES)
        .args([
            Arg::new("object")
                .value_name("KIND/NAME")
                .required(true)
                .help("Kind as kubectl takes it, such as deploy, Deployment.apps or pods, and name"),
            Arg::new("namespace")
                .long("namespace")
                .short('n')
                .value_name("NS")
                .help("Namespace of the object [default: the context's]"),
            Arg::new("control-namespace")
                .long("control-namespace")
                .value_name("NS")
                .default_value("argocd")
                .help("Where the Applications live"),
            Arg::new("output")
                .long("output")
                .short('o')
                .value_name("FORMAT")
                .value_parser(["text", "json", "yaml"])
                .default_value("text")
                .help("How to print"),
        ])
        .args(person::arguments())
}

/// Does what it says.
pub(crate) fn run(arguments: &ArgMatches) -> ExitCode {
    person::run(why(arguments))
}

async fn why(arguments: &ArgMatches) -> Result<ExitCode, Failure> {
    let asked = text(arguments, "object");
    let Some((kind, name)) =
        asked.split_once('/').filter(|(kind, name)| !kind.is_empty() && !name.is_empty())
    else {
        return Err(Failure::usage(format!("{asked:?} is not of the form KIND/NAME, such as deploy/web")));
    };
    let (cluster, default) = person::connect(arguments).await?;
    let namespace = arguments.get_one::<String>("namespace").cloned().unwrap_or(default);
    let control = text(arguments, "control-namespace");
    let discovery = cluster.discover().await;
    let discovery = discovery.map_err(|error| Failure::of_call("ask which kinds the cluster has", &error))?;
    let endpoint = discovery.named(kind).ok_or_else(|| {
        let known = "kubectl api-resources lists those that there are";
        Failure::not_found(format!("the cluster has no kind {kind:?} ({known})"))
    })?;
    let found = climb::climb(&cluster, &discovery, &endpoint, (&namespace, name)).await?;
    let story = origin::trace(&cluster, &discovery, &control, found).await?;
    let structured = output::structured(&text(arguments, "output"), &story.to_json());
    Ok(print(&structured.unwrap_or_else(|| story.to_string()), ExitCode::from(story.code)))
}

/// Says that an object is not there, or why it cannot be read.
fn unread(error: &model::CallError, what: &str) -> Failure {
    match error.class {
        ErrorClass::NotFound => Failure::not_found(format!("there is no {what}")),
        _ => Failure::of_call(&format!("read {what}"), error),
    }
}
