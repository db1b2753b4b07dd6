//! Which repository does an SSH URL name, and may it be asked for?

use super::is_host;
use super::text::{decoded, invalid, refuse_climbing};
use crate::error::SourceError;

/// A repository that is reached by SSH.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Ssh {
    pub user: String,
    /// Host in lower case, and the port unless it is 22.
    pub authority: String,
    /// Absolute, or relative to the user's home.
    pub path: String,
}

const HOW: &str = "write ssh://git@host/path, or git@host:path";

/// Reads what follows `ssh://`.
pub(super) fn parse(rest: &str, text: &str) -> Result<Ssh, SourceError> {
    let (authority, path) = rest.find('/').map_or((rest, ""), |i| rest.split_at(i));
    let (user, host) = user_and_host(authority, text)?;
    Ok(Ssh { user: user.to_owned(), authority: checked_host(host, text)?, path: checked_path(path, text)? })
}

/// Reads `user@host:path`, which names no port; the path is relative to the user's home unless it begins with a slash.
pub(super) fn scp_like(text: &str) -> Result<Ssh, SourceError> {
    let colon = if text.contains("@[") { text.find("]:").map(|at| at + 1) } else { text.find(':') };
    let Some((authority, path)) = colon.map(|at| (&text[..at], &text[at + 1..])) else {
        return Err(invalid(text, "is a relative path").help("use https://, ssh:// or an absolute path"));
    };
    if authority.contains('/') {
        return Err(invalid(text, "is a relative path").help("use https://, ssh:// or an absolute path"));
    }
    let (user, host) = user_and_host(authority, text)?;
    Ok(Ssh { user: user.to_owned(), authority: checked_host(host, text)?, path: checked_path(path, text)? })
}

fn user_and_host<'a>(authority: &'a str, text: &str) -> Result<(&'a str, &'a str), SourceError> {
    if authority.starts_with('-') {
        return Err(invalid(text, "has a host that looks like an option"));
    }
    let Some((user, host)) = authority.rsplit_once('@') else {
        return Err(invalid(text, "names no user").help(HOW));
    };
    if user.contains(':') {
        return Err(invalid(text, "holds a password").help("put sshPrivateKey into a repository Secret"));
    }
    let is_user = user.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '+'));
    if user.is_empty() || !is_user {
        return Err(invalid(text, "has no valid user").help(HOW));
    }
    Ok((user, host))
}

fn checked_host(host: &str, text: &str) -> Result<String, SourceError> {
    let host = host.to_ascii_lowercase();
    let host = host.strip_suffix(":22").unwrap_or(&host);
    if host.starts_with('-') {
        return Err(invalid(text, "has a host that looks like an option"));
    }
    if !is_host(host) {
        return Err(invalid(text, "has no valid host"));
    }
    Ok(host.to_owned())
}

/// The path becomes a part of a command that a shell on the server may read.
fn checked_path(path: &str, text: &str) -> Result<String, SourceError> {
    if path.trim_matches('/').is_empty() {
        return Err(invalid(text, "has no path"));
    }
    if path.contains(':') {
        return Err(invalid(text, "has a colon in its path")
            .help("write ssh://git@host:port/path where it is a port"));
    }
    if path.starts_with('-') {
        return Err(invalid(text, "has a path that looks like an option"));
    }
    if decoded(path).contains(|c: char| "'\"`!$&|;<>(){}*?[]#".contains(c)) {
        return Err(invalid(text, "has a character in its path that a shell would read"));
    }
    refuse_climbing(path, text)?;
    Ok(path.to_owned())
}

impl Ssh {
    /// Returns the port, 22 unless the URL names another.
    pub(super) fn port(&self) -> u16 {
        let port = self.authority.rsplit_once(':').filter(|_| !self.authority.ends_with(']'));
        port.and_then(|(_, port)| port.parse().ok()).unwrap_or(22)
    }

    /// Returns what libgit2 is given, which is also what people read: there is no secret in it.
    pub(super) fn for_git(&self) -> String {
        let Self { user, authority, path } = self;
        if path.starts_with('/') {
            format!("ssh://{user}@{authority}{path}")
        } else {
            format!("{user}@{authority}:{path}")
        }
    }

    /// Returns one text for all spellings. `git@host:path` and `ssh://git@host/path` may be different folders of one server:
    /// the first is below the user's home.
    pub(super) fn normalised(&self) -> String {
        let path = self.path.trim_end_matches('/');
        let path = path.strip_suffix(".git").unwrap_or(path);
        let home = if path.is_empty() || path.starts_with('/') { "" } else { "/~/" };
        let path = path.strip_prefix("~/").unwrap_or(path);
        format!("ssh://{}@{}{home}{path}", self.user, self.authority)
    }

    /// Returns the normalised text as if the user's home were at the top, as Argo CD compares.
    pub(super) fn without_home(&self) -> String {
        self.normalised().replacen("/~/", "/", 1)
    }
}

#[cfg(test)]
mod tests {
    use crate::error::Kind;
    use crate::url::RepoUrl;

    #[test]
    fn spellings_of_one_repository_and_what_git_is_given() {
        for (text, normalised, for_git) in [
            ("ssh://git@Git.ex/team/app.git", "ssh://git@git.ex/team/app", "ssh://git@git.ex/team/app.git"),
            ("SSH://git@git.ex:22/team/app/", "ssh://git@git.ex/team/app", "ssh://git@git.ex/team/app/"),
            ("ssh://git@git.ex:7999/a", "ssh://git@git.ex:7999/a", "ssh://git@git.ex:7999/a"),
            ("git@git.ex:team/app.git", "ssh://git@git.ex/~/team/app", "git@git.ex:team/app.git"),
            ("git@git.ex:/srv/app", "ssh://git@git.ex/srv/app", "ssh://git@git.ex/srv/app"),
            ("git@git.ex:~/app", "ssh://git@git.ex/~/app", "git@git.ex:~/app"),
            ("ssh://git@git.ex/~/app", "ssh://git@git.ex/~/app", "ssh://git@git.ex/~/app"),
            ("org-7@git.ex:a", "ssh://org-7@git.ex/~/a", "org-7@git.ex:a"),
            ("ssh://git@[::1]:2222/a", "ssh://git@[::1]:2222/a", "ssh://git@[::1]:2222/a"),
            ("git@[::1]:a", "ssh://git@[::1]/~/a", "git@[::1]:a"),
        ] {
            let url = RepoUrl::parse(text).unwrap();
            assert_eq!((url.normalised(), url.for_git()), (normalised.into(), for_git.into()), "{text}");
            assert_eq!(url.to_string(), for_git);
        }
        let url = RepoUrl::parse("ssh://git@[::1]:2222/a").unwrap();
        let at = url.ssh().unwrap();
        assert_eq!((at.user, at.host, at.port), ("git", "::1", 2222));
        assert_eq!(RepoUrl::parse("git@git.ex:a").unwrap().ssh().unwrap().port, 22);
        assert_eq!(RepoUrl::parse("https://git.ex/a").unwrap().ssh(), None);
    }

    // N12: options and commands by SSH
    #[test]
    fn refuses_what_a_shell_or_a_program_would_read_otherwise() {
        for (text, why) in [
            ("ssh://-oProxyCommand=x/y", "looks like an option"),
            ("ssh://git@-oProxyCommand=x/y", "looks like an option"),
            ("git@-x:y", "looks like an option"),
            ("git@git.ex:-x", "has a path that looks like an option"),
            ("-x@git.ex:y", "looks like an option"),
            ("git@git.ex:a;b", "a shell would read"),
            ("git@git.ex:a'b", "a shell would read"),
            ("git@git.ex:$(id)", "a shell would read"),
            ("ssh://git@git.ex/%60id%60", "a shell would read"),
            ("ssh://git@git.ex/../x", "has `.`, `..`"),
            ("git@git.ex:%2e%2e/x", "has `.`, `..`"),
            ("ssh://git:canary@git.ex/x", "holds a password"),
            ("ssh://git.ex/x", "names no user (write ssh://git@host/path"),
            ("git.ex:x", "names no user"),
            ("@git.ex:x", "has no valid user"),
            ("a%20b@git.ex:x", "has no valid user"),
            ("git@git.ex", "is a relative path"),
            ("git@git.ex:", "has no path"),
            ("ssh://git@git.ex/", "has no path"),
            ("ssh://git@git.ex:x/y", "has no valid host"),
            ("git@git.ex:7999:x", "has a colon in its path (write ssh://git@host:port/path"),
            ("git@:x", "has no valid host"),
        ] {
            let error = RepoUrl::parse(text).map(|url| url.for_git()).unwrap_err();
            assert!(error.kind == Kind::InvalidUrl && error.to_string().contains(why), "{text}: {error}");
            assert!(!error.to_string().contains("canary"), "{error}");
        }
    }

    // N18: by SSH
    #[test]
    fn prefixes_end_at_a_boundary_of_the_same_user_host_and_port() {
        for (prefix, below) in [
            ("git@git.ex:", true),
            ("git@git.ex", true),
            ("ssh://git@git.ex", true),
            ("ssh://git@git.ex/team", true),
            ("git@git.ex:team", true),
            ("git@git.ex:team/app", true),
            ("git@git.ex:tea", false),
            ("git@git.ex:TEAM", false),
            ("git@git.ex.evil:team", false),
            ("other@git.ex:team", false),
            ("ssh://git@git.ex:7999/team", false),
            ("https://git.ex/team", false),
        ] {
            let url = RepoUrl::parse("git@git.ex:team/app.git").unwrap();
            assert_eq!(url.is_below(&RepoUrl::prefix(prefix).unwrap()), below, "{prefix}");
        }
    }
}
