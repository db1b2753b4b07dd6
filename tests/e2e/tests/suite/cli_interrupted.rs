//! What does `tautline` leave behind that a person ends while it waits?

use std::fs;
use std::net::TcpListener;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use e2e::{DEADLINE, Scene};

#[test]
fn ctrl_c_and_sigterm_take_the_clone_away() {
    let scene = Scene::new("cli-interrupted");
    // Connections are accepted, and nobody ever says anything on them.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    silent.set_nonblocking(true).unwrap();
    let repository = format!("http://{}/shop.git", silent.local_addr().unwrap());
    let temporary = scene.folder().join("temporary");
    fs::create_dir(&temporary).unwrap();
    let there = || fs::read_dir(&temporary).unwrap().map(|entry| entry.unwrap().path()).collect::<Vec<_>>();
    for (name, signal) in [("-INT", 2), ("-TERM", 15), ("-HUP", 1)] {
        let mut command = scene.tautline_command(&["render", "--repo", &repository]);
        command.env("TMPDIR", &temporary).stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let end = Instant::now() + DEADLINE;
        let asked = loop {
            match silent.accept() {
                Ok((asked, _)) => break asked,
                Err(_) => std::thread::sleep(Duration::from_millis(20)),
            }
            let ended = child.try_wait().unwrap();
            assert!(ended.is_none() && Instant::now() < end, "it never asks the repository: {ended:?}");
        };
        assert_eq!(there().len(), 1, "it fetches without a folder");
        let sent = Command::new("kill").args([name, &child.id().to_string()]).status();
        assert!(sent.unwrap().success());
        // As if it had not listened: a shell ends its loop by that.
        assert_eq!(child.wait().unwrap().signal(), Some(signal), "{name}");
        assert_eq!(there(), Vec::<std::path::PathBuf>::new(), "{name}");
        drop(asked);
    }
}
