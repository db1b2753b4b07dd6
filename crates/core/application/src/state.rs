//! What do we remember of an app that Argo CD's status has no field for? The annotation `tautline.dev/state`.
//!
//! It is a memory aid, never a proof: whoever may edit the Application may edit it. Losing it costs a comparison and
//! makes everything count as adopted, which is the careful side.

mod held;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use model::{Bad, DesiredHash, Digest, Headway, Held, ObjectKey, Reason, Revision, digest};
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;

/// Longest text of the annotation, in bytes.
pub const LIMIT: usize = 16 * 1024;
/// How many objects at most are remembered to be created since a release settled; the rest counts as created
/// before, which an app that goes back to that leaves alone.
const MOST_FRESH: usize = 400;
/// Version of the form.
const VERSION: i64 = 1;

/// Our own state of one app.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct State {
    /// What the last sync that succeeded deployed.
    pub desired: Option<DesiredHash>,
    /// Which commit that was.
    pub revision: Option<Revision>,
    /// What the last sync of all tried to deploy.
    pub attempted: Option<DesiredHash>,
    /// Why that failed; `None` where it did not.
    pub reason: Option<Reason>,
    /// Whether its content was at fault, so that it is not tried again.
    pub is_condemned: bool,
    /// Self-heals in a row.
    pub heals: u32,
    /// Whether everything that the status listed was found to carry our labels: what carries none since then, another tool
    /// did not leave behind.
    pub is_taken_over: bool,
    /// How far the sync has got that is under way and waits for health.
    pub headway: Option<Headway>,
    /// Contents that failed by their own fault.
    pub quarantine: Vec<Bad>,
    /// The release that the app is kept at instead of what Git wants.
    pub held: Option<Held>,
    created: BTreeSet<String>,
    /// What was created since a release settled, and its number; the rest is in `created`.
    fresh: (u64, BTreeSet<String>),
}

impl State {
    /// Reads the annotation. What is not of our form gives an empty state and a note for the log.
    pub fn read(text: &str) -> (Self, Option<String>) {
        let Ok(value) = serde_json::from_str::<Value>(text) else {
            return (Self::default(), Some("tautline.dev/state is not JSON; starting afresh".into()));
        };
        if value["v"] != VERSION {
            return (
                Self::default(),
                Some(format!(
                    "tautline.dev/state has version {}, not {VERSION}; starting afresh",
                    value["v"]
                )),
            );
        }
        let text = |field: &str| value[field].as_str();
        let state = Self {
            desired: text("desired").and_then(DesiredHash::parse),
            revision: text("revision").map(Revision::new),
            attempted: text("attempted").and_then(DesiredHash::parse),
            reason: text("reason").and_then(Reason::parse),
            is_condemned: value["condemned"] == true,
            heals: value["heals"].as_u64().and_then(|n| u32::try_from(n).ok()).unwrap_or(0),
            is_taken_over: value["takenOver"] == true,
            headway: headway(&value["underWay"]),
            quarantine: value["quarantine"]
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(held::read_bad)
                .collect(),
            held: held::read_held(&value["held"]),
            created: marks(&value["created"]),
            fresh: (value["fresh"]["since"].as_u64().unwrap_or(0), marks(&value["fresh"]["created"])),
        };
        (state, None)
    }

    /// Writes the annotation. Marks of created objects that do not fit are left out: those objects count as adopted.
    pub fn write(&self) -> String {
        let mut fields = Map::new();
        fields.insert("v".into(), VERSION.into());
        let mut add = |name: &str, value: Option<Value>| {
            if let Some(value) = value {
                fields.insert(name.into(), value);
            }
        };
        add("desired", self.desired.map(|hash| hash.to_string().into()));
        add("revision", self.revision.as_ref().map(|revision| revision.as_str().into()));
        add("attempted", self.attempted.map(|hash| hash.to_string().into()));
        add("reason", self.reason.map(|reason| reason.as_str().into()));
        add("condemned", self.is_condemned.then(|| true.into()));
        add("heals", (self.heals > 0).then(|| self.heals.into()));
        add("takenOver", self.is_taken_over.then(|| true.into()));
        let headway = self.headway.as_ref().map(|Headway { tried_at, progress, progress_at }| {
            json!({"triedAt": tried_at.to_string(), "progress": progress.to_string(), "progressAt": progress_at.to_string()})
        });
        add("underWay", headway);
        let bad: Vec<Value> = self.quarantine.iter().map(held::bad).collect();
        add("quarantine", (!bad.is_empty()).then(|| bad.into()));
        add("held", self.held.as_ref().map(held::held));
        let (since, fresh) = (&self.fresh.0, self.fresh.1.iter().take(MOST_FRESH).collect::<Vec<_>>());
        add("fresh", (!fresh.is_empty()).then(|| json!({"since": since, "created": fresh})));
        let room =
            LIMIT.saturating_sub(Value::Object(fields.clone()).to_string().len() + r#","created":[]"#.len());
        let mut used = 0;
        let created: Vec<&String> = self
            .created
            .iter()
            .chain(self.fresh.1.iter().skip(MOST_FRESH))
            .take_while(|mark| {
                used += json!(mark).to_string().len() + 1;
                used <= room
            })
            .collect();
        if !created.is_empty() {
            fields.insert("created".into(), json!(created));
        }
        Value::Object(fields).to_string()
    }

    /// Notes that a sync created this very object when a release was the last that had settled; 0 for none.
    pub fn mark_created(&mut self, key: &ObjectKey, uid: &str, since: u64) {
        let mark = mark(key, uid);
        if self.fresh.0 != since {
            self.created.append(&mut self.fresh.1);
            self.fresh.0 = since;
        }
        self.created.remove(&mark);
        self.fresh.1.insert(mark);
    }

    /// Returns whether a sync created this very object since a release settled. Not known means no.
    pub fn was_created_since(&self, key: &ObjectKey, uid: &str, release: u64) -> bool {
        self.fresh.0 == release && self.fresh.1.contains(&mark(key, uid))
    }

    /// Returns whether a sync created this very object. Not known means no: it counts as adopted.
    pub fn was_created(&self, key: &ObjectKey, uid: &str) -> bool {
        let mark = mark(key, uid);
        self.created.contains(&mark) || self.fresh.1.contains(&mark)
    }

    /// Forgets every created object that is not among these.
    pub fn retain_created<'a>(&mut self, live: impl IntoIterator<Item = (&'a ObjectKey, &'a str)>) {
        let live: BTreeSet<String> = live.into_iter().map(|(key, uid)| mark(key, uid)).collect();
        self.created.retain(|mark| live.contains(mark));
        self.fresh.1.retain(|mark| live.contains(mark));
    }

    /// Returns how many objects are noted as created.
    pub fn n_created(&self) -> usize {
        self.created.len() + self.fresh.1.len()
    }
}

fn marks(value: &Value) -> BTreeSet<String> {
    let all = value.as_array().into_iter().flatten();
    all.filter_map(|mark| mark.as_str().map(str::to_owned)).collect()
}

fn headway(value: &Value) -> Option<Headway> {
    let time = |field: &str| value[field].as_str()?.parse().ok();
    Some(Headway {
        tried_at: time("triedAt")?,
        progress: Digest::from_hex(value["progress"].as_str()?)?,
        progress_at: time("progressAt")?,
    })
}

/// Six bytes of a hash as eight characters: enough to tell objects of one app apart, small enough for a thousand of them.
fn mark(key: &ObjectKey, uid: &str) -> String {
    let ObjectKey { group, kind, namespace, name } = key;
    let hash = digest(format!("{group}/{kind}/{namespace}/{name}/{uid}").as_bytes());
    URL_SAFE_NO_PAD.encode(&hash.bytes()[..6])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str) -> ObjectKey {
        ObjectKey::new("apps", "Deployment", "shop", name)
    }

    #[test]
    fn reads_what_it_writes() {
        let mut state = State {
            desired: Some(DesiredHash(digest(b"a"))),
            revision: Some(Revision::new("0123456789abcdef0123456789abcdef01234567")),
            attempted: Some(DesiredHash(digest(b"b"))),
            reason: Some(Reason::HealthTimeout),
            is_condemned: true,
            heals: 3,
            is_taken_over: true,
            ..State::default()
        };
        state.mark_created(&key("web"), "u-1", 0);
        assert_eq!(State::read(&state.write()), (state.clone(), None));
        assert!(state.was_created(&key("web"), "u-1"));
        assert!(
            !state.was_created(&key("web"), "u-2"),
            "another object of the same name was not created by us"
        );
        assert!(!state.was_created(&key("api"), "u-1"));
    }

    #[test]
    fn the_form_is_pinned() {
        let mut state = State::default();
        assert_eq!(state.write(), r#"{"v":1}"#);
        state.mark_created(&key("web"), "u-1", 0);
        assert_eq!(state.write(), r#"{"fresh":{"created":["4qXL7BnI"],"since":0},"v":1}"#);
        let state = State { is_taken_over: true, ..State::default() };
        assert_eq!(state.write(), r#"{"takenOver":true,"v":1}"#);
    }

    #[test]
    fn garbage_and_other_versions_start_afresh_and_say_so() {
        for text in ["", "{", "[]", "3", r#"{"v":2,"desired":"v1:00"}"#, r#"{"desired":"x"}"#] {
            let (state, note) = State::read(text);
            assert_eq!(state, State::default(), "{text}");
            assert!(note.unwrap().contains("starting afresh"), "{text}");
        }
        let (state, note) = State::read(r#"{"v":1,"desired":7,"heals":-1,"created":[1,"a"],"other":{}}"#);
        assert_eq!((state.desired, state.heals, state.n_created(), note), (None, 0, 1, None));
    }

    #[test]
    fn what_does_not_fit_counts_as_adopted() {
        let mut state = State { desired: Some(DesiredHash(digest(b"a"))), ..State::default() };
        for n in 0..5_000 {
            state.mark_created(&key(&n.to_string()), "u", 0);
        }
        let text = state.write();
        assert!(text.len() <= LIMIT && text.len() > LIMIT - 64, "{} bytes", text.len());
        let (read, note) = State::read(&text);
        assert_eq!((read.desired, note), (state.desired, None));
        assert!(read.n_created() > 1_000 && read.n_created() < 5_000);
    }

    #[test]
    fn objects_that_are_gone_are_forgotten() {
        let mut state = State::default();
        state.mark_created(&key("web"), "u-1", 0);
        state.mark_created(&key("api"), "u-2", 0);
        state.retain_created([(&key("api"), "u-2"), (&key("new"), "u-3")]);
        assert_eq!((state.n_created(), state.was_created(&key("api"), "u-2")), (1, true));
    }
}
