//! How is it written down which contents were bad, and at which release an app is held?

use model::{Bad, DesiredHash, Held, HeldStage, Reason, Revision, Stable};
use serde_json::{Map, Value, json};

/// Longest sentence that is kept, in characters; the whole one stands in event, log and release.
const LONGEST: usize = 400;

pub(super) fn bad(bad: &Bad) -> Value {
    json!({
        "desired": bad.hash.to_string(),
        "revision": bad.revision.as_str(),
        "reason": bad.reason.as_str(),
        "message": cut(&bad.message),
        "startedAt": bad.started_at.to_string(),
        "failedAt": bad.failed_at.to_string(),
    })
}

pub(super) fn read_bad(value: &Value) -> Option<Bad> {
    let text = |field: &str| value[field].as_str();
    Some(Bad {
        hash: DesiredHash::parse(text("desired")?)?,
        revision: Revision::new(text("revision")?),
        reason: Reason::parse(text("reason")?)?,
        message: text("message").unwrap_or_default().to_owned(),
        started_at: text("startedAt")?.parse().ok()?,
        failed_at: text("failedAt")?.parse().ok()?,
    })
}

pub(super) fn held(held: &Held) -> Value {
    let Held { at, bad: why, stage, has_chance, until_resumed } = held;
    let mut fields = Map::new();
    fields.insert("release".into(), at.number.into());
    fields.insert("desired".into(), at.hash.to_string().into());
    fields.insert("revision".into(), at.revision.as_str().into());
    fields.insert("stage".into(), stage.as_str().into());
    fields.insert("bad".into(), bad(why));
    if at.is_baseline {
        fields.insert("baseline".into(), true.into());
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
        has_chance: value["chance"] == true,
        until_resumed: value["untilResumed"] == true,
    })
}

fn cut(text: &str) -> String {
    if text.chars().count() <= LONGEST {
        return text.to_owned();
    }
    text.chars().take(LONGEST - 1).chain(['…']).collect()
}
