//! What does `tautline` leave behind that a person ends while it waits?

use std::fs;
use std::net::TcpListener;
use std::process::{Command, Stdio};

use e2e::Scene;

#[test]
fn ctrl_c_and_sigterm_take_the_clone_away() {
    let scene = Scene::new("cli-interrupted");
    // Connections are accepted, and nobody ever says anything on them.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let repository = format!("http://{}/shop.git", silent.local_addr().unwrap());
    let temporary = scene.folder().join("temporary");
    fs::create_dir(&temporary).unwrap();
    let there = || fs::read_dir(&temporary).unwrap().map(|entry| entry.unwrap().path()).collect::<Vec<_>>();
    for (signal, code) in [("-INT", 130), ("-TERM", 143)] {
        let mut command = scene.tautline_command(&["render", "--repo", &repository]);
        command.env("TMPDIR", &temporary).stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let asked = silent.accept().unwrap();
        assert_eq!(there().len(), 1, "it fetches without a folder");
        let sent = Command::new("kill").args([signal, &child.id().to_string()]).status();
        assert!(sent.unwrap().success());
        assert_eq!(child.wait().unwrap().code(), Some(code), "{signal}");
        assert_eq!(there(), Vec::<std::path::PathBuf>::new(), "{signal}");
        drop(asked);
    }
}
