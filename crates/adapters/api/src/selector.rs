//! Which labels must an Application have to be listed? Kubernetes' label selectors, as text.

use crate::ApiError;

/// A label selector (Kubernetes labels documentation, "Label selectors"); the default matches everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selector(Vec<Requirement>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Requirement {
    key: String,
    test: Test,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Test {
    /// The label has one of these values.
    In(Vec<String>),
    /// The label is absent or has none of these values.
    NotIn(Vec<String>),
    /// The label is there.
    Exists,
    /// The label is not there.
    Absent,
}

impl Selector {
    /// Reads `a=b,c!=d,e in (f,g),h notin (i),j,!k`; blanks do not count.
    ///
    /// # Errors
    /// A sentence that names the part which is not a requirement.
    pub fn parse(text: &str) -> Result<Self, ApiError> {
        let parts = split(text);
        parts
            .into_iter()
            .map(str::trim)
            .filter(|part| !part.is_empty())
            .map(requirement)
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// Returns whether an object's labels, which `label` gives by their keys, fulfil every requirement.
    pub fn matches<'a>(&self, label: impl Fn(&str) -> Option<&'a str>) -> bool {
        self.0.iter().all(|Requirement { key, test }| {
            let label = label(key);
            let is_one_of =
                |values: &[String]| label.is_some_and(|label| values.iter().any(|value| value == label));
            match test {
                Test::In(values) => is_one_of(values),
                Test::NotIn(values) => !is_one_of(values),
                Test::Exists => label.is_some(),
                Test::Absent => label.is_none(),
            }
        })
    }
}

/// Splits at commas that are not inside parentheses.
fn split(text: &str) -> Vec<&str> {
    let mut is_inside = false;
    text.split(|c: char| {
        match c {
            '(' => is_inside = true,
            ')' => is_inside = false,
            _ => {}
        }
        c == ',' && !is_inside
    })
    .collect()
}

fn requirement(part: &str) -> Result<Requirement, ApiError> {
    let (key, test) = if let Some(key) = part.strip_prefix('!') {
        (key, Test::Absent)
    } else if let Some((key, value)) = part.split_once("!=") {
        (key, Test::NotIn(vec![value.trim().to_owned()]))
    } else if let Some((key, value)) = part.split_once("==").or_else(|| part.split_once('=')) {
        (key, Test::In(vec![value.trim().to_owned()]))
    } else if let Some((head, list)) = part.split_once('(') {
        set(head, list).ok_or_else(|| refusal(part))?
    } else {
        (part, Test::Exists)
    };
    let values_fit = match &test {
        Test::In(values) | Test::NotIn(values) => values.iter().all(|value| is_word(value, "-_.")),
        Test::Exists | Test::Absent => true,
    };
    let key = key.trim();
    if key.is_empty() || !is_word(key, "-_./") || !values_fit {
        return Err(refusal(part));
    }
    Ok(Requirement { key: key.to_owned(), test })
}

/// Reads `key in (a, b` and `key notin (a, b`, up to the closing parenthesis.
fn set<'a>(head: &'a str, list: &str) -> Option<(&'a str, Test)> {
    let values = list.strip_suffix(')')?.split(',').map(|value| value.trim().to_owned()).collect();
    let (key, word) = head.trim().rsplit_once(char::is_whitespace)?;
    match word {
        "in" => Some((key, Test::In(values))),
        "notin" => Some((key, Test::NotIn(values))),
        _ => None,
    }
}

fn is_word(text: &str, marks: &str) -> bool {
    text.chars().all(|c| c.is_ascii_alphanumeric() || marks.contains(c))
}

fn refusal(part: &str) -> ApiError {
    ApiError::invalid(format!(
        "`selector`: {part:?} is not one of key=value, key!=value, key in (a,b), key notin (a,b), key, !key"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn selectors_match_as_kubernetes_does() {
        let labels = json!({ "team": "shop", "tier": "web", "app.kubernetes.io/name": "x" });
        for (selector, expected) in [
            ("", true),
            ("team=shop", true),
            ("team == shop , tier=web", true),
            ("team=shop,tier=db", false),
            ("team!=shop", false),
            ("absent!=anything", true),
            ("team in (a, shop),tier", true),
            ("team in (a,b)", false),
            ("team notin (a,b)", true),
            ("absent notin (a)", true),
            ("!team", false),
            ("!absent", true),
            ("app.kubernetes.io/name=x", true),
            ("team=", false),
        ] {
            let label = |key: &str| labels[key].as_str();
            assert_eq!(Selector::parse(selector).unwrap().matches(label), expected, "{selector}");
        }
        assert!(!Selector::parse("team").unwrap().matches(|_| None));
    }

    #[test]
    fn what_is_no_selector_is_refused_by_name() {
        for bad in ["team in (a", "team of (a)", "=x", "a=b=c", "a b", "a>1", "!", "a in ((b))"] {
            let error = Selector::parse(bad).unwrap_err();
            assert!(error.status == 400 && error.message.contains("`selector`"), "{bad}: {error}");
        }
    }
}
