//! What does an app inherit from an earlier life, Argo CD's or ours, and what of it is still to be looked at?
//!
//! ```text
//! status.resources ──▶ Waiting ──shown as ours, or nobody has it──▶ settled, and forgotten here
//!                       ▲   │ its kind was listed and does not show it
//!                       │   ▼
//!                 later │ Asked ──labelled, absent, or not the app's──▶ settled
//!                       │   │
//!                       └─ Failed
//! ```
//!
//! A pure registry: the agent says how each object looks, asks the API server about those that come out of
//! [`Inheritance::advance`], and tells what came of it.

use crate::state::State;
use crate::{source, trigger};
use model::{App, ObjectKey, Seconds, Timestamp};
use std::collections::BTreeMap;

/// First wait before what failed is tried again.
const FIRST_WAIT: Seconds = Seconds::new(5);
/// Longest wait before what failed is tried again.
const LONGEST_WAIT: Seconds = Seconds::new(300);

/// Returns whether objects of the app may be touched on the word of its status: we are the writer, and what Git holds is
/// known well enough to say that the app is not read-only.
pub fn is_permitted(state: &State, app: &App, now: Timestamp) -> bool {
    let is_known = state.desired.is_some() || source::is_heard(state, now);
    state.may_write
        && is_known
        && !app.skip_reconcile
        && state.refused.is_empty()
        && trigger::read_only(state, app).is_empty()
}

/// How an inherited object looks from here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sighting {
    /// A watch shows it as ours, or there is no such thing, or it is not to be taken over.
    Settled,
    /// No watch shows it as ours: it may be there without our labels.
    Hidden,
    /// Not to be said yet.
    Unclear,
}

/// How far the taking over of one object has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Nobody asked about it yet.
    Waiting,
    /// The API server is being asked.
    Asked,
    /// It could not be taken over; why. It is tried again.
    Failed(String),
}

/// One object that is not settled yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inherited {
    /// The version that the status names.
    pub version: String,
    /// How far it has come.
    pub standing: Standing,
}

/// What an app inherits and is not settled yet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inheritance {
    objects: BTreeMap<ObjectKey, Inherited>,
    takes_over: bool,
    n_labelled: usize,
    /// Rounds in a row in which something failed.
    n_failed: u32,
    is_resting: bool,
}

impl Inheritance {
    /// Begins with what a status lists, with versions. `takes_over` says whether objects without our labels are given
    /// them: whether somebody else than us may have deployed them.
    pub fn new(listed: impl IntoIterator<Item = (ObjectKey, String)>, takes_over: bool) -> Self {
        let waiting = |(key, version)| (key, Inherited { version, standing: Standing::Waiting });
        Self { objects: listed.into_iter().map(waiting).collect(), takes_over, ..Self::default() }
    }

    /// Returns whether objects without our labels are given them.
    pub fn takes_over(&self) -> bool {
        self.takes_over
    }

    /// Returns what is not settled yet.
    pub fn objects(&self) -> &BTreeMap<ObjectKey, Inherited> {
        &self.objects
    }

    /// Returns whether somebody has yet to say what has become of an object.
    pub fn is_pending(&self, key: &ObjectKey) -> bool {
        match self.objects.get(key).map(|inherited| &inherited.standing) {
            Some(Standing::Waiting | Standing::Asked) => true,
            Some(Standing::Failed(_)) | None => false,
        }
    }

    /// Takes in how everything looks now; returns what the API server is to be asked about.
    pub fn advance(&mut self, look: impl Fn(&ObjectKey) -> Sighting) -> Vec<ObjectKey> {
        let mut asked = Vec::new();
        self.objects.retain(|key, inherited| match (&inherited.standing, look(key)) {
            (Standing::Waiting | Standing::Failed(_), Sighting::Settled) => false,
            (Standing::Waiting, Sighting::Hidden) => {
                inherited.standing = Standing::Asked;
                asked.push(key.clone());
                true
            }
            (Standing::Asked, _)
            | (Standing::Waiting, Sighting::Unclear)
            | (Standing::Failed(_), Sighting::Hidden | Sighting::Unclear) => true,
        });
        asked
    }

    /// Adds an object that was found without our labels; returns whether it is being taken over, which one that failed is
    /// not for now.
    pub fn offer(&mut self, key: &ObjectKey, version: &str) -> bool {
        let inherited = self
            .objects
            .entry(key.clone())
            .or_insert_with(|| Inherited { version: version.into(), standing: Standing::Waiting });
        !matches!(inherited.standing, Standing::Failed(_))
    }

    /// Notes that nothing is left to do about an object.
    pub fn settle(&mut self, key: &ObjectKey) {
        self.objects.remove(key);
    }

    /// Notes that an object carries our labels now.
    pub fn labelled(&mut self, key: &ObjectKey) {
        self.objects.remove(key);
        self.n_labelled += 1;
    }

    /// Notes that an object could not be taken over; returns whether a person has to hear of it: once, until all is well.
    pub fn fail(&mut self, key: &ObjectKey, why: String) -> bool {
        let is_first = self.n_failed == 0 && !self.objects.values().any(has_failed);
        if let Some(inherited) = self.objects.get_mut(key) {
            inherited.standing = Standing::Failed(why);
        }
        is_first
    }

    /// Returns how long to wait before what failed is tried again, once per round and when nobody is asked any more.
    pub fn rest(&mut self) -> Option<Seconds> {
        let is_asking = self.objects.values().any(|inherited| inherited.standing == Standing::Asked);
        if is_asking || self.is_resting || !self.objects.values().any(has_failed) {
            return None;
        }
        self.is_resting = true;
        let exponent = i32::try_from(self.n_failed).unwrap_or(i32::MAX);
        self.n_failed = self.n_failed.saturating_add(1);
        Some(FIRST_WAIT.scaled(2.0_f64.powi(exponent), LONGEST_WAIT))
    }

    /// Lets what failed be tried again.
    pub fn try_again(&mut self) {
        self.is_resting = false;
        for inherited in self.objects.values_mut().filter(|inherited| has_failed(inherited)) {
            inherited.standing = Standing::Waiting;
        }
    }

    /// Returns how many objects were labelled, once, when nothing is left to do.
    pub fn take_labelled(&mut self) -> usize {
        if !self.objects.is_empty() {
            return 0;
        }
        self.n_failed = 0;
        std::mem::take(&mut self.n_labelled)
    }
}

fn has_failed(inherited: &Inherited) -> bool {
    matches!(inherited.standing, Standing::Failed(_))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str) -> ObjectKey {
        ObjectKey::new("", "ConfigMap", "ns", name)
    }

    fn of(names: &[&str]) -> Inheritance {
        Inheritance::new(names.iter().map(|name| (key(name), "v1".into())), true)
    }

    fn names(keys: &[ObjectKey]) -> Vec<&str> {
        keys.iter().map(|key| key.name.as_str()).collect()
    }

    #[test]
    fn only_what_no_watch_shows_is_asked_about_and_only_once() {
        let mut inheritance = of(&["hidden", "shown", "unlisted"]);
        let look = |key: &ObjectKey| match key.name.as_str() {
            "hidden" => Sighting::Hidden,
            "shown" => Sighting::Settled,
            _ => Sighting::Unclear,
        };
        assert_eq!(names(&inheritance.advance(look)), ["hidden"]);
        assert!(inheritance.advance(look).is_empty());
        assert_eq!(
            inheritance.objects().keys().map(|key| key.name.as_str()).collect::<Vec<_>>(),
            ["hidden", "unlisted"]
        );
        assert!(inheritance.is_pending(&key("hidden")) && inheritance.is_pending(&key("unlisted")));
        // An answer is on its way, whatever a watch shows meanwhile.
        assert!(inheritance.advance(|_| Sighting::Settled).is_empty());
        assert!(inheritance.is_pending(&key("hidden")) && !inheritance.is_pending(&key("unlisted")));
        inheritance.labelled(&key("hidden"));
        assert!(inheritance.objects().is_empty());
        assert_eq!([inheritance.take_labelled(), inheritance.take_labelled()], [1, 0]);
    }

    #[test]
    fn what_failed_is_told_once_and_tried_again_later_and_later() {
        let mut inheritance = of(&["a", "b"]);
        let mut waits = Vec::new();
        let mut told = 0;
        for _ in 0..8 {
            for key in inheritance.advance(|_| Sighting::Hidden) {
                assert_eq!(inheritance.rest(), None, "somebody is still asked");
                told += u32::from(inheritance.fail(&key, "no".into()));
            }
            waits.extend(inheritance.rest().map(|wait| wait.as_millis() / 1000));
            assert_eq!(inheritance.rest(), None, "once per round");
            assert!(inheritance.advance(|_| Sighting::Hidden).is_empty(), "not before the wait is over");
            assert!(!inheritance.is_pending(&key("a")) && !inheritance.offer(&key("a"), "v1"));
            inheritance.try_again();
        }
        assert_eq!((waits.as_slice(), told), ([5, 10, 20, 40, 80, 160, 300, 300].as_slice(), 1));
        inheritance.settle(&key("a"));
        assert_eq!(inheritance.take_labelled(), 0);
        inheritance.advance(|_| Sighting::Hidden);
        inheritance.labelled(&key("b"));
        assert_eq!(inheritance.take_labelled(), 1);
        assert!(inheritance.offer(&key("c"), "v1"));
        inheritance.advance(|_| Sighting::Hidden);
        assert!(inheritance.fail(&key("c"), "no".into()), "all was well in between");
    }

    #[test]
    fn what_failed_and_is_shown_after_all_is_settled() {
        let mut inheritance = of(&["a"]);
        inheritance.advance(|_| Sighting::Hidden);
        inheritance.fail(&key("a"), "no".into());
        inheritance.advance(|_| Sighting::Settled);
        assert!(inheritance.objects().is_empty());
        assert_eq!(inheritance.rest(), None);
    }
}
