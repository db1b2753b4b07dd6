//! How does a person see the agent at work without a cluster and without a Git server?
//!
//! ```text
//! cargo build ─▶ tautline        fixtures/repos/sample ─▶ a Git repository
//!                   │                                        │
//!   a lab ◀─────────┴── agent ───────────────────────────────┘     one Application, synced; what to try is printed
//! ```
//!
//! Repository and cache are in the lab's folder and go with it. The agent is not a dependency of this package: what the
//! lab needs must not grow with the product, and the program that is tried is the one that people run.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use lab::{Lab, Options};
use serde_json::Value;

/// The repository's files; they are part of the program, so that nothing has to be found at run time.
const FILES: &[(&str, &str)] = &[
    ("README.md", include_str!("../../../fixtures/repos/sample/README.md")),
    ("shop/greeting.yaml", include_str!("../../../fixtures/repos/sample/shop/greeting.yaml")),
    ("shop/service.yaml", include_str!("../../../fixtures/repos/sample/shop/service.yaml")),
    ("shop/web.yaml", include_str!("../../../fixtures/repos/sample/shop/web.yaml")),
];

/// Where Applications live, unless `tautline run --namespace` says otherwise.
const NAMESPACE: &str = "argocd";

/// How long the first sync may take; it takes about two seconds.
const PATIENCE: Duration = Duration::from_mins(1);

/// Passes on the end of its standard input as SIGTERM and ends when the agent has ended, so that the agent ends cleanly
/// on Ctrl-C and also when the process that started it is killed.
const SUPERVISE: &str = r#"
exec 3<&0
"$@" </dev/null 3<&- &
agent=$!
{ read -r _ <&3; kill -TERM "$agent"; } >/dev/null 2>&1 &
guard=$!
wait "$agent"
code=$?
kill -KILL "$guard" 2>/dev/null
exit "$code"
"#;

/// Builds the agent, starts everything, says what to try, and ends it when `stop` says so.
#[expect(clippy::print_stdout, reason = "what to try is what the caller asked for")]
pub(crate) fn run(stop: &Receiver<()>) -> Result<()> {
    let programs = lab::programs()?;
    let program = build()?;
    let begin = Instant::now();
    let lab = Lab::start(&Options::default())?;
    let repository = repository(lab.folder())?;
    install(&program, &lab, &repository)?;
    let (api, probes) = (free_address(8080)?, free_address(8081)?);
    let mut agent = Agent::start(&program, &lab, api, probes)?;
    if !first_sync(&lab, &mut agent, stop)? {
        return agent.end();
    }
    let own = program.parent().context("find the program's folder")?;
    let path = format!("{}:{}", programs.display(), own.display());
    println!("{}", what_to_try(&lab, &path, &repository, api, probes, begin.elapsed()));
    agent.wait(stop)?;
    agent.end()?;
    drop(lab);
    println!("The agent and the control plane have ended; nothing is left.");
    Ok(())
}

/// Builds the agent and returns the program.
fn build() -> Result<PathBuf> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut child = Command::new(cargo)
        .args(["build", "--package", "tautline", "--message-format", "json-render-diagnostics"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .context("start cargo")?;
    let messages = BufReader::new(child.stdout.take().context("read what cargo says")?);
    let mut program = None;
    for line in messages.lines() {
        let message: Value = serde_json::from_str(&line.context("read what cargo says")?).unwrap_or_default();
        if message["target"]["name"] == "tautline" {
            program = message["executable"].as_str().map(PathBuf::from).or(program);
        }
    }
    ensure!(child.wait().context("wait for cargo")?.success(), "build the agent: cargo says why above");
    program.context("find the agent that cargo built")
}

/// Makes a Git repository of the sample files.
fn repository(folder: &Path) -> Result<PathBuf> {
    let repository = folder.join("repository");
    for (name, text) in FILES {
        let file = repository.join(name);
        fs::create_dir_all(file.parent().context("name a file of the sample repository")?)
            .and_then(|()| fs::write(&file, text))
            .with_context(|| format!("write {}", file.display()))?;
    }
    git(&repository, &["init", "--quiet", "--initial-branch=main"])?;
    // Set here, so that whoever tries it can commit without having told Git a name.
    git(&repository, &["config", "user.name", "You"])?;
    git(&repository, &["config", "user.email", "you@example.com"])?;
    git(&repository, &["config", "commit.gpgsign", "false"])?;
    git(&repository, &["add", "--all"])?;
    git(&repository, &["commit", "--quiet", "--message=the shop opens"])?;
    Ok(repository)
}

fn git(repository: &Path, arguments: &[&str]) -> Result<()> {
    let output = Command::new("git")
        .arg("-C")
        .arg(repository)
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .context("start git; it must be installed")?;
    ensure!(
        output.status.success(),
        "git {}: {}",
        arguments.join(" "),
        String::from_utf8_lossy(&output.stderr).trim()
    );
    Ok(())
}

/// Installs the CRDs that the agent prints, and the Application.
fn install(program: &Path, lab: &Lab, repository: &Path) -> Result<()> {
    let printed =
        Command::new(program).arg("crd").stdin(Stdio::null()).output().context("start the agent")?;
    ensure!(printed.status.success(), "tautline crd: {}", String::from_utf8_lossy(&printed.stderr).trim());
    let crds = String::from_utf8(printed.stdout).context("read the CRDs")?;
    lab.kubectl_with_input(&["apply", "-f", "-"], &crds)?;
    lab.wait_established(&["applications.argoproj.io", "appprojects.argoproj.io"])?;
    lab.kubectl(&["create", "namespace", NAMESPACE])?;
    lab.kubectl_with_input(&["apply", "-f", "-"], &application(repository))?;
    Ok(())
}

fn application(repository: &Path) -> String {
    format!(
        "apiVersion: argoproj.io/v1alpha1
kind: Application
metadata:
  name: shop
  namespace: {NAMESPACE}
spec:
  project: default
  source:
    repoURL: {repository}
    path: shop
    targetRevision: main
  destination:
    server: https://kubernetes.default.svc
    namespace: shop
  syncPolicy:
    automated: {{prune: true, selfHeal: true}}
    syncOptions: [CreateNamespace=true]
",
        repository = repository.display()
    )
}

/// Returns a loopback address, with the port that the agent has by default unless it is taken.
fn free_address(preferred: u16) -> Result<SocketAddr> {
    let bind =
        |port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).and_then(|listener| listener.local_addr());
    bind(preferred).or_else(|_| bind(0)).context("find a free port")
}

/// Waits for the first sync; returns whether to go on.
fn first_sync(lab: &Lab, agent: &mut Agent, stop: &Receiver<()>) -> Result<bool> {
    let begin = Instant::now();
    loop {
        let path = "jsonpath={.status.sync.status} {.status.health.status}";
        if lab.kubectl(&["-n", NAMESPACE, "get", "application", "shop", "-o", path])? == "Synced Healthy" {
            return Ok(true);
        }
        if agent.has_ended_or(stop, Duration::from_millis(100))? {
            return Ok(false);
        }
        if begin.elapsed() > PATIENCE {
            let story = lab.kubectl(&["-n", NAMESPACE, "describe", "application", "shop"])?;
            bail!("see the Application synced after {PATIENCE:?}:\n{story}");
        }
    }
}

/// A running agent, its log on our standard error.
struct Agent {
    shell: Child,
}

impl Agent {
    fn start(program: &Path, lab: &Lab, api: SocketAddr, probes: SocketAddr) -> Result<Self> {
        let shell = Command::new("sh")
            .args(["-c", SUPERVISE, "lab-agent"])
            .arg(program)
            .arg("run")
            .arg("--kubeconfig")
            .arg(lab.kubeconfig())
            .arg("--cache-dir")
            .arg(lab.folder().join("cache"))
            .arg("--local-repos")
            .arg(lab.folder())
            .args(["--listen", &api.to_string(), "--probes", &probes.to_string(), "--events", "all"])
            .stdin(Stdio::piped())
            // Ctrl-C is for us: we tell the agent.
            .process_group(0)
            .spawn()
            .context("start the agent")?;
        Ok(Self { shell })
    }

    /// Returns when the person ends it all.
    fn wait(&mut self, stop: &Receiver<()>) -> Result<()> {
        while !self.has_ended_or(stop, Duration::from_millis(500))? {}
        Ok(())
    }

    /// Waits for a request to stop; fails when the agent ended by itself.
    fn has_ended_or(&mut self, stop: &Receiver<()>, patience: Duration) -> Result<bool> {
        match stop.recv_timeout(patience) {
            Ok(()) | Err(RecvTimeoutError::Disconnected) => return Ok(true),
            Err(RecvTimeoutError::Timeout) => {}
        }
        if let Some(status) = self.shell.try_wait().context("look at the agent")? {
            bail!("keep the agent running: it ended by itself ({status}); its log is above");
        }
        Ok(false)
    }

    /// Asks the agent to end and waits until it has.
    fn end(mut self) -> Result<()> {
        drop(self.shell.stdin.take());
        let status = self.shell.wait().context("wait for the agent")?;
        ensure!(status.success(), "end the agent cleanly: {status}");
        Ok(())
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        drop(self.shell.stdin.take());
        // Whatever it says, the lab's folder must not go before it.
        drop(self.shell.wait());
    }
}

fn what_to_try(
    lab: &Lab,
    path: &str,
    repository: &Path,
    api: SocketAddr,
    probes: SocketAddr,
    took: Duration,
) -> String {
    format!(
        "
Ready after {took:.1} s: Application shop is Synced and Healthy.
The agent's log goes on below; Ctrl-C ends everything and leaves nothing.

In another terminal:
  export KUBECONFIG={kubeconfig} PATH={path}:$PATH
  cd {repository}

Look:
  kubectl get applications -A
  kubectl describe application shop -n {NAMESPACE}
  kubectl get all -n shop
  tautline app get shop
  tautline why deploy/web -n shop

Commit a change; it is applied at once, and whoever waits for it hears what came of it:
  sed -i 's/replicas: 2/replicas: 3/' shop/web.yaml && git commit -am 'a third one'
  curl -s --fail-with-body \"http://{api}/api/v1/applications/shop/wait?revision=$(git rev-parse HEAD)\"
  kubectl get application shop -n {NAMESPACE}

Change the cluster by hand; it is undone:
  kubectl -n shop scale deployment web --replicas=9
  kubectl -n shop get deployment web

See what differs and who did it, with self-heal switched off:
  kubectl -n {NAMESPACE} patch application shop --type merge -p '{{\"spec\":{{\"syncPolicy\":{{\"automated\":{{\"selfHeal\":false}}}}}}}}'
  kubectl -n shop patch configmap greeting --type merge -p '{{\"data\":{{\"text\":\"good night\"}}}}'
  curl -s -H 'Accept: text/plain' http://{api}/api/v1/applications/shop/drift
  tautline why configmap/greeting -n shop
  curl -s -X POST -H 'Content-Type: application/json' -d '{{}}' http://{api}/api/v1/applications/shop/sync

Break it, and read what the status says (an image's tag chooses what its pods do; see `cargo run -p lab -- help`):
  sed -i 's/web:1/web:not-found/' shop/web.yaml && git commit -am 'a bad image'
  kubectl describe application shop -n {NAMESPACE}

Metrics and probes:
  curl -s http://{probes}/metrics
  curl -s http://{probes}/readyz
",
        took = took.as_secs_f32(),
        kubeconfig = lab.kubeconfig().display(),
        repository = repository.display(),
    )
}
