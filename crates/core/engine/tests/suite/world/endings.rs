//! Does everything end well, whatever disturbed the small world?

use super::troubles::{Trouble, any_push, any_trouble};
use super::*;
use Trouble::{Ask, Crash, Edit, GoBack, Lease, LeaveAlone, Pause, Push, Resume, Sicken, Slow};
use model::Held;
use proptest::prelude::*;

type Troubles = [(usize, Trouble)];

impl World {
    /// Suffers each trouble after a number of effects.
    fn live_through(&mut self, troubles: &Troubles) {
        for (n_effects, trouble) in troubles {
            for _ in 0..*n_effects {
                self.go_on();
            }
            self.suffer(trouble);
        }
    }

    fn held(&self) -> Option<&Held> {
        self.state.hold.as_ref().map(|hold| &hold.held)
    }

    /// Returns whether auto-sync leaves alone what Git wants, and has a reason to: it is bad, it was held up three times while
    /// less served, or a person keeps the app elsewhere.
    fn is_left(&self) -> bool {
        let wanted = hash(self.head);
        let is_kept = |held: &Held| held.until_resumed || held.leaves_alone(wanted);
        self.state.quarantine.contains(wanted) || self.held().is_some_and(is_kept)
    }
}

/// Returns the world after troubles, once it has come to rest: nothing forbidden happened on the way.
fn lived_through(policy: &str, troubles: &Troubles) -> Result<World, TestCaseError> {
    let mut world = World::new(policy);
    world.live_through(troubles);
    world.tell(Event::Resolved(revision(world.head)));
    let n_steps = (0..2000).take_while(|_| world.go_on()).count();
    // Three times from what is held up; once from what is bad and, where what was stable was not well either, once more; who is cut
    // short begins anew.
    prop_assert!(world.n_back <= 3 * (troubles.len() + 1), "went back {} times", world.n_back);
    prop_assert!(n_steps < 2000, "never quiet: {:?}", world.state.activity);
    prop_assert!(world.wrong.is_empty(), "{:#?}", world.wrong);
    Ok(world)
}

fn ends_well(troubles: &Troubles) -> Result<(), TestCaseError> {
    let world = lived_through("auto prune heal", troubles)?;
    ends_where_it_should(&world, troubles)?;
    ends_with_true_words(&world)
}

/// What Git wants is there; where that is bad, what settled last is, or what a person chose.
fn ends_where_it_should(world: &World, troubles: &Troubles) -> Result<(), TestCaseError> {
    let tried = world.state.tried();
    let is_given_up = tried.is_some_and(|last| last.hash == Some(hash(world.head)) && last.is_condemned);
    let is_blurred = troubles.iter().any(|(_, trouble)| blurs(world, trouble));
    prop_assert!(world.is_left() || is_blurred || world.head != "d", "what crashes is taken for good");
    // Content that was found to be at fault does not take the place of what somebody edited.
    let is_there = world.live == commit(world.head);
    prop_assert!(is_given_up || world.is_left() || is_there, "{:?}: {:#?}", world.live, world.state.last);
    if let Some(held) = world.held().filter(|held| held.stage == HeldStage::Restored) {
        prop_assert!(world.is_left(), "held although Git wants what is not known to be bad");
        // What a person brought there, or left there, is not deleted.
        let brings = |trouble: &Trouble| matches!(trouble, Ask(_) | GoBack(..) | LeaveAlone);
        let is_brought = troubles.iter().any(|(_, trouble)| brings(trouble));
        let wanted = commit(name_of(held.at.hash));
        let mut live = world.live.clone();
        live.retain(|key, _| !is_brought || wanted.contains_key(key));
        prop_assert_eq!(live, wanted, "not as the release that it is held at");
    }
    // Nobody goes back to what a person wants left alone.
    let is_good = |release: &Stable| !release.is_baseline && !world.state.quarantine.contains(release.hash);
    let goes_back = world.releases.last().is_some_and(is_good);
    let is_bad = world.state.quarantine.contains(hash(world.head));
    prop_assert!(!is_bad || !goes_back || world.held().is_some(), "bad content is left running");
    Ok(())
}

/// Returns whether nobody can know by a trouble that what crashes is the commit's fault.
fn blurs(world: &World, trouble: &Trouble) -> bool {
    match trouble {
        // What a person's sync of single objects brought is no fault of the sync that follows, nor is what was there already when
        // auto-sync came back, or when a person had Git decide again.
        Ask(_) | Pause | Resume => true,
        // While nothing has settled that may be deployed, nobody knows which objects a sync had touched that was cut short before
        // anything was told of it, or that nobody went on with.
        Crash | Lease => world
            .releases
            .iter()
            .all(|release| release.hash == hash("d") || world.state.quarantine.contains(release.hash)),
        _ => false,
    }
}

/// What the status says is so, and everybody has an answer.
fn ends_with_true_words(world: &World) -> Result<(), TestCaseError> {
    let said = world.kept.said.as_ref().expect("a report");
    let told = world.kept.status.as_ref();
    prop_assert_eq!(said.hash, Some(hash(world.head)));
    let is_synced = world.live == commit(world.head);
    prop_assert_eq!(said.sync, if is_synced { SyncStatus::Synced } else { SyncStatus::OutOfSync });
    let is_late =
        told.is_some_and(|told| told.hash == said.hash && told.reason == Some(Reason::HealthTimeout));
    prop_assert!(!(is_synced && is_late), "all is healthy, and the sync stays failed: {:?}", told);
    let phase = told.map(|told| told.phase);
    prop_assert!(phase.is_none_or(OperationPhase::is_completed), "the status says {phase:?} for ever");
    prop_assert!(world.app.operation.is_none(), "the operation is never answered");
    prop_assert!(world.app.request.is_none(), "the request is never answered");
    prop_assert_eq!(&said.quarantine, &world.state.quarantine, "the quarantine is not told");
    prop_assert_eq!(said.held.as_ref(), world.held(), "the hold is not told");
    Ok(())
}

/// What was found failing is looked at for ever, so that there is no end to wait for.
fn checks_count(troubles: &Troubles) -> Result<(), TestCaseError> {
    let mut world = World::new("auto prune heal check=smoke soak=3 grace=4");
    world.live_through(troubles);
    world.live_through(&[(100, Trouble::Wait(0))]);
    prop_assert!(world.wrong.is_empty(), "{:#?}", world.wrong);
    let has_failed = world.releases.iter().any(|release| release.hash == hash("c"));
    prop_assert!(!has_failed, "{:#?}", world.releases);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, ..ProptestConfig::default() })]

    #[test]
    fn the_cluster_ends_as_git_wants_it(troubles in prop::collection::vec(any_trouble(), 0..12)) {
        ends_well(&troubles)?;
    }

    #[test]
    fn what_fails_its_check_never_becomes_a_release(troubles in prop::collection::vec(any_trouble(), 0..12)) {
        checks_count(&troubles)?;
    }

    /// Nothing that an older sync has sent may undo what a newer one did: without self-heal nobody would correct it.
    #[test]
    fn what_is_done_late_undoes_nothing(troubles in prop::collection::vec(any_push(), 1..12)) {
        let world = lived_through("auto prune", &troubles)?;
        prop_assert!(world.live == commit(world.head), "{:?}: {:#?}", world.live, world.state.last);
    }
}

#[test]
fn what_ended_badly_once_ends_well() {
    let (holds, condemns) = (Evidence::Holds, Evidence::Condemns);
    let all: [&Troubles; 6] = [
        &[(9, Push("b")), (4, Sicken(condemns, 301)), (18, Edit("web"))],
        &[
            (13, Push("c")),
            (0, Push("d")),
            (0, Push("d")),
            (4, Sicken(holds, 316)),
            (16, Slow(1)),
            (18, Crash),
        ],
        &[(14, Crash), (0, Push("d")), (15, Lease)],
        &[(3, Push("d")), (6, Edit("web")), (10, LeaveAlone), (1, Crash)],
        &[(13, Push("c")), (15, GoBack(1, false)), (7, Push("a"))],
        &[(13, Ask("op only=web")), (7, Sicken(holds, 301)), (8, LeaveAlone), (13, Push("d")), (2, Crash)],
    ];
    for troubles in all {
        ends_well(troubles).unwrap();
    }
}

#[test]
fn what_was_asked_for_is_done_though_the_lease_was_lost_before_it_was_told() {
    let troubles = [(15, Push("b")), (30, GoBack(1, true)), (0, Lease)];
    let world = lived_through("auto prune heal", &troubles).unwrap();
    assert!(world.held().is_some_and(|held| held.until_resumed), "{:?}", world.live);
}

#[test]
fn what_is_held_up_is_left_after_three_times() {
    let world = lived_through("auto prune heal", &[(30, Trouble::Starve(9000)), (0, Push("b"))]).unwrap();
    assert_eq!((world.n_back, world.live.clone()), (3, commit("a")));
}

#[test]
fn who_goes_back_has_no_more_chances_for_a_restart() {
    let all: [&Troubles; 2] = [
        &[
            (15, Push("d")),
            (12, Sicken(Evidence::Holds, 303)),
            (23, Edit("new")),
            (20, Crash),
            (0, Sicken(Evidence::Holds, 305)),
        ],
        &[(17, Push("c")), (24, Resume), (13, LeaveAlone), (19, Lease)],
    ];
    for troubles in all {
        checks_count(troubles).unwrap();
    }
}
