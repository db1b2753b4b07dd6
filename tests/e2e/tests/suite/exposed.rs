//! Whom does an agent answer that listens where others may reach it? Whoever shows a good token, whether anybody asked for
//! tokens or not.

use e2e::Scene;

/// By its letters no loopback address, and yet one that nobody else reaches.
const ELSEWHERE: &str = "[::ffff:127.0.0.1]:0";

#[test]
fn another_address_than_loopback_needs_a_word_and_always_asks_for_tokens() {
    let scene = Scene::new("exposed");
    let cache = scene.settings().cache.display().to_string();
    let run = ["run", "--probes", "127.0.0.1:0", "--cache-dir", &cache, "--namespace", &scene.control];
    for options in [&[][..], &["--authenticate"]] {
        let refused = scene.tautline(&[&run[..], &["--listen", ELSEWHERE], options].concat());
        assert!(refused.code == 2 && refused.err.contains("--tls-cert"), "{refused:?}");
        assert!(!refused.err.contains("tautline starts"), "{refused:?}");
    }

    let agent = scene.agent_with(&["--listen", ELSEWHERE, "--insecure-http"]);
    assert!(agent.api().is_ipv6(), "{}", agent.api());
    scene.application("shop").repo(&scene.repo("shop")).create();
    scene.wait_app("shop", |app| app["status"]["sync"]["status"] == "Unknown");
    let before = scene.app("shop");
    let admin = format!("Bearer {}", scene.lab.admin_token().unwrap());
    let good = [("Authorization", admin.as_str())];
    let list = ("GET", "/api/v1/applications");
    let answer = agent.call(list, &good);
    assert!(answer.status == 200 && answer.body.contains("\"shop\""), "{answer:?}");
    let of_shop = |action: &str| format!("/api/v1/applications/shop{action}");
    for (method, path) in [
        (list.0, list.1.to_owned()),
        ("GET", of_shop("")),
        ("GET", of_shop("?refresh=hard")),
        ("GET", of_shop("/drift")),
        ("POST", of_shop("/sync")),
    ] {
        for headers in [&[][..], &[("Authorization", "Bearer nobodys-token")]] {
            let answer = agent.call((method, &path), headers);
            assert_eq!(answer.status, 401, "{method} {path}: {answer:?}");
        }
    }
    assert_eq!(scene.app("shop"), before, "nothing came of any of it");
    let asked = agent.call(("POST", &of_shop("/sync")), &good);
    assert_eq!(asked.status, 200, "{asked:?}");
}
