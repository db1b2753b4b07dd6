//! How is the story of an object told?

use crate::facts::short;
use model::{ObjectKey, printable};
use serde_json::{Value, json};
use std::fmt;

/// Where an object comes from. What is not known is empty.
#[derive(Debug, Default)]
pub(crate) struct Story {
    /// The object that Git wants.
    pub object: ObjectKey,
    /// The objects below it that belong to it, the one that was asked for first.
    pub below: Vec<ObjectKey>,
    /// The Application, with its namespace.
    pub application: String,
    /// Its project.
    pub project: String,
    /// Its repository.
    pub repository: String,
    /// Its folder.
    pub path: String,
    /// What it follows.
    pub target: String,
    /// The commit that it is compared with.
    pub revision: String,
    /// Who made that commit.
    pub commit: CommitLine,
    /// The file, from the repository's root.
    pub file: String,
    /// The line that the object begins on.
    pub line: u32,
    /// The commit that last changed the file, if it is an older one.
    pub changed_in: Option<CommitLine>,
    /// Whether that commit does not have the object any more.
    pub is_gone_from_git: bool,
    /// Why Git could not be read.
    pub unread: String,
    /// The exit code that says so; 0 where it was read.
    pub code: u8,
    /// How the object compares.
    pub sync: String,
    /// Its health.
    pub health: String,
    /// What its health says.
    pub health_message: String,
    /// How the last sync of the Application ended.
    pub phase: String,
    /// When.
    pub synced_at: String,
    /// To which commit.
    pub synced_revision: String,
    /// Who asked for it.
    pub synced_by: String,
    /// What it did to the object.
    pub result: String,
    /// What differs from Git by now, with who wrote it.
    pub differs: Vec<String>,
    /// Who else wrote the object.
    pub others: Vec<String>,
}

/// Who made a commit.
#[derive(Debug, Default)]
pub(crate) struct CommitLine {
    /// The commit, short.
    pub revision: String,
    /// Name and mail.
    pub author: String,
    /// First line of the message.
    pub subject: String,
    /// When.
    pub time: String,
}

impl fmt::Display for CommitLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}: {}", self.revision, self.time, self.author, self.subject)
    }
}

impl CommitLine {
    fn to_json(&self) -> Value {
        json!({"revision": self.revision, "author": self.author, "subject": self.subject, "time": self.time})
    }
}

impl fmt::Display for Story {
    /// Writes one line for each thing that is known.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut line = |title: &str, value: &str| match value {
            "" => Ok(()),
            value => writeln!(f, "{title:<15}{}", printable(value)),
        };
        line("Object:", &self.object.to_string())?;
        let below: Vec<String> = self.below.iter().map(ToString::to_string).collect();
        line("Owner of:", &below.into_iter().rev().collect::<Vec<_>>().join(", of "))?;
        line("Application:", &format!("{}, project {}", self.application, self.project))?;
        line("Repository:", &format!("{} at {}", self.repository, self.target))?;
        line("File:", &self.place())?;
        line("Revision:", &self.revision_line())?;
        if let Some(changed) = &self.changed_in {
            line("Changed in:", &changed.to_string())?;
        }
        line("Git:", &self.unread)?;
        line("Sync:", &self.sync_line())?;
        line("Last sync:", &self.last_sync())?;
        line("Health:", &with(&self.health, ": ", &self.health_message))?;
        for (n, differs) in self.differs.iter().enumerate() {
            line(if n == 0 { "Differs:" } else { "" }, differs)?;
        }
        line("Also wrote it:", &self.others_line())
    }
}

fn with(text: &str, between: &str, more: &str) -> String {
    if more.is_empty() { text.to_owned() } else { format!("{text}{between}{more}") }
}

impl Story {
    fn place(&self) -> String {
        match (self.file.as_str(), self.is_gone_from_git) {
            (_, true) => format!("in none of folder {:?} at this revision", self.path),
            ("", false) => String::new(),
            (file, false) => format!("{file}:{}", self.line),
        }
    }

    fn revision_line(&self) -> String {
        if self.commit.revision.is_empty() { short(&self.revision) } else { self.commit.to_string() }
    }

    fn sync_line(&self) -> String {
        if self.sync.is_empty() {
            "not told by the Application's status yet".into()
        } else {
            self.sync.clone()
        }
    }

    fn last_sync(&self) -> String {
        let mut line = self.phase.clone();
        for (before, what) in [
            (" to ", &self.synced_revision),
            (" at ", &self.synced_at),
            (" by ", &self.synced_by),
            (": ", &self.result),
        ] {
            line = with(&line, before, what);
        }
        line
    }

    fn others_line(&self) -> String {
        match (self.others.is_empty(), self.unread.is_empty()) {
            (true, true) => "nobody".into(),
            (_, _) => self.others.join(", "),
        }
    }

    /// Returns the same for programs.
    pub(crate) fn to_json(&self) -> Value {
        let key = |key: &ObjectKey| json!({"group": key.group, "kind": key.kind, "namespace": key.namespace, "name": key.name});
        json!({
            "object": key(&self.object),
            "ownerOf": self.below.iter().map(key).collect::<Vec<_>>(),
            "application": self.application,
            "project": self.project,
            "source": {
                "repository": self.repository, "path": self.path, "target": self.target, "revision": self.revision,
                "file": self.file, "line": self.line, "isGone": self.is_gone_from_git, "error": self.unread,
                "commit": self.commit.to_json(), "changedIn": self.changed_in.as_ref().map(CommitLine::to_json),
            },
            "sync": {
                "status": self.sync, "phase": self.phase, "finishedAt": self.synced_at,
                "revision": self.synced_revision, "initiatedBy": self.synced_by, "message": self.result,
            },
            "health": {"status": self.health, "message": self.health_message},
            "differs": self.differs,
            "alsoWrittenBy": self.others,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn story() -> Story {
        let author = |revision: &str, subject: &str| CommitLine {
            revision: revision.into(),
            author: "Ada <ada@example.com>".into(),
            subject: subject.into(),
            time: "2026-11-21T07:37:12Z".into(),
        };
        Story {
            object: ObjectKey::new("apps", "Deployment", "shop", "web"),
            below: vec![
                ObjectKey::new("", "Pod", "shop", "web-5b-x"),
                ObjectKey::new("apps", "ReplicaSet", "shop", "web-5b"),
            ],
            application: "argocd/shop".into(),
            project: "default".into(),
            repository: "https://git.ex/shop.git".into(),
            target: "main".into(),
            revision: "e062505269aeaf62c7e2b9fd3f2af285cdfb809d".into(),
            commit: author("e062505", "forged\n\u{1b}[2J"),
            file: "shop/web.yaml".into(),
            line: 3,
            changed_in: Some(author("64efe99", "the shop opens")),
            sync: "OutOfSync".into(),
            phase: "Succeeded".into(),
            synced_at: "2026-11-21T07:38:12Z".into(),
            synced_revision: "e062505".into(),
            synced_by: "auto-sync".into(),
            result: "created".into(),
            differs: vec!["spec.replicas: 2 in Git, 5 live (kubectl-scale, Update scale)".into(), "b".into()],
            others: vec!["kubectl-scale (Update scale)".into()],
            ..Story::default()
        }
    }

    #[test]
    fn the_whole_story() {
        assert_eq!(
            story().to_string(),
            "Object:        Deployment.apps shop/web\n\
             Owner of:      ReplicaSet.apps shop/web-5b, of Pod shop/web-5b-x\n\
             Application:   argocd/shop, project default\n\
             Repository:    https://git.ex/shop.git at main\n\
             File:          shop/web.yaml:3\n\
             Revision:      e062505 2026-11-21T07:37:12Z Ada <ada@example.com>: forged\\n\\u{1b}[2J\n\
             Changed in:    64efe99 2026-11-21T07:37:12Z Ada <ada@example.com>: the shop opens\n\
             Sync:          OutOfSync\n\
             Last sync:     Succeeded to e062505 at 2026-11-21T07:38:12Z by auto-sync: created\n\
             Differs:       spec.replicas: 2 in Git, 5 live (kubectl-scale, Update scale)\n               b\n\
             Also wrote it: kubectl-scale (Update scale)\n"
        );
    }

    #[test]
    fn what_git_does_not_have_any_more() {
        let story = Story { is_gone_from_git: true, path: "shop".into(), ..story() };
        assert!(
            story.to_string().contains("File:          in none of folder \"shop\" at this revision"),
            "{story}"
        );
        let unread = Story { unread: "no such repository".into(), file: String::new(), ..Story::default() };
        assert!(unread.to_string().contains("Git:           no such repository\n"), "{unread}");
    }
}
