//! What would live be after an apply, as far as the two objects tell? For people to read, never to act on.

use crate::adoption::leftovers;
use crate::gap::{Gap, gaps};
use crate::sides::Sides;
use fields::{FieldSet, Path, Step};
use serde_json::Value;

/// Returns what is compared of live, with desired's values where they differ for sure and without what Git dropped. What an
/// apply would merely write in another form (`0.5` for `500m`) stays as it is.
pub(crate) fn forecast(sides: &Sides<'_>) -> Value {
    let mut value = sides.had.clone();
    for difference in gaps(&sides.wanted, &sides.had, &sides.ownership.all, sides.own()) {
        match difference.gap {
            Gap::Changed | Gap::Missing => set(&mut value, &difference.path.0, difference.desired),
            Gap::Unsure => {}
        }
    }
    removed(sides).remove_from(&mut value);
    value
}

/// Returns what an apply removes: what we own outside desired, and what deploying tools left behind.
fn removed(sides: &Sides<'_>) -> FieldSet {
    let own = sides.own().map(|own| own.within(&sides.had).outside(&sides.wanted));
    let mut gone = own.unwrap_or_default();
    for (position, path) in leftovers(sides) {
        let entries = sides.ownership.entries.iter().filter(|entry| entry.position == position);
        for member in entries.flat_map(|entry| entry.fields.members()).filter(|m| m.starts_with(&path)) {
            gone.insert(member);
        }
    }
    gone
}

/// Puts a value where a path says; list items that are not there yet are added at the end.
fn set(at: &mut Value, path: &[Step], new: Value) {
    let Some((step, rest)) = path.split_first() else {
        *at = new;
        return;
    };
    let below = match (step, at) {
        (Step::Field(name), Value::Object(map)) => Some(map.entry(name.clone()).or_insert(Value::Null)),
        (Step::Index(index), Value::Array(items)) => items.get_mut(*index),
        (Step::Key(_) | Step::Value(_), Value::Array(items)) => {
            let found = items.iter().position(|item| match step {
                Step::Key(key) => key.is(item),
                Step::Value(value) => value.0 == *item,
                Step::Field(_) | Step::Index(_) => false,
            });
            let found = found.unwrap_or_else(|| {
                items.push(Value::Null);
                items.len() - 1
            });
            items.get_mut(found)
        }
        (Step::Field(_) | Step::Key(_) | Step::Value(_) | Step::Index(_), _) => None,
    };
    if let Some(below) = below {
        set(below, rest, new);
    }
}

/// Returns the value at a path, the first where a key is incomplete.
pub(crate) fn value_at<'a>(value: &'a Value, path: &Path) -> Option<&'a Value> {
    path.0.iter().try_fold(value, |at, step| step.find(at).into_iter().next())
}
