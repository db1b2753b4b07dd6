//! Did the last run of a `CronJob` go well?
//!
//! The status alone cannot tell a first run that failed from one that was never due, so only a success followed by a
//! later run without success counts against it.

use crate::read::{at, items, text};
use crate::say::{degraded, progressing, suspended};
use model::{Health, Object, Timestamp};
use serde_json::Value;

pub(crate) fn assess(live: &Object) -> Health {
    if at(live, "spec/suspend").and_then(Value::as_bool) == Some(true) {
        return suspended("CronJob is suspended");
    }
    if at(live, "status").is_none() {
        return progressing("Waiting for the CronJob controller to see the object");
    }
    if !items(live, "status/active").is_empty() {
        return Health::healthy();
    }
    let time = |field: &str| text(live, field).parse::<Timestamp>().ok();
    match (time("status/lastScheduleTime"), time("status/lastSuccessfulTime")) {
        (Some(run), Some(success)) if success < run => {
            degraded(format!("The run of {run} did not succeed; the last success was at {success}"))
        }
        _ => Health::healthy(),
    }
}
