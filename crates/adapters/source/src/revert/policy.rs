//! Is a commit that was bad taken back in a repository, and in whose name?

use super::Identity;
use crate::secret::SecretKind;

/// Annotation on the Secret of a repository: whether a commit that was bad is taken back in it.
pub const REVERT_ANNOTATION: &str = "tautline.dev/revert";
/// Annotation beside it: who signs that off, such as `Tautline <tautline@example.com>`.
pub const REVERT_AUTHOR_ANNOTATION: &str = "tautline.dev/revert-author";

/// What the Secret of a repository says about taking commits back in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RevertPolicy {
    /// Where to.
    pub to: RevertTo,
    /// In whose name.
    pub author: Identity,
}

/// Where reverts are pushed to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RevertTo {
    /// The branch that the app follows.
    Followed,
    /// A branch of its own, for somebody to merge.
    Own,
}

impl RevertPolicy {
    /// Reads both annotations; `None` where nobody asks for reverts.
    ///
    /// # Errors
    /// A sentence that names the annotation.
    pub fn read(kind: SecretKind, to: Option<&str>, author: Option<&str>) -> Result<Option<Self>, String> {
        let Some(word) = to else { return Ok(None) };
        let to = match word {
            "commit" => RevertTo::Followed,
            "branch" => RevertTo::Own,
            _ => return Err(format!("annotation {REVERT_ANNOTATION} is none of commit, branch")),
        };
        if kind == SecretKind::Template {
            return Err(format!(
                "annotation {REVERT_ANNOTATION} counts on the Secret of one repository, and this is a template for many"
            ));
        }
        let author = author.and_then(identity).ok_or_else(|| {
            format!(
                "annotation {REVERT_ANNOTATION} needs {REVERT_AUTHOR_ANNOTATION} beside it, with who signs the reverts off, such as \
                 `Tautline <tautline@example.com>`"
            )
        })?;
        Ok(Some(Self { to, author }))
    }
}

/// Reads `Name <mail>`.
fn identity(text: &str) -> Option<Identity> {
    let (name, mail) = text.trim().strip_suffix('>')?.split_once('<')?;
    Some(Identity { name: name.trim().into(), mail: mail.trim().into() }).filter(Identity::is_sound)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reverts_need_a_word_and_a_name_on_the_secret_of_one_repository() {
        let read = |to, author| RevertPolicy::read(SecretKind::Repository, to, author);
        let ann = || Identity { name: "Ann B.".into(), mail: "ann@example.com".into() };
        let policy = |to| Ok(Some(RevertPolicy { to, author: ann() }));
        assert_eq!(read(Some("commit"), Some("Ann B. <ann@example.com>")), policy(RevertTo::Followed));
        assert_eq!(read(Some("branch"), Some(" Ann B. < ann@example.com > ")), policy(RevertTo::Own));
        assert_eq!(read(None, Some("Ann <ann@example.com>")), Ok(None));
        assert!(
            read(Some("true"), Some("Ann <ann@example.com>")).unwrap_err().contains("none of commit, branch")
        );
        for author in [
            None,
            Some("Ann"),
            Some("<ann@example.com>"),
            Some("Ann <>"),
            Some("Ann <a> <b>"),
            Some("A\nB <b>"),
        ] {
            let told = read(Some("commit"), author).unwrap_err();
            assert!(told.contains(REVERT_AUTHOR_ANNOTATION), "{author:?}: {told}");
        }
        let template =
            RevertPolicy::read(SecretKind::Template, Some("commit"), Some("Ann <ann@example.com>"));
        assert!(template.unwrap_err().contains("a template for many"));
    }
}
