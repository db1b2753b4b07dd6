//! How does a person get the control plane that the tests use?

mod trying;

use std::process::ExitCode;
use std::sync::mpsc::{self, Receiver};
use std::time::Instant;

use anyhow::{Context, Result};
use clap::{Arg, ArgMatches, Command, value_parser};
use lab::{Lab, Options};

const ABOUT: &str = "A Kubernetes control plane on 127.0.0.1 for tests and for people: etcd, kube-apiserver, \
kube-controller-manager, kube-scheduler, and kwok, which plays the nodes. The first use builds them with the Go tool \
chain, which takes some minutes, once.";

const MORE: &str = "\
What a pod does is chosen by the tag of its first container's image, as in `--image=web:crash`:
  not-found, unauthorized, timeout   the image cannot be pulled
  bad-name                           the image's name cannot be read
  crash, exit-1                      exits with code 1, again and again; fails in a Job
  ready-then-crash                   the same, but Ready for two seconds each time before
  slow                               Ready after three seconds
  never-ready                        runs, but is never Ready
  any other                          Ready at once; in a Job it succeeds

Environment:
  TAUTLINE_LAB_CACHE       where the built programs are kept [~/.cache/tautline/lab]
  TMPDIR                   where a running lab keeps its data, until it ends [/tmp]
  TAUTLINE_LAB_KUBECONFIG  a cluster that tests use instead of a lab";

fn main() -> ExitCode {
    let matches = command().get_matches();
    let result = match matches.subcommand() {
        Some(("up", matches)) => up(matches),
        Some(("try", _)) => stop_signal().and_then(|stop| trying::run(&stop)),
        _ => bin(),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error),
    }
}

fn command() -> Command {
    let nodes = Arg::new("nodes")
        .long("nodes")
        .value_name("N")
        .value_parser(value_parser!(u16))
        .default_value("2")
        .help("How many nodes kwok plays; with 0 no pod is scheduled");
    let up = Command::new("up")
        .about("Starts a control plane and stops it on Ctrl-C")
        .long_about(
            "Starts a control plane on free ports, prints its kubeconfig and what to try, and runs until Ctrl-C. Then \
             its servers end and its data goes; nothing else is touched.",
        )
        .arg(nodes);
    let try_it = Command::new("try")
        .about("Starts a control plane, a sample repository and the agent, and says what to try")
        .long_about(
            "Builds the agent, starts a control plane on free ports, a sample Git repository, and the agent with one \
             Application; prints what to try and shows the agent's log until Ctrl-C. Then everything ends and its data goes.",
        );
    let bin = Command::new("bin")
        .about("Builds the programs that are missing and prints the folder that holds them")
        .long_about(
            "Builds the programs that are missing and prints the folder that holds them, kubectl among them. Nothing \
             else goes to standard output: PATH=\"$(cargo run -q -p lab -- bin):$PATH\"",
        );
    Command::new("lab").about(ABOUT).after_help(MORE).subcommand_required(true).subcommands([try_it, up, bin])
}

#[expect(clippy::print_stdout, reason = "the folder is what the caller asked for")]
fn bin() -> Result<()> {
    println!("{}", lab::programs()?.display());
    Ok(())
}

#[expect(clippy::print_stdout, reason = "what to try is what the caller asked for")]
fn up(matches: &ArgMatches) -> Result<()> {
    let stop = stop_signal()?;
    let nodes = matches.get_one::<u16>("nodes").copied().unwrap_or_default();
    let programs = lab::programs()?;
    let begin = Instant::now();
    let lab = Lab::start(&Options { nodes, ..Options::default() })?;
    println!(
        "The control plane is ready after {:.1} s; Ctrl-C ends it and removes its data.

  kubeconfig  {kubeconfig}
  API server  {url}
  logs        {folder}/*.log

In another terminal:
  export KUBECONFIG={kubeconfig} PATH={programs}:$PATH
  kubectl get nodes
  kubectl create deployment web --image=web:1 --replicas=2
  kubectl create deployment broken --image=web:crash
  kubectl get pods --watch
The tag of an image chooses what its pods do; `cargo run -p lab -- help` has the list.",
        begin.elapsed().as_secs_f32(),
        kubeconfig = lab.kubeconfig().display(),
        url = lab.url(),
        folder = lab.folder().display(),
        programs = programs.display(),
    );
    stop.recv().context("wait for Ctrl-C")?;
    drop(lab);
    println!("The control plane has ended.");
    Ok(())
}

/// Returns what says that Ctrl-C was pressed; called before the first server starts, so that Ctrl-C cleans up from then on.
fn stop_signal() -> Result<Receiver<()>> {
    let (sender, stop) = mpsc::channel();
    let on_signal = move || {
        // Nobody listens any more once the lab has begun to end.
        let _ = sender.send(());
    };
    ctrlc::set_handler(on_signal).context("listen for Ctrl-C")?;
    Ok(stop)
}

#[expect(clippy::print_stderr, reason = "a command says why it failed")]
fn fail(error: &anyhow::Error) -> ExitCode {
    eprintln!("lab: failed to {error:#}");
    ExitCode::FAILURE
}
