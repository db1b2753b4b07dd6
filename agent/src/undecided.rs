//! Which objects cannot be compared, since the API server does not answer the question, and when is it asked again?

use cluster::spread;
use model::{CallError, Digest, ErrorClass, ObjectKey};
use std::collections::BTreeMap;
use std::time::Duration;

/// First and longest wait before the API server is asked about an object again.
const FIRST: Duration = Duration::from_secs(5);
const LONGEST: Duration = Duration::from_mins(5);
/// From which failure in a row on what may pass by itself is told: a server that restarts is not worth a word.
const TOLD: u32 = 3;
/// How many objects are named.
const NAMED: usize = 3;

/// The objects of one app that cannot be compared.
#[derive(Debug, Default)]
pub(crate) struct Undecided(BTreeMap<ObjectKey, Unanswered>);

/// A question that failed.
#[derive(Debug)]
struct Unanswered {
    /// What was to be known.
    question: Digest,
    n_failed: u32,
    is_resting: bool,
    class: ErrorClass,
    /// What people are told.
    sentence: String,
}

impl Unanswered {
    fn is_told(&self) -> bool {
        let may_pass = match self.class {
            ErrorClass::Conflict
            | ErrorClass::Gone
            | ErrorClass::Throttled
            | ErrorClass::Unavailable
            | ErrorClass::Withheld => true,
            ErrorClass::Forbidden
            | ErrorClass::Invalid
            | ErrorClass::Denied
            | ErrorClass::NotFound
            | ErrorClass::NoSuchKind => false,
        };
        !may_pass || self.n_failed >= TOLD
    }
}

impl Undecided {
    /// Returns whether a question failed so lately that it is not asked again yet. Another one is.
    pub(crate) fn rests(&self, object: &ObjectKey, question: Digest) -> bool {
        self.0.get(object).is_some_and(|known| known.is_resting && known.question == question)
    }

    /// Takes in that a question failed; returns how long to wait, and what to call [`Undecided::rested`] with then.
    pub(crate) fn failed(
        &mut self,
        object: &ObjectKey,
        question: Digest,
        error: &CallError,
    ) -> (Duration, u32) {
        let known = self.0.remove(object).filter(|known| known.question == question);
        let n_failed = known.as_ref().map_or(1, |known| known.n_failed.saturating_add(1));
        // A sentence with a port or a time in it is told once.
        let sentence = match known {
            Some(known) if known.class == error.class => known.sentence,
            Some(_) | None => sentence(object, error),
        };
        let unanswered = Unanswered { question, n_failed, is_resting: true, class: error.class, sentence };
        self.0.insert(object.clone(), unanswered);
        (spread(wait(n_failed)), n_failed)
    }

    /// Takes in that a wait is over.
    pub(crate) fn rested(&mut self, object: &ObjectKey, n_failed: u32) {
        if let Some(known) = self.0.get_mut(object).filter(|known| known.n_failed == n_failed) {
            known.is_resting = false;
        }
    }

    /// Has everything asked again at once, since what stood in the way may be gone; returns whether there is anything to ask.
    pub(crate) fn ask_again(&mut self) -> bool {
        self.0.values_mut().for_each(|known| known.is_resting = false);
        !self.0.is_empty()
    }

    /// Takes in that it is known how an object compares, or that it is gone.
    pub(crate) fn decided(&mut self, object: &ObjectKey) {
        self.0.remove(object);
    }

    /// Drops what is not wanted any more.
    pub(crate) fn retain(&mut self, is_wanted: impl Fn(&ObjectKey) -> bool) {
        self.0.retain(|object, _| is_wanted(object));
    }

    /// Returns the objects that are told of.
    pub(crate) fn told(&self) -> impl Iterator<Item = &ObjectKey> {
        self.0.iter().filter(|(_, known)| known.is_told()).map(|(object, _)| object)
    }

    /// Says which of some objects cannot be compared, and why.
    pub(crate) fn obstacle<'a>(&self, objects: impl Iterator<Item = &'a ObjectKey>) -> Option<String> {
        let sentences: Vec<&str> =
            objects.filter_map(|object| self.0.get(object)).map(|known| known.sentence.as_str()).collect();
        let more = sentences.len().saturating_sub(NAMED);
        let tail = if more > 0 { format!("; and {more} more") } else { String::new() };
        let named = sentences.iter().take(NAMED).copied().collect::<Vec<_>>().join("; ");
        (!sentences.is_empty()).then(|| named + &tail)
    }
}

/// Returns the longest wait after so many failures in a row.
fn wait(n_failed: u32) -> Duration {
    FIRST.saturating_mul(1 << n_failed.saturating_sub(1).min(10)).min(LONGEST)
}

fn sentence(object: &ObjectKey, error: &CallError) -> String {
    let kind = object.group_kind();
    let next = match error.class {
        ErrorClass::Forbidden => format!("; grant the agent's service account `get` and `patch` on {kind}"),
        ErrorClass::NoSuchKind => "; is its CRD installed?".into(),
        ErrorClass::Invalid
        | ErrorClass::Denied
        | ErrorClass::NotFound
        | ErrorClass::Conflict
        | ErrorClass::Gone
        | ErrorClass::Throttled
        | ErrorClass::Unavailable
        | ErrorClass::Withheld => {
            "; it is asked about again and again, and at once when the Application is refreshed".into()
        }
    };
    format!("{object} cannot be compared: {error}{next}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::digest;

    fn key(name: &str) -> ObjectKey {
        ObjectKey::new("", "ConfigMap", "shop", name)
    }

    fn error(class: ErrorClass, message: &str) -> CallError {
        CallError::new(class, message)
    }

    #[test]
    fn waits_grow_to_minutes_and_another_question_begins_anew() {
        let waits: Vec<u64> = (1..9).map(|n| wait(n).as_secs()).collect();
        assert_eq!(waits, [5, 10, 20, 40, 80, 160, 300, 300]);
        let (mut undecided, web) = (Undecided::default(), key("web"));
        let forbidden = error(ErrorClass::Forbidden, "no");
        let (first, second) = (digest(b"first"), digest(b"second"));
        assert_eq!(undecided.failed(&web, first, &forbidden).1, 1);
        assert!(undecided.rests(&web, first) && !undecided.rests(&web, second));
        undecided.rested(&web, 1);
        assert!(!undecided.rests(&web, first));
        let (wait, n_failed) = undecided.failed(&web, first, &forbidden);
        assert!(n_failed == 2 && wait >= Duration::from_secs(5) && wait <= Duration::from_secs(10));
        // The first wait has nothing to say any more.
        undecided.rested(&web, 1);
        assert!(undecided.rests(&web, first));
        assert_eq!(undecided.failed(&web, second, &forbidden).1, 1);
        assert!(undecided.ask_again() && !undecided.rests(&web, second));
        undecided.decided(&web);
        assert_eq!(undecided.told().count(), 0);
    }

    #[test]
    fn what_may_pass_is_told_only_when_it_stays() {
        let (mut undecided, web, question) = (Undecided::default(), key("web"), digest(b"what"));
        for n_told in [0, 0, 1, 1] {
            undecided.failed(&web, question, &error(ErrorClass::Unavailable, "refused by 127.0.0.1:1"));
            assert_eq!(undecided.told().count(), n_told);
        }
        undecided.failed(&web, question, &error(ErrorClass::Unavailable, "refused by 127.0.0.1:2"));
        let told = undecided.obstacle([&web].into_iter()).unwrap();
        assert!(told.contains("127.0.0.1:1"), "{told}");
        undecided.failed(&key("api"), question, &error(ErrorClass::Forbidden, "you may not"));
        assert_eq!(
            undecided.obstacle([&key("api"), &key("fine")].into_iter()).unwrap(),
            "ConfigMap shop/api cannot be compared: you may not; grant the agent's service account `get` and `patch` on \
             ConfigMap"
        );
        for n in 0..3 {
            undecided.failed(&key(&format!("m{n}")), question, &error(ErrorClass::Forbidden, "no"));
        }
        let told: Vec<&ObjectKey> = undecided.told().collect();
        assert!(undecided.obstacle(told.into_iter()).unwrap().ends_with("; and 2 more"));
    }
}
