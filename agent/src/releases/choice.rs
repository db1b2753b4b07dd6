//! To which release does a person go back who names none, or one that cannot be gone back to?

use crate::keeping::stable;
use model::{AppKey, DesiredHash, Stable};
use release::{Head, Listing, Refusal, Verdict, Why};

/// Returns the release that is meant: the one with the number, or else the newest that settled and holds something else than what
/// runs.
///
/// # Errors
/// A sentence, and whether there is no such release at all.
pub(crate) fn choose(
    app: &AppKey,
    listing: &Listing,
    id: Option<u64>,
    running: Option<DesiredHash>,
) -> Result<Stable, (String, bool)> {
    let Some(id) = id else {
        let is_other = |head: &&Head| Some(head.record.hash) != running;
        let is_stable = |head: &&Head| head.record.verdict == Verdict::Stable && head.has_payload();
        let found = listing.heads.iter().rev().filter(is_stable).find(is_other);
        let none = || {
            format!(
                "Application {app} has no release to go back to that holds something else than what runs; `tautline app \
                 history {}` lists what it has, and what is not used and why",
                app.name
            )
        };
        // Of the Application, not of something that was named: who may not read it may know.
        return found.map(stable).ok_or_else(|| (none(), false));
    };
    let head = &listing.heads[find(app, listing, id)?];
    if head.has_payload() {
        Ok(stable(head))
    } else {
        Err((Refusal { why: Why::NoPayload, ..Refusal::absent(app, id) }.to_string(), false))
    }
}

/// Returns the place of the release with a number.
///
/// # Errors
/// As of [`choose`].
pub(crate) fn find(app: &AppKey, listing: &Listing, id: u64) -> Result<usize, (String, bool)> {
    listing.heads.iter().position(|head| head.record.number == id).ok_or_else(|| {
        let absent = Refusal::absent(app, id);
        // By its name: whoever puts this app's label on another one's release makes it no release of this one.
        let refused = listing.refused.iter().find(|refused| refused.secret == absent.secret);
        refused.map_or_else(|| (absent.to_string(), true), |why| (why.to_string(), false))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::harness;
    use model::{base64_encode, names, tracking};
    use release::{Key, Payload, ROOM, Record};
    use serde_json::{Value, json};

    const DELETE: &str = "delete Secret argocd/tautline-release.shop.v2 if nobody needs it";

    fn app() -> AppKey {
        AppKey::new("argocd", "shop")
    }

    fn key() -> Key {
        Key::new(&[7; Key::LENGTH]).unwrap()
    }

    fn hash(number: u64) -> DesiredHash {
        record(number, Verdict::Stable).hash
    }

    fn record(number: u64, verdict: Verdict) -> Record {
        Record { verdict, ..harness::record(app(), number) }
    }

    /// The Secret of a release; one that settled has its objects.
    fn secret(record: &Record, key: &Key) -> Value {
        let object = json!({"kind": "ConfigMap", "data": {"word": "hunter2"}});
        let payload = Payload::pack(object.as_object()).unwrap();
        let payload = (record.verdict == Verdict::Stable).then_some(payload);
        release::seal(record, payload.as_ref(), key, ROOM).remove(0)
    }

    fn stable_secret(number: u64) -> Value {
        secret(&record(number, Verdict::Stable), &key())
    }

    /// What the store makes of these Secrets.
    fn listed(secrets: &[Value]) -> Listing {
        let mut listing = Listing::default();
        for secret in secrets {
            listing.add(secret, Some(&key()));
        }
        listing.sort();
        listing.of(&app(), "u-1")
    }

    fn chosen(secrets: &[Value], id: Option<u64>, running: Option<u64>) -> Result<u64, (String, bool)> {
        choose(&app(), &listed(secrets), id, running.map(hash)).map(|stable| stable.number)
    }

    #[test]
    fn who_names_none_gets_the_newest_that_settled_and_is_not_what_runs() {
        let mut trimmed = stable_secret(4);
        trimmed["data"]["payload"] = Value::Null;
        let failed = secret(&record(5, Verdict::RolledBack), &key());
        let secrets = [stable_secret(3), stable_secret(1), failed, trimmed, stable_secret(2)];
        for (running, expected) in [(Some(3), 2), (Some(5), 3), (Some(2), 3), (None, 3)] {
            assert_eq!(chosen(&secrets, None, running), Ok(expected), "{running:?} runs");
        }
    }

    #[test]
    fn a_release_of_the_same_content_is_nothing_to_go_back_to() {
        let same = Record { hash: hash(1), ..record(2, Verdict::Stable) };
        let secrets = [stable_secret(1), secret(&same, &key())];
        for secrets in [&secrets[..], &secrets[..1], &[]] {
            let (why, is_absent) = chosen(secrets, None, Some(1)).unwrap_err();
            assert!(why.contains("Application argocd/shop has no release to go back to"), "{why}");
            assert!(why.contains("`tautline app history shop` lists what it has"), "{why}");
            assert!(!is_absent, "the Application is there");
        }
    }

    #[test]
    fn who_names_one_gets_it_also_where_it_runs_already() {
        let secrets = [stable_secret(1), stable_secret(2)];
        for id in [1, 2] {
            assert_eq!(chosen(&secrets, Some(id), Some(2)), Ok(id));
        }
    }

    #[test]
    fn one_that_does_not_exist_is_absent_and_the_sentence_says_where_others_are_listed() {
        let (why, is_absent) = chosen(&[stable_secret(1)], Some(2), None).unwrap_err();
        assert_eq!(
            why,
            "release 2 of argocd/shop does not exist; `tautline app history shop` lists those that do"
        );
        assert!(is_absent);
    }

    #[test]
    fn one_without_its_objects_is_refused_and_the_sentence_says_which_have_theirs() {
        let mut trimmed = stable_secret(2);
        trimmed["data"]["payload"] = Value::Null;
        for second in [trimmed, secret(&record(2, Verdict::Failed), &key())] {
            let (why, is_absent) = chosen(&[stable_secret(1), second], Some(2), Some(3)).unwrap_err();
            assert!(why.starts_with("release 2 of argocd/shop is remembered without its objects"), "{why}");
            assert!(why.ends_with("kept for the stable release and the two before it; choose one of those"));
            assert!(!is_absent);
        }
    }

    // N40: planted, edited, replayed and swapped releases
    #[test]
    fn one_that_is_not_used_is_refused_and_the_sentence_says_what_is_wrong_and_what_to_do() {
        let with = |entry: &str, value: Value| {
            let mut secret = stable_secret(2);
            secret["data"][entry] = value;
            secret
        };
        let newer = with("format", base64_encode(b"2").into());
        let other_key = secret(&record(2, Verdict::Stable), &Key::new(&[8; Key::LENGTH]).unwrap());
        let edited = with("record", base64_encode(b"{}").into());
        let deleted = Record { app_uid: "u-0".into(), ..record(2, Verdict::Stable) };
        for (second, what, then) in [
            (with("record", Value::Null), "is damaged: it has no record that can be read", DELETE),
            (with("mac", Value::Null), "is damaged: it has no seal that can be read", DELETE),
            (newer, "is of format 2, and this agent reads format 1", "run the version that wrote it, or"),
            (other_key, "another key than the one in Secret tautline-release-key", DELETE),
            (edited, "was edited, copied or made by somebody else", "find out who did that, and"),
            (secret(&deleted, &key()), "belongs to another Application, or to one of this name", DELETE),
        ] {
            let (why, is_absent) = chosen(&[stable_secret(1), second.clone()], Some(2), None).unwrap_err();
            assert!(why.starts_with("release 2 of argocd/shop ") && why.contains(what), "{what}: {why}");
            assert!(why.contains(then) && why.ends_with(DELETE), "{what}: {why}");
            assert!(!is_absent, "{what}: it is there");
            assert!(!why.contains("hunter2"), "{why}");
            assert_eq!(
                chosen(&[stable_secret(1), second], None, None),
                Ok(1),
                "{what}: its neighbour is used"
            );
        }
    }

    // N40: planted, edited, replayed and swapped releases
    #[test]
    fn one_of_another_app_is_no_release_of_this_one_whatever_its_label_says() {
        let bank = AppKey::new("argocd", "bank");
        let mut other = secret(&Record { app: bank.clone(), ..record(2, Verdict::Stable) }, &key());
        let as_it_is = other.clone();
        other["data"]["mac"] = Value::Null;
        let own = tracking::part_of_label(&app());
        assert_ne!(own, tracking::part_of_label(&bank));
        other["metadata"]["labels"][names::RELEASE_OF_LABEL] = own.into();
        for second in [as_it_is, other] {
            let (why, is_absent) = chosen(&[stable_secret(1), second], Some(2), None).unwrap_err();
            assert!(why.starts_with("release 2 of argocd/shop does not exist"), "{why}");
            assert!(is_absent);
        }
    }
}
