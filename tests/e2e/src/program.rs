//! Where is the program under test?

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use serde_json::Value;

/// Returns the agent's program, built on first use with the cargo that runs the tests, so that a plain
/// `cargo test -p e2e` always tests the code as it is; in release where the harness itself is.
///
/// # Panics
/// When it does not build.
pub fn program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(build)
}

fn build() -> PathBuf {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["build", "--quiet", "-p", "tautline", "--message-format=json"])
        .args(if cfg!(debug_assertions) { [].as_slice() } else { &["--release"] })
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
        .stderr(Stdio::inherit())
        .output()
        .expect("cargo starts");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "the agent does not build:\n{}", complaints(&text));
    let messages = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let executable = messages
        .filter(|message| message["target"]["name"] == "tautline")
        .filter_map(|message| message["executable"].as_str().map(PathBuf::from))
        .next_back();
    executable.expect("cargo names the executable that it built")
}

fn complaints(messages: &str) -> String {
    let rendered = messages.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    rendered.filter_map(|message| message["message"]["rendered"].as_str().map(String::from)).collect()
}
