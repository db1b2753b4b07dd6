//! How are fields of an object read, when nothing guarantees their types?
//!
//! Paths are written with slashes (`status/readyReplicas`). What is missing or of another type reads as Go's zero
//! value, which is how the rules that we follow were meant.

use model::Object;
use serde_json::Value;

/// Returns what stands at `path`.
pub(crate) fn at<'a>(object: &'a Object, path: &str) -> Option<&'a Value> {
    let (first, rest) = path.split_once('/').unwrap_or((path, ""));
    let value = object.get(first)?;
    if rest.is_empty() { Some(value) } else { within(value, rest) }
}

/// Returns what stands at `path` in a part of an object.
pub(crate) fn within<'a>(value: &'a Value, path: &str) -> Option<&'a Value> {
    path.split('/').try_fold(value, |value, step| value.get(step))
}

/// Returns a whole number, 0 where there is none.
pub(crate) fn int(object: &Object, path: &str) -> i64 {
    at(object, path).and_then(whole).unwrap_or_default()
}

/// Returns a whole number, also one that is written as text (Argo Rollouts' `observedGeneration`).
pub(crate) fn whole(value: &Value) -> Option<i64> {
    value.as_i64().or_else(|| value.as_str()?.parse().ok())
}

/// Returns a text, empty where there is none.
pub(crate) fn text<'a>(object: &'a Object, path: &str) -> &'a str {
    at(object, path).and_then(Value::as_str).unwrap_or_default()
}

/// Returns a text of a part, empty where there is none.
pub(crate) fn text_in<'a>(value: &'a Value, path: &str) -> &'a str {
    within(value, path).and_then(Value::as_str).unwrap_or_default()
}

/// Returns a list, empty where there is none.
pub(crate) fn items<'a>(object: &'a Object, path: &str) -> &'a [Value] {
    at(object, path).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// Returns whether the controller has not yet seen the newest spec.
pub(crate) fn is_unobserved(object: &Object) -> bool {
    object.generation().unwrap_or_default() > int(object, "status/observedGeneration")
}

/// One entry of `status.conditions`.
#[derive(Clone, Copy)]
pub(crate) struct Condition<'a> {
    pub(crate) kind: &'a str,
    pub(crate) status: &'a str,
    pub(crate) reason: &'a str,
    pub(crate) message: &'a str,
    pub(crate) observed_generation: Option<i64>,
}

impl<'a> Condition<'a> {
    pub(crate) fn from_value(value: &'a Value) -> Self {
        Self {
            kind: text_in(value, "type"),
            status: text_in(value, "status"),
            reason: text_in(value, "reason"),
            message: text_in(value, "message"),
            observed_generation: value.get("observedGeneration").and_then(whole),
        }
    }

    pub(crate) fn is_true(&self) -> bool {
        self.status == "True"
    }

    pub(crate) fn is_false(&self) -> bool {
        self.status == "False"
    }

    /// Returns reason and message as one text.
    pub(crate) fn words(&self) -> String {
        crate::text::joined(self.reason, self.message)
    }
}

/// Returns `status.conditions` in their order.
pub(crate) fn conditions(object: &Object) -> impl Iterator<Item = Condition<'_>> {
    items(object, "status/conditions").iter().map(Condition::from_value)
}

/// Returns the condition of a type.
pub(crate) fn condition<'a>(object: &'a Object, kind: &str) -> Option<Condition<'a>> {
    conditions(object).find(|condition| condition.kind == kind)
}
