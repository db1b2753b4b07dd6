//! What disturbs the small world?

use super::*;
use model::ReleaseRequest;
use proptest::prelude::*;

/// Something that disturbs, after a number of effects.
#[derive(Clone, Debug)]
pub(super) enum Trouble {
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
    /// There is no room for `web` as `b` and `c` want it, for a time.
    Starve(i64),
    /// Another agent holds the lease for a moment.
    Lease,
    /// Auto-sync is switched off and on again.
    Pause,
    /// The repository is away for a moment.
    Blink,
    /// A person goes back to a release, counted from the newest, and stays there until somebody resumes or until the next commit.
    GoBack(usize, bool),
    /// Git decides again.
    Resume,
    /// What Git holds is to be left alone.
    LeaveAlone,
}

pub(super) fn any_trouble() -> impl Strategy<Value = (usize, Trouble)> {
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
        1 => (1..4000_i64).prop_map(Trouble::Starve),
        2 => any_word(),
        1 => prop::sample::select(vec![Trouble::Lease, Trouble::Pause, Trouble::Blink]),
    ];
    (0..25_usize, trouble)
}

/// What a person may say beside a sync.
pub(super) fn any_word() -> impl Strategy<Value = Trouble> {
    prop_oneof![
        2 => (0..3_usize, any::<bool>()).prop_map(|(nth, stays)| Trouble::GoBack(nth, stays)),
        2 => Just(Trouble::Resume),
        1 => Just(Trouble::LeaveAlone),
    ]
}

/// Commits that come while applies are under way.
pub(super) fn any_push() -> impl Strategy<Value = (usize, Trouble)> {
    let trouble = prop_oneof![
        3 => prop::sample::select(vec!["a", "b", "c"]).prop_map(Trouble::Push),
        3 => (1..4_u8).prop_map(Trouble::Slow),
        2 => Just(Trouble::Land),
        1 => Just(Trouble::Ask("op prune")),
    ];
    (0..8_usize, trouble)
}

impl World {
    pub(super) fn suffer(&mut self, trouble: &Trouble) {
        self.ledger.disturb();
        match trouble {
            Trouble::Crash => self.restart(),
            Trouble::GoBack(nth, stays) => {
                if let Some(to) = self.releases.iter().rev().nth(*nth).cloned() {
                    self.request(Asked::RollBack { to, until_resumed: *stays });
                }
            }
            Trouble::Resume => self.request(Asked::Resume),
            Trouble::LeaveAlone => self.request(Asked::Quarantine),
            Trouble::Push(name) => self.push(name),
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
            Trouble::Lease => self.lose_lease(),
            Trouble::Pause => self.pause(),
            Trouble::Blink => self.blink(),
            Trouble::Sicken(evidence, seconds) => {
                self.sicken(*evidence, *seconds, None);
            }
            Trouble::Starve(seconds) => self.sicken(Evidence::Holds, *seconds, Some(2)),
            Trouble::Wait(seconds) => self.now = self.now + Seconds::new(*seconds),
        }
    }

    fn push(&mut self, name: &'static str) {
        self.head = name;
        self.ledger.pushed();
        self.tell(Event::Resolved(revision(name)));
    }

    fn pause(&mut self) {
        let automated = self.app.automated.take();
        self.tell(Event::AppChanged);
        self.app.automated = automated;
        self.tell(Event::AppChanged);
    }

    fn sicken(&mut self, evidence: Evidence, seconds: i64, only: Option<u8>) {
        self.sick = Some(Sick { evidence, until: self.now + Seconds::new(seconds), only });
        self.compare();
    }

    fn blink(&mut self) {
        self.tell(Event::SourceFailed(SourceFailure {
            message: "timeout".into(),
            is_transient: true,
            lacks_credentials: false,
        }));
        self.todo.push_back(Effect::Resolve);
    }

    /// Writes on the Application what somebody asks for, unless something is asked for already.
    fn request(&mut self, what: Asked) {
        if self.app.request.is_none() {
            self.n_asked += 1;
            let stamp = self.n_asked.to_string();
            self.app.request = Some(ReleaseRequest { what, username: "jo".into(), stamp });
            self.tell(Event::AppChanged);
        }
    }
}
