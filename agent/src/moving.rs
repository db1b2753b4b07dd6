//! Is an object on its way from one app to another? A commit may move it between folders of a repository, and the app that
//! loses it may be rendered before the one that gets it: until all are, nothing that Git seems to have dropped is decided.

use crate::agent::Agent;
use crate::apps::AppEntry;
use engine::SourceView;
use model::{AppKey, Comparison};

impl Agent {
    /// Returns whether a comparison has to wait, because it would delete something that a neighbour may want; it is made
    /// again when the neighbours have been looked at.
    pub(crate) fn holds_back(&mut self, key: &AppKey, comparison: &Comparison) -> bool {
        if comparison.to_prune().next().is_none() || !self.are_neighbours_rendering(key) {
            return false;
        }
        self.held_back.insert(key.clone());
        true
    }

    /// Has comparisons that waited made again, as far as their neighbours have been looked at.
    pub(crate) fn release_held_back(&mut self) {
        for key in std::mem::take(&mut self.held_back) {
            if self.are_neighbours_rendering(&key) {
                self.held_back.insert(key);
            } else {
                self.dirty.insert(key);
            }
        }
    }

    /// Returns whether what another app of the same repository wants is being looked at.
    fn are_neighbours_rendering(&self, key: &AppKey) -> bool {
        let Some((id, _)) = self.repos.of(key) else { return false };
        let neighbours = self.repos.iter().filter(|(other, _)| other.url == id.url);
        let mut followers = neighbours.flat_map(|(_, repo)| repo.followers.keys());
        followers.any(|other| other != key && self.apps.get(other).is_some_and(|entry| is_rendering(entry)))
    }
}

fn is_rendering(entry: &AppEntry) -> bool {
    let state = &entry.state;
    let is_first_look = state.desired.is_none() && state.source == SourceView::Unknown;
    state.rendering.is_some() || (is_first_look && entry.problems.is_empty())
}
