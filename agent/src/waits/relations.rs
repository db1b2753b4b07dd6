//! Which revisions hold which? Asked of Git once each, and forgotten with the last wait for it.

use crate::agent::Task;
use crate::sources::RepoId;
use engine::State;
use engine::waiting::{self, Wanted};
use model::Revision;
use source::{Kind, SourceError};
use std::collections::{BTreeMap, BTreeSet};

/// A repository, a revision that is waited for, and one that may be it or come after it.
pub(super) type Question = (RepoId, Revision, Revision);

/// What is known of how revisions relate.
#[derive(Default)]
pub(super) struct Relations(BTreeMap<Question, Relation>);

enum Relation {
    /// Git is being asked; it ends when nobody waits for the answer.
    Asked(Option<Task>),
    /// Whether the last revision is the one before it or comes after it.
    Known(bool),
    /// Git could not be asked, for this reason. It is asked again once the repository answers.
    Failed(String),
}

/// What is known of all revisions that decide a wait.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Knowledge {
    /// Which of them hold the wanted one.
    Whole,
    /// Git is being asked, or could not be for a reason.
    Lacking(Option<String>),
}

impl Relations {
    /// Notes which of the app's revisions hold the wanted one; returns whether that is known of all. What Git has to be asked
    /// is added to `unknown`, once.
    pub(super) fn relate(
        &mut self,
        wanted: &mut Wanted,
        state: &State,
        id: &RepoId,
        unknown: &mut Vec<Question>,
    ) -> Knowledge {
        let Some(target) = &wanted.revision else { return Knowledge::Whole };
        wanted.reached.clear();
        let mut knowledge = Knowledge::Whole;
        for revision in waiting::revisions(state) {
            let question = || (id.clone(), target.clone(), revision.clone());
            if revision == target {
                wanted.reached.insert(revision.clone());
                continue;
            }
            match self.0.get(&question()) {
                Some(Relation::Known(true)) => {
                    wanted.reached.insert(revision.clone());
                }
                Some(Relation::Known(false)) => {}
                Some(Relation::Failed(why)) => knowledge = Knowledge::Lacking(Some(why.clone())),
                Some(Relation::Asked(_)) => knowledge.lacks(),
                None => {
                    knowledge.lacks();
                    self.0.insert(question(), Relation::Asked(None));
                    unknown.push(question());
                }
            }
        }
        wanted.was_reached |= knowledge == Knowledge::Whole && !wanted.reached.is_empty();
        knowledge
    }

    /// Takes in what asks a question.
    pub(super) fn asking(&mut self, question: &Question, task: Task) {
        if let Some(Relation::Asked(asks)) = self.0.get_mut(question) {
            *asks = Some(task);
        }
    }

    /// Takes in an answer; returns whether Git could not be asked.
    pub(super) fn answered(&mut self, question: &Question, holds: Result<bool, SourceError>) -> bool {
        let Some(relation) = self.0.get_mut(question) else { return false };
        *relation = match holds {
            Ok(holds) => Relation::Known(holds),
            // A revision that is nowhere holds none.
            Err(error) if error.kind == Kind::RevisionNotFound => Relation::Known(false),
            Err(error) => Relation::Failed(error.to_string()),
        };
        matches!(relation, Relation::Failed(_))
    }

    /// Has what failed asked again: the repository answers.
    pub(super) fn retry(&mut self, id: &RepoId) {
        self.0.retain(|(of, ..), relation| of != id || !matches!(relation, Relation::Failed(_)));
    }

    /// Forgets all but what is known of these.
    pub(super) fn keep(&mut self, wanted: &BTreeSet<&Revision>) {
        self.0.retain(|(_, of, _), _| wanted.contains(of));
    }
}

impl Knowledge {
    fn lacks(&mut self) {
        if *self == Self::Whole {
            *self = Self::Lacking(None);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use engine::SourceView;

    const WANTED: &str = "wanted";

    /// What is known for a wait whose app is at `x`, and how many questions it leads to.
    fn related(relations: &mut Relations) -> (Knowledge, usize) {
        let mut state = State::new(None, true);
        state.source = SourceView::At(Revision::new("x"));
        let mut wanted = Wanted { revision: Some(Revision::new(WANTED)), ..Wanted::default() };
        let mut unknown = Vec::new();
        let knowledge = relations.relate(&mut wanted, &state, &RepoId::default(), &mut unknown);
        (knowledge, unknown.len())
    }

    fn question() -> Question {
        (RepoId::default(), Revision::new(WANTED), Revision::new("x"))
    }

    #[test]
    fn what_git_could_not_be_asked_is_asked_again_once_the_repository_answers_and_not_before() {
        for kind in [Kind::Unavailable, Kind::Authentication, Kind::RepositoryNotFound] {
            let mut relations = Relations::default();
            assert_eq!(related(&mut relations), (Knowledge::Lacking(None), 1));
            assert_eq!(related(&mut relations), (Knowledge::Lacking(None), 0), "it is being asked");
            assert!(relations.answered(&question(), Err(SourceError::new(kind, "no answer"))));
            let failed = Knowledge::Lacking(Some("no answer".into()));
            for _ in 0..3 {
                assert_eq!(related(&mut relations), (failed.clone(), 0), "{kind:?}");
            }
            relations.retry(&RepoId { url: "other".into(), ..RepoId::default() });
            assert_eq!(related(&mut relations).1, 0);
            relations.retry(&RepoId::default());
            assert_eq!(related(&mut relations), (Knowledge::Lacking(None), 1));
            assert!(!relations.answered(&question(), Ok(true)));
            assert_eq!(related(&mut relations), (Knowledge::Whole, 0));
        }
    }

    #[test]
    fn a_revision_that_is_nowhere_holds_none_and_what_nobody_waits_for_is_forgotten() {
        let mut relations = Relations::default();
        related(&mut relations);
        let nowhere = SourceError::new(Kind::RevisionNotFound, "no such commit");
        assert!(!relations.answered(&question(), Err(nowhere)));
        assert_eq!(related(&mut relations), (Knowledge::Whole, 0));
        relations.keep(&BTreeSet::from([&Revision::new(WANTED)]));
        assert_eq!(related(&mut relations).1, 0);
        relations.keep(&BTreeSet::from([&Revision::new("other")]));
        // An answer to what nobody asks any more is not kept.
        assert!(!relations.answered(&question(), Ok(true)));
        assert_eq!(related(&mut relations), (Knowledge::Lacking(None), 1));
    }
}
