//! Who is to blame that a commit failed, and what did they say last?

use crate::{ObjectKey, Revision, Timestamp};
use std::fmt::Write as _;

/// What decided that a commit failed: the object, what its containers said last, and who brought it. Holds no secret values and
/// nothing that a terminal acts on; each text is one line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Culprit {
    /// The object that decided it.
    pub object: ObjectKey,
    /// Name of its pod; empty where none is concerned.
    pub pod: String,
    /// Name of the container; empty where none is concerned.
    pub container: String,
    /// One word, such as `CrashLoopBackOff`.
    pub reason: String,
    /// The last that was said beside it; may be empty.
    pub message: String,
    /// The last lines that the container wrote; empty where there are none, or where they could not be read.
    pub log: Vec<String>,
    /// The newest Kubernetes events about the pod or, without one, the object: the newest last.
    pub events: Vec<String>,
    /// The commit that brought it; `None` where that could not be read in time.
    pub commit: Option<CommitInfo>,
}

/// What people want to know of a commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommitInfo {
    /// Its id.
    pub revision: Revision,
    /// `Name <mail>`.
    pub author: String,
    /// First line of the message.
    pub subject: String,
    /// When it was committed.
    pub time: Timestamp,
}

impl Culprit {
    /// Writes it in one line: `Deployment.apps shop/web, pod web-7c9d4, container app: Error: ...; brought by ...`.
    pub fn sentence(&self) -> String {
        let mut text = self.object.to_string();
        for (word, name) in [("pod", &self.pod), ("container", &self.container)] {
            if !name.is_empty() {
                let _infallible = write!(text, ", {word} {name}");
            }
        }
        for part in [&self.reason, &self.message].into_iter().filter(|part| !part.is_empty()) {
            let _infallible = write!(text, ": {part}");
        }
        match self.addendum().as_str() {
            "" => text,
            addendum => format!("{text}; {addendum}"),
        }
    }

    /// Writes what a sentence about the object does not tell: `brought by 1a2b3c4 of Ann <ann@example.com>: the subject; its log
    /// ends with: no such file`. Empty where neither is known.
    pub fn addendum(&self) -> String {
        let commit = self.commit.as_ref().map(|commit| format!("brought by {}", commit.sentence()));
        let last = self.log.last().map(|line| format!("its log ends with: {line}"));
        commit.into_iter().chain(last).collect::<Vec<_>>().join("; ")
    }

    /// Writes all of it, one fact a line, the log and the events indented.
    pub fn story(&self) -> String {
        let mut text = self.sentence();
        if let Some(commit) = &self.commit {
            let _infallible = write!(text, "\ncommitted at {}", commit.time);
        }
        for (title, lines) in [("last lines of its log", &self.log), ("its last events", &self.events)] {
            if !lines.is_empty() {
                let _infallible = write!(text, "\n{title}:");
            }
            for line in lines {
                let _infallible = write!(text, "\n  {line}");
            }
        }
        text
    }
}

impl CommitInfo {
    /// Writes `1a2b3c4 of Ann <ann@example.com>: the subject`.
    pub fn sentence(&self) -> String {
        let Self { revision, author, subject, .. } = self;
        match subject.as_str() {
            "" => format!("{} of {author}", revision.short()),
            subject => format!("{} of {author}: {subject}", revision.short()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn culprit() -> Culprit {
        Culprit {
            object: ObjectKey::new("apps", "Deployment", "shop", "web"),
            pod: "web-1".into(),
            container: "app".into(),
            reason: "CrashLoopBackOff".into(),
            message: "exit code 1".into(),
            log: vec!["cannot open config".into(), "bye".into()],
            events: vec!["BackOff: restarting".into()],
            commit: Some(CommitInfo {
                revision: Revision::new("1a2b3c4d5e6f1a2b3c4d5e6f1a2b3c4d5e6f1a2b"),
                author: "Ann <ann@example.com>".into(),
                subject: "web: new config".into(),
                time: Timestamp::from_millis(0),
            }),
        }
    }

    #[test]
    fn all_that_is_known_is_told_in_one_line_and_in_a_story() {
        let addendum = "brought by 1a2b3c4 of Ann <ann@example.com>: web: new config; its log ends with: bye";
        assert_eq!(culprit().addendum(), addendum);
        let line = format!(
            "Deployment.apps shop/web, pod web-1, container app: CrashLoopBackOff: exit code 1; {addendum}"
        );
        assert_eq!(culprit().sentence(), line);
        let rest = "committed at 1970-01-01T00:00:00Z\nlast lines of its log:\n  cannot open config\n  bye\nits last \
                    events:\n  BackOff: restarting";
        assert_eq!(culprit().story(), format!("{line}\n{rest}"));
    }

    #[test]
    fn what_is_not_known_leaves_no_empty_words() {
        let bare = Culprit {
            pod: String::new(),
            container: String::new(),
            reason: "Invalid".into(),
            message: String::new(),
            log: Vec::new(),
            events: Vec::new(),
            commit: None,
            ..culprit()
        };
        assert_eq!(bare.sentence(), "Deployment.apps shop/web: Invalid");
        assert_eq!(bare.story(), bare.sentence());
    }
}
