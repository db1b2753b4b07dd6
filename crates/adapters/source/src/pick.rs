//! Whose credentials does a repository get?

use crate::credentials::Access;
use crate::error::{Kind, SourceError};
use crate::revert::RevertPolicy;
use crate::secret::{Place, RepositorySecret, SecretKind};
use crate::url::{RepoUrl, normalise};
use std::collections::BTreeMap;

/// Chooses the credentials for a repository: its own Secret, that of the project before that of all projects;
/// where that has none, the template with the longest URL above it; else what the URL itself carries.
///
/// A template counts only for the same scheme, host and port, and on a boundary of the path, so that look-alikes
/// get nothing.
///
/// Only the repository's own Secret can say that any host key will do; no template does.
///
/// # Errors
/// [`Kind::NotSupported`] names the field when the chosen Secret needs something that we do not do yet.
pub fn pick(secrets: &[RepositorySecret], url: &RepoUrl, project: &str) -> Result<Access, SourceError> {
    if url.local_path().is_some() {
        return Ok(Access::default());
    }
    let checks = own_secret(secrets, url, project).map(|secret| secret.checks).unwrap_or_default();
    let Some(chosen) = chosen(secrets, url, project) else {
        return Ok(Access { credentials: url.user_info(), checks });
    };
    match chosen.not_yet.first() {
        Some(field) => {
            let message = format!("the Secret for repository {url} sets {field}, which is not supported yet");
            Err(SourceError::new(Kind::NotSupported, message)
                .help("use username and password, bearerToken, sshPrivateKey or a GitHub App"))
        }
        None => Ok(Access { credentials: chosen.credentials.clone(), checks }),
    }
}

/// Returns whether and how commits are taken back in a repository: its own Secret says so, no template does.
pub fn reverts<'a>(
    secrets: &'a [RepositorySecret],
    url: &RepoUrl,
    project: &str,
) -> Option<&'a RevertPolicy> {
    own_secret(secrets, url, project)?.reverts.as_ref()
}

pub(crate) fn chosen<'a>(
    secrets: &'a [RepositorySecret],
    url: &RepoUrl,
    project: &str,
) -> Option<&'a RepositorySecret> {
    match own_secret(secrets, url, project) {
        Some(secret) if secret.has_credentials() => Some(secret),
        Some(_) | None => template(secrets, url, project),
    }
}

/// Returns the places of the Secrets that [`pick`] looks into for a repository.
pub fn consulted(secrets: &[RepositorySecret], url: &RepoUrl, project: &str) -> Vec<usize> {
    if url.local_path().is_some() {
        return Vec::new();
    }
    let own = own_secret(secrets, url, project);
    let is_enough = own.is_some_and(RepositorySecret::has_credentials);
    let template = template(secrets, url, project).filter(|_| !is_enough);
    let place = |wanted: &RepositorySecret| secrets.iter().position(|secret| std::ptr::eq(secret, wanted));
    own.into_iter().chain(template).filter_map(place).collect()
}

/// Returns the places of Secrets that say different things about the same: the first one of each group is used.
pub fn rivals(secrets: &[RepositorySecret]) -> Vec<Vec<usize>> {
    let mut groups: BTreeMap<(bool, String, &str), Vec<usize>> = BTreeMap::new();
    for (place, secret) in secrets.iter().enumerate().filter(|(_, secret)| secret.is_git) {
        let is_template = secret.kind == SecretKind::Template;
        let url = match &secret.place {
            Some(Place::One(url)) => url.clone(),
            Some(Place::Below(prefix)) => prefix.normalised(),
            None => continue,
        };
        groups.entry((is_template, url, &secret.project)).or_default().push(place);
    }
    let says = |place: &usize| {
        let secret = &secrets[*place];
        (&secret.credentials, secret.checks, &secret.not_yet, &secret.reverts)
    };
    groups.into_values().filter(|group| group.iter().any(|place| says(place) != says(&group[0]))).collect()
}

fn own_secret<'a>(
    secrets: &'a [RepositorySecret],
    url: &RepoUrl,
    project: &str,
) -> Option<&'a RepositorySecret> {
    let wanted = normalise(&url.for_git());
    let is_it = |place: &Option<Place>| matches!(place, Some(Place::One(own)) if *own == wanted);
    let candidates = secrets.iter().filter(|secret| secret.is_git && is_it(&secret.place));
    let candidates: Vec<_> = candidates.collect();
    let of_project = candidates.iter().find(|secret| !project.is_empty() && secret.project == project);
    of_project.or_else(|| candidates.iter().find(|secret| secret.project.is_empty())).copied()
}

fn template<'a>(
    secrets: &'a [RepositorySecret],
    url: &RepoUrl,
    project: &str,
) -> Option<&'a RepositorySecret> {
    let of_git = secrets.iter().filter(|secret| secret.is_git);
    let permitted = of_git.filter(|secret| secret.project.is_empty() || secret.project == project);
    let matching = permitted.filter_map(|secret| {
        let Some(Place::Below(prefix)) = &secret.place else { return None };
        url.is_below(prefix).then(|| ((prefix.normalised().len(), !secret.project.is_empty()), secret))
    });
    // The first of equals, as with repositories.
    matching.rev().max_by_key(|(rank, _)| *rank).map(|(_, secret)| secret)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::credentials::{Checks, Credentials};

    fn secret(kind: SecretKind, fields: &str) -> Result<RepositorySecret, String> {
        let field = |line: &str| {
            let (name, value) = line.split_once('=').unwrap();
            (name.to_owned(), value.replace('_', " ").into_bytes())
        };
        RepositorySecret::from_data(kind, &fields.split(' ').map(field).collect())
    }

    /// A key of which only the second line counts here.
    const KEY: &str = "-----BEGIN_PRIVATE_KEY-----\nNAME\n-----END_PRIVATE_KEY-----";

    fn secrets() -> Vec<RepositorySecret> {
        [
            (SecretKind::Repository, "url=https://git.ex/team/own.git username=all password=p"),
            (SecretKind::Repository, "url=https://git.ex/Team/own username=mine password=p project=shop"),
            (SecretKind::Repository, "url=https://git.ex/team/bare"),
            (SecretKind::Repository, "url=https://git.ex/charts type=helm username=helm password=p"),
            (SecretKind::Repository, "url=https://git.ex/app useAzureWorkloadIdentity=true"),
            (SecretKind::Template, "url=https://git.ex username=host password=p"),
            (SecretKind::Template, "url=https://git.ex/team username=team password=p"),
            (SecretKind::Template, "url=https://tok.ex/ bearerToken=t"),
            (
                SecretKind::Template,
                &format!("url=git@git.ex:team sshPrivateKey={}", KEY.replace("NAME", "team-key")),
            ),
            (
                SecretKind::Template,
                &format!(
                    "url=ssh://git@git.ex insecure=true sshPrivateKey={}",
                    KEY.replace("NAME", "host-key")
                ),
            ),
            (
                SecretKind::Repository,
                &format!(
                    "url=git@git.ex:team/own username=git sshPrivateKey={}",
                    KEY.replace("NAME", "own-key")
                ),
            ),
            (SecretKind::Repository, "url=git@git.ex:team/loose insecureIgnoreHostKey=true"),
            (SecretKind::Repository, "url=git@free.ex:loose insecure=true"),
        ]
        .map(|(kind, fields)| secret(kind, fields).unwrap())
        .into()
    }

    fn picked(url: &str, project: &str) -> String {
        let access = match pick(&secrets(), &RepoUrl::parse(url).unwrap(), project) {
            Ok(access) => access,
            Err(error) => return error.to_string(),
        };
        let name = match access.credentials {
            Credentials::None => "none".into(),
            Credentials::Basic { username, .. } => username,
            Credentials::Bearer(token) => format!("bearer {token}"),
            Credentials::GitHubApp(app) => format!("{app:?}"),
            Credentials::SshKey(key) => key.lines().nth(1).unwrap_or_default().to_owned(),
        };
        match access.checks {
            Checks::Strict => name,
            Checks::None => format!("{name}, insecure"),
        }
    }

    #[test]
    fn own_secret_then_longest_template_then_url() {
        for (url, project, expected) in [
            ("https://git.ex/team/own", "", "all"),
            ("https://git.ex/team/own", "other", "all"),
            ("https://git.ex/team/own.git", "shop", "mine"),
            ("https://git.ex/team/bare", "", "team"),
            ("https://git.ex/team/new", "", "team"),
            ("https://git.ex/other/new", "", "host"),
            ("https://git.ex/charts", "", "host"),
            ("https://tok.ex/a/b", "", "bearer t"),
            ("https://free.ex/a", "", "none"),
            ("https://u:p@free.ex/a", "", "u"),
            ("/srv/repos/a", "", "none"),
            ("git@git.ex:team/own.git", "", "own-key"),
            ("ssh://git@git.ex/team/own", "", "own-key"),
            ("git@git.ex:team/new", "", "team-key"),
            ("git@git.ex:team/loose", "", "team-key, insecure"),
            ("git@git.ex:other/new", "", "host-key"),
            ("git@free.ex:loose", "", "none, insecure"),
            ("git@free.ex:strict", "", "none"),
        ] {
            assert_eq!(picked(url, project), expected, "{url} {project}");
        }
    }

    // N18: by segment, host, port, scheme and user
    #[test]
    fn look_alikes_get_nothing_of_the_template() {
        for (url, expected) in [
            ("https://git.ex/team-evil/x", "host"),
            ("https://git.ex/TEAM/x", "host"),
            ("https://git.ex.evil/team/x", "none"),
            ("https://git.ex@evil/team/x", "none"),
            ("https://evil/git.ex/team/x", "none"),
            ("http://git.ex/team/x", "none"),
            ("https://git.ex:8443/team/x", "none"),
            ("https://GIT.EX/team/x", "team"),
            ("git@git.ex:team-evil/x", "host-key"),
            ("git@git.ex.evil:team/x", "none"),
            ("evil@git.ex:team/x", "none"),
            ("ssh://git@git.ex:7999/team/x", "none"),
        ] {
            assert_eq!(picked(url, ""), expected, "{url}");
        }
        assert!(RepoUrl::parse("https://git.ex/team/%2e%2e/evil").is_err());
    }

    #[test]
    fn what_we_do_not_do_yet_is_named() {
        assert_eq!(
            picked("https://git.ex/app", ""),
            "the Secret for repository https://git.ex/app sets useAzureWorkloadIdentity, which is not supported yet (use username and password, bearerToken, sshPrivateKey or a GitHub App)"
        );
    }

    #[test]
    fn a_secret_that_cannot_be_read_concerns_what_it_would_serve() {
        let outline = |kind, fields: &str| {
            let field = |line: &str| {
                let (name, value) = line.split_once('=').unwrap();
                (name.to_owned(), value.as_bytes().to_vec())
            };
            RepositorySecret::outline(kind, &fields.split(' ').map(field).collect())
        };
        let serves = |secret: &RepositorySecret, url: &str, project: &str| {
            secret.would_serve(&secrets(), &RepoUrl::parse(url).unwrap(), project)
        };
        let own = outline(SecretKind::Repository, "url=https://git.ex/new password=a\u{7}b").unwrap();
        assert!(serves(&own, "https://git.ex/new.git", "shop"));
        assert!(!serves(&own, "https://git.ex/other", "shop"));
        let template = outline(SecretKind::Template, "url=https://git.ex/team/sub project=shop").unwrap();
        assert!(serves(&template, "https://git.ex/team/sub/a", "shop"));
        assert!(!serves(&template, "https://git.ex/team/sub/a", "other"), "of another project");
        let wide = outline(SecretKind::Template, "url=https://git.ex").unwrap();
        assert!(!serves(&wide, "https://git.ex/team/own", ""), "it has a Secret of its own");
        assert!(!serves(&wide, "https://git.ex/team/new", ""), "a template that says more is nearer");
        assert!(!serves(&outline(SecretKind::Template, "url=/srv").unwrap(), "/srv/repos/a", ""));
        assert_eq!(outline(SecretKind::Repository, "password=p"), None);
        assert!(!format!("{own:?}").contains('\u{7}'));
    }

    // N34: two Secrets for one repository
    #[test]
    fn the_first_of_rivals_is_used_and_all_of_them_are_told() {
        let all: Vec<RepositorySecret> = [
            (SecretKind::Repository, "url=https://git.ex/shop username=a password=p"),
            (SecretKind::Repository, "url=https://GIT.ex/shop.git username=b password=p"),
            (SecretKind::Repository, "url=https://git.ex/shop username=mine password=p project=team"),
            (SecretKind::Repository, "url=https://git.ex/same username=a password=p"),
            (SecretKind::Repository, "url=https://git.ex/same/ username=a password=p"),
            (SecretKind::Repository, "url=https://git.ex/shop type=helm username=c password=p"),
            (SecretKind::Template, "url=https://git.ex username=t password=p"),
            (SecretKind::Template, "url=https://git.ex/ username=u password=p"),
            (SecretKind::Template, "url=https://git.ex username=team password=p project=team"),
        ]
        .map(|(kind, fields)| secret(kind, fields).unwrap())
        .into();
        assert_eq!(rivals(&all), [vec![0, 1], vec![6, 7]]);
        let of = |url: &str, project: &str| {
            let url = RepoUrl::parse(url).unwrap();
            let name = match pick(&all, &url, project).unwrap().credentials {
                Credentials::Basic { username, .. } => username,
                Credentials::None
                | Credentials::Bearer(_)
                | Credentials::SshKey(_)
                | Credentials::GitHubApp(_) => String::new(),
            };
            (consulted(&all, &url, project), name)
        };
        assert_eq!(of("https://git.ex/shop", ""), (vec![0], "a".into()));
        assert_eq!(of("https://git.ex/shop", "team"), (vec![2], "mine".into()));
        assert_eq!(of("https://git.ex/other", ""), (vec![6], "t".into()));
        assert_eq!(of("https://git.ex/other", "team"), (vec![8], "team".into()));
        assert_eq!(of("/srv/repos/shop", ""), (vec![], String::new()));
        // One that holds nothing comes before the template, and hides another that would hold something.
        let blank: Vec<RepositorySecret> = [
            (SecretKind::Repository, "url=https://git.ex/shop"),
            (SecretKind::Repository, "url=https://git.ex/shop username=b password=p"),
            (SecretKind::Template, "url=https://git.ex username=t password=p"),
        ]
        .map(|(kind, fields)| secret(kind, fields).unwrap())
        .into();
        assert_eq!(rivals(&blank), [vec![0, 1]]);
        assert_eq!(consulted(&blank, &RepoUrl::parse("https://git.ex/shop").unwrap(), ""), [0, 2]);
    }
}
