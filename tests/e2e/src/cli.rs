//! How does a test use the command line, as a person would?

use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::program;
use crate::scene::Scene;

/// What one run of the program gave.
#[derive(Clone, Debug)]
pub struct Told {
    /// The exit code; -1 where a signal ended it.
    pub code: i32,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

impl Told {
    /// Returns the result as JSON.
    ///
    /// # Panics
    /// When it is none.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("no JSON ({error}): {self:?}"))
    }

    /// Returns the words of each line of the result.
    pub fn rows(&self) -> Vec<Vec<&str>> {
        self.out
            .lines()
            .map(|line| line.split("   ").map(str::trim).filter(|cell| !cell.is_empty()).collect())
            .collect()
    }
}

impl Scene {
    /// Runs `tautline` with the administrator's kubeconfig in the environment. `-n` is for the caller to say.
    pub fn tautline(&self, arguments: &[&str]) -> Told {
        self.tautline_with(self.lab.kubeconfig(), arguments)
    }

    /// Runs `tautline` as a service account of the control namespace, which must exist.
    ///
    /// # Panics
    /// When there is no such account.
    pub fn tautline_as(&self, service_account: &str, arguments: &[&str]) -> Told {
        let kubeconfig = self.lab.kubeconfig_for(&self.control, service_account);
        self.tautline_with(&kubeconfig.expect("the service account exists"), arguments)
    }

    /// Runs `tautline` with a kubeconfig.
    ///
    /// # Panics
    /// When it cannot be started.
    pub fn tautline_with(&self, kubeconfig: &Path, arguments: &[&str]) -> Told {
        let output = self.command(kubeconfig, arguments).output().expect("the program starts");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let (out, err) = (text(&output.stdout), text(&output.stderr));
        self.keep(arguments, format!("{out}{err}"));
        Told { code: output.status.code().unwrap_or(-1), out, err }
    }

    /// Returns `tautline` with the administrator's kubeconfig, not started yet.
    pub fn tautline_command(&self, arguments: &[&str]) -> Command {
        self.command(self.lab.kubeconfig(), arguments)
    }

    fn command(&self, kubeconfig: &Path, arguments: &[&str]) -> Command {
        let mut command = Command::new(program());
        command.args(arguments).current_dir(self.folder()).stdin(Stdio::null());
        command.env("KUBECONFIG", kubeconfig).env_remove("TAUTLINE_SERVER").env_remove("TAUTLINE_TOKEN");
        command
    }
}
