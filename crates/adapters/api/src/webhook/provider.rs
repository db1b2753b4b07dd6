//! Who sends this webhook?

use crate::ApiError;
use warp::http::HeaderMap;
use warp::http::header::AsHeaderName;

/// Whose webhooks are understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Provider {
    /// GitHub.
    GitHub,
    /// GitLab.
    GitLab,
    /// Gitea, Forgejo and Gogs.
    Gitea,
    /// Bitbucket Cloud.
    BitbucketCloud,
    /// Bitbucket Server and Data Center.
    BitbucketServer,
    /// Whoever sends `{"repository": "URL"}`.
    Generic,
}

impl Provider {
    /// All of them.
    pub const ALL: &[Self] = &[
        Self::GitHub,
        Self::GitLab,
        Self::Gitea,
        Self::BitbucketCloud,
        Self::BitbucketServer,
        Self::Generic,
    ];

    /// Returns the key of `argocd-secret` that holds its secret. All but the last are Argo CD's.
    pub fn secret_key(self) -> &'static str {
        match self {
            Self::GitHub => "webhook.github.secret",
            Self::GitLab => "webhook.gitlab.secret",
            Self::Gitea => "webhook.gogs.secret",
            Self::BitbucketCloud => "webhook.bitbucket.uuid",
            Self::BitbucketServer => "webhook.bitbucketserver.secret",
            Self::Generic => "webhook.generic.secret",
        }
    }

    /// Returns the header that proves that it is them.
    pub(super) fn proof(self) -> &'static str {
        match self {
            Self::GitHub => "x-hub-signature-256",
            Self::GitLab => "x-gitlab-token",
            Self::Gitea => "x-gitea-signature",
            Self::BitbucketCloud => "x-hook-uuid",
            Self::BitbucketServer => "x-hub-signature",
            Self::Generic => "x-tautline-signature-256",
        }
    }

    /// Tells who sends it by the header that names the event, in Argo CD's order: Gitea sends GitHub's headers as well, and
    /// both Bitbuckets have one in common.
    ///
    /// # Errors
    /// For a provider that is known and not understood yet.
    pub(super) fn of(headers: &HeaderMap) -> Result<Self, ApiError> {
        let has = |name: &str| headers.contains_key(name);
        if has("x-vss-activityid") {
            return Err(ApiError::invalid(
                "webhooks of Azure DevOps are not understood yet; a pipeline can send the generic one, see the README",
            ));
        }
        Ok(if has("x-gitea-event") || has("x-gogs-event") || has("x-forgejo-event") {
            Self::Gitea
        } else if has("x-github-event") {
            Self::GitHub
        } else if has("x-gitlab-event") {
            Self::GitLab
        } else if has("x-hook-uuid") {
            Self::BitbucketCloud
        } else if has("x-event-key") {
            Self::BitbucketServer
        } else {
            Self::Generic
        })
    }

    /// Returns the event that the headers name; empty for one that cannot be told.
    pub(super) fn event(self, headers: &HeaderMap) -> &str {
        let names: &[&str] = match self {
            Self::GitHub => &["x-github-event"],
            Self::GitLab => &["x-gitlab-event"],
            Self::Gitea => &["x-gitea-event", "x-gogs-event", "x-forgejo-event"],
            Self::BitbucketCloud | Self::BitbucketServer => &["x-event-key"],
            Self::Generic => &[],
        };
        names.iter().find_map(|name| only(headers, *name)).unwrap_or_default()
    }
}

/// Returns the value of a header that stands there once and is text.
pub(super) fn only(headers: &HeaderMap, name: impl AsHeaderName) -> Option<&str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?;
    if values.next().is_some() { None } else { value.to_str().ok() }
}
