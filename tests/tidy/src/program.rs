//! What does the program say?

use anyhow::{Context, Result, ensure};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

/// What one run of the program gave.
#[derive(Clone, Debug)]
pub struct Output {
    /// What a person sees: standard output, then standard error.
    pub text: String,
    /// The exit code; -1 where a signal ended it.
    pub code: i32,
}

/// Runs the agent's program, built on first use, in the workspace's root.
///
/// # Errors
/// It does not build, or does not start.
pub fn tautline(arguments: &[&str]) -> Result<Output> {
    let output = Command::new(program()?)
        .args(arguments)
        .current_dir(crate::root())
        .stdin(Stdio::null())
        .output()
        .context("start the agent's program")?;
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8(text).context("read what the program printed")?;
    Ok(Output { text, code: output.status.code().unwrap_or(-1) })
}

/// Returns where the agent's program is, built on first use.
///
/// # Errors
/// It does not build.
pub fn program() -> Result<&'static Path> {
    static PROGRAM: OnceLock<Result<PathBuf>> = OnceLock::new();
    let program = PROGRAM.get_or_init(build).as_ref();
    program.map(PathBuf::as_path).map_err(|error| anyhow::anyhow!("{error:#}"))
}

fn build() -> Result<PathBuf> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["build", "--quiet", "--package", "tautline", "--message-format", "json-render-diagnostics"])
        .current_dir(crate::root())
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .context("start cargo")?;
    ensure!(output.status.success(), "the agent does not build");
    let text = String::from_utf8_lossy(&output.stdout);
    let messages = text.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    let mut programs = messages.filter_map(|message| message["executable"].as_str().map(PathBuf::from));
    programs.next_back().context("find the program that cargo built")
}
