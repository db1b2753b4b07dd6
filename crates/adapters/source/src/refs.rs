//! Which commit does a target revision name?

use crate::constraint::Constraint;
use crate::error::{Kind, SourceError, is_hidden};
use model::Revision;
use std::collections::BTreeMap;

/// What a ref points at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefTarget {
    /// The object itself: a commit, or an annotated tag.
    pub oid: String,
    /// The object behind an annotated tag.
    pub peeled: Option<String>,
}

impl RefTarget {
    /// Returns the commit, as far as the list of refs tells.
    pub fn revision(&self) -> Revision {
        Revision::new(self.peeled.as_ref().unwrap_or(&self.oid))
    }
}

/// The refs of a repository at one moment. An empty repository has none.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Refs {
    /// Full name of the branch that `HEAD` follows; `None` when it names a commit, or a branch that is not there.
    pub default_branch: Option<String>,
    /// What `HEAD` points at.
    pub head: Option<String>,
    /// By full name, such as `refs/heads/main`.
    pub names: BTreeMap<String, RefTarget>,
    /// How many refs were ignored because of their names.
    pub n_ignored: usize,
}

/// What a target revision turned out to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Resolution {
    /// This commit, or the object of this full SHA.
    Commit(Revision),
    /// The beginning of a SHA: [`crate::Sources::expand_short`] comes next.
    Short(String),
    /// Nothing here.
    Unknown,
}

impl Refs {
    /// Adds a ref; one with a name that Git would not make, or that cannot be printed, is counted and left out.
    pub(crate) fn add(&mut self, name: &str, oid: String) {
        if let Some(tag) = name.strip_suffix("^{}") {
            if let Some(target) = self.names.get_mut(tag) {
                target.peeled = Some(oid);
            }
            return;
        }
        let is_sound = name.starts_with("refs/")
            && name.len() <= 1024
            && git2::Reference::is_valid_name(name)
            && !name.chars().any(is_hidden);
        if is_sound {
            self.names.insert(name.to_owned(), RefTarget { oid, peeled: None });
        } else {
            self.n_ignored += 1;
        }
    }

    /// Finds the commit in Argo CD's order: a full SHA as it is, nothing as `HEAD`, the highest tag in a range of versions,
    /// a branch, another ref, a tag (annotated ones give their commit), the beginning of a SHA with at least seven digits.
    pub fn resolve(&self, target_revision: &str) -> Resolution {
        let name = target_revision.trim();
        let is_hex = !name.is_empty() && name.bytes().all(|b| b.is_ascii_hexdigit());
        if is_hex && name.len() == 40 {
            return Resolution::Commit(Revision::new(name.to_ascii_lowercase()));
        }
        if name.is_empty() || name == "HEAD" {
            let head = self.head.as_ref().map(Revision::new);
            return head.map_or(Resolution::Unknown, Resolution::Commit);
        }
        if let Some(target) = Constraint::parse(name).and_then(|range| self.highest_tag(&range)) {
            return Resolution::Commit(target.revision());
        }
        if let Some((_, target)) = self.named(name) {
            return Resolution::Commit(target.revision());
        }
        if is_hex && (7..40).contains(&name.len()) {
            return Resolution::Short(name.to_ascii_lowercase());
        }
        Resolution::Unknown
    }

    fn named(&self, name: &str) -> Option<(&String, &RefTarget)> {
        let candidates = [
            name.to_owned(),
            format!("refs/heads/{name}"),
            format!("refs/{name}"),
            format!("refs/tags/{name}"),
        ];
        candidates.iter().find_map(|name| self.names.get_key_value(name))
    }

    /// Finds the branch that a target revision follows, in the order of [`Self::resolve`]: its full name and its tip.
    ///
    /// # Errors
    /// [`Kind::NotSupported`] for a tag, a commit or a range of versions, and [`Kind::RevisionNotFound`] for what is not here.
    pub(crate) fn branch(&self, target_revision: &str) -> Result<(&str, Revision), SourceError> {
        let name = target_revision.trim();
        let is_range = || Constraint::parse(name).is_some_and(|range| self.highest_tag(&range).is_some());
        let is_sha = name.len() == 40 && name.bytes().all(|byte| byte.is_ascii_hexdigit());
        let followed = match name {
            "" | "HEAD" => self.default_branch.as_ref().and_then(|name| self.names.get_key_value(name)),
            _ if is_sha || is_range() => None,
            _ => self.named(name),
        };
        match followed {
            Some((full, target)) if full.starts_with("refs/heads/") => Ok((full, target.revision())),
            None if self.resolve(name) == Resolution::Unknown => Err(self.unknown(name)),
            Some(_) | None => {
                let message = format!("{name:?} is no branch, so that nothing can be reverted on it");
                Err(SourceError::new(Kind::NotSupported, message)
                    .help("follow a branch, or take the annotation off"))
            }
        }
    }

    fn tags(&self) -> impl Iterator<Item = &str> {
        self.names.keys().filter_map(|name| name.strip_prefix("refs/tags/"))
    }

    fn highest_tag(&self, range: &Constraint) -> Option<&RefTarget> {
        let tag = range.highest(self.tags())?;
        self.names.get(&format!("refs/tags/{tag}"))
    }

    /// Returns the error that a person reads when [`Resolution::Unknown`] is what came out.
    pub fn unknown(&self, target_revision: &str) -> SourceError {
        if self.names.is_empty() {
            return SourceError::new(Kind::RevisionNotFound, "the repository is empty")
                .help("push a first commit");
        }
        if Constraint::parse(target_revision.trim()).is_some() {
            return self.nothing_in_range(target_revision.trim());
        }
        let name = if target_revision.is_empty() { "HEAD" } else { target_revision };
        let message = format!("no branch, tag or commit {name:?} in the repository");
        let branches: Vec<&str> =
            self.names.keys().filter_map(|name| name.strip_prefix("refs/heads/")).take(5).collect();
        SourceError::new(Kind::RevisionNotFound, message).help(format!("it has {}", branches.join(", ")))
    }

    fn nothing_in_range(&self, range: &str) -> SourceError {
        let highest = |range: &str| Constraint::parse(range).and_then(|range| range.highest(self.tags()));
        let help = match (highest("*"), highest(">=0-0")) {
            (Some(tag), _) => format!("the highest version is {tag}"),
            (None, Some(tag)) => {
                format!(
                    "there are only pre-releases such as {tag}: a range that names one, such as >=1-0, takes them in"
                )
            }
            (None, None) => "no tag is a version".into(),
        };
        let message = format!("no tag in the repository is a version in the range {range:?}");
        SourceError::new(Kind::RevisionNotFound, message).help(help)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refs() -> Refs {
        let mut refs = Refs { default_branch: Some("refs/heads/main".into()), ..Refs::default() };
        for (name, digit) in [
            ("refs/heads/main", "1"),
            ("refs/heads/v2", "2"),
            ("refs/pull/7/head", "3"),
            ("refs/tags/v1", "4"),
            ("refs/tags/v1^{}", "5"),
            ("refs/tags/v2", "6"),
            ("refs/heads/deadbeef", "7"),
            ("refs/heads/4.x", "8"),
        ] {
            refs.add(name, digit.repeat(40));
        }
        refs.head = Some("1".repeat(40));
        refs
    }

    fn found(target: &str) -> String {
        match refs().resolve(target) {
            Resolution::Commit(revision) => revision.as_str()[..1].to_owned(),
            Resolution::Short(text) => format!("short {text}"),
            Resolution::Unknown => "unknown".into(),
        }
    }

    #[test]
    fn names_are_found_in_argo_order() {
        for (target, expected) in [
            ("", "1"),
            ("HEAD", "1"),
            ("main", "1"),
            ("refs/heads/main", "1"),
            ("heads/main", "1"),
            ("v1", "5"),
            ("refs/tags/v1", "5"),
            ("v2", "2"),
            ("tags/v2", "6"),
            ("pull/7/head", "3"),
            ("refs/pull/7/head", "3"),
            ("deadbeef", "7"),
            ("deadbee", "short deadbee"),
            ("DEADBEE1", "short deadbee1"),
            ("deadbe", "unknown"),
            ("nope", "unknown"),
            ("--upload-pack=x", "unknown"),
            ("main\n", "1"),
            ("1.x", "5"),
            (" >= 1 ", "6"),
            ("*", "6"),
            ("^3", "unknown"),
            ("4.x", "8"),
        ] {
            assert_eq!(found(target), expected, "{target}");
        }
        assert_eq!(found(&"A".repeat(40)), "a");
    }

    #[test]
    fn only_a_branch_is_one_to_push_to() {
        let followed = |target: &str| match refs().branch(target) {
            Ok((name, tip)) => format!("{name} at {}", &tip.as_str()[..1]),
            Err(error) => format!("{:?}", error.kind),
        };
        for (target, expected) in [
            ("", "refs/heads/main at 1"),
            ("HEAD", "refs/heads/main at 1"),
            ("main", "refs/heads/main at 1"),
            (" refs/heads/main", "refs/heads/main at 1"),
            ("heads/main", "refs/heads/main at 1"),
            ("v2", "refs/heads/v2 at 2"),
            ("4.x", "refs/heads/4.x at 8"),
            ("deadbeef", "refs/heads/deadbeef at 7"),
            ("v1", "NotSupported"),
            ("tags/v2", "NotSupported"),
            ("pull/7/head", "NotSupported"),
            (">= 1", "NotSupported"),
            ("1.x", "NotSupported"),
            ("deadbee", "NotSupported"),
            ("1111111111111111111111111111111111111111", "NotSupported"),
            ("nope", "RevisionNotFound"),
            ("^3", "RevisionNotFound"),
        ] {
            assert_eq!(followed(target), expected, "{target}");
        }
        let detached = Refs { default_branch: None, ..refs() };
        assert_eq!(detached.branch("HEAD").unwrap_err().kind, Kind::NotSupported);
        assert_eq!(Refs::default().branch("HEAD").unwrap_err().kind, Kind::RevisionNotFound);
    }

    // N6: names that Git would not make
    #[test]
    fn hostile_names_are_counted_and_left_out() {
        let mut refs = Refs::default();
        for name in [
            "refs/heads/../../config",
            "refs/heads/a\nb",
            "refs/heads/\u{1b}[2J",
            "refs/heads/\u{202e}x",
            "refs/heads/x.lock",
            "HEADS",
            "refs/heads/-/..",
            "../x",
            "refs/heads/a~1",
            "refs/heads/.git/",
            "refs//x",
        ] {
            refs.add(name, "1".repeat(40));
        }
        assert_eq!((refs.names.len(), refs.n_ignored), (0, 11), "{:?}", refs.names);
    }

    #[test]
    fn the_error_says_what_there_is() {
        assert_eq!(
            refs().unknown("nope").to_string(),
            "no branch, tag or commit \"nope\" in the repository (it has 4.x, deadbeef, main, v2)"
        );
        assert_eq!(Refs::default().unknown("").to_string(), "the repository is empty (push a first commit)");
        assert_eq!(
            refs().unknown("^3").to_string(),
            "no tag in the repository is a version in the range \"^3\" (the highest version is v2)"
        );
        let mut refs = Refs::default();
        refs.add("refs/tags/v1.0.0-rc.2", "1".repeat(40));
        assert_eq!(
            refs.unknown("*").help,
            "there are only pre-releases such as v1.0.0-rc.2: a range that names one, such as >=1-0, takes them in"
        );
        refs = Refs::default();
        refs.add("refs/heads/main", "1".repeat(40));
        assert_eq!(refs.unknown("*").help, "no tag is a version");
    }
}
