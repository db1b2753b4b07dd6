//! Does a recorded log give the same end from every point of it? Then a log reproduces a bug.

use crate::invariants::broken;
use crate::stories::stories;
use crate::words::Story;

fn log(text: &str) -> Vec<&str> {
    text.lines().filter(|line| !line.is_empty() && !line.starts_with(['>', '#'])).collect()
}

/// Returns whether no step is taken: time goes by, or the agent is started anew.
pub(crate) fn is_aside(line: &str) -> bool {
    line.starts_with('+') || line.starts_with("start")
}

fn copy(story: &Story) -> Story {
    Story { state: story.state.clone(), app: story.app.clone(), now: story.now }
}

#[test]
fn a_log_ends_the_same_from_every_point() {
    for (path, text) in stories() {
        let lines = log(&text);
        let mut points = vec![Story::new()];
        for line in &lines {
            let mut next = copy(points.last().expect("a beginning"));
            next.line(line);
            points.push(next);
        }
        let end = points.pop().expect("an end");
        for (at, point) in points.iter().enumerate() {
            let mut replayed = copy(point);
            lines[at..].iter().for_each(|line| {
                replayed.line(line);
            });
            assert_eq!(replayed.state, end.state, "{} from line {at}", path.display());
        }
    }
}

#[test]
fn stories_keep_the_invariants() {
    for (path, text) in stories() {
        let mut story = Story::new();
        for line in log(&text) {
            let before = story.state.clone();
            let effects = story.line(line);
            if is_aside(line) {
                continue;
            }
            let wrong = broken(&before, &story.state, &effects, &story.app, story.now);
            assert!(wrong.is_empty(), "{}: {line}: {wrong:#?}", path.display());
        }
    }
}

/// Events may come twice: a watch that was cut tells everything again.
#[test]
fn what_is_told_twice_is_done_once() {
    for (path, text) in stories() {
        let mut story = Story::new();
        for line in log(&text) {
            story.line(line);
            if is_aside(line) {
                continue;
            }
            let mut again = copy(&story);
            let acts: Vec<String> = again
                .line(line)
                .iter()
                .map(crate::words::effect)
                .filter(|told| ["apply", "prune"].iter().any(|act| told.starts_with(act)))
                .collect();
            // A stage that is answered twice counts for the stage after it: answers are told apart by sync alone.
            assert!(acts.is_empty() || line.starts_with("done"), "{}: {line}: {acts:?}", path.display());
        }
    }
}
