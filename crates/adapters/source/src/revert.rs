//! What is to be taken back, and in whose name?

mod policy;

pub use policy::{REVERT_ANNOTATION, REVERT_AUTHOR_ANNOTATION, RevertPolicy, RevertTo};

use crate::error::{Kind, SourceError, is_hidden};
use crate::listing::Folder;
use model::{Revision, Timestamp};
use std::fmt;
use std::sync::Arc;

/// What is to be taken back, and how.
#[derive(Clone, Debug)]
pub struct Revert {
    /// The branch that is followed, as the app names it: `main`, `refs/heads/main`; `HEAD` and nothing for the default one.
    pub branch: String,
    /// A branch to push to instead, which is made for it; none pushes to the one that is followed.
    pub own_branch: Option<String>,
    /// The commit that turned out bad.
    pub bad: Revision,
    /// One for each app.
    pub parts: Vec<Part>,
    /// The whole message of the commit, trailers included; who signs it off is added as the last trailer.
    pub message: String,
    /// Its author and committer, who signs it off.
    pub author: Identity,
    /// When it is made, to the second.
    pub at: Timestamp,
}

/// What of it one app has.
#[derive(Clone)]
pub struct Part {
    /// The app's folder.
    pub folder: Folder,
    /// Which files of the folder are the app's, by their path relative to it, as in [`crate::Sources::read`].
    pub filter: Filter,
    /// The commit whose content it goes back to.
    pub good: Revision,
}

/// Tells by its path whether a file counts.
pub type Filter = Arc<dyn Fn(&str) -> bool + Send + Sync>;

impl fmt::Debug for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Part({:?} as in {})", self.folder, self.good)
    }
}

/// Who commits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Such as `Tautline`.
    pub name: String,
    /// The e-mail address.
    pub mail: String,
}

impl Identity {
    /// Returns whether Git reads it as it is written: nothing of it begins a line of its own, or ends it.
    pub(crate) fn is_sound(&self) -> bool {
        [&self.name, &self.mail].into_iter().all(|text| {
            !text.is_empty() && text.trim() == text && !text.chars().any(|c| is_hidden(c) || "<>".contains(c))
        })
    }
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reverted {
    /// The commit is on the server. It may be there since an earlier attempt that was not told so.
    Pushed {
        /// The commit.
        revision: Revision,
        /// The branch that it is on, without `refs/heads/`.
        branch: String,
        /// Which parts are not in it, by their places, and why: a sentence for each.
        left: Vec<(usize, String)>,
    },
    /// There is nothing to do, for somebody did it or went on since: a sentence.
    Nothing(String),
}

/// What the full names of branches begin with.
const BRANCHES: &str = "refs/heads/";

impl Revert {
    /// Checks what can be wrong without looking at the repository.
    ///
    /// # Errors
    /// [`Kind::Invalid`]
    pub(crate) fn check(&self) -> Result<(), SourceError> {
        let Identity { name, mail } = &self.author;
        if !self.author.is_sound() || self.signature().is_err() {
            let message = format!("nobody can sign off as {name:?} with the address {mail:?}");
            return Err(SourceError::new(Kind::Invalid, message)
                .help("set a name and an e-mail address, without <, > or line breaks"));
        }
        if self.message.contains('\0') {
            return Err(SourceError::new(Kind::Invalid, "the message of the revert holds a zero byte"));
        }
        match self.own_ref() {
            Some(own) if !is_branch(&own) => {
                let message = format!("{:?} cannot be the name of a branch", short(&own));
                Err(SourceError::new(Kind::Invalid, message).help("see git help check-ref-format"))
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Returns the full name of the branch of its own.
    pub(crate) fn own_ref(&self) -> Option<String> {
        let own = self.own_branch.as_ref()?;
        Some(format!("{BRANCHES}{}", short(own)))
    }

    /// Returns the message, signed off.
    pub(crate) fn text(&self) -> String {
        let (message, Identity { name, mail }) = (self.message.trim_end(), &self.author);
        let line = format!("Signed-off-by: {name} <{mail}>");
        if message.lines().last() == Some(&line) {
            return format!("{message}\n");
        }
        let has_trailers =
            git2::message_trailers_strs(message).is_ok_and(|found| found.iter().next().is_some());
        let gap = if has_trailers { "\n" } else { "\n\n" };
        format!("{message}{gap}{line}\n")
    }

    pub(crate) fn signature(&self) -> Result<git2::Signature<'static>, git2::Error> {
        let time = git2::Time::new(self.at.as_millis().div_euclid(1000), 0);
        git2::Signature::new(&self.author.name, &self.author.mail, &time)
    }
}

/// Returns the name of a branch that people read.
pub(crate) fn short(branch: &str) -> &str {
    branch.strip_prefix(BRANCHES).unwrap_or(branch)
}

fn is_branch(name: &str) -> bool {
    // What begins like an option is one to many a program.
    git2::Reference::is_valid_name(name) && !short(name).starts_with('-') && !name.chars().any(is_hidden)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn revert() -> Revert {
        Revert {
            branch: "main".into(),
            own_branch: None,
            bad: Revision::new("b".repeat(40)),
            parts: Vec::new(),
            message: "Revert".into(),
            author: Identity { name: "Tautline".into(), mail: "t@example.com".into() },
            at: Timestamp::from_millis(0),
        }
    }

    #[test]
    fn the_sign_off_is_the_last_trailer() {
        const SIGNED: &str = "Signed-off-by: Tautline <t@example.com>\n";
        for (message, gap) in [
            ("Revert", "\n\n"),
            ("Revert: web", "\n\n"),
            ("Revert\n\nThe pods crash: exit 1.", "\n\n"),
            ("Revert\n\nwhy\n\nCulprit: deadbeef\nVerdict: HealthTimeout\n\n", "\n"),
        ] {
            let text = Revert { message: message.into(), ..revert() }.text();
            assert_eq!(text, format!("{}{gap}{SIGNED}", message.trim_end()));
            assert_eq!(Revert { message: text.clone(), ..revert() }.text(), text, "once is enough");
        }
    }

    #[test]
    fn what_git_would_read_otherwise_is_refused() {
        let refused = |revert: &Revert| revert.check().err().map(|error| error.to_string());
        assert_eq!(refused(&revert()), None);
        for (name, mail) in [("", "m"), ("T", ""), ("T<", "m"), ("T", "m\nx: y"), (" T", "m"), ("T", "m>")] {
            let author = Identity { name: name.into(), mail: mail.into() };
            let told = refused(&Revert { author, ..revert() });
            assert!(told.is_some_and(|told| told.starts_with("nobody can sign off as")), "{name:?} {mail:?}");
        }
        for (own, is_fine) in [
            ("revert/web", true),
            ("refs/heads/revert/web", true),
            ("", false),
            ("-f", false),
            ("a b", false),
            ("a:b", false),
            ("*", false),
            ("../x", false),
            ("x.lock", false),
            ("\u{202e}x", false),
        ] {
            let told = refused(&Revert { own_branch: Some(own.into()), ..revert() });
            assert_eq!(told.is_none(), is_fine, "{own:?}: {told:?}");
        }
        assert_eq!(Revert { own_branch: Some("x".into()), ..revert() }.own_ref().unwrap(), "refs/heads/x");
    }
}
