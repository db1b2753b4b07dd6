//! What does an answer that takes much cost the cluster when nobody waits for it any more?

use std::io::Write as _;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use e2e::{Asked, DEADLINE, Entry, Fault, Proxy, Rule, Scene, Verb, config_map, sync_status};

/// Objects of the app: to read them one after the other through a slow way takes longer than the test.
const OBJECTS: usize = 160;
/// More than a slow read takes.
const QUIET: Duration = Duration::from_secs(5);

fn is_read(entry: &Entry) -> bool {
    entry.asked.verb == Verb::Get && entry.asked.resource == "configmaps" && entry.asked.namespace == "app"
}

#[test]
fn reports_that_nobody_waits_for_read_no_further() {
    let scene = Scene::new("left-reports");
    let proxy = Proxy::start(&scene);
    let mut settings = scene.settings();
    settings.kubeconfig = proxy.kubeconfig(&scene);
    let agent = scene.start(settings);
    let repo = scene.repo("shop");
    for n in 0..OBJECTS {
        repo.write(&format!("app/m-{n}.yaml"), &config_map(&format!("m-{n}"), "one"));
    }
    repo.commit("first");
    scene.application("shop").repo(&repo).path("app").create();
    scene.wait_app("shop", |app| sync_status(app) == "OutOfSync");
    let slow = |n: usize| {
        let target = Asked::parse(&format!("get configmaps app/m-{n}")).unwrap();
        Rule { target, skip: 0, fault: Fault::Delay, times: usize::MAX }
    };
    proxy.arm(&(0..OBJECTS).map(slow).collect::<Vec<_>>());
    for report in ["drift", "managed-resources"] {
        let before = proxy.entries().len();
        let mut callers: Vec<TcpStream> = (0..3).map(|_| TcpStream::connect(agent.api()).unwrap()).collect();
        for caller in &mut callers {
            let path = format!("/api/v1/applications/shop/{report}");
            write!(caller, "GET {path} HTTP/1.1\r\nHost: {}\r\n\r\n", agent.api()).unwrap();
        }
        let n_reads = || proxy.entries()[before..].iter().filter(|entry| is_read(entry)).count();
        let end = Instant::now() + DEADLINE;
        while n_reads() < callers.len() {
            assert!(Instant::now() < end, "{report}: {} reads", n_reads());
            std::thread::sleep(Duration::from_millis(20));
        }
        drop(callers);
        assert!(proxy.wait_quiet(QUIET, DEADLINE, is_read), "{report}: it reads on, {} so far", n_reads());
        assert!(n_reads() < 2 * OBJECTS, "{report}: {} reads", n_reads());
    }
}
