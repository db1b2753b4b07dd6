//! Who may call the API of an agent that asks for tokens? Real accounts, real tokens, and what they are bound to.
#![expect(clippy::unwrap_used, reason = "what cannot be done is a failed test")]

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime};

use application::install;
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use e2e::{Agent, Answer, Asked, DEADLINE, Proxy, Scene, Verb, config_map};
use rcgen::{KeyPair, SigningKey as _};
use serde_json::{Value, json};

/// What the README says of each route that wants a token: method, path, verb.
fn routes() -> Vec<(String, String, String)> {
    let readme = concat!(env!("CARGO_MANIFEST_DIR"), "/../../README.md");
    let text = std::fs::read_to_string(readme).unwrap();
    let rows = text.lines().filter_map(|line| {
        let mut cells = line.strip_prefix("| `")?.split(" | ");
        let (method, path) = cells.next()?.trim_end_matches('`').split_once(' ')?;
        let verb = cells.next()?.strip_prefix('`')?.strip_suffix('`')?;
        path.starts_with("/api/").then(|| {
            (method.to_owned(), path.replace("{name}", "shop").replace("{id}", "1"), verb.to_owned())
        })
    });
    let rows: Vec<_> = rows.collect();
    assert!(rows.len() >= 5, "{rows:?}");
    rows
}

/// Those of them that are about one app.
fn of_one_app() -> Vec<(String, String, String)> {
    let all: Vec<_> = routes().into_iter().filter(|(_, path, _)| path.contains("/shop")).collect();
    assert_eq!(all.len(), 11, "{all:?}");
    all
}

/// An agent that asks for tokens, an app that nobody syncs, and accounts.
struct Place {
    scene: Scene,
    agent: Agent,
}

impl Place {
    fn new(name: &str, options: &[&str]) -> Self {
        let scene = Scene::new(name);
        let kubeconfig = scene.settings().kubeconfig;
        Self::over(scene, kubeconfig, options)
    }

    /// The same with an agent that reaches the cluster in its own way.
    fn over(scene: Scene, kubeconfig: PathBuf, options: &[&str]) -> Self {
        let repo = scene.repo("shop");
        repo.write("app/web.yaml", &config_map("web", "one")).commit("first");
        scene.application("shop").repo(&repo).path("app").create();
        let mut settings = scene.settings();
        settings.kubeconfig = kubeconfig;
        settings.options = ["--authenticate"].iter().chain(options).map(ToString::to_string).collect();
        let agent = scene.start(settings);
        scene.wait_app("shop", |app| app["status"]["sync"]["status"] == "OutOfSync");
        Self { scene, agent }
    }

    fn kubectl(&self, arguments: &[&str]) -> String {
        let arguments = [&["-n", self.scene.control.as_str()], arguments].concat();
        self.scene.lab.kubectl(&arguments).unwrap_or_else(|error| panic!("{error:#}"))
    }

    /// Makes an account that may do this to Applications, or to those of one name; none for no right at all.
    fn account(&self, name: &str, verbs: &[&str], only: Option<&str>) {
        self.kubectl(&["create", "serviceaccount", name]);
        if verbs.is_empty() {
            return;
        }
        let verbs = format!("--verb={}", verbs.join(","));
        let only = only.map(|only| format!("--resource-name={only}"));
        let mut role = vec!["create", "role", name, &verbs, "--resource=applications.argoproj.io"];
        role.extend(only.as_deref());
        self.kubectl(&role);
        let (role, account) =
            (format!("--role={name}"), format!("--serviceaccount={}:{name}", self.scene.control));
        self.kubectl(&["create", "rolebinding", name, &role, &account]);
    }

    fn token(&self, account: &str, more: &[&str]) -> String {
        let token = self.kubectl(&[&["create", "token", account], more].concat());
        self.secret(account, token.trim())
    }

    /// Has the scene look out for a token of an account.
    fn secret(&self, account: &str, token: &str) -> String {
        self.scene.canaries().add(&format!("a token of {account}"), token);
        token.to_owned()
    }

    fn call(&self, (method, path): (&str, &str), token: &str) -> Answer {
        self.agent.call((method, path), &[("Authorization", &format!("Bearer {token}"))])
    }

    /// Asks again and again until the answer has this status.
    fn wait_status(&self, request: (&str, &str), token: &str, status: u16) {
        let end = Instant::now() + DEADLINE;
        loop {
            let answer = self.call(request, token);
            if answer.status == status {
                return;
            }
            assert!(Instant::now() < end, "still {answer:?}");
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    /// Signs a token as the API server does, which ends at some time from now, in seconds.
    fn signed(&self, account: &str, ends_in: i64) -> String {
        let get = ["get", "serviceaccount", account, "-o", "jsonpath={.metadata.uid}"];
        let uid = self.kubectl(&get);
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
        let now = i64::try_from(now.as_secs()).unwrap();
        let issuer = "https://kubernetes.default.svc.cluster.local";
        let control = &self.scene.control;
        let claims = json!({
            "iss": issuer, "aud": [issuer], "sub": format!("system:serviceaccount:{control}:{account}"),
            "iat": now - 7_200, "nbf": now - 7_200, "exp": now + ends_in,
            "kubernetes.io": {"namespace": control, "serviceaccount": {"name": account, "uid": uid}},
        });
        let encode = |bytes: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(bytes);
        let head = encode(br#"{"alg":"ES256","typ":"JWT"}"#);
        let signed = format!("{head}.{}", encode(claims.to_string().as_bytes()));
        let key = std::fs::read_to_string(self.scene.lab.folder().join("service-account.key"));
        let signature = KeyPair::from_pem(&key.unwrap()).unwrap().sign(signed.as_bytes()).unwrap();
        self.secret(account, &format!("{signed}.{}", encode(&raw(&signature))))
    }
}

/// Returns the two numbers of an ECDSA signature side by side, as JWS has them (RFC 7518, section 3.4), from DER.
fn raw(der: &[u8]) -> Vec<u8> {
    let number = |at: usize| {
        let length = usize::from(der[at + 1]);
        let bytes: Vec<u8> =
            der[at + 2..at + 2 + length].iter().copied().skip_while(|byte| *byte == 0).collect();
        let padding = vec![0; 32 - bytes.len()];
        ([padding, bytes].concat(), at + 2 + length)
    };
    let (r, next) = number(2);
    [r, number(next).0].concat()
}

// N25: no token, half a token, somebody else's scheme, two, other audiences, over, of a deleted account, a name in a header
#[test]
fn no_route_answers_who_shows_no_good_token_and_all_say_the_same() {
    let place = Place::new("tokens", &[]);
    place.account("ada", &["get", "list", "create", "update", "delete"], None);
    place.account("gone", &["get", "list", "create", "update", "delete"], None);
    let (good, gone) = (place.token("ada", &[]), place.token("gone", &[]));
    let list = ("GET", "/api/v1/applications");
    assert_eq!(place.call(list, &good).status, 200);
    assert_eq!(place.call(list, &gone).status, 200);
    assert_eq!(place.call(list, &place.signed("ada", 600)).status, 200, "a token of ours is as good");
    place.kubectl(&["delete", "serviceaccount", "gone"]);
    place.wait_status(list, &gone, 401);

    let before = place.scene.app("shop");
    let bearer = |token: &str| format!("Bearer {token}");
    let (once, other) = (bearer(&good), bearer(&place.token("ada", &["--audience=elsewhere"])));
    let (over, gone, cut) =
        (bearer(&place.signed("ada", -120)), bearer(&gone), bearer(&good[..good.len() - 5]));
    let name = format!("system:serviceaccount:{}:ada", place.scene.control);
    let mut said = BTreeSet::new();
    for (method, path, _) in routes() {
        let basic = [("Authorization", "Basic YWRhOmFkYQ==")];
        let two = [("Authorization", once.as_str()), ("Authorization", once.as_str())];
        for headers in [
            &[][..],
            &[("Authorization", "Bearer")],
            &[("Authorization", "Bearer nothing")],
            &basic,
            &two,
            &[("Authorization", &other)],
            &[("Authorization", &over)],
            &[("Authorization", &gone)],
            &[("Authorization", &cut)],
            &[("X-Remote-User", &name), ("X-Remote-Group", "system:masters")],
        ] {
            let answer = place.agent.call((&method, &path), headers);
            assert_eq!(answer.status, 401, "{method} {path} {headers:?}: {answer:?}");
            said.insert(answer.body);
        }
    }
    assert_eq!(said.len(), 1, "{said:?}");
    let body: Value = serde_json::from_str(said.first().unwrap()).unwrap();
    assert_eq!((&body["code"], &body["error"]), (&json!(16), &body["message"]));
    assert_eq!(place.scene.app("shop"), before, "nothing came of any of it");
    let log = place.agent.log_text();
    assert!(!log.contains(&good[..40]), "nor is a part of a token in the log");
}

// N26: every route asks for its own right, and nothing comes of what is refused
#[test]
fn a_route_needs_the_right_that_the_readme_says_and_no_other() {
    let place = Place::new("verbs", &[]);
    let all = ["get", "list", "create", "update", "delete"];
    for verb in all {
        place.account(&format!("only-{verb}"), &[verb], None);
        let others: Vec<&str> = all.into_iter().filter(|other| *other != verb).collect();
        place.account(&format!("all-but-{verb}"), &others, None);
    }
    let before = place.scene.app("shop");
    let mut said = BTreeSet::new();
    for (method, path, verb) in routes() {
        let token = place.token(&format!("all-but-{verb}"), &[]);
        let answer = place.call((&method, &path), &token);
        assert_eq!(answer.status, 403, "{method} {path} without {verb}: {answer:?}");
        said.insert(answer.body);
    }
    assert_eq!(said.len(), 1, "{said:?}");
    assert_eq!(place.scene.app("shop"), before, "nothing came of any of it");
    for (method, path, verb) in routes().into_iter().filter(|(_, path, _)| !path.contains("/stream/")) {
        let token = place.token(&format!("only-{verb}"), &[]);
        let query = if path.ends_with("/wait") { "?timeout=1s" } else { "" };
        let answer = place.call((&method, &format!("{path}{query}")), &token);
        assert!(![401, 403].contains(&answer.status), "{method} {path} with {verb}: {answer:?}");
    }
    let app = place.scene.wait_app("shop", |app| app["status"]["operationState"].is_object());
    let user = format!("system:serviceaccount:{}:only-update", place.scene.control);
    assert_eq!(app["status"]["operationState"]["operation"]["initiatedBy"]["username"], user, "{app:#}");
}

// N29: which names exist is told to who may read them
#[test]
fn what_is_absent_looks_like_what_is_forbidden() {
    let place = Place::new("absent", &[]);
    place.account("shops", &["get", "list", "update"], Some("shop"));
    place.account("writer", &["update"], None);
    place.account("reader", &["get"], None);
    let (shops, reader, writer) =
        (place.token("shops", &[]), place.token("reader", &[]), place.token("writer", &[]));
    let repo = place.scene.repo("other");
    repo.write("app/web.yaml", &config_map("other", "one")).commit("first");
    place.scene.application("other").repo(&repo).path("app").create();
    place.wait_status(("GET", "/api/v1/applications/other"), &reader, 200);

    for mine in ["/api/v1/applications/shop", "/api/v1/applications?name=shop"] {
        assert_eq!(place.call(("GET", mine), &shops).status, 200, "{mine}");
    }
    for (method, path, _) in routes() {
        // Where the path names no Application, the query does.
        let of = |name: &str| match path.strip_suffix("/applications") {
            Some(_) => format!("{path}?name={name}"),
            None => path.replace("/shop", &format!("/{name}")),
        };
        let forbidden = place.call((&method, &of("other")), &shops);
        let absent = place.call((&method, &of("absent")), &shops);
        assert_eq!((forbidden.status, &forbidden.body), (403, &absent.body), "{method} {path}");
        assert_eq!(absent.status, 403, "{method} {path}");
    }
    for (method, path, verb) in of_one_app() {
        let absent = path.replace("/shop", "/absent");
        let (token, status) = if verb == "get" { (&reader, 404) } else { (&writer, 403) };
        let answer = place.call((&method, &absent), token);
        assert_eq!(answer.status, status, "only who may read it learns that it is not there: {answer:?}");
    }
    let elsewhere = "/api/v1/applications?appNamespace=kube-system";
    place.account("lister", &["list"], None);
    let lister = place.token("lister", &[]);
    assert_eq!(place.call(("GET", elsewhere), &lister).status, 403);
    let names = place.call(("GET", "/api/v1/applications?fields=items.metadata.name"), &lister).json();
    assert_eq!(names["items"].as_array().unwrap().len(), 2, "{names}");
}

/// What one call had the agent ask of the API server: reviews of rights, and Applications. Reviews of tokens are left out,
/// for they count for a while; and so is the name that was asked for.
fn cost(proxy: &Proxy, name: &str, call: impl FnOnce() -> Answer) -> (u16, Vec<String>) {
    let before = proxy.entries().len();
    let status = call().status;
    let entries = proxy.entries().split_off(before);
    let is_of_it = |asked: &Asked| {
        asked.resource.starts_with("subjectaccessreviews")
            || (asked.resource == "applications.argoproj.io" && asked.verb != Verb::Watch)
    };
    let asked = entries.into_iter().map(|entry| entry.asked).filter(is_of_it);
    (status, asked.map(|asked| asked.to_string().replace(name, "NAME")).collect())
}

// N29: nor does it take another way, so it takes no other time
#[test]
fn what_is_absent_costs_what_is_forbidden_costs() {
    let scene = Scene::new("absent-cost");
    let proxy = Proxy::start(&scene);
    let kubeconfig = proxy.kubeconfig(&scene);
    let place = Place::over(scene, kubeconfig, &[]);
    place.account("shops", &["get", "update"], Some("shop"));
    let shops = place.token("shops", &[]);
    place.wait_status(("GET", "/api/v1/applications/shop"), &shops, 200);
    let routes = [
        ("GET", ""),
        ("GET", "?refresh=hard"),
        ("GET", "/drift"),
        ("GET", "/managed-resources"),
        ("GET", "/wait?timeout=1s"),
        ("POST", "/sync"),
        ("DELETE", "/operation"),
    ];
    // A name of its own for each, of which nothing is remembered.
    for n in 0..routes.len() {
        let other =
            place.scene.application(&format!("other-{n}")).repo(&place.scene.repo(&format!("other-{n}")));
        other.create();
        place.scene.wait_app(&format!("other-{n}"), |app| app["status"]["sync"]["status"] == "Unknown");
    }
    for (n, (method, action)) in routes.into_iter().enumerate() {
        let of = |name: &str| {
            let path = format!("/api/v1/applications/{name}{action}");
            cost(&proxy, name, || place.call((method, &path), &shops))
        };
        let (forbidden, absent) = (of(&format!("other-{n}")), of(&format!("gone-{n}")));
        assert_eq!(forbidden, absent, "{method} {action}");
        let review = "create subjectaccessreviews.authorization.k8s.io -/*".to_owned();
        assert_eq!(absent, (403, vec![review]), "{method} {action}");
    }
}

// N29: a project that the app is not in
#[test]
fn a_wrong_project_reaches_no_application_and_does_nothing() {
    let place = Place::new("wrong-project", &[]);
    place.account("editor", &["get", "update"], None);
    place.account("writer", &["update"], None);
    let (editor, writer) = (place.token("editor", &[]), place.token("writer", &[]));
    let before = place.scene.app("shop");
    for (method, path, verb) in of_one_app() {
        let wrong = format!("{path}?project=other");
        let answer = place.call((&method, &wrong), &editor);
        assert_eq!(answer.status, 404, "{method} {wrong}: {answer:?}");
        let message = answer.json()["message"].as_str().unwrap().to_owned();
        assert!(message.starts_with("there is no application `shop` in project `other`"), "{message}");
        if verb == "update" {
            let answer = place.call((&method, &wrong), &writer);
            assert_eq!(answer.status, 403, "who may not read it does not learn its project: {answer:?}");
        }
    }
    assert_eq!(place.scene.app("shop"), before, "nothing came of any of it");
    let right = "/api/v1/applications/shop?project=default";
    assert_eq!(place.call(("GET", right), &editor).status, 200);
}

#[test]
fn an_audience_of_ones_own_takes_tokens_that_were_made_for_it() {
    let place = Place::new("audience", &["--audience", "tautline", "--audience", "tautline.example"]);
    place.account("ada", &["list"], None);
    let list = ("GET", "/api/v1/applications");
    for audience in ["tautline", "tautline.example"] {
        let token = place.token("ada", &[&format!("--audience={audience}")]);
        assert_eq!(place.call(list, &token).status, 200, "{audience}");
    }
    for more in [&[][..], &["--audience=tautline.other"]] {
        let answer = place.call(list, &place.token("ada", more));
        assert_eq!(answer.status, 401, "{more:?}: {answer:?}");
    }
}

// N28: what was open ends when the right to it is taken away
#[test]
fn a_right_that_is_taken_away_ends_what_waits() {
    let place = Place::new("revoked", &[]);
    place.account("ada", &["get"], None);
    let token = place.token("ada", &[]);
    let unknown = "0123456789abcdef0123456789abcdef01234567";
    let wait = format!("/api/v1/applications/shop/wait?revision={unknown}&timeout=10m");
    assert_eq!(place.call(("GET", "/api/v1/applications/shop"), &token).status, 200);
    let (lab, control) = (place.scene.lab, place.scene.control.as_str());
    std::thread::scope(|scope| {
        let deleting = scope.spawn(|| {
            lab.kubectl(&["-n", control, "delete", "rolebinding", "ada"]).unwrap();
            Instant::now()
        });
        let answer = place.call(("GET", &wait), &token);
        let (answered, deleted) = (Instant::now(), deleting.join().unwrap());
        assert_eq!(answer.status, 403, "{answer:?}");
        assert!(answered > deleted, "it was open until then");
        let took = answered - deleted;
        // Half a minute is promised; the machine may be busy.
        assert!(took < Duration::from_secs(45), "{took:?}");
    });
}

// N28: a stream as well, and that of nobody else
#[test]
fn a_right_that_is_taken_away_ends_a_stream_and_no_other() {
    const STREAM: &str = "/api/v1/stream/applications";
    let place = Place::new("unstreamed", &[]);
    let open = |name: &str| {
        place.account(name, &["list"], None);
        let token = place.token(name, &[]);
        let mut lines = place.agent.open(STREAM, &[&format!("Authorization: Bearer {token}")]);
        assert!(lines.head.starts_with("HTTP/1.0 200 "), "{}", lines.head);
        assert!(lines.next_line().unwrap().contains("\"shop\""));
        (lines, token)
    };
    let ((mut of_ada, token), (mut of_bea, _)) = (open("ada"), open("bea"));
    place.kubectl(&["delete", "rolebinding", "ada"]);
    let deleted = Instant::now();
    let last = std::iter::from_fn(|| of_ada.next_line()).last().expect("the last line says why");
    let last: Value = serde_json::from_str(&last).unwrap();
    assert_eq!(last["error"]["http_code"], 403, "{last}");
    // Half a minute is promised; the machine may be busy.
    assert!(deleted.elapsed() < Duration::from_secs(45), "{:?}", deleted.elapsed());
    assert_eq!(place.call(("GET", STREAM), &token).status, 403);
    place.scene.patch_app("shop", &json!({"metadata": {"labels": {"told": "to-bea"}}}));
    while !of_bea.next_line().expect("hers goes on").contains("to-bea") {}
}

// N27: the agent may not ask whose a token is
#[test]
fn an_agent_that_may_not_ask_who_calls_lets_nobody_in_and_says_what_to_grant() {
    let scene = Scene::new("no-reviews");
    scene.install_account();
    let role = ("rbac.authorization.k8s.io/v1", "ClusterRole", "", scene.unique("agent"));
    let live = scene.get(role.0, role.1, role.2, &role.3).unwrap();
    let is_review = |rule: &&Value| rule["resources"][0].as_str().unwrap().ends_with("reviews");
    let rules: Vec<&Value> =
        live["rules"].as_array().unwrap().iter().filter(|rule| !is_review(rule)).collect();
    scene.patch(role.0, role.1, role.2, &role.3, &json!({"rules": rules}));
    let mut settings = scene.settings();
    settings.kubeconfig = scene.lab.kubeconfig_for(&scene.control, install::NAME).unwrap();
    settings.options = vec!["--authenticate".into()];
    let agent = scene.start(settings);
    let admin = format!("Bearer {}", scene.lab.admin_token().unwrap());
    let answer = agent.call(("GET", "/api/v1/applications"), &[("Authorization", &admin)]);
    assert_eq!(answer.status, 401, "{answer:?}");
    let told = agent
        .wait_log(|line| line["message"].as_str().is_some_and(|text| text.contains("callers of the API")));
    assert!(told["message"].as_str().unwrap().contains("tokenreviews.authentication.k8s.io"), "{told}");
    assert_eq!(agent.call(("GET", "/api/version"), &[]).status, 200);
}
