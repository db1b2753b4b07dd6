//! Who gets the next place among the requests in flight, so that no app can take them all?
//!
//! A part of the places is kept for parties that hold none. Who takes one of these is a holder from then on, so at any time no
//! more of them are taken than there are holders. As long as fewer parties than that hang, whoever holds none has to wait for
//! none of them, however much they want and however long the API server takes over it.

use crate::gate::Priority;
use model::{AppKey, GroupKind};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// One place in so many is kept for parties that hold none: 8 of 32.
const KEPT: usize = 4;

/// Whom a request is for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Party {
    /// An app.
    App(Arc<AppKey>),
    /// The agent itself. What hangs, hangs by kind: for a webhook, or for the server of an API group.
    Kind(GroupKind),
}

/// Returns whether a party that holds `n_held` places may take one more of `limit`, of which `n_taken` are taken.
fn may_take(n_held: usize, n_taken: usize, limit: usize) -> bool {
    let kept = if n_held == 0 { 0 } else { limit / KEPT };
    limit.saturating_sub(n_taken) > kept
}

/// Who holds places and who waits for one, with a ticket `T` for each request that waits.
pub(crate) struct Line<T> {
    n_taken: usize,
    /// Requests that ever waited: which of two came first.
    n_came: u64,
    parties: BTreeMap<Party, Share<T>>,
}

/// What a party holds and wants.
struct Share<T> {
    n_held: usize,
    /// By priority; with when it came.
    waiting: [VecDeque<(u64, T)>; 3],
}

impl<T> Line<T> {
    /// Begins with all places free.
    pub(crate) fn new() -> Self {
        Self { n_taken: 0, n_came: 0, parties: BTreeMap::new() }
    }

    /// Returns whether nobody holds a place or waits for one.
    #[cfg(test)]
    pub(crate) fn is_empty(&self) -> bool {
        self.n_taken == 0 && self.parties.is_empty()
    }

    /// Takes a place for a party that may have one now. It overtakes nobody: places are handed on as they come free, so whoever
    /// waits could not take this one.
    pub(crate) fn take(&mut self, party: &Party, limit: usize) -> bool {
        let n_held = self.parties.get(party).map_or(0, |share| share.n_held);
        let may_take = may_take(n_held, self.n_taken, limit);
        if may_take {
            self.n_taken += 1;
            self.share(party).n_held += 1;
        }
        may_take
    }

    /// Has a request wait for its turn.
    pub(crate) fn wait(&mut self, party: &Party, priority: Priority, ticket: T) {
        self.n_came += 1;
        let came = self.n_came;
        self.share(party).waiting[priority as usize].push_back((came, ticket));
    }

    /// Takes a place for one of those who wait: first by priority, then for the party that holds fewest, then by age.
    pub(crate) fn take_next(&mut self, limit: usize) -> Option<(Party, T)> {
        let n_taken = self.n_taken;
        let may_take = |share: &&Share<T>| may_take(share.n_held, n_taken, limit);
        let shares = self.parties.iter().filter(|(_, share)| may_take(share));
        let turns = shares.filter_map(|(party, share)| share.turn().map(|turn| (turn, party)));
        let party = turns.min_by_key(|(turn, _)| *turn).map(|(_, party)| party.clone())?;
        let share = self.share(&party);
        let (_, ticket) = share.waiting.iter_mut().find_map(VecDeque::pop_front)?;
        share.n_held += 1;
        self.n_taken += 1;
        Some((party, ticket))
    }

    /// Gives a party's place back.
    pub(crate) fn give_back(&mut self, party: &Party) {
        self.n_taken -= 1;
        let share = self.share(party);
        share.n_held -= 1;
        if share.n_held == 0 && share.turn().is_none() {
            self.parties.remove(party);
        }
    }

    fn share(&mut self, party: &Party) -> &mut Share<T> {
        let empty = || Share { n_held: 0, waiting: Default::default() };
        self.parties.entry(party.clone()).or_insert_with(empty)
    }
}

impl<T> Share<T> {
    /// Returns when it is a waiting party's turn, compared with others.
    fn turn(&self) -> Option<(usize, usize, u64)> {
        let mut queues = self.waiting.iter().enumerate();
        queues.find_map(|(priority, queue)| queue.front().map(|(came, _)| (priority, self.n_held, *came)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LIMIT: usize = 32;

    fn app(name: &str) -> Party {
        Party::App(Arc::new(AppKey::new("argocd", name)))
    }

    /// Has a party ask for so many places; returns how many it got at once.
    fn ask(line: &mut Line<String>, name: &str, n_requests: usize) -> usize {
        let mut n_taken = 0;
        for number in 0..n_requests {
            if line.take(&app(name), LIMIT) {
                n_taken += 1;
            } else {
                line.wait(&app(name), Priority::Apply, format!("{name} {number}"));
            }
        }
        n_taken
    }

    #[test]
    fn the_last_places_are_for_those_who_hold_none() {
        let free =
            |n_held, limit| (0..=limit).rev().filter(|n_taken| may_take(n_held, *n_taken, limit)).count();
        let places = |limit| [0, 1, 100].map(|n_held| free(n_held, limit));
        assert_eq!(places(32), [32, 24, 24]);
        assert_eq!(places(4), [4, 3, 3]);
        assert_eq!(places(3), [3, 3, 3]);
        assert_eq!(places(1), [1, 1, 1]);
        // The limit shrank meanwhile.
        assert!(!may_take(0, 32, 16));
    }

    #[test]
    fn as_many_as_seven_that_hang_starve_nobody() {
        let mut line = Line::new();
        let got = ["a", "b", "c", "d", "e", "f", "g"].map(|name| ask(&mut line, name, 16));
        assert_eq!(got, [16, 8, 1, 1, 1, 1, 1], "24 of them are anybody's");
        for _ in 0..100 {
            assert_eq!(ask(&mut line, "small", 1), 1);
            line.give_back(&app("small"));
            assert!(line.take_next(LIMIT).is_none(), "what it had is kept for the next of its kind");
        }
    }

    #[test]
    fn many_small_ones_and_one_large_one_have_all_they_may() {
        let mut line = Line::new();
        let got = (0..40).map(|number| ask(&mut line, &format!("app-{number}"), 1)).sum::<usize>();
        assert_eq!(got, LIMIT);
        assert_eq!(ask(&mut Line::new(), "large", 16), 16);
    }

    #[test]
    fn priority_comes_before_need_and_need_before_age() {
        let mut line: Line<&str> = Line::new();
        for _ in 0..2 {
            assert!(line.take(&app("two"), 3));
        }
        assert!(line.take(&app("one"), 3));
        line.wait(&app("two"), Priority::Apply, "oldest");
        line.wait(&app("one"), Priority::Apply, "holds one");
        line.wait(&app("none"), Priority::Background, "background");
        line.wait(&app("none"), Priority::Apply, "holds none");
        line.wait(&app("other"), Priority::Apply, "holds none, younger");
        line.wait(&app("two"), Priority::User, "a person");
        let mut order = Vec::new();
        line.give_back(&app("two"));
        while let Some((party, ticket)) = line.take_next(3) {
            order.push(ticket);
            line.give_back(&party);
        }
        assert_eq!(
            order,
            ["a person", "holds none", "holds none, younger", "oldest", "holds one", "background"],
            "those two hold one each by now"
        );
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        /// Whoever hangs, and whatever comes and goes; and nobody waits who could go.
        #[test]
        fn no_more_of_the_kept_places_are_taken_than_there_are_holders(
            steps in prop::collection::vec((0_usize..12, 0_usize..3, any::<bool>()), 0..400),
        ) {
            let mut line: Line<()> = Line::new();
            let mut held = [0_usize; 12];
            let parties: Vec<Party> = (0..12).map(|number| app(&number.to_string())).collect();
            let priorities = [Priority::User, Priority::Apply, Priority::Background];
            for (who, priority, comes) in steps {
                let party = &parties[who];
                if comes && line.take(party, LIMIT) {
                    held[who] += 1;
                } else if comes {
                    line.wait(party, priorities[priority], ());
                } else if held[who] > 0 {
                    line.give_back(party);
                    held[who] -= 1;
                    while let Some((next, ())) = line.take_next(LIMIT) {
                        held[parties.iter().position(|party| *party == next).unwrap()] += 1;
                    }
                }
                let (n_taken, n_holders) = (held.iter().sum::<usize>(), held.iter().filter(|n| **n > 0).count());
                prop_assert_eq!(n_taken, line.n_taken);
                prop_assert!(LIMIT - n_taken + n_holders >= LIMIT / KEPT);
                let could_go = |share: &Share<()>| share.turn().is_some() && may_take(share.n_held, n_taken, LIMIT);
                prop_assert!(!line.parties.values().any(could_go));
            }
        }
    }
}
