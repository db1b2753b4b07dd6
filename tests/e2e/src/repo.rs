//! What is in Git? A repository that a test writes with the real `git`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A repository with a working tree below the folder that the agent may read. Its branch is `main`.
#[derive(Clone, Debug)]
pub struct Repo {
    path: PathBuf,
}

impl Repo {
    /// Makes an empty repository.
    pub(crate) fn init(path: PathBuf) -> Self {
        fs::create_dir_all(&path).expect("the scene's folder is writable");
        let repo = Self { path };
        repo.git(&["init", "--quiet", "--initial-branch=main"]);
        repo
    }

    /// Returns the folder, which is also what `repoURL` says.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns what `repoURL` says.
    pub fn url(&self) -> String {
        self.path.display().to_string()
    }

    /// Writes a file, and the folders above it; [`Repo::commit`] takes it in.
    pub fn write(&self, path: &str, text: &str) -> &Self {
        let file = self.path.join(path);
        fs::create_dir_all(file.parent().expect("a file is in a folder"))
            .expect("the repository is writable");
        fs::write(file, text).expect("the repository is writable");
        self
    }

    /// Removes a file or a folder; [`Repo::commit`] takes it in.
    pub fn remove(&self, path: &str) -> &Self {
        self.git(&["rm", "-r", "--quiet", "--", path]);
        self
    }

    /// Commits everything and returns the commit's SHA. A commit that changes nothing is one, too.
    pub fn commit(&self, message: &str) -> String {
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "--allow-empty", "--message", message]);
        self.head()
    }

    /// Replaces the last commit by one with what the working tree holds, as a force-push would; returns its SHA.
    pub fn rewrite(&self, message: &str) -> String {
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "--allow-empty", "--amend", "--message", message]);
        self.head()
    }

    /// Moves the branch that is checked out to another commit, as a force-push would.
    pub fn reset(&self, revision: &str) {
        self.git(&["reset", "--quiet", "--hard", revision]);
    }

    /// Makes a branch at `HEAD`, or moves it there, and checks it out.
    pub fn branch(&self, name: &str) -> &Self {
        self.git(&["checkout", "--quiet", "-B", name]);
        self
    }

    /// Checks a branch out that exists.
    pub fn checkout(&self, name: &str) -> &Self {
        self.git(&["checkout", "--quiet", name]);
        self
    }

    /// Deletes a branch that is not checked out.
    pub fn delete_branch(&self, name: &str) {
        self.git(&["branch", "--quiet", "-D", name]);
    }

    /// Makes a tag at `HEAD`, or moves it there.
    pub fn tag(&self, name: &str) {
        self.git(&["tag", "--force", name]);
    }

    /// Returns the SHA of `HEAD`.
    pub fn head(&self) -> String {
        self.git(&["rev-parse", "HEAD"])
    }

    /// Runs git in the repository and returns what it printed, trimmed. Nothing of the machine's settings counts.
    pub fn git(&self, arguments: &[&str]) -> String {
        let output = Command::new("git")
            .args(arguments)
            .current_dir(&self.path)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", &self.path)
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_AUTHOR_NAME", "Ada")
            .env("GIT_AUTHOR_EMAIL", "ada@example.com")
            .env("GIT_COMMITTER_NAME", "Ada")
            .env("GIT_COMMITTER_EMAIL", "ada@example.com")
            .output()
            .expect("git is installed (README.md)");
        let words = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "git {}: {words}", arguments.join(" "));
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }
}
