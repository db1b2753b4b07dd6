//! How is one program of the control plane started, stopped and found dead?

use std::fs;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::folder::Folder;

/// Starts the program, writes its process id, and kills it when standard input ends. The shell ends
/// when the program has ended, for whatever reason, and being the program's parent it never kills a
/// stranger that was given the same process id.
const SUPERVISE: &str = r#"
log=$1 pid_file=$2
shift 2
exec 3<&0
"$@" </dev/null 3<&- >>"$log" 2>&1 &
server=$!
echo "$server" >"$pid_file"
{ read -r _ <&3; kill -KILL "$server"; } &
guard=$!
wait "$server"
kill -KILL "$guard"
"#;

/// One program of the control plane with the arguments it is started with, each time the same.
pub(crate) struct Server {
    name: &'static str,
    program: PathBuf,
    arguments: Vec<String>,
    log: PathBuf,
    pid_file: PathBuf,
    /// The supervising shell while the program should run.
    shell: Option<Child>,
}

impl Server {
    /// Describes a program of the folder `programs`; nothing runs yet.
    pub(crate) fn new(name: &'static str, programs: &Path, folder: &Folder, arguments: Vec<String>) -> Self {
        let beside = |ending: &str| folder.path().join(format!("{name}.{ending}"));
        let program = programs.join(name);
        Self { name, program, arguments, log: beside("log"), pid_file: beside("pid"), shell: None }
    }

    /// Starts the program; does nothing when it runs.
    pub(crate) fn start(&mut self, folder: &Folder) -> Result<()> {
        if self.shell.is_some() {
            return Ok(());
        }
        let shell = Command::new("sh")
            .args(["-c", SUPERVISE, "lab-server"])
            .args([&self.log, &self.pid_file, &self.program])
            .args(&self.arguments)
            // Settings in the home folder of whoever runs the lab must not reach its servers.
            .env("HOME", folder.path())
            .current_dir(folder.path())
            .stdin(Stdio::piped())
            .stdout(folder.lifeline()?)
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .with_context(|| format!("start {}", self.name))?;
        self.shell = Some(shell);
        Ok(())
    }

    /// Kills the program and waits until it is gone; does nothing when it does not run.
    pub(crate) fn stop(&mut self) -> Result<()> {
        self.let_go();
        if let Some(mut shell) = self.shell.take() {
            shell.wait().with_context(|| format!("wait for the end of {}", self.name))?;
            drop(fs::remove_file(&self.pid_file));
        }
        Ok(())
    }

    /// Has the program killed without waiting for it.
    pub(crate) fn let_go(&mut self) {
        if let Some(shell) = &mut self.shell {
            drop(shell.stdin.take());
        }
    }

    /// Fails, with the last lines of its log, when the program should run but has ended by itself.
    pub(crate) fn check(&mut self) -> Result<()> {
        let Some(shell) = &mut self.shell else { return Ok(()) };
        if shell.try_wait().with_context(|| format!("look at {}", self.name))?.is_none() {
            return Ok(());
        }
        bail!("{} ended by itself; its last words:\n{}", self.name, self.last_words());
    }

    /// Returns the process id of the program while it runs.
    pub(crate) fn pid(&self) -> Result<u32> {
        if self.shell.is_none() {
            bail!("{} does not run", self.name);
        }
        let text = fs::read_to_string(&self.pid_file)
            .with_context(|| format!("find the process of {}", self.name))?;
        text.trim().parse().with_context(|| format!("read the process id of {}", self.name))
    }

    pub(crate) fn name(&self) -> &'static str {
        self.name
    }

    /// Returns the end of the program's log, for an error that has to explain itself after the folder is gone.
    pub(crate) fn last_words(&self) -> String {
        const LINES: usize = 12;
        let log = fs::read(&self.log).unwrap_or_default();
        let log = String::from_utf8_lossy(&log);
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(LINES)..].join("\n")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Nobody is left to tell, and the shell kills the program in any case.
        drop(self.stop());
    }
}
