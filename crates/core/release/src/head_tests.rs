//! What does not verify is not used, whoever made it and whatever was changed.

use super::*;
use crate::seal::tests::{key, objects, pack, record};
use crate::{Cause, ROOM, Verdict, seal};
use model::{DesiredHash, ObjectKey, Revision, base64_encode};
use proptest::prelude::*;
use serde_json::json;

fn sealed_with(record: &Record, n_bytes: usize, room: usize) -> Vec<Value> {
    seal(record, Some(&pack(&objects(n_bytes))), &key(), room)
}

fn open(secrets: &[Value]) -> Result<Vec<Value>, Box<Refusal>> {
    let (head, parts) = secrets.split_last().unwrap();
    let part = |name: &str| parts.iter().find(|part| part["metadata"]["name"] == name);
    open_payload(head, part, Some(&key())).map(|(_, objects)| objects)
}

fn why(secret: &Value) -> Why {
    open_head(secret, Some(&key())).unwrap_err().why
}

#[test]
fn what_was_sealed_is_opened() {
    let secrets = sealed_with(&record(), 1, ROOM);
    let head = open_head(&secrets[0], Some(&key())).unwrap();
    assert_eq!(head.record, record());
    assert_eq!(head.payload, PayloadState::Kept { parts: 0 });
    assert_eq!(head.belongs_to(&record().app, "u-1"), Ok(()));
    assert_eq!(open(&secrets).unwrap(), objects(1));
}

#[test]
fn a_split_release_is_whole_or_not_at_all() {
    let secrets = sealed_with(&record(), 3 << 20, ROOM);
    let n_parts = secrets.len() - 1;
    assert_eq!(open(&secrets).unwrap(), objects(3 << 20));
    for lost in 0..n_parts {
        let mut cut = secrets.clone();
        cut.remove(lost);
        assert_eq!(open(&cut).unwrap_err().why, Why::MissingPart(lost + 1, n_parts));
    }
    let mut swapped = secrets.clone();
    let (first, second) = (swapped[0]["data"].take(), swapped[1]["data"].take());
    (swapped[0]["data"], swapped[1]["data"]) = (second, first);
    assert_eq!(open(&swapped).unwrap_err().why, Why::Changed);
    let mut spoilt = secrets;
    spoilt[1]["data"]["payload"] = "*".into();
    assert_eq!(open(&spoilt).unwrap_err().why, Why::Damaged("its payload cannot be read"));
}

// N40: planted, edited, replayed and swapped releases
#[test]
fn whatever_is_changed_in_a_record_no_longer_matches() {
    let good = seal(&record(), None, &key(), ROOM).remove(0);
    let changes: Vec<Record> = vec![
        Record { app: AppKey::new("argocd", "bank"), ..record() },
        Record { app: AppKey::new("other", "shop"), ..record() },
        Record { app_uid: "u-2".into(), ..record() },
        Record { number: 4, ..record() },
        Record { hash: DesiredHash(digest(b"other")), ..record() },
        Record { revision: Revision::new("2".repeat(40)), ..record() },
        Record { verdict: Verdict::Stable, ..record() },
        Record { reason: None, ..record() },
        Record { message: "fine".into(), ..record() },
        Record { cause: Cause::Baseline, ..record() },
        Record { initiated_by: String::new(), ..record() },
        Record { source_type: "Helm".into(), ..record() },
        Record { repo_url: "https://evil.example.com".into(), ..record() },
        Record { path: "elsewhere".into(), ..record() },
        Record { timings: crate::Timings::default(), ..record() },
        Record { created: vec![ObjectKey::new("", "Secret", "other", "victim")], ..record() },
        Record { images: Vec::new(), ..record() },
        Record { n_objects: 0, ..record() },
    ];
    for changed in changes {
        let mut forged = good.clone();
        forged["data"]["record"] = base64_encode(record::write(&changed, None).as_bytes()).into();
        assert_eq!(why(&forged), Why::Changed, "{changed:?}");
    }
}

// N40: planted, edited, replayed and swapped releases
#[test]
fn a_seal_does_not_hold_elsewhere_nor_for_another_payload() {
    let secrets = sealed_with(&record(), 1, ROOM);
    let mut renumbered = secrets[0].clone();
    renumbered["metadata"]["name"] = "tautline-release.shop.v9".into();
    assert_eq!(why(&renumbered), Why::Changed);
    let mut moved = secrets[0].clone();
    moved["metadata"]["namespace"] = "other".into();
    assert_eq!(why(&moved), Why::Changed);
    let other = Record { number: 4, verdict: Verdict::Stable, ..record() };
    let mut swapped = secrets[0].clone();
    swapped["data"]["payload"] = sealed_with(&other, 5_000, ROOM)[0]["data"]["payload"].clone();
    assert_eq!(open(&[swapped]).unwrap_err().why, Why::Changed);
    let foreign = Key::new(&[8; 32]).unwrap();
    assert_eq!(why(&seal(&record(), None, &foreign, ROOM)[0]), Why::OtherKey);
    assert_eq!(open_head(&secrets[0], None).unwrap_err().why, Why::OtherKey, "without a key nothing is ours");
    let head = open_head(&secrets[0], Some(&key())).unwrap();
    for (app, uid) in [("shop", "u-2"), ("bank", "u-1")] {
        let refused = head.belongs_to(&AppKey::new("argocd", app), uid).unwrap_err();
        assert_eq!(refused.why, Why::Foreign);
    }
}

#[test]
fn what_is_missing_or_newer_is_told() {
    let good = sealed_with(&record(), 1, ROOM).remove(0);
    let with = |field: &str, value: Value| {
        let mut changed = good.clone();
        changed["data"][field] = value;
        why(&changed)
    };
    assert_eq!(with("format", Value::Null), Why::Damaged("it does not say its format"));
    assert_eq!(with("format", base64_encode(b"2").into()), Why::NewerFormat("2".into()));
    assert_eq!(with("format", base64_encode(b"\x1b[31m").into()), Why::Damaged("its format is no number"));
    assert_eq!(with("record", "*".into()), Why::Damaged("it has no record that can be read"));
    assert_eq!(with("mac", json!(7)), Why::Damaged("it has no seal that can be read"));
    assert_eq!(with("mac", "".into()), Why::Changed);
    let mut opaque = good.clone();
    opaque["type"] = "Opaque".into();
    assert_eq!(why(&opaque), Why::Damaged("its Secret has another type"));
    assert_eq!(why(&json!({"type": names::RELEASE_TYPE})), Why::Damaged("it does not say its format"));
}

#[test]
fn a_payload_that_was_trimmed_leaves_a_record_that_matches() {
    let mut secret = sealed_with(&record(), 1, ROOM).remove(0);
    secret["data"].as_object_mut().unwrap().remove("payload");
    let head = open_head(&secret, Some(&key())).unwrap();
    assert_eq!(head.payload, PayloadState::Trimmed);
    assert_eq!(open(&[secret]).unwrap_err().why, Why::NoPayload);
    let bare = seal(&record(), None, &key(), ROOM);
    assert_eq!(open_head(&bare[0], Some(&key())).unwrap().payload, PayloadState::None);
    assert_eq!(open(&bare).unwrap_err().why, Why::NoPayload);
}

#[test]
fn sentences_say_what_is_wrong_where_and_what_to_do() {
    let secret = &sealed_with(&record(), 1, ROOM)[0];
    let sentence = |change: &dyn Fn(&mut Value)| {
        let mut changed = secret.clone();
        change(&mut changed);
        open(&[changed]).unwrap_err().to_string()
    };
    let delete = "delete Secret argocd/tautline-release.shop.v3 if nobody needs it";
    assert_eq!(
        sentence(&|s| s["data"]["mac"] = "".into()),
        format!(
            "release 3 of argocd/shop does not match its seal: it was edited, copied or made by somebody else; it is not \
             used, find out who did that, and {delete}"
        )
    );
    assert_eq!(
        sentence(&|s| s["data"]["format"] = base64_encode(b"2").into()),
        format!(
            "release 3 of argocd/shop is of format 2, and this agent reads format 1: run the version that wrote it, or {delete}"
        )
    );
    let strange = sentence(&|s| s["metadata"]["name"] = "x\u{1b}[31m".into());
    assert!(!strange.contains('\u{1b}'), "{strange}");
    assert!(strange.starts_with("Secret argocd/x"), "{strange}");
    let absent = Refusal::absent(&record().app, 12).to_string();
    assert_eq!(
        absent,
        "release 12 of argocd/shop does not exist; `tautline app history shop` lists those that do"
    );
}

#[test]
fn a_list_keeps_the_good_beside_the_bad_and_tells_apps_apart() {
    let mut listing = Listing::default();
    let newer = Record { number: 10, ..record() };
    let former = Record { number: 1, app_uid: "u-0".into(), ..record() };
    let bank = Record { app: AppKey::new("argocd", "bank"), ..record() };
    for record in [&newer, &record(), &former, &bank] {
        listing.add(&seal(record, None, &key(), ROOM)[0], Some(&key()));
    }
    let mut planted = seal(&Record { number: 7, ..record() }, None, &key(), ROOM).remove(0);
    planted["data"]["mac"] = "".into();
    listing.add(&planted, Some(&key()));
    listing.sort();
    let shop = listing.of(&record().app, "u-1");
    let numbers: Vec<u64> = shop.heads.iter().map(|head| head.record.number).collect();
    assert_eq!(numbers, [3, 10]);
    let refused: Vec<_> = shop.refused.iter().map(|refusal| (refusal.number, refusal.why.clone())).collect();
    assert_eq!(refused, [(Some(1), Why::Foreign), (Some(7), Why::Changed)]);
    assert_eq!(listing.of(&bank.app, "u-1").heads.len(), 1);
}

proptest! {
    #[test]
    fn no_byte_of_a_release_can_be_changed(at in 0_usize..1_000_000, bit in 0_u8..8, field in 0_usize..3) {
        let field = ["record", "mac", "payload"][field];
        let mut secret = sealed_with(&record(), 600, ROOM).remove(0);
        let mut bytes = entry(&secret, field).unwrap();
        let at = at % bytes.len();
        bytes[at] ^= 1 << bit;
        secret["data"][field] = base64_encode(&bytes).into();
        prop_assert_eq!(open(&[secret]).unwrap_err().why, Why::Changed);
    }

    #[test]
    fn whatever_lies_there_is_answered(data in prop::collection::btree_map("format|record|mac|key|payload", ".{0,40}", 0..5)) {
        let secret = json!({"type": names::RELEASE_TYPE, "metadata": {"name": "tautline-release.shop.v3"}, "data": data});
        prop_assert!(open(&[secret]).is_err());
    }
}
