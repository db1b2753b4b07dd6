//! What does a plain scalar mean? YAML 1.1 as kubectl resolves it.
//!
//! The rules are those of `go.yaml.in/yaml/v2`, which `sigs.k8s.io/yaml` and so kubectl and Argo CD read with, followed by
//! the way through JSON text that every object takes there. <https://yaml.org/type/> describes the types.

use serde_json::Value;

/// What a scalar resolves to.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Scalar {
    /// Nothing.
    Null,
    /// A boolean.
    Bool(bool),
    /// An integer of 64 bits with sign.
    Int(i64),
    /// An integer that needs the 64th bit.
    Uint(u64),
    /// Everything else that is a number.
    Float(f64),
    /// Text.
    Text(String),
}

/// A tag of a scalar, as far as it matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tag {
    /// No tag on a plain scalar: the text decides.
    Implicit,
    /// `!!str`, any tag we do not know, or quotes.
    Text,
    /// `!!binary`.
    Binary,
    /// `!!bool`.
    Bool,
    /// `!!int`.
    Int,
    /// `!!float`.
    Float,
    /// `!!null`.
    Null,
    /// `!!timestamp`.
    Timestamp,
}

impl Tag {
    /// Reads the name of a tag in YAML's own namespace.
    pub(crate) fn from_core(name: &str) -> Self {
        match name {
            "binary" => Self::Binary,
            "bool" => Self::Bool,
            "int" => Self::Int,
            "float" => Self::Float,
            "null" => Self::Null,
            "timestamp" => Self::Timestamp,
            _ => Self::Text,
        }
    }
}

/// Resolves a scalar.
///
/// # Errors
/// With a sentence, when the tag asks for something that the text is not.
pub(crate) fn resolve(tag: Tag, text: &str) -> Result<Scalar, &'static str> {
    match tag {
        Tag::Text => Ok(Scalar::Text(text.into())),
        Tag::Implicit => Ok(plain(text)),
        Tag::Binary => {
            decode_binary(text).map(Scalar::Text).ok_or("the value tagged `!!binary` is not valid base64")
        }
        Tag::Bool => match plain(text) {
            found @ Scalar::Bool(_) => Ok(found),
            _ => Err("the value tagged `!!bool` is not a boolean"),
        },
        Tag::Int => match plain(text) {
            found @ (Scalar::Int(_) | Scalar::Uint(_)) => Ok(found),
            _ => Err("the value tagged `!!int` is not an integer"),
        },
        Tag::Float => match plain(text) {
            found @ Scalar::Float(_) => Ok(found),
            #[expect(clippy::cast_precision_loss, reason = "the tag asks for a float")]
            Scalar::Int(number) => Ok(Scalar::Float(number as f64)),
            _ => Err("the value tagged `!!float` is not a number"),
        },
        Tag::Null => match plain(text) {
            Scalar::Null => Ok(Scalar::Null),
            _ => Err("the value tagged `!!null` is not null"),
        },
        Tag::Timestamp if is_timestamp(text) => Ok(Scalar::Text(text.into())),
        Tag::Timestamp => Err("the value tagged `!!timestamp` is not a date or time that kubectl reads"),
    }
}

/// Resolves plain text without a tag. Timestamps stay text, so they need no rule.
fn plain(text: &str) -> Scalar {
    if let Some(word) = word(text) {
        return word;
    }
    let number = match text.as_bytes().first() {
        Some(b'.') => dotted_float(text),
        Some(b'0'..=b'9' | b'+' | b'-') => number(text),
        Some(_) | None => None,
    };
    number.unwrap_or_else(|| Scalar::Text(text.into()))
}

fn word(text: &str) -> Option<Scalar> {
    Some(match text {
        "" | "~" | "null" | "Null" | "NULL" => Scalar::Null,
        "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => {
            Scalar::Bool(true)
        }
        "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => {
            Scalar::Bool(false)
        }
        ".nan" | ".NaN" | ".NAN" => Scalar::Float(f64::NAN),
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => Scalar::Float(f64::INFINITY),
        "-.inf" | "-.Inf" | "-.INF" => Scalar::Float(f64::NEG_INFINITY),
        _ => return None,
    })
}

/// A number that begins with a digit or sign; underscores may stand anywhere in it.
fn number(text: &str) -> Option<Scalar> {
    let plain = text.replace('_', "");
    if let Some(integer) = integer(&plain) {
        return Some(integer);
    }
    if is_decimal_float(&plain) {
        // What overflows stays text, as in Go, where reading it fails.
        return plain.parse().ok().filter(|number: &f64| number.is_finite()).map(Scalar::Float);
    }
    // Go strips `0b` and reads the rest with a sign of its own.
    let digits = plain.strip_prefix("0b")?;
    let number = i64::from_str_radix(digits, 2).ok()?;
    Some(Scalar::Int(number))
}

/// An integer in Go's base-0 form: `0x`, `0o`, `0b`, a leading zero for octal, else decimal.
fn integer(text: &str) -> Option<Scalar> {
    let (sign, digits) = match text.as_bytes().first()? {
        b'-' => ("-", &text[1..]),
        b'+' => ("+", &text[1..]),
        _ => ("", text),
    };
    let (radix, digits) = match digits.as_bytes() {
        [b'0', b'x' | b'X', _, ..] => (16, &digits[2..]),
        [b'0', b'o' | b'O', _, ..] => (8, &digits[2..]),
        [b'0', b'b' | b'B', _, ..] => (2, &digits[2..]),
        [b'0'] => (10, digits),
        [b'0', ..] => (8, &digits[1..]),
        _ => (10, digits),
    };
    if digits.is_empty() || !digits.chars().all(|digit| digit.is_digit(radix)) {
        return None;
    }
    let magnitude = u128::from_str_radix(digits, radix).ok()?;
    let magnitude = i128::try_from(magnitude).ok()?;
    let number = if sign == "-" { -magnitude } else { magnitude };
    if let Ok(number) = i64::try_from(number) {
        return Some(Scalar::Int(number));
    }
    // Go's unsigned reading accepts no sign.
    u64::try_from(number).ok().filter(|_| sign.is_empty()).map(Scalar::Uint)
}

/// A float that begins with its dot; underscores only between digits.
fn dotted_float(text: &str) -> Option<Scalar> {
    let bytes = text.as_bytes();
    let is_between_digits = |at: usize| {
        let digit = |i: usize| bytes.get(i).is_some_and(u8::is_ascii_digit);
        at > 0 && digit(at - 1) && digit(at + 1)
    };
    if !(0..bytes.len()).all(|i| bytes[i] != b'_' || is_between_digits(i)) {
        return None;
    }
    let plain = text.replace('_', "");
    let number: f64 = is_decimal_float(&plain).then(|| plain.parse().ok())??;
    number.is_finite().then_some(Scalar::Float(number))
}

/// `[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?`
fn is_decimal_float(text: &str) -> bool {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent.strip_prefix(['-', '+']).unwrap_or(exponent))),
        None => (unsigned, None),
    };
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let is_mantissa = match mantissa.split_once('.') {
        Some((whole, part)) => digits(whole) && digits(part) && !(whole.is_empty() && part.is_empty()),
        None => !mantissa.is_empty() && digits(mantissa),
    };
    is_mantissa && exponent.is_none_or(|exponent| !exponent.is_empty() && digits(exponent))
}

/// The forms of a date or time that kubectl's reader knows: `2006-1-2`, with a time after `T`, `t` and a zone, or after a
/// blank and without one.
fn is_timestamp(text: &str) -> bool {
    let (date, rest) = match text.find(['T', 't', ' ']) {
        Some(at) => text.split_at(at),
        None => (text, ""),
    };
    let mut parts = date.splitn(3, '-');
    let year = parts.next().unwrap_or_default();
    let is_number = |text: Option<&str>, range: std::ops::RangeInclusive<u32>| {
        text.is_some_and(|text| {
            (1..=2).contains(&text.len())
                && text.bytes().all(|byte| byte.is_ascii_digit())
                && text.parse().is_ok_and(|number| range.contains(&number))
        })
    };
    let is_date = year.len() == 4
        && year.bytes().all(|byte| byte.is_ascii_digit())
        && is_number(parts.next(), 1..=12)
        && is_number(parts.next(), 1..=31);
    if rest.is_empty() {
        return is_date;
    }
    let needs_zone = !rest.starts_with(' ');
    let time = &rest[1..];
    let (time, zone) = match time.find(['Z', '+', '-']) {
        Some(at) => time.split_at(at),
        None => (time, ""),
    };
    let is_zone = match zone.strip_prefix(['+', '-']) {
        Some(offset) => offset.split_once(':').is_some_and(|(hours, minutes)| {
            is_number(Some(hours), 0..=24) && is_number(Some(minutes), 0..=60)
        }),
        None => zone == "Z",
    };
    let (clock, fraction) = time.split_once('.').unwrap_or((time, "0"));
    let mut parts = clock.splitn(3, ':');
    is_date
        && if needs_zone { is_zone } else { zone.is_empty() }
        && is_number(parts.next(), 0..=23)
        && is_number(parts.next(), 0..=59)
        && is_number(parts.next(), 0..=59)
        && !fraction.is_empty()
        && fraction.bytes().all(|byte| byte.is_ascii_digit())
}

/// Decodes `!!binary`. Bytes that are no UTF-8 become U+FFFD one by one, as Go's JSON writer has it.
fn decode_binary(text: &str) -> Option<String> {
    use base64::Engine as _;
    let joined: String = text.chars().filter(|c| !matches!(c, '\r' | '\n')).collect();
    let bytes = base64::engine::general_purpose::STANDARD.decode(joined).ok()?;
    let mut rest = bytes.as_slice();
    let mut decoded = String::new();
    loop {
        match std::str::from_utf8(rest) {
            Ok(text) => {
                decoded.push_str(text);
                return Some(decoded);
            }
            Err(error) => {
                let (good, bad) = rest.split_at(error.valid_up_to());
                decoded.push_str(std::str::from_utf8(good).unwrap_or_default());
                decoded.push(char::REPLACEMENT_CHARACTER);
                rest = &bad[1..];
            }
        }
    }
}

impl Scalar {
    /// Returns the value as JSON.
    ///
    /// # Errors
    /// With a sentence, for numbers that JSON cannot hold.
    pub(crate) fn into_value(self) -> Result<Value, &'static str> {
        match self {
            Self::Null => Ok(Value::Null),
            Self::Bool(value) => Ok(Value::Bool(value)),
            Self::Int(number) => Ok(number.into()),
            #[expect(clippy::cast_precision_loss, reason = "kubectl reads integers above 63 bits as floats")]
            Self::Uint(number) => Ok(float(number as f64)),
            Self::Float(number) if number.is_finite() => Ok(float(number)),
            Self::Float(_) => Err("`.inf` and `.nan` cannot be written as JSON"),
            Self::Text(text) => Ok(Value::String(text)),
        }
    }

    /// Returns the text of a key; keys are always text in JSON.
    ///
    /// # Errors
    /// With a sentence, for what cannot be a key.
    pub(crate) fn into_key(self) -> Result<String, &'static str> {
        match self {
            Self::Null => Err("a key is null"),
            Self::Bool(value) => Ok(value.to_string()),
            Self::Int(number) => Ok(number.to_string()),
            Self::Uint(_) => Err("a key is an integer above 63 bits"),
            Self::Float(number) => Ok(float_key(number)),
            Self::Text(text) => Ok(text),
        }
    }
}

/// A float after its way through JSON text: Go writes whole numbers below 1e21 without fraction or exponent, so they come
/// back as integers where they fit.
pub(crate) fn float(number: f64) -> Value {
    // Rust prints the same shortest digits as Go and never an exponent.
    if number.fract() == 0.0
        && number.abs() < 1e21
        && let Ok(integer) = number.to_string().parse::<i64>()
    {
        return integer.into();
    }
    Value::from(number)
}

/// Writes a float key as Go's `FormatFloat(number, 'g', -1, 32)` does.
fn float_key(number: f64) -> String {
    if number.is_nan() {
        return ".nan".into();
    }
    #[expect(clippy::cast_possible_truncation, reason = "Go prints keys with 32 bits of precision")]
    let single = number as f32;
    if single.is_infinite() {
        return if single > 0.0 { ".inf" } else { "-.inf" }.into();
    }
    let scientific = format!("{single:e}");
    let exponent: i32 = scientific.split_once('e').and_then(|(_, e)| e.parse().ok()).unwrap_or_default();
    // Go's shortest form takes an exponent from a million on.
    if !(-4..6).contains(&exponent) {
        let (mantissa, _) = scientific.split_once('e').unwrap_or((&scientific, ""));
        let sign = if exponent < 0 { '-' } else { '+' };
        return format!("{mantissa}e{sign}{:02}", exponent.unsigned_abs());
    }
    single.to_string()
}
