//! Where can people reach what a live object publishes? Argo CD's rules (its "external URL" documentation).

use crate::read::{items, text_in, within};
use model::{Object, is_web_link, names};
use serde_json::Value;
use std::collections::BTreeSet;

/// Most links of one object: a status holds those of all.
const MOST: usize = 50;

/// Returns the links of a live object, sorted: those that annotations name, as `url` or `title|url`, and for an Ingress the
/// hosts and paths of its rules. What is no web link is left out: interfaces would run it.
pub fn links(object: &Object) -> Vec<String> {
    let annotations = object.metadata().and_then(|metadata| metadata.get("annotations")?.as_object());
    let annotations = annotations.into_iter().flatten();
    let named = annotations.filter(|(name, _)| name.starts_with(names::LINK_PREFIX));
    let named = named.filter_map(|(_, link)| link.as_str()).map(str::to_owned);
    let key = object.key();
    let is_ingress =
        key.kind == "Ingress" && matches!(key.group.as_str(), "networking.k8s.io" | "extensions");
    let has_own = object.annotation(names::IGNORE_DEFAULT_LINKS) == Some("true");
    let published = if is_ingress && !has_own { of_rules(object) } else { Vec::new() };
    let all: BTreeSet<String> = named.chain(published).filter(|link| is_web_link(link)).collect();
    all.into_iter().take(MOST).collect()
}

fn of_rules(ingress: &Object) -> Vec<String> {
    let tls = items(ingress, "spec/tls");
    let address = items(ingress, "status/loadBalancer/ingress").iter().map(address).next_back();
    let mut links = Vec::new();
    for rule in items(ingress, "spec/rules") {
        let host = match text_in(rule, "host") {
            "" => address.unwrap_or_default(),
            host => host,
        };
        if host.is_empty() {
            continue;
        }
        let scheme = if tls.iter().any(|tls| covers(tls, host)) { "https" } else { "http" };
        let paths = within(rule, "http/paths").and_then(Value::as_array);
        for path in paths.into_iter().flatten() {
            links.push(format!("{scheme}://{host}{}", text_in(path, "path").trim_end_matches('*')));
        }
    }
    links
}

/// A certificate without hosts is for all of them.
fn covers(tls: &Value, host: &str) -> bool {
    let hosts = tls.get("hosts").and_then(Value::as_array);
    let has_secret = !text_in(tls, "secretName").is_empty();
    hosts.map_or(has_secret, |hosts| {
        hosts.iter().any(|named| named == host) || (hosts.is_empty() && has_secret)
    })
}

fn address(balancer: &Value) -> &str {
    match text_in(balancer, "hostname") {
        "" => text_in(balancer, "ip"),
        hostname => hostname,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn of(kind: &str, metadata: &Value, spec: &Value) -> Vec<String> {
        let (api_version, status) = match kind {
            "Ingress" => ("networking.k8s.io/v1", json!({"loadBalancer": {"ingress": [{"ip": "10.0.0.1"}]}})),
            _ => ("v1", json!({})),
        };
        let object = json!({"apiVersion": api_version, "kind": kind, "metadata": metadata, "spec": spec, "status": status});
        links(&Object::from_value(object).unwrap())
    }

    fn rules() -> Value {
        let paths = |path: &str| json!({"paths": [{"path": path}]});
        json!({
            "tls": [{"hosts": ["shop.example"], "secretName": "cert"}],
            "rules": [
                {"host": "shop.example", "http": paths("/")},
                {"host": "plain.example", "http": paths("/api/*")},
                {"http": paths("/any")},
                {"host": "nothing.example"},
            ],
        })
    }

    #[test]
    fn an_ingress_publishes_its_hosts_and_paths() {
        let expected = ["http://10.0.0.1/any", "http://plain.example/api/", "https://shop.example/"];
        assert_eq!(of("Ingress", &json!({}), &rules()), expected);
        let mut of_all = rules();
        of_all["tls"] = json!([{"secretName": "cert"}]);
        assert!(of("Ingress", &json!({}), &of_all).iter().all(|link| link.starts_with("https://")));
        let own = json!({"annotations": {
            "argocd.argoproj.io/ignore-default-links": "true",
            "link.argocd.argoproj.io/external-link": "https://shop.example/start",
        }});
        assert_eq!(of("Ingress", &own, &rules()), ["https://shop.example/start"]);
    }

    // N55: links in a status
    #[test]
    fn annotations_name_links_and_only_web_links_are_taken() {
        let annotations = json!({"annotations": {
            "link.argocd.argoproj.io/titled": "Shop|https://shop.example/",
            "link.argocd.argoproj.io/script": "Shop|javascript:alert(1)",
            "link.argocd.argoproj.io/bare": "shop.example",
            "link.argocd.argoproj.io/odd": 7,
            "other.example/link": "https://other.example/",
        }});
        assert_eq!(of("Service", &annotations, &json!({})), ["Shop|https://shop.example/"]);
        assert!(of("Service", &json!({}), &rules()).is_empty(), "no Ingress");
    }

    #[test]
    fn a_status_holds_only_so_many() {
        let paths: Vec<Value> = (0..500).map(|n| json!({"path": format!("/{n}")})).collect();
        let spec = json!({"rules": [{"host": "shop.example", "http": {"paths": paths}}]});
        assert_eq!(of("Ingress", &json!({}), &spec).len(), MOST);
    }
}
