//! What can be asked of the program on the command line?

pub(crate) mod app;
mod app_side;
mod changes;
pub(crate) mod checkout;
mod completion;
pub(crate) mod failure;
pub(crate) mod output;
mod owners;
pub(crate) mod paint;
pub(crate) mod person;
mod plan;
mod scratch;
mod serving;
pub(crate) mod table;
mod why;

use crate::config::{Config, service_port};
use crate::exit::{self, CODES, OTHER, USAGE};
use crate::{rendering, run, tools};
use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use cluster::ServicePort;
use futures::FutureExt;
use model::RollbackPolicy;
use std::ffi::OsString;
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

/// Reads the command line and does what it says.
pub(crate) fn main() -> ExitCode {
    let matches = match command().try_get_matches_from(std::env::args_os().collect::<Vec<OsString>>()) {
        Ok(matches) => matches,
        Err(error) => {
            let code = if error.use_stderr() { USAGE } else { 0 };
            // Nothing can be told if not even this can be printed.
            let _unprinted = error.print();
            return ExitCode::from(code);
        }
    };
    match matches.subcommand() {
        Some(("run", arguments)) => run_agent(arguments),
        Some(("crd", _)) => tools::crd(),
        Some(("render", arguments)) => rendering::render(arguments),
        Some(("health", arguments)) => tools::health(arguments),
        Some(("app", arguments)) => app::run(arguments),
        Some(("why", arguments)) => why::run(arguments),
        Some(("plan", arguments)) => plan::run(arguments),
        Some(("completion", arguments)) => completion::run(arguments, command()),
        Some(_) | None => ExitCode::from(USAGE),
    }
}

fn command() -> Command {
    Command::new("tautline")
        .about("Keeps Kubernetes clusters equal to Git")
        .version(env!("CARGO_PKG_VERSION"))
        .after_help(CODES)
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommands([
            run_command(),
            app::command(),
            why::command(),
            plan::command(),
            crd_command(),
            render_command(),
            health_command(),
            completion::command(),
        ])
}

fn run_command() -> Command {
    Command::new("run")
        .about("Runs the agent until SIGTERM or Ctrl-C")
        .long_about(
            "Runs the agent: watches the Applications of one namespace, keeps what they describe equal to Git, and writes \
             what it did into their status. Ends cleanly on SIGTERM and Ctrl-C.",
        )
        .after_help(CODES)
        .args([
            Arg::new("kubeconfig")
                .long("kubeconfig")
                .value_name("FILE")
                .value_parser(value_parser!(PathBuf))
                .help("How to reach the cluster [default: the pod's own service account]"),
            Arg::new("namespace")
                .long("namespace")
                .short('n')
                .value_name("NS")
                .default_value("argocd")
                .help("Where Applications, AppProjects and settings live"),
            Arg::new("probes")
                .long("probes")
                .value_name("ADDR")
                .default_value("127.0.0.1:8081")
                .value_parser(value_parser!(SocketAddr))
                .help("Where /healthz, /readyz and /metrics are served, and nothing else"),
            Arg::new("cache-dir")
                .long("cache-dir")
                .value_name("DIR")
                .default_value("/var/cache/tautline")
                .value_parser(value_parser!(PathBuf))
                .help("Clones and rendered manifests; may be lost at any time"),
            Arg::new("poll-interval")
                .long("poll-interval")
                .value_name("TIME")
                .default_value("30s")
                .value_parser(duration)
                .help("How often repositories are polled; timeout.reconciliation in argocd-cm wins"),
            Arg::new("local-repos")
                .long("local-repos")
                .value_name("DIR")
                .action(ArgAction::Append)
                .value_parser(value_parser!(PathBuf))
                .help("Folder below which repositories on this disk may be read; may be given several times"),
            Arg::new("events")
                .long("events")
                .value_name("WHICH")
                .value_parser(["warnings", "all"])
                .default_value("warnings")
                .help("Which transitions become Kubernetes events"),
            Arg::new("rollback")
                .long("rollback")
                .value_name("POLICY")
                .value_parser(RollbackPolicy::WORDS)
                .default_value("automatic")
                .help("Who goes back when a commit of an app with automated sync is bad, unless the app or its project says"),
            Arg::new("prometheus")
                .long("prometheus")
                .value_name("NAMESPACE/SERVICE:PORT")
                .value_parser(service_port)
                .help("Where the queries are asked that apps declare as checks, by way of the API server"),
            Arg::new("log-format")
                .long("log-format")
                .value_name("FORMAT")
                .value_parser(["text", "json"])
                .default_value("text")
                .help("How log lines are written to stderr; RUST_LOG chooses which"),
        ])
        .args(serving::arguments())
}

fn crd_command() -> Command {
    Command::new("crd").about("Prints the CustomResourceDefinitions, for kubectl apply -f -")
}

fn render_command() -> Command {
    Command::new("render")
        .about("Prints the objects of a folder as they would be applied, and every problem")
        .after_help(CODES)
        .args([
            Arg::new("dir").value_name("DIR").value_parser(value_parser!(PathBuf)).help("A folder on disk"),
            Arg::new("repo")
                .long("repo")
                .value_name("URL")
                .conflicts_with("dir")
                .help("A Git repository instead"),
            Arg::new("path").long("path").value_name("P").default_value("").help("Folder in the repository"),
            Arg::new("revision")
                .long("revision")
                .value_name("R")
                .default_value("HEAD")
                .help("Branch, tag or SHA"),
            Arg::new("namespace")
                .long("namespace")
                .short('n')
                .value_name("NS")
                .default_value("default")
                .help("Namespace of objects that name none"),
            Arg::new("recurse").long("recurse").action(ArgAction::SetTrue).help("Folders below it, too"),
            Arg::new("include")
                .long("include")
                .value_name("GLOB")
                .default_value("")
                .hide_default_value(true)
                .help("Only these files, as spec.source.directory.include"),
            Arg::new("control-namespace")
                .long("control-namespace")
                .value_name("NS")
                .default_value("argocd")
                .help("Where the key and the host keys of a repository by SSH are"),
            Arg::new("exclude")
                .long("exclude")
                .value_name("GLOB")
                .default_value("")
                .hide_default_value(true)
                .help("Not these files, as spec.source.directory.exclude"),
            Arg::new("output")
                .long("output")
                .short('o')
                .value_parser(["yaml", "json"])
                .default_value("yaml")
                .help("How to print"),
        ])
        .args(person::arguments())
}

fn health_command() -> Command {
    Command::new("health")
        .about("Says how well live objects are: one line each")
        .long_about("Reads live objects, such as `kubectl get ... -o yaml` prints them, and says how well each is: kind, name, status, message.")
        .after_help(CODES)
        .args([
            Arg::new("file").long("filename").short('f').value_name("FILE").default_value("-").help("A file; - for standard input"),
            Arg::new("output").long("output").short('o').value_parser(["table", "json", "yaml"]).default_value("table").help("How to print"),
        ])
}

fn duration(text: &str) -> Result<Duration, String> {
    let length =
        application::duration::parse(text).ok_or_else(|| format!("{text:?} is no time such as 30s or 2m"))?;
    if length.as_millis() < 1000 {
        return Err("repositories are polled at most once a second".into());
    }
    Ok(Duration::from_millis(u64::try_from(length.as_millis()).unwrap_or(0)))
}

fn run_agent(arguments: &ArgMatches) -> ExitCode {
    let is_json = arguments.get_one::<String>("log-format").is_some_and(|format| format == "json");
    if let Err(error) = crate::logs::start(is_json) {
        // There is no other place left to say it.
        let _untold = writeln!(std::io::stderr(), "cannot start the thread that writes the log: {error}");
        return ExitCode::from(OTHER);
    }
    let config = match config(arguments) {
        Ok(config) => config,
        Err(sentence) => {
            tracing::error!("cannot run: {sentence}");
            return ExitCode::from(USAGE);
        }
    };
    // Threads cost memory: what blocks is rendering and the cache's files, and neither is quicker for having more.
    let mut threads = tokio::runtime::Builder::new_multi_thread();
    let runtime = match threads.worker_threads(2).max_blocking_threads(4).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            tracing::error!(%error, "no runtime");
            return ExitCode::from(OTHER);
        }
    };
    let outcome = runtime.block_on(async { run::run(config, shutdown()).await });
    // Threads that are stuck in a dead host's connection must not hold the exit up.
    runtime.shutdown_timeout(Duration::from_millis(500));
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("cannot run: {error:#}");
            ExitCode::from(exit::of(&error))
        }
    }
}

fn config(arguments: &ArgMatches) -> Result<Config, String> {
    let text = |name: &str| arguments.get_one::<String>(name).cloned().unwrap_or_default();
    let path = |name: &str| arguments.get_one::<PathBuf>(name).cloned();
    let address = |name: &str| arguments.get_one::<SocketAddr>(name).copied().expect("it has a default");
    Ok(Config {
        kubeconfig: path("kubeconfig"),
        namespace: text("namespace"),
        api: serving::read(arguments)?,
        probes: address("probes"),
        cache_dir: path("cache-dir").unwrap_or_default(),
        poll_interval: arguments.get_one::<Duration>("poll-interval").copied().expect("it has a default"),
        local_repos: arguments.get_many::<PathBuf>("local-repos").into_iter().flatten().cloned().collect(),
        all_events: text("events") == "all",
        rollback: text("rollback").parse().map_err(|error| format!("--rollback {error}"))?,
        prometheus: arguments.get_one::<ServicePort>("prometheus").cloned(),
    })
}

/// Ends on SIGTERM or Ctrl-C; clones end together.
fn shutdown() -> impl Future<Output = ()> + Clone + Send + 'static {
    async {
        let terminated = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate());
        match terminated {
            Ok(mut terminated) => {
                tokio::select! {
                    _ = terminated.recv() => {}
                    _ = tokio::signal::ctrl_c() => {}
                }
            }
            Err(error) => {
                tracing::warn!(%error, "SIGTERM cannot be heard; Ctrl-C still ends the agent");
                let _heard = tokio::signal::ctrl_c().await;
            }
        }
    }
    .boxed()
    .shared()
}
