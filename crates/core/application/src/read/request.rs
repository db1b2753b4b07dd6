//! What does a person ask for beside a sync? The annotation `tautline.dev/request`, written by our API and command line:
//! `{"rollback": {"release": 3, "desired": "v1:...", "revision": "...", "hold": "resumed"}, "by": "jo", "at": "..."}`, or
//! `"resume": true`, or `"quarantine": true`.

use super::metadata;
use model::{Asked, DesiredHash, ReleaseRequest, Revision, Stable, names};
use serde_json::{Value, json};

/// Reads the request; `None` where there is none.
pub(super) fn read(raw: &Value) -> Option<ReleaseRequest> {
    let text = metadata::annotation(raw, names::REQUEST_ANNOTATION)?;
    let unreadable = |why: &str| ReleaseRequest {
        what: Asked::Unreadable(format!("metadata.annotations[{}] {why}", names::REQUEST_ANNOTATION)),
        username: String::new(),
        stamp: text.to_owned(),
    };
    let Ok(value) = serde_json::from_str::<Value>(text) else { return Some(unreadable("is not JSON")) };
    let word = |field: &str| value[field].as_str().unwrap_or_default().to_owned();
    let what = match (&value["rollback"], &value["resume"], &value["quarantine"]) {
        (Value::Object(_), Value::Null, Value::Null) => match rollback(&value["rollback"]) {
            Some(asked) => asked,
            None => return Some(unreadable("names no release with its hash and commit under rollback")),
        },
        (Value::Null, Value::Bool(true), Value::Null) => Asked::Resume,
        (Value::Null, Value::Null, Value::Bool(true)) => Asked::Quarantine,
        _ => return Some(unreadable("asks for neither rollback nor resume nor quarantine")),
    };
    Some(ReleaseRequest { what, username: word("by"), stamp: word("at") })
}

fn rollback(value: &Value) -> Option<Asked> {
    let until_resumed = match value["hold"].as_str() {
        None | Some("commit") => false,
        Some("resumed") => true,
        Some(_) => return None,
    };
    let to = Stable {
        number: value["release"].as_u64()?,
        hash: DesiredHash::parse(value["desired"].as_str()?)?,
        revision: Revision::new(value["revision"].as_str()?),
        is_baseline: false,
    };
    Some(Asked::RollBack { to, until_resumed })
}

/// Writes a request as the annotation has it.
pub fn request(request: &ReleaseRequest) -> String {
    let mut value = match &request.what {
        Asked::RollBack { to, until_resumed } => json!({"rollback": {
            "release": to.number, "desired": to.hash.to_string(), "revision": to.revision.as_str(),
            "hold": if *until_resumed { "resumed" } else { "commit" },
        }}),
        Asked::Resume => json!({"resume": true}),
        Asked::Quarantine => json!({"quarantine": true}),
        Asked::Unreadable(_) => json!({}),
    };
    value["by"] = json!(request.username);
    value["at"] = json!(request.stamp);
    value.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::digest;

    fn read_text(text: &str) -> Option<ReleaseRequest> {
        read(&json!({"metadata": {"annotations": {names::REQUEST_ANNOTATION: text}}}))
    }

    #[test]
    fn reads_what_it_writes() {
        let to = Stable {
            number: 3,
            hash: DesiredHash(digest(b"a")),
            revision: Revision::new("0123456789abcdef0123456789abcdef01234567"),
            is_baseline: false,
        };
        for what in [
            Asked::RollBack { to: to.clone(), until_resumed: false },
            Asked::RollBack { to, until_resumed: true },
            Asked::Resume,
            Asked::Quarantine,
        ] {
            let asked = ReleaseRequest { what, username: "jo".into(), stamp: "2026-01-01T00:00:00Z".into() };
            assert_eq!(read_text(&request(&asked)), Some(asked));
        }
        assert_eq!(read(&json!({"metadata": {}})), None);
    }

    #[test]
    fn what_cannot_be_read_says_why_and_asks_for_nothing() {
        for (text, why) in [
            ("{", "is not JSON"),
            ("{}", "asks for neither"),
            (r#"{"resume": true, "quarantine": true}"#, "asks for neither"),
            (r#"{"resume": false}"#, "asks for neither"),
            (r#"{"rollback": {"release": 3}}"#, "names no release"),
            (r#"{"rollback": {"release": -3, "desired": "v1:00", "revision": "a"}}"#, "names no release"),
        ] {
            match read_text(text).map(|request| request.what) {
                Some(Asked::Unreadable(said)) => assert!(said.contains(why), "{text}: {said}"),
                other => panic!("{text}: {other:?}"),
            }
        }
    }
}
