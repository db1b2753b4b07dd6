//! What can be asked about Applications on the command line?

#[cfg(test)]
mod agreement;
mod create;
mod drift;
mod follow;
mod get;
mod history;
mod list;
mod remote;
mod rollback;
mod store;
mod stream;
mod sync;
mod verdict;
mod view;
mod wait;
mod watch;

use crate::cli::failure::Failure;
use crate::cli::{output, person};
use crate::exit::{CODES, USAGE};
use clap::{Arg, ArgAction, ArgMatches, Command};
use cluster::Cluster;
use model::AppKey;
use serde_json::Value;
use std::process::ExitCode;
use store::Store;

/// The command `app` with what is below it.
pub(crate) fn command() -> Command {
    Command::new("app")
        .about("Shows Applications, makes them, syncs them, and says what came of it")
        .after_help(CODES)
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommands([
            list_command(),
            get_command(),
            history_command(),
            create_command(),
            sync_command(),
            wait_command(),
            drift_command(),
            rollback_command(),
            asking("resume", "Lets Git decide again: lifts what failed or a person left alone"),
            asking("quarantine", "Leaves alone what Git holds now, until a commit changes what is deployed"),
        ])
}

/// Reads an Application from the cluster.
pub(super) async fn application(cluster: &Cluster, key: &AppKey) -> Result<Value, Failure> {
    Store::Cluster(cluster.clone()).get(&key.namespace, &key.name).await
}

/// Reads the Applications of a namespace from the cluster.
pub(super) async fn applications(cluster: &Cluster, namespace: &str) -> Result<Vec<Value>, Failure> {
    let (apps, unreadable) = Store::Cluster(cluster.clone()).list(Some(namespace), "").await?;
    list::warn_of(&unreadable);
    Ok(apps)
}

/// Does what it says.
pub(crate) fn run(arguments: &ArgMatches) -> ExitCode {
    match arguments.subcommand() {
        Some(("list", arguments)) => person::run(list::run(arguments)),
        Some(("get", arguments)) => person::run(get::run(arguments)),
        Some(("history", arguments)) => person::run(history::run(arguments)),
        Some(("create", arguments)) => person::run(create::run(arguments)),
        Some(("sync", arguments)) => person::run(sync::run(arguments)),
        Some(("drift", arguments)) => person::run(drift::run(arguments)),
        Some(("rollback", arguments)) => person::run(rollback::back(arguments)),
        Some(("resume", arguments)) => person::run(rollback::resume(arguments)),
        Some(("quarantine", arguments)) => person::run(rollback::quarantine(arguments)),
        Some(("wait", arguments)) => person::run(wait::run(arguments)),
        Some(_) | None => ExitCode::from(USAGE),
    }
}

fn list_command() -> Command {
    reading("list", "Lists Applications, one line each").args([
        Arg::new("all-namespaces")
            .long("all-namespaces")
            .short('A')
            .action(ArgAction::SetTrue)
            .help("Those of all namespaces"),
        Arg::new("selector")
            .long("selector")
            .short('l')
            .value_name("LABELS")
            .default_value("")
            .hide_default_value(true)
            .help("Only those with these labels, such as team=a,tier!=test"),
        watch_argument(),
        output::argument(),
    ])
}

fn get_command() -> Command {
    reading("get", "Shows an Application: its status, its objects, what is wrong").args([
        name_argument(),
        watch_argument(),
        output::argument(),
    ])
}

fn history_command() -> Command {
    reading("history", "Lists what was deployed, the newest last")
        .args([name_argument(), output::argument().value_parser(["table", "wide", "json", "yaml"])])
}

fn create_command() -> Command {
    let command = reading("create", "Makes an Application in the cluster; an agent's API makes none").args([
        name_argument(),
        Arg::new("repo").long("repo").value_name("URL").required(true).help("Git repository"),
        Arg::new("path")
            .long("path")
            .value_name("P")
            .required(true)
            .help("Folder in the repository; . for its root"),
        revision_argument("Branch, tag, SHA or range of versions [default: HEAD]"),
        Arg::new("dest-namespace")
            .long("dest-namespace")
            .value_name("NS")
            .default_value("")
            .hide_default_value(true)
            .help("Namespace of objects that name none"),
        Arg::new("project").long("project").value_name("P").default_value("default").help("AppProject"),
        switch("auto", "Syncs by itself whenever Git changes"),
        switch("prune", "Deletes what Git no longer has").requires("auto"),
        switch("self-heal", "Undoes what others change").requires("auto"),
        switch("create-namespace", "Makes the namespace if it is not there"),
        switch("dry-run", "Makes nothing; prints the Application with -o yaml or json"),
        switch("wait", "Waits until it is deployed, and ends with the verdict"),
        timeout_argument(),
        output::argument().value_parser(["table", "json", "yaml", "name"]),
    ]);
    // They are taken, so that whoever gives them everywhere is told in a sentence why not here.
    command
        .mut_arg("server", |server| server.help("Not here: create needs the cluster, so leave --server away"))
        .mut_arg("token-file", |file| file.hide(true))
        .mut_arg("ca", |file| file.hide(true))
}

fn sync_command() -> Command {
    reading("sync", "Asks for a sync").args([
        name_argument(),
        revision_argument("Branch, tag or SHA instead of what the Application follows"),
        switch("prune", "Deletes what Git no longer has"),
        switch("dry-run", "Changes nothing; says what would be done, with --wait"),
        Arg::new("resource")
            .long("resource")
            .value_name("GROUP:KIND:[NS/]NAME")
            .action(ArgAction::Append)
            .help("Only this object; may be given several times"),
        switch("wait", "Waits for the end, and ends with the verdict"),
        timeout_argument(),
        output::argument().value_parser(["table", "json", "yaml", "name"]),
    ])
}

fn wait_command() -> Command {
    reading("wait", "Waits for one verdict: Deployed, Superseded, RolledBack, Quarantined, Inconclusive, Held, Failed or NotRequested").args([
        name_argument(),
        revision_argument("Waits until this branch, tag or SHA, or what comes after it, is deployed"),
        timeout_argument(),
        output::argument().value_parser(["table", "json", "yaml"]),
    ])
}

fn drift_command() -> Command {
    reading("drift", "Prints how live differs from Git, as a diff; exit code 1 where it does").args([
        name_argument(),
        output::argument().value_parser(["text", "json", "yaml"]).default_value("text"),
    ])
}

fn asking(name: &'static str, about: &'static str) -> Command {
    reading(name, about)
        .args([name_argument(), output::argument().value_parser(["table", "json", "yaml", "name"])])
}

fn rollback_command() -> Command {
    asking("rollback", "Goes back to a release").args([
        Arg::new("id")
            .value_name("ID")
            .value_parser(clap::value_parser!(u64))
            .help("Its number, as history shows it [default: the one before what runs]"),
        switch("until-resumed", "Keeps it until somebody resumes, not only until the next commit"),
    ])
}

fn switch(name: &'static str, help: &'static str) -> Arg {
    Arg::new(name).long(name).action(ArgAction::SetTrue).help(help)
}

fn revision_argument(help: &'static str) -> Arg {
    Arg::new("revision").long("revision").value_name("R").help(help)
}

fn timeout_argument() -> Arg {
    Arg::new("timeout")
        .long("timeout")
        .value_name("TIME")
        .default_value("10m")
        .value_parser(output::duration)
        .help("Longest wait; then the exit code is 3")
}

fn reading(name: &'static str, about: &'static str) -> Command {
    Command::new(name)
        .about(about)
        .after_help(CODES)
        .arg(person::control_namespace())
        .args(person::arguments())
        .args(remote::arguments())
}

fn name_argument() -> Arg {
    // An empty one, from a variable that is not set, would be the list of all.
    let is_some = clap::builder::NonEmptyStringValueParser::new();
    Arg::new("name").value_name("NAME").required(true).value_parser(is_some).help("Name of the Application")
}

fn watch_argument() -> Arg {
    Arg::new("watch")
        .long("watch")
        .short('w')
        .action(ArgAction::SetTrue)
        .help("Goes on and prints what changes, until Ctrl-C")
}
