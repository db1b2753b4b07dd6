//! Is this a URL that we would give to Git?

mod ssh;
mod text;

use crate::credentials::Credentials;
use crate::error::{Kind, SourceError};
use ssh::Ssh;
use std::fmt;
use std::path::{Path, PathBuf};
use text::{decoded, invalid, masked, refuse_climbing, refuse_smuggling};

/// A repository URL that passed all refusals that need no disk. Prints without its user information.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RepoUrl(Place);

/// Who a server is asked for by SSH, and where it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SshHost<'a> {
    pub user: &'a str,
    /// Without the brackets of an IPv6 address.
    pub host: &'a str,
    pub port: u16,
}

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Place {
    Local(PathBuf),
    Http { scheme: &'static str, user_info: Option<String>, authority: String, path: String },
    Ssh(Ssh),
}

impl RepoUrl {
    /// Reads a URL: `https://`, `http://`, `ssh://user@`, `user@host:path`, `file:///` or an absolute path.
    ///
    /// Whether a local path may be read is decided when it is read, because links may change
    /// ([`crate::Sources::check`]).
    ///
    /// # Errors
    /// [`Kind::InvalidUrl`] for transport helpers (`ext::`), options, hidden characters, queries and unknown
    /// schemes; [`Kind::NotSupported`] for OCI.
    pub fn parse(text: &str) -> Result<Self, SourceError> {
        let text = text.trim();
        refuse_smuggling(text)?;
        if text.starts_with('/') {
            return Ok(Self(Place::Local(text.into())));
        }
        let Some((scheme, rest)) = text.split_once("://") else {
            return Ok(Self(Place::Ssh(ssh::scp_like(text)?)));
        };
        match scheme.to_ascii_lowercase().as_str() {
            "https" => http("https", rest, text),
            "http" => http("http", rest, text),
            "file" => file(rest, text),
            "ssh" => Ok(Self(Place::Ssh(ssh::parse(rest, text)?))),
            "oci" => Err(SourceError::new(
                Kind::NotSupported,
                format!("repository URL {} needs OCI, which is not supported yet", masked(text)),
            )),
            _ => Err(invalid(text, "has a scheme that is not supported")
                .help("use https://, http://, ssh://, file:/// or an absolute path")),
        }
    }

    /// Reads the URL of a credential template, which may end with the host: `https://git.ex`, `git@git.ex:`.
    pub(crate) fn prefix(text: &str) -> Option<Self> {
        let text = text.trim().trim_end_matches(['/', ':']);
        let is_bare_host = match text.split_once("://") {
            Some((_, rest)) => !rest.contains('/'),
            None => text.contains('@') && !text.contains([':', '/']),
        };
        let end = if text.contains("://") { "/_" } else { ":_" };
        let mut url =
            Self::parse(&if is_bare_host { format!("{text}{end}") } else { text.to_owned() }).ok()?;
        match &mut url.0 {
            Place::Http { path, .. } | Place::Ssh(Ssh { path, .. }) if is_bare_host => path.clear(),
            Place::Local(_) | Place::Http { .. } | Place::Ssh(_) => {}
        }
        Some(url)
    }

    /// Returns the text that is equal for URLs of one repository. It holds no user information.
    ///
    /// Argo CD lower-cases all of it; here only the host is, because servers may tell paths by case and two
    /// repositories must never share a clone.
    pub fn normalised(&self) -> String {
        match &self.0 {
            Place::Local(path) => path.to_string_lossy().trim_end_matches('/').to_owned(),
            Place::Http { scheme, authority, path, .. } => {
                let path = path.trim_end_matches('/');
                format!("{scheme}://{authority}{}", path.strip_suffix(".git").unwrap_or(path))
            }
            Place::Ssh(ssh) => ssh.normalised(),
        }
    }

    /// Returns the user, host and port of a repository that is reached by SSH.
    pub(crate) fn ssh(&self) -> Option<SshHost<'_>> {
        let Place::Ssh(ssh) = &self.0 else { return None };
        Some(SshHost { user: &ssh.user, host: self.host_name(), port: ssh.port() })
    }

    /// Returns whether it is reached by SSH.
    pub fn is_ssh(&self) -> bool {
        matches!(self.0, Place::Ssh(_))
    }

    /// Returns the folder of a local repository, as the URL writes it.
    pub fn local_path(&self) -> Option<&Path> {
        match &self.0 {
            Place::Local(path) => Some(path),
            Place::Http { .. } | Place::Ssh(_) => None,
        }
    }

    /// Returns host and port, which share one limit of concurrent calls; empty for a local repository.
    pub fn host(&self) -> &str {
        match &self.0 {
            Place::Local(_) => "",
            Place::Http { authority, .. } | Place::Ssh(Ssh { authority, .. }) => authority,
        }
    }

    /// Returns the host without its port, an IPv6 address without its brackets.
    pub(crate) fn host_name(&self) -> &str {
        let host = self.host();
        let end = if host.ends_with(']') { None } else { host.rfind(':') };
        host[..end.unwrap_or(host.len())].trim_matches(['[', ']'])
    }

    /// Returns what libgit2 is given: rebuilt from validated parts, so that it cannot read the URL otherwise than
    /// we did, and without user information, so that it cannot print it.
    pub(crate) fn for_git(&self) -> String {
        match &self.0 {
            Place::Local(path) => path.to_string_lossy().into_owned(),
            Place::Http { scheme, authority, path, .. } => format!("{scheme}://{authority}{path}"),
            Place::Ssh(ssh) => ssh.for_git(),
        }
    }

    /// Returns the credentials that the URL itself carries.
    pub(crate) fn user_info(&self) -> Credentials {
        let Place::Http { user_info: Some(text), .. } = &self.0 else { return Credentials::None };
        let (username, password) = text.split_once(':').unwrap_or((text, ""));
        if password.is_empty() {
            return Credentials::None;
        }
        Credentials::Basic { username: decoded(username), password: decoded(password) }
    }

    /// Returns a mark that tells the credentials that the URL itself carries from others; empty where it carries none.
    pub fn login(&self) -> String {
        let own = self.user_info();
        if own == Credentials::None { String::new() } else { own.mark() }
    }

    /// Returns whether this URL is `prefix` or lies below it, compared by whole path segments on the same scheme,
    /// host and port, by SSH of the same user as well. The path's case counts.
    pub(crate) fn is_below(&self, prefix: &Self) -> bool {
        // `git@git.ex:team` and `ssh://git@git.ex/team` are one prefix, as with Argo CD.
        let [own, prefix] = [self, prefix].map(|url| match &url.0 {
            Place::Ssh(ssh) => ssh.without_home(),
            Place::Local(_) | Place::Http { .. } => url.normalised(),
        });
        own.strip_prefix(&prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }
}

impl fmt::Display for RepoUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Place::Local(path) => write!(f, "{}", path.display()),
            Place::Http { scheme, user_info, authority, path } => {
                let mask = if user_info.is_some() { "***@" } else { "" };
                write!(f, "{scheme}://{mask}{authority}{path}")
            }
            Place::Ssh(ssh) => f.write_str(&ssh.for_git()),
        }
    }
}

impl fmt::Debug for RepoUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RepoUrl({self})")
    }
}

/// Normalises any URL text as Argo CD compares repositories: trimmed, lower case, `git@host:path` as SSH, without
/// `.git` and without `ssh://`. Used only to find a repository's own Secret.
pub fn normalise(text: &str) -> String {
    let mut text = text.trim().to_lowercase();
    if let Some((user_host, path)) = text.split_once(':')
        && !text.contains("://")
        && user_host.contains('@')
        && !user_host.contains('/')
    {
        text = format!("ssh://{user_host}/{}", path.trim_start_matches('/'));
    }
    let text = text.trim_end_matches('/');
    let text = text.strip_suffix(".git").unwrap_or(text);
    text.strip_prefix("ssh://").unwrap_or(text).to_owned()
}

fn http(scheme: &'static str, rest: &str, text: &str) -> Result<RepoUrl, SourceError> {
    if rest.contains(['?', '#']) {
        return Err(invalid(text, "has a query or a fragment").help("put tokens into a repository Secret"));
    }
    let (authority, path) = rest.find('/').map_or((rest, ""), |i| rest.split_at(i));
    let (user_info, host) = match authority.rsplit_once('@') {
        Some((user_info, host)) => (Some(user_info.to_owned()), host),
        None => (None, authority),
    };
    let default_port = if scheme == "https" { ":443" } else { ":80" };
    let host = host.to_ascii_lowercase();
    let host = host.strip_suffix(default_port).unwrap_or(&host).to_owned();
    if !is_host(&host) {
        return Err(invalid(text, "has no valid host"));
    }
    if path.trim_matches('/').is_empty() {
        return Err(invalid(text, "has no path"));
    }
    refuse_climbing(path, text)?;
    Ok(RepoUrl(Place::Http { scheme, user_info, authority: host, path: path.to_owned() }))
}

fn is_host(text: &str) -> bool {
    let (host, port) = if let Some(inner) = text.strip_prefix('[') {
        let Some((address, port)) = inner.split_once(']') else { return false };
        let is_address = address.parse::<std::net::Ipv6Addr>().is_ok();
        if !is_address {
            return false;
        }
        ("v6", port.strip_prefix(':').or(port.is_empty().then_some("0")))
    } else {
        match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, Some("0")),
        }
    };
    let is_name = !host.is_empty()
        && !host.starts_with(['-', '.'])
        && host.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_'));
    is_name
        && port.is_some_and(|port| port.chars().all(|c| c.is_ascii_digit()) && port.parse::<u16>().is_ok())
}

fn file(rest: &str, text: &str) -> Result<RepoUrl, SourceError> {
    if !rest.starts_with('/') {
        return Err(invalid(text, "names a host").help("write file:///path, with three slashes"));
    }
    Ok(RepoUrl(Place::Local(decoded(rest).into())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(text: &str) -> String {
        match RepoUrl::parse(text) {
            Ok(url) => format!("{} = {url}", url.normalised()),
            Err(error) => format!("{:?}: {}", error.kind, error.message),
        }
    }

    #[test]
    fn urls_of_one_repository_normalise_to_one_text() {
        for (text, normalised) in [
            ("https://Git.Ex/team/app.git", "https://git.ex/team/app"),
            ("https://git.ex:443/team/app/", "https://git.ex/team/app"),
            (" https://git.ex/team/app\n", "https://git.ex/team/app"),
            ("https://u:canary@git.ex/team/app", "https://git.ex/team/app"),
            ("HTTP://git.ex:80/Team/app", "http://git.ex/Team/app"),
            ("http://[::1]:8080/a", "http://[::1]:8080/a"),
            ("file:///srv/repos/a%20b.git", "/srv/repos/a b.git"),
            ("/srv/repos/a/", "/srv/repos/a"),
        ] {
            assert_eq!(RepoUrl::parse(text).unwrap().normalised(), normalised, "{text}");
        }
    }

    #[test]
    fn the_host_is_told_without_its_port() {
        for (authority, expected) in [
            ("git.ex", "git.ex"),
            ("git.ex:8443", "git.ex"),
            ("127.0.0.1:1", "127.0.0.1"),
            ("[::1]", "::1"),
            ("[::1]:8443", "::1"),
        ] {
            let url = RepoUrl::parse(&format!("https://u:p@{authority}/a")).unwrap();
            assert_eq!(url.host_name(), expected, "{authority}");
        }
    }

    // N12: transports, options, lines and characters that are not seen
    #[test]
    fn refuses_what_git_must_not_be_asked() {
        let long = format!("https://{}", "a".repeat(70_000));
        for text in [
            "",
            "ext::sh -c x",
            "ext::sh",
            "fd::7",
            "remote-helper::x",
            "-oProxyCommand=x",
            "--upload-pack=x",
            "ssh://-oProxyCommand=x/y",
            "ssh://u@-x/y",
            "git@-x:y",
            "git@git.ex:-x",
            "git+ssh://git@git.ex/x",
            "https://h/%0a",
            "https://h/x%0D%0Ay",
            "https://h/\u{202e}x",
            "https://h/a\u{7f}b",
            "https://h/a b",
            "https://h/a\tb",
            "https://-h/x",
            "https:///x",
            "https://h",
            "https://h:99999/x",
            "https://h:x/y",
            "https://h/../x",
            "https://h/%2e%2e/x",
            "https://h/a\\b",
            "https://h/x?sig=1",
            "https://h/x#y",
            "file://host/x",
            "file://localhost/x",
            "file:/x",
            "./x",
            "../x",
            "srv/repos",
            "git://h/x",
            "javascript://x/y",
            "https://[::g]/x",
            "https://h%2fx/y",
            long.as_str(),
        ] {
            let error = RepoUrl::parse(text).unwrap_err();
            assert_eq!(error.kind, Kind::InvalidUrl, "{text}: {error}");
            assert!(error.message.starts_with("repository URL") && error.message.len() < 400, "{error}");
        }
    }

    // N19: in a URL
    #[test]
    fn user_information_is_never_printed() {
        for text in [
            "https://u:canary@git.ex/x",
            "https://canary@git.ex/x",
            "https://u:canary@/x",
            "ssh://u:canary@git.ex/x",
            "u:canary@git.ex:x",
            "https://git.ex/x?sig=canary",
            "https://u:c@canary@git.ex/y z",
            "ssh://git@canary@git.ex/x;y",
            "git://u:canary@h/x",
        ] {
            assert!(!told(text).contains("canary"), "{}", told(text));
        }
        let url = RepoUrl::parse("https://u:can%61ry@git.ex/x").unwrap();
        assert_eq!(format!("{url} {url:?}"), "https://***@git.ex/x RepoUrl(https://***@git.ex/x)");
        assert_eq!(url.user_info(), Credentials::Basic { username: "u".into(), password: "canary".into() });
    }

    #[test]
    fn argo_normalisation() {
        for (text, normalised) in [
            ("git@GitHub.com:Org/Repo.git", "git@github.com/org/repo"),
            ("ssh://git@github.com/org/repo", "git@github.com/org/repo"),
            (" https://github.com/Org/Repo.git", "https://github.com/org/repo"),
        ] {
            assert_eq!(normalise(text), normalised);
        }
    }
}
