//! What does a flood of wrong tokens cost the others? Syncs go on, probes answer, and few tokens are reviewed.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use e2e::{Scene, config_map, is_synced_to};

/// Callers that flood at the same time: fewer than an agent lets in that may open 1,024 files.
const CALLERS: usize = 200;
/// Wrong tokens that come at least.
const MANY: usize = 1_000;
/// How long a probe may take on a machine that is busy with the flood itself; a kubelet waits for a second.
const SOON: Duration = Duration::from_secs(5);

// N30: beside a sync, over sockets, reviewed by the API server
#[test]
fn a_flood_of_wrong_tokens_holds_up_no_sync_and_no_probe() {
    let scene = Scene::new("token-flood");
    // Whoever mistypes one shows most of a good one.
    scene.canaries().add("a wrong token", "nobodys-token-");
    let agent = scene.agent_with(&["--authenticate"]);
    let repo = scene.deployed("shop", &[("web.yaml", &config_map("web", "one"))]);
    let reviews = || -> u64 {
        let asked = agent.requests();
        asked.iter().filter(|(name, _)| name.contains("TokenReview")).map(|(_, n)| n).sum()
    };
    let (before, begun) = (reviews(), Instant::now());
    let (n_sent, is_over) = (AtomicUsize::new(0), AtomicBool::new(false));
    let flood = || {
        while !is_over.load(Ordering::Relaxed) {
            let token = format!("Bearer nobodys-token-{}", n_sent.fetch_add(1, Ordering::Relaxed));
            let answer = agent.call(("GET", "/api/v1/applications"), &[("Authorization", &token)]);
            assert_eq!(answer.status, 401, "{answer:?}");
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..CALLERS {
            scope.spawn(flood);
        }
        let over = Over(&is_over);
        for content in ["two", "three", "four"] {
            let revision = repo.write("app/web.yaml", &config_map("web", content)).commit(content);
            scene.wait_app("shop", |app| is_synced_to(app, &revision));
            is_answered(&agent);
        }
        while n_sent.load(Ordering::Relaxed) < MANY {
            is_answered(&agent);
        }
        drop(over);
    });
    let most = 40 * (begun.elapsed().as_secs() + 2);
    let reviewed = reviews() - before;
    assert!((1..=most).contains(&reviewed), "{reviewed} reviews, at most {most} were expected");
    assert_eq!(agent.probe("/readyz").status, 200);
}

/// Ends the flood, also where a test fails.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn is_answered(agent: &e2e::Agent) {
    for path in ["/healthz", "/readyz"] {
        let asked = Instant::now();
        let answer = agent.probe(path);
        assert_eq!(answer.status, 200, "{path}: {answer:?}");
        assert!(asked.elapsed() < SOON, "{path} took {:?}", asked.elapsed());
    }
}
