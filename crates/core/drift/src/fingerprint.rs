//! Are our fields as we left them? Level 1: one hash over what our last apply took.

use crate::Rules;
use crate::sides::Sides;
use fields::{FieldSet, Path};
use model::{Digest, Object};
use serde_json::Value;

/// Stands for the fields that we own in a live object, with their values. Equal ones mean: no drift.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint(pub Digest);

/// Takes the fingerprint of a live object, for instance of an apply's answer. There is one only while our Apply entry, in
/// desired's version, covers every leaf of desired: an Update by somebody else takes a field from us, and setting its
/// value back does not return it. Nor is there one while we own a field that Git dropped. What desired says is in the hash,
/// too, so that a fingerprint of an earlier commit equals none of a later one. Our own labels and annotations, and what the rules leave out, are not in it.
pub fn fingerprint(desired: &Object, live: &Object, rules: &Rules) -> Option<Fingerprint> {
    if desired.api_version() != live.api_version() {
        return None;
    }
    let sides = Sides::of(desired, live, rules);
    let own = sides.own()?;
    if !own.covers(&sides.wanted) || !sides.dropped().is_empty() {
        return None;
    }
    let open = open_maps(own, &sides.wanted);
    let listing = own.values_at(&sides.had).into_iter().map(|(path, value)| {
        let value = value.filter(|_| !open.contains_path(&path));
        (path, value)
    });
    let of_desired = Digest::of_json(&sides.wanted);
    Some(Fingerprint(digest(&format!("{} {of_desired}", desired.api_version()), listing)))
}

/// Returns the leaves that desired sets to an empty map or list: others may put something in, and that is theirs.
fn open_maps(own: &FieldSet, desired: &Value) -> FieldSet {
    let is_empty = |value: &Value| match value {
        Value::Object(map) => map.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    };
    let leaves = own.values_at(desired).into_iter();
    FieldSet::of(leaves.filter(|(_, value)| value.is_some_and(is_empty)).map(|(path, _)| path))
}

/// Hashes a listing of paths with their values.
pub(crate) fn digest<'a>(about: &str, listing: impl Iterator<Item = (Path, Option<&'a Value>)>) -> Digest {
    let mut text = format!("v1 {about}\n");
    for (path, value) in listing {
        text.push_str(&path.to_string());
        if let Some(value) = value {
            text.push('=');
            text.push_str(&value.to_string());
        }
        text.push('\n');
    }
    model::digest(text.as_bytes())
}
