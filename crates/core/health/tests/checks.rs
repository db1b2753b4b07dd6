//! Do the checks of an app say what the fixtures expect?
//!
//! `fixtures/checks/<passed|failed|waits|unknown>_<why>.yaml` is one look: what was declared, and what was answered. Files are JSON,
//! which is YAML, below comment lines; `# sentence:` is what must be said.

#![expect(clippy::unwrap_used, reason = "a fixture that cannot be read fails the test")]

use health::check;
use model::{Bound, HttpProbe, Look, NoData, Object, QueryProbe, Relayed, Scheme, Seconds};
use serde_json::Value;
use std::path::Path;

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn code(value: &Value) -> u16 {
    u16::try_from(value.as_u64().unwrap()).unwrap()
}

fn millis(value: &Value) -> Seconds {
    Seconds::from_millis(value.as_i64().unwrap())
}

fn http_probe(value: &Value) -> HttpProbe {
    HttpProbe {
        namespace: "shop".into(),
        service: text(&value["service"]),
        port: text(&value["port"]),
        path: text(&value["path"]),
        scheme: Scheme::Http,
        statuses: value["status"].as_array().unwrap().iter().map(code).collect(),
        within: millis(&value["within"]),
    }
}

fn query_probe(value: &Value) -> QueryProbe {
    let number = |name: &str| value[name].as_f64();
    let bound = number("below").map(Bound::Below).or(number("above").map(Bound::Above));
    let bound = bound.or(number("atMostTimes").map(Bound::AtMostTimes));
    let bound = bound.or(number("atLeastTimes").map(Bound::AtLeastTimes)).unwrap();
    let no_data = if value["noData"] == "pass" { NoData::Pass } else { NoData::Fail };
    QueryProbe { expr: text(&value["expr"]), bound, no_data }
}

fn relayed(value: &Value) -> Relayed {
    if value == "silence" {
        return Relayed::Silence;
    }
    if value["failed"].is_string() {
        return Relayed::Failed(text(&value["failed"]));
    }
    if value["refused"].is_u64() {
        return Relayed::Refused { status: code(&value["refused"]), message: text(&value["message"]) };
    }
    Relayed::Answer {
        status: code(&value["status"]),
        body: text(&value["body"]).into_bytes(),
        took: millis(&value["took"]),
    }
}

fn look(case: &Value) -> Look {
    let answer = || relayed(&case["answer"]);
    if case["http"].is_object() {
        return check::confirmed(&http_probe(&case["http"]), &answer(), &relayed(&case["control"]));
    }
    if case["query"].is_object() {
        let before = case.get("before").map(relayed);
        return check::query(&query_probe(&case["query"]), &answer(), before.as_ref());
    }
    check::job(&Object::from_value(case["job"].clone()).unwrap())
}

#[test]
#[expect(clippy::disallowed_methods, reason = "fixtures are files; the crate itself reads none")]
fn every_answer_says_what_it_should() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../fixtures/checks");
    let mut n_cases = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let file = std::fs::read_to_string(&path).unwrap();
        let (comments, json): (Vec<&str>, Vec<&str>) = file.lines().partition(|line| line.starts_with('#'));
        let sentence = comments.iter().find_map(|line| line.strip_prefix("# sentence:")).unwrap().trim();
        let look = look(&serde_json::from_str(&json.join("\n")).unwrap());
        let word = match &look {
            Look::Passed => "passed",
            Look::Failed(_) => "failed",
            Look::Waits(_) => "waits",
            Look::Unknown(_) => "unknown",
        };
        let name = path.file_name().unwrap().to_str().unwrap();
        assert!(name.starts_with(&format!("{word}_")), "{name}: {look:?}");
        assert_eq!(look.why_not().unwrap_or_default(), sentence, "{name}");
        n_cases += 1;
    }
    assert!(n_cases >= 40, "{n_cases} cases");
}

proptest::proptest! {
    /// Whatever a Service answers is an answer, and nothing of it is repeated.
    #[test]
    fn no_body_is_quoted(body in "[a-z{}\":,\\[\\]0-9]{0,80}", status in 200_u16..600) {
        let probe = query_probe(&serde_json::json!({"expr": "up", "above": 1}));
        let relayed = Relayed::Answer { status, body: format!("secretword{body}").into_bytes(), took: Seconds::ZERO };
        let look = check::query(&probe, &relayed, None);
        assert!(!look.why_not().unwrap_or_default().contains("secretword"), "{look:?}");
    }
}
