//! How long is `1m30s`? Durations as Argo CD's fields write them: Go's notation, or a bare number of seconds.

use model::Seconds;

/// Longest length that a field may ask for: a year. Longer ones are mistakes, and arithmetic stays safe.
const LONGEST: f64 = 365.0 * 86_400.0;

/// Reads a duration; `None` for anything else, for negative ones and for those over a year.
pub fn parse(text: &str) -> Option<Seconds> {
    let text = text.trim();
    let seconds = match text.parse::<u32>() {
        Ok(seconds) => f64::from(seconds),
        Err(_) => units(text)?,
    };
    #[expect(
        clippy::cast_possible_truncation,
        reason = "bounded by a year; parts of milliseconds do not matter"
    )]
    (seconds <= LONGEST).then(|| Seconds::from_millis((seconds * 1000.0).round() as i64))
}

fn units(mut text: &str) -> Option<f64> {
    let mut total = 0.0;
    if text.is_empty() {
        return None;
    }
    while !text.is_empty() {
        let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let amount: f64 = text[..digits].parse().ok()?;
        text = &text[digits..];
        let letters = text.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(text.len());
        total += amount * length(&text[..letters])?;
        text = &text[letters..];
    }
    Some(total)
}

fn length(unit: &str) -> Option<f64> {
    match unit {
        "h" => Some(3600.0),
        "m" => Some(60.0),
        "s" => Some(1.0),
        "ms" => Some(0.001),
        "us" | "µs" | "μs" => Some(0.000_001),
        "ns" => Some(0.000_000_001),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_go_durations_and_bare_seconds() {
        for (text, millis) in [
            ("5s", 5_000),
            ("3m", 180_000),
            ("1m30s", 90_000),
            ("1.5h", 5_400_000),
            ("300ms", 300),
            ("10", 10_000),
            ("0", 0),
            (" 2m ", 120_000),
        ] {
            assert_eq!(parse(text), Some(Seconds::from_millis(millis)), "{text}");
        }
    }

    #[test]
    fn refuses_everything_else() {
        for text in ["", "s", "-5", "-5s", "5 s", "5d", "1.2.3s", "five", "5s5", "999999h", "4294967295"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
