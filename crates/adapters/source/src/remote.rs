//! What does a server offer, and how do its objects get here?

use crate::allowance;
use crate::clone::{CacheClone, cannot_write};
use crate::commit::commit_of;
use crate::config::Repository;
use crate::confine::MAX_UNFOLDED;
use crate::credentials::{Checks, Credentials};
use crate::error::{Fault, Kind, SourceError, printable};
use crate::known_hosts::KnownHosts;
use crate::pool::Token;
use crate::refs::Refs;
use crate::url::RepoUrl;
use git2::cert::CertHostkey;
use git2::{
    AutotagOption, CertificateCheckStatus, Cred, ErrorClass, ErrorCode, FetchOptions, ProxyOptions,
    RemoteCallbacks, RemoteRedirect,
};
use model::Revision;
use std::cell::{Cell, RefCell};
use std::net::IpAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// One conversation with a server.
pub(crate) struct Call<'a> {
    pub repository: &'a Repository,
    pub token: &'a Token,
    /// Bytes that one fetch may bring.
    pub max_fetch: u64,
    /// Who may answer by SSH.
    pub known_hosts: &'a KnownHosts,
}

/// Memory that libgit2 may take for one list of refs, in bytes. A million refs fit.
const MAX_LIST: usize = 256_000_000;

const EVERYTHING: [&str; 2] = ["+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*"];
const NOTHING: [&str; 1] = ["+refs/tautline/none:refs/tautline/none"];

impl Call<'_> {
    /// Asks for the refs.
    pub(crate) fn list(&self, clone: &CacheClone) -> Result<Refs, SourceError> {
        let repository = clone.ensure()?;
        let made = repository.remote_anonymous(&self.repository.url.for_git());
        let mut remote = made.map_err(|error| self.explain(&error))?;
        // libgit2 takes headers and the rule for redirects only with a download: this one wants nothing.
        let list = || self.converse(|options| remote.download(&NOTHING, Some(options)));
        let (listed, is_endless) = allowance::within(MAX_LIST, self.token.deadline(), list);
        if is_endless {
            return Err(self.too_many_refs());
        }
        listed.map_err(|fault| self.plain(fault))?;
        read_heads(&remote).map_err(|error| self.explain(&error))
    }

    /// Brings a commit into the clone, unless it is there. A clone that turns out damaged is replaced.
    pub(crate) fn fetch(
        &self,
        clone: &CacheClone,
        refs: &Refs,
        revision: &Revision,
    ) -> Result<(), SourceError> {
        let _guard = clone.lock();
        self.complete(clone, refs, revision)
    }

    fn complete(&self, clone: &CacheClone, refs: &Refs, revision: &Revision) -> Result<(), SourceError> {
        drop(clone.ensure()?);
        let fetched = clone.with(|repository| {
            if commit_of(repository, revision).is_ok() {
                return Ok(());
            }
            forget_gone(repository, refs)?;
            self.fill(repository, refs, revision)
        });
        match fetched {
            Ok(()) => {
                clone.merge_packs();
                Ok(())
            }
            Err(Fault::Damaged(_)) => self.renew(clone, refs, revision),
            other => other.map_err(|fault| self.plain(fault)),
        }
    }

    /// Replaces a clone that was damaged at `generation` by a new one, unless another call did.
    pub(crate) fn rebuild(
        &self,
        (clone, generation): (&CacheClone, u64),
        refs: &Refs,
        revision: &Revision,
    ) -> Result<(), SourceError> {
        let _guard = clone.lock();
        if clone.generation() != generation {
            return self.complete(clone, refs, revision);
        }
        self.renew(clone, refs, revision)
    }

    fn renew(&self, clone: &CacheClone, refs: &Refs, revision: &Revision) -> Result<(), SourceError> {
        tracing::warn!(repository = %self.repository.url, "cached clone is damaged and is built anew");
        clone.replace(|repository| self.fill(repository, refs, revision).map_err(|fault| self.plain(fault)))
    }

    fn fill(&self, repository: &git2::Repository, refs: &Refs, revision: &Revision) -> Result<(), Fault> {
        let mut specs: Vec<String> = EVERYTHING.map(str::to_owned).into();
        // Refs beside branches and tags, such as pull requests, only where they are what is wanted.
        let is_other = |name: &str| !name.starts_with("refs/heads/") && !name.starts_with("refs/tags/");
        let mut others = refs.names.iter().filter(|(name, _)| is_other(name));
        if let Some((name, _)) = others.find(|(_, target)| target.revision() == *revision) {
            specs.push(format!("+{name}:{name}"));
        }
        self.download(repository, &specs)?;
        if !matches!(commit_of(repository, revision), Err(Fault::Missing)) {
            return Ok(());
        }
        // A commit that no ref leads to any more: some servers give it to whoever knows its id.
        let by_id = self.download(repository, &[revision.as_str().to_owned()]);
        match (commit_of(repository, revision), by_id) {
            (Ok(_), _) => Ok(()),
            (Err(Fault::Missing), Err(Fault::Source(error))) if !self.token.is_wanted() => Err(error.into()),
            (Err(Fault::Missing), _) => Err(no_commit(revision).into()),
            (Err(fault), _) => Err(fault),
        }
    }

    fn download(&self, repository: &git2::Repository, specs: &[String]) -> Result<(), Fault> {
        let mut remote = repository.remote_anonymous(&self.repository.url.for_git())?;
        self.converse(|options| remote.fetch(specs, Some(options), None))
    }

    fn converse(
        &self,
        talk: impl FnOnce(&mut FetchOptions<'_>) -> Result<(), git2::Error>,
    ) -> Result<(), Fault> {
        self.token.check()?;
        let distrust = RefCell::new(None);
        let (is_too_large, is_elsewhere, n_asked) = (Cell::new(false), Cell::new(false), Cell::new(0));
        let mut callbacks = RemoteCallbacks::new();
        callbacks.credentials(|asking, _, _| {
            n_asked.set(n_asked.get() + 1);
            // libgit2 lets a redirect change the port; another port is another server.
            is_elsewhere.set(!self.is_own(asking));
            let again = n_asked.get() > 1 || is_elsewhere.get();
            self.answer().filter(|_| !again).unwrap_or_else(|| Err(refused(ErrorCode::Auth)))
        });
        self.judge_host_keys(&mut callbacks, &distrust);
        callbacks.transfer_progress(|progress| {
            is_too_large.set(progress.received_bytes() as u64 > self.max_fetch);
            self.token.is_wanted() && !is_too_large.get()
        });
        callbacks.sideband_progress(|_| self.token.is_wanted());
        let header = match &self.repository.credentials {
            Credentials::Bearer(token) => Some(format!("Authorization: Bearer {token}")),
            Credentials::None
            | Credentials::Basic { .. }
            | Credentials::SshKey(_)
            | Credentials::GitHubApp(_) => None,
        };
        let Err(error) = talk(&mut options(callbacks, header.as_deref())) else { return Ok(()) };
        let distrust = distrust.take();
        Err(if let Some(why) = distrust {
            why.into()
        } else if is_too_large.get() {
            self.too_large().into()
        } else if is_elsewhere.get() {
            self.redirected("it asks for credentials there").into()
        } else if is_about_the_clone(&error) && self.token.is_wanted() {
            error.into()
        } else {
            self.explain(&error).into()
        })
    }

    /// Returns what the server is told when it asks, if there is something that fits how it is asked.
    fn answer(&self) -> Option<Result<Cred, git2::Error>> {
        let ssh = self.repository.url.ssh();
        match &self.repository.credentials {
            Credentials::SshKey(key) => ssh.map(|at| Cred::ssh_key_from_memory(at.user, None, key, None)),
            Credentials::Basic { username, password } => {
                ssh.is_none().then(|| Cred::userpass_plaintext(username, password))
            }
            // An app has logged in before it comes here.
            Credentials::Bearer(_) | Credentials::GitHubApp(_) | Credentials::None => None,
        }
    }

    /// Has host keys judged by what the operator vouched for. Certificates are OpenSSL's, whatever a Secret says.
    fn judge_host_keys<'c>(
        &'c self,
        callbacks: &mut RemoteCallbacks<'c>,
        distrust: &'c RefCell<Option<SourceError>>,
    ) {
        let Some(at) = self.repository.url.ssh() else { return };
        let is_checked = self.repository.checks == Checks::Strict;
        callbacks.certificate_check(move |certificate, _| {
            let key = certificate.as_hostkey().and_then(CertHostkey::hostkey);
            let key = key.ok_or_else(|| refused(ErrorCode::Certificate))?;
            if is_checked {
                self.known_hosts.check(at, key, &self.repository.url.to_string()).map_err(|error| {
                    *distrust.borrow_mut() = Some(error);
                    refused(ErrorCode::Certificate)
                })?;
            }
            Ok(CertificateCheckStatus::CertificateOk)
        });
    }

    fn is_own(&self, url: &str) -> bool {
        RepoUrl::parse(url).is_ok_and(|url| url.host() == self.repository.url.host())
    }

    /// Turns a fault of the clone itself into words; those of the server are words already.
    fn plain(&self, fault: Fault) -> SourceError {
        match fault {
            Fault::Source(error) => error,
            Fault::Missing => SourceError::new(Kind::RevisionNotFound, "the commit is not in the repository"),
            Fault::Damaged(text) => {
                let text = self.repository.credentials.scrub(&text);
                let message = format!("the clone of {} is damaged: {text}", self.repository.url);
                SourceError::new(Kind::Unavailable, message)
            }
        }
    }

    fn too_large(&self) -> SourceError {
        let limit = self.max_fetch / 1_000_000;
        let message = format!("repository {} is larger than the limit of {limit} MB", self.repository.url);
        SourceError::new(Kind::TooLarge, message)
    }

    fn too_many_refs(&self) -> SourceError {
        let limit = MAX_LIST / 1_000_000;
        let message = format!("repository {} lists more refs than fit into {limit} MB", self.repository.url);
        SourceError::new(Kind::TooLarge, message).help("delete branches and tags that nobody needs")
    }

    fn redirected(&self, why: &str) -> SourceError {
        let message = format!("repository {} redirected to another server: {why}", self.repository.url);
        SourceError::new(Kind::Unavailable, message).help("write the URL that it redirects to")
    }

    fn explain(&self, error: &git2::Error) -> SourceError {
        if let Err(over) = self.token.check() {
            return over;
        }
        let url = &self.repository.url;
        let text = printable(&self.repository.credentials.scrub(error.message()));
        let status = text.strip_prefix("unexpected http status code: ").map(str::trim);
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
}

/// A redirect may lead to another path, or to HTTPS, of the same host; libgit2 then sends headers along, to another
/// port as well.
fn options<'a>(callbacks: RemoteCallbacks<'a>, header: Option<&str>) -> FetchOptions<'a> {
    let mut proxy = ProxyOptions::new();
    // From the environment: no configuration file is read.
    proxy.auto();
    let mut options = FetchOptions::new();
    options.remote_callbacks(callbacks).proxy_options(proxy).update_fetchhead(false);
    options.follow_redirects(RemoteRedirect::None).download_tags(AutotagOption::None);
    if let Some(header) = header {
        options.custom_headers(&[header]);
    }
    options
}

/// Tells failures of our own object database from those of the server.
fn is_about_the_clone(error: &git2::Error) -> bool {
    use ErrorClass::{Object, Odb, Reference, Tree, Zlib};
    matches!(error.class(), Odb | Zlib | Object | Reference | Tree)
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

fn refused(code: ErrorCode) -> git2::Error {
    git2::Error::new(code, ErrorClass::Callback, "refused")
}

fn wants_credentials(url: &RepoUrl, has_credentials: bool) -> SourceError {
    if has_credentials {
        return SourceError::new(Kind::Authentication, format!("repository {url} refuses the credentials"))
            .help("see the repository Secret: wrong, expired, or without access to this repository");
    }
    SourceError::new(Kind::Authentication, format!("repository {url} wants credentials"))
        .help("add a repository Secret with this URL, or see that the repository exists")
}

pub(crate) fn no_commit(revision: &Revision) -> SourceError {
    SourceError::new(Kind::RevisionNotFound, format!("commit {} is not in the repository", revision.short()))
        .help("it was never pushed, or a force-push removed it")
}

fn read_heads(remote: &git2::Remote<'_>) -> Result<Refs, git2::Error> {
    let mut refs = Refs::default();
    for head in remote.list()? {
        // git2 panics on a name that is not UTF-8.
        let Ok(name) = catch_unwind(AssertUnwindSafe(|| head.name().to_owned())) else {
            refs.n_ignored += 1;
            continue;
        };
        if name == "HEAD" {
            refs.head = Some(head.oid().to_string());
            let target = catch_unwind(AssertUnwindSafe(|| head.symref_target().map(str::to_owned)));
            refs.default_branch = target.ok().flatten();
        } else {
            refs.add(&name, head.oid().to_string());
        }
    }
    Ok(refs)
}

/// Forgets refs that the server no longer has, before new ones come: `a` would be in the way of `a/b`. Their
/// objects stay.
fn forget_gone(repository: &git2::Repository, refs: &Refs) -> Result<(), git2::Error> {
    for reference in repository.references()? {
        let Ok(mut reference) = reference else { continue };
        let is_gone = reference.name().is_ok_and(|name| !refs.names.contains_key(name));
        if is_gone {
            reference.delete()?;
        }
    }
    Ok(())
}
