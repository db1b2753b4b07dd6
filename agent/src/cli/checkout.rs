//! What does a repository hold, read for a person? Theirs are the rights: local repositories are open, and credentials come
//! from the cluster's repository Secrets where they may read those.

use crate::cli::failure::Failure;
use crate::cli::scratch::Scratch;
use crate::desired;
use crate::exit::OTHER;
use crate::known_hosts;
use crate::polling::look_up;
use crate::settings::Settings;
use crate::tools::talk;
use cluster::{Cluster, Endpoint, Priority};
use model::{App, Revision, Source, printable};
use source::{Commit, Credentials, Folder, Listing, RepoUrl, Repository, SourceError, Sources};
use std::path::Path;

/// Repository Secrets and templates (Argo CD declarative setup).
const SECRETS: &str = "argocd.argoproj.io/secret-type in (repository, repo-creds)";

/// A repository that is read.
pub(crate) struct Checkout {
    sources: Sources,
    repository: Repository,
    _folder: Scratch,
}

impl Checkout {
    /// Opens a repository by its URL; fetches nothing yet.
    pub(crate) fn open(url: RepoUrl, access: impl Into<source::Access>) -> Result<Self, Failure> {
        let folder = Scratch::make().map_err(|error| {
            let place = std::env::temp_dir();
            Failure::new(crate::exit::of_io(&error), format!("make a folder in {}: {error}", place.display()))
        })?;
        let mut config = source::Config::new(folder.path());
        // Whoever runs this may read whatever is on the disk anyway.
        config.local_repos = url.local_path().map(Path::to_path_buf).into_iter().collect();
        let sources = Sources::open(config)
            .map_err(|error| Failure::new(OTHER, format!("cannot read repositories: {error:#}")))?;
        Ok(Self { sources, repository: Repository::new(url, access), _folder: folder })
    }

    /// Opens the repository of an app.
    pub(crate) async fn of_app(cluster: &Cluster, control: &str, app: &App) -> Result<Self, Failure> {
        let what = format!("read the repository of Application {}", app.key);
        let url = RepoUrl::parse(&app.source.repo_url).map_err(|error| Failure::of_source(&what, &error))?;
        Self::as_the_agent(cluster, control, url, &app.project).await
    }

    /// Opens a repository with the credentials, and by the host keys, that the cluster has for the agent.
    pub(crate) async fn as_the_agent(
        cluster: &Cluster,
        control: &str,
        url: RepoUrl,
        project: &str,
    ) -> Result<Self, Failure> {
        if url.local_path().is_some() {
            return Self::open(url, Credentials::None);
        }
        let secrets = secrets(cluster, control).await?.secrets();
        let access = source::pick(&secrets, &url, project)
            .map_err(|error| Failure::of_source(&format!("read repository {url}"), &error))?;
        let is_ssh = url.is_ssh();
        let checkout = Self::open(url, access)?;
        if is_ssh {
            checkout.read_known_hosts(cluster, control).await?;
        }
        Ok(checkout)
    }

    /// Takes the host keys that the agent takes.
    async fn read_known_hosts(&self, cluster: &Cluster, control: &str) -> Result<(), Failure> {
        let endpoint = Endpoint::new("v1", "ConfigMap", "configmaps", true);
        let read = cluster.get_at(Priority::User, &endpoint, control, known_hosts::MAP).await;
        let what = format!("read ConfigMap {control}/{}", known_hosts::MAP);
        let map = read.map_err(|error| Failure::of_call(&what, &error))?.unwrap_or_default();
        for problem in
            self.sources.set_known_hosts(map["data"][known_hosts::KEY].as_str().unwrap_or_default())
        {
            let (map, key) = (known_hosts::MAP, known_hosts::KEY);
            talk(&format!("warning: ConfigMap {map}: {key}: {}; it is left out", printable(&problem)));
        }
        Ok(())
    }

    /// Returns where it is, without credentials.
    pub(crate) fn url(&self) -> String {
        self.repository.url.to_string()
    }

    /// Finds out what a branch, tag, SHA or range of versions stands for, and brings the commit here.
    pub(crate) async fn resolve(&self, name: &str) -> Result<Revision, Failure> {
        self.find(name).await.map_err(|error| self.failed(&error))
    }

    /// As [`Self::resolve`], for who goes on without an answer.
    pub(crate) async fn find(&self, name: &str) -> Result<Revision, SourceError> {
        let mut found = look_up(&self.sources, &self.repository, &[name.to_owned()]).await?;
        found.remove(name).expect("it was asked for")
    }

    /// Reads the files that an app's source selects.
    pub(crate) async fn listing(&self, revision: &Revision, source: &Source) -> Result<Listing, Failure> {
        let folder = Folder { path: source.path.trim_matches('/').into(), recurse: source.directory.recurse };
        let directory = source.directory.clone();
        let read = self.sources.read(&self.repository, revision, &folder, move |relative| {
            desired::is_read(relative, &directory)
        });
        read.await.map_err(|error| self.failed(&error))
    }

    /// Says who made a commit, and when.
    pub(crate) async fn commit(&self, revision: &Revision) -> Result<Commit, Failure> {
        self.sources.commit(&self.repository, revision).await.map_err(|error| self.failed(&error))
    }

    /// Finds the commit that last changed a file.
    pub(crate) async fn last_change(&self, revision: &Revision, file: &str) -> Result<Revision, Failure> {
        let found = self.sources.last_change(&self.repository, revision, file).await;
        found.map_err(|error| self.failed(&error))
    }

    /// Returns whether a commit, or what another one begins with, is the first one or comes after it.
    pub(crate) async fn relation(&self, first: &Revision, last: &str) -> Result<bool, SourceError> {
        self.sources.is_ancestor(&self.repository, first, &self.find(last).await?).await
    }

    /// Says that the repository could not be read.
    pub(crate) fn failed(&self, error: &source::SourceError) -> Failure {
        Failure::of_source(&format!("read repository {}", self.url()), error)
    }
}

/// Reads the repository Secrets; none where they may not be read.
async fn secrets(cluster: &Cluster, control: &str) -> Result<Settings, Failure> {
    let mut settings = Settings::default();
    let endpoint = Endpoint::new("v1", "Secret", "secrets", true);
    match cluster.list(&endpoint, Some(control), SECRETS).await {
        Ok(overview) => {
            for secret in &overview.objects {
                if let Err(why) = settings.put_secret(secret) {
                    talk(&format!("warning: repository Secret {}: {}", secret.name(), printable(&why)));
                }
            }
        }
        Err(error) if error.class == model::ErrorClass::Forbidden => {
            talk(&format!(
                "warning: the repository Secrets of namespace {control} may not be read; going on without credentials"
            ));
        }
        Err(error) => {
            let what = format!("read the repository Secrets of namespace {control}");
            return Err(Failure::of_call(&what, &error));
        }
    }
    Ok(settings)
}
