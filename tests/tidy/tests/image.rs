//! Does the image that `Dockerfile` describes hold what the shipped Deployment runs, and nothing else?
//!
//! No image is built here: the file is read, and what its last stage does is done in a folder, with the program as it is
//! built for tests.
#![expect(clippy::unwrap_used, reason = "a step that cannot be done is a failed test")]

use application::install;
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// What `gcr.io/distroless/cc` has of what a program may ask the loader for, by the beginning of the name.
const OF_THE_BASE: &[&str] =
    &["ld-linux", "libc.so", "libdl.so", "libgcc_s.so", "libm.so", "libpthread.so", "librt.so"];
/// Linked in by the build stage, see `LIBZ_SYS_STATIC`.
const LINKED_IN: &str = "libz.so";

/// The stages, each with its instructions, a name and what follows it; the first of each is `FROM`.
fn stages() -> Vec<Vec<(String, String)>> {
    let text = fs::read_to_string(tidy::root().join("Dockerfile")).unwrap();
    let mut stages: Vec<Vec<(String, String)>> = Vec::new();
    for line in text.lines().filter(|line| !line.trim().is_empty() && !line.starts_with('#')) {
        assert!(!line.ends_with('\\'), "one line each: {line}");
        let (name, rest) = line.split_once(' ').unwrap();
        if name == "FROM" {
            stages.push(Vec::new());
        }
        stages.last_mut().unwrap().push((name.to_owned(), rest.to_owned()));
    }
    stages
}

/// Returns what follows the instructions of a name.
fn all<'a>(stage: &'a [(String, String)], name: &str) -> Vec<&'a str> {
    stage.iter().filter(|(found, _)| found == name).map(|(_, rest)| rest.as_str()).collect()
}

/// Returns where the image has the program.
fn program(last: &[(String, String)]) -> String {
    let entrypoint: Vec<String> = serde_json::from_str(all(last, "ENTRYPOINT")[0]).unwrap();
    assert_eq!(entrypoint.len(), 1, "what it does is said by who runs it");
    entrypoint[0].clone()
}

fn pod() -> Value {
    let documents = install::documents(install::NAMESPACE, install::IMAGE);
    let deployment = documents.into_iter().find(|document| document["kind"] == "Deployment").unwrap();
    deployment["spec"]["template"]["spec"].clone()
}

#[test]
fn the_image_holds_one_program_and_is_run_as_the_deployment_says() {
    let stages = stages();
    let [build, last] = &stages[..] else { panic!("{} stages", stages.len()) };
    let workspace = fs::read_to_string(tidy::root().join("Cargo.toml")).unwrap();
    let field = |name: &str| -> String {
        let line = workspace.lines().find(|line| line.starts_with(&format!("{name} = \""))).unwrap();
        line.split('"').nth(1).unwrap().to_owned()
    };
    assert_eq!(all(build, "FROM"), [format!("rust:{}-bookworm AS build", field("rust-version"))]);
    assert_eq!(all(build, "RUN"), ["cargo build --release --locked --package tautline"]);
    assert_eq!(all(build, "ENV"), ["LIBZ_SYS_STATIC=1"]);
    // The C library of the last stage is that of the first.
    assert_eq!(all(last, "FROM"), ["gcr.io/distroless/cc-debian12:nonroot"]);

    let names: Vec<&str> = last.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["FROM", "COPY", "ENV", "USER", "ENTRYPOINT"], "nothing else comes in");
    let binary = format!("{}/target/release/tautline", all(build, "WORKDIR")[0]);
    assert_eq!(all(last, "COPY"), [format!("--from=build {binary} {}", program(last))]);
    let environment = all(last, "ENV");
    assert!(environment[0].starts_with("SSL_CERT_FILE=/etc/ssl/certs/"), "{environment:?}");

    let pod = pod();
    let (container, user) = (&pod["containers"][0], &pod["securityContext"]);
    assert_eq!(all(last, "USER"), [format!("{}:{}", user["runAsUser"], user["runAsGroup"])]);
    assert!(user["runAsNonRoot"] == true && user["runAsUser"].as_u64() > Some(0));
    assert_eq!(container["securityContext"]["readOnlyRootFilesystem"], true);
    assert_eq!(container["command"], Value::Null, "the image says what is run");
    assert_eq!(container["args"][0], "run");
    assert_eq!(container["image"], format!("tautline:{}", field("version")));
    let dockerfile = fs::read_to_string(tidy::root().join("Dockerfile")).unwrap();
    assert!(dockerfile.contains(&format!("docker build --tag {} .", install::IMAGE)));
    let ignored = fs::read_to_string(tidy::root().join(".dockerignore")).unwrap();
    assert_eq!(ignored.lines().collect::<Vec<_>>(), [".git", "target"]);
}

/// Puts into a folder what the image holds: the program, and of the base what the loader wants.
fn assemble(root: &Path, inside: &str) {
    let program = tidy::program().unwrap();
    let place = |path: &str| {
        let place = root.join(path.trim_start_matches('/'));
        fs::create_dir_all(place.parent().unwrap()).unwrap();
        place
    };
    fs::copy(program, place(inside)).unwrap();
    let listed = Command::new("ldd").arg(program).output().unwrap();
    let listed = String::from_utf8(listed.stdout).unwrap();
    let paths = listed.lines().filter_map(|line| line.split_whitespace().find(|word| word.starts_with('/')));
    let mut strangers = BTreeSet::new();
    for path in paths {
        let name = Path::new(path).file_name().unwrap().to_str().unwrap();
        let is_known = OF_THE_BASE.iter().chain([&LINKED_IN]).any(|known| name.starts_with(known));
        if !is_known {
            strangers.insert(name.to_owned());
        }
        fs::copy(path, place(path)).unwrap();
    }
    assert!(strangers.is_empty(), "the image has no {strangers:?}");
    for volume in ["cache", "tmp"] {
        fs::create_dir_all(root.join(volume)).unwrap();
    }
}

/// Runs the program in the folder as in a container: as its user, with a root that cannot be written, and with nothing in its
/// environment but what the image says.
fn run(root: &Path, last: &[(String, String)], arguments: &[&str]) -> Output {
    let user = all(last, "USER")[0];
    let (user, group) = user.split_once(':').unwrap();
    let script = "mount --bind \"$0\" \"$0\" && mount -o remount,bind,ro \"$0\" && unshare=$(command -v unshare) && \
                  exec env -i \"$1\" \"$unshare\" --map-user=\"$2\" --map-group=\"$3\" --root=\"$0\" --wd=/ \"$4\" \"${@:5}\"";
    let mut command = Command::new("unshare");
    command.args(["--map-root-user", "--mount", "bash", "-c", script]).arg(root);
    command.args([all(last, "ENV")[0], user, group, &program(last)]).args(arguments);
    command.output().unwrap()
}

#[test]
fn the_program_runs_with_what_the_image_holds() {
    let stages = stages();
    let last = stages.last().unwrap();
    let root = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("image");
    if root.exists() {
        fs::remove_dir_all(&root).unwrap();
    }
    assemble(&root, &program(last));
    let said = run(&root, last, &["crd"]);
    let text = String::from_utf8_lossy(&said.stdout).into_owned();
    assert!(said.status.success() && text.contains("kind: CustomResourceDefinition"), "{said:?}");
    // With the Deployment's arguments it gets as far as a pod without an account does.
    let pod = pod();
    let arguments = pod["containers"][0]["args"].as_array().unwrap().iter();
    let arguments: Vec<String> =
        arguments.map(|argument| argument.as_str().unwrap().replace("$(POD_NAMESPACE)", "argocd")).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let said = run(&root, last, &arguments);
    let told = String::from_utf8_lossy(&said.stderr).into_owned();
    assert!(!said.status.success() && told.contains("service account"), "{said:?}");
    fs::remove_dir_all(&root).unwrap();
}
