//! What of a container's last words may be shown? Secrets go, lines stay few and short.
//!
//! Two things are taken out: values that are known to be secret, wherever they stand, and what looks like a secret by what stands
//! before it or by its form. The second is a guess in favour of silence: a word too many is masked rather than one too few.

use crate::text;
use model::Object;
use serde_json::Value;
use std::collections::BTreeSet;

/// What stands where a secret was.
const MASK: &str = "***";
/// The shortest value that is looked for: shorter ones would mask half of all words.
const SHORTEST: usize = 4;
/// The shortest value in a line of a file that a Secret holds, such as `password: ...`.
const SHORTEST_IN_FILE: usize = 6;
/// How long a word of mixed letters and digits is at least that is taken for a key.
const KEY: usize = 40;
/// Words in the name of a setting that say that its value is secret.
const SECRET_NAMES: &[&str] = &[
    "password",
    "passwd",
    "passphrase",
    "pwd",
    "secret",
    "token",
    "apikey",
    "accesskey",
    "secretkey",
    "privatekey",
    "signingkey",
    "encryptionkey",
    "credential",
    "signature",
    "authorization",
    "cookie",
    "sessionid",
    "dsn",
];
/// Those whose values are words as well; what the others have is told from words by its digits and capitals.
const WORDS: &[&str] = &["password", "passwd", "passphrase", "pwd"];
/// Words after which a credential comes (RFC 7235 schemes).
const SCHEMES: &[&str] = &["bearer", "basic"];
/// How credentials of well-known issuers begin.
const ISSUERS: &[&str] = &[
    "ghp_",
    "gho_",
    "ghu_",
    "ghs_",
    "ghr_",
    "github_pat_",
    "glpat-",
    "xoxa-",
    "xoxb-",
    "xoxp-",
    "xoxr-",
    "sk_live_",
    "sk-",
    "rk_live_",
    "AKIA",
    "ASIA",
    "AIza",
    "eyJ",
    "hvs.",
    "dckr_pat_",
    "npm_",
    "pypi-",
];
/// How long what begins like that is at least.
const SHORTEST_ISSUED: usize = 16;

/// Takes secrets out of what containers and events say.
#[derive(Clone, Default)]
pub struct Redaction {
    /// The longest first: one may hold another.
    values: Vec<String>,
}

impl Redaction {
    /// Takes out these values, such as those of the Secrets of an app; each line of a value counts by itself, too.
    pub fn new(values: impl IntoIterator<Item = String>) -> Self {
        let mut all = BTreeSet::new();
        for value in values {
            for line in value.lines().map(str::trim) {
                let of_file = value.contains(['\n', '=', ':']).then(|| value_of(line)).flatten();
                all.extend(of_file.filter(|value| value.len() >= SHORTEST_IN_FILE).map(str::to_owned));
                all.insert(line.to_owned());
                // As a log that is JSON would write it.
                all.insert(Value::from(line).to_string().trim_matches('"').to_owned());
            }
        }
        let mut values: Vec<String> = all.into_iter().filter(|value| value.len() >= SHORTEST).collect();
        values.sort_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
        Self { values }
    }

    /// Returns the last `most` lines of a log that say something, each without secrets, safe to print and cut.
    pub fn log(&self, log: &str, most: usize) -> Vec<String> {
        let mut is_key = false;
        let mut raw = Vec::new();
        for line in log.lines().filter(|line| !line.trim().is_empty()) {
            // A key fills many lines, and none of them looks like one.
            let is_of_key = is_key || line.contains("-----BEGIN ");
            is_key = is_of_key && !line.contains("-----END ");
            if !is_of_key || raw.last() != Some(&None) {
                raw.push((!is_of_key).then_some(line));
            }
        }
        let last = raw.split_off(raw.len().saturating_sub(most));
        last.into_iter().map(|line| line.map_or_else(|| MASK.to_owned(), |line| self.line(line))).collect()
    }

    /// Returns one text without secrets, on one line, safe to print and cut.
    pub fn line(&self, raw: &str) -> String {
        text::clean(&self.hide(raw))
    }

    /// Returns a text without the values that are known to be secret.
    pub fn hide(&self, raw: &str) -> String {
        let mut text = raw.to_owned();
        for value in &self.values {
            if text.contains(value.as_str()) {
                text = text.replace(value.as_str(), MASK);
            }
        }
        text
    }
}

/// Returns whether the name of a setting says that its value is secret: `DB_PASSWORD`, `api-key`, `clientSecret`.
fn is_secret_name(name: &str) -> bool {
    let letters = letters(name);
    SECRET_NAMES.iter().any(|word| letters.contains(word))
}

/// Returns the values that an object gives to what a name says is secret, such as environment variables of its containers.
pub fn secret_settings(object: &Object) -> Vec<String> {
    let mut values = Vec::new();
    let mut open: Vec<&Value> = object.fields().values().collect();
    while let Some(value) = open.pop() {
        match value {
            Value::Array(items) => open.extend(items),
            Value::Object(map) => {
                let text = |field: &str| map.get(field).and_then(Value::as_str);
                if let (Some(name), Some(value)) = (text("name"), text("value"))
                    && is_secret_name(name)
                {
                    values.push(value.to_owned());
                }
                open.extend(map.values());
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
    values
}

/// The same for a name in free text, where a colon need not give it a value: `TokenService: started` tells no token.
fn ends_secret(name: &str) -> bool {
    let letters = letters(name);
    let bare = letters.trim_end_matches(|c: char| c.is_ascii_digit() || c == 's');
    SECRET_NAMES.iter().any(|word| bare.ends_with(word.trim_end_matches('s')))
}

fn letters(name: &str) -> String {
    let letters: String = name.chars().filter(char::is_ascii_alphanumeric).collect();
    letters.to_ascii_lowercase()
}

/// Returns what stands after the first `=` or `:` of a line, without quotes.
fn value_of(line: &str) -> Option<&str> {
    let at = line.find(['=', ':'])?;
    Some(line[at + 1..].trim_matches(|c: char| c.is_whitespace() || "\"',;".contains(c)))
}

/// Masks what is secret by its name or its form.
pub(crate) fn without_likely(line: &str) -> String {
    let mut out = String::with_capacity(line.len());
    let mut rest = line;
    let mut before = Before::Nothing;
    while !rest.is_empty() {
        let end = before.end_of_word(out.chars().next_back(), rest);
        let (word, after) = rest.split_at(end);
        let (gap, next) = after.split_at(after.find(|c| !is_break(c)).unwrap_or(after.len()));
        out.push_str(if before.hides(word) || is_credential(word) { MASK } else { word });
        out.push_str(gap);
        before = before.and_then(word, gap);
        rest = next;
    }
    out
}

/// What was read right before a word.
#[derive(Clone, Copy, PartialEq)]
enum Before {
    /// Nothing that tells.
    Nothing,
    /// The name of a secret setting, and what gives it its value.
    Name,
    /// Such a name in free text, and a colon: what follows may be its value, or go on with the sentence.
    Mention,
    /// That and a scheme.
    Credential,
    /// A scheme, after which there may be a credential, or just another word.
    Scheme,
}

impl Before {
    /// A secret in quotes goes to the closing quote, blanks and all.
    fn end_of_word(self, last: Option<char>, rest: &str) -> usize {
        let is_hidden = matches!(self, Self::Name | Self::Credential);
        let quote = last.filter(|c| is_hidden && matches!(c, '"' | '\'' | '`'));
        match quote {
            Some(quote) => rest.find(quote).unwrap_or(rest.len()),
            None => rest.find(is_break).unwrap_or(rest.len()),
        }
    }

    fn hides(self, word: &str) -> bool {
        match self {
            Self::Nothing => false,
            // `authorization: bearer x`: the scheme is told, what follows is not.
            Self::Name => !word.is_empty() && !is_scheme(word),
            Self::Credential => true,
            Self::Mention | Self::Scheme => {
                let is_plain = word.chars().all(|c| c.is_ascii_lowercase());
                !is_scheme(word) && word.len() >= SHORTEST && (!is_plain || word.len() >= SHORTEST_ISSUED)
            }
        }
    }

    fn and_then(self, word: &str, gap: &str) -> Self {
        let is_given = gap.contains('=') || gap.contains("\":") || gap.contains("\" :");
        let is_name =
            !word.contains('/') && ((is_given && is_secret_name(word)) || ends_with_word(word, gap));
        let is_mention = !word.contains('/') && gap.contains(':') && ends_secret(word);
        match self {
            Self::Name | Self::Mention if is_scheme(word) => Self::Credential,
            // Nothing but the blanks or quotes between a name and its value.
            Self::Name if word.is_empty() => Self::Name,
            _ if is_scheme(word) => Self::Scheme,
            _ if is_name => Self::Name,
            _ if is_mention => Self::Mention,
            Self::Name | Self::Mention | Self::Nothing | Self::Credential | Self::Scheme => Self::Nothing,
        }
    }
}

/// Returns whether a colon gives a value to a name whose values are words.
fn ends_with_word(name: &str, gap: &str) -> bool {
    let letters = letters(name);
    gap.contains(':') && WORDS.iter().any(|word| letters.ends_with(word))
}

fn is_scheme(word: &str) -> bool {
    SCHEMES.iter().any(|scheme| word.eq_ignore_ascii_case(scheme))
}

/// What stands between words. The marks of base64 and of tokens belong to words.
fn is_break(c: char) -> bool {
    c.is_whitespace() || "=:\"'`,;&?(){}[]<>|".contains(c)
}

/// Returns whether a word is a credential by its form: of a well-known issuer, or long and made like a key.
fn is_credential(word: &str) -> bool {
    let has = |test: fn(&char) -> bool| word.chars().any(|c| test(&c));
    let is_issued = ISSUERS.iter().any(|start| word.starts_with(start))
        && word.len() >= SHORTEST_ISSUED
        && has(char::is_ascii_digit);
    let is_mixed =
        has(char::is_ascii_uppercase) && has(char::is_ascii_lowercase) && has(char::is_ascii_digit);
    let is_key = |c: char| c.is_ascii_alphanumeric() || "+/_-".contains(c);
    is_issued || (word.len() >= KEY && is_mixed && !word.starts_with('/') && word.chars().all(is_key))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(raw: &str) -> String {
        Redaction::default().line(raw)
    }

    // N20: logs of containers
    #[test]
    fn values_of_secrets_are_taken_out_wherever_they_stand() {
        let file = "user: shop\npassword: \"hunter22\"\n".to_owned();
        let redaction = Redaction::new(["swordfish".into(), "swordfish-2".into(), file, "abc".into()]);
        assert_eq!(redaction.line("login swordfish-2/swordfish at abc"), "login ***/*** at abc");
        assert_eq!(redaction.line("dial with hunter22"), "dial with ***", "a line of a file in a Secret");
        let quoted = Redaction::new([r#"say "hi" to\them"#.into()]);
        assert_eq!(quoted.line(r#"{"greeting":"say \"hi\" to\\them"}"#), r#"{"greeting":"***"}"#);
    }

    #[test]
    fn what_is_secret_by_its_name_is_taken_out() {
        for (raw, told) in [
            ("password=hunter22 user=bob", "password=*** user=bob"),
            ("DB_PASSWORD: hunter22", "DB_PASSWORD: ***"),
            (r#"{"client_secret":"s3cret","level":"info"}"#, r#"{"client_secret":"***","level":"info"}"#),
            (r#"{"apiKey" : "s3cret"}"#, r#"{"apiKey" : "***"}"#),
            ("GET /x?access_token=abcd&y=1", "GET /x?access_token=***&y=1"),
            ("Authorization: Bearer abcdefgh", "Authorization: Bearer ***"),
            ("authorization: basic dXNlcjpwYXNz", "authorization: basic ***"),
            ("sent bearer abcd1234 to them", "sent bearer *** to them"),
            ("postgres://shop:hunter22@db:5432/shop", "postgres://***@db:5432/shop"),
            ("pwd='a b' user=x", "pwd='***' user=x"),
            ("the token: abcd1234", "the token: ***"),
            ("the password: swordfish", "the password: ***"),
        ] {
            assert_eq!(line(raw), told);
        }
    }

    #[test]
    fn what_is_secret_by_its_form_is_taken_out() {
        let jwt = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc_def-123";
        assert_eq!(line(&format!("got {jwt}, again")), "got ***, again");
        assert_eq!(line("uses ghp_0123456789abcdefghij"), "uses ***");
        assert_eq!(line("key wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY1"), "key ***");
    }

    #[test]
    fn what_a_reader_needs_stays() {
        for raw in [
            "panic: open /etc/shop/config.yaml: no such file or directory",
            "2026-01-01T10:00:00Z ERROR cannot connect to db.shop.svc:5432 (connection refused)",
            "image sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
            "the password is missing: set DB_HOST",
            "at com.example.Shop.main(Shop.java:12)",
            "token expired",
            "open /var/run/secrets/db-password: no such file or directory",
            "failed to fetch oauth token: unexpected status: 401 Unauthorized",
            "TokenService: listening, basic authentication is on",
            "MountVolume.SetUp failed for volume \"creds\" : secret \"db-credentials\" not found",
        ] {
            assert_eq!(line(raw), raw);
        }
    }

    #[test]
    fn keys_of_many_lines_become_one_mask_and_only_the_last_lines_are_told() {
        let log =
            "one\n-----BEGIN RSA PRIVATE KEY-----\nMIIE\nabcd\n-----END RSA PRIVATE KEY-----\n\ntwo\nthree\n";
        assert_eq!(Redaction::default().log(log, 20), ["one", "***", "two", "three"]);
        assert_eq!(Redaction::default().log(log, 2), ["two", "three"]);
        assert_eq!(
            Redaction::default().log("-----BEGIN PRIVATE KEY-----\nMIIE\n", 20),
            ["***"],
            "its end is cut off"
        );
        assert!(Redaction::default().log("", 20).is_empty());
    }

    // N56: logs of containers
    #[test]
    fn lines_are_cut_and_hold_nothing_that_a_terminal_acts_on() {
        let log = format!("\u{1b}[31mred\u{1b}[0m\n{}", "x ".repeat(1_000));
        let told = Redaction::default().log(&log, 20);
        assert_eq!(told[0], "[31mred [0m");
        assert_eq!(told[1].chars().count(), text::LONGEST);
    }

    // N20: environment variables
    #[test]
    fn settings_with_secret_names_are_looked_out_for() {
        let env = serde_json::json!([
            {"name": "DB_PASSWORD", "value": "hunter22"}, {"name": "DB_HOST", "value": "db.local"},
            {"name": "API_TOKEN", "valueFrom": {"secretKeyRef": {"name": "api", "key": "token"}}},
        ]);
        let pod = serde_json::json!({"spec": {"containers": [{"name": "app", "env": env}]}});
        let object = serde_json::json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "a"},
            "spec": {"template": pod}});
        assert_eq!(secret_settings(&Object::from_value(object).unwrap()), ["hunter22"]);
    }

    #[test]
    fn names_of_secret_settings() {
        for name in ["DB_PASSWORD", "clientSecret", "api-key", "X-Auth-Token", "AWS_SECRET_ACCESS_KEY"] {
            assert!(is_secret_name(name), "{name}");
        }
        for name in ["DB_HOST", "LOG_LEVEL", "key", "author"] {
            assert!(!is_secret_name(name), "{name}");
        }
    }
}
