//! How is it written down which contents were bad, and at which release an app is held?

use model::{Again, Bad, DesiredHash, Held, HeldStage, Reason, Revision, Stable};
use serde_json::{Map, Value, json};

/// Longest sentence that is kept, in characters; the whole one stands in event, log and release.
const LONGEST: usize = 400;

pub(super) fn bad(bad: &Bad) -> Value {
    let mut fields = json!({
        "desired": bad.hash.to_string(),
        "revision": bad.revision.as_str(),
        "reason": bad.reason.as_str(),
        "message": cut(&bad.message),
        "startedAt": bad.started_at.to_string(),
        "failedAt": bad.failed_at.to_string(),
    });
    for (field, at) in [("seenAt", bad.seen_at), ("appliedAt", bad.applied_at)] {
        if let Some(at) = at {
            fields[field] = at.to_string().into();
        }
    }
    fields
}

pub(super) fn read_bad(value: &Value) -> Option<Bad> {
    let text = |field: &str| value[field].as_str();
    Some(Bad {
        hash: DesiredHash::parse(text("desired")?)?,
        revision: Revision::new(text("revision")?),
        reason: Reason::parse(text("reason")?)?,
        message: text("message").unwrap_or_default().to_owned(),
        seen_at: text("seenAt").and_then(|at| at.parse().ok()),
        applied_at: text("appliedAt").and_then(|at| at.parse().ok()),
        started_at: text("startedAt")?.parse().ok()?,
        failed_at: text("failedAt")?.parse().ok()?,
    })
}

pub(super) fn held(held: &Held) -> Value {
    let Held { at, bad: why, stage, again, was_reverted, has_chance, until_resumed } = held;
    let mut fields = Map::new();
    fields.insert("release".into(), at.number.into());
    fields.insert("desired".into(), at.hash.to_string().into());
    fields.insert("revision".into(), at.revision.as_str().into());
    fields.insert("stage".into(), stage.as_str().into());
    fields.insert("bad".into(), bad(why));
    if at.is_baseline {
        fields.insert("baseline".into(), true.into());
    }
    match again {
        Again::Quarantined => {}
        Again::At(at, times) => {
            fields.insert("again".into(), json!({"at": at.to_string(), "times": times}));
        }
        Again::Now(times) => {
            fields.insert("again".into(), json!({"times": times}));
        }
        Again::No => {
            fields.insert("again".into(), false.into());
        }
    }
    if *was_reverted {
        fields.insert("reverted".into(), true.into());
    }
    if *has_chance {
        fields.insert("chance".into(), true.into());
    }
    if *until_resumed {
        fields.insert("untilResumed".into(), true.into());
    }
    if !stage.why().is_empty() {
        fields.insert("why".into(), cut(stage.why()).into());
    }
    Value::Object(fields)
}

pub(super) fn read_held(value: &Value) -> Option<Held> {
    let text = |field: &str| value[field].as_str();
    let at = Stable {
        number: value["release"].as_u64()?,
        hash: DesiredHash::parse(text("desired")?)?,
        revision: Revision::new(text("revision")?),
        is_baseline: value["baseline"] == true,
    };
    let stage = HeldStage::parse(text("stage")?, text("why").unwrap_or_default())?;
    Some(Held {
        at,
        bad: read_bad(&value["bad"])?,
        stage,
        again: read_again(&value["again"])?,
        was_reverted: value["reverted"] == true,
        has_chance: value["chance"] == true,
        until_resumed: value["untilResumed"] == true,
    })
}

fn read_again(value: &Value) -> Option<Again> {
    let times = || u32::try_from(value["times"].as_u64()?).ok();
    match (value, value.get("at")) {
        (Value::Null, _) => Some(Again::Quarantined),
        (Value::Bool(false), _) => Some(Again::No),
        (_, Some(at)) => Some(Again::At(at.as_str()?.parse().ok()?, times()?)),
        (_, None) => Some(Again::Now(times()?)),
    }
}

fn cut(text: &str) -> String {
    if text.chars().count() <= LONGEST {
        return text.to_owned();
    }
    text.chars().take(LONGEST - 1).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::Timestamp;

    #[test]
    fn whether_a_commit_is_tried_again_is_read_as_it_was_written() {
        let hash = DesiredHash(model::digest(b"b"));
        let at = Timestamp::from_millis(60_000);
        for again in [Again::Quarantined, Again::At(at, 2), Again::Now(1), Again::No] {
            let known = Held {
                at: Stable { number: 3, hash, revision: Revision::new("a"), is_baseline: false },
                bad: Bad {
                    hash,
                    revision: Revision::new("b"),
                    reason: Reason::HealthTimeout,
                    message: "no room".into(),
                    seen_at: Some(at),
                    applied_at: None,
                    started_at: at,
                    failed_at: at,
                },
                stage: HeldStage::Restored,
                again,
                was_reverted: again == Again::Quarantined,
                has_chance: false,
                until_resumed: false,
            };
            assert_eq!(read_held(&held(&known)), Some(known));
        }
    }
}
