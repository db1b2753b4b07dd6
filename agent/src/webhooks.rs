//! By what are webhooks checked, and what follows from one? A look at Git, and nothing else.

use crate::agent::{Agent, Watched};
use crate::input::Input;
use crate::watching::spec;
use api::{Check, Provider, Webhooks};
use cluster::{Endpoint, WatchEvent, WatchHandle, WatchSpec};
use model::Object;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Instant;

/// Where Argo CD keeps them.
const SECRET: &str = "argocd-secret";

/// What the Secrets say that webhooks are checked by. Of each only what is asked for is kept.
#[derive(Default)]
pub(crate) struct WebhookSecrets {
    /// What `argocd-secret` says, once it was read or is known not to be there.
    own: Option<BTreeMap<Provider, Setting>>,
    /// Other Secrets that it refers to, by name.
    others: BTreeMap<String, Other>,
    /// Secrets that the list under way has not shown.
    unlisted: BTreeSet<String>,
    /// What was last said to be wrong.
    told: Vec<String>,
}

/// What `argocd-secret` says of a provider.
#[derive(Clone, PartialEq, Eq)]
enum Setting {
    /// The secret itself.
    Here(Vec<u8>),
    /// A key of another Secret holds it.
    There(String, String),
    /// It cannot be used; a sentence says why.
    Wrong(String),
}

/// Another Secret.
struct Other {
    /// Which keys of it are asked for.
    keys: BTreeSet<String>,
    /// What they hold, once it was read or is known not to be there.
    values: Option<BTreeMap<String, Vec<u8>>>,
    /// Keeps it in view.
    _watch: WatchHandle,
}

impl WebhookSecrets {
    /// Takes a Secret in, or that it is not there.
    fn put(&mut self, name: &str, secret: Option<&Object>) {
        let held = |key: &str| -> Option<Vec<u8>> {
            let text = secret?.get("data")?.get(key).and_then(Value::as_str)?;
            model::base64_decode(text)
        };
        if name == SECRET {
            let settings = Provider::ALL.iter().filter_map(|provider| {
                let value = held(provider.secret_key()).filter(|value| !value.is_empty())?;
                Some((*provider, setting(provider.secret_key(), &value, held)))
            });
            self.own = Some(settings.collect());
        } else if let Some(other) = self.others.get_mut(name) {
            let values = other.keys.iter().filter_map(|key| Some((key.clone(), held(key)?)));
            other.values = Some(values.collect());
        }
    }

    /// Returns which keys of other Secrets are asked for.
    fn references(&self) -> BTreeMap<String, BTreeSet<String>> {
        let mut references: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for setting in self.own.iter().flat_map(BTreeMap::values) {
            if let Setting::There(secret, key) = setting {
                references.entry(secret.clone()).or_default().insert(key.clone());
            }
        }
        references
    }

    /// Returns by what webhooks are checked, and what is wrong; `None` while nothing was read.
    fn checks(&self) -> Option<(BTreeMap<Provider, Check>, Vec<String>)> {
        let mut told = Vec::new();
        let mut checks = BTreeMap::new();
        for (provider, setting) in self.own.as_ref()? {
            let check = match setting {
                Setting::Here(secret) => Check::Secret(secret.clone()),
                Setting::Wrong(why) => {
                    told.push(why.clone());
                    Check::Unreadable
                }
                Setting::There(secret, key) => {
                    match self.others.get(secret).and_then(|other| other.values.as_ref()) {
                        None => Check::Unreadable,
                        Some(values) => match values.get(key).map(|value| value.trim_ascii()) {
                            Some(value) if !value.is_empty() => Check::Secret(value.into()),
                            _ => {
                                told.push(nothing_there(provider.secret_key(), secret, key));
                                Check::Unreadable
                            }
                        },
                    }
                }
            };
            checks.insert(*provider, check);
        }
        Some((checks, told))
    }
}

/// Reads a value: the secret itself, or `$key` for another key of the same Secret, or `$secret:key`, as Argo CD does.
fn setting(name: &str, value: &[u8], held: impl Fn(&str) -> Option<Vec<u8>>) -> Setting {
    let value = value.trim_ascii();
    if value.is_empty() {
        return Setting::Wrong(format!(
            "{name} of the Secret {SECRET} is blank: write a secret, or delete the key"
        ));
    }
    let Some(reference) = value.strip_prefix(b"$") else { return Setting::Here(value.into()) };
    let reference = String::from_utf8_lossy(reference).into_owned();
    match reference.split_once(':') {
        Some((secret, key)) if is_name(secret) && !key.is_empty() && secret != SECRET => {
            Setting::There(secret.into(), key.into())
        }
        Some((secret, _)) if secret != SECRET => Setting::Wrong(format!(
            "{name} of the Secret {SECRET} begins with $ and names no other Secret and key, as $secret:key would"
        )),
        named => {
            let key = named.map_or(reference.as_str(), |(_, key)| key);
            match held(key).map(|value| value.trim_ascii().to_vec()) {
                Some(value) if !value.is_empty() => Setting::Here(value),
                _ => Setting::Wrong(nothing_there(name, SECRET, key)),
            }
        }
    }
}

/// What follows a `$` may be a secret, too: only what can be the name of a key is said again.
fn nothing_there(name: &str, secret: &str, key: &str) -> String {
    let is_key = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let key = if key.contains('.') && key.chars().all(is_key) { key } else { "the key" };
    format!(
        "{name} of the Secret {SECRET} refers to {key} of the Secret {secret}, which holds nothing there: such webhooks are \
         refused until it does"
    )
}

/// Returns whether a Secret may be called so.
fn is_name(text: &str) -> bool {
    let is_part = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '.');
    !text.is_empty() && text.len() < 254 && text.chars().all(is_part)
}

/// What is watched to see one Secret.
pub(crate) fn watched(namespace: &str, name: &str) -> WatchSpec {
    let endpoint = Endpoint::new("v1", "Secret", "secrets", true);
    let field_selector = format!("metadata.name={name}");
    WatchSpec { namespace: Some(namespace.into()), field_selector, ..spec(endpoint) }
}

/// Tells the loop of webhooks, as long as it listens.
pub(crate) async fn forward(webhooks: Arc<Webhooks>, inputs: tokio::sync::mpsc::UnboundedSender<Input>) {
    loop {
        webhooks.wait().await;
        if inputs.send(Input::Pushed).is_err() {
            return;
        }
    }
}

impl Agent {
    /// Returns what is watched from the beginning.
    pub(crate) fn own_webhook_watch(&self) -> (Watched, WatchSpec) {
        (Watched::WebhookSecret(SECRET.into()), watched(&self.config.namespace, SECRET))
    }

    /// Looks at the repositories that webhooks told of.
    pub(crate) fn pushed(&mut self) {
        let keys = self.webhooks.take();
        let n_known = self.repos.pushed(&keys, Instant::now());
        tracing::debug!(n_told = keys.len(), n_known, "webhooks tell of repositories");
    }

    /// Takes in what is seen of a Secret that webhooks are checked by.
    pub(crate) fn webhook_secret_event(&mut self, name: &str, event: WatchEvent) {
        let secrets = &mut self.webhook_secrets;
        match event {
            WatchEvent::Began => {
                secrets.unlisted.insert(name.into());
                return;
            }
            WatchEvent::Object(object, _) => {
                secrets.unlisted.remove(name);
                secrets.put(name, Some(&object));
            }
            WatchEvent::Deleted(..) => secrets.put(name, None),
            WatchEvent::Listed(_) if secrets.unlisted.remove(name) => secrets.put(name, None),
            WatchEvent::Undecodable { sentence, .. } => {
                secrets.unlisted.remove(name);
                tracing::warn!(
                    secret = name,
                    sentence,
                    "the Secret cannot be read; what it said before stays"
                );
                return;
            }
            WatchEvent::Blind { why, .. } => {
                tracing::warn!(secret = name, error = %why, "the Secret is not seen, which webhooks are checked by");
                return;
            }
            WatchEvent::Listed(_) | WatchEvent::Seeing => return,
        }
        self.watch_references();
        self.check_webhooks();
    }

    /// Watches the other Secrets that `argocd-secret` refers to, and no more.
    fn watch_references(&mut self) {
        let wanted = self.webhook_secrets.references();
        let is_as_before = |name: &String, other: &mut Other| wanted.get(name) == Some(&other.keys);
        self.webhook_secrets.others.retain(is_as_before);
        let known: BTreeSet<String> = self.webhook_secrets.others.keys().cloned().collect();
        self.watches.retain(|_, watched| match watched {
            Watched::WebhookSecret(name) => name == SECRET || known.contains(name),
            _ => true,
        });
        for (name, keys) in wanted {
            if known.contains(&name) {
                continue;
            }
            let (id, handle) = self.start_watch(watched(&self.config.namespace, &name));
            self.watches.insert(id, Watched::WebhookSecret(name.clone()));
            self.webhook_secrets.others.insert(name, Other { keys, values: None, _watch: handle });
        }
    }

    fn check_webhooks(&mut self) {
        let Some((checks, told)) = self.webhook_secrets.checks() else { return };
        for sentence in told.iter().filter(|sentence| !self.webhook_secrets.told.contains(sentence)) {
            tracing::warn!("{sentence}");
        }
        self.webhook_secrets.told = told;
        self.webhooks.check_by(checks);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::harness::Harness;
    use cluster::Origin;
    use serde_json::json;

    fn secret(name: &str, data: &[(&str, &str)]) -> Object {
        let data: BTreeMap<&str, String> =
            data.iter().map(|(key, value)| (*key, model::base64_encode(value.as_bytes()))).collect();
        Object::from_value(
            json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "data": data}),
        )
        .unwrap()
    }

    fn shown(check: Option<&Check>) -> String {
        match check {
            None | Some(Check::Open) => "open".into(),
            Some(Check::Secret(secret)) => String::from_utf8(secret.clone()).unwrap(),
            Some(Check::Unreadable) => "unreadable".into(),
        }
    }

    fn see(harness: &mut Harness, name: &str, data: &[(&str, &str)]) {
        let event = WatchEvent::Object(secret(name, data), Origin::Modified);
        harness.agent.webhook_secret_event(name, event);
    }

    /// Returns by what GitHub's webhooks are checked.
    fn github(harness: &Harness) -> String {
        let checks = harness.agent.webhook_secrets.checks();
        checks.map_or("not yet".into(), |(checks, _)| shown(checks.get(&Provider::GitHub)))
    }

    fn wrong(harness: &Harness) -> String {
        harness.agent.webhook_secrets.checks().unwrap().1.join("; ")
    }

    #[tokio::test]
    async fn a_secret_stands_there_itself_or_elsewhere() {
        let mut harness = Harness::new(&[]).await;
        assert_eq!(github(&harness), "not yet");
        for (data, expected) in [
            (&[][..], "open"),
            (&[("webhook.gitlab.secret", "other")], "open"),
            (&[("webhook.github.secret", "")], "open"),
            (&[("webhook.github.secret", "one\n")], "one"),
            (&[("webhook.github.secret", "$mine"), ("mine", " two\n")], "two"),
            (&[("webhook.github.secret", "$argocd-secret:mine"), ("mine", "two")], "two"),
            (&[("webhook.github.secret", " \n")], "unreadable"),
            (&[("webhook.github.secret", "$mine")], "unreadable"),
            (&[("webhook.github.secret", "$mine"), ("mine", "")], "unreadable"),
            (&[("webhook.github.secret", "$Not/a/name:key")], "unreadable"),
            (&[("webhook.github.secret", "$other:")], "unreadable"),
            (&[("webhook.github.secret", "$:key")], "unreadable"),
        ] {
            see(&mut harness, SECRET, data);
            assert_eq!(github(&harness), expected, "{data:?}");
            assert_eq!(
                wrong(&harness).contains("webhook.github.secret"),
                expected == "unreadable",
                "{data:?}"
            );
            assert!(harness.agent.webhook_secrets.others.is_empty(), "{data:?}");
        }
    }

    #[tokio::test]
    async fn another_secret_is_watched_as_long_as_it_is_referred_to() {
        let mut harness = Harness::new(&[]).await;
        let n_watches = |harness: &Harness| harness.agent.watches.len();
        see(&mut harness, SECRET, &[("webhook.github.secret", "$other:hook.key")]);
        assert_eq!((github(&harness).as_str(), n_watches(&harness)), ("unreadable", 1));
        assert_eq!(wrong(&harness), "", "it has not been looked at yet");
        see(&mut harness, "other", &[("hook.key", "three\n"), ("more", "canary")]);
        assert_eq!(github(&harness), "three");
        let kept = &harness.agent.webhook_secrets.others["other"].values;
        assert_eq!(kept.as_ref().unwrap().len(), 1, "nothing else is kept");
        see(&mut harness, "other", &[("more", "canary")]);
        assert_eq!(github(&harness), "unreadable");
        assert!(wrong(&harness).contains("refers to hook.key of the Secret other"), "{}", wrong(&harness));
        // Another key of it: it is looked at anew.
        see(&mut harness, SECRET, &[("webhook.github.secret", "$other:more")]);
        assert_eq!((github(&harness).as_str(), n_watches(&harness)), ("unreadable", 1));
        see(&mut harness, "other", &[("more", "four")]);
        assert_eq!(github(&harness), "four");
        see(&mut harness, SECRET, &[("webhook.github.secret", "five")]);
        assert_eq!((github(&harness).as_str(), n_watches(&harness)), ("five", 0));
    }

    #[tokio::test]
    async fn a_secret_that_is_gone_is_known_from_a_whole_list_only() {
        let mut harness = Harness::new(&[]).await;
        let told = |harness: &mut Harness, event| harness.agent.webhook_secret_event(SECRET, event);
        told(&mut harness, WatchEvent::Began);
        assert_eq!(github(&harness), "not yet");
        told(&mut harness, WatchEvent::Listed(String::new()));
        assert_eq!(github(&harness), "open");
        see(&mut harness, SECRET, &[("webhook.github.secret", "one")]);
        told(&mut harness, WatchEvent::Began);
        see(&mut harness, SECRET, &[("webhook.github.secret", "one")]);
        told(&mut harness, WatchEvent::Listed(String::new()));
        assert_eq!(github(&harness), "one");
        let (name, namespace, head) = (SECRET.to_owned(), "argocd".to_owned(), None);
        told(&mut harness, WatchEvent::Began);
        told(&mut harness, WatchEvent::Undecodable { name, namespace, sentence: "it is odd", head });
        told(&mut harness, WatchEvent::Listed(String::new()));
        assert_eq!(github(&harness), "one", "what it said before stays");
        told(&mut harness, WatchEvent::Began);
        told(&mut harness, WatchEvent::Listed(String::new()));
        assert_eq!(github(&harness), "open");
    }

    #[test]
    fn what_may_be_a_secret_is_not_said_again() {
        let told = |value: &str| match setting("webhook.github.secret", value.as_bytes(), |_| None) {
            Setting::Wrong(why) => why,
            Setting::Here(_) | Setting::There(..) => panic!("{value}"),
        };
        for value in ["$canary", "$canary/x", "$Canary:x", "$canary.$"] {
            assert!(!told(value).contains("anary"), "{}", told(value));
        }
        assert!(told("$mine.key").contains("mine.key"));
    }
}
