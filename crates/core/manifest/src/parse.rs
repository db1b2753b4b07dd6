//! Which objects does a file hold, and what is wrong with it?

use crate::compose::{self, Budget, Chunk, MAX_PROBLEMS};
use crate::files;
use crate::lines::Lines;
use crate::node::{Content, Entry, Node};
use crate::quotes;
use crate::split::{self, Document};
use model::{Object, Place, Problem};
use serde_json::Value;

/// An object from a file.
#[derive(Clone, Debug, PartialEq)]
pub struct Parsed {
    /// The object.
    pub object: Object,
    /// Where it begins.
    pub place: Place,
    /// Where its fields stand.
    pub lines: Lines,
}

impl Parsed {
    /// Returns the line of the field that a JSON pointer names, from 1; `None` for what the file does not say.
    pub fn line_of(&self, pointer: &str) -> Option<u32> {
        self.lines.get(pointer)
    }
}

/// Largest file, and largest sum of files of one app, in bytes (Argo CD `reposerver.max.combined.directory.manifests.size`).
pub const MAX_BYTES: u64 = 10_000_000;
/// Text in a file that keeps it from being read (Argo CD "skipping file rendering").
pub const SKIP_MARKER: &str = "+argocd:skip-file-rendering";
/// Most documents of one file.
const MAX_DOCUMENTS: usize = 10_000;
/// Values of one file, in units of [`Budget`]: some for copies by alias, and more for each byte than manifests need, which
/// have a key or value in seven bytes or more.
fn budget(n_bytes: usize) -> Budget {
    Budget(u32::try_from(200_000 + n_bytes / 6).unwrap_or(u32::MAX))
}

/// Reads a manifest file, YAML or JSON, as kubectl does; one bad document does not hide the others.
///
/// A file without any object that does not look like a manifest either is passed over, as in Argo CD (compare its
/// "directory" sources), but for one that cannot be read and has most of what a manifest has: passed over because of a colon
/// that is missing, its objects would be pruned. Differs from kubectl where that loses data without a word: a key given twice
/// and content after `...` are problems.
pub fn parse(file: &str, bytes: &[u8]) -> (Vec<Parsed>, Vec<Problem>) {
    if let Some(problem) = check_total_size(bytes.len() as u64) {
        return (Vec::new(), vec![problem.at(file, 0, 0)]);
    }
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => return (Vec::new(), vec![not_utf8(file, bytes, error.valid_up_to())]),
    };
    if text.contains(SKIP_MARKER) {
        return (Vec::new(), Vec::new());
    }
    let documents = split::split(file, text);
    if documents.len() > MAX_DOCUMENTS {
        let problem = Problem::new(format!("the file holds more than {MAX_DOCUMENTS} documents"))
            .at(file, 0, 0)
            .help("split the file");
        return (Vec::new(), vec![problem]);
    }
    let mut reader = Reader { file, budget: budget(text.len()), ..Reader::default() };
    for document in documents {
        reader.document(document);
        if reader.budget.is_spent() {
            break;
        }
        if reader.problems.len() > MAX_PROBLEMS {
            reader.problems.truncate(MAX_PROBLEMS);
            reader.problems.push(Problem::new("the file has more problems than are listed").at(file, 0, 0));
            break;
        }
    }
    let is_manifest = reader.is_manifest || files::is_json(file) || reader.looks_like_manifest(text);
    if is_manifest { (reader.parsed, reader.problems) } else { (Vec::new(), Vec::new()) }
}

/// Returns the problem of manifests that exceed [`MAX_BYTES`] together.
pub fn check_total_size(bytes: u64) -> Option<Problem> {
    (bytes > MAX_BYTES).then(|| {
        Problem::new(format!("the manifests are larger than the limit of {} MB", MAX_BYTES / 1_000_000))
            .help("move files that are no manifests out of the folder, or exclude them by spec.source.directory.exclude")
    })
}

fn not_utf8(file: &str, bytes: &[u8], valid_up_to: usize) -> Problem {
    let before = &bytes[..valid_up_to];
    let line_begin = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    let line = before.split(|byte| *byte == b'\n').count();
    let column = String::from_utf8_lossy(&before[line_begin..]).chars().count() + 1;
    let small = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    Problem::new("the file is not UTF-8 text").at(file, small(line), small(column)).help("save it as UTF-8")
}

/// What every object has.
const OBJECT_FIELDS: [&str; 3] = ["apiVersion", "kind", "metadata"];

/// Where an object stands.
#[derive(Clone, Copy)]
enum Within {
    Document,
    List,
}

impl Within {
    fn noun(self) -> &'static str {
        match self {
            Self::Document => "the document",
            Self::List => "the list's item",
        }
    }
}

#[derive(Default)]
struct Reader<'a> {
    file: &'a str,
    budget: Budget,
    parsed: Vec<Parsed>,
    problems: Vec<Problem>,
    /// Whether some document is meant as an object, so that the file is meant as a manifest.
    is_manifest: bool,
    /// Whether some document cannot be read.
    is_broken: bool,
}

impl<'a> Reader<'a> {
    fn document(&mut self, document: Document<'a>) {
        let composed = document.and_then(|chunk| self.compose(chunk));
        match composed {
            Ok(Some(node)) => self.object(node, Within::Document),
            Ok(None) => {}
            Err(problem) => {
                self.is_broken = true;
                self.problems.push(problem);
            }
        }
    }

    /// Returns whether a file without an object is meant to have one.
    fn looks_like_manifest(&self, text: &str) -> bool {
        let n_words =
            ["apiVersion:", "kind:", "metadata:"].iter().filter(|word| text.contains(**word)).count();
        n_words >= if self.is_broken { 2 } else { 3 }
    }

    fn compose(&mut self, chunk: Chunk<'a>) -> Result<Option<Node>, Problem> {
        let (budget, n_problems) = (self.budget, self.problems.len());
        let first = compose::compose(chunk, &mut self.budget, &mut self.problems);
        if first.is_ok() {
            return first;
        }
        let Some(text) = quotes::indent(chunk.text) else { return first };
        self.budget = budget;
        self.problems.truncate(n_problems);
        compose::compose(Chunk { text: &text, ..chunk }, &mut self.budget, &mut self.problems)
    }

    /// Takes one object, or each object of a list. Null stands for nothing.
    fn object(&mut self, node: Node, within: Within) {
        if node.is_null() {
            return;
        }
        if !matches!(node.content, Content::Map(_)) {
            let sentence = format!("{} is {}, not an object", within.noun(), node.noun());
            self.report(&node, sentence, "write apiVersion, kind and metadata");
            return;
        }
        // Values files may say one of these for purposes of their own, but hardly two.
        self.is_manifest |= OBJECT_FIELDS.iter().filter(|field| node.field(field).is_some()).count() > 1;
        let has_kind = node.field("kind").is_some_and(|entry| entry.node.text().is_some());
        if has_kind && is_null_list(&node) {
            return;
        }
        if has_kind && node.field("items").is_some_and(|entry| matches!(entry.node.content, Content::List(_)))
        {
            match within {
                Within::Document => self.items(node),
                Within::List => {
                    self.report(&node, "a list stands in a list".into(), "list its items one level up");
                }
            }
            return;
        }
        let n_problems = self.problems.len();
        self.check(&node);
        if self.problems.len() > n_problems {
            return;
        }
        let place = Place { file: self.file.into(), line: node.line, column: node.column };
        let (value, lines) = node.lower();
        match Object::from_value(value) {
            Ok(object) => self.parsed.push(Parsed { object, place, lines }),
            Err(why) => {
                self.problems.push(Problem { place, message: why.to_string(), help: String::new() });
            }
        }
    }

    /// Takes each object of a list; those without a kind have the list's (`ConfigMapList`), as in kubectl.
    fn items(&mut self, list: Node) {
        let Content::Map(mut list) = list.content else { return };
        let kind = list.get("kind").and_then(|entry| entry.node.text()).unwrap_or_default();
        let item_kind = kind.strip_suffix("List").unwrap_or(kind).to_owned();
        let Some(Content::List(items)) = list.remove("items").map(|entry| entry.node.content) else { return };
        for mut item in items {
            if let Content::Map(fields) = &mut item.content
                && !item_kind.is_empty()
                && !fields.contains_key("kind")
                && !fields.contains_key("apiVersion")
            {
                let kind_of = |entry: &Entry| (entry.line, entry.column);
                let (line, column) = list.get("kind").map(kind_of).unwrap_or_default();
                let content = Content::Scalar(Value::String(item_kind.clone()));
                let node = Node { line, column, cost: 1, height: 0, content };
                fields.insert("kind".into(), Entry { line, column, is_own: true, node });
                if let Some(api_version) = list.get("apiVersion") {
                    fields.insert("apiVersion".into(), api_version.clone());
                }
            }
            self.object(item, Within::List);
        }
    }

    /// Reports everything that keeps a map from being an object.
    fn check(&mut self, node: &Node) {
        self.check_text(
            node,
            "apiVersion",
            "apiVersion",
            "say which API the object belongs to, such as apps/v1",
        );
        self.check_text(node, "kind", "kind", "say what the object is, such as Deployment");
        match node.field("metadata") {
            Some(Entry { node: metadata, .. }) if matches!(metadata.content, Content::Map(_)) => {
                self.check_name(metadata);
            }
            Some(entry) if !entry.node.is_null() => {
                let sentence = format!("metadata is {}, not a map", entry.node.noun());
                self.report(&entry.node, sentence, "write metadata.name under it");
            }
            Some(_) | None => self.report(node, "metadata.name is missing".into(), "name the object"),
        }
    }

    fn check_name(&mut self, metadata: &Node) {
        if metadata.field("name").is_none() && metadata.field("generateName").is_some() {
            let help = "server-side apply needs metadata.name; write it instead of metadata.generateName";
            self.report(metadata, "metadata.name is missing".into(), help);
        } else {
            self.check_text(metadata, "name", "metadata.name", "name the object");
        }
        match metadata.field("namespace").map(|entry| &entry.node) {
            Some(node) if node.text().is_some_and(is_unprintable) => {
                self.report_control(node, "metadata.namespace");
            }
            Some(node) if node.text().is_none() && !node.is_null() => {
                let sentence = format!("metadata.namespace is {}, not text", node.noun());
                self.report(node, sentence, "quote it");
            }
            Some(_) | None => {}
        }
    }

    fn check_text(&mut self, node: &Node, field: &str, path: &str, help: &str) {
        match node.field(field).map(|entry| &entry.node) {
            Some(value) if value.text().is_some_and(is_unprintable) => self.report_control(value, path),
            Some(value) if value.text().is_some_and(|text| !text.is_empty()) => {}
            Some(value) if !value.is_null() && value.text().is_none() => {
                self.report(value, format!("{path} is {}, not text", value.noun()), "quote it");
            }
            Some(_) | None => self.report(node, format!("{path} is missing"), help),
        }
    }

    /// What identifies an object stands in logs and on terminals, which would act on it.
    fn report_control(&mut self, node: &Node, path: &str) {
        self.report(node, format!("{path} holds a control character"), "remove it");
    }

    fn report(&mut self, node: &Node, sentence: String, help: &str) {
        self.problems.push(Problem::new(sentence).at(self.file, node.line, node.column).help(help));
    }
}

fn is_unprintable(text: &str) -> bool {
    text.chars().any(char::is_control)
}

/// What charts write for a list without entries: `items:` with nothing in it, on something that is no object of its own.
fn is_null_list(node: &Node) -> bool {
    node.field("items").is_some_and(|entry| entry.node.is_null())
        && node.field("spec").is_none()
        && node.field("status").is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The densest of ordinary manifests must not come near the limit, at whatever size.
    #[test]
    fn ordinary_manifests_stay_within_the_budget() {
        let containers =
            "      - name: a\n        image: b:1\n        env:\n        - name: X\n          value: y\n";
        let dense_yaml =
            format!("spec:\n  template:\n    spec:\n      containers:\n{}", containers.repeat(100));
        let schema = "\"a\":{\"type\":\"string\",\"format\":\"byte\"},";
        let dense_json = format!(
            "{{\"properties\":{{{}\"z\":{{}}}}}}",
            (0..300).map(|i| schema.replacen('a', &i.to_string(), 1)).collect::<String>()
        );
        for text in [dense_yaml, dense_json] {
            let mut left = Budget(1_000_000);
            let mut problems = Vec::new();
            let chunk = Chunk { file: "", text: &text, lines_before: 0 };
            assert!(compose::compose(chunk, &mut left, &mut problems).is_ok());
            assert_eq!(problems, []);
            let used = 1_000_000 - left.0;
            let granted = budget(text.len()).0 - budget(0).0;
            assert!(used <= granted, "{used} of {granted} for {} bytes", text.len());
        }
    }
}
