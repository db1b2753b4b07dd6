//! What do the documents claim? Paths, tables, and commands with their output.

/// Folders of the workspace; a word that begins with one of them and `/` names a path of ours.
const FOLDERS: &[&str] = &["agent", "crates", "fixtures", "manifests", "tests", ".ci"];

/// Returns the paths that a text names, each once, without globs and placeholders' tails.
pub fn named_paths(text: &str) -> Vec<String> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || "._-/*<>{}".contains(c);
    let words = text.split(|c: char| !is_part(c)).map(|word| word.trim_end_matches('.'));
    let ours = words.filter(|word| {
        word.split_once('/').is_some_and(|(folder, rest)| FOLDERS.contains(&folder) && !rest.is_empty())
    });
    let mut paths: Vec<String> = ours.map(before_placeholder).collect();
    paths.sort();
    paths.dedup();
    paths
}

/// Returns the part of a path before its first segment that stands for many.
fn before_placeholder(path: &str) -> String {
    let is_literal = |segment: &&str| !segment.contains(['*', '<', '>', '{', '}']);
    path.split('/').take_while(is_literal).collect::<Vec<_>>().join("/")
}

/// Returns the rows of the table whose header row begins with this cell, header and rule left out.
pub fn table_rows(text: &str, first_header: &str) -> Vec<Vec<String>> {
    let rows = text.lines().map(cells);
    let table = rows.skip_while(|cells| cells.first().is_none_or(|cell| cell != first_header));
    table.skip(2).take_while(|cells| !cells.is_empty()).collect()
}

fn cells(line: &str) -> Vec<String> {
    let Some(inner) = line.strip_prefix('|').and_then(|line| line.trim_end().strip_suffix('|')) else {
        return Vec::new();
    };
    // `\|` is a bar inside of a cell.
    let inner = inner.replace("\\|", "\u{0}");
    inner.split('|').map(|cell| cell.trim().replace('\u{0}', "|")).collect()
}

/// Returns the command and the output of every ```` ```console ```` block that begins with `$ <program> `.
pub fn console_blocks(text: &str, program: &str) -> Vec<(String, String)> {
    let blocks = text.split("```console\n").skip(1).filter_map(|rest| rest.split("```").next());
    let commands = blocks.filter_map(|block| {
        let (command, output) = block.split_once('\n')?;
        let arguments = command.strip_prefix("$ ")?.strip_prefix(program)?.strip_prefix(' ')?;
        Some((arguments.to_owned(), output.to_owned()))
    });
    commands.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_found_in_prose_tables_and_code() {
        let text = "See `crates/core/plan/src/lib.rs`, (agent/src/main.rs). Not apps/v1 nor crates/\n\
                    `fixtures/health/<group>/<Kind>` and tests/lab/programs/*/go.mod.";
        let found = named_paths(text);
        assert_eq!(
            found,
            ["agent/src/main.rs", "crates/core/plan/src/lib.rs", "fixtures/health", "tests/lab/programs"]
        );
    }

    #[test]
    fn a_table_is_found_by_its_first_header() {
        let text = "| A | B |\n|---|---|\n| 1 | 2 |\n\n| C | D |\n|---|---|\n| x \\| y | z |\nend";
        assert_eq!(table_rows(text, "A"), [["1", "2"]]);
        assert_eq!(table_rows(text, "C"), [["x | y", "z"]]);
        assert!(table_rows(text, "E").is_empty());
    }

    #[test]
    fn commands_are_found_with_their_output() {
        let text = "```console\n$ tautline crd\nout\n```\n```console\n$ kubectl get\n```\n";
        assert_eq!(console_blocks(text, "tautline"), [("crd".to_owned(), "out\n".to_owned())]);
    }
}
