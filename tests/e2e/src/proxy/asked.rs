//! What does a request want of the API server, or of the Git server? Verb, kind and name, as people say it.

use std::fmt;

use crate::git_server::GitStep;
use crate::server::Request;

/// What is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verb {
    /// Reads one object.
    Get,
    /// Reads a collection.
    List,
    /// Follows a collection.
    Watch,
    /// Asks which kinds there are.
    Discover,
    /// Asks what an apply would do.
    DryRun,
    /// Applies on the server's side.
    Apply,
    /// Changes by a patch.
    Patch,
    /// Creates.
    Create,
    /// Replaces.
    Update,
    /// Deletes.
    Delete,
    /// Asks a Git server which refs there are.
    Refs,
    /// Asks a Git server for commits.
    Fetch,
}

impl Verb {
    const NAMES: [(Self, &str); 12] = [
        (Self::Get, "get"),
        (Self::List, "list"),
        (Self::Watch, "watch"),
        (Self::Discover, "discover"),
        (Self::DryRun, "dry-run"),
        (Self::Apply, "apply"),
        (Self::Patch, "patch"),
        (Self::Create, "create"),
        (Self::Update, "update"),
        (Self::Delete, "delete"),
        (Self::Refs, "refs"),
        (Self::Fetch, "fetch"),
    ];

    /// Returns whether something is another afterwards.
    pub fn writes(self) -> bool {
        matches!(self, Self::Apply | Self::Patch | Self::Create | Self::Update | Self::Delete)
    }

    /// Returns whether a Git server is asked.
    pub fn is_of_git(self) -> bool {
        matches!(self, Self::Refs | Self::Fetch)
    }

    /// Reads its name.
    pub fn named(name: &str) -> Option<Self> {
        Self::NAMES.iter().find(|(_, known)| *known == name).map(|(verb, _)| *verb)
    }
}

impl fmt::Display for Verb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = Self::NAMES.iter().find(|(verb, _)| verb == self).map_or("", |(_, name)| name);
        f.write_str(name)
    }
}

/// A request, decoded.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Asked {
    /// What is done.
    pub verb: Verb,
    /// To what: plural and group, such as `deployments.apps`; a path for what is no resource.
    pub resource: String,
    /// In which namespace: `control`, `app`, or its name; empty for none or all.
    pub namespace: String,
    /// By name, in which `NS` stands for the app namespace; empty for a collection.
    pub name: String,
}

impl Asked {
    pub(crate) fn of(request: &Request) -> Self {
        let has = |text: &str| request.query.split('&').any(|parameter| parameter == text);
        let parts: Vec<&str> = request.path.split('/').filter(|part| !part.is_empty()).collect();
        if let Some(step) = GitStep::of(request) {
            let verb = if step == GitStep::Refs { Verb::Refs } else { Verb::Fetch };
            let repository = parts[0].trim_end_matches(".git").to_owned();
            return Self { verb, resource: "git".to_owned(), namespace: String::new(), name: repository };
        }
        let (group, rest) = match parts.as_slice() {
            ["api", _, rest @ ..] if !rest.is_empty() => ("", rest),
            ["apis", group, _, rest @ ..] if !rest.is_empty() => (*group, rest),
            _ => {
                let (verb, resource) = (Verb::Discover, request.path.clone());
                return Self { verb, resource, namespace: String::new(), name: String::new() };
            }
        };
        let (namespace, rest) = match rest {
            ["namespaces", namespace, rest @ ..] if !rest.is_empty() => (*namespace, rest),
            rest => ("", rest),
        };
        let (plural, name) = (rest[0], rest.get(1).copied().unwrap_or_default());
        let is_apply = request.headers.get("content-type").is_some_and(|media| media.contains("apply-patch"));
        let verb = match request.method.as_str() {
            "GET" if has("watch=true") || has("watch=1") => Verb::Watch,
            "GET" if name.is_empty() => Verb::List,
            "GET" => Verb::Get,
            "POST" => Verb::Create,
            "PUT" => Verb::Update,
            "DELETE" => Verb::Delete,
            _ if has("dryRun=All") => Verb::DryRun,
            _ if is_apply => Verb::Apply,
            _ => Verb::Patch,
        };
        let resource = if group.is_empty() { plural.to_owned() } else { format!("{plural}.{group}") };
        Self { verb, resource, namespace: namespace.to_owned(), name: name.to_owned() }
    }

    /// Reads what `Display` writes.
    pub fn parse(text: &str) -> Option<Self> {
        let mut words = text.split(' ');
        let (verb, resource, place) = (words.next()?, words.next()?, words.next()?);
        let (namespace, name) = place.split_once('/')?;
        let or_nothing =
            |text: &str, absent: &str| if text == absent { String::new() } else { text.to_owned() };
        let (namespace, name) = (or_nothing(namespace, "-"), or_nothing(name, "*"));
        Some(Self { verb: Verb::named(verb)?, resource: resource.to_owned(), namespace, name })
    }
}

impl fmt::Display for Asked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let or = |text: &str, absent: &str| if text.is_empty() { absent.to_owned() } else { text.to_owned() };
        write!(f, "{} {} {}/{}", self.verb, self.resource, or(&self.namespace, "-"), or(&self.name, "*"))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn asked(method: &str, target: &str, media_type: &str) -> String {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let headers = BTreeMap::from([("content-type".to_owned(), media_type.to_owned())]);
        let request = Request {
            method: method.into(),
            path: path.into(),
            query: query.into(),
            headers,
            body: Vec::new(),
        };
        let asked = Asked::of(&request);
        assert_eq!(Asked::parse(&asked.to_string()), Some(asked.clone()));
        asked.to_string()
    }

    #[test]
    fn requests_are_read_by_what_they_want() {
        let (apply, merge) = ("application/apply-patch+yaml", "application/merge-patch+json");
        for (method, target, media_type, expected) in [
            ("GET", "/api", "", "discover /api -/*"),
            ("GET", "/apis/apps/v1", "", "discover /apis/apps/v1 -/*"),
            ("GET", "/api/v1/namespaces", "", "list namespaces -/*"),
            ("GET", "/api/v1/namespaces/a", "", "get namespaces -/a"),
            ("GET", "/api/v1/configmaps?watch=true&x=y", "", "watch configmaps -/*"),
            ("GET", "/apis/apps/v1/namespaces/a/deployments/b", "", "get deployments.apps a/b"),
            ("PATCH", "/api/v1/namespaces/a/secrets/b?force=true", apply, "apply secrets a/b"),
            ("PATCH", "/api/v1/namespaces/a/secrets/b?dryRun=All", apply, "dry-run secrets a/b"),
            ("PATCH", "/api/v1/namespaces/a/secrets/b", merge, "patch secrets a/b"),
            ("POST", "/api/v1/namespaces/a/events", "", "create events a/*"),
            ("DELETE", "/api/v1/namespaces/a/secrets/b", "", "delete secrets a/b"),
            ("GET", "/shop.git/info/refs?service=git-upload-pack", "", "refs git -/shop"),
            (
                "POST",
                "/shop.git/git-upload-pack",
                "application/x-git-upload-pack-request",
                "fetch git -/shop",
            ),
        ] {
            assert_eq!(asked(method, target, media_type), expected);
        }
        for (verb, name) in Verb::NAMES {
            assert_eq!((Verb::named(name), verb.to_string()), (Some(verb), name.to_owned()));
        }
    }
}
