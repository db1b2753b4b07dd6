//! Do two URLs name one repository?

/// Longest URL that is looked at, in bytes.
const LONGEST: usize = 2_048;
/// Schemes of URLs with a host, as Git and the pages of providers use them.
const SCHEMES: &[&str] = &["https", "http", "ssh", "git+ssh", "ssh+git", "git"];

/// Returns what all URLs of one repository have in common, `host/path`: without scheme, user, port and `.git`, in lower
/// case, and without the `ssh.` or `altssh.` that some hosts have for SSH alone. That is what Argo CD's pattern for
/// webhooks lets through, but compared as text: nothing that a payload says becomes a pattern. A local path stays as it is.
///
/// `None` for what names no repository. Two repositories may come to the same; then one of them is asked in vain.
pub fn repository_key(url: &str) -> Option<String> {
    let url = url.trim();
    let is_odd = |c: char| c.is_control() || c.is_whitespace() || matches!(c, '?' | '#');
    if url.len() > LONGEST || url.contains(is_odd) {
        return None;
    }
    let (has_scheme, rest) = match url.split_once("://") {
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("file") => return local(rest),
        Some((scheme, rest)) if SCHEMES.iter().any(|known| scheme.eq_ignore_ascii_case(known)) => {
            (true, rest)
        }
        Some(_) => return None,
        None if url.starts_with('/') => return local(url),
        None => (false, url),
    };
    let (authority, path) = rest.split_at(end_of_authority(rest, has_scheme)?);
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host).to_ascii_lowercase();
    let host = if has_scheme { without_port(&host) } else { &host };
    let host = host.strip_prefix("altssh.").or_else(|| host.strip_prefix("ssh.")).unwrap_or(host);
    // `git@host:path` begins in the user's home, and is written so as a URL; providers serve both as one.
    let path = path.trim_matches(['/', ':']).to_lowercase();
    let path = path.strip_prefix("~/").unwrap_or(&path);
    let path = path.strip_suffix(".git").unwrap_or(path).trim_end_matches('/');
    (!host.is_empty() && !path.is_empty()).then(|| format!("{host}/{path}"))
}

fn local(path: &str) -> Option<String> {
    let path = path.trim_end_matches('/');
    path.starts_with('/').then(|| path.to_owned())
}

/// Without a scheme it may be `user@host:path`, as scp writes it: what follows the colon is no port.
fn end_of_authority(text: &str, has_scheme: bool) -> Option<usize> {
    let end = if has_scheme { text.find('/') } else { text.find(['/', ':']) };
    end.filter(|end| *end > 0)
}

/// The brackets of an IPv6 address hold colons, too.
fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        Some(_) | None => host,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_of_one_repository_have_one_key() {
        for (url, key) in [
            ("https://github.com/Org/Repo", "github.com/org/repo"),
            ("https://github.com/Org/Repo.git", "github.com/org/repo"),
            ("git@github.com:Org/Repo.git", "github.com/org/repo"),
            ("github.com:Org/Repo", "github.com/org/repo"),
            ("github.com/org/repo/", "github.com/org/repo"),
            ("git://github.com/org/repo.git", "github.com/org/repo"),
            ("ssh://git@ssh.github.com:443/org/repo.git", "github.com/org/repo"),
            ("ssh://altssh.bitbucket.org:443/org/repo.git", "bitbucket.org/org/repo"),
            ("ssh://git@github.com/~/Org/Repo", "github.com/org/repo"),
            ("HTTPS://user:secret@Git.Ex:8443/a/b/c.git/", "git.ex/a/b/c"),
            ("http://[::1]:8080/a", "[::1]/a"),
            ("http://[::1]/a", "[::1]/a"),
            ("ssh://git@git.ex:7999/~ada/repo.git", "git.ex/~ada/repo"),
            ("/srv/repos/Shop/", "/srv/repos/Shop"),
            ("file:///srv/repos/Shop", "/srv/repos/Shop"),
        ] {
            assert_eq!(repository_key(url).as_deref(), Some(key), "{url}");
        }
    }

    #[test]
    fn what_names_no_repository_has_no_key() {
        let long = format!("https://git.ex/{}", "a".repeat(LONGEST));
        for url in [
            "",
            " ",
            "shop",
            ".*",
            "(a+)+$",
            "https://",
            "https://git.ex",
            "https://git.ex/",
            "https:///x",
            "/",
            "file://",
            "file://host/x",
            "ext::sh -c x",
            "javascript://git.ex/x",
            "https://git.ex/a\nb",
            "https://git.ex/a b",
            "https://git.ex/a?b",
            "https://git.ex/a#b",
            "git@:x",
            "@",
            ":",
            "://",
            long.as_str(),
        ] {
            assert_eq!(repository_key(url), None, "{url}");
        }
    }

    #[test]
    fn what_looks_alike_is_told_apart() {
        let key = repository_key("https://git.ex/team/shop");
        for url in [
            "https://git.ex/team/shop-evil",
            "https://git.ex.evil/team/shop",
            "https://git.ex@evil/team/shop",
            "https://git.ex/team%2fshop",
            "https://gitxex/team/shop",
            "https://git.ex/team/shop/x",
            "https://git.ex/shop",
        ] {
            assert_ne!(repository_key(url), key, "{url}");
        }
    }
}
