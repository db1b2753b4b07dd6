//! How does a person reach the cluster? With the kubeconfig, as kubectl does.

use crate::cli::failure::Failure;
use crate::exit::{self, OTHER};
use clap::{Arg, ArgMatches, value_parser};
use cluster::{Access, Cluster};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

/// Longest wait for one answer of the API server.
const PATIENCE: Duration = Duration::from_secs(30);

/// Requests in flight at most: a person asks for little.
const IN_FLIGHT: usize = 16;

/// The options that say which cluster.
pub(crate) fn arguments() -> [Arg; 2] {
    [
        Arg::new("kubeconfig")
            .long("kubeconfig")
            .value_name("FILE")
            .value_parser(value_parser!(PathBuf))
            .help("How to reach the cluster [default: KUBECONFIG, or ~/.kube/config]"),
        Arg::new("context").long("context").value_name("NAME").help("Context of the kubeconfig"),
    ]
}

/// The option `-n` for where Applications live.
pub(crate) fn control_namespace() -> Arg {
    Arg::new("namespace")
        .long("namespace")
        .short('n')
        .value_name("NS")
        .default_value("argocd")
        .help("Where the Applications live")
}

/// Returns a text option, empty where it is not given.
pub(crate) fn text(arguments: &ArgMatches, name: &str) -> String {
    arguments.get_one::<String>(name).cloned().unwrap_or_default()
}

/// Connects to the cluster, and returns the context's namespace, too. Sends nothing yet.
pub(crate) async fn connect(arguments: &ArgMatches) -> Result<(Cluster, String), Failure> {
    let access = Access {
        kubeconfig: arguments.get_one::<PathBuf>("kubeconfig").cloned(),
        user_agent: concat!("tautline/", env!("CARGO_PKG_VERSION"), " (cli)").into(),
        in_flight: IN_FLIGHT,
        call_timeout: PATIENCE,
    };
    let context = arguments.get_one::<String>("context").map(String::as_str);
    Cluster::connect_person(access, context).await.map_err(|error| {
        let next = "name a kubeconfig with --kubeconfig, or the API of an agent with --server";
        Failure::new(exit::of(&error), format!("cannot reach a cluster: {error:#} ({next})"))
    })
}

/// Runs a command to its end.
pub(crate) fn run(command: impl Future<Output = Result<ExitCode, Failure>>) -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return Failure::new(OTHER, format!("cannot start: {error}")).tell(),
    };
    let outcome = runtime.block_on(command);
    // Threads that are stuck in a dead host's connection must not hold the exit up.
    runtime.shutdown_background();
    outcome.unwrap_or_else(|failure| failure.tell())
}
