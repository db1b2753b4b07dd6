//! What stands in a document, with its places, before it becomes an object?

use crate::lines::{At, Collector, Lines};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// A value and where it stands.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    /// Line in the file, from 1.
    pub(crate) line: u32,
    /// Column, from 1.
    pub(crate) column: u32,
    /// Units of the budget that a copy costs.
    pub(crate) cost: u32,
    /// Levels of collections in it; 0 for a scalar.
    pub(crate) height: u32,
    /// The value itself.
    pub(crate) content: Content,
}

/// The value of a node.
#[derive(Clone, Debug)]
pub(crate) enum Content {
    /// Null, boolean, number or text.
    Scalar(Value),
    /// A list.
    List(Vec<Node>),
    /// A map.
    Map(BTreeMap<String, Entry>),
}

/// A field of a map.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    /// Line of the key.
    pub(crate) line: u32,
    /// Column of the key.
    pub(crate) column: u32,
    /// Whether the map itself says the key, rather than a map merged into it.
    pub(crate) is_own: bool,
    /// The value.
    pub(crate) node: Node,
}

impl Node {
    /// Returns the field `name` of a map.
    pub(crate) fn field(&self, name: &str) -> Option<&Entry> {
        match &self.content {
            Content::Map(entries) => entries.get(name),
            Content::Scalar(_) | Content::List(_) => None,
        }
    }

    /// Returns the text of a scalar that is text.
    pub(crate) fn text(&self) -> Option<&str> {
        match &self.content {
            Content::Scalar(value) => value.as_str(),
            Content::List(_) | Content::Map(_) => None,
        }
    }

    /// Returns whether the node is null.
    pub(crate) fn is_null(&self) -> bool {
        matches!(self.content, Content::Scalar(Value::Null))
    }

    /// Returns what a sentence calls the node.
    pub(crate) fn noun(&self) -> &'static str {
        match &self.content {
            Content::Scalar(Value::Null) => "null",
            Content::Scalar(Value::Bool(_)) => "a boolean",
            Content::Scalar(Value::Number(_)) => "a number",
            Content::Scalar(_) => "text",
            Content::List(_) => "a list",
            Content::Map(_) => "a map",
        }
    }

    /// Returns the value as JSON and the lines of its fields.
    pub(crate) fn lower(self) -> (Value, Lines) {
        let mut lines = Collector::default();
        let value = lower(self, At::ROOT, &mut lines);
        (value, lines.finish())
    }
}

fn lower(node: Node, at: At, lines: &mut Collector) -> Value {
    match node.content {
        Content::Scalar(value) => value,
        Content::List(items) => {
            let lower_item = |(index, item): (usize, Node)| {
                let at = at.item(index);
                lines.note(at, item.line);
                lower(item, at, lines)
            };
            Value::Array(items.into_iter().enumerate().map(lower_item).collect())
        }
        Content::Map(entries) => {
            let mut fields = Map::new();
            for (name, entry) in entries {
                let at = at.field(&name);
                lines.note(at, entry.line);
                fields.insert(name, lower(entry.node, at, lines));
            }
            Value::Object(fields)
        }
    }
}
