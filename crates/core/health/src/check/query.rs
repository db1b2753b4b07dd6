//! Is the value of a query within its bound? (Prometheus documentation, "HTTP API".)

use crate::text;
use model::{Bound, Look, NoData, QueryProbe, Relayed};
use serde_json::Value;

/// Judges what Prometheus said; `before` is what it said of the sync's start, where that was asked.
pub fn query(probe: &QueryProbe, now: &Relayed, before: Option<&Relayed>) -> Look {
    let value = match value(now) {
        Err(why) => return Look::Unknown(why),
        Ok(Some(value)) => value,
        Ok(None) => {
            return match probe.no_data {
                NoData::Fail => Look::Failed("no data".into()),
                NoData::Pass => Look::Passed,
            };
        }
    };
    let (times, is_most) = match probe.bound {
        Bound::Below(bound) => return bounded(value < bound, format!("{}, not below {bound}", shown(value))),
        Bound::Above(bound) => return bounded(value > bound, format!("{}, not above {bound}", shown(value))),
        Bound::AtMostTimes(times) => (times, true),
        Bound::AtLeastTimes(times) => (times, false),
    };
    let start = match before.map(self::value) {
        Some(Ok(Some(start))) => start,
        Some(Ok(None)) | None => {
            // That there was nothing before is no fault of what came.
            return match probe.no_data {
                NoData::Fail => Look::Unknown("no data at the sync's start to compare with".into()),
                NoData::Pass => Look::Passed,
            };
        }
        Some(Err(why)) => return Look::Unknown(format!("at the sync's start: {why}")),
    };
    if start == 0.0 {
        // However little more than nothing it is, it is more times as much.
        return Look::Unknown("was 0 at the sync's start, which nothing can be compared with".into());
    }
    let (holds, word) =
        if is_most { (value <= times * start, "more") } else { (value >= times * start, "less") };
    bounded(
        holds,
        format!("{}, {word} than {times} times the {} at the sync's start", shown(value), shown(start)),
    )
}

fn bounded(holds: bool, why: String) -> Look {
    if holds { Look::Passed } else { Look::Failed(why) }
}

/// Reads the one value of an answer; `None` where there is none. The error says why nothing is known.
fn value(relayed: &Relayed) -> Result<Option<f64>, String> {
    let (status, body) = match relayed {
        Relayed::Answer { status, body, .. } => (status, body),
        Relayed::Refused { status, message } => {
            return Err(format!("Prometheus cannot be asked: {} ({status})", text::clean(message)));
        }
        Relayed::Silence => return Err("Prometheus did not answer in time".into()),
        Relayed::Failed(why) => return Err(format!("Prometheus cannot be asked: {}", text::clean(why))),
    };
    let Ok(answer) = serde_json::from_slice::<Value>(body) else {
        return Err(format!("what answers is no Prometheus: {status} without JSON"));
    };
    match answer["status"].as_str() {
        Some("success") => one_value(&answer["data"]),
        Some("error") => {
            let said = text::clean(answer["error"].as_str().unwrap_or_default());
            Err(format!("Prometheus answers {status}: {said}"))
        }
        Some(_) | None => Err(format!("what answers is no Prometheus: {status} with other JSON")),
    }
}

fn one_value(data: &Value) -> Result<Option<f64>, String> {
    let sample = match (data["resultType"].as_str().unwrap_or_default(), data["result"].as_array()) {
        ("scalar", Some(sample)) => sample.get(1),
        ("vector", Some(elements)) => match elements.as_slice() {
            [] => return Ok(None),
            [element] => element["value"].get(1),
            several => {
                return Err(format!("the query has {} values; make them one, as by sum()", several.len()));
            }
        },
        (kind, _) => return Err(format!("the query is no single value but a {}", text::clean(kind))),
    };
    let number = sample.and_then(Value::as_str).and_then(|text| text.parse::<f64>().ok());
    let number = number.ok_or("Prometheus answers a value that is no number")?;
    Ok(Some(number).filter(|number| !number.is_nan()))
}

/// Writes a number with as many digits as people read.
fn shown(value: f64) -> String {
    format!("{value:.3e}").parse::<f64>().unwrap_or(value).to_string()
}
