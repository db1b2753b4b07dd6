//! Which fields differ, who wrote them, and when? For people and for the API; masked before anything else happens.

use crate::adoption::leftovers;
use crate::by_hand::{HAND_TOOLS, additions};
use crate::forecast::{forecast, value_at};
use crate::gap::{Difference, Gap, gaps, same};
use crate::mask::mask_together;
use crate::sides::Sides;
use crate::subject::subject;
use crate::{Rules, text};
use fields::{ManagerEntry, Operation, Path};
use model::{Object, ObjectKey, Timestamp};
use serde_json::{Value, json};
use std::fmt;

/// Whether the object is on both sides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Presence {
    /// In Git and in the cluster.
    Both,
    /// In Git only.
    Missing,
    /// In the cluster only.
    Extra,
}

impl Presence {
    /// Returns the word that reports use.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Both => "Both",
            Self::Missing => "Missing",
            Self::Extra => "Extra",
        }
    }
}

/// In which way a field differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum What {
    /// Live has another value.
    Changed,
    /// Live does not have it.
    Missing,
    /// Somebody added it by hand.
    Added,
    /// Git had it and dropped it.
    Leftover,
}

impl What {
    /// Returns the word that reports use.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Changed => "Changed",
            Self::Missing => "Missing",
            Self::Added => "Added",
            Self::Leftover => "Leftover",
        }
    }
}

/// One field that differs. Values are masked.
#[derive(Clone, Debug, PartialEq)]
pub struct FieldDrift {
    /// Where, as people read it.
    pub path: String,
    /// What Git wants, or what an apply would make of it.
    pub desired: Option<Value>,
    /// What is there.
    pub live: Option<Value>,
    /// Who wrote what is there; empty where nobody is recorded.
    pub manager: String,
    /// How; `None` where nobody is recorded.
    pub operation: Option<Operation>,
    /// Through which subresource; empty for the object itself.
    pub subresource: String,
    /// When.
    pub time: Option<Timestamp>,
    /// In which way it differs.
    pub what: What,
}

/// How one object differs.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// Which object.
    pub key: ObjectKey,
    /// Whether it is on both sides.
    pub presence: Presence,
    /// The fields that differ, sorted by path; none for an object that is on one side only.
    pub fields: Vec<FieldDrift>,
}

/// Explains how an object differs. With a dry-run's answer at hand, the values that an apply would set are shown and
/// nothing is uncertain; without it, places where only the API server knows are left out.
///
/// # Panics
/// When neither `desired` nor `live` is given.
pub fn report(
    desired: Option<&Object>,
    live: Option<&Object>,
    rules: &Rules,
    dry_run: Option<&Object>,
) -> Report {
    let (mut desired, mut live, mut dry_run) = (desired.cloned(), live.cloned(), dry_run.cloned());
    let mut states: Vec<&mut Object> =
        [&mut desired, &mut live, &mut dry_run].into_iter().flatten().collect();
    mask_together(&mut states, &[]);
    let key = desired.as_ref().or(live.as_ref()).expect("one of the two is given").key();
    match (&desired, &live) {
        (Some(desired), Some(live)) => {
            let fields = differing(&Sides::of(desired, live, rules), rules, dry_run.as_ref());
            Report { key, presence: Presence::Both, fields }
        }
        (Some(_), None) => Report { key, presence: Presence::Missing, fields: Vec::new() },
        (None, _) => Report { key, presence: Presence::Extra, fields: Vec::new() },
    }
}

fn differing(sides: &Sides<'_>, rules: &Rules, dry_run: Option<&Object>) -> Vec<FieldDrift> {
    let expected = dry_run.map(|object| subject(object, rules));
    let differences =
        gaps(expected.as_ref().unwrap_or(&sides.wanted), &sides.had, &sides.ownership.all, sides.own());
    let mut found: Vec<(Path, FieldDrift)> = differences
        .into_iter()
        .filter_map(|difference| {
            let what = kind_of(&difference, dry_run.is_some())?;
            let Difference { path, desired, live, .. } = difference;
            let writer = sides.ownership.writer(&path);
            Some((path.clone(), field(&path, Some(desired), live, writer, what)))
        })
        .collect();
    let mut add = |path: Path, position: Option<usize>, what| {
        if found.iter().any(|(known, _)| path.starts_with(known)) {
            return;
        }
        let by_position = position.and_then(|p| sides.ownership.entries.iter().find(|e| e.position == p));
        let writer = by_position.or_else(|| sides.ownership.writer(&path));
        let live = value_at(&sides.had, &path).cloned();
        found.push((path.clone(), field(&path, None, live, writer, what)));
    };
    for path in sides.dropped() {
        add(path, None, What::Leftover);
    }
    for (position, path) in leftovers(sides) {
        add(path, Some(position), What::Leftover);
    }
    for (position, path) in additions(sides, HAND_TOOLS) {
        add(path, Some(position), What::Added);
    }
    found.sort_by(|(a, _), (b, _)| a.cmp(b));
    found.into_iter().map(|(_, drift)| drift).collect()
}

fn kind_of(difference: &Difference, is_certain: bool) -> Option<What> {
    match difference.gap {
        Gap::Changed => Some(What::Changed),
        Gap::Missing => Some(What::Missing),
        Gap::Unsure if is_certain => {
            let live = difference.live.as_ref()?;
            (!same(&difference.desired, live)).then_some(What::Changed)
        }
        Gap::Unsure => None,
    }
}

fn field(
    path: &Path,
    desired: Option<Value>,
    live: Option<Value>,
    writer: Option<&ManagerEntry>,
    what: What,
) -> FieldDrift {
    FieldDrift {
        path: path.to_string(),
        desired,
        live,
        manager: writer.map(|entry| entry.manager.clone()).unwrap_or_default(),
        operation: writer.map(|entry| entry.operation),
        subresource: writer.map(|entry| entry.subresource.clone()).unwrap_or_default(),
        time: writer.and_then(|entry| entry.time),
        what,
    }
}

impl Report {
    /// Returns whether nothing differs.
    pub fn is_empty(&self) -> bool {
        self.presence == Presence::Both && self.fields.is_empty()
    }

    /// Returns the report as the API gives it.
    pub fn to_json(&self) -> Value {
        json!({
            "group": self.key.group,
            "kind": self.key.kind,
            "namespace": self.key.namespace,
            "name": self.key.name,
            "presence": self.presence.as_str(),
            "fields": self.fields.iter().map(FieldDrift::to_json).collect::<Vec<_>>(),
        })
    }
}

impl fmt::Display for Report {
    /// Writes the object on a line of its own, then one line per field.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.presence {
            Presence::Both => write!(f, "{}", self.key)?,
            Presence::Missing => write!(f, "{}: missing in the cluster", self.key)?,
            Presence::Extra => write!(f, "{}: not in Git", self.key)?,
        }
        self.fields.iter().try_for_each(|field| write!(f, "\n  {field}"))
    }
}

impl FieldDrift {
    fn to_json(&self) -> Value {
        let mut json = json!({
            "path": self.path,
            "change": self.what.as_str(),
            "manager": self.manager,
            "subresource": self.subresource,
        });
        let mut set = |name: &str, value: Option<Value>| {
            if let Some(value) = value {
                json[name] = value;
            }
        };
        set("desired", self.desired.clone());
        set("live", self.live.clone());
        set("operation", self.operation.map(|operation| operation.to_string().into()));
        set("time", self.time.map(|time| time.to_string().into()));
        json
    }

    /// Returns who wrote the live value: `kubectl-scale, Update scale, 2026-01-01T10:00:00Z`; empty if unknown.
    fn writer(&self) -> String {
        let Some(operation) = self.operation else { return String::new() };
        let manager = if self.manager.is_empty() { "unknown" } else { &self.manager };
        let mut text = format!("{manager}, {operation}");
        if !self.subresource.is_empty() {
            text.push(' ');
            text.push_str(&self.subresource);
        }
        if let Some(time) = self.time {
            text.push_str(", ");
            text.push_str(&time.to_string());
        }
        text
    }
}

impl fmt::Display for FieldDrift {
    /// Writes one line: `spec.replicas: 3 in Git, 5 live (kubectl-scale, Update scale, 2026-01-01T10:00:00Z)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (desired, live) = (shown(self.desired.as_ref()), shown(self.live.as_ref()));
        match self.what {
            What::Changed => write!(f, "{}: {desired} in Git, {live} live", self.path)?,
            What::Missing => write!(f, "{}: {desired} in Git, missing live", self.path)?,
            What::Added => write!(f, "{}: {live} live, added by hand", self.path)?,
            What::Leftover => write!(f, "{}: {live} live, no longer in Git", self.path)?,
        }
        match self.writer() {
            writer if writer.is_empty() => Ok(()),
            writer => write!(f, " ({writer})"),
        }
    }
}

/// How much of a value one line shows.
const SHOWN: usize = 80;

fn shown(value: Option<&Value>) -> String {
    let text = value.map(Value::to_string).unwrap_or_default();
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

/// Writes what an apply would change as a unified diff from live to desired, masked. Defaults, status and what others own
/// are on both sides and therefore not in it. Give a dry-run's answer as `desired` for what the API server would store.
pub fn unified(desired: Option<&Object>, live: Option<&Object>) -> String {
    let (mut desired, mut live) = (desired.cloned(), live.cloned());
    let mut states: Vec<&mut Object> = [&mut desired, &mut live].into_iter().flatten().collect();
    mask_together(&mut states, &[]);
    let none = Rules::default();
    let whole = |object: &Object| printed(object, subject(object, &none));
    let (before, after) = match (&desired, &live) {
        (Some(desired), Some(live)) => {
            (whole(live), printed(live, forecast(&Sides::of(desired, live, &none))))
        }
        (desired, live) => {
            (live.as_ref().map(whole).unwrap_or_default(), desired.as_ref().map(whole).unwrap_or_default())
        }
    };
    text::diff(&before, &after, ("live", "desired"))
}

/// Writes how an object changed from one desired state to another as a unified diff, masked; empty where it did not. `names` are
/// what the two are called.
pub fn between(before: Option<&Object>, after: Option<&Object>, names: (&str, &str)) -> String {
    let (mut before, mut after) = (before.cloned(), after.cloned());
    let mut states: Vec<&mut Object> = [&mut before, &mut after].into_iter().flatten().collect();
    mask_together(&mut states, &[]);
    let whole =
        |object: Option<Object>| object.map(|object| text::print(&object.into_value())).unwrap_or_default();
    text::diff(&whole(before), &whole(after), names)
}

fn printed(object: &Object, subject: Value) -> String {
    text::print(&identified(object, subject))
}

/// Gives what is compared of an object its name back.
pub(crate) fn identified(object: &Object, mut subject: Value) -> Value {
    subject["apiVersion"] = object.api_version().into();
    subject["kind"] = object.kind().into();
    subject["metadata"]["name"] = object.name().into();
    if !object.namespace().is_empty() {
        subject["metadata"]["namespace"] = object.namespace().into();
    }
    subject
}

#[cfg(test)]
mod tests {
    use super::*;

    fn deployment(replicas: u32, managed: &Value) -> Object {
        Object::from_value(json!({"apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {"name": "web", "namespace": "shop", "managedFields": managed},
            "spec": {"replicas": replicas}}))
        .unwrap()
    }

    fn scaled() -> (Object, Object) {
        let managed = json!([{"manager": "kubectl-scale", "operation": "Update", "apiVersion": "apps/v1",
            "subresource": "scale", "time": "2026-01-01T10:00:00Z", "fieldsV1": {"f:spec": {"f:replicas": {}}}}]);
        (deployment(3, &json!([])), deployment(5, &managed))
    }

    #[test]
    fn one_line_tells_what_who_how_and_when() {
        let (desired, live) = scaled();
        assert_eq!(
            report(Some(&desired), Some(&live), &Rules::default(), None).to_string(),
            "Deployment.apps shop/web\n  spec.replicas: 3 in Git, 5 live (kubectl-scale, Update scale, 2026-01-01T10:00:00Z)"
        );
    }

    #[test]
    fn between_two_desired_states_whatever_went_is_shown_and_nothing_of_a_secret() {
        let deployment = |spec: Value| {
            let value = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "spec": spec});
            Object::from_value(value).unwrap()
        };
        let (before, after) =
            (deployment(json!({"replicas": 3, "paused": true})), deployment(json!({"replicas": 5})));
        let diff = between(Some(&before), Some(&after), ("release 1", "release 2"));
        for line in ["--- release 1", "+++ release 2", "-  paused: true", "-  replicas: 3", "+  replicas: 5"]
        {
            assert!(diff.lines().any(|l| l == line), "{line} in\n{diff}");
        }
        assert_eq!(between(Some(&after), Some(&after), ("a", "b")), "");
        assert!(between(None, Some(&after), ("a", "b")).contains("+  replicas: 5"));
        let secret = |value: &str| {
            let value = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "web"}, "stringData": {"a": value}});
            Object::from_value(value).unwrap()
        };
        let diff = between(Some(&secret("hunter2")), Some(&secret("hunter3")), ("a", "b"));
        assert!(diff.contains("+++++") && !diff.contains("hunter"), "{diff}");
    }

    #[test]
    fn json_has_the_same() {
        let (desired, live) = scaled();
        assert_eq!(
            report(Some(&desired), Some(&live), &Rules::default(), None).to_json(),
            json!({"group": "apps", "kind": "Deployment", "namespace": "shop", "name": "web", "presence": "Both",
                "fields": [{"path": "spec.replicas", "change": "Changed", "desired": 3, "live": 5,
                    "manager": "kubectl-scale", "operation": "Update", "subresource": "scale",
                    "time": "2026-01-01T10:00:00Z"}]})
        );
    }

    #[test]
    fn an_object_on_one_side_only() {
        let (desired, live) = scaled();
        let none = Rules::default();
        assert_eq!(
            report(Some(&desired), None, &none, None).to_string(),
            "Deployment.apps shop/web: missing in the cluster"
        );
        assert_eq!(
            report(None, Some(&live), &none, None).to_string(),
            "Deployment.apps shop/web: not in Git"
        );
        let text = unified(Some(&desired), None);
        assert!(text.contains("+  replicas: 3") && !text.contains("\n-"), "{text}");
        let text = unified(None, Some(&live));
        assert!(text.contains("-  replicas: 5") && !text.contains("\n+ "), "{text}");
    }

    #[test]
    fn long_values_are_cut_and_never_inside_a_character() {
        assert_eq!(shown(Some(&Value::from("é".repeat(200)))).chars().count(), SHOWN + 1);
    }
}
