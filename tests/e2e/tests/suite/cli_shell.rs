//! How does `tautline` behave in a shell: what it completes, who reads no further, and what a terminal gets?
#![expect(clippy::unwrap_used, reason = "what cannot be done is a failed test")]

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Command, Stdio};

use e2e::{Scene, config_map};

/// Returns what bash completes for a line whose last word is not ended yet.
fn completed(script: &str, line: &[&str]) -> Vec<String> {
    let words: Vec<String> = line.iter().map(|word| format!("'{word}'")).collect();
    let last = line.len() - 1;
    // As bash calls it: the function that the script names, with the command, the word, and the word before.
    let asked = format!(
        "{script}\nf=$(complete -p tautline | grep -o -- '-F [^ ]*' | cut -d' ' -f2)\nCOMP_WORDS=({})\nCOMP_CWORD={last}\n\
         \"$f\" tautline \"${{COMP_WORDS[{last}]}}\" \"${{COMP_WORDS[{}]}}\"\nprintf '%s\\n' \"${{COMPREPLY[@]}}\"\n",
        words.join(" "),
        last - 1
    );
    let output =
        Command::new("bash").args(["--norc", "--noprofile", "-c", &asked]).output().expect("bash is there");
    let (out, err) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert_eq!((output.status.code(), err.as_str()), (Some(0), ""), "{line:?}");
    let mut words: Vec<String> = out.lines().filter(|word| !word.is_empty()).map(str::to_owned).collect();
    words.sort();
    words
}

#[test]
fn bash_completes_commands_options_and_values() {
    let scene = Scene::new("cli-completion");
    let told = scene.tautline(&["completion", "bash"]);
    assert_eq!((told.code, told.err.as_str()), (0, ""));
    let complete = |line: &[&str]| completed(&told.out, line);
    let has = |words: &[String], word: &str| words.iter().any(|one| one == word);

    let commands = complete(&["tautline", "app", ""]);
    for command in ["create", "drift", "get", "history", "list", "sync", "wait"] {
        assert!(has(&commands, command), "{command} is not in {commands:?}");
    }
    assert_eq!(complete(&["tautline", "app", "hi"]), ["history"]);
    assert_eq!(complete(&["tautline", "pl"]), ["plan"]);
    assert_eq!(complete(&["tautline", "app", "list", "--sel"]), ["--selector"]);
    assert_eq!(complete(&["tautline", "app", "sync", "shop", "--rev"]), ["--revision"]);
    assert_eq!(complete(&["tautline", "app", "list", "-o", "w"]), ["wide"]);
    assert_eq!(complete(&["tautline", "nonsense"]), Vec::<String>::new());
}

/// Neither shell is there to try it: it is what they call that is looked for.
#[test]
fn what_zsh_and_fish_complete_is_a_script_for_them() {
    let scene = Scene::new("cli-completion-others");
    for (shell, begins, names) in [
        ("zsh", "#compdef tautline\n", ["_tautline()", "'history:", "'--selector="]),
        ("fish", "", ["complete -c tautline", "-a \"history\"", "-l selector"]),
    ] {
        let told = scene.tautline(&["completion", shell]);
        assert_eq!((told.code, told.err.as_str()), (0, ""), "{shell}");
        assert!(told.out.starts_with(begins), "{shell}: {:.200}", told.out);
        for name in names {
            assert!(told.out.contains(name), "{shell} lacks {name:?}: {:.2000}", told.out);
        }
    }
}

#[test]
fn a_reader_that_has_enough_is_no_mistake() {
    let scene = Scene::new("cli-pipe");
    let _agent = scene.agent();
    let repo = scene.deployed("shop", &[("web.yaml", &config_map("web", "one"))]);
    let list = ["app", "list", "-n", &scene.control];
    for arguments in [&["crd"][..], &["completion", "bash"], &["app", "--help"], &["app", "nonsense"], &list]
    {
        let mut command = scene.tautline_command(arguments);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        // Nobody reads a single byte.
        drop(child.stdout.take());
        let mut err = String::new();
        child.stderr.take().unwrap().read_to_string(&mut err).unwrap();
        let code = child.wait().unwrap().code();
        assert_eq!(code, Some(if arguments.contains(&"nonsense") { 2 } else { 0 }), "{arguments:?}: {err}");
        assert!(!err.contains("panicked"), "{arguments:?}: {err}");
    }

    // One that goes on ends with the first change that nobody wants to see.
    let mut command = scene.tautline_command(&[&list[..], &["-w"]].concat());
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert!(line.starts_with("NAME "), "{line}");
    repo.write("app/web.yaml", &config_map("web", "two")).commit("second");
    let mut err = String::new();
    child.stderr.take().unwrap().read_to_string(&mut err).unwrap();
    assert_eq!((child.wait().unwrap().code(), err.as_str()), (Some(0), ""));
}

#[test]
fn only_a_terminal_gets_colours_and_not_with_no_color() {
    let scene = Scene::new("cli-colours");
    let _agent = scene.agent();
    scene.deployed("shop", &[("web.yaml", &config_map("web", "one"))]);
    // `script` runs a command on a terminal of its own.
    let on_terminal = |arguments: &[&str], variables: &[(&str, &str)]| {
        let command = scene.tautline_command(arguments);
        let words = std::iter::once(command.get_program()).chain(command.get_args());
        let line: Vec<String> = words.map(|word| format!("'{}'", word.to_str().unwrap())).collect();
        let typescript = scene.folder().join("typescript");
        let mut script = Command::new("script");
        script.args(["-qc", &line.join(" ")]).arg(&typescript).stdin(Stdio::null());
        script.env("KUBECONFIG", scene.lab.kubeconfig()).env("TERM", "xterm").env_remove("NO_COLOR");
        script.env_remove("TAUTLINE_SERVER").envs(variables.iter().copied());
        let output = script.output().expect("script is there");
        assert!(output.status.success(), "{output:?}");
        fs::read_to_string(typescript).unwrap()
    };
    let any = "127.0.0.1:0";
    let list = ["app", "list", "-n", &scene.control];
    // The agent, which logs why it does not run.
    let run = ["run", "--probes", any, "--listen", any, "--kubeconfig", "/nowhere/config"];
    let commands: [(&[&str], &str, &str); 2] = [(&list, "32m", "Synced"), (&run, "31m", "ERROR")];
    for (arguments, colour, word) in commands {
        let begins = format!("\u{1b}[{colour}");
        for variables in [&[][..], &[("NO_COLOR", "")]] {
            let told = on_terminal(arguments, variables);
            let coloured =
                told.split_once(&begins).is_some_and(|(_, rest)| rest.trim_start().starts_with(word));
            assert!(coloured, "{variables:?} (an empty NO_COLOR says nothing): {told}");
        }
        for variables in [("NO_COLOR", "1"), ("TERM", "dumb")] {
            let told = on_terminal(arguments, &[variables]);
            assert!(told.contains(word) && !told.contains(&begins), "{variables:?}: {told}");
        }
    }
    let piped = scene.tautline(&["app", "list", "-n", &scene.control]);
    assert!(piped.out.contains("Synced") && !piped.out.contains('\u{1b}'), "{piped:?}");
}

#[test]
fn what_files_say_reaches_no_terminal_as_it_is() {
    let scene = Scene::new("cli-files");
    let folder = scene.folder().join("odd");
    fs::create_dir(&folder).unwrap();
    let forged = "x\\e[2J\\u009b1m\\u202e\\nfine   Pod   Healthy";
    let pod = format!(
        "apiVersion: v1\nkind: Pod\nmetadata: {{name: web, namespace: shop, annotations: {{a: \"{forged}\"}}}}\n\
         status: {{phase: Failed, message: \"{forged}\"}}\n"
    );
    fs::write(folder.join("pod.yaml"), &pod).unwrap();
    // Both the name of the file and the key that it repeats stand in the sentence that refuses it.
    let twice = format!(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: a}}\ndata: {{\"{forged}\": a, \"{forged}\": b}}\n"
    );
    let odd = folder.join("odd\u{1b}[2J\nfine.yaml");
    fs::write(&odd, twice).unwrap();
    let (pod, odd) = (folder.join("pod.yaml").display().to_string(), odd.display().to_string());
    let absent = "/nowhere\u{1b}[2J\u{202e}";
    for arguments in [
        &["health", "-f", &pod][..],
        &["health", "-f", &pod, "-o", "json"],
        &["health", "-f", &odd],
        &["health", "-f", absent],
        &["render", "odd"],
        &["render", "odd", "-o", "json"],
        &["render", absent],
        &["plan", "./odd", "-n", "default"],
    ] {
        let told = scene.tautline(arguments);
        let all = format!("{}{}", told.out, told.err);
        assert!(!all.is_empty(), "{arguments:?} says nothing");
        assert!(!all.contains(['\u{1b}', '\u{9b}', '\u{202e}']), "{arguments:?}: {told:?}");
        assert!(!all.lines().any(|line| line.starts_with("fine")), "{arguments:?}: {told:?}");
    }
    // What machines read says all of it.
    fs::remove_file(odd).unwrap();
    let json = scene.tautline(&["render", "odd", "-o", "json"]).json();
    let value = "x\u{1b}[2J\u{9b}1m\u{202e}\nfine   Pod   Healthy";
    assert_eq!(json["items"][0]["metadata"]["annotations"]["a"], value, "{json}");
}
