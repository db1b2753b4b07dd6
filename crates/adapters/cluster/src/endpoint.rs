//! Under which URL does the API server serve a kind?

use model::{CallError, ErrorClass, GroupVersionKind};
use std::fmt::Write as _;

/// Where one kind at one version is served, as discovery tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Group, version and kind.
    pub gvk: GroupVersionKind,
    /// The resource's name in URLs, such as `deployments`.
    pub plural: String,
    /// Whether its objects live in namespaces.
    pub namespaced: bool,
    /// What the server can do with it, such as `list` and `watch`, sorted.
    pub verbs: Vec<String>,
}

impl Endpoint {
    /// Names an endpoint that needs no discovery, such as the one of Secrets; `verbs` stays empty.
    pub fn new(api_version: &str, kind: &str, plural: &str, namespaced: bool) -> Self {
        Self {
            gvk: GroupVersionKind::from_api_version(api_version, kind),
            plural: plural.into(),
            namespaced,
            verbs: Vec::new(),
        }
    }

    /// Returns whether the server offers `verb` for this kind.
    pub fn offers(&self, verb: &str) -> bool {
        self.verbs.iter().any(|offered| offered == verb)
    }

    /// Returns the path of all objects, or of those in one namespace.
    pub(crate) fn collection(&self, namespace: Option<&str>) -> String {
        let GroupVersionKind { group, version, .. } = &self.gvk;
        let mut path =
            if group.is_empty() { format!("/api/{version}") } else { format!("/apis/{group}/{version}") };
        if let Some(namespace) = namespace.filter(|namespace| self.namespaced && !namespace.is_empty()) {
            path.push_str("/namespaces/");
            path.push_str(&escape(namespace));
        }
        path.push('/');
        path.push_str(&self.plural);
        path
    }

    /// Returns the path of one object.
    ///
    /// # Errors
    /// When the name, or the namespace of a namespaced kind, is missing or could lead to another object's URL: such a
    /// request would address a whole collection.
    pub(crate) fn object(&self, namespace: &str, name: &str) -> Result<String, CallError> {
        let refuse = |what: &str| {
            Err(CallError::new(ErrorClass::Invalid, format!("{} without a usable {what}", self.gvk.kind)))
        };
        if !is_segment(name) {
            return refuse("name");
        }
        if self.namespaced && !is_segment(namespace) {
            return refuse("namespace");
        }
        Ok(format!("{}/{}", self.collection(Some(namespace)), escape(name)))
    }
}

fn is_segment(text: &str) -> bool {
    !text.is_empty() && text != "." && text != ".." && !text.contains('/')
}

/// Appends parameters to a path, escaped.
pub(crate) fn with_query(path: &str, parameters: &[(&str, &str)]) -> String {
    let mut url = path.to_owned();
    for (n, (key, value)) in parameters.iter().enumerate() {
        url.push(if n == 0 { '?' } else { '&' });
        url.push_str(key);
        url.push('=');
        url.push_str(&escape(value));
    }
    url
}

/// Escapes everything that RFC 3986 does not call unreserved, except the colon of RBAC names, which paths and
/// queries both allow.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~:".contains(&byte) {
            escaped.push(byte.into());
        } else {
            write!(escaped, "%{byte:02X}").expect("writing to a String does not fail");
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths() {
        let deployments = Endpoint::new("apps/v1", "Deployment", "deployments", true);
        let roles = Endpoint::new("rbac.authorization.k8s.io/v1", "ClusterRole", "clusterroles", false);
        let secrets = Endpoint::new("v1", "Secret", "secrets", true);
        assert_eq!(
            deployments.object("shop", "web").unwrap(),
            "/apis/apps/v1/namespaces/shop/deployments/web"
        );
        assert_eq!(deployments.collection(None), "/apis/apps/v1/deployments");
        assert_eq!(secrets.collection(Some("a")), "/api/v1/namespaces/a/secrets");
        assert_eq!(
            roles.object("ignored", "system:a b%").unwrap(),
            "/apis/rbac.authorization.k8s.io/v1/clusterroles/system:a%20b%25"
        );
    }

    #[test]
    fn one_object_never_becomes_a_collection() {
        let secrets = Endpoint::new("v1", "Secret", "secrets", true);
        for (namespace, name) in
            [("a", ""), ("", "x"), ("a", ".."), ("a", "x/y"), ("a/b", "x"), (".", "x"), ("..", "x")]
        {
            assert_eq!(secrets.object(namespace, name).unwrap_err().class, ErrorClass::Invalid);
        }
    }

    #[test]
    fn selectors_are_escaped() {
        assert_eq!(
            with_query("/p", &[("labelSelector", "a.b/c=d,e!=f"), ("limit", "5")]),
            "/p?labelSelector=a.b%2Fc%3Dd%2Ce%21%3Df&limit=5"
        );
    }
}
