//! How fast and how small is the agent? Measured on a lab of its own, beside the bare API server in the same run.
//!
//! ```text
//! main ─▶ runs/ (what is done to the agent, what comes out) ─▶ report (table, JSON, gates)
//!           │
//!           ├─ bed         a lab with CRDs, namespaces, rights, and a repository
//!           ├─ agent       the program: built, started, asked, stopped
//!           ├─ observer    when did the cluster show what was waited for
//!           ├─ kept        which releases are there
//!           ├─ rollouts    which images ran
//!           ├─ requests    what the API server counted for the agent's identity
//!           ├─ watched     what the agent watches
//!           ├─ http        one request at a time
//!           ├─ secure      the same over TLS, and what never becomes a request
//!           ├─ ingress     gives Ingresses their addresses
//!           └─ floor       the same writes without an agent
//! ```
//!
//! Counts (requests, watches, renders, writes, memory) are gates: one that is off makes the exit code 1. Times are recorded only,
//! but for those that callers are promised under a flood, and those beside others of the same run.

mod agent;
mod bed;
mod crds;
mod floor;
mod http;
mod ingress;
mod kept;
mod observer;
mod proc;
mod report;
mod repository;
mod requests;
mod rollouts;
mod runs;
mod secure;
mod watched;

use anyhow::Context as _;
use clap::{Arg, ArgMatches, Command, value_parser};
use crds::Schema;
use runs::{Scale, WINDOW};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

const ABOUT: &str = "Measures the agent on a lab of its own and prints a table. Exit code 1: a count is off, or what \
callers are promised beside floods and streams (other times are recorded, never judged). The lab's programs are built on first use, the agent in release.";

/// Name, number of apps where none is given, and what it does.
const COMMANDS: &[(&str, &str, &str)] = &[
    (
        "b1",
        "1000",
        "Installs N apps of one 2 KB ConfigMap, then changes all of them by one commit; then the floor",
    ),
    ("b6", "800", "Changes one of N apps of one repository"),
    ("b9", "1000", "Edits all managed objects at once under self-heal"),
    ("idle", "1000", "Leaves N apps alone"),
    ("restart", "1000", "Restarts the agent over N unchanged apps"),
    ("push", "1", "Times git push to a changed object, one commit after the other"),
    (
        "b4",
        "100",
        "Gives N apps a ServiceAccount, a Service, a Deployment and an Ingress each, by one commit",
    ),
    ("b7", "1500", "Pushes to the one repository of N apps, and tells of it by a webhook"),
    ("b8", "50", "Restarts and changes N apps among 20,000 ConfigMaps and 2,000 Deployments of nobody's"),
    ("b10", "100", "Gives one of N apps an image that never becomes ready, and then polls ten times"),
    ("b11", "50", "Pushes a fix while the sync of one of N apps is stuck"),
    ("b12", "100", "The same while the repository is gone"),
    ("b13", "8000", "Asks for pages of N apps, alone and beside 200 streams and waits"),
    (
        "floods",
        "20",
        "Opens --connections of each sort to the API over TLS that never become a request, and sends gzip bombs",
    ),
    ("wiped", "1000", "Restarts the agent over N unchanged apps without its cache"),
    ("soak", "50", "Edits, commits, sends webhooks and restarts the API server over N apps for --minutes"),
    ("all", "1000", "b1, idle, b6, push, b9, restart and the floor on one lab"),
    ("ci", "50", "The same, small and short; and 250 apps more, for the memory that each takes"),
];

fn main() -> ExitCode {
    let matches = command().get_matches();
    let Some((name, arguments)) = matches.subcommand() else { return ExitCode::from(2) };
    match run(name, arguments) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => fail(&error),
    }
}

fn command() -> Command {
    let commands = COMMANDS.iter().map(|(name, apps, about)| {
        Command::new(*name).about(*about).args([
            Arg::new("apps")
                .long("apps")
                .value_name("N")
                .default_value(*apps)
                .value_parser(value_parser!(u16).range(1..))
                .help("How many apps"),
            Arg::new("objects")
                .long("objects")
                .value_name("N")
                .default_value("1")
                .value_parser(value_parser!(u16).range(1..))
                .help("How many ConfigMaps each app has"),
            Arg::new("minutes")
                .long("minutes")
                .value_name("N")
                .default_value("10")
                .value_parser(value_parser!(u16).range(1..))
                .hide(*name != "soak")
                .help("How long the soak goes on"),
            Arg::new("connections")
                .long("connections")
                .value_name("N")
                .default_value("2000")
                .value_parser(value_parser!(u16).range(1..))
                .hide(*name != "floods")
                .help("How many connections a flood has"),
            Arg::new("crd")
                .long("crd")
                .value_name("SHAPE")
                .value_parser(Schema::NAMES)
                .default_value(Schema::NAMES[0])
                .help("Whose CRDs: ours, or Argo CD's own, which type `status` in full"),
            Arg::new("program")
                .long("program")
                .value_name("FILE")
                .value_parser(value_parser!(PathBuf))
                .help("An agent that is built already, instead of building one in release"),
            Arg::new("json")
                .long("json")
                .value_name("FILE")
                .value_parser(value_parser!(PathBuf))
                .help("Also writes the figures as JSON"),
        ])
    });
    Command::new("bench").about(ABOUT).subcommand_required(true).subcommands(commands)
}

fn run(name: &str, arguments: &ArgMatches) -> anyhow::Result<bool> {
    let provider = rustls::crypto::ring::default_provider().install_default();
    anyhow::ensure!(provider.is_ok(), "choose a TLS provider");
    let number = |name: &str| arguments.get_one::<u16>(name).copied().map_or(1, usize::from);
    let program = arguments.get_one::<PathBuf>("program").cloned();
    let scale = Scale {
        apps: number("apps"),
        objects: number("objects"),
        schema: arguments.get_one::<String>("crd").map_or(Schema::Ours, |name| Schema::from_name(name)),
        is_short: name == "ci",
        later: if name == "ci" { 250 } else { 0 },
        polls: match name {
            "b7" | "b10" | "b12" => Some("1h"),
            "soak" => Some("10s"),
            _ => None,
        },
        window: matches!(name, "b10" | "b12").then_some(WINDOW),
        connections: number("connections"),
        length: Duration::from_secs(60 * number("minutes") as u64),
    };
    let runtime = tokio::runtime::Runtime::new().context("start the runtime")?;
    let report = runtime.block_on(runs::run(name, scale, program))?;
    report.print();
    if let Some(path) = arguments.get_one::<PathBuf>("json") {
        std::fs::write(path, format!("{:#}\n", report.to_json()))
            .with_context(|| format!("write {}", path.display()))?;
    }
    Ok(report.holds())
}

#[expect(clippy::print_stderr, reason = "a command says why it failed")]
fn fail(error: &anyhow::Error) -> ExitCode {
    eprintln!("bench: failed to {error:#}");
    ExitCode::from(6)
}
