//! Which values does live have where desired says something?

use fields::keyed::{Counterpart, ListKind, list_kind, pair};
use fields::{FieldSet, Path, Step};
use serde_json::Value;

/// Lists live's values at desired's leaves, `null` where there is none. What cannot be paired, and what is one value to its
/// owners, is listed whole.
pub(crate) fn at<'a>(desired: &Value, live: &'a Value, owned: &FieldSet) -> Vec<(Path, &'a Value)> {
    let mut listing = Vec::new();
    list(desired, live, Some(owned), &mut Path::default(), &mut listing);
    listing
}

fn list<'a>(
    desired: &Value,
    live: &'a Value,
    owned: Option<&FieldSet>,
    at: &mut Path,
    into: &mut Vec<(Path, &'a Value)>,
) {
    match (desired, live) {
        (Value::Object(want), Value::Object(have))
            if !want.is_empty() && !owned.is_some_and(FieldSet::is_leaf) =>
        {
            for (name, value) in want {
                let step = Step::field(name);
                let below = owned.and_then(|set| set.child(&step));
                at.0.push(step);
                list(value, have.get(name).unwrap_or(&Value::Null), below, at, into);
                at.0.pop();
            }
        }
        (Value::Array(want), Value::Array(have)) => {
            let ListKind::Keyed(names) = list_kind(owned) else {
                into.push((at.clone(), live));
                return;
            };
            for (i, (item, found)) in want.iter().zip(pair(want, have, &names)).enumerate() {
                at.0.push(Step::Index(i));
                match found {
                    Counterpart::At(place) => {
                        let below =
                            owned.and_then(|set| set.item(place, &have[place])).map(|(_, below)| below);
                        list(item, &have[place], below, at, into);
                    }
                    Counterpart::Missing => into.push((at.clone(), &Value::Null)),
                    Counterpart::Ambiguous => into.push((at.clone(), live)),
                }
                at.0.pop();
            }
        }
        (Value::Null, _) => {}
        (Value::Object(_) | Value::Array(_) | Value::Bool(_) | Value::Number(_) | Value::String(_), _) => {
            into.push((at.clone(), live));
        }
    }
}
