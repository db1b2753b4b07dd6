//! Does the program do what the README shows?
#![expect(clippy::unwrap_used, reason = "a document that cannot be read is a failed test")]

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

#[test]
fn exit_codes_are_the_programs() {
    let rows = table_rows(&readme(), "Exit code");
    let listed: Vec<String> = rows.iter().map(|row| format!("{} {}", row[0], row[1])).collect();
    let help = words(&tautline(&["--help"]).unwrap().text);
    assert!(help.contains(&format!("Exit codes: {}", listed.join(", "))), "{listed:?}\n{help}");
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
