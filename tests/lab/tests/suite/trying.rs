//! Does what `lab try` prints work, line by line?

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails, in its helpers as well")]

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread::{self, JoinHandle};

use serde_json::Value;

/// What a line brings about in a moment: part of the line, an object, a path in it, its value.
const PROMISES: &[(&str, &str, &str, &str)] = &[
    ("a third one", "deployment/web -n shop", ".spec.replicas", "3"),
    ("--replicas=9", "deployment/web -n shop", ".spec.replicas", "3"),
    ("good night", "application/shop -n argocd", ".status.sync.status", "OutOfSync"),
    ("/sync", "application/shop -n argocd", ".status.sync.status", "Synced"),
    ("a bad image", "application/shop -n argocd", ".status.health.status", "Progressing"),
];

/// A running `lab try`, and what it printed.
struct Try {
    child: Child,
    commands: Vec<String>,
    kubeconfig: String,
    path: String,
    repository: PathBuf,
    /// Reads standard error to its end, which comes when everything that was started has ended.
    log: Option<JoinHandle<String>>,
}

impl Try {
    fn start() -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_lab"))
            .arg("try")
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut log = child.stderr.take().unwrap();
        let log = thread::spawn(move || {
            let mut text = Vec::new();
            log.read_to_end(&mut text).unwrap();
            String::from_utf8_lossy(&text).into_owned()
        });
        let lines = BufReader::new(child.stdout.as_mut().unwrap()).lines().map(Result::unwrap);
        let mut commands = Vec::new();
        for line in lines {
            commands.extend(line.strip_prefix("  ").map(str::to_owned));
            // The last line: afterwards nothing more comes until the end.
            if line.ends_with("/readyz") {
                break;
            }
        }
        if commands.len() < 10 {
            drop(child.kill());
            panic!("printed only {commands:?}: {}", log.join().unwrap());
        }
        let export = commands.remove(0);
        let (kubeconfig, path) =
            export.strip_prefix("export KUBECONFIG=").unwrap().split_once(" PATH=").unwrap();
        let path = path.strip_suffix(":$PATH").unwrap().to_owned();
        let repository = PathBuf::from(commands.remove(0).strip_prefix("cd ").unwrap());
        Self { kubeconfig: kubeconfig.to_owned(), path, child, commands, repository, log: Some(log) }
    }

    fn shell(&self, command: &str) -> String {
        let path = format!("{}:{}", self.path, std::env::var("PATH").unwrap());
        let output = Command::new("sh")
            .args(["-c", command])
            .env("KUBECONFIG", &self.kubeconfig)
            .env("PATH", path)
            .current_dir(&self.repository)
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{command}: {text}{}", String::from_utf8_lossy(&output.stderr));
        text
    }

    /// Ends it as Ctrl-C does, and returns the log.
    fn end(mut self) -> String {
        let interrupt = Command::new("kill").args(["-INT", &self.child.id().to_string()]).status();
        assert!(interrupt.unwrap().success());
        assert!(self.child.wait().unwrap().success());
        self.log.take().unwrap().join().unwrap()
    }

    fn wait_for(&self, object: &str, path: &str, value: &str) {
        self.shell(&format!("kubectl wait {object} --for=jsonpath='{{{path}}}'={value} --timeout=60s"));
    }
}

impl Drop for Try {
    fn drop(&mut self) {
        // Where the test failed half-way; whatever was started notices.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Does what a printed `curl` line does; curl need not be installed where the tests run.
fn curl(command: &str, status: u16) -> String {
    let mut words = command.split_whitespace().map(|word| word.trim_matches('"'));
    let address = words.find_map(|word| word.strip_prefix("http://")).unwrap();
    let (host, path) = address.split_once('/').unwrap();
    let method = if command.contains("-X POST") { "POST" } else { "GET" };
    let headers: Vec<&str> = command.split('\'').filter(|quoted| quoted.contains(": ")).collect();
    let headers = headers.iter().map(|header| [header, "\r\n"].concat()).collect::<String>();
    let body = if method == "POST" { "{}" } else { "" };
    let mut stream = TcpStream::connect(host).unwrap();
    write!(
        stream,
        "{method} /{path} HTTP/1.1\r\nHost: {host}\r\n{headers}Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{command}: {answer}");
    answer
}

#[test]
fn every_printed_line_does_what_the_text_says() {
    let trial = Try::start();
    let mut done = Vec::new();
    for command in &trial.commands {
        let head = trial.shell("git rev-parse HEAD");
        let text = if command.starts_with("curl") {
            curl(&command.replace("$(git rev-parse HEAD)", head.trim()), 200)
        } else {
            trial.shell(command)
        };
        if let Some((_, object, path, value)) = PROMISES.iter().find(|(part, ..)| command.contains(part)) {
            trial.wait_for(object, path, value);
        }
        done.push((command.as_str(), text));
    }
    let said = |part: &str| {
        let found = done.iter().find(|(command, _)| command.contains(part));
        found.map_or_else(|| panic!("no line with {part}"), |(_, text)| text.as_str())
    };
    assert!(said("get applications -A").contains("Synced        Healthy"));
    assert!(
        said("/drift").contains("\"good morning\" in Git, \"good night\" live (kubectl-patch"),
        "{}",
        said("/drift")
    );
    assert!(said("/wait?revision=").contains("\"verdict\":\"Deployed\""), "{}", said("/wait?revision="));
    assert!(said("why deploy/web").contains("shop/web.yaml"), "{}", said("why deploy/web"));
    let why = said("why configmap/greeting");
    assert!(why.contains("kubectl-patch"), "{why}");
    assert!(said("/metrics").contains("argocd_app_info{"));
    assert!(said("/readyz").ends_with("ok\n"));

    let repository = trial.repository.clone();
    let log = trial.end();
    assert!(log.contains("tautline stops"), "{log}");
    assert!(!repository.exists());
}

/// Returns the commands of the README about a bad commit that it has people try, each with what it shows of their output.
fn shown() -> Vec<(String, String)> {
    let readme = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../README.md")).unwrap();
    let section = readme.split("\n## What happens when a commit is bad\n").nth(1).unwrap();
    let block = section.split("```").nth(1).unwrap();
    let steps = block.split("\n$ ").skip(1).map(|step| step.split_once('\n').unwrap_or((step, "")));
    steps.map(|(command, output)| (command.to_owned(), output.to_owned())).collect()
}

/// Returns a text without what is another one each time: revisions, ages, names of pods, and where lines are broken.
fn lasting(text: &str) -> String {
    let word = |word: &str| {
        let bare = word.trim_matches(|c: char| !c.is_ascii_alphanumeric());
        let is_revision = bare.len() == 7 && bare.chars().all(|c| c.is_ascii_hexdigit());
        let is_age = bare.starts_with(|c: char| c.is_ascii_digit()) && bare.ends_with(['s', 'm']);
        let is_pod = bare.starts_with("web-") && bare.matches('-').count() == 2;
        let known = [(is_revision, "REVISION"), (is_age, "AGE"), (is_pod, "POD")];
        let known = known.iter().find(|(is_it, _)| *is_it);
        known.map_or_else(|| word.to_owned(), |(_, name)| word.replace(bare, name))
    };
    text.split_whitespace().map(word).collect::<Vec<_>>().join(" ")
}

#[test]
fn a_bad_commit_ends_as_the_readme_shows() {
    let trial = Try::start();
    trial.shell("kubectl wait secret/tautline-release.shop.v1 -n argocd --for=create --timeout=60s");
    let here =
        trial.commands.iter().find_map(|line| line.split("http://").nth(1)?.split('/').next()).unwrap();
    for (command, expected) in shown() {
        let head = trial.shell("git rev-parse HEAD");
        let command = command.replace("$(git rev-parse HEAD)", head.trim()).replace("127.0.0.1:8080", here);
        let told = if command.starts_with("curl") {
            let answer = curl(&command, 409);
            let verdict: Value = serde_json::from_str(answer.split("\r\n\r\n").nth(1).unwrap()).unwrap();
            format!("{} {}", verdict["verdict"].as_str().unwrap(), verdict["message"].as_str().unwrap())
        } else {
            // Whoever types takes longer than what the verdict leaves to be written.
            trial.wait_for("application/shop -n argocd", ".status.health.status", "Healthy");
            if command.contains("history") {
                trial.shell(
                    "kubectl wait secret/tautline-release.shop.v2 -n argocd --for=create --timeout=60s",
                );
            }
            trial.shell(&command)
        };
        assert_eq!(lasting(&told), lasting(&expected), "{command}");
    }
    trial.end();
}
