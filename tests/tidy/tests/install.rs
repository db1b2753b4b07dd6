//! Does the program take what the shipped Deployment gives it?
#![expect(clippy::unwrap_used, reason = "a document that cannot be read is a failed test")]

use application::install;
use std::collections::BTreeSet;
use tidy::tautline;

/// What every container has in its environment.
const OF_EVERY_CONTAINER: &[&str] = &["HOSTNAME"];

/// Returns a list of the container's fields, as texts.
fn container(list: &str, field: &str) -> Vec<String> {
    let documents = install::documents(install::NAMESPACE, install::IMAGE);
    let deployment = documents.iter().find(|document| document["kind"] == "Deployment").unwrap();
    let items = deployment["spec"]["template"]["spec"]["containers"][0][list].as_array().unwrap();
    items.iter().map(|item| item.pointer(field).unwrap().as_str().unwrap().to_owned()).collect()
}

/// Runs the program with the arguments and has it print its help instead of doing anything.
fn try_out(arguments: &[String]) -> tidy::Output {
    let arguments = arguments.iter().map(String::as_str).chain(["--help"]);
    tautline(&arguments.collect::<Vec<_>>()).unwrap()
}

#[test]
fn the_program_takes_its_arguments() {
    let arguments = container("args", "");
    let output = try_out(&arguments);
    assert_eq!(output.code, 0, "{arguments:?}:\n{}", output.text);
    let options = arguments.iter().filter_map(|argument| argument.split('=').next()?.strip_prefix("--"));
    for option in options {
        assert!(output.text.contains(&format!("--{option} ")), "--{option} is not in:\n{}", output.text);
    }
    // What it does not know it refuses, before it prints anything.
    for wrong in ["--lisen=127.0.0.1:8080", "--cache-size=1"] {
        assert_eq!(try_out(&["run".into(), wrong.into()]).code, 2, "{wrong}");
    }
}

#[test]
fn its_environment_is_what_the_program_reads() {
    let given: BTreeSet<String> = container("env", "/name").into_iter().collect();
    let mut read = BTreeSet::new();
    for file in tidy::files(".rs").unwrap() {
        let is_in = |folders: &[&str]| folders.iter().any(|folder| file.path.starts_with(folder));
        // What people ask for on the command line nobody asks for in a pod.
        let is_program = is_in(&["agent/src/", "crates/adapters/"]) && !is_in(&["agent/src/cli/"]);
        let parts = file.text.split("env::var(\"").skip(1).filter(|_| is_program);
        read.extend(parts.filter_map(|rest| Some(rest.split_once('"')?.0.to_owned())));
    }
    let own = OF_EVERY_CONTAINER.iter().map(|name| (*name).to_owned()).collect();
    let missing: Vec<&String> =
        read.difference(&given).filter(|name| !BTreeSet::contains(&own, *name)).collect();
    assert!(missing.is_empty(), "the program reads {missing:?}, which nothing sets");
    // Others are for its arguments.
    let arguments = container("args", "").join(" ");
    let unused: Vec<&String> =
        given.difference(&read).filter(|name| !arguments.contains(&format!("$({name})"))).collect();
    assert!(unused.is_empty(), "{unused:?} are set and nobody reads them");
    assert!(read.contains("POD_NAME"), "{read:?}");
}
