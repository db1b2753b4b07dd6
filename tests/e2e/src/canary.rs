//! Would we know a secret if we saw one? As it is, and as programs write it for each other.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::Value;

/// What is shorter stands in texts by chance.
const SHORTEST: usize = 8;

/// Fields of a repository or cluster Secret that say what it is for, and that messages name.
const NO_SECRETS: [&str; 8] =
    ["url", "type", "name", "project", "username", "server", "insecure", "forceHttpBasicAuth"];

/// Texts that must be seen nowhere; clones share them.
#[derive(Clone, Default)]
pub struct Canaries(Arc<Mutex<BTreeMap<String, String>>>);

impl Canaries {
    /// Looks out for a text of at least eight bytes, line by line where it has several, under a name that findings show
    /// instead of it. Shorter ones are passed over.
    pub fn add(&self, name: &str, secret: &str) {
        let lines = secret.lines().map(str::trim).filter(|line| line.len() >= SHORTEST);
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for form in lines.flat_map(forms) {
            known.entry(form).or_insert_with(|| name.to_owned());
        }
    }

    /// Looks out for every value of a Secret, as the API server stores it.
    pub(crate) fn add_secret(&self, secret: &Value) {
        let name = secret["metadata"]["name"].as_str().unwrap_or_default();
        let is_setting = secret["metadata"]["labels"]["argocd.argoproj.io/secret-type"].is_string();
        for (field, value) in secret["data"].as_object().into_iter().flatten() {
            let bytes = value.as_str().and_then(|text| BASE64_STANDARD.decode(text).ok());
            let text = bytes.and_then(|bytes| String::from_utf8(bytes).ok()).unwrap_or_default();
            if !(is_setting && NO_SECRETS.contains(&field.as_str())) {
                self.add(&format!("Secret {name}, {field}"), &text);
            }
        }
    }

    /// Returns the names of those that stand in a text.
    pub fn found_in(&self, text: &str) -> Vec<String> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut names: Vec<String> = known
            .iter()
            .filter(|(form, _)| text.contains(form.as_str()))
            .map(|(_, name)| name.clone())
            .collect();
        names.dedup();
        names
    }
}

/// Returns a text as it is; as a part of a URL; as a part of JSON; and what stays the same of its base64, whatever stands
/// before and after it, as in `user:password`.
fn forms(secret: &str) -> Vec<String> {
    let json = Value::from(secret).to_string();
    let mut forms = vec![secret.to_owned(), encoded(secret), json.trim_matches('"').to_owned()];
    for before in 0..3 {
        let padded = [vec![0; before], secret.as_bytes().to_vec()].concat();
        let text = BASE64_STANDARD.encode(&padded);
        // A character of base64 holds six bits: the first ones and the last ones are shared with the neighbours.
        let (begin, end) = ((before * 8).div_ceil(6), padded.len() * 8 / 6);
        forms.push(text[begin..end].to_owned());
    }
    forms.sort();
    forms.dedup();
    forms
}

fn encoded(text: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    let one = |byte: u8| if is_plain(byte) { char::from(byte).into() } else { format!("%{byte:02X}") };
    text.bytes().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn every_form_is_found_and_told_by_name() {
        let canaries = Canaries::default();
        canaries.add("token", "ca/nary \"7\"");
        let base64 = |text: &str| BASE64_STANDARD.encode(text);
        for text in [
            "it is ca/nary \"7\"!".to_owned(),
            "https://ann:ca%2Fnary%20%227%22@git.ex/".into(),
            json!({"said": "ca/nary \"7\""}).to_string(),
            base64("ca/nary \"7\""),
            base64("ann:ca/nary \"7\""),
            base64("an:ca/nary \"7\"\n"),
            base64("a:ca/nary \"7\" and more"),
        ] {
            assert_eq!(canaries.found_in(&text), ["token"], "{text}");
        }
        for text in ["ca/nary", "CA/NARY \"7\"", &base64("ca/nary")] {
            assert!(canaries.found_in(text).is_empty(), "{text}");
        }
    }

    #[test]
    fn what_a_secret_is_for_is_no_secret() {
        let canaries = Canaries::default();
        canaries.add_secret(&json!({
            "metadata": {"name": "shop", "labels": {"argocd.argoproj.io/secret-type": "repository"}},
            "data": {
                "url": BASE64_STANDARD.encode("https://git.ex/shop"), "password": BASE64_STANDARD.encode("swordfish"),
                "short": BASE64_STANDARD.encode("one"), "bytes": BASE64_STANDARD.encode([0xff; 20]),
            },
        }));
        assert!(canaries.found_in("https://git.ex/shop is one").is_empty());
        assert_eq!(canaries.found_in("swordfish"), ["Secret shop, password"]);
    }

    #[test]
    fn each_long_line_counts() {
        let canaries = Canaries::default();
        canaries.add("key", "--- BEGIN ---\nAAAABBBBCCCC\nx\n");
        assert_eq!(canaries.found_in("AAAABBBBCCCC"), ["key"]);
        assert!(canaries.found_in("x").is_empty());
    }
}
