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

    /// Writes what one line has no room for, one fact a line, the events and the log indented; at most `room` bytes, for which
    /// the oldest lines of the log are left out. Empty where nothing is known.
    pub fn details(&self, room: usize) -> String {
        let mut lines = Vec::new();
        lines.extend(self.commit.as_ref().map(|commit| format!("committed at {}", commit.time)));
        lines.extend((!self.events.is_empty()).then(|| "its last events:".to_owned()));
        lines.extend(self.events.iter().map(|event| format!("  {event}")));
        lines.extend((!self.log.is_empty()).then(|| "the last lines of its log:".to_owned()));
        // The last line of all needs no end.
        let mut left = (room + 1).saturating_sub(lines.iter().map(|line| line.len() + 1).sum());
        let log = self.log.iter().rev().map(|line| format!("  {line}")).take_while(|line| {
            let fits = line.len() < left;
            left = left.saturating_sub(line.len() + 1);
            fits
        });
        let log: Vec<String> = log.collect();
        lines.extend(log.into_iter().rev());
        let mut text = lines.join("\n");
        text.truncate(text.floor_char_boundary(room));
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
    fn all_that_is_known_is_told_in_one_line_and_in_many() {
        let addendum = "brought by 1a2b3c4 of Ann <ann@example.com>: web: new config; its log ends with: bye";
        assert_eq!(culprit().addendum(), addendum);
        let line = format!(
            "Deployment.apps shop/web, pod web-1, container app: CrashLoopBackOff: exit code 1; {addendum}"
        );
        assert_eq!(culprit().sentence(), line);
        let details = "committed at 1970-01-01T00:00:00Z\nits last events:\n  BackOff: restarting\nthe last lines of its log:\n  \
                       cannot open config\n  bye";
        assert_eq!(culprit().details(1_000), details);
    }

    #[test]
    fn where_room_is_short_the_end_of_the_log_is_kept() {
        let whole = culprit().details(1_000);
        let short = culprit().details(whole.len() - 1);
        assert!(short.ends_with("its log:\n  bye") && !short.contains("cannot open config"), "{short}");
        for room in 0..whole.len() {
            assert!(culprit().details(room).len() <= room, "{room}");
        }
        assert_eq!(culprit().details(whole.len()), whole);
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
        assert_eq!(bare.details(1_000), "");
    }
}
