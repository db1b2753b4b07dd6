//! What does a repository Secret say?

use crate::credentials::{Checks, Credentials};
use crate::github::GitHubApp;
use crate::pick::chosen;
use crate::revert::RevertPolicy;
use crate::url::{RepoUrl, normalise};
use std::collections::BTreeMap;
use std::fmt;

/// What a Secret is for (label `argocd.argoproj.io/secret-type`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecretKind {
    /// `repository`: one repository.
    Repository,
    /// `repo-creds`: every repository below a URL.
    Template,
}

/// A repository Secret or a credential template, as far as we act on it. Prints without its secrets.
#[derive(Clone, PartialEq, Eq)]
pub struct RepositorySecret {
    /// What it is for.
    pub kind: SecretKind,
    /// The URL, as the Secret writes it.
    pub url: String,
    /// The only project that may use it; empty for all.
    pub project: String,
    /// What the server is told.
    pub credentials: Credentials,
    /// Whether a host key has to be known. A template has no say in it, as with Argo CD.
    pub checks: Checks,
    /// Fields that we do not act on yet, sorted.
    pub not_yet: Vec<&'static str>,
    /// Whether it is for Git, rather than for Helm or OCI.
    pub is_git: bool,
    /// Whether and how commits are taken back in it; the annotations of a Secret say so, which its data do not have.
    pub reverts: Option<RevertPolicy>,
    /// What its URL is compared by; none where it is no URL.
    pub(crate) place: Option<Place>,
}

/// Which repositories a Secret is for: read once, for each app is held against each Secret.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Place {
    /// The one with this normalised URL.
    One(String),
    /// All below this URL.
    Below(RepoUrl),
}

impl Place {
    /// Reads it after the same rules as the URL of an app, so that a name in front of an `@` is no host.
    fn of(kind: SecretKind, url: &str) -> Option<Self> {
        match kind {
            SecretKind::Repository => {
                RepoUrl::parse(url).ok().map(|url| Self::One(normalise(&url.for_git())))
            }
            SecretKind::Template => RepoUrl::prefix(url).map(Self::Below),
        }
    }
}

impl fmt::Debug for RepositorySecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let url = RepoUrl::parse(&self.url).map_or_else(|error| error.message, |url| url.to_string());
        write!(
            f,
            "RepositorySecret({:?} {url}, project {:?}, {:?})",
            self.kind, self.project, self.credentials
        )
    }
}

/// Fields that change how Argo CD reaches a repository, and that we do not act on yet.
const NOT_YET: [&str; 9] = [
    "azureActiveDirectoryEndpoint",
    "azureServicePrincipalClientID",
    "azureServicePrincipalClientId",
    "enableLfs",
    "gcpServiceAccountKey",
    "proxy",
    "tlsClientCertData",
    "tlsClientCertKey",
    "useAzureWorkloadIdentity",
];

impl RepositorySecret {
    /// Reads the data of a Secret (Argo CD declarative setup: repositories and repository credentials).
    ///
    /// # Errors
    /// A sentence that names the field at fault and never its value.
    pub fn from_data(kind: SecretKind, data: &BTreeMap<String, Vec<u8>>) -> Result<Self, String> {
        let text = |field: &str| -> Result<String, String> {
            let bytes = data.get(field).map_or(&[][..], Vec::as_slice);
            let text = std::str::from_utf8(bytes).map_err(|_| format!("field {field} is not UTF-8"))?;
            Ok(text.trim().to_owned())
        };
        let url = text("url")?;
        if url.is_empty() {
            return Err("field url is missing or empty".into());
        }
        let (username, password, bearer) = (text("username")?, text("password")?, text("bearerToken")?);
        for (field, value) in [("username", &username), ("password", &password), ("bearerToken", &bearer)] {
            if value.chars().any(char::is_control) {
                return Err(format!("field {field} holds a control character"));
            }
        }
        let key = ssh_key(&text("sshPrivateKey")?)?;
        let app = github_app(text)?;
        let is_basic = !username.is_empty() || !password.is_empty();
        if is_basic && !bearer.is_empty() {
            return Err("fields bearerToken and username or password exclude each other".into());
        }
        let mut not_yet = Vec::new();
        for field in NOT_YET {
            let value = text(field)?;
            if !value.is_empty() && value != "false" {
                not_yet.push(field);
            }
        }
        let kind_of_repository = text("type")?;
        Ok(Self {
            kind,
            place: Place::of(kind, &url),
            url,
            project: text("project")?,
            credentials: credentials((username, password), bearer, key, app),
            checks: if text("insecure")? == "true" || text("insecureIgnoreHostKey")? == "true" {
                Checks::None
            } else {
                Checks::Strict
            },
            not_yet,
            reverts: None,
            is_git: kind_of_repository.is_empty() || kind_of_repository == "git",
        })
    }

    /// Reads what a Secret is for, whatever else in it cannot be read; `None` where not even its URL can.
    pub fn outline(kind: SecretKind, data: &BTreeMap<String, Vec<u8>>) -> Option<Self> {
        let purpose = ["url", "project", "type"];
        let readable = data.iter().filter(|(field, _)| purpose.contains(&field.as_str()));
        Self::from_data(kind, &readable.map(|(field, value)| (field.clone(), value.clone())).collect()).ok()
    }

    /// Returns whether this Secret would be the one that a repository gets its credentials from, if it held any, beside
    /// the others that there are.
    pub fn would_serve(&self, others: &[Self], url: &RepoUrl, project: &str) -> bool {
        let own = Self { credentials: Credentials::Bearer(String::new()), ..self.clone() };
        let all: Vec<Self> = std::iter::once(own).chain(others.iter().cloned()).collect();
        url.local_path().is_none()
            && chosen(&all, url, project).is_some_and(|chosen| std::ptr::eq(chosen, &raw const all[0]))
    }

    pub(crate) fn has_credentials(&self) -> bool {
        self.credentials != Credentials::None || !self.not_yet.is_empty()
    }
}

/// Chooses in Argo CD's order where a Secret has more than one of them.
fn credentials(
    (username, password): (String, String),
    bearer: String,
    key: String,
    app: Option<GitHubApp>,
) -> Credentials {
    if !bearer.is_empty() {
        Credentials::Bearer(bearer)
    } else if password.is_empty() && !key.is_empty() {
        Credentials::SshKey(key)
    } else if let Some(app) = app.filter(|_| password.is_empty()) {
        Credentials::GitHubApp(app)
    } else if password.is_empty() && username.is_empty() {
        Credentials::None
    } else {
        Credentials::Basic { username, password }
    }
}

/// Reads a GitHub App, if one is there.
fn github_app(text: impl Fn(&str) -> Result<String, String>) -> Result<Option<GitHubApp>, String> {
    let (id, key) = (text("githubAppID")?, text("githubAppPrivateKey")?);
    if id.is_empty() && key.is_empty() {
        return Ok(None);
    }
    let (installation, api) = (text("githubAppInstallationID")?, text("githubAppEnterpriseBaseUrl")?);
    GitHubApp::read(&id, &installation, &api, &key).map(Some)
}

/// Looks at the frame of an SSH key, so that what is no key is told before a server is asked.
fn ssh_key(text: &str) -> Result<String, String> {
    if text.is_empty() {
        return Ok(String::new());
    }
    let is_framed = text.starts_with("-----BEGIN ") && text.ends_with(" PRIVATE KEY-----");
    if !is_framed || text.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\r')) {
        return Err("field sshPrivateKey is no private key: it has to begin with -----BEGIN and end with PRIVATE KEY-----".into());
    }
    if text.contains("ENCRYPTED") {
        return Err("field sshPrivateKey has a passphrase; store the key without one".into());
    }
    Ok(text.replace('\r', "") + "\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(kind: SecretKind, fields: &str) -> Result<RepositorySecret, String> {
        let field = |line: &str| {
            let (name, value) = line.split_once('=').unwrap();
            (name.to_owned(), value.as_bytes().to_vec())
        };
        RepositorySecret::from_data(kind, &fields.split(' ').map(field).collect())
    }

    // N21: a repository Secret
    #[test]
    fn a_broken_secret_is_told_without_its_values() {
        let told = |fields: &str| secret(SecretKind::Repository, fields).unwrap_err();
        assert_eq!(told("password=canary"), "field url is missing or empty");
        assert_eq!(told("url=https://h/x password=can\nary"), "field password holds a control character");
        assert!(told("url=https://h/x bearerToken=canary password=canary").starts_with("fields bearerToken"));
        let key = |text: &str| {
            let fields = [("url", "git@h:x"), ("sshPrivateKey", text)];
            let data = fields.map(|(name, value)| (name.to_owned(), value.as_bytes().to_vec())).into();
            RepositorySecret::from_data(SecretKind::Repository, &data)
        };
        let framed = "-----BEGIN RSA PRIVATE KEY-----\r\ncanary\r\n-----END RSA PRIVATE KEY-----";
        let read = key(framed).unwrap();
        assert_eq!(read.credentials, Credentials::SshKey(framed.replace('\r', "") + "\n"));
        assert!(!format!("{read:?}").contains("canary"));
        for (text, expected) in [
            ("ssh-ed25519 canary", "field sshPrivateKey is no private key"),
            ("-----BEGIN RSA PRIVATE KEY-----\ncanary", "field sshPrivateKey is no private key"),
            (
                &framed.replace("canary", "Proc-Type: 4,ENCRYPTED\ncanary"),
                "field sshPrivateKey has a passphrase",
            ),
        ] {
            let told = key(text).unwrap_err();
            assert!(told.starts_with(expected) && !told.contains("canary"), "{told}");
        }
        let bytes = BTreeMap::from([("url".to_owned(), vec![0xff, 0xfe])]);
        assert_eq!(
            RepositorySecret::from_data(SecretKind::Template, &bytes).unwrap_err(),
            "field url is not UTF-8"
        );
        let printed = format!(
            "{:?}",
            secret(SecretKind::Repository, "url=https://u:canary@h/x password=canary").unwrap()
        );
        assert!(!printed.contains("canary"), "{printed}");
    }
}
