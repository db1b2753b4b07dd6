//! How does a test get a Git server by SSH, and keys for it?

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::programs::git_ssh;

/// A Git server by SSH on loopback; ends when it is dropped.
#[derive(Debug)]
pub struct SshServer {
    child: Child,
    port: u16,
}

impl SshServer {
    /// Serves the repositories below a folder to whoever has the key that belongs to `welcome` (a file of
    /// [`ssh_keygen`]'s that ends in `.pub`), and shows these host keys.
    ///
    /// # Errors
    /// The server cannot be built or started.
    pub fn start(folder: &Path, welcome: &Path, host_keys: &[&Path]) -> Result<Self> {
        Self::start_at(0, folder, welcome, host_keys)
    }

    /// The same at a port, such as 22 in a network of one's own. The folder is the server's root, and its folder `home` what
    /// relative paths and `~` are below.
    ///
    /// # Errors
    /// As [`SshServer::start`].
    pub fn start_at(port: u16, folder: &Path, welcome: &Path, host_keys: &[&Path]) -> Result<Self> {
        let mut command = Command::new(git_ssh()?);
        command.arg("serve").arg(port.to_string()).arg(folder).arg(welcome).args(host_keys);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().context("start the Git server by SSH")?;
        let mut address = String::new();
        let output = child.stdout.take().context("its standard output is piped")?;
        let read = BufReader::new(output).read_line(&mut address).context("read where it listens");
        let port = read.and_then(|_| {
            let port = address.trim().rsplit_once(':').and_then(|(_, port)| port.parse().ok());
            port.with_context(|| format!("it listens at {address:?}"))
        });
        let mut server = Self { child, port: 0 };
        server.port = port?;
        Ok(server)
    }

    /// Returns the port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }
}

impl Drop for SshServer {
    fn drop(&mut self) {
        // It may have ended by itself.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Writes a private key of kind `ed25519`, `ecdsa`, `rsa` or `pkcs1` (RSA as PEM) to a file, and the public one beside it with `.pub` at the end.
/// Returns the public one, as it stands in a `known_hosts`.
///
/// # Errors
/// The program cannot be built, or the file cannot be written.
pub fn ssh_keygen(kind: &str, file: &Path) -> Result<String> {
    let output = Command::new(git_ssh()?).arg("keygen").arg(kind).arg(file).output();
    let output = output.context("make a key")?;
    if !output.status.success() {
        bail!("make a key: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    let public = file.with_file_name(format!(
        "{}.pub",
        file.file_name().context("the file has a name")?.to_string_lossy()
    ));
    Ok(std::fs::read_to_string(public).context("read the public key")?.trim().to_owned())
}
