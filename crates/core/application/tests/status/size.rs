//! What is left out of a status that does not fit?

use crate::{after, at, draft, operation, plain};
use application::condition::{Condition, ConditionKind};
use application::status::{Detail, Draft, patch};
use model::{ErrorClass, ObjectKey, ObjectOutcome, ObjectResult};
use serde_json::Value;

#[test]
fn a_status_that_is_too_large_leaves_out_what_matters_least_and_says_so() {
    let mut operation = operation();
    let failed = ObjectOutcome::Failed(ErrorClass::Invalid, "no".into());
    let refused = ObjectResult {
        key: ObjectKey::new("", "Service", "shop", "bad"),
        version: "v1".into(),
        outcome: failed,
        images: Vec::new(),
    };
    operation.results.push(refused);
    let n_results = operation.results.len();
    assert!(n_results > 1);
    let draft = Draft { operation: Some(operation), append_history: true, ..draft() };
    let told = |detail: Detail| after(&plain(), &draft.clone().cut(detail))["status"].clone();
    let count =
        |status: &Value, list: &str| status.pointer(list).and_then(Value::as_array).map_or(0, Vec::len);
    let results = "/operationState/syncResult/resources";
    let (whole, failures, words) = (told(Detail::Whole), told(Detail::Failures), told(Detail::Words));
    assert_eq!([&whole, &failures, &words].map(|status| count(status, results)), [n_results, 1, 0]);
    assert_eq!(failures.pointer(results).unwrap()[0]["name"], "bad");
    assert_eq!(
        (count(&failures, "/resources"), count(&words, "/resources")),
        (count(&whole, "/resources"), 0)
    );
    for status in [&failures, &words] {
        for field in
            ["/sync", "/health/status", "/operationState/phase", "/operationState/message", "/history"]
        {
            assert_eq!(status.pointer(field), whole.pointer(field), "{field}");
        }
    }
    assert_eq!(failures["conditions"], whole["conditions"]);
    let conditions = words["conditions"].to_string();
    assert!(
        conditions.contains("UnknownError") && conditions.contains("too large to be stored"),
        "{conditions}"
    );
    // What the status lists already stays.
    let kept = after(&after(&plain(), &draft), &draft.clone().cut(Detail::Words));
    assert_eq!(kept["status"]["resources"], whole["resources"]);
    assert_eq!(Detail::Whole.less().and_then(Detail::less), Some(Detail::Words));
    assert_eq!(Detail::Words.less(), None);
}

#[test]
fn where_nothing_else_fits_thousands_of_conditions_are_told_by_the_first_of_each_type_and_a_number() {
    let problem = |n: usize| {
        let message = format!("object {n:04} cannot be compared: {}", "x".repeat(300));
        Condition::new(ConditionKind::ComparisonError, message)
    };
    let told = |n_problems: usize| {
        let read_only = Condition::new(ConditionKind::SyncError, "Read-only");
        let conditions = (0..n_problems).map(problem).chain([read_only]).collect();
        let cut = Draft { conditions, ..draft() }.cut(Detail::Words);
        patch(&plain(), &cut, "argocd", at("05")).unwrap()
    };
    let ours = |patch: &Value| {
        let conditions = patch["status"]["conditions"].as_array().unwrap();
        let ours = conditions.iter().find(|condition| condition["type"] == "UnknownError").unwrap();
        (conditions.len(), ours["message"].as_str().unwrap().to_owned())
    };
    let (many, few) = (told(3_000), told(20));
    let text = many.to_string();
    assert!(text.len() < 100_000, "{}", text.len());
    let (n_told, message) = ours(&many);
    assert!(n_told == 22 && message.contains("of each type, and 2980 more"), "{n_told}: {message}");
    assert!(text.contains("object 0019") && !text.contains("object 0020"));
    // The next life learns from it that nothing may be changed.
    assert!(text.contains("Read-only"));
    let (n_told, message) = ours(&few);
    assert!(n_told == 22 && !message.contains("more"), "{n_told}: {message}");
}
