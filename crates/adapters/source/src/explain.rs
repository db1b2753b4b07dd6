//! What does an error of libgit2's mean to whoever reads it?

use crate::clone::cannot_write;
use crate::config::Repository;
use crate::confine::MAX_UNFOLDED;
use crate::credentials::Credentials;
use crate::error::{Kind, SourceError, printable};
use crate::remote::{Call, MAX_LIST};
use crate::url::RepoUrl;
use git2::{ErrorClass, ErrorCode};
use std::net::IpAddr;

impl Call<'_> {
    /// Explains why a repository could not be read.
    pub(crate) fn explain(&self, error: &git2::Error) -> SourceError {
        if let Err(over) = self.token.check() {
            return over;
        }
        let url = &self.repository.url;
        let text = printable(&self.repository.credentials.scrub(error.message()));
        let status = http_status(&text);
        let sentence = |kind: Kind, rest: &str| SourceError::new(kind, format!("repository {url} {rest}"));
        match (error.code(), status) {
            _ if url.is_ssh() => ssh_failed(self.repository, error, &text),
            (ErrorCode::Auth, _) | (_, Some("401")) => {
                wants_credentials(url, self.repository.credentials != Credentials::None)
            }
            (_, Some("403")) => sentence(Kind::Authentication, "refuses access (403)")
                .help("see that these credentials may read it"),
            (_, Some("404" | "410")) => sentence(Kind::RepositoryNotFound, "is not there (404)")
                .help("see that the URL is right and that the credentials may see it"),
            (_, Some(status)) => sentence(Kind::Unavailable, &format!("answered {status}")),
            _ if is_for_others(error) => is_not_named(url),
            _ if error.message().contains("overly large object") => {
                let limit = MAX_UNFOLDED / 1_000_000;
                sentence(Kind::TooLarge, &format!("holds a file of more than {limit} MB"))
                    .help("keep large files out of it")
            }
            _ if is_about_our_disk(error) => cannot_write(&text),
            (ErrorCode::Certificate, _) => {
                sentence(Kind::Untrusted, &format!("has a certificate that is not trusted: {text}"))
                    .help("see that it is valid now, and that the agent has the certificate of who signed it (SSL_CERT_FILE)")
            }
            (_, None) if text.starts_with("cannot redirect") => self.redirected(&text),
            (ErrorCode::Timeout, _) => sentence(Kind::TimedOut, &format!("does not answer: {text}")),
            (_, None) => sentence(Kind::Unavailable, &format!("cannot be reached: {text}")),
        }
    }

    /// Explains why nothing could be pushed to a repository that was read just before.
    pub(crate) fn explain_push(&self, error: &git2::Error) -> SourceError {
        if self.token.check().is_err() {
            return self.explain(error);
        }
        let url = &self.repository.url;
        let text = printable(&self.repository.credentials.scrub(error.message()));
        let status = http_status(&text);
        // Some servers say of what is closed to the caller that it is not there.
        if let Some(status @ ("403" | "404" | "410")) = status {
            return self.may_not_push(status);
        }
        let has_credentials = self.repository.credentials != Credentials::None;
        if !url.is_ssh() && !has_credentials && (error.code() == ErrorCode::Auth || status == Some("401")) {
            let message = format!("repository {url} wants credentials of whoever pushes to it");
            return SourceError::new(Kind::Authentication, message)
                .help("add a repository Secret with this URL, or take the annotation off");
        }
        // Servers say it by SSH in words of their own.
        let words = text.to_ascii_lowercase();
        let is_closed = ["denied", "not allowed", "not authorized", "permission", "read only", "read-only"];
        if url.is_ssh()
            && error.code() != ErrorCode::Auth
            && is_closed.iter().any(|told| words.contains(told))
        {
            return self.may_not_push(&text);
        }
        self.explain(error)
    }

    fn may_not_push(&self, why: &str) -> SourceError {
        let message =
            format!("the credentials for repository {} may not push to it ({why})", self.repository.url);
        SourceError::new(Kind::Authentication, message)
            .help("give them write access, or take the annotation off")
    }

    pub(crate) fn too_large(&self) -> SourceError {
        let limit = self.max_fetch / 1_000_000;
        let message = format!("repository {} is larger than the limit of {limit} MB", self.repository.url);
        SourceError::new(Kind::TooLarge, message)
    }

    pub(crate) fn too_many_refs(&self) -> SourceError {
        let limit = MAX_LIST / 1_000_000;
        let message = format!("repository {} lists more refs than fit into {limit} MB", self.repository.url);
        SourceError::new(Kind::TooLarge, message).help("delete branches and tags that nobody needs")
    }

    pub(crate) fn redirected(&self, why: &str) -> SourceError {
        let message = format!("repository {} redirected to another server: {why}", self.repository.url);
        SourceError::new(Kind::Unavailable, message).help("write the URL that it redirects to")
    }
}

fn http_status(text: &str) -> Option<&str> {
    text.strip_prefix("unexpected http status code: ").map(str::trim)
}

/// Tells a disk of ours that is full or closed from a server that breaks off: libgit2 has one class for both.
fn is_about_our_disk(error: &git2::Error) -> bool {
    let told =
        ["cannot extend packfile", "No space left on device", "Disk quota exceeded", "Read-only file system"];
    error.class() == ErrorClass::Os && told.iter().any(|words| error.message().contains(words))
}

/// Returns whether the certificate is for other hosts. What libgit2 calls an end of the connection is one as well: it has
/// no better word for a certificate with no name of the kind that was asked for, such as an address, and connections
/// that do end are called something else.
fn is_for_others(error: &git2::Error) -> bool {
    let text = error.message();
    error.class() == ErrorClass::Ssl
        && match error.code() {
            ErrorCode::Certificate => text == "hostname does not match certificate",
            ErrorCode::Eof => text == "SSL error: received early EOF",
            _ => false,
        }
}

fn is_not_named(url: &RepoUrl) -> SourceError {
    let host = url.host_name();
    let what = if host.parse::<IpAddr>().is_ok() { "IP address" } else { "DNS name" };
    SourceError::new(Kind::Untrusted, format!("repository {url} has a certificate that does not name {host}"))
        .help(format!(
            "write the URL with a host that it names, or have one issued with the {what} {host} among its subject alternative names"
        ))
}

/// Explains what came of a conversation by SSH. libssh2 has no codes for it, only words.
fn ssh_failed(repository: &Repository, error: &git2::Error, text: &str) -> SourceError {
    let url = &repository.url;
    let sentence = |kind: Kind, rest: String| SourceError::new(kind, format!("repository {url} {rest}"));
    let has_key = matches!(repository.credentials, Credentials::SshKey(_));
    let is_about_the_key = ["private key", "public key", "Key type"].iter().any(|words| text.contains(words));
    let is_absent = ["does not appear to be a git repository", "not found", "No such file"];
    if error.code() == ErrorCode::Auth && !has_key {
        return sentence(Kind::Authentication, "wants an SSH key".into())
            .help("add a repository Secret with this URL and sshPrivateKey");
    }
    if error.code() == ErrorCode::Auth {
        return sentence(Kind::Authentication, "refuses the SSH key".into()).help(
            "see that the server knows the public key that belongs to sshPrivateKey of the repository Secret",
        );
    }
    if is_about_the_key && has_key {
        return sentence(Kind::Authentication, format!("cannot be asked with this SSH key: {text}"))
            .help("see that sshPrivateKey is a key of kind ed25519, ECDSA or RSA, without a passphrase");
    }
    if is_absent.iter().any(|words| text.contains(words)) {
        return sentence(Kind::RepositoryNotFound, format!("is not there: {text}"))
            .help("see that the URL is right and that the SSH key may read it");
    }
    sentence(Kind::Unavailable, format!("cannot be reached: {text}"))
}

fn wants_credentials(url: &RepoUrl, has_credentials: bool) -> SourceError {
    if has_credentials {
        return SourceError::new(Kind::Authentication, format!("repository {url} refuses the credentials"))
            .help("see the repository Secret: wrong, expired, or without access to this repository");
    }
    SourceError::new(Kind::Authentication, format!("repository {url} wants credentials"))
        .help("add a repository Secret with this URL, or see that the repository exists")
}
