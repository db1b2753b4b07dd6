//! Which repository do the apps follow? A bare one on this disk, written by git itself.

use anyhow::{Context as _, bail};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The branch that apps follow.
pub(crate) const BRANCH: &str = "main";
/// What a ConfigMap holds beside its version: with it, one is 2 KB.
const FILLING: usize = 1_800;
/// A Deployment of no replicas, whose last lines are its container's: more of that may follow.
pub(crate) const IDLE_DEPLOYMENT: &str = "apiVersion: apps/v1
kind: Deployment
metadata: {name: idle}
spec:
  replicas: 0
  selector: {matchLabels: {app: idle}}
  template:
    metadata: {labels: {app: idle}}
    spec:
      containers:
      - name: web
        image: \"registry.example/web:1\"
";

/// A bare repository and a folder to write commits in.
pub(crate) struct Repository {
    bare: PathBuf,
    work: PathBuf,
    objects: usize,
}

impl Repository {
    /// Creates it, with one folder per app.
    pub(crate) fn create(folder: &Path, apps: usize, objects: usize) -> anyhow::Result<Self> {
        let repository = Self { bare: folder.join("repo.git"), work: folder.join("work"), objects };
        std::fs::create_dir_all(&repository.work).context("create the working folder")?;
        git(folder, &["init", "--quiet", "--bare", "--initial-branch", BRANCH, "repo.git"])?;
        git(&repository.work, &["init", "--quiet", "--initial-branch", BRANCH])?;
        git(&repository.work, &["remote", "add", "origin", &repository.bare.display().to_string()])?;
        repository.write(0..apps, "1")?;
        repository.commit("first")?;
        repository.push()?;
        Ok(repository)
    }

    /// Returns where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.bare
    }

    /// Writes a version into the folders of some apps.
    pub(crate) fn write(&self, apps: impl Iterator<Item = usize>, version: &str) -> anyhow::Result<()> {
        for app in apps {
            let folder = self.work.join("apps").join(super::bed::app_name(app));
            std::fs::create_dir_all(&folder).context("create an app's folder")?;
            for object in 0..self.objects {
                let path = folder.join(format!("{}.yaml", object_name(object)));
                std::fs::write(path, manifest(&object_name(object), version)).context("write a manifest")?;
            }
        }
        Ok(())
    }

    /// Writes a file into the folder of an app, or removes it.
    pub(crate) fn put(&self, app: usize, file: &str, text: Option<&str>) -> anyhow::Result<()> {
        let path = self.work.join("apps").join(super::bed::app_name(app)).join(file);
        match text {
            Some(text) => std::fs::write(&path, text),
            None => std::fs::remove_file(&path),
        }
        .with_context(|| format!("write {}", path.display()))
    }

    /// Commits what was written; returns the commit.
    pub(crate) fn commit(&self, message: &str) -> anyhow::Result<String> {
        git(&self.work, &["add", "--all"])?;
        git(&self.work, &["commit", "--quiet", "-m", message])?;
        Ok(git(&self.work, &["rev-parse", "HEAD"])?.trim().to_owned())
    }

    /// Writes a file that belongs to no app.
    pub(crate) fn write_readme(&self, text: &str) -> anyhow::Result<()> {
        std::fs::write(self.work.join("README.md"), text).context("write a README.md")
    }

    /// Writes the last commit again: the same content under another SHA, which is returned.
    pub(crate) fn commit_again(&self, message: &str) -> anyhow::Result<String> {
        git(&self.work, &["commit", "--quiet", "--amend", "-m", message])?;
        Ok(git(&self.work, &["rev-parse", "HEAD"])?.trim().to_owned())
    }

    /// Takes the repository away, or brings it back.
    pub(crate) fn hide(&self, is_hidden: bool) -> anyhow::Result<()> {
        let hidden = self.bare.with_extension("gone");
        let (from, to) = if is_hidden { (&self.bare, &hidden) } else { (&hidden, &self.bare) };
        std::fs::rename(from, to).with_context(|| format!("rename {}", from.display()))
    }

    /// Returns the commit that a branch is at.
    pub(crate) fn commit_of(&self, branch: &str) -> anyhow::Result<String> {
        Ok(git(&self.bare, &["rev-parse", branch])?.trim().to_owned())
    }

    /// Copies the last commit's content to the bare repository, on a branch that nobody follows.
    pub(crate) fn stage(&self) -> anyhow::Result<()> {
        git(&self.work, &["push", "--quiet", "--force", "origin", "HEAD:refs/heads/staged"]).map(drop)
    }

    /// Moves the branch to a staged commit: the shortest trigger there is.
    pub(crate) fn move_to(&self, commit: &str) -> anyhow::Result<()> {
        git(&self.bare, &["update-ref", &format!("refs/heads/{BRANCH}"), commit]).map(drop)
    }

    /// Pushes the last commit to the branch.
    pub(crate) fn push(&self) -> anyhow::Result<()> {
        git(&self.work, &["push", "--quiet", "origin", &format!("HEAD:refs/heads/{BRANCH}")]).map(drop)
    }
}

/// Returns the name of an app's ConfigMap.
pub(crate) fn object_name(object: usize) -> String {
    format!("config-{object:03}")
}

fn manifest(name: &str, version: &str) -> String {
    let filling = "tautline ".repeat(FILLING / 9);
    format!(
        "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {name}\ndata:\n  version: \"{version}\"\n  filling: \"{filling}\"\n"
    )
}

/// Runs git with nobody's settings but these.
fn git(folder: &Path, arguments: &[&str]) -> anyhow::Result<String> {
    let output = Command::new("git")
        .current_dir(folder)
        .args(["-c", "gc.auto=0", "-c", "user.name=bench", "-c", "user.email=bench@example.com"])
        .args(arguments)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_SYSTEM", "/dev/null")
        .stdin(Stdio::null())
        .output()
        .context("start git")?;
    if !output.status.success() {
        bail!("git {}: {}", arguments.join(" "), String::from_utf8_lossy(&output.stderr).trim());
    }
    String::from_utf8(output.stdout).context("read what git printed")
}
