//! How does a record stand in a Secret? As JSON with sorted keys; clusters remember it, so its form is pinned by a test.

use super::{Cause, Record, Timings, Verdict};
use model::{AppKey, DesiredHash, Digest, ObjectKey, Reason, Revision, Timestamp};
use serde_json::{Value, json};

/// Longest message, list of created objects and list of images, in bytes.
const MESSAGE: usize = 4 << 10;
const CREATED: usize = 128 << 10;
const IMAGES: usize = 32 << 10;

/// What binds a payload to its record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bound {
    /// Of all its bytes, as they are kept.
    pub digest: Digest,
    /// How many Secrets hold it besides the head.
    pub parts: usize,
}

/// Writes a record.
pub(crate) fn write(record: &Record, bound: Option<Bound>) -> String {
    let Record { app, timings, .. } = record;
    let mut value = json!({
        "app": {"namespace": app.namespace, "name": app.name, "uid": record.app_uid},
        "number": record.number,
        "hash": record.hash.to_string(),
        "revision": record.revision.as_str(),
        "verdict": record.verdict.as_str(),
        "cause": record.cause.as_str(),
        "sourceType": record.source_type,
        "repoURL": record.repo_url,
        "path": record.path,
        "timings": {
            "seen": timings.seen.map(time), "started": timings.started.map(time),
            "applied": timings.applied.map(time), "healthy": timings.healthy.map(time),
            "settled": timings.settled.map(time), "restored": timings.restored.map(time),
        },
        "created": within(record.created.iter().map(key), CREATED),
        "images": within(record.images.iter().map(|image| json!(image)), IMAGES),
        "objects": record.n_objects,
    });
    if let Some(reason) = record.reason {
        value["reason"] = reason.as_str().into();
    }
    if !record.message.is_empty() {
        value["message"] = record.message[..record.message.floor_char_boundary(MESSAGE)].into();
    }
    if !record.initiated_by.is_empty() {
        value["initiatedBy"] = record.initiated_by.as_str().into();
    }
    if let Some(Bound { digest, parts }) = bound {
        value["payload"] = json!({"sha256": digest.to_string(), "parts": parts});
    }
    value.to_string()
}

/// Reads what [`write`] wrote; `None` where it is anything else. The text was sealed, so that nobody else wrote it.
pub(crate) fn read(text: &[u8]) -> Option<(Record, Option<Bound>)> {
    let value: Value = serde_json::from_slice(text).ok()?;
    let text = |field: &str| value[field].as_str().map(str::to_owned);
    let at = |field: &str| value["timings"][field].as_str()?.parse().ok();
    let bound = match &value["payload"] {
        Value::Null => None,
        payload => Some(Bound {
            digest: Digest::from_hex(payload["sha256"].as_str()?)?,
            parts: usize::try_from(payload["parts"].as_u64()?).ok()?,
        }),
    };
    let record = Record {
        app: AppKey::new(value["app"]["namespace"].as_str()?, value["app"]["name"].as_str()?),
        app_uid: value["app"]["uid"].as_str()?.to_owned(),
        number: value["number"].as_u64()?,
        hash: DesiredHash::parse(value["hash"].as_str()?)?,
        revision: Revision::new(text("revision")?),
        verdict: Verdict::parse(value["verdict"].as_str()?)?,
        // A word of a later version says no more than the message does.
        reason: value["reason"].as_str().and_then(Reason::parse),
        message: text("message").unwrap_or_default(),
        cause: Cause::parse(value["cause"].as_str()?)?,
        initiated_by: text("initiatedBy").unwrap_or_default(),
        source_type: text("sourceType")?,
        repo_url: text("repoURL")?,
        path: text("path")?,
        timings: Timings {
            seen: at("seen"),
            started: at("started"),
            applied: at("applied"),
            healthy: at("healthy"),
            settled: at("settled"),
            restored: at("restored"),
        },
        created: value["created"].as_array()?.iter().map(read_key).collect::<Option<_>>()?,
        images: value["images"]
            .as_array()?
            .iter()
            .map(|i| i.as_str().map(str::to_owned))
            .collect::<Option<_>>()?,
        n_objects: usize::try_from(value["objects"].as_u64()?).ok()?,
    };
    Some((record, bound))
}

/// Takes the first of these that fit into `room` bytes of JSON.
fn within(values: impl Iterator<Item = Value>, room: usize) -> Vec<Value> {
    let mut used = 0;
    let fits = |value: &Value| {
        used += value.to_string().len() + 1;
        used <= room
    };
    values.take_while(fits).collect()
}

fn key(key: &ObjectKey) -> Value {
    let ObjectKey { group, kind, namespace, name } = key;
    json!([group, kind, namespace, name])
}

fn read_key(value: &Value) -> Option<ObjectKey> {
    let [group, kind, namespace, name] = value.as_array()?.as_slice() else { return None };
    Some(ObjectKey::new(group.as_str()?, kind.as_str()?, namespace.as_str()?, name.as_str()?))
}

/// RFC 3339 with milliseconds: timings are subtracted from each other.
fn time(at: Timestamp) -> String {
    let seconds = at.to_string();
    format!("{}.{:03}Z", seconds.trim_end_matches('Z'), at.as_millis().rem_euclid(1_000))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seal::tests::record as example;
    use model::digest;

    fn bound() -> Bound {
        Bound { digest: digest(b"payload"), parts: 2 }
    }

    #[test]
    fn the_form_is_pinned() {
        let expected = concat!(
            r#"{"app":{"name":"shop","namespace":"argocd","uid":"u-1"},"cause":"NewRevision","#,
            r#""created":[["apps","Deployment","shop","web"]],"#,
            r#""hash":"v1:ed7002b439e9ac845f22357d822bac1444730fbdb6016d3ec9432297b9ec9f73","#,
            r#""images":["registry.example.com/web:1"],"initiatedBy":"ada","message":"web does not start","#,
            r#""number":3,"objects":2,"path":"apps/shop","#,
            r#""payload":{"parts":2,"sha256":"239f59ed55e737c77147cf55ad0c1b030b6d7ee748a7426952f9b852d5a935e5"},"#,
            r#""reason":"HealthTimeout","repoURL":"https://git.example.com/shop.git","#,
            r#""revision":"1111111111111111111111111111111111111111","sourceType":"Directory","#,
            r#""timings":{"applied":"2026-01-01T10:00:02.250Z","healthy":null,"restored":null,"seen":"2026-01-01T10:00:00.000Z","#,
            r#""settled":"2026-01-01T10:05:00.000Z","started":"2026-01-01T10:00:01.000Z"},"verdict":"Failed"}"#,
        );
        assert_eq!(write(&example(), Some(bound())), expected);
    }

    #[test]
    fn a_record_comes_back_as_it_was() {
        assert_eq!(read(write(&example(), Some(bound())).as_bytes()), Some((example(), Some(bound()))));
        let bare = Record {
            reason: None,
            message: String::new(),
            initiated_by: String::new(),
            timings: Timings::default(),
            created: Vec::new(),
            images: Vec::new(),
            n_objects: 0,
            ..example()
        };
        assert_eq!(read(write(&bare, None).as_bytes()), Some((bare, None)));
    }

    #[test]
    fn what_lacks_something_is_no_record() {
        let whole: Value = serde_json::from_str(&write(&example(), Some(bound()))).unwrap();
        let optional = ["reason", "message", "initiatedBy", "timings", "payload"];
        for field in whole.as_object().unwrap().keys() {
            let mut cut = whole.clone();
            cut.as_object_mut().unwrap().remove(field);
            let is_optional = optional.contains(&field.as_str());
            assert_eq!(read(cut.to_string().as_bytes()).is_some(), is_optional, "without {field}");
        }
        assert_eq!(read(b"{"), None);
        assert_eq!(read(b"[]"), None);
    }

    #[test]
    fn lists_and_words_without_end_are_cut() {
        let created =
            (0..100_000).map(|i| ObjectKey::new("apps", "Deployment", "shop", &format!("web-{i}"))).collect();
        let images: Vec<String> = (0..100_000).map(|i| format!("registry.example.com/web:{i}")).collect();
        let long = Record { created, images, message: "ü".repeat(100_000), ..example() };
        let text = write(&long, None);
        assert!(text.len() < 180 << 10, "{} bytes", text.len());
        let (read, _) = read(text.as_bytes()).unwrap();
        assert!(read.created.len() > 1_000 && read.images.len() > 500);
        assert_eq!(read.created[..], long.created[..read.created.len()], "the first are kept");
        assert_eq!(read.message, "ü".repeat(2_048));
    }
}
