//! Are two quantities the same amount? (Kubernetes API conventions, resource.Quantity: `0.5` is `500m`, `1Gi` is `1024Mi`.)

use fields::Path;
use fields::Step;
use serde_json::Value;

/// Maps whose values are quantities, wherever they stand.
const MAPS: [&str; 13] = [
    "limits",
    "requests",
    "capacity",
    "hard",
    "overhead",
    "max",
    "min",
    "default",
    "defaultRequest",
    "maxLimitRequestRatio",
    "allocatable",
    "podFixed",
    "allocatedResources",
];
/// Fields that are quantities, wherever they stand.
const FIELDS: [&str; 6] =
    ["sizeLimit", "averageValue", "divisor", "maximumVolumeSize", "targetAverageValue", "storage"];

/// Returns whether the API server reads the value at `path` as a quantity and writes it back in its own form.
pub(crate) fn is_quantity(path: &Path) -> bool {
    let mut names = path.0.iter().rev().map(|step| match step {
        Step::Field(name) => name.as_str(),
        Step::Key(_) | Step::Value(_) | Step::Index(_) => "",
    });
    let last = names.next().unwrap_or_default();
    let parent = names.next().unwrap_or_default();
    FIELDS.contains(&last) || MAPS.contains(&parent) || (last == "value" && parent == "target")
}

/// Returns whether both are quantities of the same amount.
pub(crate) fn same_amount(a: &Value, b: &Value) -> bool {
    match (amount(a), amount(b)) {
        (Some(a), Some(b)) => a == b,
        (None, _) | (_, None) => false,
    }
}

/// Returns whether both are quantities, and the first is more.
pub(crate) fn larger(a: &Value, b: &Value) -> bool {
    matches!((amount(a), amount(b)), (Some(a), Some(b)) if a > b)
}

/// Reads a quantity as an exact count of nanos; `None` for what is none, or beyond what fits.
fn amount(value: &Value) -> Option<i128> {
    match value {
        Value::String(text) => parse(text),
        Value::Number(number) => parse(&number.to_string()),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

fn parse(text: &str) -> Option<i128> {
    let (negative, rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
    let (number, suffix) = rest.split_at(end);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.len() + fraction.len() == 0 || fraction.contains('.') || whole.len() + fraction.len() > 30 {
        return None;
    }
    let digits: i128 = format!("{whole}{fraction}").parse().ok()?;
    let (ten, two) = scale(suffix)?;
    let exponent = ten + 9 - i32::try_from(fraction.len()).ok()?;
    let scaled = digits.checked_mul(1_i128.checked_shl(two)?)?;
    let power = 10_i128.checked_pow(exponent.unsigned_abs())?;
    // What is finer than a nano is rounded up, away from zero.
    let nanos = if exponent >= 0 {
        scaled.checked_mul(power)?
    } else {
        scaled / power + i128::from(scaled % power != 0)
    };
    Some(if negative { -nanos } else { nanos })
}

/// Returns a suffix as powers of ten and of two.
fn scale(suffix: &str) -> Option<(i32, u32)> {
    let ten = |power| Some((power, 0));
    match suffix {
        "n" => ten(-9),
        "u" => ten(-6),
        "m" => ten(-3),
        "" => ten(0),
        "k" => ten(3),
        "M" => ten(6),
        "G" => ten(9),
        "T" => ten(12),
        "P" => ten(15),
        "E" => ten(18),
        "Ki" => Some((0, 10)),
        "Mi" => Some((0, 20)),
        "Gi" => Some((0, 30)),
        "Ti" => Some((0, 40)),
        "Pi" => Some((0, 50)),
        "Ei" => Some((0, 60)),
        _ => {
            let power: i32 = suffix.strip_prefix(['e', 'E'])?.parse().ok()?;
            (power.abs() <= 27).then_some((power, 0))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn amounts_by_value() {
        for (a, b) in [
            (json!("0.5"), json!("500m")),
            (json!(1), json!("1")),
            (json!("1Gi"), json!("1024Mi")),
            (json!("1.5Gi"), json!("1536Mi")),
            (json!("1e3"), json!("1k")),
            (json!("1E"), json!("1000P")),
            (json!("1E3"), json!("1000")),
            (json!(0.1), json!("100m")),
            (json!("-1"), json!(-1)),
        ] {
            assert!(same_amount(&a, &b), "{a} {b}");
        }
        for (a, b) in [
            (json!("1"), json!("1m")),
            (json!("1G"), json!("1Gi")),
            (json!("abc"), json!("abc")),
            (json!(""), json!("")),
            (json!("1.2.3"), json!("1.2.3")),
            (json!("1Zi"), json!("1Zi")),
            (json!("99999999999999999999Ei"), json!("99999999999999999999Ei")),
        ] {
            assert!(!same_amount(&a, &b), "{a} {b}");
        }
    }

    #[test]
    fn only_at_known_paths() {
        let is = |names: &[&str]| is_quantity(&Path::fields(names));
        assert!(is(&["spec", "resources", "limits", "cpu"]));
        assert!(is(&["spec", "hard", "pods"]));
        assert!(is(&["spec", "emptyDir", "sizeLimit"]));
        assert!(is(&["spec", "resource", "target", "value"]));
        assert!(!is(&["data", "cpu"]));
        assert!(!is(&["spec", "replicas"]));
    }
}
