//! How is a bad commit taken back in a repository?

use super::{Sources, Work};
use crate::config::Repository;
use crate::draft::{self, Draft, Drafted};
use crate::error::{Fault, Kind, SourceError};
use crate::local;
use crate::pool::Token;
use crate::push::{Answer, Target};
use crate::refs::Refs;
use crate::revert::{Revert, Reverted, short};
use git2::Oid;
use model::Revision;
use std::sync::Arc;

/// How often a branch may move before it is left to others.
const ATTEMPTS: usize = 5;

impl Sources {
    /// Pushes a commit that takes back what a bad one did to some apps, and nothing else. Where the branch moved meanwhile,
    /// it is made anew on what is there now; nothing is ever pushed by force. To repeat it does no harm: what is on the branch
    /// already is found there by its author and its message.
    ///
    /// # Errors
    /// [`Kind::NotSupported`] where no branch is followed, [`Kind::Invalid`] for a name that Git does not take,
    /// [`Kind::Authentication`] for credentials that may not push, [`Kind::NotPermitted`] where the server or a hook of its
    /// refuses the commit, [`Kind::Unavailable`] for a branch that does not stand still, and those of [`Self::fetch`].
    pub async fn revert(&self, repository: &Repository, revert: &Revert) -> Result<Reverted, SourceError> {
        revert.check()?;
        let revert = Arc::new(revert.clone());
        for _ in 0..ATTEMPTS {
            let refs = self.refs(repository).await?;
            if let Some(done) = self.attempt(repository, &refs, &revert).await? {
                return Ok(done);
            }
        }
        let branch = short(revert.own_branch.as_ref().unwrap_or(&revert.branch));
        let message = format!(
            "branch {branch:?} of repository {} moved {ATTEMPTS} times while a revert was on its way to it",
            repository.url
        );
        Err(SourceError::new(Kind::Unavailable, message))
    }

    /// Returns nothing where the branch moved meanwhile.
    async fn attempt(
        &self,
        repository: &Repository,
        refs: &Refs,
        revert: &Arc<Revert>,
    ) -> Result<Option<Reverted>, SourceError> {
        let (followed, tip) = refs.branch(&revert.branch)?;
        let own = revert.own_ref();
        if let Some(there) = own.as_ref().and_then(|own| refs.names.get(own)) {
            return self.found(repository, refs, (revert, &there.revision())).await.map(Some);
        }
        match self.fetch(repository, refs, &tip).await {
            // Somebody took it away since it was listed.
            Err(error) if error.kind == Kind::RevisionNotFound => return Ok(None),
            other => other?,
        }
        for revision in std::iter::once(&revert.bad).chain(revert.parts.iter().map(|part| &part.good)) {
            self.fetch(repository, refs, revision).await?;
        }
        let was = if own.is_some() { None } else { Some(id_of(&tip)?) };
        let target = Target { name: own.unwrap_or_else(|| followed.to_owned()), was };
        let branch = short(&target.name).to_owned();
        match self.draft(repository, revert, &tip).await? {
            Drafted::Nothing(why) => Ok(Some(Reverted::Nothing(why))),
            Drafted::There(revision) => {
                let branch = short(followed).to_owned();
                Ok(Some(Reverted::Pushed { revision, branch, left: Vec::new() }))
            }
            Drafted::Commit(draft) => {
                let is_there = self.push(repository, &draft, &target).await?;
                let (revision, left) = (Revision::new(draft.commit.to_string()), draft.left.clone());
                Ok(is_there.then_some(Reverted::Pushed { revision, branch, left }))
            }
        }
    }

    /// Says what of a branch of its own that is there already: it may be what an earlier attempt made.
    async fn found(
        &self,
        repository: &Repository,
        refs: &Refs,
        (revert, tip): (&Arc<Revert>, &Revision),
    ) -> Result<Reverted, SourceError> {
        self.fetch(repository, refs, tip).await?;
        let (wanted, there) = (Arc::clone(revert), tip.clone());
        let work: Work<Option<Revision>> =
            Arc::new(move |git, _| Ok(draft::pushed_before(git, &wanted, &there)));
        let branch = short(revert.own_branch.as_deref().unwrap_or_default()).to_owned();
        Ok(match self.on_objects(repository, tip, work).await? {
            Some(revision) => Reverted::Pushed { revision, branch, left: Vec::new() },
            None => Reverted::Nothing(format!("branch {branch:?} is there already")),
        })
    }

    async fn draft(
        &self,
        repository: &Repository,
        revert: &Arc<Revert>,
        tip: &Revision,
    ) -> Result<Drafted, SourceError> {
        let (revert, wanted, known) = (Arc::clone(revert), tip.clone(), Arc::clone(&self.0.known));
        let work: Work<Drafted> =
            Arc::new(move |git, token| draft::make(git, &known, (&revert, &wanted), token));
        self.on_objects(repository, tip, work).await
    }

    /// Returns whether the commit is on the branch; it is not where the branch moved.
    async fn push(
        &self,
        repository: &Repository,
        draft: &Arc<Draft>,
        target: &Target,
    ) -> Result<bool, SourceError> {
        let answer = match repository.url.local_path() {
            Some(_) => self.push_here(repository, draft, target).await?,
            None => self.push_there(repository, draft, target).await?,
        };
        if matches!(answer, Answer::Taken | Answer::Moved) {
            return Ok(answer == Answer::Taken);
        }
        // A server that finds the branch moved says so in words of its own: whether it did is looked up.
        let refs = self.refs(repository).await?;
        let now = refs.names.get(&target.name).map(|found| found.oid.clone());
        if now.as_deref() == Some(&draft.commit.to_string()) {
            return Ok(true);
        }
        if now != target.was.map(|was| was.to_string()) {
            return Ok(false);
        }
        let branch = short(&target.name);
        Err(match answer {
            Answer::Refused(words) => {
                let message =
                    format!("repository {} refuses the revert on {branch:?}: {words}", repository.url);
                SourceError::new(Kind::NotPermitted, message).help(
                    "let these credentials push to it, have a branch made for the revert, or take the annotation off",
                )
            }
            Answer::Taken | Answer::Moved | Answer::Unsaid => {
                let message = format!("repository {} did not take the revert on {branch:?}", repository.url);
                SourceError::new(Kind::Unavailable, message)
            }
        })
    }

    async fn push_there(
        &self,
        repository: &Repository,
        draft: &Arc<Draft>,
        target: &Target,
    ) -> Result<Answer, SourceError> {
        let (clone, draft, target) = (self.clone_of(&repository.url), Arc::clone(draft), target.clone());
        let timeout = self.0.config.fetch_timeout;
        self.call(repository, timeout, move |call| call.push(&clone, &draft, &target)).await
    }

    /// A repository on disk has no server to ask.
    async fn push_here(
        &self,
        repository: &Repository,
        draft: &Arc<Draft>,
        target: &Target,
    ) -> Result<Answer, SourceError> {
        let (roots, url) = (Arc::clone(&self.0.roots), repository.url.clone());
        let (draft, target) = (Arc::clone(draft), target.clone());
        let work = move |_: &Token| {
            let folder = roots.git_folder(url.local_path().unwrap_or(std::path::Path::new("")))?;
            local::with(&folder, |git| Ok::<_, Fault>(local::push(git, &url, &draft, &target)?))
        };
        let done = self.0.disk.run("", self.0.config.timeout, work).await;
        done.map_err(|fault| super::told(repository, None, fault))
    }
}

fn id_of(revision: &Revision) -> Result<Oid, SourceError> {
    Oid::from_str(revision.as_str()).map_err(|_| {
        SourceError::new(Kind::RevisionNotFound, format!("{} is not a commit", revision.short()))
    })
}
