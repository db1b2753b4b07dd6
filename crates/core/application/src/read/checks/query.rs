//! Which query does a check ask of Prometheus, and which values are as they should be?

use super::fields::Fields;
use crate::findings::Findings;
use model::{Bound, NoData, QueryProbe};

/// Longest expression: it becomes part of a URL.
const LONGEST_EXPR: usize = 4_000;

const FIELDS: [&str; 6] = ["expr", "below", "above", "atMostTimes", "atLeastTimes", "noData"];
const BOUNDS: [&str; 4] = ["below", "above", "atMostTimes", "atLeastTimes"];

pub(super) fn read(fields: &Fields<'_>, findings: &mut Findings) -> Option<QueryProbe> {
    fields.know(&FIELDS, findings);
    let expr = fields.text("expr", findings);
    if expr.is_some_and(|expr| expr.len() > LONGEST_EXPR) {
        findings.problem(&fields.path("expr"), format!("is longer than {LONGEST_EXPR} bytes"));
    }
    let (bound, no_data) = (bound(fields, findings), no_data(fields, findings));
    Some(QueryProbe { expr: expr?.to_owned(), bound: bound?, no_data: no_data? })
}

fn bound(fields: &Fields<'_>, findings: &mut Findings) -> Option<Bound> {
    let given: Vec<&str> = BOUNDS.into_iter().filter(|bound| fields.get(bound).is_some()).collect();
    let [name] = given.as_slice() else {
        let sentence = match given.as_slice() {
            [] => format!("has no bound: one of {}", BOUNDS.join(", ")),
            several => format!("has {} bounds: {}", several.len(), several.join(", ")),
        };
        findings.problem(fields.place(), sentence);
        return None;
    };
    let value = fields.get(name)?;
    let Some(number) = value.as_f64().filter(|number| number.is_finite()) else {
        fields.is_no(name, "a number", value, findings);
        return None;
    };
    if matches!(*name, "atMostTimes" | "atLeastTimes") && number <= 0.0 {
        findings.problem(&fields.path(name), "must be above 0");
        return None;
    }
    Some(match *name {
        "below" => Bound::Below(number),
        "above" => Bound::Above(number),
        "atMostTimes" => Bound::AtMostTimes(number),
        _ => Bound::AtLeastTimes(number),
    })
}

fn no_data(fields: &Fields<'_>, findings: &mut Findings) -> Option<NoData> {
    match fields.get("noData") {
        None => Some(NoData::Fail),
        Some(value) if value == "fail" => Some(NoData::Fail),
        Some(value) if value == "pass" => Some(NoData::Pass),
        Some(_) => {
            findings.problem(&fields.path("noData"), "must be one of fail, pass");
            None
        }
    }
}
