//! How do tests use the cluster? With a real kubectl, and with rights of their choice.

use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Instant;

use anyhow::{Context, Result, bail};

use crate::arguments;
use crate::cluster::Lab;

impl Lab {
    /// Runs kubectl as the cluster's administrator and returns its standard output.
    ///
    /// # Errors
    /// kubectl fails; the error has its standard error.
    pub fn kubectl(&self, arguments: &[&str]) -> Result<String> {
        self.kubectl_with_input(arguments, "")
    }

    /// Runs kubectl with `input` on its standard input, as in `["apply", "-f", "-"]`.
    ///
    /// # Errors
    /// As [`Lab::kubectl`].
    pub fn kubectl_with_input(&self, arguments: &[&str], input: &str) -> Result<String> {
        let mut command = Command::new(self.programs.join("kubectl"));
        command.args(arguments).env("KUBECONFIG", &self.kubeconfig);
        if self.own.is_some() {
            // The caller's preferences (kuberc) must not change what a command does, and what kubectl has cached
            // of one cluster must not be believed of the next one on the same port. Another cluster's
            // credentials may come from a program that needs the home folder.
            command.env("HOME", self.folder());
        }
        let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = piped.spawn().context("start kubectl")?;
        let mut stdin = child.stdin.take().context("reach kubectl's input")?;
        let output = thread::scope(|scope| {
            // Beside reading, because both pipes may fill up. A kubectl that does not read its input
            // says why by itself.
            scope.spawn(move || drop(stdin.write_all(input.as_bytes())));
            child.wait_with_output()
        })
        .context("wait for kubectl")?;
        if !output.status.success() {
            let words = String::from_utf8_lossy(&output.stderr);
            bail!("kubectl {}: {}", arguments.join(" "), words.trim());
        }
        String::from_utf8(output.stdout).context("read what kubectl printed")
    }

    /// Creates a namespace that no other test has, named `<prefix>-<unique>`, in which pods can be created.
    ///
    /// # Panics
    /// When it cannot be created: the test could not go on.
    pub fn namespace(&self, prefix: &str) -> String {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("{prefix}-{}-{number}", std::process::id());
        let created = self.create_namespace(&name);
        created.unwrap_or_else(|error| panic!("failed to create namespace {name}: {error:#}"));
        name
    }

    fn create_namespace(&self, name: &str) -> Result<()> {
        self.kubectl(&["create", "namespace", name])?;
        if !self.has_controllers {
            return Ok(());
        }
        // Admission refuses pods without the service account, and controllers that have seen an API server go may
        // back off for a minute before they make one.
        match self.kubectl(&["-n", name, "create", "serviceaccount", "default"]) {
            Err(error) if !error.to_string().contains("already exists") => Err(error),
            _ => Ok(()),
        }
    }

    /// Waits until the kinds of CRDs, by their names, are served.
    ///
    /// # Errors
    /// They are not within a minute.
    pub fn wait_established(&self, definitions: &[&str]) -> Result<()> {
        let wait = ["wait", "--for=condition=Established", "--timeout=60s", "customresourcedefinition"];
        let begin = Instant::now();
        loop {
            match self.kubectl(&[&wait, definitions].concat()) {
                // So early that there are no conditions, kubectl fails instead of waiting.
                Err(error)
                    if error.to_string().contains("accessor error") && begin.elapsed().as_secs() < 60 => {}
                done => return done.map(drop),
            }
        }
    }

    /// Writes a kubeconfig that acts as a service account, with its namespace as the default one.
    ///
    /// # Errors
    /// The service account does not exist.
    pub fn kubeconfig_for(&self, namespace: &str, service_account: &str) -> Result<PathBuf> {
        let token = self.kubectl(&["-n", namespace, "create", "token", service_account, "--duration=24h"])?;
        let path = self.folder().join(format!("{namespace}.{service_account}.kubeconfig"));
        let ca_file = self.ca_file().display().to_string();
        let text = arguments::kubeconfig(self.url(), &ca_file, token.trim(), namespace);
        fs::write(&path, text).with_context(|| format!("write {}", path.display()))?;
        Ok(path)
    }

    /// Returns what the API server's `/metrics` says, in the Prometheus text format. Asking is itself
    /// one request (`verb="GET"`, no resource).
    pub fn metrics(&self) -> Result<String> {
        self.kubectl(&["get", "--raw", "/metrics"])
    }
}
