//! What does one YAML document say? Events of the parser become a tree of values with places.

use crate::node::{Content, Entry, Node};
use crate::scalar::{self, Scalar, Tag};
use crate::syntax;
use granit_parser::{Event, Parser, ScalarStyle, Span, StrInput};
use model::Problem;
use serde_json::Value;
use std::collections::BTreeMap;

/// Deepest nesting of maps and lists. JSON readers behind us stop at 128.
pub(crate) const MAX_DEPTH: u32 = 100;
/// Most problems that one file reports.
pub(crate) const MAX_PROBLEMS: usize = 50;
/// YAML's own namespace of tags.
const CORE: &str = "tag:yaml.org,2002:";

/// Text that holds one document, and where in its file it begins.
#[derive(Clone, Copy)]
pub(crate) struct Chunk<'a> {
    /// Path of the file.
    pub(crate) file: &'a str,
    /// The text.
    pub(crate) text: &'a str,
    /// Lines of the file before it.
    pub(crate) lines_before: u32,
}

/// How much may still be read: one unit per value and per 64 bytes of text, copies by alias included.
#[derive(Clone, Copy, Default)]
pub(crate) struct Budget(pub(crate) u32);

impl Budget {
    /// Returns whether it was exceeded, so that reading on is useless.
    pub(crate) fn is_spent(self) -> bool {
        self.0 == 0
    }

    fn overspent(&mut self) -> Problem {
        self.0 = 0;
        Problem::new("the file holds more values than the limit allows")
            .help("split the file, or repeat less by anchors and aliases")
    }
}

/// Reads a document.
///
/// Mistakes that leave the structure intact (a key given twice) are added to `problems` and reading goes on.
///
/// # Errors
/// When the text is not YAML or exceeds a limit.
pub(crate) fn compose(
    chunk: Chunk<'_>,
    budget: &mut Budget,
    problems: &mut Vec<Problem>,
) -> Result<Option<Node>, Problem> {
    let parser = parser(chunk.text);
    Composer { chunk, parser, budget, problems, anchors: BTreeMap::new() }.document()
}

/// Makes the parser, with our limits.
pub(crate) fn parser(text: &str) -> Parser<'_, StrInput<'_>> {
    let options = granit_parser::options! {
        emit_comments: false,
        flow_nesting_limit: MAX_DEPTH as usize,
        block_nesting_limit: MAX_DEPTH as usize,
    };
    Parser::new_from_str_with_options(text, options)
}

struct Composer<'a> {
    chunk: Chunk<'a>,
    parser: Parser<'a, StrInput<'a>>,
    budget: &'a mut Budget,
    problems: &'a mut Vec<Problem>,
    /// Anchored values; `None` while one is still being read.
    anchors: BTreeMap<usize, Option<Node>>,
}

/// A key of a map.
enum Key {
    Name(String),
    Merge,
    /// Already reported.
    Wrong,
}

impl<'a> Composer<'a> {
    fn document(&mut self) -> Result<Option<Node>, Problem> {
        loop {
            match self.next()? {
                (Event::StreamStart, _) => {}
                (Event::StreamEnd, _) => return Ok(None),
                (Event::DocumentStart(..), _) => break,
                (_, span) => return Err(self.problem(span, "the document does not begin as YAML should")),
            }
        }
        let (event, span) = self.next()?;
        let node = self.node(event, span, 0)?;
        loop {
            match self.next()? {
                (Event::DocumentEnd, _) => {}
                (Event::StreamEnd, _) => return Ok(Some(node)),
                (_, span) => {
                    return Err(self.problem(span, "there is content after the document's end").help(
                        "separate documents by a line `---`; kubectl would ignore what follows `...`",
                    ));
                }
            }
        }
    }

    fn next(&mut self) -> Result<(Event<'a>, Span), Problem> {
        if self.problems.len() > MAX_PROBLEMS {
            return Err(Problem::new("the document has more problems than are listed").at(
                self.chunk.file,
                0,
                0,
            ));
        }
        match self.parser.next_event() {
            Some(Ok(next)) => Ok(next),
            Some(Err(error)) => Err(syntax::problem(&error, self.chunk)),
            None => Ok((Event::StreamEnd, Span::default())),
        }
    }

    fn node(&mut self, event: Event<'a>, span: Span, depth: u32) -> Result<Node, Problem> {
        match event {
            Event::Alias(id) => self.alias(id, span, depth),
            Event::Scalar(text, style, anchor, tag) => {
                let tag = scalar_tag(style, tag.as_deref());
                let scalar = self.scalar(tag, &text, span)?;
                let value = scalar.into_value().unwrap_or_else(|sentence| {
                    self.report(span, sentence);
                    Value::Null
                });
                let node = self.leaf(span, value);
                self.remember(anchor, &node)?;
                Ok(node)
            }
            Event::SequenceStart(_, anchor, _) => {
                self.enter(anchor, span, depth)?;
                let node = self.list(span, depth)?;
                self.remember(anchor, &node)?;
                Ok(node)
            }
            Event::MappingStart(_, anchor, _) => {
                self.enter(anchor, span, depth)?;
                let node = self.map(span, depth)?;
                self.remember(anchor, &node)?;
                Ok(node)
            }
            _ => Err(self.problem(span, "a value is missing")),
        }
    }

    fn list(&mut self, span: Span, depth: u32) -> Result<Node, Problem> {
        let mut items: Vec<Node> = Vec::new();
        let (mut cost, mut height) = (1, 0);
        loop {
            let (event, at) = self.next()?;
            if event == Event::SequenceEnd {
                break;
            }
            let item = self.node(event, at, depth + 1)?;
            cost += item.cost;
            height = height.max(item.height);
            items.push(item);
        }
        Ok(Node { cost, height: height + 1, ..self.bare(span, Content::List(items)) })
    }

    fn map(&mut self, span: Span, depth: u32) -> Result<Node, Problem> {
        let mut entries = BTreeMap::new();
        loop {
            let (event, key_span) = self.next()?;
            if event == Event::MappingEnd {
                break;
            }
            let key = self.key(event, key_span, depth)?;
            let (event, at) = self.next()?;
            let node = self.node(event, at, depth + 1)?;
            match key {
                Key::Name(name) => self.insert(&mut entries, name, key_span, node),
                Key::Merge => self.merge(&mut entries, node, at),
                Key::Wrong => {}
            }
        }
        let cost = 1 + entries.iter().map(|(name, entry)| cost_of(name) + entry.node.cost).sum::<u32>();
        let height = entries.values().map(|entry| entry.node.height).max().unwrap_or_default();
        Ok(Node { cost, height: height + 1, ..self.bare(span, Content::Map(entries)) })
    }

    fn key(&mut self, event: Event<'a>, span: Span, depth: u32) -> Result<Key, Problem> {
        let scalar = match event {
            Event::Scalar(text, style, anchor, tag) => {
                let is_merge_tag =
                    tag.as_deref().is_some_and(|tag| core_name(tag).as_deref() == Some("merge"));
                if text == "<<" && (is_merge_tag || style == ScalarStyle::Plain && tag.is_none()) {
                    return Ok(Key::Merge);
                }
                let tag = scalar_tag(style, tag.as_deref());
                let scalar = self.scalar(tag, &text, span)?;
                let value = scalar.clone().into_value().unwrap_or_default();
                let node = self.leaf(span, value);
                self.remember(anchor, &node)?;
                scalar
            }
            other => {
                let node = self.node(other, span, depth + 1)?;
                match node.content {
                    Content::Scalar(value) => from_value(value),
                    Content::List(_) | Content::Map(_) => {
                        self.report_key(span);
                        return Ok(Key::Wrong);
                    }
                }
            }
        };
        Ok(match scalar.into_key() {
            Ok(name) => Key::Name(name),
            Err(sentence) => {
                self.report(span, sentence);
                Key::Wrong
            }
        })
    }

    fn insert(&mut self, entries: &mut BTreeMap<String, Entry>, name: String, span: Span, node: Node) {
        let (line, column) = self.place(span);
        if let Some(first) = entries.get(&name).filter(|entry| entry.is_own) {
            let problem = Problem::new(format!("the key `{}` is given twice", shortened(&name)))
                .at(self.chunk.file, line, column)
                .help(format!("it stands on line {} already; keep one of them", first.line));
            self.problems.push(problem);
            return;
        }
        entries.insert(name, Entry { line, column, is_own: true, node });
    }

    /// Lays a map, or the maps of a list with the first on top, over what the map holds so far. As in kubectl, keys
    /// that stand before `<<` lose against it and keys that stand after it win.
    fn merge(&mut self, entries: &mut BTreeMap<String, Entry>, node: Node, span: Span) {
        let layers = match node.content {
            Content::Map(map) => vec![map],
            Content::List(items) => {
                let mut layers = Vec::new();
                for item in items.into_iter().rev() {
                    match item.content {
                        Content::Map(map) => layers.push(map),
                        Content::Scalar(_) | Content::List(_) => return self.report(span, NOT_MERGEABLE),
                    }
                }
                layers
            }
            Content::Scalar(_) => return self.report(span, NOT_MERGEABLE),
        };
        for (name, entry) in layers.into_iter().flatten() {
            let is_own = entries.get(&name).is_some_and(|entry| entry.is_own);
            entries.insert(name, Entry { is_own, ..entry });
        }
    }

    fn alias(&mut self, id: usize, span: Span, depth: u32) -> Result<Node, Problem> {
        let Some(Some(node)) = self.anchors.get(&id) else {
            return Err(self.problem(span, "an anchor's value contains itself"));
        };
        let (cost, height) = (node.cost, node.height);
        if depth + height > MAX_DEPTH {
            return Err(syntax::too_deep(self.problem(span, "")));
        }
        self.spend(cost, span)?;
        let Some(Some(node)) = self.anchors.get(&id) else {
            return Err(self.problem(span, "an anchor is unknown"));
        };
        Ok(node.clone())
    }

    fn enter(&mut self, anchor: usize, span: Span, depth: u32) -> Result<(), Problem> {
        if depth >= MAX_DEPTH {
            return Err(syntax::too_deep(self.problem(span, "")));
        }
        if anchor != 0 {
            self.anchors.insert(anchor, None);
        }
        self.spend(1, span)
    }

    fn remember(&mut self, anchor: usize, node: &Node) -> Result<(), Problem> {
        if anchor == 0 {
            return Ok(());
        }
        self.spend_at(node.cost, node.line, node.column)?;
        self.anchors.insert(anchor, Some(node.clone()));
        Ok(())
    }

    fn scalar(&mut self, tag: Tag, text: &str, span: Span) -> Result<Scalar, Problem> {
        self.spend(cost_of(text), span)?;
        Ok(scalar::resolve(tag, text).unwrap_or_else(|sentence| {
            self.report(span, sentence);
            Scalar::Null
        }))
    }

    fn leaf(&self, span: Span, value: Value) -> Node {
        let cost = value.as_str().map_or(1, cost_of);
        Node { cost, ..self.bare(span, Content::Scalar(value)) }
    }

    fn bare(&self, span: Span, content: Content) -> Node {
        let (line, column) = self.place(span);
        Node { line, column, cost: 1, height: 0, content }
    }

    fn spend(&mut self, units: u32, span: Span) -> Result<(), Problem> {
        let (line, column) = self.place(span);
        self.spend_at(units, line, column)
    }

    fn spend_at(&mut self, units: u32, line: u32, column: u32) -> Result<(), Problem> {
        match self.budget.0.checked_sub(units) {
            Some(left) => {
                self.budget.0 = left;
                Ok(())
            }
            None => Err(self.budget.overspent().at(self.chunk.file, line, column)),
        }
    }

    fn place(&self, span: Span) -> (u32, u32) {
        syntax::place(span.start, self.chunk)
    }

    fn problem(&self, span: Span, sentence: &str) -> Problem {
        let (line, column) = self.place(span);
        Problem::new(sentence).at(self.chunk.file, line, column)
    }

    /// A key that is no scalar. Most often braces of a template were read as a map.
    fn report_key(&mut self, span: Span) {
        let problem = if syntax::is_template(self.chunk, self.place(span).0) {
            self.problem(span, syntax::TEMPLATE).help(syntax::TEMPLATE_HELP)
        } else {
            self.problem(span, "a key is a list or a map")
        };
        self.problems.push(problem);
    }

    fn report(&mut self, span: Span, sentence: &str) {
        let problem = self.problem(span, sentence);
        self.problems.push(problem);
    }
}

const NOT_MERGEABLE: &str = "`<<` merges something that is neither a map nor a list of maps";

fn cost_of(text: &str) -> u32 {
    u32::try_from(text.len() / 64 + 1).unwrap_or(u32::MAX)
}

fn scalar_tag(style: ScalarStyle, tag: Option<&granit_parser::Tag>) -> Tag {
    match tag {
        Some(tag) => core_name(tag).map_or(Tag::Text, |name| Tag::from_core(&name)),
        None if style == ScalarStyle::Plain => Tag::Implicit,
        None => Tag::Text,
    }
}

fn core_name(tag: &granit_parser::Tag) -> Option<std::borrow::Cow<'_, str>> {
    tag.suffix_in_namespace(CORE)
}

/// A key that came by alias: its value is known already.
fn from_value(value: Value) -> Scalar {
    match value {
        Value::Bool(value) => Scalar::Bool(value),
        Value::Number(number) => match number.as_i64() {
            Some(integer) => Scalar::Int(integer),
            None => Scalar::Float(number.as_f64().unwrap_or_default()),
        },
        Value::String(text) => Scalar::Text(text),
        Value::Null | Value::Array(_) | Value::Object(_) => Scalar::Null,
    }
}

/// Keys are named in messages; what looks like a key may be a mistake as long as a file.
fn shortened(name: &str) -> String {
    const LONGEST: usize = 63;
    let short: String = name.chars().take(LONGEST).flat_map(char::escape_debug).collect();
    if name.chars().count() > LONGEST { format!("{short}...") } else { short }
}
