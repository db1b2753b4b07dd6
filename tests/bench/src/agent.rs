//! How is the agent built, started, asked and stopped? As a process of its own, as people run it.

use crate::http;
use crate::proc::{self, Cost};
use anyhow::{Context as _, bail};
use serde_json::Value;
use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long the agent may take to get ready or to end.
const PATIENCE: Duration = Duration::from_mins(1);

/// A running agent; dropping it kills it.
pub(crate) struct Agent {
    child: Child,
    api: SocketAddr,
    probes: SocketAddr,
    started: Instant,
    log: PathBuf,
}

/// What an agent is started with.
#[derive(Clone, Debug)]
pub(crate) struct Setup {
    /// The program.
    pub program: PathBuf,
    /// Who it is and where the cluster is.
    pub kubeconfig: PathBuf,
    /// Where cache and log go.
    pub folder: PathBuf,
    /// Where repositories may be read.
    pub repositories: PathBuf,
    /// Certificate and key for the API, if it speaks TLS.
    pub tls: Option<(PathBuf, PathBuf)>,
}

impl Setup {
    /// Returns where the cache is.
    pub(crate) fn cache(&self) -> PathBuf {
        self.folder.join("cache")
    }
}

/// Builds the agent in release with the cargo that runs us, as the Dockerfile does; returns the program.
pub(crate) fn build() -> anyhow::Result<PathBuf> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["build", "--release", "--package", "tautline", "--message-format=json"])
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")))
        .env("LIBZ_SYS_STATIC", "1")
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .context("start cargo")?;
    if !output.status.success() {
        bail!("build the agent: cargo says why above");
    }
    let text = String::from_utf8_lossy(&output.stdout);
    let messages = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let mut programs = messages.filter(|message| message["target"]["name"] == "tautline");
    let program = programs.find_map(|message| message["executable"].as_str().map(PathBuf::from));
    let program = program.context("find the agent's program in what cargo printed")?;
    let content = std::fs::read(&program).with_context(|| format!("read {}", program.display()))?;
    let asks_for = |name: &str| content.windows(name.len()).any(|window| window == name.as_bytes());
    anyhow::ensure!(
        !asks_for("libz.so"),
        "{} asks for zlib, which its image does not have",
        program.display()
    );
    Ok(program)
}

impl Agent {
    /// Starts it, and waits until it says where it listens.
    pub(crate) fn start(setup: &Setup) -> anyhow::Result<Self> {
        let log = setup.folder.join("agent.log");
        let output = File::options().create(true).append(true).open(&log).context("open the agent's log")?;
        let earlier = output.metadata().context("measure the agent's log")?.len();
        let started = Instant::now();
        let mut command = Command::new(&setup.program);
        command.arg("run");
        if let Some((certificate, key)) = &setup.tls {
            command.args(["--tls-cert".as_ref(), certificate.as_path(), "--tls-key".as_ref(), key]);
        }
        let child = command
            .arg("--kubeconfig")
            .arg(&setup.kubeconfig)
            .arg("--cache-dir")
            .arg(setup.cache())
            .arg("--local-repos")
            .arg(&setup.repositories)
            // The system chooses: a port that is found free may be somebody else's by the time it is asked for.
            .args(["--listen", "127.0.0.1:0", "--probes", "127.0.0.1:0", "--log-format", "json"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(output)
            .spawn()
            .context("start the agent")?;
        let nowhere = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
        let mut agent = Self { child, api: nowhere, probes: nowhere, started, log };
        (agent.api, agent.probes) = agent.wait_for_addresses(earlier)?;
        Ok(agent)
    }

    /// Waits for the line of its log that says where it listens: API and probes. What is before `earlier` is of the last one.
    fn wait_for_addresses(&mut self, earlier: u64) -> anyhow::Result<(SocketAddr, SocketAddr)> {
        loop {
            let mut file = File::open(&self.log).context("open the agent's log")?;
            file.seek(SeekFrom::Start(earlier)).context("read the agent's log")?;
            let mut text = String::new();
            file.read_to_string(&mut text).context("read the agent's log")?;
            if let Some(addresses) = addresses(&text) {
                return Ok(addresses);
            }
            self.ensure_it_starts("does not say where it listens")?;
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn ensure_it_starts(&mut self, what_is_missing: &str) -> anyhow::Result<()> {
        if let Some(status) = self.child.try_wait().context("ask whether the agent runs")? {
            bail!("wait for the agent, which ended with {status}; {}", self.last_words());
        }
        let is_in_time = self.started.elapsed() <= PATIENCE;
        anyhow::ensure!(is_in_time, "wait for the agent, which {what_is_missing}; {}", self.last_words());
        Ok(())
    }

    /// Waits until it says that it is ready; returns how long that took from its start.
    pub(crate) fn wait_until_ready(&mut self) -> anyhow::Result<Duration> {
        while !self.get("/readyz").is_ok_and(|answer| answer.starts_with("HTTP/1.1 200")) {
            self.ensure_it_starts("is not ready")?;
            // Each question is the time's resolution; the agent has no event to offer to strangers.
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(self.started.elapsed())
    }

    /// Returns how long ago it was started.
    pub(crate) fn age(&self) -> Duration {
        self.started.elapsed()
    }

    /// Returns what it has cost so far.
    pub(crate) fn cost(&self) -> anyhow::Result<Cost> {
        proc::cost(self.child.id())
    }

    /// Returns the values of one of its metrics, with their labels.
    pub(crate) fn metric(&self, name: &str) -> anyhow::Result<Vec<(String, u64)>> {
        let text = self.get("/metrics").context("read the agent's metrics")?;
        let values = text.lines().filter_map(|line| {
            let rest = line.strip_prefix(name)?;
            let (labels, value) = rest.rsplit_once(' ')?;
            let is_other = !labels.is_empty() && !labels.starts_with('{');
            (!is_other).then(|| Some((labels.to_owned(), value.parse().ok()?))).flatten()
        });
        Ok(values.collect())
    }

    /// Returns the sum of one of its metrics.
    pub(crate) fn total(&self, name: &str) -> anyhow::Result<u64> {
        Ok(self.metric(name)?.into_iter().map(|(_, value)| value).sum())
    }

    /// Sends it a webhook; returns how long the answer took.
    pub(crate) fn tell(&self, payload: &Value) -> anyhow::Result<Duration> {
        let answer = http::send(self.api, "POST", "/api/webhook", "application/json", &payload.to_string())?;
        anyhow::ensure!(answer.status == 202, "send a webhook: {} {}", answer.status, answer.body);
        Ok(answer.took)
    }

    /// Asks the API a question that is answered at once.
    pub(crate) fn ask(&self, path: &str) -> anyhow::Result<http::Answer> {
        let answer = http::send(self.api, "GET", path, "application/json", "")?;
        anyhow::ensure!(answer.status == 200, "ask for {path}: {} {}", answer.status, answer.body);
        Ok(answer)
    }

    /// Asks the API what it answers later, and goes on answering.
    pub(crate) fn hold(&self, path: &str) -> anyhow::Result<http::Held> {
        http::hold(self.api, path)
    }

    /// Returns where its API listens.
    pub(crate) fn api(&self) -> SocketAddr {
        self.api
    }

    /// Asks its probes whether it is ready, as a kubelet does; returns how long the answer took.
    pub(crate) fn probe(&self) -> anyhow::Result<Duration> {
        let begin = Instant::now();
        let answer = self.get("/readyz").context("probe the agent")?;
        anyhow::ensure!(answer.starts_with("HTTP/1.1 200"), "probe the agent: {answer}");
        Ok(begin.elapsed())
    }

    /// Returns what it holds of the system's.
    pub(crate) fn open(&self) -> anyhow::Result<proc::Open> {
        proc::open(self.child.id())
    }

    /// Ends it by SIGTERM; returns how long that took.
    pub(crate) fn stop(&mut self) -> anyhow::Result<Duration> {
        let begin = Instant::now();
        let pid = self.child.id().to_string();
        let sent = Command::new("kill").args(["-TERM", &pid]).status().context("start kill")?;
        anyhow::ensure!(sent.success(), "send SIGTERM to the agent");
        loop {
            if let Some(status) = self.child.try_wait().context("ask whether the agent runs")? {
                anyhow::ensure!(status.success(), "end the agent: {status}; {}", self.last_words());
                return Ok(begin.elapsed());
            }
            anyhow::ensure!(begin.elapsed() < PATIENCE, "end the agent in time; {}", self.last_words());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn get(&self, path: &str) -> anyhow::Result<String> {
        let mut stream = TcpStream::connect_timeout(&self.probes, Duration::from_secs(1))?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        write!(stream, "GET {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", self.probes)?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    }

    fn last_words(&self) -> String {
        let log = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        format!("it said last:\n{}", lines[lines.len().saturating_sub(20)..].join("\n"))
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        // One that ended already cannot be killed, which is just as well.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Finds where it listens in what it has said: API and probes.
fn addresses(log: &str) -> Option<(SocketAddr, SocketAddr)> {
    let mut lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let start = lines.find(|line| line["message"] == "tautline starts")?;
    let address = |field: &str| start[field].as_str()?.parse().ok();
    Some((address("api")?, address("probes")?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_start_line_names_both_addresses() {
        let line = r#"{"message":"tautline starts","api":"127.0.0.1:4","probes":"127.0.0.1:5"}"#;
        let (api, probes) = addresses(&format!("not JSON\n{{\"message\":\"else\"}}\n{line}\n")).unwrap();
        assert_eq!((api.port(), probes.port()), (4, 5));
        assert_eq!(addresses(&line[..40]), None, "half a line");
        assert_eq!(addresses(""), None);
    }
}
