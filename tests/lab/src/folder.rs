//! What is removed when a lab ends, however its process ends?
//!
//! A static never drops and a killed process runs no code, so cleaning up is the work of small shell
//! processes that notice the end of their pipe:
//!
//! ```text
//! lab process ──stdin pipe──▶ sh (one per server) ── end of pipe: kill the server, exit
//!      └──────────── pipe ───▶ sh (one per lab)   ── all of the above gone: remove the folder
//!                     ▲ every server's shell holds a writing end as well
//! ```
//!
//! They live in process groups of their own, so that Ctrl-C or a test runner that kills its group does not
//! take them away before they did their work.

use std::fs::{self, DirBuilder, File};
use std::io::{self, PipeWriter, Read};
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result};

/// A temporary folder that is gone when this value and everything that borrowed [`Folder::lifeline`] is gone.
pub(crate) struct Folder {
    path: PathBuf,
    // An option so that `drop` can close the pipe before it waits.
    lifeline: Option<PipeWriter>,
    remover: Child,
}

impl Folder {
    /// Creates a folder below `$TMPDIR` that only this user can read.
    pub(crate) fn create() -> Result<Self> {
        let path = std::env::temp_dir().join(format!("tautline-lab-{}", random_hex()?));
        DirBuilder::new().mode(0o700).create(&path).with_context(|| format!("create {}", path.display()))?;
        let (end, lifeline) = io::pipe().context("create a pipe")?;
        let remover = Command::new("sh")
            .args(["-c", r#"read -r _; rm -rf "$1""#, "lab-folder"])
            .arg(&path)
            .stdin(end)
            .stdout(Stdio::null())
            // Standard error stays ours: whoever reads it to its end knows that everything is removed.
            .process_group(0)
            .spawn()
            .inspect_err(|_| drop(fs::remove_dir(&path)))
            .context("start sh")?;
        Ok(Self { path, lifeline: Some(lifeline), remover })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Returns a handle that keeps the folder alive for as long as a process holds it.
    pub(crate) fn lifeline(&self) -> Result<PipeWriter> {
        self.lifeline
            .as_ref()
            .context("use a folder that is being removed")?
            .try_clone()
            .context("copy a pipe")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(self.lifeline.take());
        drop(self.remover.wait());
    }
}

/// Returns 32 hexadecimal digits that nobody can guess.
pub(crate) fn random_hex() -> Result<String> {
    let mut bytes = [0; 16];
    File::open("/dev/urandom")
        .and_then(|mut file| file.read_exact(&mut bytes))
        .context("read /dev/urandom")?;
    Ok(format!("{:032x}", u128::from_be_bytes(bytes)))
}
