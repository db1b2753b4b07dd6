//! What disturbs the small world, and does everything end well all the same?

use super::*;
use proptest::prelude::*;

/// Something that disturbs, after a number of effects.
#[derive(Clone, Debug)]
enum Trouble {
    Crash,
    Push(&'static str),
    Edit(&'static str),
    Fail(u8),
    /// So many applies are done only later.
    Slow(u8),
    /// One of them is done.
    Land,
    Ask(&'static str),
    Wait(i64),
    /// `web` is not healthy for a time.
    Sicken(Evidence, i64),
    /// Another agent holds the lease for a moment.
    Lease,
    /// Auto-sync is switched off and on again.
    Pause,
    /// The repository is away for a moment.
    Blink,
}

fn any_trouble() -> impl Strategy<Value = (usize, Trouble)> {
    let trouble = prop_oneof![
        3 => Just(Trouble::Crash),
        3 => prop::sample::select(vec!["a", "b", "c", "d", "d"]).prop_map(Trouble::Push),
        2 => prop::sample::select(vec!["web", "api", "old", "new", "more"]).prop_map(Trouble::Edit),
        1 => (1..4_u8).prop_map(Trouble::Fail),
        2 => (1..4_u8).prop_map(Trouble::Slow),
        1 => Just(Trouble::Land),
        1 => prop::sample::select(vec!["op prune", "op", "op only=web", "op dry", "op at=a", "op at=b prune"]).prop_map(Trouble::Ask),
        1 => (1..20_i64).prop_map(Trouble::Wait),
        1 => (prop::sample::select(vec![Evidence::Holds, Evidence::Condemns]), 1..1500_i64)
            .prop_map(|(evidence, seconds)| Trouble::Sicken(evidence, seconds)),
        1 => prop::sample::select(vec![Trouble::Lease, Trouble::Pause, Trouble::Blink]),
    ];
    (0..25_usize, trouble)
}

/// Commits that come while applies are under way.
fn any_push() -> impl Strategy<Value = (usize, Trouble)> {
    let trouble = prop_oneof![
        3 => prop::sample::select(vec!["a", "b", "c"]).prop_map(Trouble::Push),
        3 => (1..4_u8).prop_map(Trouble::Slow),
        2 => Just(Trouble::Land),
        1 => Just(Trouble::Ask("op prune")),
    ];
    (0..8_usize, trouble)
}

impl World {
    fn suffer(&mut self, trouble: &Trouble) {
        match trouble {
            Trouble::Crash => self.restart(),
            Trouble::Push(name) => {
                self.head = name;
                self.tell(Event::Resolved(revision(name)));
            }
            Trouble::Edit(name) => {
                if let Some(value) = self.live.get_mut(&ObjectKey::new("", "ConfigMap", "ns", name)) {
                    *value = 9;
                    self.compare();
                }
            }
            Trouble::Fail(n) => self.n_failing = *n,
            Trouble::Slow(n) => self.n_slow = *n,
            Trouble::Land => drop(self.land()),
            Trouble::Ask(words) => {
                if self.app.operation.is_none() {
                    self.app.operation = app(words).operation;
                    self.tell(Event::AppChanged);
                }
            }
            Trouble::Lease => {
                self.tell(Event::Writes(Writes::Forbidden));
                // Whoever held it wrote nothing: what we had begun counts, for the status may not tell of it yet.
                self.tell(Event::Writes(Writes::Allowed));
            }
            Trouble::Pause => {
                let automated = self.app.automated.take();
                self.tell(Event::AppChanged);
                self.app.automated = automated;
                self.tell(Event::AppChanged);
            }
            Trouble::Blink => {
                self.tell(Event::SourceFailed(SourceFailure {
                    message: "timeout".into(),
                    is_transient: true,
                    lacks_credentials: false,
                }));
                self.todo.push_back(Effect::Resolve);
            }
            Trouble::Sicken(evidence, seconds) => {
                self.sick = Some((*evidence, self.now + Seconds::new(*seconds)));
                self.compare();
            }
            Trouble::Wait(seconds) => self.now = self.now + Seconds::new(*seconds),
        }
    }
}

/// Returns the world after troubles, once it has come to rest: nothing forbidden happened on the way.
fn lived_through(policy: &str, troubles: &[(usize, Trouble)]) -> Result<World, TestCaseError> {
    let mut world = World::new(policy);
    for (n_effects, trouble) in troubles {
        for _ in 0..*n_effects {
            world.go_on();
        }
        world.suffer(trouble);
    }
    world.tell(Event::Resolved(revision(world.head)));
    let n_steps = (0..2000).take_while(|_| world.go_on()).count();
    // Each push may bring it back once and, where what was stable was not well either, once more; who is cut short begins anew.
    prop_assert!(world.n_back <= 2 * (troubles.len() + 1), "went back {} times", world.n_back);
    prop_assert!(n_steps < 2000, "never quiet: {:?}", world.state.activity);
    prop_assert!(world.wrong.is_empty(), "{:#?}", world.wrong);
    Ok(world)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn the_cluster_ends_as_git_wants_it(troubles in prop::collection::vec(any_trouble(), 0..12)) {
        let world = lived_through("auto prune heal", &troubles)?;
        let said = world.said.as_ref().expect("a report");
        prop_assert_eq!(said.hash, Some(hash(world.head)));
        let told = world.status.as_ref();
        let is_given_up = told.is_some_and(|told| told.hash == said.hash && told.is_condemned);
        let is_bad = world.state.quarantine.contains(hash(world.head));
        // What a person's sync of single objects brought is no fault of the sync that follows; and while nothing has settled, nobody
        // knows which objects a sync had touched that was cut short before anything was told of it.
        let blurs = |trouble: &Trouble| match trouble {
            // Nor is what was there already when auto-sync came back.
            Trouble::Ask(_) | Trouble::Pause => true,
            Trouble::Crash | Trouble::Lease => {
                world.releases.iter().all(|release| release.hash == hash("d"))
            }
            _ => false,
        };
        let is_blurred = troubles.iter().any(|(_, trouble)| blurs(trouble));
        prop_assert!(is_bad || is_blurred || world.head != "d", "what crashes is taken for good");
        // What was held up three times while less served waits for a person.
        let is_left = |held: &model::Held| held.leaves_alone(hash(world.head));
        let is_left = world.state.hold.as_ref().is_some_and(|hold| is_left(&hold.held));
        // Content that was found to be at fault does not take the place of what somebody edited.
        prop_assert!(is_given_up || is_bad || is_left || world.live == commit(world.head), "{:?}: {:#?}", world.live, world.state.last);
        let held = world.state.hold.as_ref().map(|hold| &hold.held).filter(|held| held.stage == HeldStage::Restored);
        if let Some(held) = held {
            prop_assert!(is_bad || is_left, "held although Git wants what is not known to be bad");
            prop_assert_eq!(&world.live, &commit(name_of(held.at.hash)), "not as the release that it is held at");
        }
        let goes_back = world.releases.last().is_some_and(|release| !release.is_baseline);
        prop_assert!(!is_bad || !goes_back || world.state.hold.is_some(), "bad content is left running");
        let is_synced = world.live == commit(world.head);
        prop_assert_eq!(said.sync, if is_synced { SyncStatus::Synced } else { SyncStatus::OutOfSync });
        let is_late =
            told.is_some_and(|told| told.hash == said.hash && told.reason == Some(Reason::HealthTimeout));
        prop_assert!(!(is_synced && is_late), "all is healthy, and the sync stays failed: {:?}", told);
        let phase = told.map(|told| told.phase);
        prop_assert!(phase.is_none_or(OperationPhase::is_completed), "the status says {phase:?} for ever");
        prop_assert!(world.app.operation.is_none(), "the operation is never answered");
    }

    /// What was found failing is looked at for ever, so that there is no end to wait for.
    #[test]
    fn what_fails_its_check_never_becomes_a_release(troubles in prop::collection::vec(any_trouble(), 0..12)) {
        let mut world = World::new("auto prune heal check=smoke soak=3 grace=4");
        let last = (100, Trouble::Wait(0));
        for (n_effects, trouble) in troubles.iter().chain([&last]) {
            for _ in 0..*n_effects {
                world.go_on();
            }
            world.suffer(trouble);
        }
        prop_assert!(world.wrong.is_empty(), "{:#?}", world.wrong);
        prop_assert!(world.releases.iter().all(|release| release.hash != hash("c")), "{:#?}", world.releases);
    }

    /// Nothing that an older sync has sent may undo what a newer one did: without self-heal nobody would correct it.
    #[test]
    fn what_is_done_late_undoes_nothing(troubles in prop::collection::vec(any_push(), 1..12)) {
        let world = lived_through("auto prune", &troubles)?;
        prop_assert!(world.live == commit(world.head), "{:?}: {:#?}", world.live, world.state.last);
    }
}
