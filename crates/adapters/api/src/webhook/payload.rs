//! Which repositories is a webhook's payload about?

use super::{Provider, repository_key};
use crate::ApiError;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::collections::BTreeSet;
use warp::http::HeaderMap;

/// How many URLs of one payload are looked at.
const MOST_URLS: usize = 16;
/// How much of an event's name is said again.
const SHOWN: usize = 60;

/// What a payload says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Told {
    /// These repositories may have moved, by [`repository_key`]; there is one at least.
    Push(BTreeSet<String>),
    /// An event that moves nothing.
    Nothing(String),
}

/// Reads a payload. What is not asked for is passed over unread: it may be anything.
///
/// # Errors
/// 400 for what cannot be read or names no repository.
pub(super) fn read(provider: Provider, headers: &HeaderMap, body: &[u8]) -> Result<Told, ApiError> {
    let event = provider.event(headers);
    let urls = match (provider, event) {
        (Provider::GitHub, "push") | (Provider::Gitea, "push" | "create" | "delete") => {
            parse::<OfRepository<Urls>>(body)?.repository.map(Urls::all)
        }
        (Provider::GitLab, "Push Hook" | "Tag Push Hook") => parse::<GitLab>(body)?.project.map(Project::all),
        (Provider::GitLab, "System Hook") => {
            let payload: GitLab = parse(body)?;
            if !payload.is_push() {
                return Ok(Told::Nothing("this system hook".to_owned()));
            }
            payload.project.map(Project::all)
        }
        (Provider::BitbucketCloud, "repo:push") => {
            parse::<OfRepository<Cloud>>(body)?.repository.map(Cloud::all)
        }
        (Provider::BitbucketServer, "repo:refs_changed" | "mirror:repo_synchronized") => {
            parse::<OfRepository<Server>>(body)?.repository.map(Server::all)
        }
        (Provider::Generic, _) => return generic(body),
        (_, "") => {
            return Err(ApiError::invalid("the header that names the event is empty or stands there twice"));
        }
        (_, event) => return Ok(Told::Nothing(format!("the event `{}`", shortened(event)))),
    };
    push(&urls.unwrap_or_default())
}

/// Nobody else sends a repository as text.
fn generic(body: &[u8]) -> Result<Told, ApiError> {
    let payload: Generic = parse(body).map_err(|error| {
        ApiError::invalid(format!(
            "no header tells whose webhook this is (GitHub, GitLab, Gitea, Gogs, Bitbucket), and it is no generic one such as \
             {{\"repository\": \"https://git.example.com/team/shop\"}}: {error}"
        ))
    })?;
    push(&[payload.repository])
}

fn push(urls: &[String]) -> Result<Told, ApiError> {
    let keys: BTreeSet<String> = urls.iter().take(MOST_URLS).filter_map(|url| repository_key(url)).collect();
    if keys.is_empty() {
        return Err(ApiError::invalid("the payload names no URL of a repository"));
    }
    Ok(Told::Push(keys))
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, ApiError> {
    // A list would be read as the fields of an object one after the other.
    if body.trim_ascii_start().first() != Some(&b'{') {
        return Err(ApiError::invalid("the payload is not a JSON object"));
    }
    serde_json::from_slice(body).map_err(|error| {
        // What serde says quotes the payload.
        let (line, column) = (error.line(), error.column());
        ApiError::invalid(format!("the payload cannot be read: line {line}, column {column}"))
    })
}

fn shortened(text: &str) -> String {
    text.chars().filter(|c| c.is_ascii_graphic() || *c == ' ').take(SHOWN).collect()
}

#[derive(Deserialize)]
struct Generic {
    repository: String,
}

#[derive(Deserialize)]
struct OfRepository<T> {
    repository: Option<T>,
}

/// A repository of GitHub, Gitea or Gogs.
#[derive(Deserialize)]
struct Urls {
    #[serde(rename = "html_url")]
    page: Option<String>,
    #[serde(rename = "clone_url")]
    http: Option<String>,
    #[serde(rename = "ssh_url")]
    ssh: Option<String>,
}

impl Urls {
    fn all(self) -> Vec<String> {
        [self.page, self.http, self.ssh].into_iter().flatten().collect()
    }
}

#[derive(Deserialize)]
struct GitLab {
    object_kind: Option<String>,
    event_name: Option<String>,
    project: Option<Project>,
}

impl GitLab {
    /// System hooks tell of everything; those that tell of a repository carry its project.
    fn is_push(&self) -> bool {
        let names = [&self.object_kind, &self.event_name];
        names
            .into_iter()
            .flatten()
            .any(|name| matches!(name.as_str(), "push" | "tag_push" | "repository_update"))
    }
}

#[derive(Deserialize)]
struct Project {
    #[serde(rename = "web_url")]
    page: Option<String>,
    #[serde(rename = "git_http_url")]
    http: Option<String>,
    #[serde(rename = "git_ssh_url")]
    ssh: Option<String>,
}

impl Project {
    fn all(self) -> Vec<String> {
        [self.page, self.http, self.ssh].into_iter().flatten().collect()
    }
}

#[derive(Deserialize)]
struct Link {
    href: Option<String>,
}

/// A repository of Bitbucket Cloud, which has one page and is cloned from there.
#[derive(Deserialize)]
struct Cloud {
    links: Option<CloudLinks>,
}

#[derive(Deserialize)]
struct CloudLinks {
    html: Option<Link>,
}

impl Cloud {
    fn all(self) -> Vec<String> {
        self.links.and_then(|links| links.html?.href).into_iter().collect()
    }
}

/// A repository of Bitbucket Server, whose pages have other URLs than what is cloned.
#[derive(Deserialize)]
struct Server {
    links: Option<ServerLinks>,
}

#[derive(Deserialize)]
struct ServerLinks {
    clone: Option<Vec<Link>>,
}

impl Server {
    fn all(self) -> Vec<String> {
        let links = self.links.and_then(|links| links.clone).unwrap_or_default();
        links.into_iter().filter_map(|link| link.href).collect()
    }
}
