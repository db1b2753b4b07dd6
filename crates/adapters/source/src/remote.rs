//! What does a server offer, and how do its objects get here?

use crate::allowance;
use crate::clone::CacheClone;
use crate::commit::commit_of;
use crate::config::Repository;
use crate::credentials::{Checks, Credentials};
use crate::error::{Fault, Kind, SourceError};
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
pub(crate) const MAX_LIST: usize = 256_000_000;

/// What came up in a conversation, beside how it ended.
#[derive(Default)]
pub(crate) struct Heard {
    /// Why who answered is not who should.
    distrust: RefCell<Option<SourceError>>,
    is_too_large: Cell<bool>,
    /// Whether another server asked for credentials.
    is_elsewhere: Cell<bool>,
    n_asked: Cell<usize>,
}

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
        let (heard, header) = (Heard::default(), self.header());
        let done = talk(&mut options(self.callbacks(&heard), header.as_deref()));
        done.map_err(|error| self.judge(&heard, error, Self::explain))
    }

    /// Returns what every conversation with a server is bound to.
    pub(crate) fn callbacks<'c>(&'c self, heard: &'c Heard) -> RemoteCallbacks<'c> {
        let mut callbacks = RemoteCallbacks::new();
        callbacks.credentials(|asking, _, _| {
            heard.n_asked.set(heard.n_asked.get() + 1);
            // libgit2 lets a redirect change the port; another port is another server.
            heard.is_elsewhere.set(!self.is_own(asking));
            let again = heard.n_asked.get() > 1 || heard.is_elsewhere.get();
            self.answer().filter(|_| !again).unwrap_or_else(|| Err(refused(ErrorCode::Auth)))
        });
        self.judge_host_keys(&mut callbacks, &heard.distrust);
        callbacks.transfer_progress(|progress| {
            heard.is_too_large.set(progress.received_bytes() as u64 > self.max_fetch);
            self.token.is_wanted() && !heard.is_too_large.get()
        });
        callbacks.sideband_progress(|_| self.token.is_wanted());
        callbacks
    }

    /// Returns the header that a token is sent in.
    pub(crate) fn header(&self) -> Option<String> {
        match &self.repository.credentials {
            Credentials::Bearer(token) => Some(format!("Authorization: Bearer {token}")),
            Credentials::None
            | Credentials::Basic { .. }
            | Credentials::SshKey(_)
            | Credentials::GitHubApp(_) => None,
        }
    }

    /// Finds out what ended a conversation; what is the server's doing is explained.
    pub(crate) fn judge(
        &self,
        heard: &Heard,
        error: git2::Error,
        explain: impl FnOnce(&Self, &git2::Error) -> SourceError,
    ) -> Fault {
        if let Some(why) = heard.distrust.take() {
            why.into()
        } else if heard.is_too_large.get() {
            self.too_large().into()
        } else if heard.is_elsewhere.get() {
            self.redirected("it asks for credentials there").into()
        } else if is_about_the_clone(&error) && self.token.is_wanted() {
            error.into()
        } else {
            explain(self, &error).into()
        }
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
    pub(crate) fn plain(&self, fault: Fault) -> SourceError {
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
}

/// A redirect may lead to another path, or to HTTPS, of the same host; libgit2 then sends headers along, to another
/// port as well.
fn options<'a>(callbacks: RemoteCallbacks<'a>, header: Option<&str>) -> FetchOptions<'a> {
    let mut options = FetchOptions::new();
    options.remote_callbacks(callbacks).proxy_options(proxy()).update_fetchhead(false);
    options.follow_redirects(RemoteRedirect::None).download_tags(AutotagOption::None);
    if let Some(header) = header {
        options.custom_headers(&[header]);
    }
    options
}

/// Returns where the proxy is named: in the environment, for no configuration file is read.
pub(crate) fn proxy<'a>() -> ProxyOptions<'a> {
    let mut proxy = ProxyOptions::new();
    proxy.auto();
    proxy
}

/// Tells failures of our own object database from those of the server.
fn is_about_the_clone(error: &git2::Error) -> bool {
    use ErrorClass::{Object, Odb, Reference, Tree, Zlib};
    matches!(error.class(), Odb | Zlib | Object | Reference | Tree)
}

pub(crate) fn refused(code: ErrorCode) -> git2::Error {
    git2::Error::new(code, ErrorClass::Callback, "refused")
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
