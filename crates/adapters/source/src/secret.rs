//! Whose credentials does a repository get?

use crate::credentials::Credentials;
use crate::error::{Kind, SourceError};
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
    /// Fields that we do not act on yet, sorted.
    pub not_yet: Vec<&'static str>,
    /// Whether it is for Git, rather than for Helm or OCI.
    pub is_git: bool,
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

/// Fields that change how Argo CD reaches a repository, and that we do not act on yet. `insecure` is left out:
/// without it certificates are verified, which fails on the safe side.
const NOT_YET: [&str; 12] = [
    "azureActiveDirectoryEndpoint",
    "azureServicePrincipalClientID",
    "azureServicePrincipalClientId",
    "enableLfs",
    "gcpServiceAccountKey",
    "githubAppID",
    "githubAppPrivateKey",
    "proxy",
    "sshPrivateKey",
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
            url,
            project: text("project")?,
            credentials: credentials(username, password, bearer),
            not_yet,
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

    fn has_credentials(&self) -> bool {
        self.credentials != Credentials::None || !self.not_yet.is_empty()
    }
}

fn credentials(username: String, password: String, bearer: String) -> Credentials {
    if !bearer.is_empty() {
        Credentials::Bearer(bearer)
    } else if password.is_empty() && username.is_empty() {
        Credentials::None
    } else {
        Credentials::Basic { username, password }
    }
}

/// Chooses the credentials for a repository: its own Secret, that of the project before that of all projects;
/// where that has none, the template with the longest URL above it; else what the URL itself carries.
///
/// A template counts only for the same scheme, host and port, and on a boundary of the path, so that look-alikes
/// get nothing.
///
/// # Errors
/// [`Kind::NotSupported`] names the field when the chosen Secret needs something that we do not do yet.
pub fn pick(secrets: &[RepositorySecret], url: &RepoUrl, project: &str) -> Result<Credentials, SourceError> {
    if url.local_path().is_some() {
        return Ok(Credentials::None);
    }
    let Some(chosen) = chosen(secrets, url, project) else { return Ok(url.user_info()) };
    match chosen.not_yet.first() {
        Some(field) => {
            let message = format!("the Secret for repository {url} sets {field}, which is not supported yet");
            Err(SourceError::new(Kind::NotSupported, message)
                .help("use username and password, or bearerToken"))
        }
        None => Ok(chosen.credentials.clone()),
    }
}

fn chosen<'a>(secrets: &'a [RepositorySecret], url: &RepoUrl, project: &str) -> Option<&'a RepositorySecret> {
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
        let url = match secret.kind {
            SecretKind::Repository => RepoUrl::parse(&secret.url).ok().map(|url| normalise(&url.for_git())),
            SecretKind::Template => RepoUrl::prefix(&secret.url).map(|prefix| prefix.normalised()),
        };
        if let Some(url) = url {
            groups.entry((is_template, url, &secret.project)).or_default().push(place);
        }
    }
    let says = |place: &usize| (&secrets[*place].credentials, &secrets[*place].not_yet);
    groups.into_values().filter(|group| group.iter().any(|place| says(place) != says(&group[0]))).collect()
}

fn own_secret<'a>(
    secrets: &'a [RepositorySecret],
    url: &RepoUrl,
    project: &str,
) -> Option<&'a RepositorySecret> {
    let wanted = normalise(&url.for_git());
    let candidates = secrets
        .iter()
        .filter(|secret| secret.kind == SecretKind::Repository && secret.is_git)
        .filter(|secret| {
            // Compared after the same reading as the URL itself, so that a name in front of an `@` is no host.
            RepoUrl::parse(&secret.url).is_ok_and(|own| normalise(&own.for_git()) == wanted)
        });
    let candidates: Vec<_> = candidates.collect();
    let of_project = candidates.iter().find(|secret| !project.is_empty() && secret.project == project);
    of_project.or_else(|| candidates.iter().find(|secret| secret.project.is_empty())).copied()
}

fn template<'a>(
    secrets: &'a [RepositorySecret],
    url: &RepoUrl,
    project: &str,
) -> Option<&'a RepositorySecret> {
    let templates = secrets.iter().filter(|secret| secret.kind == SecretKind::Template && secret.is_git);
    let permitted = templates.filter(|secret| secret.project.is_empty() || secret.project == project);
    let matching = permitted.filter_map(|secret| {
        let prefix = RepoUrl::prefix(&secret.url)?;
        url.is_below(&prefix).then(|| ((prefix.normalised().len(), !secret.project.is_empty()), secret))
    });
    // The first of equals, as with repositories.
    matching.rev().max_by_key(|(rank, _)| *rank).map(|(_, secret)| secret)
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

    fn secrets() -> Vec<RepositorySecret> {
        [
            (SecretKind::Repository, "url=https://git.ex/team/own.git username=all password=p"),
            (SecretKind::Repository, "url=https://git.ex/Team/own username=mine password=p project=shop"),
            (SecretKind::Repository, "url=https://git.ex/team/bare"),
            (SecretKind::Repository, "url=https://git.ex/charts type=helm username=helm password=p"),
            (SecretKind::Repository, "url=https://git.ex/app githubAppID=1 githubAppPrivateKey=canary"),
            (SecretKind::Template, "url=https://git.ex username=host password=p"),
            (SecretKind::Template, "url=https://git.ex/team username=team password=p"),
            (SecretKind::Template, "url=https://tok.ex/ bearerToken=t"),
        ]
        .map(|(kind, fields)| secret(kind, fields).unwrap())
        .into()
    }

    fn picked(url: &str, project: &str) -> String {
        match pick(&secrets(), &RepoUrl::parse(url).unwrap(), project) {
            Ok(Credentials::None) => "none".into(),
            Ok(Credentials::Basic { username, .. }) => username,
            Ok(Credentials::Bearer(token)) => format!("bearer {token}"),
            Err(error) => error.to_string(),
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
        ] {
            assert_eq!(picked(url, ""), expected, "{url}");
        }
        assert!(RepoUrl::parse("https://git.ex/team/%2e%2e/evil").is_err());
    }

    #[test]
    fn what_we_do_not_do_yet_is_named() {
        assert_eq!(
            picked("https://git.ex/app", ""),
            "the Secret for repository https://git.ex/app sets githubAppID, which is not supported yet (use username and password, or bearerToken)"
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

    // N21: a repository Secret
    #[test]
    fn a_broken_secret_is_told_without_its_values() {
        let told = |fields: &str| secret(SecretKind::Repository, fields).unwrap_err();
        assert_eq!(told("password=canary"), "field url is missing or empty");
        assert_eq!(told("url=https://h/x password=can\nary"), "field password holds a control character");
        assert!(told("url=https://h/x bearerToken=canary password=canary").starts_with("fields bearerToken"));
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
            let name = match pick(&all, &url, project).unwrap() {
                Credentials::Basic { username, .. } => username,
                Credentials::None | Credentials::Bearer(_) => String::new(),
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
