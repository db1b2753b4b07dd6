//! Does the command give a person a cluster, and take all of it away again?

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails, in its helpers as well")]

use std::io::{BufRead, BufReader, Read};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

/// A running `lab up`.
struct Up {
    child: Child,
    folder: PathBuf,
    address: String,
}

impl Up {
    fn start() -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_lab"))
            .args(["up", "--nodes", "0"])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.as_mut().unwrap()).lines().map(Result::unwrap);
        // The message's last line: afterwards nothing more comes until the end.
        let text: Vec<String> = lines.take_while(|line| !line.starts_with("The tag of an image")).collect();
        let find = |name: &str| text.iter().find_map(|line| line.trim().strip_prefix(name)).unwrap().trim();
        let folder = PathBuf::from(find("kubeconfig")).parent().unwrap().to_owned();
        let address = find("API server").strip_prefix("https://").unwrap().to_owned();
        Self { child, folder, address }
    }

    /// Returns when the processes that clean up have ended as well: they hold standard error until then.
    fn assert_all_gone(mut self) {
        let mut words = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut words).unwrap();
        assert_eq!(words, "");
        assert!(!self.folder.exists(), "{} is left", self.folder.display());
        assert!(TcpStream::connect(&self.address).is_err(), "the API server is left");
    }
}

#[test]
fn ctrl_c_ends_the_cluster_and_removes_it() {
    let mut up = Up::start();
    assert!(TcpStream::connect(&up.address).is_ok());
    let interrupt = Command::new("kill").args(["-INT", &up.child.id().to_string()]).status();
    assert!(interrupt.unwrap().success());
    assert!(up.child.wait().unwrap().success());
    up.assert_all_gone();
}

#[test]
fn a_killed_process_leaves_nothing() {
    let mut up = Up::start();
    assert!(up.folder.join("admin.yaml").exists());
    up.child.kill().unwrap();
    up.child.wait().unwrap();
    up.assert_all_gone();
}

#[test]
fn bin_prints_the_folder_of_the_programs() {
    let output = Command::new(env!("CARGO_BIN_EXE_lab")).arg("bin").output().unwrap();
    let folder = String::from_utf8(output.stdout).unwrap();
    assert_eq!(folder.trim(), lab::programs().unwrap().display().to_string());
    assert!(PathBuf::from(folder.trim()).join("kubectl").exists());
}

#[test]
fn without_a_command_it_explains_itself() {
    let output = Command::new(env!("CARGO_BIN_EXE_lab")).arg("--help").output().unwrap();
    let help = String::from_utf8(output.stdout).unwrap();
    for word in ["up", "bin", "ready-then-crash", "TAUTLINE_LAB_CACHE"] {
        assert!(help.contains(word), "{help}");
    }
    assert_eq!(
        Command::new(env!("CARGO_BIN_EXE_lab")).stderr(Stdio::null()).status().unwrap().code(),
        Some(2)
    );
}
