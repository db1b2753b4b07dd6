//! Do two agents ever write at the same time? Not while one cannot renew the Lease and does not know who has it now.

use std::time::{Duration, Instant};

use e2e::{Agent, Asked, Entry, Fault, Proxy, Rule, Scene, config_map, is_synced_to};

fn through(proxy: &Proxy, scene: &Scene, cache: &str) -> Agent {
    let mut settings = scene.settings();
    settings.kubeconfig = proxy.kubeconfig(scene);
    settings.cache = scene.folder().join(cache);
    scene.start(settings)
}

/// Returns when objects and Applications were written.
fn writes(entries: &[Entry]) -> Vec<Instant> {
    let is_write = |entry: &&Entry| entry.asked.verb.writes() && !entry.asked.resource.starts_with("leases");
    entries.iter().filter(is_write).map(|entry| entry.at).collect()
}

fn hand_over(name: &str, fault: Fault) {
    let scene = Scene::new(name);
    let (first_way, second_way) = (Proxy::start(&scene), Proxy::start(&scene));
    let first = through(&first_way, &scene, "cache-of-the-first");
    let repo = scene.deployed("shop", &[("web.yaml", &config_map("web", "0"))]);
    let second = through(&second_way, &scene, "cache-of-the-second");
    second.wait_ready();
    assert!(writes(&second_way.entries()).is_empty(), "{}", second.log_text());

    // From now on no renewal of the first one arrives, or its answer does not; all else works.
    let target = Asked::parse("patch leases.coordination.k8s.io control/tautline").expect("it is a request");
    let look = Asked::parse("get leases.coordination.k8s.io control/tautline").expect("it is a request");
    let always = |target, fault| Rule { target, skip: 0, fault, times: usize::MAX };
    first_way.arm(&[always(target, fault), always(look, Fault::Drop)]);
    // There is always something to write.
    let end = Instant::now() + Duration::from_mins(2);
    let mut n_commits = 0;
    while writes(&second_way.entries()).is_empty() {
        assert!(Instant::now() < end, "nobody takes over\n{}\n{}", first.log_text(), second.log_text());
        n_commits += 1;
        repo.write("app/web.yaml", &config_map("web", &n_commits.to_string())).commit("more");
        std::thread::sleep(Duration::from_millis(200));
    }
    let revision = repo.write("app/web.yaml", &config_map("web", "last")).commit("last");
    scene.wait_app("shop", |app| is_synced_to(app, &revision));

    let (firsts, seconds) = (writes(&first_way.entries()), writes(&second_way.entries()));
    let (last_of_first, first_of_second) = (firsts.last(), seconds.first());
    assert!(firsts.len() > 2 && last_of_first < first_of_second, "both wrote\n{}", first.log_text());
    let looks_on = "tautline_writer{reason=\"LeaseNotHeld\"} 0";
    first.wait_probe("/metrics", |answer| answer.body.contains(looks_on));
}

#[test]
fn whose_renewals_do_not_arrive_stops_before_another_begins() {
    hand_over("renewal-lost", Fault::Drop);
}

#[test]
fn whose_renewals_are_not_answered_stops_before_another_begins() {
    hand_over("renewal-unheard", Fault::Lose);
}
