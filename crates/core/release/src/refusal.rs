//! Why is a release not used, and what can a person do?

use model::{AppKey, names, printable};
use std::fmt;

/// A Secret that looks like a release and is not used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Namespace of the Secret.
    pub namespace: String,
    /// Its name.
    pub secret: String,
    /// The app that its name claims; long names are short there.
    pub app: String,
    /// The number that its name claims.
    pub number: Option<u64>,
    /// The label that says whose it is; nothing proves it.
    pub label: String,
    /// What is wrong.
    pub why: Why,
}

/// What is wrong with a release. No case holds anything of its content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Why {
    /// Something is missing or cannot be read.
    Damaged(&'static str),
    /// It was written by a later version, of this format.
    NewerFormat(String),
    /// It was sealed with another key than ours.
    OtherKey,
    /// It was sealed with our key, and is not as it was then.
    Changed,
    /// One of its Secrets is missing: which, and of how many.
    MissingPart(usize, usize),
    /// It belongs to another app, or to one of the same name that was deleted.
    Foreign,
    /// Its objects are kept no more.
    NoPayload,
    /// There is no such release.
    Absent,
}

impl Refusal {
    /// Says that there is no release of this number.
    pub fn absent(app: &AppKey, number: u64) -> Self {
        Self {
            namespace: app.namespace.clone(),
            secret: crate::head_name(app, number),
            app: app.name.clone(),
            number: Some(number),
            label: model::tracking::part_of_label(app),
            why: Why::Absent,
        }
    }

    /// Returns whether it claims to be a release of this app.
    pub fn claims(&self, app: &AppKey) -> bool {
        self.namespace == app.namespace && self.label == model::tracking::part_of_label(app)
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (namespace, app, secret) =
            (printable(&self.namespace), printable(&self.app), printable(&self.secret));
        match self.number {
            Some(number) => write!(f, "release {number} of {namespace}/{app} ")?,
            None => write!(f, "Secret {namespace}/{secret} of type {} ", names::RELEASE_TYPE)?,
        }
        let delete = format!("delete Secret {namespace}/{secret} if nobody needs it");
        match &self.why {
            Why::Damaged(what) => write!(f, "is damaged: {what}; it is not used, {delete}"),
            Why::NewerFormat(format) => write!(
                f,
                "is of format {}, and this agent reads format {}: run the version that wrote it, or {delete}",
                printable(format),
                crate::FORMAT
            ),
            Why::OtherKey => write!(
                f,
                "does not match: it is sealed with another key than the one in Secret {}; it is not used, {delete}",
                names::RELEASE_KEY
            ),
            Why::Changed => write!(
                f,
                "does not match its seal: it was edited, copied or made by somebody else; it is not used, find out who \
                 did that, and {delete}"
            ),
            Why::MissingPart(part, parts) => {
                write!(f, "is not whole: part {part} of {parts} is missing; it cannot be restored")
            }
            Why::Foreign => write!(
                f,
                "does not match: it belongs to another Application, or to one of this name that was deleted; it is not \
                 used, {delete}"
            ),
            Why::NoPayload => write!(
                f,
                "is remembered without its objects, which are kept for the stable release and the two before it; choose \
                 one of those"
            ),
            Why::Absent => {
                write!(f, "does not exist; `tautline app history {app}` lists those that do")
            }
        }
    }
}
