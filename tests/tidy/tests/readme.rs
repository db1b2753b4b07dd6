//! Does the program do what the README shows?
#![expect(clippy::unwrap_used, reason = "a document that cannot be read is a failed test")]

use std::io::{Read, Write};
use std::net::TcpListener;
use tidy::{console_blocks, root, table_rows, tautline};

fn readme() -> String {
    std::fs::read_to_string(root().join("README.md")).unwrap()
}

/// Returns a text with its blanks made alike: help is wrapped to the terminal, tables are not.
fn words(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn commands_print_what_the_readme_shows() {
    let blocks = console_blocks(&readme(), "tautline");
    assert!(blocks.len() >= 3, "only {} commands", blocks.len());
    for (command, expected) in blocks {
        let arguments: Vec<&str> = command.split(' ').collect();
        let output = tautline(&arguments).unwrap();
        assert_eq!(output.text, expected, "tautline {command}");
        // Each of them shows something that is wrong: manifests, or live objects.
        let code = if command.starts_with("render") { 6 } else { 1 };
        assert_eq!(output.code, code, "tautline {command}");
    }
}

#[test]
fn the_table_of_options_is_the_programs() {
    let help = tautline(&["run", "--help"]).unwrap().text;
    let rows = table_rows(&readme(), "Option of `run`");
    let option = |row: &Vec<String>| row[0].trim_matches('`').split(' ').next().unwrap().to_owned();
    let mut listed: Vec<String> = rows.iter().map(option).collect();
    listed.sort();
    let in_help = words(&help);
    let mut known: Vec<String> = in_help
        .split(' ')
        .filter(|word| word.starts_with("--") && *word != "--help")
        .map(str::to_owned)
        .collect();
    known.sort();
    known.dedup();
    assert_eq!(listed, known, "options in the README, and those of the program");
    for row in rows {
        let default = row[1].trim_matches('`');
        let is_default = default.is_empty() || in_help.contains(&format!("[default: {default}]"));
        assert!(is_default, "{} has another default than {default}:\n{help}", row[0]);
    }
}

/// Returns the commands below one, by its help.
fn commands_below(help: &str) -> Vec<String> {
    let list = help.split("\nCommands:\n").nth(1).and_then(|rest| rest.split("\n\n").next());
    // A wrapped line is indented deeper.
    let lines = list.into_iter().flat_map(str::lines).filter_map(|line| line.strip_prefix("  "));
    let names = lines.filter(|line| !line.starts_with(' ')).filter_map(|line| line.split(' ').next());
    names.filter(|name| *name != "help").map(str::to_owned).collect()
}

/// Walks the commands of the program, and returns each with the options that its help shows, sorted.
fn commands(command: &[&str], found: &mut Vec<(String, Vec<String>)>) {
    let help = tautline(&[command, &["--help"]].concat()).unwrap().text;
    let below = commands_below(&help);
    for name in &below {
        commands(&[command, &[name.as_str()]].concat(), found);
    }
    if below.is_empty() {
        let begins = |line: &&str| line.trim_start().starts_with('-');
        let named = help.lines().filter(begins).flat_map(str::split_whitespace);
        let options = named.filter(|word| word.starts_with("--") && !word.starts_with("--help"));
        let mut options: Vec<String> = options.map(|word| word.trim_end_matches(',').to_owned()).collect();
        options.sort();
        options.dedup();
        found.push((command.join(" "), options));
    }
}

#[test]
fn the_table_of_commands_is_the_programs() {
    let mut known = Vec::new();
    commands(&[], &mut known);
    known.sort();
    let ticked =
        |cell: &str| -> Vec<String> { cell.split('`').skip(1).step_by(2).map(str::to_owned).collect() };
    let rows = table_rows(&readme(), "Command");
    let mut listed: Vec<(String, Vec<String>)> =
        rows.iter().map(|row| (ticked(&row[0]).join(" "), ticked(&row[1]))).collect();
    listed.sort();
    // The options of `run` have a table of their own.
    for (_, options) in known.iter_mut().filter(|(name, _)| name == "run") {
        options.clear();
    }
    assert_eq!(listed, known, "commands in the README, and those of the program");
}

#[test]
fn the_table_of_requests_is_what_the_api_answers() {
    let listed: Vec<String> =
        table_rows(&readme(), "Request").iter().map(|row| row[0].trim_matches('`').to_owned()).collect();
    let mut sorted = listed.clone();
    sorted.sort();
    let mut known: Vec<String> =
        api::ROUTES.iter().map(|route| format!("{} {}", route.method, route.path)).collect();
    known.sort();
    assert_eq!(sorted, known, "requests in the README, and routes of the API");
}

#[test]
fn exit_codes_are_the_programs() {
    let rows = table_rows(&readme(), "Exit code");
    let listed: Vec<String> = rows.iter().map(|row| format!("{} {}", row[0], row[1])).collect();
    let help = words(&tautline(&["--help"]).unwrap().text);
    assert!(help.contains(&format!("Exit codes: {}", listed.join(", "))), "{listed:?}\n{help}");
}

/// Starts a server of one answer, and returns its URL.
fn answering(status: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/shop.git", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            // The request is small, and nobody asks what it says.
            drop(stream.read(&mut [0; 4096]));
            drop(write!(stream, "HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"));
        }
    });
    url
}

#[test]
fn commands_end_with_the_code_of_what_went_wrong() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    let (refuses, fails) = (answering("403 Forbidden"), answering("500 Internal Server Error"));
    let any = "127.0.0.1:0";
    let cases: &[(i32, &[&str])] = &[
        (0, &["crd"]),
        (0, &["--help"]),
        (0, &["render", "fixtures/repos/sample/shop"]),
        (6, &["render", "fixtures/repos/broken"]),
        (6, &["health", "-f", "fixtures/repos/broken/shop.yaml"]),
        (2, &["render"]),
        (2, &["render", "fixtures/repos/sample/shop", "--exclude", "[a"]),
        (2, &["render", "--repo", "ext::sh -c true"]),
        (2, &["run", "--poll-interval", "soon"]),
        (2, &["run", "--probes", any, "--listen", "0.0.0.0:0"]),
        (4, &["run", "--probes", any, "--listen", any, "--kubeconfig", "/nowhere/kubeconfig"]),
        (4, &["render", "/nowhere"]),
        (4, &["render", "--repo", "/nowhere"]),
        (4, &["health", "-f", "/nowhere"]),
        (5, &["render", "--repo", &refuses]),
        (6, &["render", "--repo", &fails]),
        (6, &["run", "--probes", &taken]),
    ];
    for (code, arguments) in cases {
        let output = tautline(arguments).unwrap();
        assert_eq!(output.code, *code, "tautline {}:\n{}", arguments.join(" "), output.text);
    }
}

#[test]
fn render_takes_the_files_that_an_application_would() {
    let folder = "fixtures/repos/sample";
    let rendered = |options: &[&str]| tautline(&[&["render", folder], options].concat()).unwrap().text;
    let all = rendered(&["--recurse"]);
    let one = rendered(&["--recurse", "--include", "shop/web.yaml"]);
    let others = rendered(&["--recurse", "--exclude", "shop/web.yaml"]);
    assert!(one.contains("kind: Deployment") && one.len() < all.len(), "{one}");
    assert!(!others.contains("kind: Deployment") && others.contains("kind: "), "{others}");
    assert_eq!(rendered(&[]), "", "folders below it are asked for by --recurse");
}

#[test]
fn the_examples_are_applications() {
    let text = readme();
    let blocks = text.split("```yaml\n").skip(1).filter_map(|rest| rest.split("```").next());
    let examples: Vec<&str> = blocks.filter(|block| block.contains("kind: Application\n")).collect();
    assert!(!examples.is_empty());
    for example in examples {
        let (objects, problems) = manifest::parse("README.md", example.as_bytes());
        assert!(problems.is_empty(), "{problems:?}");
        let app = application::read(&objects[0].object.to_value()).unwrap();
        assert!(app.not_yet.is_empty(), "{:?}", app.not_yet);
    }
}

#[test]
fn health_of_what_holds_no_object_says_so() {
    let output = tautline(&["health", "-f", "LICENSE"]).unwrap();
    assert!(
        output.text.contains("LICENSE holds no object; give it what `kubectl get ... -o yaml` prints"),
        "{}",
        output.text
    );
    assert_eq!(output.code, 0);
}
