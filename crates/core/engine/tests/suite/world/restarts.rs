//! Does a restart change nothing, at whatever moment? The same history with one and without comes to the same end.

use super::troubles::{Trouble, any_word};
use super::*;
use proptest::prelude::*;

/// Where an app has come to.
#[derive(Debug, PartialEq, Eq)]
struct Place {
    live: Vec<(String, u8)>,
    quarantine: Vec<&'static str>,
    /// At which content it is held, instead of which, how far that has come, and whether until somebody resumes.
    held: Option<(&'static str, &'static str, &'static str, bool)>,
    /// What settled last.
    stable: Option<&'static str>,
}

impl World {
    fn place(&self) -> Place {
        let held = self.state.hold.as_ref().map(|hold| &hold.held);
        Place {
            live: self.live.iter().map(|(key, value)| (key.name.clone(), *value)).collect(),
            quarantine: self.state.quarantine.iter().map(|bad| name_of(bad.hash)).collect(),
            held: held.map(|held| {
                let stage = match &held.stage {
                    // Whoever does not know what was done last goes there once more.
                    HeldStage::Kept => HeldStage::Restored.as_str(),
                    stage => stage.as_str(),
                };
                (name_of(held.at.hash), name_of(held.bad.hash), stage, held.until_resumed)
            }),
            stable: self.releases.last().map(|release| name_of(release.hash)),
        }
    }

    /// Goes on until there is nothing to do.
    fn rest(&mut self) -> bool {
        (0..2000).any(|_| !self.go_on())
    }
}

/// Something that the app has time to deal with before the next comes.
fn any_upset() -> impl Strategy<Value = Trouble> {
    // Not about as long as anything that is waited for: a restart takes a moment, too.
    let seconds = prop_oneof![1..8_i64, 3000..4000_i64];
    prop_oneof![
        5 => prop::sample::select(vec!["a", "b", "c", "d"]).prop_map(Trouble::Push),
        3 => any_word(),
        1 => prop::sample::select(vec!["web", "api", "old", "new", "more"]).prop_map(Trouble::Edit),
        1 => (1..4_u8).prop_map(Trouble::Fail),
        // What fails once may fail in the life that ends: it is tried again in either.
        1 => Just(Trouble::Ask("op prune limit=9")),
        1 => (prop::sample::select(vec![Evidence::Holds, Evidence::Condemns]), seconds)
            .prop_map(|(evidence, seconds)| Trouble::Sicken(evidence, seconds)),
        1 => Just(Trouble::Starve(6000)),
        1 => Just(Trouble::Blink),
    ]
}

/// Returns where the app comes to after each upset; after the one given, and so many effects, the agent is started anew.
fn places(upsets: &[Trouble], restart: Option<(usize, usize)>) -> Result<Vec<Place>, TestCaseError> {
    let mut world = World::new("auto prune heal");
    prop_assert!(world.rest(), "never quiet");
    let mut places = Vec::new();
    for (nth, upset) in upsets.iter().enumerate() {
        world.suffer(upset);
        if let Some((_, n_effects)) = restart.filter(|(at, _)| *at == nth) {
            for _ in 0..n_effects {
                world.go_on();
            }
            world.restart();
        }
        prop_assert!(world.rest(), "never quiet: {:?}", world.state.activity);
        prop_assert!(world.wrong.is_empty(), "{:#?}", world.wrong);
        places.push(world.place());
    }
    Ok(places)
}

/// Comes to the same places with a restart as without one.
fn comes_to_the_same(upsets: &[Trouble], restart: (usize, usize)) -> Result<(), TestCaseError> {
    prop_assert_eq!(places(upsets, None)?, places(upsets, Some(restart))?, "started anew: {:?}", restart);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn a_restart_changes_nothing(
        upsets in prop::collection::vec(any_upset(), 1..6),
        at in any::<prop::sample::Index>(),
        n_effects in 0..40_usize,
    ) {
        comes_to_the_same(&upsets, (at.index(upsets.len()), n_effects))?;
    }
}

#[test]
fn who_went_back_by_hand_is_there_for_the_next_bad_commit_after_a_restart_as_well() {
    let upsets = [Trouble::Push("b"), Trouble::GoBack(1, false), Trouble::Push("d")];
    comes_to_the_same(&upsets, (2, 7)).unwrap();
}

#[test]
fn what_a_person_syncs_is_judged_after_a_restart_as_well() {
    comes_to_the_same(&[Trouble::Push("d"), Trouble::Ask("op prune")], (1, 7)).unwrap();
}
