//! How does a test run the agent and see what it does?

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write as _;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::http::{self, Answer};
use crate::kube::DEADLINE;
use crate::log::{Log, follow};
use crate::program;
use crate::sweep;

/// How an agent is started.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `--kubeconfig`.
    pub kubeconfig: PathBuf,
    /// What it sees as `/var/run`, where a pod has its service account: it is started without `--kubeconfig` then.
    pub var_run: Option<PathBuf>,
    /// Options of a file system of its own (`tmpfs`) that its cache is on, such as `size=2m`; see [`Agent::disk`].
    pub disk: Option<String>,
    /// `--namespace`.
    pub namespace: String,
    /// `--cache-dir`.
    pub cache: PathBuf,
    /// `--local-repos`.
    pub repos: PathBuf,
    /// File that its log is appended to.
    pub log: PathBuf,
    /// More options; those that are set here already are replaced.
    pub options: Vec<String>,
    /// More variables of its environment, such as `RUST_LOG`.
    pub environment: BTreeMap<String, String>,
}

/// A running agent; dropping it kills it.
pub struct Agent {
    settings: Settings,
    child: Child,
    log: Log,
    api: SocketAddr,
    probes: SocketAddr,
}

impl Agent {
    pub(crate) fn start(settings: Settings) -> Self {
        let log = Log::default();
        let (child, api, probes) = spawn(&settings, &log);
        Self { settings, child, log, api, probes }
    }

    /// Returns the process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Returns where its cache is found that is on a file system of its own, which nobody else sees.
    pub fn disk(&self) -> PathBuf {
        let cache = self.settings.cache.display();
        PathBuf::from(format!("/proc/{}/root{cache}", self.pid()))
    }

    /// Returns where the HTTP API listens.
    pub fn api(&self) -> SocketAddr {
        self.api
    }

    /// Returns where probes and metrics are served.
    pub fn probes(&self) -> SocketAddr {
        self.probes
    }

    /// Returns the log lines so far, of earlier processes as well after [`Agent::restart`].
    pub fn log(&self) -> Vec<Value> {
        self.log.lines().iter().map(|line| serde_json::from_str(line).unwrap_or(Value::Null)).collect()
    }

    /// Returns the log as printed.
    pub fn log_text(&self) -> String {
        self.log.text()
    }

    /// Waits for a log line that `is_it` takes, from the first line on, and returns it.
    ///
    /// # Panics
    /// After [`DEADLINE`].
    pub fn wait_log(&self, is_it: impl Fn(&Value) -> bool) -> Value {
        self.log
            .wait(is_it)
            .unwrap_or_else(|| panic!("no such log line in {DEADLINE:?}:\n{}", self.log.text()))
    }

    /// Reads a path of the API, such as `/api/v1/applications`.
    pub fn get(&self, path: &str) -> Answer {
        self.keep("GET", path, http::send(self.api, "GET", path, ""))
    }

    /// Posts JSON to a path of the API.
    pub fn post(&self, path: &str, body: &Value) -> Answer {
        self.keep("POST", path, http::send(self.api, "POST", path, &body.to_string()))
    }

    /// Posts JSON, as it stands there, with more headers.
    pub fn post_with(&self, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        self.keep("POST", path, http::post_with(self.api, path, headers, body))
    }

    /// Reads a path of the API whose answer goes on; `headers` are lines such as `Accept: text/event-stream`.
    pub fn open(&self, path: &str, headers: &[&str]) -> http::Lines {
        let headers: String = headers.iter().flat_map(|line| [*line, "\r\n"]).collect();
        http::Lines::open(self.api, path, &headers, &self.log)
    }

    /// Sends a `DELETE` to the API.
    pub fn delete(&self, path: &str) -> Answer {
        self.keep("DELETE", path, http::send(self.api, "DELETE", path, ""))
    }

    /// Calls the API by method and path with more headers; the body is an empty object.
    pub fn call(&self, (method, path): (&str, &str), headers: &[(&str, &str)]) -> Answer {
        self.keep(method, path, http::call(self.api, (method, path), headers))
    }

    /// Reads a path of the listener of probes and metrics.
    pub fn probe(&self, path: &str) -> Answer {
        self.keep("GET", path, http::send(self.probes, "GET", path, ""))
    }

    /// Has an answer looked through with everything else that the agent says.
    pub(crate) fn keep(&self, method: &str, path: &str, answer: Answer) -> Answer {
        self.log.keep(&format!("{method} {path}"), &format!("{}\r\n\r\n{}", answer.head, answer.body));
        answer
    }

    /// Waits until `/readyz` says 200.
    ///
    /// # Panics
    /// After [`DEADLINE`], with what it said last.
    pub fn wait_ready(&self) {
        self.wait_probe("/readyz", |answer| answer.status == 200);
    }

    /// Asks a path of the probes again and again until `is_done` takes the answer: probes cannot be watched.
    ///
    /// # Panics
    /// After [`DEADLINE`], with what it said last.
    pub fn wait_probe(&self, path: &str, is_done: impl Fn(&Answer) -> bool) -> Answer {
        let end = Instant::now() + DEADLINE;
        loop {
            let answer = self.probe(path);
            if is_done(&answer) {
                return answer;
            }
            assert!(Instant::now() < end, "{path} still says {answer:?}\n{}", self.log.text());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Returns a metric's value, by name and the text of its labels such as `{verb="apply",kind="ConfigMap"}`; 0 if it
    /// is not there.
    pub fn metric(&self, name_and_labels: &str) -> u64 {
        self.metrics().get(name_and_labels).copied().unwrap_or(0)
    }

    /// Returns how many requests the agent has sent to the API server, by `verb kind` such as `apply ConfigMap`. Leases
    /// and events are left out: they have nothing to do with any app.
    pub fn requests(&self) -> BTreeMap<String, u64> {
        let metrics = self.metrics();
        let requests = metrics.iter().filter_map(|(name, count)| {
            let labels = name.strip_prefix("tautline_api_requests_total{")?.strip_suffix('}')?;
            let values: Vec<&str> = labels.split(',').filter_map(|label| label.split('"').nth(1)).collect();
            Some((values.join(" "), *count))
        });
        // Leases are renewed and other tests define kinds, which makes every agent look again: neither is this test's doing.
        let is_own =
            |name: &str| !name.contains("Lease.") && !name.contains("Event") && !name.starts_with("discover");
        requests.filter(|(name, _)| is_own(name)).collect()
    }

    fn metrics(&self) -> BTreeMap<String, u64> {
        let answer = self.probe("/metrics");
        let lines = answer.body.lines().filter(|line| !line.starts_with('#'));
        lines
            .filter_map(|line| line.rsplit_once(' '))
            .filter_map(|(name, value)| Some((name.to_owned(), value.parse().ok()?)))
            .collect()
    }

    /// Stops the process where it is, as a host that is short of CPU or is suspended would: SIGSTOP.
    pub fn freeze(&self) {
        self.signal("STOP");
    }

    /// Lets it go on after [`Agent::freeze`].
    pub fn thaw(&self) {
        self.signal("CONT");
    }

    fn signal(&self, signal: &str) {
        let sent = Command::new("kill").args([&format!("-{signal}"), &self.pid().to_string()]).status();
        assert!(sent.is_ok_and(|status| status.success()), "SIG{signal} could not be sent");
    }

    /// Sends SIGTERM and does not wait for what comes of it.
    pub fn ask_to_end(&self) {
        self.log.hang_up();
        self.signal("TERM");
    }

    /// Sends SIGTERM and waits for the end.
    ///
    /// # Panics
    /// When it does not end before [`DEADLINE`].
    pub fn terminate(&mut self) -> ExitStatus {
        self.ask_to_end();
        let end = Instant::now() + DEADLINE;
        loop {
            if let Some(status) = self.child.try_wait().expect("it is our child") {
                return status;
            }
            assert!(Instant::now() < end, "the agent does not end on SIGTERM:\n{}", self.log.text());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Kills it as a crash would.
    pub fn kill(&mut self) {
        // One that has ended already cannot be killed, and need not be.
        self.log.hang_up();
        drop(self.child.kill());
        self.child.wait().expect("it is our child");
    }

    /// Starts it again with the same settings, after [`Agent::kill`] or [`Agent::terminate`]; kills it first if it runs.
    pub fn restart(&mut self) {
        self.kill();
        (self.child, self.api, self.probes) = spawn(&self.settings, &self.log);
    }

    pub(crate) fn shared_log(&self) -> Log {
        self.log.clone()
    }
}

impl Drop for Agent {
    #[expect(clippy::print_stderr, reason = "this is what a failing test shows")]
    fn drop(&mut self) {
        if std::thread::panicking() && matches!(self.child.try_wait(), Ok(None)) {
            match http::ask(self.probes, "GET", "/readyz", "") {
                Ok(answer) => {
                    eprintln!("---- /readyz of the agent in {}\n{}", self.settings.namespace, answer.body);
                }
                Err(error) => eprintln!("---- /readyz of the agent in {}: {error}", self.settings.namespace),
            }
        }
        if !std::thread::panicking() {
            sweep::overhear(&self.log);
        }
        self.kill();
    }
}

fn spawn(settings: &Settings, log: &Log) -> (Child, SocketAddr, SocketAddr) {
    let mut command = match (&settings.var_run, &settings.disk) {
        (Some(folder), _) => within(folder),
        (None, Some(options)) => on_disk(&settings.cache, options),
        (None, None) => Command::new(program()),
    };
    command.arg("run").args(arguments(settings)).envs(&settings.environment);
    // Everything that it has to say: a secret in a line that nobody reads is one as well.
    if !settings.environment.contains_key("RUST_LOG") {
        command.env("RUST_LOG", "debug");
    }
    let output = appended(&output_of(settings));
    command.stdin(Stdio::null()).stdout(output).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the agent starts");
    let stderr = child.stderr.take().expect("it is piped");
    let earlier = log.lines().len();
    follow(log.clone(), stderr, appended(&settings.log));
    let Some(start) = log.wait_from(earlier, |line| line["message"] == "tautline starts") else {
        // Whatever it waits for, it must not outlive the test.
        drop(child.kill());
        let is_apart = settings.var_run.is_some() || settings.disk.is_some();
        let hint = if is_apart { " (`unshare --map-root-user --mount true` has to work here)" } else { "" };
        panic!("the agent does not start{hint}:\n{}", log.text());
    };
    let address = |field: &str| start[field].as_str().and_then(|text| text.parse().ok());
    let api = address("api").expect("the start line names the API");
    let probes = address("probes").expect("the start line names the probes");
    log.call_at(api, probes);
    (child, api, probes)
}

/// Starts the program with a standard error that nobody reads and that is full from the beginning. It says at no place where
/// it listens, so the settings have to name both addresses.
///
/// # Panics
/// When it cannot be started.
pub fn unread(settings: &Settings) -> Child {
    let (mut full, reader) = UnixStream::pair().expect("a pair of sockets");
    full.set_nonblocking(true).expect("it is open");
    while full.write(&[b'\n'; 4096]).is_ok() {}
    full.set_nonblocking(false).expect("it is open");
    let mut command = Command::new(program());
    command.arg("run").args(arguments(settings)).env("RUST_LOG", "debug").envs(&settings.environment);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::from(OwnedFd::from(full)));
    let child = command.spawn().expect("the agent starts");
    // Open, and never read.
    std::mem::forget(reader);
    child
}

fn appended(path: &Path) -> File {
    File::options().create(true).append(true).open(path).expect("the folder is writable")
}

/// Returns the file that holds what an agent prints as results.
pub(crate) fn output_of(settings: &Settings) -> PathBuf {
    settings.log.with_extension("out")
}

/// Returns a command that runs the program with another `/var/run`, which nobody else sees.
fn within(var_run: &Path) -> Command {
    let mut command = Command::new("unshare");
    let mount = r#"mount --bind "$0" /var/run && exec "$@""#;
    command.args(["--map-root-user", "--mount", "sh", "-c", mount]).arg(var_run).arg(program());
    command
}

/// Returns a command that runs the program with a file system of its own below its cache folder.
fn on_disk(cache: &Path, options: &str) -> Command {
    std::fs::create_dir_all(cache).expect("the scene's folder is writable");
    let mut command = Command::new("unshare");
    let mount = r#"mount -t tmpfs -o "$1" tmpfs "$0" && shift && exec "$@""#;
    command.args(["--map-root-user", "--mount", "sh", "-c", mount]).arg(cache).arg(options).arg(program());
    command
}

/// Returns the options, each once: the program takes none twice, save the folders of `--local-repos`.
fn arguments(settings: &Settings) -> Vec<String> {
    let path = |path: &Path| path.display().to_string();
    let own = [
        ("--kubeconfig", path(&settings.kubeconfig)),
        ("--namespace", settings.namespace.clone()),
        ("--listen", "127.0.0.1:0".into()),
        ("--probes", "127.0.0.1:0".into()),
        ("--cache-dir", path(&settings.cache)),
        ("--local-repos", path(&settings.repos)),
        ("--poll-interval", "30s".into()),
        ("--log-format", "json".into()),
    ];
    let is_in_pod = |name: &str| name == "--kubeconfig" && settings.var_run.is_some();
    let is_replaced =
        |name: &str| name != "--local-repos" && settings.options.iter().any(|option| option == name);
    let own = own.into_iter().filter(|(name, _)| !is_replaced(name) && !is_in_pod(name));
    own.flat_map(|(name, value)| [name.to_owned(), value]).chain(settings.options.clone()).collect()
}
