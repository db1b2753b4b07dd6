//! How does `tautline app` ask an agent that goes away, that wants a token, or that is not who it should be?
#![expect(clippy::unwrap_used, reason = "what cannot be done is a failed test")]

use std::fs;
use std::io::{self, BufRead, BufReader, Read as _};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, ChildStderr, ChildStdout, Command, ExitStatus, Stdio};

use e2e::{Agent, Repo, Scene, config_map, is_synced_to};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use serde_json::Value;

/// Returns an address where nobody listens, for an agent that comes back to the same one.
fn free() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

/// An agent at an address, and an app that is deployed.
fn shop(name: &str, at: SocketAddr) -> (Scene, Agent, Repo, String) {
    let scene = Scene::new(name);
    let agent = scene.agent_with(&["--listen", &at.to_string()]);
    let repo = scene.deployed("shop", &[("web.yaml", &config_map("web", "one"))]);
    let revision = repo.head();
    (scene, agent, repo, revision)
}

/// Remembers what is read through it.
struct Heard<R> {
    from: R,
    text: Vec<u8>,
}

impl<R: io::Read> io::Read for Heard<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.from.read(buffer)?;
        self.text.extend_from_slice(&buffer[..n]);
        Ok(n)
    }
}

/// A command that goes on until it is ended.
struct Watch<'a> {
    scene: &'a Scene,
    arguments: Vec<String>,
    child: Child,
    out: BufReader<Heard<ChildStdout>>,
    err: Heard<ChildStderr>,
}

impl<'a> Watch<'a> {
    fn start(scene: &'a Scene, arguments: &[&str]) -> Self {
        let mut command = scene.tautline_command(arguments);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let out = BufReader::new(Heard { from: child.stdout.take().unwrap(), text: Vec::new() });
        let err = Heard { from: child.stderr.take().unwrap(), text: Vec::new() };
        let arguments = arguments.iter().map(ToString::to_string).collect();
        Self { scene, arguments, child, out, err }
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.out.read_line(&mut line).unwrap();
        assert!(!line.is_empty(), "it ended: {:?} {}", self.child.try_wait(), self.rest());
        line
    }

    fn line_with(&mut self, parts: &[&str]) -> String {
        loop {
            let line = self.line();
            if parts.iter().all(|part| line.contains(part)) {
                return line;
            }
        }
    }

    fn rest(&mut self) -> String {
        let mut told = String::new();
        self.err.read_to_string(&mut told).unwrap();
        told
    }

    /// Ends it as Ctrl-C does; returns how it ended and what it said beside the result.
    fn interrupt(mut self) -> (ExitStatus, String) {
        let sent = Command::new("kill").args(["-INT", &self.child.id().to_string()]).status();
        assert!(sent.unwrap().success());
        let status = self.child.wait().unwrap();
        (status, self.rest())
    }
}

impl Drop for Watch<'_> {
    fn drop(&mut self) {
        // One that has ended already cannot be killed, and need not be.
        drop(self.child.kill());
        drop(self.child.wait());
        // What nobody read is looked through as well.
        drop(self.out.read_to_end(&mut Vec::new()));
        drop(self.err.read_to_end(&mut Vec::new()));
        let arguments: Vec<&str> = self.arguments.iter().map(String::as_str).collect();
        for text in [&self.out.get_ref().text, &self.err.text] {
            self.scene.keep(&arguments, String::from_utf8_lossy(text).into_owned());
        }
    }
}

#[test]
fn what_changes_at_an_agent_is_printed_on_and_on_while_the_agent_comes_and_goes() {
    let at = free();
    let (scene, mut agent, repo, first) = shop("cli-server-watch", at);
    let server = format!("http://{at}");
    let mut watch = Watch::start(&scene, &["app", "list", "-w", "--server", &server]);
    assert!(watch.line().starts_with("NAME   SYNC "));
    let row = watch.line();
    assert!(row.starts_with("shop   Synced ") && row.contains(&first[..7]), "{row}");
    let second = repo.write("app/web.yaml", &config_map("web", "two")).commit("second");
    watch.line_with(&["shop ", &second[..7], "Synced"]);

    // One goes while the agent is away, and another one changes.
    scene.application("till").repo(&repo).path("app").create();
    watch.line_with(&["till "]);
    assert_eq!(agent.terminate().code(), Some(0));
    scene.delete_app("till");
    scene.wait_app_gone("till");
    let third = repo.write("app/web.yaml", &config_map("web", "three")).commit("third");
    agent.restart();
    assert_eq!(agent.api(), at);
    watch.line_with(&["shop ", &third[..7], "Synced"]);
    scene.delete_app("shop");
    scene.wait_app_gone("shop");
    // What comes next on standard output comes after all that.
    scene.application("last").repo(&repo).path("app").create();
    watch.line_with(&["last "]);

    let (status, told) = watch.interrupt();
    assert_eq!(status.signal(), Some(2), "{status:?}");
    let deleted = |name: &str| format!("Application {}/{name} was deleted\n", scene.control);
    assert_eq!(told.matches("asking again").count(), 1, "{told}");
    for name in ["till", "shop"] {
        assert_eq!(told.matches(&deleted(name)).count(), 1, "{told}");
    }
}

#[test]
fn an_application_that_an_agent_tells_of_is_a_document_for_each_change() {
    let at = free();
    let (scene, _agent, repo, first) = shop("cli-server-json", at);
    let server = format!("http://{at}");
    let mut watch = Watch::start(&scene, &["app", "get", "shop", "-w", "-o", "json", "--server", &server]);
    {
        let mut documents = serde_json::Deserializer::from_reader(&mut watch.out).into_iter::<Value>();
        let app = documents.next().unwrap().unwrap();
        assert_eq!((&app["kind"], &app["metadata"]["name"]), (&"Application".into(), &"shop".into()));
        assert_eq!(app["status"]["sync"]["revision"], *first);
        let second = repo.write("app/web.yaml", &config_map("web", "two")).commit("second");
        assert!(documents.any(|app| is_synced_to(&app.unwrap(), &second)), "it ended");
    }
    let mut names = Watch::start(&scene, &["app", "list", "-A", "-w", "-o", "name", "--server", &server]);
    assert_eq!(names.line(), "application.argoproj.io/shop\n");
    let absent = scene.tautline(&["app", "get", "nothing", "-w", "--server", &server]);
    assert_eq!((absent.code, absent.out.as_str()), (4, ""), "{absent:?}");
    let nobody = scene.tautline(&["app", "list", "-w", "--server", &format!("http://{}", free())]);
    assert!(nobody.code == 6 && nobody.err.contains("cannot reach 127.0.0.1:"), "{nobody:?}");
}

/// Makes someone who signs certificates, and one for `localhost`; returns the files: theirs, and the certificate's and its key's.
fn signed(scene: &Scene, name: &str) -> [String; 3] {
    let mut parameters = CertificateParams::default();
    parameters.distinguished_name.push(DnType::CommonName, name);
    parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let [authority, key] = [KeyPair::generate().unwrap(), KeyPair::generate().unwrap()];
    let certificate = CertificateParams::new(["localhost".to_owned()]).unwrap();
    let certificate = certificate.signed_by(&key, &Issuer::from_params(&parameters, &authority)).unwrap();
    let authority = parameters.self_signed(&authority).unwrap();
    let texts = [("ca", authority.pem()), ("crt", certificate.pem()), ("key", key.serialize_pem())];
    texts.map(|(what, text)| {
        let file = scene.folder().join(format!("{name}.{what}"));
        fs::write(&file, text).unwrap();
        file.display().to_string()
    })
}

/// Makes an account that may read Applications; returns a token of it.
fn reader(scene: &Scene) -> String {
    let kubectl = |arguments: &[&str]| {
        let arguments = [&["-n", scene.control.as_str()], arguments].concat();
        scene.lab.kubectl(&arguments).unwrap_or_else(|error| panic!("{error:#}"))
    };
    let account = format!("--serviceaccount={}:reader", scene.control);
    kubectl(&["create", "serviceaccount", "reader"]);
    kubectl(&["create", "role", "reader", "--verb=get,list", "--resource=applications.argoproj.io"]);
    kubectl(&["create", "rolebinding", "reader", "--role=reader", &account]);
    let token = kubectl(&["create", "token", "reader"]).trim().to_owned();
    scene.canaries().add("the caller's token", &token);
    token
}

#[test]
fn all_namespaces_of_an_agent_are_those_of_the_cluster() {
    let at = free();
    let (scene, _agent, _repo, _revision) = shop("cli-server-all", at);
    let server = format!("http://{at}");
    let names = |options: &[&str]| {
        let told = scene.tautline(&[&["app", "list", "-o", "name", "--server", &server], options].concat());
        assert_eq!((told.code, told.err.as_str()), (0, ""), "{told:?}");
        told.out
    };
    let shop = "application.argoproj.io/shop\n";
    assert_eq!(names(&["-n", &scene.control]), shop);
    assert_eq!(names(&["-n", "elsewhere"]), "");
    // As in kubectl, and as where the cluster is asked, -n says nothing beside -A.
    assert_eq!(names(&["-A", "-n", "elsewhere"]), shop);
    assert_eq!(names(&["-A"]), shop);
    let table = scene.tautline(&["app", "list", "-A", "--server", &server]);
    assert_eq!(table.rows()[1][..2], [scene.control.as_str(), "shop"], "{}", table.out);
}

#[test]
fn an_agent_that_proves_who_it_is_gets_the_token_and_no_other() {
    let at = free();
    let scene = Scene::new("cli-server-tls");
    let [ours, certificate, key] = signed(&scene, "ours");
    let [theirs, ..] = signed(&scene, "theirs");
    let listen = at.to_string();
    let options = ["--listen", &listen, "--authenticate", "--tls-cert", &certificate, "--tls-key", &key];
    let _agent = scene.agent_with(&options);
    scene.deployed("shop", &[("web.yaml", &config_map("web", "one"))]);
    let token = reader(&scene);
    let file = scene.folder().join("token");
    fs::write(&file, &token).unwrap();
    let file = file.display().to_string();
    let localhost = format!("https://localhost:{}", at.port());
    let list = |server: &str, options: &[&str]| {
        scene.tautline(&[&["app", "list", "--server", server], options].concat())
    };
    let told = list(&localhost, &["--ca", &ours, "--token-file", &file]);
    assert_eq!((told.code, told.err.as_str()), (0, ""), "{told:?}");
    assert_eq!(told.rows()[1][..2], ["shop", "Synced"]);
    let mut watch = Watch::start(
        &scene,
        &["app", "list", "-w", "--server", &localhost, "--ca", &ours, "--token-file", &file],
    );
    watch.line_with(&["shop ", "Synced"]);

    let stranger = format!(
        "error: localhost:{} does not prove who it is: no authority that is trusted here signed its certificate (name a file \
         with that of its authority by --ca)\n",
        at.port()
    );
    for options in [&["--token-file", &file][..], &["--ca", &theirs, "--token-file", &file]] {
        for command in [&["list"][..], &["list", "-w"], &["get", "shop"], &["wait", "shop"]] {
            let words = [&["app"], command, &["--server", &localhost], options].concat();
            let told = scene.tautline(&words);
            assert_eq!(
                (told.code, told.out.as_str(), told.err.as_str()),
                (6, "", stranger.as_str()),
                "{words:?}"
            );
        }
    }
    let with_all = ["--ca", &ours, "--token-file", &file];
    let misnamed = list(&format!("https://{at}"), &with_all);
    assert!(
        misnamed.code == 6 && misnamed.err.contains("its certificate is for another host"),
        "{misnamed:?}"
    );
    let nobody = list(&localhost, &["--ca", &ours]);
    assert!(nobody.code == 5 && nobody.err.contains("give a token by --token-file"), "{nobody:?}");
    for (wrong, code, sentence) in [("/nowhere/ca", 2, "cannot be used"), (&file, 2, "there are none")] {
        let told = list(&localhost, &["--ca", wrong, "--token-file", &file]);
        assert!(told.code == code && told.err.contains(sentence), "{told:?}");
    }

    // Who may no longer read is told so, and does not ask for ever.
    scene.lab.kubectl(&["-n", &scene.control, "delete", "rolebinding", "reader"]).unwrap();
    let status = watch.child.wait().unwrap();
    assert_eq!(status.code(), Some(5), "{}", watch.rest());
}
