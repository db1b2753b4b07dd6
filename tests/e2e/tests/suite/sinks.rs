//! What if nobody takes what the agent has to say? It deploys, and ends when it is told to.

use std::process::Child;
use std::process::Command;
use std::time::{Duration, Instant};

use e2e::{DEADLINE, Scene, config_map, is_synced_to};

/// A pod has 30 s; half of it is left to a machine that is busy.
const GRACE: Duration = Duration::from_secs(15);

/// Ends a process that a test gave up.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        // One that has ended already cannot be killed, and need not be.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

#[test]
fn a_log_that_nobody_reads_stops_nothing() {
    let scene = Scene::new("unread");
    let repo = scene.repo("shop");
    let first = repo.write("web.yaml", &config_map("web", "one")).commit("first");
    scene.application("shop").repo(&repo).automated().create();
    let mut agent = Ended(e2e::unread(&scene.settings()));
    scene.wait_app("shop", |app| is_synced_to(app, &first));
    let second = repo.write("web.yaml", &config_map("web", "two")).commit("second");
    scene.wait_app("shop", |app| is_synced_to(app, &second));

    let asked = Instant::now();
    let sent = Command::new("kill").args(["-TERM", &agent.0.id().to_string()]).status();
    assert!(sent.is_ok_and(|status| status.success()), "SIGTERM could not be sent");
    let status = loop {
        if let Some(status) = agent.0.try_wait().expect("it is our child") {
            break status;
        }
        assert!(asked.elapsed() < DEADLINE, "it does not end on SIGTERM");
        std::thread::sleep(Duration::from_millis(5));
    };
    assert_eq!(status.code(), Some(0));
    assert!(asked.elapsed() < GRACE, "it took {:?}", asked.elapsed());
}
