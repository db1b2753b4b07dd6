//! Is what we print read back as the same value? By our own reader, which `golden.rs` holds against kubectl, and, for
//! the cases whose names begin with `printed_`, by kubectl itself.

#![expect(clippy::unwrap_used, reason = "a test stops at what should not happen")]

use manifest::{parse, to_yaml};
use proptest::prelude::*;
use serde_json::{Value, json};

fn object(data: &Value) -> Value {
    json!({"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": "w"}, "data": data})
}

/// Prints and reads back; the text where the value changed.
fn changed(data: &Value) -> Option<String> {
    let printed = to_yaml(&object(data));
    let (parsed, problems) = parse("printed.yaml", printed.as_bytes());
    let is_same = problems.is_empty() && parsed.len() == 1 && parsed[0].object.to_value() == object(data);
    (!is_same).then(|| format!("{problems:?}\n{printed}"))
}

/// Text that some reader of YAML takes for something else.
const LOOKALIKES: [&str; 84] = [
    "",
    " ",
    "  x",
    "x  ",
    "~",
    "null",
    "Null",
    "NULL",
    "y",
    "Y",
    "yes",
    "Yes",
    "n",
    "N",
    "no",
    "NO",
    "on",
    "On",
    "off",
    "OFF",
    "true",
    "True",
    "FALSE",
    "0",
    "1",
    "-1",
    "+1",
    "0644",
    "0o17",
    "0x1f",
    "0b11",
    "1_000",
    "1.5",
    "1.",
    ".5",
    "-.5",
    "1e3",
    "1E-3",
    ".inf",
    "-.INF",
    ".NaN",
    "18446744073709551616",
    "08",
    "0899",
    "12:30:45",
    "1:30",
    "2001-01-01",
    "2001-12-14t21:59:43.10-05:00",
    "2001-1-1",
    "2026-11-21T06:00:00Z",
    "<<",
    "=",
    "*",
    "*a",
    "&a",
    "!a",
    "!!str x",
    "%a",
    "@a",
    "`a",
    "#a",
    "a #b",
    "a#b",
    "- a",
    "-",
    "--- a",
    "...",
    "---",
    "? a",
    "?",
    ": a",
    ":",
    "a: b",
    "a:",
    "{a}",
    "[a]",
    "|",
    ">",
    "'",
    "\"",
    "a'b\"c",
    "\t",
    "a\tb",
    "\u{feff}a",
];

/// Text over lines and with characters that need care.
const DIFFICULT: [&str; 24] = [
    "a\nb",
    "a\nb\n",
    "a\nb\n\n",
    "\na",
    "\n",
    "\n\n",
    "  a\nb",
    "a\n  b",
    "a\n\tb\n",
    "\ta\nb",
    "a \nb ",
    "a\r\nb",
    "a\rb",
    "# a\nb\n",
    "---\na\n",
    "a: b\nc: d\n",
    "\u{1}",
    "a\u{7f}b",
    "\u{85}",
    "a\u{2028}b\nc",
    "\u{e9}\u{1f600}",
    "a\\b",
    "\0",
    "x\n---\ny\n",
];

#[test]
fn lookalikes_stay_text() {
    let texts = LOOKALIKES.into_iter().chain(DIFFICULT);
    let failures: Vec<_> = texts
        .flat_map(|text| {
            [json!(text), json!([text]), json!([[text]]), json!({ text: text }), json!([{ text: [text] }])]
        })
        .filter_map(|data| Some(format!("{data}: {}", changed(&data)?)))
        .collect();
    assert!(failures.is_empty(), "{} failures\n{}", failures.len(), failures.join("\n"));
}

/// The folders that hold what we printed, and what kubectl reads from it.
#[test]
fn kubectl_reads_what_is_printed() {
    let cases = ["deployment", "difficult", "lookalikes", "nested", "numbers"];
    for case in cases {
        let folder = format!("{}/../../../fixtures/manifest/printed_{case}", env!("CARGO_MANIFEST_DIR"));
        let value: Value = serde_json::from_str(&read(&format!("{folder}/expected.json"))).unwrap();
        assert_eq!(to_yaml(&value), read(&format!("{folder}/input.yaml")), "{case}");
    }
}

#[expect(clippy::disallowed_methods, reason = "fixtures are files")]
fn read(path: &str) -> String {
    std::fs::read_to_string(path).unwrap()
}

#[test]
fn long_lines_are_not_folded() {
    let printed = to_yaml(&json!({"a": "word ".repeat(100).trim_end()}));
    assert_eq!(printed.lines().count(), 1, "{printed}");
}

#[test]
fn numbers_keep_their_value() {
    let numbers = [
        json!(0),
        json!(-1),
        json!(i64::MAX),
        json!(i64::MIN),
        json!(0.5),
        json!(-1.5e-9),
        json!(1e21),
        json!(1.5e300),
        json!(1e20),
        json!(5e-324),
        json!(123_456_789.125),
        json!(1.844_674_407_370_955_2e19),
    ];
    let failures: Vec<_> = numbers.iter().filter_map(changed).collect();
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

fn any_value() -> impl Strategy<Value = Value> {
    let text = prop_oneof![
        "[ -~\\n\\t]{0,12}",
        "[yYnNoOfFtT0-9xeE_.:+-]{1,6}",
        "\\PC{0,8}",
        proptest::sample::select(LOOKALIKES.to_vec()).prop_map(str::to_owned),
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        text.clone().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 4, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(text.clone(), inner, 0..4).prop_map(|map| map.into_iter().collect()),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(2_000) })]

    #[test]
    fn what_is_printed_is_read_back(data in any_value()) {
        prop_assert_eq!(changed(&data), None);
    }
}

#[test]
fn what_is_not_seen_or_turns_text_around_is_escaped_and_read_back() {
    let data = json!({"a": "x\u{202e}y", "b": "one\n\u{200b}two", "c": "\u{9b}2J"});
    assert_eq!(changed(&data), None);
    let printed = to_yaml(&data);
    assert!(!printed.contains(['\u{202e}', '\u{200b}', '\u{9b}']), "{printed:?}");
}
