//! How do the tests speak with the engine? One event per line in, one effect per line out.

mod app;
mod effect;
mod event;

pub(crate) use app::{app, check};
pub(crate) use effect::effect;
pub(crate) use event::{culprit, event};

use engine::{Effect, State, step};
use model::{App, DesiredHash, Revision, Seconds, Timestamp, digest};

/// What a revision is called in the tests.
pub(crate) fn revision(name: &str) -> Revision {
    Revision::new(name)
}

/// What a desired set is called in the tests.
pub(crate) fn hash(name: &str) -> DesiredHash {
    DesiredHash(digest(name.as_bytes()))
}

/// Returns the name of a desired set.
pub(crate) fn name_of(of: DesiredHash) -> String {
    let names = ["a", "b", "c", "d", "e", "nothing"];
    names.iter().find(|name| hash(name) == of).map_or("?".into(), |name| (*name).to_owned())
}

/// One app, told line by line.
pub(crate) struct Story {
    pub(crate) state: State,
    pub(crate) app: App,
    pub(crate) now: Timestamp,
}

impl Story {
    /// Begins at the start of 1970 with an app that nobody has seen yet, held by the one writer.
    pub(crate) fn new() -> Self {
        Self { state: State::new(None, true), app: app("auto"), now: Timestamp::from_millis(0) }
    }

    /// Takes one line in: `+3` lets seconds go by, `start` starts the agent anew, the rest are events.
    pub(crate) fn line(&mut self, line: &str) -> Vec<Effect> {
        if let Some(seconds) = line.strip_prefix('+') {
            let seconds: f64 = seconds.trim_end_matches('s').parse().expect("seconds");
            #[expect(clippy::cast_possible_truncation, reason = "stories are short")]
            let millis = (seconds * 1000.0) as i64;
            self.now = self.now + Seconds::from_millis(millis);
            return Vec::new();
        }
        if let Some(last) = line.strip_prefix("start") {
            let hold = self.state.hold.take().map(|hold| Box::new(engine::Hold::new(hold.held)));
            let kept = (hold, self.state.quarantine.clone());
            self.state = State::new(event::remembered(last.trim(), self.now), true);
            self.state.remembered = event::remembered_not_yet(last);
            self.state.is_new = last.trim() == "new";
            self.state.was_untold = self.state.is_new;
            // What stands in the annotation is what this life knew.
            if last.contains("held") {
                self.state.hold = kept.0;
                self.state.quarantine = kept.1;
            }
            self.state.told = self.state.remembered.iter().map(|not_yet| not_yet.field.clone()).collect();
            return Vec::new();
        }
        if let Some(words) = line.strip_prefix("app") {
            self.app = app(words.trim());
        }
        if line == "allowed untold" {
            // What was decided last, the Application had not been told of.
            (self.state.quarantine, self.state.hold) = (engine::Quarantine::default(), None);
        }
        let event = event(line, &self.state);
        let (state, effects) = step(self.state.clone(), event.clone(), self.now, &self.app);
        let again = step(self.state.clone(), event.clone(), self.now, &self.app);
        assert_eq!((&state, &effects), (&again.0, &again.1), "equal arguments give equal results");
        self.state = state;
        effects
    }

    /// Tells a whole story: every line that begins with `>` is an effect and is told anew.
    pub(crate) fn transcript(text: &str) -> String {
        let mut story = Self::new();
        let mut told = Vec::new();
        for line in text.lines().filter(|line| !line.starts_with('>')) {
            told.push(line.to_owned());
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            told.extend(story.line(line).iter().map(|told| format!("> {}", effect(told))));
        }
        told.join("\n") + "\n"
    }
}
