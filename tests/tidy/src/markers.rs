//! Which test proves what? Comments of the form `// N2, N6: why` right above it say so.

use crate::File;
use std::collections::{BTreeMap, BTreeSet};

/// A test that says which numbers it proves.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Marked {
    /// File, from the workspace's root.
    pub path: String,
    /// Line of its marker, from 1.
    pub line: usize,
    /// Name of its function.
    pub name: String,
}

/// Returns the marked tests by number, in the order of files and lines; and what is wrong with markers, one sentence each.
pub fn marked(files: &[File]) -> (BTreeMap<u8, Vec<Marked>>, Vec<String>) {
    let (mut found, mut wrong) = (BTreeMap::<u8, Vec<Marked>>::new(), Vec::new());
    for file in files {
        let lines: Vec<&str> = file.text.lines().map(str::trim).collect();
        for (index, line) in lines.iter().enumerate() {
            let Some(numbers) = numbers(line) else { continue };
            let (path, line) = (file.path.clone(), index + 1);
            match test_below(&lines[index + 1..]) {
                Some(name) => {
                    for number in numbers {
                        let marked = Marked { path: path.clone(), line, name: name.to_owned() };
                        found.entry(number).or_default().push(marked);
                    }
                }
                None => wrong.push(format!("{path}:{line}: the marker stands above no test")),
            }
        }
    }
    (found, wrong)
}

/// Returns the numbers of a marker; `None` for any other line.
fn numbers(line: &str) -> Option<BTreeSet<u8>> {
    let (numbers, why) = line.strip_prefix("// ")?.split_once(": ")?;
    let read = |word: &str| word.strip_prefix('N')?.parse().ok();
    let numbers: Option<BTreeSet<u8>> = numbers.split(", ").map(read).collect();
    numbers.filter(|_| !why.is_empty())
}

/// Returns the name of the test that the next lines begin: other comments and attributes may come first.
fn test_below<'a>(lines: &[&'a str]) -> Option<&'a str> {
    let mut is_test = false;
    for line in lines {
        if line.starts_with("#[test]") || line.starts_with("#[tokio::test") {
            is_test = true;
        } else if !line.starts_with("//") && !line.starts_with("#[") {
            let rest = line.strip_prefix("async ").unwrap_or(line).strip_prefix("fn ")?;
            return rest.split_once('(').map(|(name, _)| name).filter(|_| is_test);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> (Vec<String>, usize) {
        let (found, wrong) = marked(&[File { path: "a.rs".into(), text: text.into() }]);
        let said = |(number, tests): (&u8, &Vec<Marked>)| {
            let tests: Vec<String> =
                tests.iter().map(|test| format!("{}:{}", test.name, test.line)).collect();
            format!("{number} {}", tests.join(" "))
        };
        (found.iter().map(said).collect(), wrong.len())
    }

    #[test]
    fn a_marker_is_told_with_the_test_below_it() {
        let text = "// N2, N12: links\n#[test]\nfn one() {}\n\n    // N2: more\n    /// Said.\n    #[tokio::test]\n    async fn two() {}\n";
        assert_eq!(read(text), (vec!["2 one:1 two:5".into(), "12 one:1".into()], 0));
    }

    #[test]
    fn a_marker_without_a_test_is_wrong_and_other_comments_are_none() {
        let lost = [
            "// N2: x\nfn helper() {}",
            "// N2: x\n\n#[test]\nfn far() {}",
            "// N2: x",
            "// N2: x\nlet x = 1;",
        ];
        for text in lost {
            assert_eq!(read(text), (Vec::new(), 1), "{text}");
        }
        for text in
            ["// N2\n#[test]\nfn a() {}", "// No: x\n#[test]\nfn a() {}", "// N300: x\n#[test]\nfn a() {}"]
        {
            assert_eq!(read(text), (Vec::new(), 0), "{text}");
        }
    }
}
