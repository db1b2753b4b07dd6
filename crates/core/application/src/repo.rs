//! Where may a repository be, and when are two URLs the same repository?

use crate::findings::Findings;
use model::LONGEST_TARGET;

/// Looks at a repository URL. What a tenant must never make Git do is a problem; what we do not speak yet is a not-yet.
pub(crate) fn check_url(url: &str, path: &str, findings: &mut Findings) {
    if url.is_empty() {
        return findings.problem_with_help(path, "is empty", "give the repository's URL");
    }
    if url.starts_with('-') || url.chars().any(|c| c.is_control() || c == ' ') {
        return findings.problem(path, "is not a URL: it begins like an option or holds blanks");
    }
    if is_transport_helper(url) {
        let help = "use https://";
        return findings.problem_with_help(path, "names a transport helper, which would run a program", help);
    }
    match url.split_once("://").map(|(scheme, _)| scheme.to_ascii_lowercase()).as_deref() {
        Some("https" | "http" | "ssh" | "file") => {}
        Some(scheme @ ("git" | "oci")) => {
            findings.not_yet(format!("{path} ({scheme}://)"));
        }
        Some(_) => {
            findings.problem_with_help(
                path,
                "has an unknown scheme",
                "use https://, http://, ssh:// or file://",
            );
        }
        None if url.starts_with('/') => {}
        None if is_scp_like(url) => {}
        None => findings.problem_with_help(
            path,
            "is neither a URL nor an absolute path",
            "use https://, http://, ssh://, git@host:path, file:// or a path that begins with /",
        ),
    }
}

fn is_transport_helper(url: &str) -> bool {
    url.split_once("::").is_some_and(|(helper, _)| {
        !helper.is_empty() && helper.chars().all(|c| c.is_ascii_alphanumeric() || "+.-".contains(c))
    })
}

fn is_scp_like(url: &str) -> bool {
    url.split_once(':')
        .is_some_and(|(host, path)| !host.is_empty() && !host.contains('/') && !path.is_empty())
}

/// Returns the form in which two spellings of one repository are equal (Argo CD: case, blanks, `.git`, ssh forms).
pub fn normalise(url: &str) -> String {
    let lower = url.trim().to_lowercase();
    let spelled = match lower.split_once(':') {
        Some((host, path)) if !lower.contains("://") && host.contains('@') => format!("{host}/{path}"),
        Some(_) | None => lower,
    };
    let bare = spelled.strip_prefix("ssh://").unwrap_or(&spelled);
    bare.strip_suffix(".git").unwrap_or(bare).to_owned()
}

/// Returns a URL without the user and password that some people write into it, and without what tokens come as in a
/// query; for people to read.
pub fn without_credentials(url: &str) -> String {
    if let Some((place, _)) = url.split_once('?') {
        return format!("{}?***", without_credentials(place));
    }
    let Some((scheme, rest)) = url.split_once("://") else { return url.into() };
    let (host, path) = rest.find('/').map_or((rest, ""), |at| rest.split_at(at));
    match host.rsplit_once('@') {
        // By SSH the user is a part of the address.
        Some((user, _)) if scheme == "ssh" && !user.contains(':') => url.into(),
        Some((_, host)) => format!("{scheme}://{host}{path}"),
        None => url.into(),
    }
}

/// Looks at a branch, tag, commit or version range.
pub(crate) fn check_revision(revision: &str, path: &str, findings: &mut Findings) {
    if revision.starts_with('-') || revision.chars().any(char::is_control) {
        findings.problem(
            path,
            "is not a branch, tag or commit: it begins like an option or holds control characters",
        );
    }
    check_length(revision, path, findings);
}

/// Looks at the length of what may be asked of a repository, whatever else becomes of the app.
pub(crate) fn check_length(revision: &str, path: &str, findings: &mut Findings) {
    if revision.len() > LONGEST_TARGET {
        let sentence = format!("is longer than {LONGEST_TARGET} bytes");
        findings.problem_with_help(path, sentence, "name a branch, a tag, a commit or a range of versions");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(url: &str) -> &'static str {
        let mut findings = Findings::default();
        check_url(url, "u", &mut findings);
        let (problems, not_yet) = findings.into_parts();
        match (problems.len(), not_yet.len()) {
            (0, 0) => "fine",
            (0, 1) => "not yet",
            (1, 0) => "wrong",
            _ => "odd",
        }
    }

    #[test]
    fn urls_that_git_may_be_asked_for() {
        for (url, expected) in [
            ("https://git.example.com/r.git", "fine"),
            ("http://127.0.0.1:3000/r", "fine"),
            ("file:///srv/git/r.git", "fine"),
            ("/srv/git/r.git", "fine"),
            ("ssh://git@git.example.com/r", "fine"),
            ("git@git.example.com:team/r.git", "fine"),
            ("git+ssh://git@git.example.com/r", "wrong"),
            ("git://git.example.com/r", "not yet"),
            ("oci://registry.example.com/r", "not yet"),
            ("ext::sh -c id", "wrong"),
            ("ext::sh", "wrong"),
            ("fd::17", "wrong"),
            ("--upload-pack=id", "wrong"),
            ("ftp://example.com/r", "wrong"),
            ("../other", "wrong"),
            ("", "wrong"),
            ("https://a/b\nc", "wrong"),
        ] {
            assert_eq!(verdict(url), expected, "{url}");
        }
    }

    #[test]
    fn spellings_of_one_repository() {
        for (left, right) in [
            ("https://Git.example.com/r.git", " https://git.example.com/r"),
            ("git@git.example.com:team/r.git", "ssh://git@git.example.com/team/r"),
        ] {
            assert_eq!(normalise(left), normalise(right));
        }
        assert_ne!(normalise("https://git.example.com/r"), normalise("https://git.example.com/s"));
    }

    // N19: in what a project refuses
    #[test]
    fn passwords_in_urls_are_not_shown() {
        for (url, shown) in [
            ("https://user:pass@git.example.com/r@x", "https://git.example.com/r@x"),
            ("https://git.example.com/r@x", "https://git.example.com/r@x"),
            ("git@git.example.com:r", "git@git.example.com:r"),
            ("ssh://git@git.example.com/r", "ssh://git@git.example.com/r"),
            ("ssh://git:pass@git.example.com/r", "ssh://git.example.com/r"),
            ("https://u:p@w@host", "https://host"),
            ("https://host/r?sig=token@x", "https://host/r?***"),
        ] {
            assert_eq!(without_credentials(url), shown);
        }
    }
}
