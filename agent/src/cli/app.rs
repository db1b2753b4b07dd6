//! What can be asked about Applications on the command line?

mod facts;
mod get;
mod history;
mod list;
mod store;
mod view;
mod watch;

use crate::cli::{output, person};
use crate::exit::{CODES, USAGE};
use clap::{Arg, ArgAction, ArgMatches, Command};
use std::process::ExitCode;

/// The command `app` with what is below it.
pub(crate) fn command() -> Command {
    Command::new("app")
        .about("Shows Applications and what became of them")
        .after_help(CODES)
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommands([list_command(), get_command(), history_command()])
}

/// Does what it says.
pub(crate) fn run(arguments: &ArgMatches) -> ExitCode {
    match arguments.subcommand() {
        Some(("list", arguments)) => person::run(list::run(arguments)),
        Some(("get", arguments)) => person::run(get::run(arguments)),
        Some(("history", arguments)) => person::run(history::run(arguments)),
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

fn reading(name: &'static str, about: &'static str) -> Command {
    Command::new(name)
        .about(about)
        .after_help(CODES)
        .arg(person::control_namespace())
        .args(person::arguments())
}

fn name_argument() -> Arg {
    Arg::new("name").value_name("NAME").required(true).help("Name of the Application")
}

fn watch_argument() -> Arg {
    Arg::new("watch")
        .long("watch")
        .short('w')
        .action(ArgAction::SetTrue)
        .help("Goes on and prints what changes, until Ctrl-C")
}
