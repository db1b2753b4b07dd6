//! How does a release become Secrets?

use crate::record::{self, Bound};
use crate::{Key, Payload, Record, head_name, part_name};
use model::{base64_encode, digest, names, tracking};
use serde_json::{Value, json};

/// Version of the form.
pub const FORMAT: &str = "1";

/// How many bytes of a payload go into one Secret. etcd takes 1.5 MB for an object, and a Secret's data is base64 there; a
/// Secret may hold 1 MiB (Kubernetes documentation, "Secrets"), and the record lies beside the first piece.
pub const ROOM: usize = 700 << 10;

/// Makes the Secrets of a release, in the order in which they have to be written: parts first, the head last, so that one
/// that was written half is no release. `room` is how many bytes of payload one Secret takes, at least 1; see [`ROOM`].
pub fn seal(record: &Record, payload: Option<&Payload>, key: &Key, room: usize) -> Vec<Value> {
    let pieces: Vec<&[u8]> = payload.map_or_else(Vec::new, |p| p.bytes().chunks(room.max(1)).collect());
    let bound = payload.map(|p| Bound { digest: digest(p.bytes()), parts: pieces.len().saturating_sub(1) });
    let text = record::write(record, bound);
    let name = head_name(&record.app, record.number);
    let seal = key.seal(&sealed(&record.app.namespace, &name, text.as_bytes()));
    let mut data = json!({
        "format": base64_encode(FORMAT.as_bytes()),
        "record": base64_encode(text.as_bytes()),
        "key": base64_encode(key.mark().as_bytes()),
        "mac": base64_encode(&seal),
    });
    if let Some(first) = pieces.first() {
        data["payload"] = base64_encode(first).into();
    }
    let parts = pieces.iter().enumerate().skip(1).map(|(n, piece)| {
        let part = part_name(&record.app, record.number, n);
        let mut secret = secret(record, &part, &json!({"payload": base64_encode(piece)}));
        secret["metadata"]["labels"][names::RELEASE_PART_LABEL] = n.to_string().into();
        secret
    });
    parts.chain([secret(record, &name, &data)]).collect()
}

/// Returns what the seal is over: the record, and the place where it lies.
pub(crate) fn sealed(namespace: &str, name: &str, record: &[u8]) -> Vec<u8> {
    let mut text = format!("{} {FORMAT}\n{namespace}/{name}\n", names::RELEASE_TYPE).into_bytes();
    text.extend_from_slice(record);
    text
}

fn secret(record: &Record, name: &str, data: &Value) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Secret", "type": names::RELEASE_TYPE,
        "metadata": {
            "name": name,
            "namespace": record.app.namespace,
            "labels": {names::RELEASE_OF_LABEL: tracking::part_of_label(&record.app)},
            "ownerReferences": [{
                "apiVersion": "argoproj.io/v1alpha1", "kind": "Application", "name": record.app.name,
                "uid": record.app_uid, "controller": false, "blockOwnerDeletion": false,
            }],
        },
        "data": data,
    })
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::{Cause, Timings, Verdict};
    use model::{AppKey, DesiredHash, ObjectKey, Reason, Revision};

    pub(crate) fn key() -> Key {
        Key::new(&[7; 32]).unwrap()
    }

    pub(crate) fn record() -> Record {
        let at = |text: &str| Some(text.parse().unwrap());
        Record {
            app: AppKey::new("argocd", "shop"),
            app_uid: "u-1".into(),
            number: 3,
            hash: DesiredHash(digest(b"content")),
            revision: Revision::new("1".repeat(40)),
            verdict: Verdict::Failed,
            reason: Some(Reason::HealthTimeout),
            message: "web does not start".into(),
            cause: Cause::NewRevision,
            initiated_by: "ada".into(),
            source_type: "Directory".into(),
            repo_url: "https://git.example.com/shop.git".into(),
            path: "apps/shop".into(),
            timings: Timings {
                seen: at("2026-01-01T10:00:00Z"),
                started: at("2026-01-01T10:00:01Z"),
                applied: at("2026-01-01T10:00:02.250Z"),
                healthy: None,
                settled: at("2026-01-01T10:05:00Z"),
                restored: None,
            },
            created: vec![ObjectKey::new("apps", "Deployment", "shop", "web")],
            images: vec!["registry.example.com/web:1".into()],
            n_objects: 2,
        }
    }

    /// Objects whose text does not compress: about `bytes` of it.
    pub(crate) fn objects(bytes: usize) -> Vec<Value> {
        let noise =
            |i: usize| (0..16).map(|j| digest(format!("{i} {j}").as_bytes()).to_string()).collect::<String>();
        (0..bytes.div_ceil(512).max(1))
            .map(|i| json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": format!("s{i}")}, "data": {"noise": noise(i)}}))
            .collect()
    }

    pub(crate) fn pack(objects: &[Value]) -> Payload {
        Payload::pack(objects.iter().map(|object| object.as_object().unwrap())).unwrap()
    }

    #[test]
    fn the_secret_is_pinned() {
        let secrets = seal(&record(), None, &key(), ROOM);
        let mut secret = secrets[0].clone();
        assert_eq!(secrets.len(), 1);
        let data = secret["data"].take();
        let expected = json!({
            "apiVersion": "v1", "kind": "Secret", "type": "tautline.dev/release",
            "metadata": {
                "name": "tautline-release.shop.v3", "namespace": "argocd",
                "labels": {"tautline.dev/release-of": tracking::part_of_label(&record().app)},
                "ownerReferences": [{
                    "apiVersion": "argoproj.io/v1alpha1", "kind": "Application", "name": "shop", "uid": "u-1",
                    "controller": false, "blockOwnerDeletion": false,
                }],
            },
            "data": null,
        });
        assert_eq!(secret, expected);
        assert_eq!(data["format"], base64_encode(b"1"));
        assert_eq!(data["record"], base64_encode(record::write(&record(), None).as_bytes()));
        assert_eq!(data["mac"], "GX57rn/vdK7+Bw4pwAI4OFbt61Qck/i2e8KlMpla3Ow=");
        assert_eq!(data["key"], base64_encode(key().mark().as_bytes()));
    }

    #[test]
    fn what_is_larger_than_a_secret_may_be_is_split_and_its_head_comes_last() {
        let payload = pack(&objects(3 << 20));
        let secrets = seal(&record(), Some(&payload), &key(), ROOM);
        let names: Vec<&str> = secrets.iter().map(|s| s["metadata"]["name"].as_str().unwrap()).collect();
        assert!(names.len() > 3, "{names:?}");
        assert_eq!(names[0], "tautline-release.shop.v3.p1");
        assert_eq!(names[names.len() - 1], "tautline-release.shop.v3");
        for secret in &secrets {
            let text = secret.to_string();
            assert!(text.len() < 1_400_000, "{} bytes", text.len());
            let is_part = secret["metadata"]["labels"]["tautline.dev/release-part"].is_string();
            assert_eq!(is_part, secret["data"]["record"].is_null());
            assert_eq!(
                secret["metadata"]["labels"]["tautline.dev/instance"],
                Value::Null,
                "no managed object"
            );
        }
    }
}
